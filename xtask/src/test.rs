//! Every check this repository has, in one command.

use crate::run::{cargo, run, succeeds};
use crate::{Result, arch, machine, model, paths};
use std::process::Command;
use std::time::{Duration, Instant};

struct Step {
    name: &'static str,
    what: &'static str,
    run: fn() -> Result<()>,
}

const STEPS: &[Step] = &[
    Step { name: "fmt", what: "rustfmt leaves every file as it is", run: fmt },
    Step { name: "arch", what: "dependencies point downwards, unsafe stays in its place", run: arch::check },
    Step { name: "clippy", what: "clippy has nothing to say", run: clippy },
    Step { name: "model", what: "the small real model is there", run: fetch_model },
    Step { name: "rust", what: "unit, property, golden and server tests", run: rust_tests },
    Step { name: "doctest", what: "examples in the documentation run", run: doc_tests },
    Step { name: "doc", what: "the documentation builds without warnings", run: documentation },
    Step {
        name: "clients",
        what: "the official Python and Node clients against a live server",
        run: clients,
    },
    Step { name: "deny", what: "licences and sources of dependencies", run: deny },
];

/// Runs all steps or the named ones, goes on after a failure and ends with a table of times.
pub(crate) fn test(arguments: &[String]) -> Result<()> {
    if arguments.iter().any(|argument| argument == "--list") {
        for step in STEPS {
            println!("{:<8} {}", step.name, step.what);
        }
        return Ok(());
    }
    let steps = chosen(arguments)?;
    let mut finished: Vec<(&Step, Duration, Result<()>)> = Vec::new();
    for step in steps {
        println!("\n== {}: {}", step.name, step.what);
        let start = Instant::now();
        let outcome = (step.run)();
        if let Err(message) = &outcome {
            eprintln!("error: {message}");
        }
        finished.push((step, start.elapsed(), outcome));
    }

    println!("\n== summary");
    for (step, took, outcome) in &finished {
        let verdict = if outcome.is_ok() { "ok" } else { "FAILED" };
        println!("{:<8} {verdict:<7} {:>6.1} s", step.name, took.as_secs_f64());
    }
    let failed = finished.iter().filter(|(_, _, outcome)| outcome.is_err()).count();
    println!("steps: {} passed, {failed} failed", finished.len() - failed);
    if failed == 0 { Ok(()) } else { Err(format!("{failed} of {} steps failed", finished.len())) }
}

fn chosen(names: &[String]) -> Result<Vec<&'static Step>> {
    if names.is_empty() {
        return Ok(STEPS.iter().collect());
    }
    let find = |name: &String| {
        STEPS
            .iter()
            .find(|step| step.name == name)
            .ok_or_else(|| format!("no step `{name}`; `cargo xtask test --list` names them"))
    };
    names.iter().map(find).collect()
}

fn fmt() -> Result<()> {
    run(&mut cargo(["fmt", "--all", "--check"]))
}

fn clippy() -> Result<()> {
    run(&mut cargo(["clippy", "--workspace", "--all-targets", "--locked", "--", "--deny", "warnings"]))
}

fn fetch_model() -> Result<()> {
    model::fetch().map(drop)
}

fn rust_tests() -> Result<()> {
    if succeeds(&mut cargo(["nextest", "--version"])) {
        return run(&mut cargo(["nextest", "run", "--workspace", "--locked", "--no-fail-fast"]));
    }
    println!("cargo-nextest is not installed: cargo's own runner does it");
    run(&mut cargo(["test", "--workspace", "--locked", "--no-fail-fast", "--lib", "--bins", "--tests"]))
}

fn doc_tests() -> Result<()> {
    run(&mut cargo(["test", "--workspace", "--locked", "--doc"]))
}

fn documentation() -> Result<()> {
    run(cargo(["doc", "--workspace", "--no-deps", "--locked"]).env("RUSTDOCFLAGS", "--deny warnings"))
}

fn clients() -> Result<()> {
    let model = model::fetch()?;
    // `--workspace` keeps the features, and with them what the tests compiled already.
    run(&mut cargo(["build", "--workspace", "--locked", "--bin", "elodex"]))?;
    machine::node()?;
    let python = machine::venv("venv")?;
    let tests = paths::root().join("tests/clients");
    machine::pip_install(&python, &tests.join("requirements.txt"), &tests.join("constraints.txt"))?;
    run(Command::new(python)
        .args(["-m", "pytest"])
        .arg(&tests)
        .current_dir(paths::root())
        .env("ELODEX_BINARY", paths::binary("debug"))
        .env("ELODEX_EMBEDDER", model)
        .env("ELODEX_SCRATCH", paths::target().join("clients")))
}

fn deny() -> Result<()> {
    if !succeeds(&mut cargo(["deny", "--version"])) {
        println!("skipped: cargo-deny is not installed (cargo install cargo-deny)");
        return Ok(());
    }
    // Advisories come from a database on the network; a check that must work without one leaves them out.
    run(&mut cargo(["deny", "check", "licenses", "bans", "sources"]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn named_steps_run_in_the_named_order() {
        let names = ["doc".to_owned(), "fmt".to_owned()];
        let steps = chosen(&names).expect("both exist");
        assert_eq!(steps.iter().map(|step| step.name).collect::<Vec<_>>(), ["doc", "fmt"]);
    }

    #[test]
    fn an_unknown_step_is_named() {
        let error = chosen(&["fnt".to_owned()]).map(|steps| steps.len()).expect_err("no such step");
        assert!(error.contains("`fnt`"), "{error}");
    }
}

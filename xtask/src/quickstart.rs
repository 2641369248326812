//! From a bare machine to two-stage search over a sample, saying what happens on the way.

use crate::run::{cargo, run};
use crate::{Result, paths};
use std::process::Command;

/// Runs the quickstart; `--no-serve` ends it before the server.
pub(crate) fn quickstart(arguments: &[String]) -> Result<()> {
    let serve = match arguments {
        [] => true,
        [flag] if flag == "--no-serve" => false,
        [first, ..] => return Err(format!("unexpected argument `{first}`; only --no-serve is known")),
    };

    step("1. Build the release binary (a quarter of an hour on two cores)");
    run(&mut cargo(["build", "--release", "--locked", "--package", "elodex"]))?;

    step("2. Ingest a help centre, ask it ten questions, serve it");
    let mut demo = Command::new(paths::binary("release"));
    demo.arg("demo");
    if !serve {
        demo.arg("--no-serve");
    }
    run(&mut demo)
}

fn step(title: &str) {
    println!("\n== {title}");
}

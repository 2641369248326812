//! The benchmark against other engines: Rust drivers built here, peers installed into a Python of their own.

use crate::run::{cargo, run};
use crate::{Result, machine, model, paths};
use std::process::Command;

/// Builds both sides and hands the arguments to `bench/run.py`.
pub(crate) fn bench(arguments: &[String]) -> Result<()> {
    let model = model::fetch()?;
    run(&mut cargo(["build", "--release", "--locked", "--package", "elodex", "--package", "elodex-bench"]))?;
    let folder = paths::root().join("bench");
    let python = machine::venv("bench-venv")?;
    let requirements = folder.join("requirements-bench.txt");
    machine::pip_install(&python, &requirements, &requirements)?;
    run(Command::new(python)
        .arg(folder.join("run.py"))
        .args(arguments)
        .current_dir(paths::root())
        .env("ELODEX_BIN_DIR", paths::target().join("release"))
        .env("ELODEX_EMBEDDER", model)
        .env("ELODEX_SCRATCH", paths::target().join("bench")))
}

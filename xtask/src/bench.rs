//! The benchmarks: Rust drivers built here, peers installed into a Python of their own.

use crate::run::{cargo, run};
use crate::{Result, machine, model, paths, quality};
use std::path::Path;
use std::process::Command;

/// The collection that search is measured on, where none is named.
const COLLECTION: &str = "../shared/data/scifact";
/// Numbers of chunks at which search is measured.
const SIZES: [&str; 6] = ["1000", "10000", "50000", "50000:int8", "100000", "100000:int8"];

/// Builds both sides and hands the arguments to `bench/run.py`; `search` and `quality` measure those instead.
pub(crate) fn bench(arguments: &[String]) -> Result<()> {
    let model = model::fetch()?;
    match arguments.split_first().map(|(first, rest)| (first.as_str(), rest)) {
        Some(("search", rest)) => return search(&model, rest.first().map_or(COLLECTION, String::as_str)),
        Some(("quality", rest)) => return quality::quality(&model, rest),
        _ => {}
    }
    run(&mut cargo(["build", "--release", "--locked", "--package", "elodex", "--package", "elodex-bench"]))?;
    run(&mut cargo("build --release --locked --package elodex-kernels --example gemm_peak".split(' ')))?;
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
        .env("ELODEX_SCRATCH", paths::target().join("bench"))
        // The peers read the model that lies here; none of them is to look for a newer one.
        .env("HF_HUB_OFFLINE", "1")
        .env("PYTHONUNBUFFERED", "1"))
}

/// Ingestion and growth on a BEIR directory.
fn search(model: &Path, collection: &str) -> Result<()> {
    if !Path::new(collection).join("corpus.jsonl").is_file() {
        return Err(format!(
            "`{collection}` is no BEIR directory; name one: cargo xtask bench search DIRECTORY"
        ));
    }
    run(&mut cargo(["build", "--release", "--locked", "--package", "elodex", "--package", "elodex-bench"]))?;
    let driver = || Command::new(paths::target().join("release/bench-search"));
    run(driver().arg("ingestion").arg(model).arg(collection))?;
    run(driver().arg("growth").arg(model).arg(collection).args(SIZES))
}

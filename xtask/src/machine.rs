//! What the machine offers: Python and Node, and how to get them.

use crate::run::{output, run, succeeds};
use crate::{Result, paths};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Whether `python3` can make virtual environments with pip in them.
const PYTHON_PROBE: &str = "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))";

/// A Python of our own under `target/`, with pip, made on first use.
pub(crate) fn venv(name: &str) -> Result<PathBuf> {
    let dir = paths::target().join(name);
    let python = dir.join("bin/python");
    if succeeds(Command::new(&python).args(["-m", "pip", "--version"])) {
        return Ok(python);
    }
    let system = || {
        let mut command = Command::new("python3");
        command.args(["-c", PYTHON_PROBE]);
        command
    };
    if !succeeds(&mut system()) {
        install(&["python3", "python3-venv"])?;
    }
    if !succeeds(&mut system()) {
        return Err("python3 is older than 3.10 or lacks the modules venv and ensurepip".to_owned());
    }
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&dir))?;
    Ok(python)
}

/// Installs the pinned packages of a requirements file into a virtual environment, unless they are there already.
pub(crate) fn pip_install(python: &Path, requirements: &Path, constraints: &Path) -> Result<()> {
    let mut pip = Command::new(python);
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"]);
    pip.arg(requirements).arg("-c").arg(constraints);
    run(&mut pip)
}

/// Makes sure that `node` (18 or newer) and `npm` are there.
pub(crate) fn node() -> Result<()> {
    if !succeeds(Command::new("node").arg("--version")) || !succeeds(Command::new("npm").arg("--version")) {
        install(&["nodejs", "npm"])?;
    }
    let version = output(Command::new("node").arg("--version"))?;
    let major: Option<u32> =
        version.trim().trim_start_matches('v').split('.').next().and_then(|major| major.parse().ok());
    match major {
        Some(major) if major >= 18 => Ok(()),
        _ => Err(format!("node {} is too old; 18 or newer is needed", version.trim())),
    }
}

/// Installs Debian packages where that is possible, and says what to install where it is not.
fn install(packages: &[&str]) -> Result<()> {
    let list = packages.join(" ");
    if !succeeds(Command::new("apt-get").arg("--version")) {
        return Err(format!("this needs the programs that Debian packages as: {list}"));
    }
    let user = output(Command::new("id").arg("-u"))?;
    if user.trim() != "0" {
        return Err(format!("missing packages; run: sudo apt-get install {list}"));
    }
    run(Command::new("apt-get").args(["update", "--quiet=2"]))?;
    run(Command::new("apt-get")
        .args(["install", "--yes", "--quiet=2", "--no-install-recommends"])
        .args(packages)
        .env("DEBIAN_FRONTEND", "noninteractive"))
}

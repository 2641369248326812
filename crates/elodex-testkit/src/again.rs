//! A test that starts itself as a second process: one to be killed, or one whose disk is full.
//!
//! Such a test begins with [`handed_over`], does the second process's part where there is a folder, and ends.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Where the second process finds the folder.
const FOLDER: &str = "ELODEX_TEST_AGAIN";

/// The folder that the first process gave to this one; none in the first.
pub fn handed_over() -> Option<PathBuf> {
    std::env::var_os(FOLDER).map(PathBuf::from)
}

/// A second process of this test binary that runs `test`, named with its modules, on `folder`.
pub fn again(test: &str, folder: &Path) -> Command {
    handing(Command::new(test_binary()), test, folder)
}

/// Runs `test` once more, in a second process whose files can hold `bytes` (a multiple of 512) each: a longer write is
/// answered as by a full disk, with a part of it and then an error.
///
/// # Panics
/// Where the second process fails, or has no such test.
pub fn again_on_a_full_disk(test: &str, folder: &Path, bytes: u64) {
    // A write over the limit is an error where the signal for it is ignored.
    let script = format!("trap '' XFSZ; ulimit -f {}; exec \"$0\" \"$@\"", bytes / 512);
    let mut shell = Command::new("sh");
    shell.args(["-c", &script]).arg(test_binary());
    let second = handing(shell, test, folder).output().expect("a shell");
    let said = String::from_utf8_lossy(&second.stdout);
    assert!(
        second.status.success() && said.contains("1 passed"),
        "{said}{}",
        String::from_utf8_lossy(&second.stderr)
    );
}

fn test_binary() -> PathBuf {
    std::env::current_exe().expect("the path of this test binary")
}

fn handing(mut command: Command, test: &str, folder: &Path) -> Command {
    command.args(["--exact", test, "--nocapture"]).env(FOLDER, folder);
    command
}

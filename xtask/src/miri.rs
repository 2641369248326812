//! Miri on the kernels: their scalar code and the packing of weights are interpreted, which finds every read beyond an end
//! and other undefined behaviour. Vector instructions are none that Miri knows; they share the code around them.

use crate::run::{run, succeeds};
use crate::{Result, paths};
use std::process::Command;

/// What threads share is checked by tree borrows, which the work-stealing queues below are written for; that a pool lives
/// until the process ends is no leak.
const FLAGS: &str = "-Zmiri-tree-borrows -Zmiri-permissive-provenance -Zmiri-ignore-leaks";
/// Tests of values and memory. What is left out, that results do not change with the batch, is about values alone.
const TESTS: [&str; 3] = ["correctness", "quantised", "gradient"];

pub(crate) fn miri() -> Result<()> {
    if !succeeds(Command::new("rustup").args(["run", "nightly", "cargo", "miri", "--version"])) {
        return Err(
            "Miri comes with Rust's nightly toolchain; `rustup toolchain install nightly --component miri \
                    rust-src` installs both"
                .to_owned(),
        );
    }
    let mut command = Command::new("rustup");
    command.args(["run", "nightly", "cargo", "miri", "test", "--package", "elodex-kernels", "--lib"]);
    command.args(TESTS.iter().flat_map(|test| ["--test", test]));
    command.current_dir(paths::root()).env("MIRIFLAGS", FLAGS);
    run(command.env("CARGO_TARGET_DIR", paths::target().join("miri")))
}

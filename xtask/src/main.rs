//! Developer commands: `cargo xtask <command>`.
//!
//! They need nothing but this checkout, the Rust toolchain and a registry to fetch packages from; what else is
//! missing is installed (as root on Debian) or named.

mod arch;
mod bench;
mod machine;
mod miri;
mod model;
mod paths;
mod quality;
mod quickstart;
mod run;
mod source;
mod test;

use std::process::ExitCode;

/// Errors are for a person at a terminal: one sentence that names what to do.
type Result<T> = std::result::Result<T, String>;

const USAGE: &str = "\
usage: cargo xtask <command>

  quickstart [--no-serve]  build, search a sample with the pair that comes along, then serve it
  test [STEP...]           every check this repository has, or only the named steps
  test --list              the steps' names
  bench [ARGS...]          compare with ONNX Runtime, PyTorch and fastembed here (see bench/README.md)
  bench search [FOLDER]    measure search on a BEIR directory
  bench quality [DATA]     measure again what has a known figure among a folder's collections
  fetch-model              download all-MiniLM-L6-v2 into target/models
  miri                     interpret the kernels' scalar code, to find undefined behaviour (needs a nightly Rust)
  arch                     crates depend downwards only; unsafe code stays where it belongs
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match dispatch(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(arguments: &[String]) -> Result<()> {
    let Some((command, rest)) = arguments.split_first() else {
        eprint!("{USAGE}");
        return Err("no command given".to_owned());
    };
    match command.as_str() {
        "quickstart" => quickstart::quickstart(rest),
        "test" => test::test(rest),
        "bench" => bench::bench(rest),
        "fetch-model" => no_arguments(rest).and_then(|()| model::fetch().map(drop)),
        "miri" => no_arguments(rest).and_then(|()| miri::miri()),
        "arch" => no_arguments(rest).and_then(|()| arch::check()),
        "help" | "--help" | "-h" => {
            print!("{USAGE}");
            Ok(())
        }
        other => {
            eprint!("{USAGE}");
            Err(format!("unknown command `{other}`"))
        }
    }
}

fn no_arguments(rest: &[String]) -> Result<()> {
    match rest.first() {
        None => Ok(()),
        Some(unexpected) => Err(format!("unexpected argument `{unexpected}`")),
    }
}

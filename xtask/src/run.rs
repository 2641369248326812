//! Running other programs: what runs is printed, what fails is named.

use crate::{Result, paths};
use std::ffi::OsStr;
use std::process::{Command, Stdio};

/// The Cargo that runs this command, at the workspace root.
pub(crate) fn cargo<I, A>(arguments: I) -> Command
where
    I: IntoIterator<Item = A>,
    A: AsRef<OsStr>,
{
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).current_dir(paths::root());
    // Cargo tells this command which package it is. Handed on, that reads as a change to the build scripts that ask for it:
    // ring and all above it, the embedded index included, would be compiled again after every build by hand.
    let ours = |name: &str| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(ours) {
            command.env_remove(name);
        }
    }
    command
}

/// Prints the command line, runs it with the terminal's streams and fails unless it succeeds.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    eprintln!("$ {}", line(command));
    let status = command.status().map_err(|error| cannot_start(command, &error))?;
    if status.success() { Ok(()) } else { Err(format!("`{}` failed: {status}", line(command))) }
}

/// Runs a command and returns what it printed on standard output; its errors go to the terminal.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command.stderr(Stdio::inherit()).output().map_err(|error| cannot_start(command, &error))?;
    if !output.status.success() {
        return Err(format!("`{}` failed: {}", line(command), output.status));
    }
    String::from_utf8(output.stdout).map_err(|_| format!("`{}` did not print UTF-8", line(command)))
}

/// Whether a command starts and succeeds; it prints nothing.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// The command as one could type it at the workspace root.
pub(crate) fn line(command: &Command) -> String {
    let root = format!("{}/", paths::root().display());
    let mut words = vec![command.get_program().to_string_lossy().replace(&root, "")];
    for argument in command.get_args() {
        let argument = argument.to_string_lossy().replace(&root, "");
        words.push(if argument.contains(' ') { format!("'{argument}'") } else { argument });
    }
    if let Some(name) = words[0].rsplit('/').next().filter(|name| *name == "cargo") {
        words[0] = name.to_owned();
    }
    words.join(" ")
}

fn cannot_start(command: &Command, error: &std::io::Error) -> String {
    format!("cannot start `{}`: {error}", command.get_program().to_string_lossy())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_printed_command_can_be_typed() {
        let mut command = Command::new(paths::root().join("target/debug/elodex"));
        command.args(["embed", "two words"]);
        assert_eq!(line(&command), "target/debug/elodex embed 'two words'");
    }

    #[test]
    fn a_failing_command_is_named() {
        let error = run(&mut Command::new("false")).expect_err("false fails");
        assert!(error.contains("`false` failed"), "{error}");
    }
}

//! Where and how an evaluation was made.

use crate::settings::Settings;
use anyhow::Context as _;
use elodex_kernels::Kernels;
use elodex_report::Machine;

/// This machine, or the server at `url`.
pub(crate) fn machine(settings: &Settings, url: Option<&str>) -> Machine {
    if let Some(url) = url {
        return Machine { processor: format!("server at {url}"), threads: 0, isa: "not told".to_owned() };
    }
    let threads = match settings.threads {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        threads => threads,
    };
    let isa = settings.isa.0.unwrap_or_else(|| Kernels::detect().isa());
    Machine { processor: processor(), threads, isa: isa.name().to_owned() }
}

/// The processor's name where the system tells it, else its architecture.
fn processor() -> String {
    let told = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = told.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    name.map_or(std::env::consts::ARCH.to_owned(), |(_, name)| name.trim().to_owned())
}

/// The command that was typed, so that it can be typed again, without the server's key.
pub(crate) fn command_line() -> anyhow::Result<String> {
    let mut arguments = std::env::args();
    arguments.next().context("the process has no name")?;
    Ok(quoted(arguments))
}

fn quoted(arguments: impl Iterator<Item = String>) -> String {
    let mut words = vec!["elodex".to_owned()];
    let mut secret = false;
    for argument in arguments {
        if std::mem::take(&mut secret) {
            continue;
        }
        if argument == "--key" {
            secret = true;
        } else if !argument.starts_with("--key=") {
            words.push(quote(argument));
        }
    }
    words.join(" ")
}

/// As a shell reads it back.
fn quote(word: String) -> String {
    let plain = |letter: char| letter.is_alphanumeric() || "-_./:=,@+%".contains(letter);
    if !word.is_empty() && word.chars().all(plain) {
        return word;
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_can_be_typed_again_and_has_no_key() {
        let typed =
            ["eval", "data", "--fail-if", "ndcg@10 < -0.01", "--key", "secret", "--key=secret", "it's"];
        assert_eq!(
            quoted(typed.into_iter().map(str::to_owned)),
            "elodex eval data --fail-if 'ndcg@10 < -0.01' 'it'\\''s'"
        );
    }
}

//! Texts from the command line, a file or standard input.

use anyhow::{Context as _, bail};
use serde::Deserialize;
use std::io::{IsTerminal as _, Read as _};
use std::path::Path;

/// One line of a .jsonl file.
#[derive(Deserialize)]
#[serde(untagged)]
enum Line {
    Text(String),
    Object { text: String },
}

/// The texts given as arguments, else the lines of `file`, else those of standard input.
pub(crate) fn read(arguments: &[String], file: Option<&Path>, what: &str) -> anyhow::Result<Vec<String>> {
    if !arguments.is_empty() {
        return Ok(arguments.to_vec());
    }
    if let Some(path) = file {
        let text =
            std::fs::read_to_string(path).with_context(|| format!("cannot read `{}`", path.display()))?;
        let is_json = path.extension().is_some_and(|ending| ending == "jsonl");
        return if is_json { json_lines(&text, path) } else { Ok(lines(&text)) };
    }
    if std::io::stdin().is_terminal() {
        bail!("no {what} given; write them as arguments, name a file with --input, or pipe lines in");
    }
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).context("standard input is not UTF-8 text")?;
    Ok(lines(&text))
}

fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::to_owned).collect()
}

fn json_lines(text: &str, path: &Path) -> anyhow::Result<Vec<String>> {
    let mut texts = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        let parsed: Line = serde_json::from_str(line).ok().with_context(|| {
            format!(
                "line {} of `{}` is neither a JSON string nor an object with `text`",
                index + 1,
                path.display()
            )
        })?;
        texts.push(match parsed {
            Line::Text(text) | Line::Object { text } => text,
        });
    }
    Ok(texts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_lines_are_strings_or_objects() {
        let path = Path::new("a.jsonl");
        let text = "\"one\"\n\n{\"text\": \"two\", \"id\": 3}\n";
        assert_eq!(json_lines(text, path).unwrap(), ["one", "two"]);
        let problem = json_lines("\"one\"\n3", path).unwrap_err().to_string();
        assert!(problem.starts_with("line 2 of `a.jsonl`"), "{problem}");
    }

    #[test]
    fn empty_lines_of_text_are_texts() {
        assert_eq!(lines("a\n\nb\n"), ["a", "", "b"]);
    }
}

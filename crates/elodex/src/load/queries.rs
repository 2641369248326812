//! What is searched for.

use anyhow::{Context as _, bail};
use fastrand::Rng;
use serde::Deserialize;
use std::path::Path;

/// How many queries are made up.
const MADE_UP: usize = 1000;
const WORDS: [&str; 40] = [
    "account",
    "address",
    "alarm",
    "battery",
    "cable",
    "calendar",
    "change",
    "charge",
    "clean",
    "connect",
    "contract",
    "customs",
    "delivery",
    "device",
    "error",
    "export",
    "filter",
    "firmware",
    "guarantee",
    "heating",
    "invoice",
    "language",
    "licence",
    "manual",
    "measure",
    "password",
    "payment",
    "printer",
    "refund",
    "repair",
    "replace",
    "report",
    "reset",
    "safety",
    "sensor",
    "storage",
    "temperature",
    "update",
    "valve",
    "voltage",
];

/// Queries in the order they are asked, again and again.
#[derive(Debug, Clone)]
pub(crate) struct Queries {
    /// Where they come from, in words.
    pub(crate) source: String,
    pub(crate) texts: Vec<String>,
}

/// One line of a .jsonl file.
#[derive(Deserialize)]
#[serde(untagged)]
enum Line {
    Text(String),
    Object {
        #[serde(alias = "query")]
        text: String,
    },
}

impl Queries {
    /// Those of a file or of a BEIR directory, shuffled.
    pub(crate) fn read(path: &Path, seed: u64) -> anyhow::Result<Self> {
        let file = if path.is_dir() { path.join("queries.jsonl") } else { path.to_owned() };
        let name = file.display().to_string();
        let text = std::fs::read_to_string(&file).with_context(|| format!("cannot read `{name}`"))?;
        let is_json = file.extension().is_some_and(|ending| ending == "jsonl" || ending == "ndjson");
        let mut texts = Vec::new();
        for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            if !is_json {
                texts.push(line.trim().to_owned());
                continue;
            }
            let parsed = serde_json::from_str(line).ok().with_context(|| {
                let line = number + 1;
                format!(
                    "line {line} of `{name}` is neither a JSON string nor an object with `text` or `query`"
                )
            })?;
            texts.push(match parsed {
                Line::Text(text) | Line::Object { text } => text,
            });
        }
        if texts.is_empty() {
            bail!("`{name}` holds no query");
        }
        Rng::with_seed(seed).shuffle(&mut texts);
        Ok(Self { source: name, texts })
    }

    /// Words drawn at random, three to ten of them.
    pub(crate) fn made_up(seed: u64) -> Self {
        let mut random = Rng::with_seed(seed);
        let mut query = || {
            let words: Vec<&str> =
                (0..random.usize(3..=10)).map(|_| WORDS[random.usize(..WORDS.len())]).collect();
            words.join(" ")
        };
        Self { source: "made-up words".to_owned(), texts: (0..MADE_UP).map(|_| query()).collect() }
    }

    /// The text of a request.
    pub(crate) fn text(&self, request: usize) -> &str {
        self.texts.get(request % self.texts.len().max(1)).map(String::as_str).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str, text: &str) -> anyhow::Result<Vec<String>> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(name), text).unwrap();
        let mut texts = Queries::read(&folder.path().join(name), 0)?.texts;
        texts.sort();
        Ok(texts)
    }

    #[test]
    fn lines_objects_and_strings_are_queries() {
        assert_eq!(read("a.txt", "one\n\n two \n").unwrap(), ["one", "two"]);
        let lines = "\"one\"\n{\"_id\": \"3\", \"text\": \"two\"}\n{\"query\": \"three\", \"k\": 5}\n";
        assert_eq!(read("a.jsonl", lines).unwrap(), ["one", "three", "two"]);
        let problem = read("a.jsonl", "\"one\"\n{}\n").unwrap_err().to_string();
        assert!(problem.starts_with("line 2 of `"), "{problem}");
        assert!(read("a.txt", "\n").unwrap_err().to_string().contains("no query"));
    }

    #[test]
    fn a_directory_holds_its_queries() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("queries.jsonl"), "{\"_id\": \"1\", \"text\": \"what\"}\n")
            .unwrap();
        assert_eq!(Queries::read(folder.path(), 0).unwrap().texts, ["what"]);
    }

    #[test]
    fn made_up_queries_are_the_same_for_a_seed_and_go_round() {
        let queries = Queries::made_up(1);
        assert_eq!(queries.texts, Queries::made_up(1).texts);
        assert_ne!(queries.texts, Queries::made_up(2).texts);
        assert_eq!(queries.text(3), queries.text(3 + MADE_UP));
    }
}

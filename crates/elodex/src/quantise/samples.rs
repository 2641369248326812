//! Texts to calibrate with and to compare on.

use crate::sample;
use anyhow::{Context as _, bail, ensure};
use serde::Deserialize;
use std::collections::HashMap;
use std::path::Path;

/// A text, and a query that goes with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sample {
    pub(crate) query: Option<String>,
    pub(crate) text: String,
}

/// One line of a .jsonl file.
#[derive(Deserialize)]
#[serde(untagged)]
enum Line {
    Text(String),
    Object { text: String, query: Option<String> },
}

/// Those of a file, at most `limit`; all with a query if `pairs`.
pub(crate) fn read(path: &Path, pairs: bool, limit: usize) -> anyhow::Result<Vec<Sample>> {
    let name = path.display();
    let content = std::fs::read_to_string(path).with_context(|| format!("cannot read `{name}`"))?;
    let is_json = path.extension().is_some_and(|ending| ending == "jsonl");
    let mut samples = Vec::new();
    for (index, line) in content.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let number = index + 1;
        let sample = if is_json {
            let line = serde_json::from_str(line).ok().with_context(|| {
                format!("line {number} of `{name}` is neither a JSON string nor an object with `text`")
            })?;
            match line {
                Line::Text(text) => Sample { query: None, text },
                Line::Object { text, query } => Sample { query, text },
            }
        } else {
            Sample { query: None, text: line.to_owned() }
        };
        if pairs && sample.query.is_none() {
            bail!(
                "line {number} of `{name}` has no query, and a reranker reads pairs; give a .jsonl file of objects with \
                 `query` and `text`"
            );
        }
        samples.push(sample);
    }
    ensure!(!samples.is_empty(), "`{name}` holds no text; give at least one line");
    Ok(spread(samples, limit))
}

/// Questions of the help centre that comes with Elodex, each with an article that is judged for it.
pub(crate) fn built_in(limit: usize) -> anyhow::Result<Vec<Sample>> {
    #[derive(Deserialize)]
    struct Record {
        #[serde(rename = "_id")]
        id: String,
        text: String,
    }
    let records = |lines: &str| -> anyhow::Result<HashMap<String, String>> {
        let parse = |line| Ok(serde_json::from_str::<Record>(line)?);
        let records = lines.lines().map(parse).collect::<anyhow::Result<Vec<Record>>>();
        let records = records.context("the sample is not JSON lines")?;
        Ok(records.into_iter().map(|record| (record.id, record.text)).collect())
    };
    let (texts, queries) = (records(sample::CORPUS)?, records(sample::QUERIES)?);
    let qrels = sample::qrels()?;
    let mut samples = Vec::new();
    for (query, judged) in qrels.queries() {
        let documents = judged.keys().filter_map(|document| texts.get(document));
        for (query, text) in queries.get(query).into_iter().zip(documents) {
            samples.push(Sample { query: Some(query.clone()), text: text.clone() });
        }
    }
    Ok(spread(samples, limit))
}

/// At most `limit`, from everywhere in the list.
fn spread(samples: Vec<Sample>, limit: usize) -> Vec<Sample> {
    if samples.len() <= limit {
        return samples;
    }
    let count = samples.len();
    (0..limit).map(|index| samples[index * count / limit].clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_has_pairs_from_everywhere() {
        let samples = built_in(50).unwrap();
        assert_eq!(samples.len(), 50);
        assert!(samples.iter().all(|sample| sample.query.is_some() && !sample.text.is_empty()));
    }

    #[test]
    fn files_have_texts_or_pairs() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let text = |query: Option<&str>, text: &str| Sample {
            query: query.map(str::to_owned),
            text: text.to_owned(),
        };
        let lines = write("a.txt", "one\n\ntwo\nthree\nfour\n");
        assert_eq!(read(&lines, false, 2).unwrap(), [text(None, "one"), text(None, "three")]);
        let json = write("a.jsonl", "{\"query\": \"q\", \"text\": \"one\"}\n\"two\"\n");
        assert_eq!(read(&json, false, 9).unwrap(), [text(Some("q"), "one"), text(None, "two")]);
        let problem = |path: &Path, pairs: bool| read(path, pairs, 9).unwrap_err().to_string();
        assert!(problem(&json, true).starts_with("line 2 of"), "{}", problem(&json, true));
        assert!(problem(&write("b.jsonl", "3"), false).contains("line 1 of"));
        assert!(problem(&write("c.txt", "\n"), false).contains("holds no text"));
    }
}

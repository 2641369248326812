//! Collections in BEIR's layout: `corpus.jsonl`, `queries.jsonl`, `qrels/<split>.tsv`.

use crate::lines::{Defects, numbered, read_text};
use crate::{Error, ErrorKind, Qrels, Result};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::{Path, PathBuf};

/// A folder in BEIR's layout.
#[derive(Debug, Clone)]
pub struct BeirFolder {
    path: PathBuf,
}

/// A document of a collection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Its title; empty where it has none.
    pub title: String,
    /// Its text.
    pub text: String,
}

/// An id as collections have it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged, expecting = "an id is a text or a number")]
pub enum RecordId {
    /// Itself.
    Text(String),
    /// The text of its digits.
    Number(serde_json::Number),
}

impl From<RecordId> for String {
    fn from(id: RecordId) -> Self {
        match id {
            RecordId::Text(text) => text,
            RecordId::Number(number) => number.to_string(),
        }
    }
}

#[derive(Deserialize)]
struct Record {
    #[serde(rename = "_id")]
    id: RecordId,
    title: Option<String>,
    text: String,
}

impl BeirFolder {
    /// The collection under `path`; its files are read when asked for.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// The documents by id.
    ///
    /// # Errors
    /// A line that is no record with `_id` and `text`, an empty id or one that two lines have: named by file and line.
    /// A file without records.
    pub fn documents(&self) -> Result<BTreeMap<String, Document>> {
        records(&self.path.join("corpus.jsonl"), |record| Document {
            title: record.title.unwrap_or_default(),
            text: record.text,
        })
    }

    /// The texts of the queries by id.
    ///
    /// # Errors
    /// As [`BeirFolder::documents`].
    pub fn queries(&self) -> Result<BTreeMap<String, String>> {
        read_queries(&self.path.join("queries.jsonl"))
    }

    /// The judgements of a split, such as `test`.
    ///
    /// # Errors
    /// Those of [`Qrels::read`].
    pub fn qrels(&self, split: &str) -> Result<Qrels> {
        Qrels::read(&self.path.join("qrels").join(format!("{split}.tsv")))
    }
}

/// The texts of queries by id, from a file of records with `_id` and `text`, one a line.
///
/// # Errors
/// As [`BeirFolder::documents`].
pub fn read_queries(path: &Path) -> Result<BTreeMap<String, String>> {
    records(path, |record| record.text)
}

fn records<T>(path: &Path, make: impl Fn(Record) -> T) -> Result<BTreeMap<String, T>> {
    let file = path.display().to_string();
    let text = read_text(path)?;
    let mut records: BTreeMap<String, (usize, T)> = BTreeMap::new();
    let mut defects = Defects::of(&file);
    for (line, row) in numbered(&text) {
        let record: Record = match serde_json::from_str(row) {
            Ok(record) => record,
            Err(error) => {
                defects.add(line, format!("not a record with `_id` and a string `text`: {error}"));
                continue;
            }
        };
        let id = String::from(record.id.clone());
        if id.is_empty() {
            defects.add(line, "`_id` is empty");
            continue;
        }
        match records.entry(id) {
            Entry::Vacant(place) => {
                place.insert((line, make(record)));
            }
            Entry::Occupied(place) => {
                defects.add(line, format!("`_id` `{}` stands in line {} too", place.key(), place.get().0));
            }
        }
    }
    defects.check()?;
    if records.is_empty() {
        return Err(Error::new(ErrorKind::Empty, format!("{file}: no records; give at least one")));
    }
    Ok(records.into_iter().map(|(id, (_, record))| (id, record)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(corpus: &str, queries: &str) -> (tempfile::TempDir, BeirFolder) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("qrels")).unwrap();
        std::fs::write(folder.path().join("corpus.jsonl"), corpus).unwrap();
        std::fs::write(folder.path().join("queries.jsonl"), queries).unwrap();
        std::fs::write(folder.path().join("qrels/test.tsv"), "query-id\tcorpus-id\tscore\nq\td\t1\n")
            .unwrap();
        let beir = BeirFolder::new(folder.path());
        (folder, beir)
    }

    #[test]
    fn a_collection_is_read() {
        let corpus = r#"{"_id": "d", "title": "A", "text": "b"}
            {"_id": "e", "title": null, "text": "", "url": 1}
            {"_id": 7, "text": ""}"#;
        let (_kept, beir) = folder(corpus, "{\"_id\":\"q\",\"text\":\"what\"}\n");
        let documents = beir.documents().unwrap();
        assert_eq!(documents["d"], Document { title: "A".to_owned(), text: "b".to_owned() });
        assert_eq!(documents["e"].title, "");
        assert!(documents.contains_key("7"), "{documents:?}");
        assert_eq!(beir.queries().unwrap()["q"], "what");
        assert_eq!(beir.qrels("test").unwrap().judgements(), 1);
        assert_eq!(beir.qrels("dev").unwrap_err().kind(), ErrorKind::Io);
    }

    #[test]
    fn defects_are_named_and_counted() {
        let corpus = r#"{"_id": "d", "text": "b"}
            {"_id": [7], "text": "b"}
            {"_id": "d", "text": "c"}
            {
            {"_id": "", "text": ""}"#;
        let (_kept, beir) = folder(corpus, "");
        let message = beir.documents().unwrap_err().to_string();
        assert!(message.contains("corpus.jsonl:2: not a record"), "{message}");
        assert!(message.contains("an id is a text or a number"), "{message}");
        assert!(message.contains("corpus.jsonl:3: `_id` `d` stands in line 1 too"), "{message}");
        assert!(message.contains("corpus.jsonl:4: not a record"), "{message}");
        assert!(message.contains("corpus.jsonl:5: `_id` is empty"), "{message}");
        assert_eq!(beir.queries().unwrap_err().kind(), ErrorKind::Empty);
    }
}

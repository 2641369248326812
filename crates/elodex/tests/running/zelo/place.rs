//! A run's surroundings: a folder of documents, queries and labels, and the command line in it.

use crate::support::{command, golden};
use serde_json::Value;
use std::path::PathBuf;
use tempfile::TempDir;

/// Words that stand in one document each.
pub(super) const WORDS: [&str; 32] = [
    "anchor", "barley", "candle", "dagger", "ember", "falcon", "garnet", "harbour", "inkwell", "juniper",
    "kettle", "lantern", "marble", "needle", "oyster", "pepper", "quarry", "raven", "saddle", "timber",
    "umbrella", "velvet", "walnut", "yarrow", "zither", "acorn", "bramble", "copper", "drizzle", "engine",
    "feather", "glacier",
];
/// Of them, those whose queries are learned from.
pub(super) const LEARNED: usize = 26;

/// A folder in BEIR's layout with two splits: the query on a word is answered by the one document that has it.
pub(super) struct Place {
    home: TempDir,
}

impl Place {
    pub(super) fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(home.path().join("words/qrels")).unwrap();
        let place = Self { home };
        let (mut corpus, mut queries) = (String::new(), String::new());
        let mut splits =
            [String::from("query-id\tcorpus-id\tscore\n"), String::from("query-id\tcorpus-id\tscore\n")];
        for (number, word) in WORDS.iter().enumerate() {
            let text = format!("This page is about the {word}.");
            corpus.push_str(&format!(
                "{{\"_id\": \"d{number}\", \"title\": \"Page\", \"text\": \"{text}\"}}\n"
            ));
            queries.push_str(&format!("{{\"_id\": \"q{number}\", \"text\": \"about the {word}\"}}\n"));
            splits[usize::from(number >= LEARNED)].push_str(&format!("q{number}\td{number}\t1\n"));
        }
        place.write("words/corpus.jsonl", &corpus);
        place.write("words/queries.jsonl", &queries);
        place.write("words/qrels/train.tsv", &splits[0]);
        place.write("words/qrels/test.tsv", &splits[1]);
        place
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    pub(super) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    pub(super) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    pub(super) fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        let output = command(self.home.path(), arguments).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
    }

    /// What a step prints with --json.
    #[track_caller]
    pub(super) fn zelo(&self, arguments: &[&str]) -> Value {
        let (code, stdout, stderr) = self.run(&[&["zelo", "--json"], arguments].concat());
        assert_eq!(code, 0, "{arguments:?}: {stderr}");
        serde_json::from_str(&stdout).unwrap()
    }

    #[track_caller]
    pub(super) fn refused(&self, arguments: &[&str]) -> String {
        let (code, stdout, stderr) = self.run(&[&["zelo"], arguments].concat());
        assert_eq!(code, 1, "{arguments:?}: {stdout}{stderr}");
        stderr
    }

    /// Targets of every word's query: its document and another one.
    pub(super) fn write_targets(&self) {
        let document = |other: &str, target: f32| serde_json::json!({"text": format!("Page This page is about the {other}."), "target": target});
        let line = |word: &&str| {
            let documents = [document(word, 0.9), document("nothing", 0.1)];
            serde_json::json!({"query": format!("about the {word}"), "documents": documents}).to_string()
        };
        self.write("targets.jsonl", &WORDS.iter().map(line).collect::<Vec<_>>().join("\n"));
    }

    #[track_caller]
    pub(super) fn candidates(&self) -> Value {
        let embedder = golden("bert_minilm");
        let data =
            ["candidates", "--folder", "run", "--data", "words", "--depth", "6", "--embedder", &embedder];
        self.zelo(&data)
    }
}

//! The help centre that comes with Elodex: our own writing, with questions and what answers them.

/// Articles, one JSON object a line.
pub(crate) const CORPUS: &str = include_str!("../sample/corpus.jsonl");
/// Questions, one JSON object a line.
pub(crate) const QUERIES: &str = include_str!("../sample/queries.jsonl");
/// Which article answers which question.
pub(crate) const QRELS: &str = include_str!("../sample/qrels/test.tsv");

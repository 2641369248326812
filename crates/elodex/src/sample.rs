//! The help centre that comes with Elodex: our own writing, with questions and what answers them.

use elodex_eval::Qrels;

/// Articles, one JSON object a line.
pub(crate) const CORPUS: &str = include_str!("../sample/corpus.jsonl");
/// Questions, one JSON object a line.
pub(crate) const QUERIES: &str = include_str!("../sample/queries.jsonl");
const QRELS: &str = include_str!("../sample/qrels/test.tsv");

/// Which article answers which question.
pub(crate) fn qrels() -> anyhow::Result<Qrels> {
    Ok(Qrels::parse("the sample", QRELS)?)
}

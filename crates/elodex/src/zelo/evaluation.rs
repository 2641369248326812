//! What the trained reranker is worth on queries that nothing was learned from.

use super::folder::RunFolder;
use super::search::RunSearch;
use super::work::Work;
use crate::evaluation::{Folder, Lift, Questions};
use elodex_eval::{BeirFolder, Protocol};
use std::path::Path;

/// Measures the reranker of a directory on a split's judged queries, `limit` at most.
pub(super) fn lift(
    work: &Work<'_>,
    run: &RunFolder,
    split: &str,
    limit: Option<usize>,
    reranker: &Path,
) -> anyhow::Result<Lift> {
    let data = BeirFolder::new(run.data()?);
    let folder = Folder::read(&run.data()?)?;
    let knows = |document: &str| folder.documents.contains(document);
    let questions =
        Questions::gather(data.qrels(split)?, data.queries()?, limit, &Protocol::default(), knows)?;
    let reranker = reranker.display().to_string();
    let search = RunSearch::open(work, run, folder, &questions.texts, Some(&reranker))?;
    Lift::measure(&search.library, &search.places, &questions, &search.conditions)
}

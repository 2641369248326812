//! What the trained reranker is worth: hybrid search alone and with it, on queries that nothing was learned from.

use super::candidates::{conditions, with_reranker};
use super::folder::RunFolder;
use super::work::Work;
use crate::evaluation::{Folder, Form, Questions, hybrid, ranking, run_all};
use crate::library::Local;
use crate::output;
use anyhow::Context as _;
use elodex_eval::significance::{self, Bootstrap, Interval};
use elodex_eval::{BeirFolder, Evaluation, Measure, Protocol};
use serde::Serialize;
use std::path::Path;

/// NDCG@10 without and with the reranker.
#[derive(Debug, Serialize)]
pub(super) struct Lift {
    pub(super) split: String,
    pub(super) queries: usize,
    pub(super) alone: f64,
    pub(super) reranked: f64,
    /// With the reranker less without, with its bootstrap interval over queries.
    pub(super) difference: Interval,
}

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
    let protocol = Protocol::default();
    let knows = |document: &str| folder.documents.contains(document);
    let questions = Questions::gather(data.qrels(split)?, data.queries()?, limit, &protocol, knows)?;
    let models = work.models(run.beginning()?.embedder.as_deref(), Some(reranker))?;
    let library = Local::open_with(&work.settings_in(&run.file("collections"))?, models)?;
    let depth = run.beginning()?.depth;
    let systems = [hybrid(), with_reranker(depth)];
    let own = questions.find_themselves(&folder.documents);
    let conditions = conditions(depth, own);
    let places = folder.places(&library, &systems, None, &Form::default())?;
    let ran = run_all(&library, &places, &systems, &questions.texts, &conditions)?;
    let measure = Measure::NDCG_10;
    let mut evaluated = Vec::new();
    for ran in &ran {
        if let Some((query, why)) = ran.unranked.first_key_value() {
            output::note(format!(
                "warning: {} queries were not reranked, such as `{query}`: {why}",
                ran.unranked.len()
            ));
        }
        let run = ranking(&ran.name, &ran.answers)?;
        evaluated.push(Evaluation::of(&questions.qrels, &run, &[measure], &protocol)?);
    }
    let [alone, reranked] = evaluated.as_slice() else { anyhow::bail!("a system was not run") };
    let found = significance::compare(alone, reranked, measure, &Bootstrap::default())
        .context("cannot compare the two; keep more queries out")?;
    Ok(Lift {
        split: split.to_owned(),
        queries: found.queries,
        alone: found.baseline,
        reranked: found.candidate,
        difference: found.difference,
    })
}

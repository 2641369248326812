//! What 8-bit integers change in what is found: every document compared with every query.

use super::agreement::dot;
use anyhow::Context as _;
use elodex_eval::significance::{self, Bootstrap, Interval};
use elodex_eval::{BeirFolder, Evaluation, Measure, Protocol, Qrels, Run, Scored};
use elodex_kernels::Parallelism;
use elodex_models::{Embedder, Encoded};
use elodex_types::{Role, TruncationPolicy};
use indicatif::ProgressBar;
use serde::Serialize;
use std::path::Path;

/// Texts in one batch.
const BATCH: usize = 64;
/// Results of a query that are evaluated.
const DEPTH: usize = 100;

/// A collection with judged queries.
pub(crate) struct Retrieval {
    name: String,
    /// Ids and texts, a title in front.
    documents: Vec<(String, String)>,
    queries: Vec<(String, String)>,
    qrels: Qrels,
}

/// NDCG@10 in both precisions.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Retrieved {
    pub(crate) data: String,
    pub(crate) queries: usize,
    pub(crate) f32: f64,
    pub(crate) int8: f64,
    /// int8 − f32, with its bootstrap interval over queries.
    pub(crate) difference: Interval,
}

impl Retrieval {
    /// Reads a BEIR directory and keeps the queries that its `test` split judges.
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let folder = BeirFolder::new(path);
        let qrels = folder.qrels("test")?;
        let joined =
            |title: String, text: String| if title.is_empty() { text } else { format!("{title} {text}") };
        let documents = folder.documents()?.into_iter();
        let queries = folder.queries()?.into_iter().filter(|(id, _)| qrels.judged(id).is_some()).collect();
        let full = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let name =
            full.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into());
        let documents = documents.map(|(id, document)| (id, joined(document.title, document.text))).collect();
        Ok(Self { name, documents, queries, qrels })
    }

    /// Texts that a model reads of it.
    pub(crate) fn texts(&self) -> usize {
        self.documents.len() + self.queries.len()
    }

    /// What `model` finds by cosine.
    pub(crate) fn run(&self, model: &Embedder, tag: &str, progress: &ProgressBar) -> anyhow::Result<Run> {
        let documents = embed(model, &self.documents, Role::Document, progress)?;
        let queries = embed(model, &self.queries, Role::Query, progress)?;
        let mut run = Run::new(tag);
        for ((id, _), query) in self.queries.iter().zip(&queries) {
            let mut scores: Vec<(f32, usize)> = documents
                .iter()
                .enumerate()
                .map(|(index, document)| (product(query, document), index))
                .collect();
            scores.sort_unstable_by(|left, right| right.0.total_cmp(&left.0).then(left.1.cmp(&right.1)));
            scores.truncate(DEPTH);
            let scored =
                |(score, index): (f32, usize)| Scored { document: self.documents[index].0.clone(), score };
            run.insert(id.clone(), scores.into_iter().map(scored).collect())?;
        }
        Ok(run)
    }

    pub(crate) fn compare(&self, f32: &Run, int8: &Run) -> anyhow::Result<Retrieved> {
        let measure = Measure::NDCG_10;
        let evaluate = |run| Evaluation::of(&self.qrels, run, &[measure], &Protocol::default());
        let found = significance::compare(&evaluate(f32)?, &evaluate(int8)?, measure, &Bootstrap::default())
            .with_context(|| format!("cannot compare on `{}`", self.name))?;
        Ok(Retrieved {
            data: self.name.clone(),
            queries: found.queries,
            f32: found.baseline,
            int8: found.candidate,
            difference: found.difference,
        })
    }
}

/// Vectors of length 1.
fn embed(
    model: &Embedder,
    texts: &[(String, String)],
    role: Role,
    progress: &ProgressBar,
) -> anyhow::Result<Vec<Vec<f32>>> {
    let width = model.resolve_dimensions(None)?;
    let mut vectors = Vec::with_capacity(texts.len());
    for texts in texts.chunks(BATCH) {
        let encoded =
            texts.iter().map(|(_, text)| model.prepare(text, Some(role), TruncationPolicy::Truncate));
        let encoded: Vec<Encoded> = encoded.collect::<Result<_, _>>()?;
        vectors.extend(model.embed(&encoded.iter().collect::<Vec<_>>(), width, Parallelism::Pool)?);
        progress.inc(texts.len() as u64);
    }
    for vector in &mut vectors {
        let length = dot(vector, vector).sqrt().max(f64::MIN_POSITIVE) as f32;
        vector.iter_mut().for_each(|value| *value /= length);
    }
    Ok(vectors)
}

/// In f32: there may be millions of them.
fn product(left: &[f32], right: &[f32]) -> f32 {
    left.iter().zip(right).map(|(left, right)| left * right).sum()
}

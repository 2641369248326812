//! Symmetric against asymmetric use of an embedder: the query with its prompt, and as if it were a document.

use super::lists::{Answer, Chunk, Lists};
use super::verdict::POOL;
use crate::library::Library;
use anyhow::Context as _;
use elodex_types::Role;
use serde::Serialize;
use std::collections::HashSet;

/// Texts in one call.
const BATCH: usize = 32;
/// Vectors that differ by less are the same.
const SAME: f32 = 1e-6;

/// What an embedder's prompts do to an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "compared", rename_all = "snake_case")]
pub(crate) enum Prompts {
    /// The model encodes queries and documents alike.
    Alike,
    /// No text of the answer was found, so there is nothing to compare.
    NotFound,
    /// The rank of the answer among the candidates and itself.
    Ranks {
        /// With the query encoded as a query.
        asymmetric: usize,
        /// With the query encoded as a document.
        symmetric: usize,
        /// Candidates that were compared.
        candidates: usize,
    },
}

/// An embedder and the width it is used with.
pub(crate) struct Embedding<'a> {
    pub(crate) library: &'a dyn Library,
    pub(crate) model: &'a str,
    pub(crate) dimensions: usize,
}

impl Embedding<'_> {
    fn embed(&self, role: Role, texts: &[String]) -> anyhow::Result<Vec<Vec<f32>>> {
        let mut vectors = Vec::with_capacity(texts.len());
        for batch in texts.chunks(BATCH) {
            vectors.extend(self.library.embed(self.model, role, batch.to_vec(), self.dimensions)?);
        }
        Ok(vectors)
    }

    /// Compares both uses over the candidates of the first stage and the answer.
    pub(crate) fn compare(&self, query: &str, lists: &Lists, answer: &Answer) -> anyhow::Result<Prompts> {
        let texts = [query.to_owned()];
        let as_query = self.embed(Role::Query, &texts)?.pop().context("no vector of the query")?;
        let as_document = self.embed(Role::Document, &texts)?.pop().context("no vector of the query")?;
        if as_query.iter().zip(&as_document).all(|(one, other)| (one - other).abs() < SAME) {
            return Ok(Prompts::Alike);
        }
        let mut pool: Vec<Chunk> = lists.fused.iter().take(POOL).cloned().collect();
        let known: HashSet<Chunk> = pool.iter().cloned().collect();
        let mut answering: Vec<Chunk> = lists
            .texts
            .keys()
            .filter(|chunk| !known.contains(*chunk) && answer.rank(std::slice::from_ref(*chunk)).is_some())
            .cloned()
            .collect();
        answering.sort_by_key(|chunk| chunk.start);
        pool.extend(answering);
        let texts: Vec<String> =
            pool.iter().map(|chunk| lists.texts.get(chunk).cloned().unwrap_or_default()).collect();
        let vectors = self.embed(Role::Document, &texts)?;
        let rank = |query: &[f32]| {
            let mut order: Vec<(f32, &Chunk)> =
                vectors.iter().map(|vector| cosine(query, vector)).zip(&pool).collect();
            order.sort_by(|one, other| other.0.total_cmp(&one.0));
            answer.rank(&order.into_iter().map(|(_, chunk)| chunk.clone()).collect::<Vec<_>>())
        };
        Ok(match (rank(&as_query), rank(&as_document)) {
            (Some(asymmetric), Some(symmetric)) => {
                Prompts::Ranks { asymmetric, symmetric, candidates: pool.len() }
            }
            _ => Prompts::NotFound,
        })
    }
}

fn cosine(one: &[f32], other: &[f32]) -> f32 {
    let dot = |one: &[f32], other: &[f32]| one.iter().zip(other).map(|(one, other)| one * other).sum::<f32>();
    dot(one, other) / (dot(one, one) * dot(other, other)).sqrt().max(f32::MIN_POSITIVE)
}

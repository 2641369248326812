//! A few inputs and what the bundle made of them when it was written, compared whenever it is loaded.
//!
//! Instruction sets add up in different orders, and where a value lies on the border between two integers the last bit
//! decides which one it becomes, in every layer anew. So results of one bundle differ between processors about half as much
//! as they differ from f32. Measured on all-MiniLM-L6-v2 between scalar, AVX2 and AVX-512: cosines from 0.9989, logits of a
//! cross-encoder of that size up to 0.13 apart. The bars leave several times that room. Changed files are found by their
//! hashes; what fails here is a release or a processor that computes something else.

use crate::embedder::Embedder;
use crate::files::ModelFiles;
use crate::reranker::Reranker;
use crate::{Encoded, Error, ErrorKind, Result};
use elodex_kernels::Parallelism;
use elodex_types::{Role, TruncationPolicy};
use serde::{Deserialize, Serialize};

/// The lowest cosine between a reference vector and the one recorded.
pub(super) const MIN_COSINE: f64 = 0.99;
/// The largest |difference| between a reference logit and the one recorded: this, and
/// [`LOGIT_DIFFERENCE_PER_LOGIT`] of the logit.
pub(super) const LOGIT_DIFFERENCE: f64 = 0.4;
pub(super) const LOGIT_DIFFERENCE_PER_LOGIT: f64 = 0.02;

/// Ours: a question and what answers it, other scripts, signs.
const TEXTS: [(Role, &str); 4] = [
    (Role::Query, "how long does the ferry to the island take?"),
    (
        Role::Document,
        "The ferry leaves the harbour every two hours and reaches the island after forty minutes. Bicycles travel free \
         of charge; cars have to be announced a day before, by telephone or at the ticket office.",
    ),
    (Role::Query, "¿dónde se recogen los paquetes después de las seis?"),
    (Role::Document, "夜に届いた荷物は裏口の受付で受け取れます。営業時間: 18:00–23:30, 料金 350 円 (税込)."),
];

const PAIRS: [(&str, &str); 4] = [
    (TEXTS[0].1, TEXTS[1].1),
    (TEXTS[0].1, TEXTS[3].1),
    (TEXTS[2].1, TEXTS[3].1),
    ("what may I take on board?", TEXTS[1].1),
];

/// What a bundle is known by.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reference {
    /// Of an embedder.
    Texts(Vec<ReferenceText>),
    /// Of a reranker.
    Pairs(Vec<ReferencePair>),
}

/// A text and its vector of the widest width.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReferenceText {
    /// What it is taken for.
    pub role: Role,
    /// The text.
    pub text: String,
    /// `[dimensions]`
    pub vector: Vec<f32>,
}

/// A pair and its logit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReferencePair {
    /// What is asked.
    pub query: String,
    /// What is read.
    pub document: String,
    /// Before it becomes a relevance.
    pub logit: f32,
}

/// What the texts give now.
pub(super) fn texts(embedder: &Embedder) -> Result<Reference> {
    let reference = |(role, text): &(Role, &str)| {
        let vector = vector(embedder, *role, text)?;
        Ok(ReferenceText { role: *role, text: (*text).to_owned(), vector })
    };
    Ok(Reference::Texts(TEXTS.iter().map(reference).collect::<Result<_>>()?))
}

/// What the pairs give now.
pub(super) fn pairs(reranker: &Reranker) -> Result<Reference> {
    let reference = |(query, document): &(&str, &str)| {
        let logit = logit(reranker, query, document)?;
        Ok(ReferencePair { query: (*query).to_owned(), document: (*document).to_owned(), logit })
    };
    Ok(Reference::Pairs(PAIRS.iter().map(reference).collect::<Result<_>>()?))
}

/// Refuses an embedder of a bundle that does not give the vectors recorded.
pub(crate) fn check_embedder(files: &ModelFiles, embedder: &Embedder) -> Result<()> {
    let Some(manifest) = &files.bundle else {
        return Ok(());
    };
    let Reference::Texts(texts) = &manifest.reference else {
        return Err(manifest.corrupt(files, "it records logits of pairs, which an embedder does not give"));
    };
    if texts.is_empty() {
        return Err(manifest.corrupt(files, "it records no reference text"));
    }
    let fingerprint = embedder.fingerprint(embedder.info().dimensions[0]);
    if fingerprint != manifest.fingerprint {
        return Err(manifest.corrupt(files, &other_fingerprint(fingerprint, manifest.fingerprint)));
    }
    for ReferenceText { role, text, vector: expected } in texts {
        let found = vector(embedder, *role, text)?;
        let cosine = cosine(&found, expected);
        if found.len() != expected.len() || !(MIN_COSINE..).contains(&cosine) {
            let reason = format!(
                "the {role} `{text}` gives a vector of {} numbers whose cosine with the {} recorded is {cosine:.6}, below \
                 {MIN_COSINE}",
                found.len(),
                expected.len()
            );
            return Err(manifest.corrupt(files, &reason));
        }
    }
    Ok(())
}

/// Refuses a reranker of a bundle that does not give the logits recorded.
pub(crate) fn check_reranker(files: &ModelFiles, reranker: &Reranker) -> Result<()> {
    let Some(manifest) = &files.bundle else {
        return Ok(());
    };
    let Reference::Pairs(pairs) = &manifest.reference else {
        return Err(manifest.corrupt(files, "it records vectors of texts, which a reranker does not give"));
    };
    if pairs.is_empty() {
        return Err(manifest.corrupt(files, "it records no reference pair"));
    }
    let fingerprint = reranker.info().fingerprint;
    if fingerprint != manifest.fingerprint {
        return Err(manifest.corrupt(files, &other_fingerprint(fingerprint, manifest.fingerprint)));
    }
    for ReferencePair { query, document, logit: expected } in pairs {
        let found = logit(reranker, query, document)?;
        let difference = f64::from((found - expected).abs());
        let allowed = LOGIT_DIFFERENCE + LOGIT_DIFFERENCE_PER_LOGIT * f64::from(expected.abs());
        if !(..=allowed).contains(&difference) {
            let reason = format!(
                "the pair `{query}`, `{document}` has the logit {found} where {expected} is recorded, more than \
                 {allowed:.4} apart"
            );
            return Err(manifest.corrupt(files, &reason));
        }
    }
    Ok(())
}

fn other_fingerprint(found: impl std::fmt::Display, recorded: impl std::fmt::Display) -> String {
    format!("its fingerprint is {found} where {recorded} is recorded")
}

fn vector(embedder: &Embedder, role: Role, text: &str) -> Result<Vec<f32>> {
    let encoded = embedder.prepare(text, Some(role), TruncationPolicy::Truncate)?;
    let vectors = embedder.embed(&[&encoded], embedder.info().dimensions[0], Parallelism::Serial)?;
    vectors.into_iter().next().ok_or_else(|| Error::new(ErrorKind::Bug, "a text has no vector"))
}

fn logit(reranker: &Reranker, query: &str, document: &str) -> Result<f32> {
    let query = reranker.prepare_query(query)?;
    let windows = reranker.prepare_document(&query, document, TruncationPolicy::Truncate)?;
    let batch: Vec<&Encoded> = windows.iter().map(|window| &window.encoded).collect();
    let logits = reranker.logits(&batch, Parallelism::Serial)?;
    logits.first().copied().ok_or_else(|| Error::new(ErrorKind::Bug, "a pair has no logit"))
}

/// NaN where one of them has no length.
fn cosine(left: &[f32], right: &[f32]) -> f64 {
    let dot = |left: &[f32], right: &[f32]| -> f64 {
        left.iter().zip(right).map(|(left, right)| f64::from(*left) * f64::from(*right)).sum()
    };
    dot(left, right) / (dot(left, left) * dot(right, right)).sqrt()
}

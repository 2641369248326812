//! Cross-encoders: a query and a passage, read together, become a score.

use crate::files::{Licence, ModelFiles};
use crate::tokenizer::TextTokenizer;
use crate::{Encoded, Result};
use elodex_kernels::{Kernels, Parallelism};
use elodex_types::{Score, SpaceFingerprint, TruncationPolicy};

/// What a loaded reranker says of itself.
#[derive(Debug, Clone)]
pub struct RerankerInfo {
    /// Repository id or directory name.
    pub id: String,
    /// `config.json`'s architecture.
    pub architecture: String,
    /// Longest pair in tokens.
    pub max_tokens: usize,
    /// Number of weights.
    pub parameters: u64,
    /// Bytes the loaded weights hold in memory.
    pub weight_bytes: u64,
    /// The model card's licence.
    pub licence: Licence,
    /// Identity of the scoring function, for caches: weights, tokenizer, template, activation.
    pub fingerprint: SpaceFingerprint,
}

/// A query tokenised once for any number of documents.
#[derive(Debug, Clone)]
pub struct PreparedQuery {}

/// One scoring window of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// Model input.
    pub encoded: Encoded,
    /// `[start, end)` of the document's part, in code points of the document as given.
    pub span: (usize, usize),
}

/// A runnable cross-encoder.
#[derive(Debug)]
pub struct Reranker {}

impl Reranker {
    /// Loads weights and tokenizer.
    pub fn load(files: &ModelFiles, kernels: Kernels) -> Result<Self> {
        let _ = (files, kernels);
        todo!()
    }

    /// What it is.
    pub fn info(&self) -> &RerankerInfo {
        todo!()
    }

    /// Its tokenizer.
    pub fn tokenizer(&self) -> &TextTokenizer {
        todo!()
    }

    /// Tokenises the query once. A query that leaves no room for a document is an error: queries are never cut.
    pub fn prepare_query(&self, query: &str) -> Result<PreparedQuery> {
        let _ = query;
        todo!()
    }

    /// One window under `Error` and `Truncate`; one or more, overlapping, under `Passages`. Every window's receipt
    /// (`encoded.truncation`) counts its own tokens as used and the whole pair's as seen.
    pub fn prepare_document(
        &self,
        query: &PreparedQuery,
        document: &str,
        policy: TruncationPolicy,
    ) -> Result<Vec<Window>> {
        let _ = (query, document, policy);
        todo!()
    }

    /// Raw logits of a packed batch, in order.
    pub fn logits(&self, batch: &[&Encoded], parallelism: Parallelism) -> Result<Vec<f32>> {
        let _ = (batch, parallelism);
        todo!()
    }

    /// The logit on the model's own 0..1 scale.
    pub fn relevance(&self, logit: f32) -> Score {
        let _ = logit;
        todo!()
    }

    /// Bytes of activations a packed batch of `tokens` tokens needs at most, for admission.
    pub fn activation_bytes(&self, tokens: usize) -> u64 {
        let _ = tokens;
        todo!()
    }
}

//! The two model calls as every layer above the models speaks them: dialects translate to and from these, the
//! engine runs them.

use crate::{Role, Score, SpaceFingerprint, Truncation, TruncationPolicy};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The scheduling lane a call ran in. Lanes never change numbers, only order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Lane {
    /// Interactive work: served first.
    Fast,
    /// Bulk work: served when no fast work waits.
    Slow,
}

/// What the caller asked for; the engine answers with the [`Lane`] it used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Latency {
    /// Fast or nothing: refused with an overload fault when the fast lane is over its limit.
    Fast,
    /// Slow lane.
    Slow,
    /// Try fast, fall back to slow.
    #[default]
    Auto,
}

/// A request to embed texts, all in one role.
#[derive(Debug, Clone, PartialEq)]
pub struct EmbedRequest {
    /// Model name or alias.
    pub model: String,
    /// `None` is accepted only by symmetric models.
    pub role: Option<Role>,
    /// Texts to embed; the order is kept in the response. May be empty; empty strings are legal.
    pub inputs: Vec<String>,
    /// Output width; `None` is the model's full width.
    pub dimensions: Option<usize>,
    /// What to do with an input longer than the model's window; `None` is the deployment's default.
    pub truncation: Option<TruncationPolicy>,
    /// Lane preference.
    pub latency: Latency,
}

/// The answer to an [`EmbedRequest`].
#[derive(Debug, Clone)]
pub struct EmbedResponse {
    /// Canonical id of the model that ran.
    pub model: String,
    /// The role the texts were encoded in.
    pub role: Option<Role>,
    /// One vector per input, in input order, each `dimensions` wide, L2-normalised where the model normalises.
    pub embeddings: Vec<Arc<[f32]>>,
    /// Identity of the space these vectors live in.
    pub fingerprint: SpaceFingerprint,
    /// One receipt per input.
    pub truncations: Vec<Truncation>,
    /// Counters.
    pub usage: Usage,
    /// Lane used.
    pub lane: Lane,
    /// Timings.
    pub timing: Timing,
}

/// A request to score documents against one query.
#[derive(Debug, Clone, PartialEq)]
pub struct RerankRequest {
    /// Model name or alias.
    pub model: String,
    /// The query; may be empty.
    pub query: String,
    /// The passages; empty strings are legal.
    pub documents: Vec<String>,
    /// Keep only the best `top_n`; `None` keeps all, `Some(0)` keeps none.
    pub top_n: Option<usize>,
    /// What to do with an over-long document; `None` is the deployment's default.
    pub truncation: Option<TruncationPolicy>,
    /// Lane preference.
    pub latency: Latency,
}

/// One scored document.
#[derive(Debug, Clone, PartialEq)]
pub struct Ranked {
    /// Position in the request's `documents`.
    pub index: usize,
    /// Score for users; its kind says what it means.
    pub score: Score,
    /// The model's raw output before any activation, for tests and calibration.
    pub logit: f32,
    /// With [`TruncationPolicy::Passages`] on an over-long document: the best window, as `[start, end)` in code points.
    pub span: Option<(usize, usize)>,
}

/// The answer to a [`RerankRequest`].
#[derive(Debug, Clone)]
pub struct RerankResponse {
    /// Canonical id of the model that ran.
    pub model: String,
    /// Best first; ties keep request order.
    pub results: Vec<Ranked>,
    /// One receipt per document of the request, in its order, also for those beyond `top_n`.
    pub truncations: Vec<Truncation>,
    /// Counters over all documents, also those beyond `top_n`.
    pub usage: Usage,
    /// Lane used.
    pub lane: Lane,
    /// Timings.
    pub timing: Timing,
}

/// What a call consumed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Billed bytes as ZeroEntropy counts them: `Σ(150 + len_utf8(input))` for an embed call and
    /// `Σ(150 + len_utf8(query) + len_utf8(document))` for a rerank call.
    pub bytes: u64,
    /// Tokens the model read, templates, prompts and special tokens included, truncated parts excluded.
    pub tokens: u64,
}

/// Where the time of a call went.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Timing {
    /// From submission to answer.
    pub total: Duration,
    /// From the first batch that held part of this call to the last.
    pub inference: Duration,
}

/// Who calls and until when the answer is worth having.
#[derive(Debug, Clone)]
pub struct CallContext {
    /// Fairness key: the API key's id, or a constant where there are no keys.
    pub key: Arc<str>,
    /// Work not started by then is dropped with a deadline fault.
    pub deadline: Option<Instant>,
}

//! Documents in, the right passage out: ingestion and two-stage search over a catalog, a chunk index and two models.
//!
//! [`SearchEngine`] is the whole of it. Adding a document returns when the catalog has it on disk; background threads
//! read it, cut it, embed it on the slow lane and index it. A search embeds the query on the fast lane, asks the dense
//! and the lexical list, fuses them, and lets a reranker order the best before anything is cut to `k`.
//!
//! # What is promised
//! - An acknowledged document is never lost and never found twice, whatever moment the process is killed at. The catalog
//!   is the truth; an index that is behind, torn or gone is made good when the engine opens.
//! - A query sees the old version of an overwritten document or the new one, never both and never none.
//! - A collection is bound to one embedding space; anything else is refused.
//! - What fails or runs out of time is named in the answer: no score is of another kind than it says.

mod collection;
mod collections;
mod documents;
mod engine;
mod error;
mod ingest;
mod lexical;
mod models;
mod options;
mod policy;
mod query;
mod shadow;

pub use documents::ChunkText;
pub use engine::SearchEngine;
pub use error::{Error, ErrorKind, Result};
pub use ingest::Progress;
pub use lexical::{B, K1, TERMS_VERSION};
pub use models::Models;
pub use options::{RewriterOptions, SearchOptions};
pub use query::MOST_RERANKED;
pub use shadow::{
    ArmReport, Experiment, ExperimentReport, Mode, Pipeline, PipelineReport, ShadowLimits, ShadowReport,
    SplitReport, Summary,
};

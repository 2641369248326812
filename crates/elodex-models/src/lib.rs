//! A model directory becomes a runnable embedder or reranker.
//!
//! [`source`](hub) → [`files`] → [`arch`] → [`exec`] → [`Embedder`] / [`Reranker`]: a model comes from a directory or
//! the Hugging Face hub, its files (not its name) say what it is, one file per architecture maps its configuration and
//! weight names onto a [`spec::TransformerSpec`], and one executor runs every spec on packed batches.
//!
//! ```no_run
//! use elodex_kernels::{Kernels, Parallelism};
//! use elodex_models::{Embedder, files::ModelFiles};
//! use elodex_types::{Role, TruncationPolicy};
//!
//! let files = ModelFiles::open("models/all-MiniLM-L6-v2".as_ref())?;
//! let embedder = Embedder::load(&files, Kernels::detect())?;
//! let text = embedder.prepare("hello world", Some(Role::Document), TruncationPolicy::Truncate)?;
//! let vectors = embedder.embed(&[&text], embedder.info().dimensions[0], Parallelism::Pool)?;
//! # Ok::<(), elodex_models::Error>(())
//! ```

pub mod arch;
pub mod bundle;
mod embedder;
mod error;
pub mod exec;
pub mod files;
pub mod heads;
pub mod hub;
pub mod pooling;
mod reranker;
mod smoothing;
pub mod spec;
mod table;
pub mod tokenizer;
pub mod weights;

pub use elodex_kernels::Precision;
pub use embedder::{Embedder, EmbedderInfo};
pub use error::{Error, ErrorKind, Result};
pub use reranker::{MOST_FIRST_STAGE_WEIGHT, PreparedQuery, Reranker, RerankerInfo, Window};
pub use smoothing::InputRanges;
pub use table::Table;

use elodex_types::Truncation;

/// A text (or pair) ready for a model: token ids with every prompt, template and special token in place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    /// Token ids, never empty.
    pub ids: Vec<u32>,
    /// Segment ids, as long as `ids`, or empty where the model has one segment.
    pub type_ids: Vec<u32>,
    /// First token that pooling may look at: past the prompt where the model says `include_prompt = false`.
    pub pool_from: usize,
    /// Which of the model's routes runs it: models with an adapter or modules per role have two, others one.
    pub route: usize,
    /// Receipt.
    pub truncation: Truncation,
}

//! Losses, optimiser, schedules and checkpoints: from scores to weights.
//!
//! A [`Student`] learns from [`Group`]s: a query and documents with the relevance their scores should say. Batches are
//! packed without padding, so lengths need no buckets.

mod checkpoint;
mod export;
mod groups;
mod loss;
mod optimiser;
mod quality;
mod student;
mod trainer;

pub use export::{export_embedder, export_reranker};
pub use groups::{Group, Target, read_groups, split};
pub use loss::Objective;
pub use optimiser::{AdamW, learning_rate};
pub use quality::{Bin, Quality};
pub use student::{EmbedStudent, Prepared, RerankStudent, Student};
pub use trainer::{Outcome, Progress, Settings, read_log, train};

//! Losses, optimiser, schedules and checkpoints: from scores to weights.
//!
//! A [`Student`] learns from [`Group`]s: a query and documents with the relevance their scores should say. Batches are
//! packed without padding, so lengths need no buckets.

mod best;
mod checkpoint;
mod export;
mod groups;
mod loss;
mod optimiser;
mod platt;
mod prepared;
mod quality;
mod side_by_side;
mod student;
mod trainer;

pub use best::read_best;
pub use export::{export_embedder, export_reranker};
pub use groups::{Group, Target, read_groups, split};
pub use loss::Objective;
pub use optimiser::AdamW;
pub use platt::Platt;
pub use prepared::{Prepared, PreparedSet};
pub use quality::{Bin, Calibration, Quality};
pub use side_by_side::{SideBySide, side_by_side};
pub use student::{EmbedStudent, RerankStudent, Student};
pub use trainer::{Outcome, Progress, Settings, read_log, train};

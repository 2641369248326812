//! How good a ranking is, how sure that is, and what labels say about weights, thresholds and gates.
//!
//! ```
//! use elodex_eval::{Evaluation, Measure, Protocol, Qrels, Run, significance};
//!
//! let qrels = Qrels::parse("test.qrels", "q1 0 d1 2\nq1 0 d2 1\nq2 0 d3 1\n")?;
//! let bm25 = Run::parse("bm25.trec", "q1 Q0 d9 1 7.1 bm25\nq1 Q0 d1 2 6.0 bm25\nq2 Q0 d3 1 5.5 bm25\n")?;
//! let mut hybrid = Run::new("hybrid");
//! hybrid.insert_order("q1", ["d1", "d2", "d9"])?;
//! hybrid.insert_order("q2", ["d3"])?;
//!
//! let measures = ["ndcg@10".parse()?, Measure::HIT_RATE_3];
//! let before = Evaluation::of(&qrels, &bm25, &measures, &Protocol::default())?;
//! let after = Evaluation::of(&qrels, &hybrid, &measures, &Protocol::default())?;
//! assert_eq!(after.mean(Measure::NDCG_10), Some(1.0));
//!
//! let found = significance::compare(&before, &after, Measure::NDCG_10, &Default::default())?;
//! assert_eq!((found.queries, found.wins, found.ties), (2, 1, 1));
//! # Ok::<(), elodex_eval::Error>(())
//! ```
//!
//! - [`Qrels`], [`Run`] and [`BeirFolder`] read the field's files. What cannot be meant is refused, with every defect
//!   counted and the first named by file and line; what is odd but possible stays, and [`Audit`] counts it.
//! - [`Measure`] and [`Evaluation`] have `trec_eval`'s definitions, ties and rounding included, and are tested
//!   against it. [`Ceiling`] is what a perfect reranker could reach.
//! - [`overlap`] and [`rank_biased_overlap`] compare two rankings where there are no labels.
//! - [`significance`]: intervals of means, paired tests of two systems.
//! - [`fusion`], [`calibration`] and [`gate`] fit from labels, and report what the fit is worth on queries it has not
//!   seen.
//!
//! Whatever is random has a seed: one build gives the same numbers again.

mod agreement;
mod audit;
pub mod calibration;
mod ceiling;
mod collection;
mod cross_validation;
mod error;
mod evaluation;
pub mod fusion;
pub mod gate;
mod lines;
mod measure;
mod objective;
mod percentile;
mod policy;
mod qrels;
mod run;
pub mod significance;

pub use agreement::{PERSISTENCE, overlap, rank_biased_overlap};
pub use audit::{Audit, Finding, FindingKind};
pub use ceiling::{Ceiling, perfect_rerank};
pub use collection::{BeirFolder, Document, RecordId, read_queries};
pub use cross_validation::CrossValidation;
pub use error::{Error, ErrorKind, Result};
pub use evaluation::{CountedQueries, Evaluation, Protocol};
pub use measure::{Gain, Measure};
pub use objective::Objective;
pub use percentile::percentile;
pub use policy::{CalibrationPolicy, FusionPolicy, Policy, RerankPolicy};
pub use qrels::{Judged, Judgement, Qrels};
pub use run::{Run, Scored};

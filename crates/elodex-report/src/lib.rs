//! An evaluation as data, as text for the terminal, as one HTML page with plots, and as a verdict for CI.
//!
//! - [`Report`] is what an evaluation found; its JSON is what `elodex eval --json` writes.
//! - [`html`] makes one page of it that opens offline, in light, dark and print.
//! - [`terminal`] makes tables of it.
//! - [`gate`] compares it with a [`gate::Baseline`], the JSON of an earlier one, by rules such as
//!   `ndcg@10 < -0.01 significant`.

mod data;
mod error;
pub mod gate;
mod page;
mod terminal;
mod words;

pub use data::{
    CollectionSummary, DepthPoint, Machine, PairComparison, QueryCost, QueryRow, RankMove, Report,
    StageLatency, SystemReport, TokenCounts,
};
pub use error::{Error, ErrorKind, Result};
pub use page::html;
pub use terminal::terminal;
pub use words::shorten;

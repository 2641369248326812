//! An evaluation as data.

mod data;

pub use data::{
    CollectionSummary, DepthPoint, HardwarePrice, Machine, PairComparison, QueryRow, RankMove, Report,
    StageLatency, SystemReport, TokenCounts,
};

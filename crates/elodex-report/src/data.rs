//! What an evaluation found: the JSON of `elodex eval --json`, and what the terminal and the page are drawn from.

use elodex_eval::significance::{Comparison, Interval};
use elodex_eval::{Finding, Measure, Protocol};
use serde::{Deserialize, Serialize};

/// An evaluation of named systems over the same queries.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// The version of this shape, [`Report::VERSION`].
    pub version: u32,
    /// The release that made it.
    pub elodex: String,
    /// When, in RFC 3339.
    pub made: String,
    /// The command that makes it again.
    pub command: String,
    /// What it ran on.
    pub machine: Machine,
    /// What was searched.
    pub collection: CollectionSummary,
    /// Over which queries means are taken, and from which grade on a document is relevant.
    pub protocol: Protocol,
    /// Measured, the main one first.
    pub measures: Vec<Measure>,
    /// In the order they were named.
    pub systems: Vec<SystemReport>,
    /// By the main measure: stage two against its own stage one, and every system against the first.
    pub comparisons: Vec<PairComparison>,
    /// What does not fit together in judgements, runs and collection.
    pub findings: Vec<Finding>,
    /// How it was done, where that is not as usual: a sample of the queries, documents left out; a sentence each, in lower
    /// case and without a full stop.
    pub notes: Vec<String>,
    /// Per query.
    pub queries: Vec<QueryRow>,
}

impl Report {
    /// The version of this shape: another one is no baseline.
    pub const VERSION: u32 = 1;
}

/// The hardware.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Machine {
    /// The processor's own name.
    pub processor: String,
    /// Threads that models ran on; 0: not known, as that of a server.
    pub threads: usize,
    /// The instruction set the kernels used.
    pub isa: String,
}

/// What was searched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CollectionSummary {
    /// Its name, or the folder's.
    pub name: String,
    /// Where the judgements come from.
    pub qrels: String,
    /// Documents, where that is known.
    pub documents: Option<u64>,
    /// Queries that count.
    pub queries: usize,
    /// Judgements.
    pub judgements: usize,
}

/// One system.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SystemReport {
    /// Such as `hybrid` or `hybrid+rerank@50`.
    pub name: String,
    /// What it is, in a line: models, width, weights, depth.
    pub description: String,
    /// The name of the system that is its first stage, for one with a second stage.
    pub first_stage: Option<String>,
    /// How many candidates its second stage sees.
    pub rerank_depth: Option<usize>,
    /// One per measure of the report.
    pub means: Vec<Interval>,
    /// What a perfect reranker could make of its first results, at growing depths, and what its own second stage makes
    /// of them.
    pub depths: Vec<DepthPoint>,
    /// Per stage, in the order they run, the whole last; empty for runs that were read from a file.
    pub latency: Vec<StageLatency>,
    /// Pairs of query and passage scored per second of the second stage.
    pub pairs_per_second: Option<f64>,
    /// Read by the models.
    pub tokens: Option<TokenCounts>,
    /// What 1,000 queries cost by each price, dearest last.
    pub costs: Vec<QueryCost>,
    /// Relevant documents of each query: where the first stage has them and where the second puts them. Only for systems
    /// with a second stage.
    pub moves: Vec<RankMove>,
    /// Whether its scores keep their word as probabilities, on queries that were not fitted.
    pub reliability: Option<elodex_eval::calibration::Reliability>,
}

/// One depth of a depth curve, by the main measure.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct DepthPoint {
    /// Candidates looked at.
    pub depth: usize,
    /// What a perfect reranker of them reaches.
    pub ceiling: f64,
    /// Share of the relevant documents among them.
    pub pool_recall: f64,
    /// What the system's own reranker reaches with them.
    pub reranked: Option<f64>,
}

/// Milliseconds of one stage over all queries.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StageLatency {
    /// `embed`, `dense`, `lexical`, `fuse`, `rerank`, `total`.
    pub stage: String,
    /// Median.
    pub p50: f64,
    /// 95th percentile.
    pub p95: f64,
    /// 99th percentile.
    pub p99: f64,
}

/// Tokens of one query on average.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct TokenCounts {
    /// Of the query, by the embedder.
    pub embed: f64,
    /// Of the pairs, by the reranker.
    pub rerank: f64,
}

/// What 1,000 queries cost in one place.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct QueryCost {
    /// Whose price.
    pub name: String,
    /// In US dollars.
    pub usd_per_1000_queries: f64,
}

/// A candidate against a baseline by the main measure.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PairComparison {
    /// The baseline's name.
    pub baseline: String,
    /// The candidate's name.
    pub candidate: String,
    /// What came of it.
    pub comparison: Comparison,
}

/// One query.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct QueryRow {
    /// Its id.
    pub id: String,
    /// Its text, where known.
    pub text: Option<String>,
    /// The main measure, one value per system.
    pub values: Vec<f64>,
}

/// Where a relevant document was and where it went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RankMove {
    /// The query's id.
    pub query: String,
    /// The document's id.
    pub document: String,
    /// Its grade.
    pub grade: i32,
    /// Its rank in the first stage, from 1; `None`: not among the results.
    pub before: Option<usize>,
    /// Its rank after the second stage.
    pub after: Option<usize>,
}

//! What `elodex eval` can be told.

use super::fit::FitKind;
use crate::library::LibraryArgs;
use clap::Args;
use std::path::PathBuf;

const SYSTEMS: &str = "\
Systems: bm25, dense or hybrid, each with +rerank@DEPTH behind it for a second stage. Behind dense and hybrid may stand
:model=NAME (an embedder), :dim=NUMBER (width of the vectors), behind hybrid :weights=DENSE/BM25, behind rerank :model=NAME:

  bm25,dense,hybrid,hybrid+rerank@50
  dense:model=minilm:dim=128,hybrid:weights=1/0.4+rerank@20:model=ce

Examples:

  elodex eval data/scifact --model minilm=sentence-transformers/all-MiniLM-L6-v2
  elodex eval --qrels test.qrels --run bm25.trec --run new=candidate.trec
  elodex eval --collection docs --queries queries.jsonl --qrels judged.tsv --url http://127.0.0.1:8080

Exit codes: 0, 1 where something is wrong, 2 for a command that cannot be read, 3 where a rule of --fail-if holds.";

#[derive(Debug, Args)]
#[command(after_help = SYSTEMS)]
pub(crate) struct EvalArgs {
    /// Folder in BEIR's layout (corpus.jsonl, queries.jsonl, qrels/SPLIT.tsv): ingested once, each document whole.
    pub(crate) folder: Option<PathBuf>,
    /// Judgements of the folder.
    #[arg(long, default_value = "test", value_name = "NAME")]
    pub(crate) split: String,
    /// Judgements: TREC's four columns, or BEIR's three between tabs.
    #[arg(long, value_name = "PATH")]
    pub(crate) qrels: Option<PathBuf>,
    /// Queries, a JSON object with `_id` and `text` a line [default: the folder's].
    #[arg(long, value_name = "PATH")]
    pub(crate) queries: Option<PathBuf>,
    /// TREC run to measure, under its file's name or one of your own; repeatable.
    #[arg(long = "run", value_name = "[NAME=]PATH", conflicts_with_all = ["collection", "systems"])]
    pub(crate) runs: Vec<String>,
    /// Evaluate a collection as it is.
    #[arg(long, short, value_name = "NAME")]
    pub(crate) collection: Option<String>,
    /// What to evaluate, with commas between; if none is named bm25, dense, hybrid and, with a reranker, hybrid+rerank@10,
    /// @20, @50 and @100.
    #[arg(long, value_name = "SYSTEMS")]
    pub(crate) systems: Vec<String>,
    /// Embedder of systems that name none [default: the setting default_embedder, else the only one].
    #[arg(long, value_name = "NAME")]
    pub(crate) embedder: Option<String>,
    /// Reranker of systems that name none [default: the setting default_reranker, else the only one].
    #[arg(long, value_name = "NAME")]
    pub(crate) reranker: Option<String>,
    /// Measures, the main one first.
    #[arg(
        long,
        value_name = "MEASURES",
        value_delimiter = ',',
        default_value = "ndcg@10,mrr@10,recall@100,success@3,judged@10"
    )]
    pub(crate) measures: Vec<String>,
    /// Lowest grade that measures without grades call relevant.
    #[arg(long, default_value_t = 1, value_name = "GRADE")]
    pub(crate) relevant_from: i32,
    /// Ask so many of the judged queries, drawn at random.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) limit: Option<u32>,
    /// Candidates of each list, and results that are looked at.
    #[arg(long, default_value_t = 100, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=2000))]
    pub(crate) depth: u32,
    /// Compare with every vector instead of asking the graph.
    #[arg(long)]
    pub(crate) exact: bool,
    /// Cut the folder's documents into chunks; a document ranks by its best one.
    #[arg(long, conflicts_with = "collection")]
    pub(crate) chunked: bool,
    /// Vectors of the folder's collections: f32 or int8 [default: as `elodex ingest` has them].
    #[arg(long, value_name = "PRECISION", conflicts_with = "collection")]
    pub(crate) precision: Option<String>,
    /// Where the folder's collections are kept for next time [default: `evaluation` in the data directory].
    #[arg(long, value_name = "PATH", conflicts_with = "collection")]
    pub(crate) work: Option<PathBuf>,
    /// Queries under way at once; latency is that of one query alone only with 1.
    #[arg(long, default_value_t = 1, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=256))]
    pub(crate) concurrency: u32,
    /// Hardware of your own, such as c7i.large=0.09, to tell what 1,000 queries cost; repeatable.
    #[arg(long, value_name = "NAME=USD_PER_HOUR")]
    pub(crate) price: Vec<String>,
    /// Prices of hosted models [default: a built-in list, each with the day it held].
    #[arg(long, value_name = "PATH")]
    pub(crate) prices: Option<PathBuf>,
    /// Write the report as JSON; `-` prints it instead of tables.
    #[arg(long, value_name = "PATH")]
    pub(crate) json: Option<PathBuf>,
    /// Write the report as one page with plots that opens offline.
    #[arg(long, value_name = "PATH")]
    pub(crate) html: Option<PathBuf>,
    /// Write a TREC run of every system into this folder.
    #[arg(long, value_name = "PATH", conflicts_with = "runs")]
    pub(crate) write_runs: Option<PathBuf>,
    /// Show every query.
    #[arg(long)]
    pub(crate) per_query: bool,
    /// The JSON of an earlier report, for --fail-if.
    #[arg(long, value_name = "PATH")]
    pub(crate) baseline: Option<PathBuf>,
    /// Exit with 3 where this holds, such as 'ndcg@10 < -0.01 significant' against the baseline; repeatable.
    #[arg(long, value_name = "RULE")]
    pub(crate) fail_if: Vec<String>,
    /// Fit from the judgements, with commas between, and say what it is worth on queries that were not fitted.
    #[arg(long, value_enum, value_delimiter = ',', value_name = "WHAT", conflicts_with = "runs")]
    pub(crate) fit: Vec<FitKind>,
    /// Mean loss of the main measure that a gate may cost.
    #[arg(long, default_value_t = 0.005, value_name = "NUMBER", requires = "fit")]
    pub(crate) tolerated_loss: f64,
    /// Write what was fitted, as far as the judgements support it, as the policy a server loads.
    #[arg(long, value_name = "PATH", requires = "fit")]
    pub(crate) write_policy: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) target: LibraryArgs,
}

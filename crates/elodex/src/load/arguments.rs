//! What `elodex bench serve` can be told.

use super::arrivals::Arrivals;
use crate::cli::ListChoice;
use crate::settings::time;
use clap::Args;
use std::path::PathBuf;
use std::time::Duration;

const EXAMPLES: &str = "\
Requests arrive at the rate given, whether or not earlier ones are answered, and latency counts
from the time a request was to arrive: what users would wait, stalls included. A request that found
no free connection of this client at its time is counted as late; with many, raise --connections.

  elodex bench serve --url http://127.0.0.1:8080 -c docs --rate 5,10,20 --queries queries.jsonl
  elodex bench serve -c docs --rate 50 --arrivals poisson --rerank-depth 20 --json load.json

Exit codes: 0, 1 where something is wrong or no request succeeded, 2 for a command that cannot be
read.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct LoadArgs {
    /// The running server.
    #[arg(long, value_name = "URL", env = "ELODEX_URL")]
    pub(crate) url: String,
    /// Its API key.
    #[arg(long, value_name = "KEY", env = "ELODEX_API_KEY", hide_env_values = true)]
    pub(crate) key: Option<String>,
    /// Where to search.
    #[arg(long, short, value_name = "NAME")]
    pub(crate) collection: String,
    /// Recorded queries: a BEIR directory, a .jsonl file (objects with `text` or `query`, or strings), or a query a line
    /// [default: made-up words].
    #[arg(long, value_name = "PATH")]
    pub(crate) queries: Option<PathBuf>,
    /// Requests a second, one measurement each, with commas between.
    #[arg(long, value_name = "RATES", value_delimiter = ',', required = true, value_parser = rate)]
    pub(crate) rate: Vec<f64>,
    /// How long each rate is measured.
    #[arg(long, default_value = "30s", value_name = "TIME", value_parser = time)]
    pub(crate) duration: Duration,
    /// How long each rate runs before it is measured; 0 for not at all.
    #[arg(long, default_value = "5s", value_name = "TIME", value_parser = time_or_none)]
    pub(crate) warmup: Duration,
    /// How long to wait for an answer.
    #[arg(long, default_value = "30s", value_name = "TIME", value_parser = time)]
    pub(crate) timeout: Duration,
    /// Evenly spaced, or at random times (a Poisson process), as from many independent users.
    #[arg(long, value_enum, default_value_t = Arrivals::Fixed)]
    pub(crate) arrivals: Arrivals,
    /// Of the order of the queries and of random times.
    #[arg(long, default_value_t = 0, value_name = "NUMBER")]
    pub(crate) seed: u64,
    /// Requests under way at most.
    #[arg(long, default_value_t = 64, value_name = "NUMBER", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) connections: u16,
    /// Results at most.
    #[arg(short, default_value_t = 10, value_name = "NUMBER")]
    pub(crate) k: usize,
    /// Which first-stage list to ask.
    #[arg(long, value_enum, default_value_t = ListChoice::Hybrid)]
    pub(crate) list: ListChoice,
    /// Reranker of the second stage [default: the server's].
    #[arg(long, value_name = "MODEL")]
    pub(crate) rerank: Option<String>,
    /// Candidates the reranker sees.
    #[arg(long, value_name = "NUMBER")]
    pub(crate) rerank_depth: Option<usize>,
    /// First stage only.
    #[arg(long, conflicts_with_all = ["rerank", "rerank_depth"])]
    pub(crate) no_rerank: bool,
    /// Time the server may take; what is not done by then is left out.
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) deadline: Option<Duration>,
    /// More fields of every request, such as {"filter": {"lang": {"$eq": "en"}}}.
    #[arg(long, value_name = "JSON")]
    pub(crate) body: Option<String>,
    /// Write every figure to a file.
    #[arg(long, value_name = "PATH")]
    pub(crate) json: Option<PathBuf>,
}

fn rate(text: &str) -> Result<f64, String> {
    let number = text.trim().parse::<f64>().ok().filter(|rate| (0.01..=100_000.0).contains(rate));
    number.ok_or_else(|| format!("`{text}` is no rate; write requests a second, from 0.01 to 100000"))
}

fn time_or_none(text: &str) -> Result<Duration, String> {
    if text.trim_end_matches(['m', 's']) == "0" { Ok(Duration::ZERO) } else { time(text) }
}

//! What `elodex models quantise` can be told.

use crate::settings::WorkFlags;
use clap::Args;
use std::path::PathBuf;

const EXAMPLE: &str = "\
Example:
  elodex models quantise models/minilm minilm-int8 --calibrate texts.txt --data scifact
  elodex embed --model ./minilm-int8 --role query \"hello world\"";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct QuantiseArgs {
    /// A directory, `owner/name[@revision]` of the hub, or a model of the configuration.
    pub(crate) source: String,
    /// The directory to write; it must not exist or be empty.
    pub(crate) target: PathBuf,
    /// Texts like those the model will see, to scale weights and inputs by: one a line, or, with the ending .jsonl, one JSON
    /// string or object with `text` a line. A reranker needs objects with `query` and `text`.
    #[arg(long, value_name = "PATH")]
    pub(crate) calibrate: Option<PathBuf>,
    /// Texts to take at most, evenly spread, for the calibration and for the comparison with f32.
    #[arg(long, value_name = "NUMBER", default_value_t = 128)]
    pub(crate) limit: usize,
    /// BEIR directory on whose `test` queries both precisions of an embedder are evaluated; repeatable.
    #[arg(long, value_name = "PATH")]
    pub(crate) data: Vec<PathBuf>,
    /// Use a model whose licence forbids commercial use.
    #[arg(long)]
    pub(crate) accept_license: bool,
    /// Print one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) settings: WorkFlags,
}

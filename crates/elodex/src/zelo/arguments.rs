//! What `elodex zelo` can be told.

use crate::bundled;
use crate::evaluation::weights;
use crate::settings::RunFlags;
use clap::{Args, Subcommand, ValueEnum};
use elodex_server::ModelKind;
use elodex_train::fit::{DEFAULT_PRIOR, DEFAULT_SPREAD, Link};
use elodex_train::judge::ReplyForm;
use elodex_train::training::Objective;
use elodex_types::Weights;
use std::path::PathBuf;

const EXAMPLE: &str = "\
One run after the other, in a folder that keeps everything and goes on where it was stopped:

  elodex zelo candidates --folder run --data my-corpus --embedder sentence-transformers/all-MiniLM-L6-v2
  elodex zelo judge --folder run --judge chat:small-model --chat-url http://127.0.0.1:8000/v1 --budget 5
  elodex zelo fit --folder run
  elodex zelo train reranker --folder run --model sentence-transformers/all-MiniLM-L6-v2
  elodex zelo calibrate --folder run
  elodex zelo export reranker --folder run --target my-reranker

Or all of it on the help centre that comes with Elodex:

  elodex zelo run --folder run";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct ZeloArgs {
    #[command(subcommand)]
    pub(crate) command: ZeloCommand,
    /// Use models whose licence forbids commercial use.
    #[arg(long, global = true)]
    pub(crate) accept_license: bool,
    /// Print JSON instead of a table.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) settings: RunFlags,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ZeloCommand {
    /// Begin a run: take or write queries, and find each one's candidates by BM25 and vectors.
    Candidates(CandidatesArgs),
    /// Ask judges which of two candidates answers a query better.
    Judge(Box<JudgeArgs>),
    /// Fit a score to every candidate from the battles, and turn it into a training target.
    Fit(FitArgs),
    /// Train a model on what was fitted or judged.
    Train(Box<TrainArgs>),
    /// Find queries whose best labelled document the trained reranker does not see, to be judged next.
    Failures(FailuresArgs),
    /// Fit what turns the trained reranker's logits into probabilities.
    Calibrate(FolderArg),
    /// Write a trained model as a directory that sentence-transformers and Elodex load.
    Export(ExportArgs),
    /// Show what a run has come to: battles, scores, trainings, calibration.
    Report(ReportArgs),
    /// Candidates, battles by labels, scores, a reranker and its calibration in one go, and what it is worth.
    Run(RunArgs),
}

#[derive(Debug, Clone, Args)]
pub(crate) struct FolderArg {
    /// The run's folder.
    #[arg(long, value_name = "RUN")]
    pub(crate) folder: PathBuf,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct CandidatesArgs {
    #[command(flatten)]
    pub(crate) run: FolderArg,
    /// Folder with the documents, corpus.jsonl, in BEIR's layout.
    #[arg(long, value_name = "PATH", required_unless_present = "collection")]
    pub(crate) data: Option<PathBuf>,
    /// Take the chunks of a collection of the data directory as documents, and search there.
    #[arg(long, value_name = "NAME", conflicts_with = "data")]
    pub(crate) collection: Option<String>,
    /// Judgements, qrels/NAME.tsv of the data, whose queries are taken.
    #[arg(long, value_name = "NAME", default_value = "train", conflicts_with_all = ["queries", "generate"])]
    pub(crate) split: String,
    /// Take the queries of a file, such as a log: one a line, or JSON objects with `text` and perhaps `_id`.
    #[arg(long, value_name = "PATH", conflicts_with = "generate")]
    pub(crate) queries: Option<PathBuf>,
    /// Have a chat model write so many queries, each for a document drawn at random.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..), requires = "chat_url")]
    pub(crate) generate: Option<u32>,
    /// Take so many of the queries, drawn at random.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..), conflicts_with = "generate")]
    pub(crate) limit: Option<u32>,
    /// Candidates of a query.
    #[arg(long, value_name = "NUMBER", default_value_t = 100, value_parser = clap::value_parser!(u32).range(2..=2000))]
    pub(crate) depth: u32,
    /// Embedder of the vectors, of a collection the one it was made with: a directory, `owner/name`, or one of the
    /// configuration [default: the only one there].
    #[arg(long, value_name = "MODEL")]
    pub(crate) embedder: Option<String>,
    #[command(flatten)]
    pub(crate) chat: ChatArgs,
}

/// A chat model behind an OpenAI-compatible API.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct ChatArgs {
    /// Base address of the chat model's OpenAI-compatible API, such as http://127.0.0.1:8000/v1.
    #[arg(long, value_name = "URL")]
    pub(crate) chat_url: Option<String>,
    /// The chat model's name there.
    #[arg(long, value_name = "NAME")]
    pub(crate) chat_model: Option<String>,
    /// Variable of the environment that holds the API's key.
    #[arg(long, value_name = "VARIABLE")]
    pub(crate) chat_key_env: Option<String>,
    /// How the API is told the form of a reply.
    #[arg(long, value_name = "FORM", value_enum, default_value_t)]
    pub(crate) chat_reply: ReplyChoice,
    /// What a million tokens read cost.
    #[arg(long, value_name = "AMOUNT", default_value_t = 0.0)]
    pub(crate) price_input: f64,
    /// What a million tokens written cost.
    #[arg(long, value_name = "AMOUNT", default_value_t = 0.0)]
    pub(crate) price_output: f64,
    /// Calls and battles under way at once [default: 8 where a chat model is asked, else one for each thread].
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=256))]
    pub(crate) concurrency: Option<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum ReplyChoice {
    /// As OpenAI and most servers take it.
    #[default]
    JsonSchema,
    /// As llama-cpp-python takes it.
    JsonObject,
    /// By the prompt alone.
    Text,
}

impl ReplyChoice {
    pub(crate) fn form(self) -> ReplyForm {
        match self {
            ReplyChoice::JsonSchema => ReplyForm::JsonSchema,
            ReplyChoice::JsonObject => ReplyForm::JsonObject,
            ReplyChoice::Text => ReplyForm::Text,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Pairs {
    /// One pair per query, of two of its first candidates: for a model to learn from.
    Gold,
    /// Random cycles through each query's candidates: for scores.
    Tournament,
    /// Pairs of different queries: for scores that compare across queries.
    Across,
    /// What `elodex zelo failures` found.
    Failures,
}

const JUDGES: &str = "\
Judges: qrels (the run's labels), feedback:FILE (clicks: query, document and 1 or 0 between tabs), chat or chat:NAME (a chat
model), model:SOURCE (a reranker), pairwise:SOURCE (what `elodex zelo export pairwise` wrote). Several are an ensemble, whose
preference is the mean of theirs.";

#[derive(Debug, Clone, Args)]
#[command(after_help = JUDGES)]
pub(crate) struct JudgeArgs {
    #[command(flatten)]
    pub(crate) run: FolderArg,
    /// Who judges; repeatable.
    #[arg(long = "judge", value_name = "JUDGE", required = true)]
    pub(crate) judges: Vec<String>,
    /// Which pairs meet.
    #[arg(long, value_enum, default_value_t = Pairs::Tournament)]
    pub(crate) pairs: Pairs,
    /// Cycles through each query's candidates, or through the queries.
    #[arg(long, value_name = "NUMBER", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub(crate) cycles: u32,
    /// Candidates of a query that take part [default: all].
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) depth: Option<u32>,
    /// Decides which pairs are drawn.
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    pub(crate) seed: u64,
    /// The most that this judge's answers of the run may cost.
    #[arg(long, value_name = "AMOUNT")]
    pub(crate) budget: Option<f64>,
    /// Ask again about pairs that failed before.
    #[arg(long)]
    pub(crate) retry: bool,
    /// What a grade of the labels, or a logit, counts in p = σ(scale · difference).
    #[arg(long, value_name = "NUMBER", default_value_t = 1.0)]
    pub(crate) scale: f64,
    /// Tokens that a pairwise model reads, as it was trained [default: its own].
    #[arg(long, value_name = "NUMBER")]
    pub(crate) max_tokens: Option<u32>,
    /// Do not ask before calls that may cost something.
    #[arg(long)]
    pub(crate) yes: bool,
    /// Only say what it would take.
    #[arg(long)]
    pub(crate) forecast: bool,
    #[command(flatten)]
    pub(crate) chat: ChatArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LinkChoice {
    Thurstone,
    BradleyTerry,
}

impl LinkChoice {
    pub(crate) fn link(self) -> Link {
        match self {
            LinkChoice::Thurstone => Link::Thurstone,
            LinkChoice::BradleyTerry => Link::BradleyTerry,
        }
    }
}

#[derive(Debug, Clone, Args)]
pub(crate) struct FitArgs {
    #[command(flatten)]
    pub(crate) run: FolderArg,
    /// How a difference of scores becomes a probability.
    #[arg(long, value_enum, default_value_t = LinkChoice::Thurstone)]
    pub(crate) link: LinkChoice,
    /// λ of the prior λ/2·Σe² that keeps scores finite; 0 for none.
    #[arg(long, value_name = "NUMBER", default_value_t = DEFAULT_PRIOR)]
    pub(crate) prior: f64,
    /// Mean distance of the targets from ½, 0 to ½.
    #[arg(long, value_name = "NUMBER", default_value_t = DEFAULT_SPREAD)]
    pub(crate) spread: f64,
    /// Only battles of judges whose name holds this [default: all].
    #[arg(long, value_name = "TEXT")]
    pub(crate) judge: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    /// A cross-encoder that scores a document for a query.
    Reranker,
    /// A cross-encoder that says which of two documents is better: a cheap judge.
    Pairwise,
    /// A bi-encoder that makes vectors.
    Embedder,
}

impl Kind {
    /// Its folder in a run.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Reranker => "reranker",
            Kind::Pairwise => "pairwise",
            Kind::Embedder => "embedder",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ObjectiveChoice {
    Pointwise,
    Preference,
    Listwise,
    Both,
}

impl ObjectiveChoice {
    pub(crate) fn objective(self) -> Objective {
        match self {
            ObjectiveChoice::Pointwise => Objective::Pointwise,
            ObjectiveChoice::Preference => Objective::Preference,
            ObjectiveChoice::Listwise => Objective::Listwise,
            ObjectiveChoice::Both => Objective::Both,
        }
    }
}

#[derive(Debug, Clone, Args)]
pub(crate) struct TrainArgs {
    /// What is trained.
    #[arg(value_enum)]
    pub(crate) kind: Kind,
    #[command(flatten)]
    pub(crate) run: FolderArg,
    /// The model to begin with: a directory, `owner/name`, or one of the configuration.
    #[arg(long, value_name = "MODEL")]
    pub(crate) model: String,
    /// Learn from a file of JSON objects with `query` and `documents`, each with `text` and `target` from 0 to 1 [default:
    /// the run's standings; for a pairwise model its battles].
    #[arg(long, value_name = "PATH", conflicts_with = "teacher")]
    pub(crate) targets: Option<PathBuf>,
    /// Reranker whose scores in search an embedder learns.
    #[arg(long, value_name = "MODEL")]
    pub(crate) teacher: Option<String>,
    /// Only battles of judges whose name holds this, for a pairwise model [default: all].
    #[arg(long, value_name = "TEXT")]
    pub(crate) judge: Option<String>,
    /// Times every query is seen.
    #[arg(long, value_name = "NUMBER", default_value_t = 2.0)]
    pub(crate) epochs: f64,
    /// Queries of a step.
    #[arg(long, value_name = "NUMBER", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) groups: u32,
    /// Documents of a query that are learned from: half of them its best, the others spread over the rest.
    #[arg(long, value_name = "NUMBER", default_value_t = 16, value_parser = clap::value_parser!(u32).range(2..))]
    pub(crate) documents: u32,
    /// Highest learning rate.
    #[arg(long, value_name = "NUMBER", default_value_t = 3e-5)]
    pub(crate) learning_rate: f32,
    /// What a cross-encoder's logits are compared with the targets by [default: both; for a pairwise model preference].
    #[arg(long, value_enum)]
    pub(crate) objective: Option<ObjectiveChoice>,
    /// Tokens of a query with a document, or of an embedder's text [default: 256; for a pairwise model 512].
    #[arg(long, value_name = "NUMBER")]
    pub(crate) max_tokens: Option<u32>,
    /// Steps between evaluations, each of which is a checkpoint.
    #[arg(long, value_name = "NUMBER", default_value_t = 25, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) evaluate_every: u64,
    /// Evaluations in a row without a better one before training stops.
    #[arg(long, value_name = "NUMBER", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) patience: u32,
    /// Decides the order of the queries and what is fresh in the network.
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    pub(crate) seed: u64,
    /// Share of the queries that are kept out, to choose weights by and to calibrate with.
    #[arg(long, value_name = "SHARE", default_value_t = 0.1)]
    pub(crate) dev_share: f64,
    /// In front of an embedder's queries [default: the model's].
    #[arg(long, value_name = "TEXT")]
    pub(crate) query_prompt: Option<String>,
    /// In front of an embedder's documents [default: the model's].
    #[arg(long, value_name = "TEXT")]
    pub(crate) document_prompt: Option<String>,
    /// Widths at which an embedder's vectors are learned, with commas between [default: the model's].
    #[arg(long, value_name = "NUMBERS", value_delimiter = ',')]
    pub(crate) widths: Vec<usize>,
    /// Of an embedder's softmax over cosines.
    #[arg(long, value_name = "NUMBER", default_value_t = 0.05)]
    pub(crate) temperature: f32,
    /// Where the network is trained: `cpu`, or `cuda` and `cuda:1` for a GPU, in builds with the feature `cuda`.
    #[arg(long, value_name = "DEVICE", default_value = "cpu")]
    pub(crate) device: String,
    /// Forget the training of this kind that is in the run.
    #[arg(long)]
    pub(crate) begin_again: bool,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct FailuresArgs {
    #[command(flatten)]
    pub(crate) run: FolderArg,
    /// The lowest rank that is no failure.
    #[arg(long, value_name = "RANK", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) below: u32,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct ExportArgs {
    /// What is written.
    #[arg(value_enum)]
    pub(crate) kind: Kind,
    #[command(flatten)]
    pub(crate) run: FolderArg,
    /// The directory to write; it must not exist or be empty.
    #[arg(long, value_name = "PATH")]
    pub(crate) target: PathBuf,
    /// Round to 8-bit integers and write a bundle.
    #[arg(long)]
    pub(crate) int8: bool,
    /// The model's name on its card [default: the directory's].
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// The model's licence on its card [default: that of the model it was made from].
    #[arg(long, value_name = "LICENCE")]
    pub(crate) licence: Option<String>,
    /// What the card says of the data, such as where it is from and under which licence.
    #[arg(long, value_name = "TEXT")]
    pub(crate) data_note: Option<String>,
    /// What standing first and not last in each list of the first stage counts beside a reranker's logit in search, in
    /// logits to 100, such as 3/2 [default: as beside the model it was made from, else nothing].
    #[arg(long, value_name = "DENSE/BM25", value_parser = parse_weights)]
    pub(crate) first_stage: Option<Weights>,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct ReportArgs {
    #[command(flatten)]
    pub(crate) run: FolderArg,
    /// Write the report as a Markdown file, too.
    #[arg(long, value_name = "PATH")]
    pub(crate) output: Option<PathBuf>,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) run: FolderArg,
    /// Folder in BEIR's layout with judgements of two splits [default: the help centre that comes with Elodex].
    #[arg(long, value_name = "PATH")]
    pub(crate) data: Option<PathBuf>,
    /// Split that is learned from.
    #[arg(long, value_name = "NAME", default_value = "train")]
    pub(crate) split: String,
    /// Split that the result is measured on.
    #[arg(long, value_name = "NAME", default_value = "test")]
    pub(crate) test_split: String,
    /// The model that learns to rerank: a directory, `owner/name`, or one of the configuration.
    #[arg(long, value_name = "MODEL", default_value = bundled::name(ModelKind::Reranker))]
    pub(crate) model: String,
    /// Embedder of the first stage [default: --model, where that is one, else the one that comes with Elodex].
    #[arg(long, value_name = "MODEL")]
    pub(crate) embedder: Option<String>,
    /// Queries of each split, drawn at random [default: all].
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(2..))]
    pub(crate) limit: Option<u32>,
    /// Candidates of a query.
    #[arg(long, value_name = "NUMBER", default_value_t = 30, value_parser = clap::value_parser!(u32).range(2..=2000))]
    pub(crate) depth: u32,
    /// Cycles through each query's candidates.
    #[arg(long, value_name = "NUMBER", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub(crate) cycles: u32,
    /// Times every query is seen.
    #[arg(long, value_name = "NUMBER", default_value_t = 2.0)]
    pub(crate) epochs: f64,
    /// Documents of a query that are learned from.
    #[arg(long, value_name = "NUMBER", default_value_t = 8, value_parser = clap::value_parser!(u32).range(2..))]
    pub(crate) documents: u32,
    /// Tokens of a query with a document.
    #[arg(long, value_name = "NUMBER", default_value_t = 192)]
    pub(crate) max_tokens: u32,
    /// Highest learning rate.
    #[arg(long, value_name = "NUMBER", default_value_t = 5e-5)]
    pub(crate) learning_rate: f32,
    /// Where the network is trained: `cpu`, or `cuda` and `cuda:1` for a GPU, in builds with the feature `cuda`.
    #[arg(long, value_name = "DEVICE", default_value = "cpu")]
    pub(crate) device: String,
    /// Decides what is drawn.
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    pub(crate) seed: u64,
}

fn parse_weights(text: &str) -> Result<Weights, String> {
    weights(text).ok_or_else(|| "write the dense list's and BM25's, 0 or more each, such as 3/2".to_owned())
}

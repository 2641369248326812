//! What can be typed.

use crate::audit::AuditArgs;
use crate::evaluation::EvalArgs;
use crate::library::LibraryArgs;
use crate::load::LoadArgs;
use crate::quantise::QuantiseArgs;
use crate::settings::{LocalFlags, LookFlags, SettingFlags, StoreFlags};
use crate::zelo::ZeloArgs;
use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use elodex_server::keys::Permission;
use elodex_types::Role;
use std::path::PathBuf;

/// Finds the right passage in two stages: an embedder and BM25 recall, a reranker orders; on this machine.
#[derive(Debug, Parser)]
#[command(name = "elodex", version, propagate_version = true, max_term_width = 110)]
pub(crate) struct Cli {
    /// Configuration file [default: ./elodex.toml, else config.toml in the configuration folder].
    #[arg(long, global = true, value_name = "PATH")]
    pub(crate) config: Option<PathBuf>,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Search a help centre that comes with Elodex: ingest it, ask ten questions, show and measure both stages, then serve it.
    Demo(DemoArgs),
    /// Serve models and collections over HTTP in the shapes of ZeroEntropy, OpenAI, Cohere, Jina and TEI.
    Serve(ServeArgs),
    /// Put documents into a collection: files, folders, patterns, BEIR directories, JSON lines.
    Ingest(IngestArgs),
    /// Find passages in a collection.
    Search(SearchArgs),
    /// Measure how good systems are: quality, latency and cost, on a folder, on runs or on a collection.
    Eval(Box<EvalArgs>),
    /// Say why a few queries do not find what answers them, and which change would help.
    Audit(Box<AuditArgs>),
    /// Train a reranker and an embedder on your own documents: judged pairs become scores, scores become targets.
    Zelo(Box<ZeloArgs>),
    /// Measure a running server under load.
    Bench {
        #[command(subcommand)]
        command: BenchCommand,
    },
    /// Look after collections.
    Collections {
        #[command(subcommand)]
        command: CollectionsCommand,
        #[command(flatten)]
        target: LibraryArgs,
    },
    /// Show what shadows and splits of a server's live searches found.
    Experiments(ExperimentsArgs),
    /// Write everything a data directory or a running server holds to one checksummed file.
    Backup(BackupArgs),
    /// Make a data directory from a backup.
    Restore(RestoreArgs),
    /// Turn texts into vectors.
    Embed(EmbedArgs),
    /// Order documents by how well they answer a query.
    Rerank(RerankArgs),
    /// Look after models.
    Models {
        #[command(subcommand)]
        command: ModelsCommand,
    },
    /// Show every setting, its value and where that came from.
    Config(ConfigArgs),
    /// Check this machine, the configuration and the models.
    Doctor(DoctorArgs),
    /// Look after API keys.
    Keys {
        #[command(subcommand)]
        command: KeysCommand,
        /// The key file [default: the setting keys_file].
        #[arg(long, global = true, value_name = "PATH")]
        file: Option<PathBuf>,
    },
    /// Print a script that completes commands in a shell.
    Completions {
        /// The shell.
        shell: Shell,
    },
}

/// Models and aliases; given on the command line, they replace those of the configuration file.
#[derive(Debug, Args)]
pub(crate) struct ModelFlags {
    /// Model to serve: a directory or `owner/name[@revision]` of the hub; repeatable.
    #[arg(long = "model", value_name = "[NAME=]SOURCE", global = true)]
    pub(crate) models: Vec<String>,
    /// Another name for a model, and the role of what comes through it; repeatable.
    #[arg(long = "alias", value_name = "ALIAS=MODEL[:ROLE]", global = true)]
    pub(crate) aliases: Vec<String>,
    /// Serve models whose licence forbids commercial use.
    #[arg(long, global = true)]
    pub(crate) accept_license: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    #[command(flatten)]
    pub(crate) models: ModelFlags,
    #[command(flatten)]
    pub(crate) settings: SettingFlags,
}

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Stop after the questions.
    #[arg(long)]
    pub(crate) no_serve: bool,
    #[command(flatten)]
    pub(crate) models: ModelFlags,
    /// Without `--data-dir` the collection lies in a folder that is removed afterwards.
    #[command(flatten)]
    pub(crate) settings: SettingFlags,
}

#[derive(Debug, Args)]
pub(crate) struct IngestArgs {
    /// Files, folders, patterns, BEIR directories, or `-` for JSON lines (`_id`, `text`, `title`, `metadata`; numbers in
    /// it become texts, and a list `tags` the attribute `list:tags`).
    pub(crate) paths: Vec<String>,
    #[command(flatten)]
    pub(crate) collection: NewCollection,
    /// Leave documents whose path is taken as they are [default: replace them where they differ].
    #[arg(long)]
    pub(crate) keep: bool,
    /// Delete documents of the folders named that are not in them any more; those of JSON lines stay.
    #[arg(long)]
    pub(crate) prune: bool,
    /// Return when the documents are accepted, before they can be searched.
    #[arg(long, conflicts_with = "watch")]
    pub(crate) no_wait: bool,
    /// Go on following changes of the files and folders.
    #[arg(long)]
    pub(crate) watch: bool,
    #[command(flatten)]
    pub(crate) target: LibraryArgs,
}

/// A collection, and how it is made where it is not there yet.
#[derive(Debug, Default, Args)]
pub(crate) struct NewCollection {
    /// The collection; made where it is not there.
    #[arg(long, short, value_name = "NAME")]
    pub(crate) collection: String,
    /// Embedder of a new collection [default: the setting default_embedder, else the only one].
    #[arg(long, value_name = "NAME")]
    pub(crate) embedder: Option<String>,
    /// Width of a new collection's vectors [default: the model's].
    #[arg(long, value_name = "NUMBER")]
    pub(crate) dimensions: Option<usize>,
    /// Tokens in a chunk of a new collection [default: 512, or the model's window].
    #[arg(long, value_name = "NUMBER")]
    pub(crate) chunk_tokens: Option<usize>,
    /// Tokens that two chunks of a new collection may share.
    #[arg(long, value_name = "NUMBER")]
    pub(crate) chunk_overlap: Option<usize>,
    /// Characters of a fine passage of a new collection, about.
    #[arg(long, value_name = "NUMBER")]
    pub(crate) passage_chars: Option<usize>,
    /// One chunk per document in a new collection, cut to the model's window.
    #[arg(long)]
    pub(crate) whole_documents: bool,
    /// ISO 639-1 code of a new collection's language [default: detected for each document].
    #[arg(long, value_name = "CODE")]
    pub(crate) language: Option<String>,
    /// Vectors of a new collection's index: int8, compared again as f32 at the end, or f32 [default: int8].
    #[arg(long, value_name = "PRECISION")]
    pub(crate) precision: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct SearchArgs {
    /// What to look for.
    #[arg(required = true)]
    pub(crate) query: Vec<String>,
    /// Where.
    #[arg(long, short, value_name = "NAME")]
    pub(crate) collection: String,
    /// Results at most.
    #[arg(short, default_value_t = 10, value_name = "NUMBER")]
    pub(crate) k: usize,
    /// What a result is.
    #[arg(long, value_enum, default_value_t = UnitChoice::Chunks)]
    pub(crate) unit: UnitChoice,
    /// Which first-stage list to ask [default: both, weighed as the collection's policy or settings say].
    #[arg(long, value_enum)]
    pub(crate) list: Option<ListChoice>,
    /// Reranker of the second stage, or `auto` for what the collection's policy decides [default: the only one, or the
    /// setting default_reranker].
    #[arg(long, value_name = "MODEL")]
    pub(crate) rerank: Option<String>,
    /// Candidates the reranker sees.
    #[arg(long, value_name = "NUMBER")]
    pub(crate) rerank_depth: Option<usize>,
    /// First stage only.
    #[arg(long, conflicts_with_all = ["rerank", "rerank_depth", "threshold"])]
    pub(crate) no_rerank: bool,
    /// Candidates of each first-stage list.
    #[arg(long, value_name = "NUMBER")]
    pub(crate) depth: Option<usize>,
    /// Condition on attributes, such as {"lang": {"$eq": "en"}}.
    #[arg(long, value_name = "JSON")]
    pub(crate) filter: Option<String>,
    /// Leave out results below this relevance.
    #[arg(long, value_name = "NUMBER")]
    pub(crate) threshold: Option<f32>,
    /// Keep one of results that say the same.
    #[arg(long)]
    pub(crate) collapse: bool,
    /// Compare with every vector instead of asking the graph.
    #[arg(long)]
    pub(crate) exact: bool,
    /// How to print [default: table in a terminal, else json].
    #[arg(long, value_enum)]
    pub(crate) format: Option<TableFormat>,
    #[command(flatten)]
    pub(crate) target: LibraryArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum UnitChoice {
    Documents,
    Pages,
    Chunks,
    Passages,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ListChoice {
    Hybrid,
    Dense,
    Lexical,
}

#[derive(Debug, Subcommand)]
pub(crate) enum BenchCommand {
    /// Search at fixed rates, in an open loop: throughput, latency, errors and shed load of each rate.
    Serve(Box<LoadArgs>),
}

#[derive(Debug, Subcommand)]
pub(crate) enum CollectionsCommand {
    /// List collections and their documents by state.
    List {
        /// How to print.
        #[arg(long, value_enum, default_value_t = TableFormat::Table)]
        format: TableFormat,
    },
    /// Show a collection's settings and state.
    Show {
        /// The collection.
        name: String,
    },
    /// Make a collection.
    Create(NewCollection),
    /// Delete a collection with its documents.
    Delete {
        /// The collection.
        name: String,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
    /// Change how much each first-stage list counts.
    Weights {
        /// The collection.
        name: String,
        /// Weight of the dense list.
        #[arg(long)]
        dense: f32,
        /// Weight of the BM25 list.
        #[arg(long)]
        lexical: f32,
    },
    /// Give a collection the policy that was fitted from labels, or take it away.
    Policy {
        /// The collection.
        name: String,
        /// What `elodex eval --write-policy` wrote; `-` reads standard input.
        #[arg(required_unless_present = "clear")]
        file: Option<PathBuf>,
        /// Take the policy away.
        #[arg(long, conflicts_with = "file")]
        clear: bool,
    },
}

#[derive(Debug, Args)]
pub(crate) struct ExperimentsArgs {
    /// The running server.
    #[arg(long, value_name = "URL", env = "ELODEX_URL")]
    pub(crate) url: String,
    /// The server's API key, with permission all.
    #[arg(long, value_name = "KEY", env = "ELODEX_API_KEY", hide_env_values = true)]
    pub(crate) key: Option<String>,
    /// How to print.
    #[arg(long, value_enum, default_value_t = TableFormat::Table)]
    pub(crate) format: TableFormat,
}

#[derive(Debug, Args)]
pub(crate) struct BackupArgs {
    /// The file to write; it must not exist.
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) target: LibraryArgs,
}

#[derive(Debug, Args)]
pub(crate) struct RestoreArgs {
    /// The backup.
    pub(crate) file: PathBuf,
    /// The data directory to make; it must not exist or be empty.
    #[arg(long, value_name = "PATH", required_unless_present = "verify_only")]
    pub(crate) into: Option<PathBuf>,
    /// Only check the file.
    #[arg(long, conflicts_with = "into")]
    pub(crate) verify_only: bool,
}

/// The one model of a command.
#[derive(Debug, Args)]
pub(crate) struct ModelFlag {
    /// A directory, `owner/name[@revision]` of the hub, or a model or alias of the configuration [default: the one that
    /// comes with the binary].
    #[arg(long, value_name = "MODEL")]
    pub(crate) model: Option<String>,
    /// Use a model whose licence forbids commercial use.
    #[arg(long)]
    pub(crate) accept_license: bool,
}

#[derive(Debug, Args)]
pub(crate) struct EmbedArgs {
    /// Texts [default: the lines of --input or of standard input].
    pub(crate) texts: Vec<String>,
    #[command(flatten)]
    pub(crate) model: ModelFlag,
    /// The side of the retrieval: query or document.
    #[arg(long)]
    pub(crate) role: Option<Role>,
    /// File with one text a line, or, with the ending .jsonl, one JSON string or object with `text` a line.
    #[arg(long, value_name = "PATH", conflicts_with = "texts")]
    pub(crate) input: Option<PathBuf>,
    /// Width of the vectors [default: the model's].
    #[arg(long, value_name = "NUMBER")]
    pub(crate) dimensions: Option<usize>,
    /// One object, or one object a line.
    #[arg(long, value_enum, default_value_t = EmbedFormat::Json)]
    pub(crate) format: EmbedFormat,
    #[command(flatten)]
    pub(crate) settings: LocalFlags,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum EmbedFormat {
    Json,
    Jsonl,
}

#[derive(Debug, Args)]
pub(crate) struct RerankArgs {
    /// Documents [default: the lines of --input or of standard input].
    pub(crate) documents: Vec<String>,
    #[command(flatten)]
    pub(crate) model: ModelFlag,
    /// The query.
    #[arg(long)]
    pub(crate) query: String,
    /// File with one document a line, or, with the ending .jsonl, one JSON string or object with `text` a line.
    #[arg(long, value_name = "PATH", conflicts_with = "documents")]
    pub(crate) input: Option<PathBuf>,
    /// Keep the best [default: all].
    #[arg(long, value_name = "NUMBER")]
    pub(crate) top_n: Option<usize>,
    /// How to print [default: table in a terminal, else json].
    #[arg(long, value_enum)]
    pub(crate) format: Option<TableFormat>,
    #[command(flatten)]
    pub(crate) settings: LocalFlags,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum TableFormat {
    Table,
    Json,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ModelsCommand {
    /// List the models of the configuration and those in the cache.
    List,
    /// Show what a model is: licence, precision, dimensions, prompts, fingerprint.
    Show(ShowArgs),
    /// Download a model into the cache.
    Pull(SourceArgs),
    /// Hash a cached model's or a bundle's files and compare; run a bundle's reference inputs.
    Verify {
        /// `owner/name[@revision]`, or the directory of a bundle.
        source: String,
    },
    /// Round a model to 8-bit integers and write it as a bundle, a quarter of the size; say what that costs.
    Quantise(Box<QuantiseArgs>),
    /// List the aliases of the configuration.
    Aliases,
}

#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    #[command(flatten)]
    pub(crate) source: SourceArgs,
    #[command(flatten)]
    pub(crate) settings: LookFlags,
}

#[derive(Debug, Args)]
pub(crate) struct SourceArgs {
    /// A directory or `owner/name[@revision]`.
    pub(crate) source: String,
    /// Accept a licence that forbids commercial use.
    #[arg(long)]
    pub(crate) accept_license: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ConfigArgs {
    /// How to print.
    #[arg(long, value_enum, default_value_t = TableFormat::Table)]
    pub(crate) format: TableFormat,
    #[command(flatten)]
    pub(crate) models: ModelFlags,
    #[command(flatten)]
    pub(crate) settings: SettingFlags,
}

#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    #[command(flatten)]
    pub(crate) models: ModelFlags,
    #[command(flatten)]
    pub(crate) settings: StoreFlags,
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    /// Make a key and print it; it is shown this once.
    Create {
        /// Whose key it is.
        #[arg(long)]
        name: String,
        /// read_only: run models and read; all: everything.
        #[arg(long, default_value_t = Permission::ReadOnly)]
        permission: Permission,
    },
    /// List keys, without the keys themselves.
    List,
    /// Make a key useless; a running server notices within seconds.
    Revoke {
        /// The key's id, from `elodex keys list`.
        id: String,
    },
}

#[cfg(test)]
mod tests {
    use super::Cli;
    use clap::CommandFactory as _;

    #[test]
    fn no_two_arguments_of_a_command_clash() {
        Cli::command().debug_assert();
    }
}

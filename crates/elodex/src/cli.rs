//! What can be typed.

use crate::settings::{LocalFlags, SettingFlags};
use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use elodex_server::keys::Permission;
use elodex_types::Role;
use std::path::PathBuf;

/// Embeds and reranks texts with open models, from the command line and over HTTP.
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
    /// Serve models over HTTP in the shapes of ZeroEntropy, OpenAI, Cohere, Jina and TEI.
    Serve(ServeArgs),
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
    #[arg(long = "model", value_name = "[NAME=]SOURCE")]
    pub(crate) models: Vec<String>,
    /// Another name for a model, and the role of what comes through it; repeatable.
    #[arg(long = "alias", value_name = "ALIAS=MODEL[:ROLE]")]
    pub(crate) aliases: Vec<String>,
    /// Serve models whose licence forbids commercial use.
    #[arg(long)]
    pub(crate) accept_license: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    #[command(flatten)]
    pub(crate) models: ModelFlags,
    #[command(flatten)]
    pub(crate) settings: SettingFlags,
}

/// The one model of a command.
#[derive(Debug, Args)]
pub(crate) struct ModelFlag {
    /// A directory, `owner/name[@revision]` of the hub, or a model or alias of the configuration.
    #[arg(long, value_name = "MODEL")]
    pub(crate) model: String,
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
    /// Show what a model is: licence, dimensions, prompts, fingerprint.
    Show(SourceArgs),
    /// Download a model into the cache.
    Pull(SourceArgs),
    /// Hash a cached model's files and compare.
    Verify {
        /// `owner/name[@revision]`.
        source: String,
    },
    /// List the aliases of the configuration.
    Aliases,
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
    pub(crate) settings: LocalFlags,
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

//! Where a command works: a data directory of this machine, or a server.

mod local;
mod remote;

pub(crate) use local::Local;
pub(crate) use remote::Remote;

use crate::cli::{ModelFlags, NewCollection};
use crate::settings::{Sources, StoreFlags};
use clap::Args;
use elodex_types::{NewDocument, Role};
use serde_json::{Value, json};
use std::ops::AddAssign;

/// Where to work.
#[derive(Debug, Args)]
pub(crate) struct LibraryArgs {
    /// A running server [default: the data directory of this machine].
    #[arg(long, value_name = "URL", env = "ELODEX_URL", global = true)]
    pub(crate) url: Option<String>,
    /// The server's API key.
    #[arg(long, value_name = "KEY", env = "ELODEX_API_KEY", hide_env_values = true, global = true)]
    pub(crate) key: Option<String>,
    #[command(flatten)]
    pub(crate) models: ModelFlags,
    #[command(flatten)]
    pub(crate) settings: StoreFlags,
}

/// What became of added documents.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Added {
    pub(crate) created: u64,
    pub(crate) replaced: u64,
    /// A server does not tell these from replaced ones.
    pub(crate) unchanged: u64,
    /// Not added because the path was taken and nothing was to be replaced.
    pub(crate) kept: u64,
    /// Not added because of what they are, each with its path and why.
    pub(crate) refused: Vec<String>,
}

impl AddAssign for Added {
    fn add_assign(&mut self, more: Self) {
        self.created += more.created;
        self.replaced += more.replaced;
        self.unchanged += more.unchanged;
        self.kept += more.kept;
        self.refused.extend(more.refused);
    }
}

/// What the commands on collections need. Bodies and answers are those of the HTTP API, so that a command says the same
/// wherever it works.
pub(crate) trait Library: Sync {
    /// Makes a call of the API that reads or changes collections and documents, or searches.
    fn call(&self, path: &str, body: &Value) -> anyhow::Result<Value>;

    /// Adds documents of different paths; each on disk when this returns, but for those that are refused.
    fn add(&self, collection: &str, documents: Vec<NewDocument>, overwrite: bool) -> anyhow::Result<Added>;

    /// Embeds texts in a role.
    fn embed(
        &self,
        model: &str,
        role: Role,
        texts: Vec<String>,
        dimensions: usize,
    ) -> anyhow::Result<Vec<Vec<f32>>>;

    /// Whether a reranker is there.
    fn has_reranker(&self) -> anyhow::Result<bool>;

    /// Waits until what was indexed is searched at full speed, where this process does that work.
    fn settle(&self, collection: &str) -> anyhow::Result<()>;
}

/// Opens the data directory or reaches for the server.
pub(crate) fn open(sources: &Sources, at: &LibraryArgs) -> anyhow::Result<Box<dyn Library>> {
    match &at.url {
        Some(url) => Ok(Box::new(Remote::new(url, at.key.clone())?)),
        None => Ok(Box::new(Local::open(sources, &at.models)?)),
    }
}

/// Makes a collection; answers with what it became.
pub(crate) fn create_collection(target: &dyn Library, new: &NewCollection) -> anyhow::Result<Value> {
    let mut body = json!({ "name": new.collection });
    let given = [
        ("model", new.embedder.as_ref().map(|name| json!(name))),
        ("dimensions", new.dimensions.map(|number| json!(number))),
        ("chunk_tokens", new.chunk_tokens.map(|number| json!(number))),
        ("chunk_overlap", new.chunk_overlap.map(|number| json!(number))),
        ("passage_chars", new.passage_chars.map(|number| json!(number))),
        ("whole_documents", new.whole_documents.then_some(json!(true))),
        ("language", new.language.as_ref().map(|code| json!(code))),
        ("precision", new.precision.as_ref().map(|precision| json!(precision))),
    ];
    for (name, value) in given {
        if let Some(value) = value {
            body[name] = value;
        }
    }
    target.call("/v1/collections/create", &body)
}

/// Makes the collection where it is not there; where it is, its settings stay as they are.
pub(crate) fn ensure_collection(target: &dyn Library, new: &NewCollection) -> anyhow::Result<()> {
    let answer = target.call("/v1/collections/get-collection-list", &json!({}))?;
    let names = answer["collection_names"].as_array().into_iter().flatten();
    if names.into_iter().any(|name| *name == new.collection.as_str()) {
        return Ok(());
    }
    create_collection(target, new).map(drop)
}

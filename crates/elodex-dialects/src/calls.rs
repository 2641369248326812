//! The calls of the search API, parsed, each with how its answer is written.

use crate::problem::Problem;
use elodex_types::{
    CollectionInfo, CreateCollection, DocumentInfo, IndexStatus, Metadata, NewDocument, PageInfo,
    SearchRequest, SearchResponse, StatusCounts, Weights,
};
use serde::{Deserialize, Serialize};
use std::fmt::Debug;
use std::time::Duration;
use utoipa::ToSchema;

/// Writes an answer as a JSON body.
pub type Render<T> = fn(&T) -> Result<Vec<u8>, Problem>;

/// A parsed search request.
#[derive(Debug)]
pub struct SearchCall {
    /// What to run.
    pub request: SearchRequest,
    /// Whether more time may be spent for a better order: more candidates, exact comparison and, where none is named,
    /// the deployment's reranker.
    pub thorough: bool,
    /// The time the answer may take, where the request says.
    pub budget: Option<Duration>,
    /// How to write the answer.
    pub shape: Box<dyn SearchShape>,
}

/// How one request wants its results written.
pub trait SearchShape: Debug + Send + Sync {
    /// The JSON body of the answer.
    ///
    /// # Errors
    /// [`Fault::Bug`](elodex_types::Fault::Bug) when a score is not finite.
    fn render(&self, response: &SearchResponse) -> Result<Vec<u8>, Problem>;
}

/// A question about collections and documents.
#[derive(Debug, Clone)]
pub enum ReadCall {
    /// Documents by state.
    Status {
        /// Of which collection; `None`: of all.
        collection: Option<String>,
        /// Writes the answer.
        render: Render<StatusCounts>,
    },
    /// All collections.
    Collections {
        /// Writes the answer.
        render: Render<[CollectionInfo]>,
    },
    /// One collection.
    Collection {
        /// Its name.
        name: String,
        /// Writes the answer.
        render: Render<CollectionInfo>,
    },
    /// One document.
    Document {
        /// Its collection.
        collection: String,
        /// Its path.
        path: String,
        /// Whether its text is wanted.
        include_content: bool,
        /// Writes the answer.
        render: Render<DocumentInfo>,
    },
    /// Documents by path.
    Documents {
        /// Their collection.
        collection: String,
        /// What their paths begin with.
        prefix: String,
        /// The path they come after.
        after: Option<String>,
        /// How many at most; may be 0.
        limit: usize,
        /// Writes the answer.
        render: Render<[DocumentInfo]>,
    },
    /// One page.
    Page {
        /// Its collection.
        collection: String,
        /// Its document's path.
        path: String,
        /// From 0.
        page: u32,
        /// Whether its text is wanted.
        include_content: bool,
        /// Writes the answer.
        render: Render<PageInfo>,
    },
}

/// A change of collections or documents.
#[derive(Debug, Clone)]
pub enum WriteCall {
    /// Makes a collection; answered with 201.
    CreateCollection {
        /// Which.
        request: CreateCollection,
        /// Writes the answer.
        render: Render<CollectionInfo>,
    },
    /// Removes a collection and all in it.
    DeleteCollection {
        /// Its name.
        name: String,
        /// Writes the answer.
        render: Render<()>,
    },
    /// Changes a collection's fusion weights.
    SetWeights {
        /// Its name.
        name: String,
        /// The weights from now on.
        weights: Weights,
        /// Writes the answer.
        render: Render<CollectionInfo>,
    },
    /// Changes what a collection's labels decided.
    SetPolicy {
        /// Its name.
        name: String,
        /// The policy from now on, as JSON; `None`: none.
        policy: Option<String>,
        /// Writes the answer.
        render: Render<CollectionInfo>,
    },
    /// Adds a document; answered with 201 where the path is new.
    Add {
        /// To which collection.
        collection: String,
        /// The document.
        document: NewDocument,
        /// Whether it may replace another.
        overwrite: bool,
        /// Writes the answer.
        render: Render<()>,
    },
    /// Changes a document.
    Update {
        /// Its collection.
        collection: String,
        /// Its path.
        path: String,
        /// Its metadata from now on.
        metadata: Option<Metadata>,
        /// The step to try again.
        retry: Option<IndexStatus>,
        /// Writes the answer.
        render: Render<()>,
    },
    /// Deletes documents.
    Delete {
        /// Their collection.
        collection: String,
        /// Their paths.
        paths: Vec<String>,
        /// Writes the answer from the paths that existed.
        render: Render<[String]>,
    },
}

/// A file that is handed out by token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// A document as it was sent.
    Document,
    /// The image of a page.
    PageImage,
}

/// What a key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Permission {
    /// Run models and read.
    ReadOnly,
    /// Everything.
    All,
}

/// A key without the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyEntry {
    /// Names it.
    pub id: String,
    /// For people.
    pub name: String,
    /// What it may do.
    pub permission: Permission,
    /// Unix seconds.
    pub created: u64,
}

/// A call about API keys and the organization they belong to.
#[derive(Debug, Clone)]
pub enum KeysCall {
    /// Makes a key; answered with 201.
    Add {
        /// For people.
        name: String,
        /// What it may do.
        permission: Permission,
        /// Writes the answer from the key, which is shown this once.
        render: Render<String>,
    },
    /// All keys.
    List {
        /// Writes the answer.
        render: Render<[KeyEntry]>,
    },
    /// Makes a key useless.
    Delete {
        /// Its id.
        id: String,
        /// Writes the answer.
        render: Render<()>,
    },
    /// Changes a key.
    Update {
        /// Its id.
        id: String,
        /// Its name from now on.
        name: Option<String>,
        /// What it may do from now on.
        permission: Option<Permission>,
        /// Writes the answer.
        render: Render<()>,
    },
    /// The organization.
    Organization {
        /// Writes the answer.
        render: Render<()>,
    },
}

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counted {
    /// Documents added.
    Documents,
    /// Queries answered.
    Queries,
    /// Rerank calls.
    Rerank,
    /// Embed calls.
    Embed,
}

/// A question about what was used.
#[derive(Debug, Clone)]
pub enum UsageCall {
    /// By windows of time.
    Windows {
        /// What is counted.
        counted: Counted,
        /// Unix seconds of the first moment that counts.
        start: u64,
        /// Unix seconds of the first moment that no longer counts.
        end: u64,
        /// How long a window is.
        period: Period,
        /// Only these collections; `None`: all.
        collections: Option<Vec<String>>,
        /// Writes the answer.
        render: Render<[UsageWindow]>,
    },
    /// In total and in this month.
    Totals {
        /// What is counted.
        counted: &'static [Counted],
        /// Writes the answer from both.
        render: Render<[UsageTotals; 2]>,
    },
}

/// How long a window is. Windows begin at whole minutes, hours and days of UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ToSchema)]
#[schema(rename_all = "lowercase")]
pub enum Period {
    /// 60 seconds.
    Minutely,
    /// 3,600 seconds.
    Hourly,
    /// 86,400 seconds.
    Daily,
}

impl Period {
    /// Its length.
    pub fn seconds(self) -> u64 {
        match self {
            Period::Minutely => 60,
            Period::Hourly => 3_600,
            Period::Daily => 86_400,
        }
    }
}

/// What was used in a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UsageWindow {
    /// Unix seconds of its start.
    pub start: u64,
    /// What was used.
    pub totals: UsageTotals,
}

/// What was used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct UsageTotals {
    /// Calls or documents.
    pub count: u64,
    /// Their bytes.
    pub bytes: u64,
}

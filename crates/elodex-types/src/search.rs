//! The calls of the search API as every layer speaks them: dialects translate to and from these, `elodex-search` runs
//! them.

use crate::{Filter, IndexStatus, Metadata, Score, ScoreKind, Usage};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A document's content as a caller sends it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Content {
    /// Plain text.
    Text(String),
    /// Pages of text.
    Pages {
        /// From page 0.
        pages: Vec<String>,
        /// Whether text runs from one page to the next.
        continuous: bool,
    },
    /// A file; its type is told by the path's extension and the bytes.
    File(Vec<u8>),
}

impl Content {
    /// Bytes as sent.
    pub fn bytes(&self) -> u64 {
        match self {
            Content::Text(text) => text.len() as u64,
            Content::Pages { pages, .. } => pages.iter().map(|page| page.len() as u64).sum(),
            Content::File(bytes) => bytes.len() as u64,
        }
    }
}

/// A document to add.
#[derive(Debug, Clone, PartialEq)]
pub struct NewDocument {
    /// Unique in its collection.
    pub path: String,
    /// Its attributes.
    pub metadata: Metadata,
    /// What to read.
    pub content: Content,
}

/// A collection to make; what is `None` is the deployment's default.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CreateCollection {
    /// Its unique name.
    pub name: String,
    /// The embedder's name or alias.
    pub model: Option<String>,
    /// Width of the vectors; `None`: the model's full width.
    pub dimensions: Option<usize>,
    /// Tokens in a chunk.
    pub chunk_tokens: Option<usize>,
    /// Tokens that neighbouring chunks may share.
    pub chunk_overlap: Option<usize>,
    /// Characters of a fine passage.
    pub passage_chars: Option<usize>,
    /// One chunk per document, for texts that are short anyway.
    pub whole_documents: Option<bool>,
    /// ISO 639-1 code of its documents' language; `None`: detected.
    pub language: Option<String>,
    /// `f32` or `int8` vectors in the index.
    pub precision: Option<String>,
    /// Weights of the two lists in the fusion.
    pub weights: Option<Weights>,
}

/// What is known of a collection.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CollectionInfo {
    /// Its name.
    pub name: String,
    /// Unix seconds.
    pub created: u64,
    /// The embedder it is bound to.
    pub model: String,
    /// The embedding space it is bound to.
    pub fingerprint: String,
    /// Width of its vectors.
    pub dimensions: usize,
    /// Tokens in a chunk.
    pub chunk_tokens: usize,
    /// Tokens that neighbouring chunks may share.
    pub chunk_overlap: usize,
    /// Characters of a fine passage.
    pub passage_chars: usize,
    /// One chunk per document.
    pub whole_documents: bool,
    /// Its documents' language; `None`: detected.
    pub language: Option<String>,
    /// `f32` or `int8`.
    pub precision: String,
    /// Weights of the two lists in the fusion.
    pub weights: Weights,
    /// What labels decided, as JSON; dialects write it as that.
    #[serde(skip)]
    pub policy: Option<String>,
    /// Its documents by state.
    pub status: StatusCounts,
}

/// Documents by state, as ZeroEntropy counts them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct StatusCounts {
    /// All.
    pub num_documents: u64,
    /// `not_parsed` and `parsing`.
    pub num_parsing_documents: u64,
    /// `not_indexed` and `indexing`.
    pub num_indexing_documents: u64,
    /// `indexed`.
    pub num_indexed_documents: u64,
    /// Either failure.
    pub num_failed_documents: u64,
    /// UTF-8 bytes of the searchable text.
    pub num_indexed_bytes: u64,
    /// Chunks that can be found.
    pub num_chunks: u64,
}

/// What is known of a document.
#[derive(Debug, Clone, PartialEq)]
pub struct DocumentInfo {
    /// A UUID; changes with every version.
    pub id: String,
    /// Its collection.
    pub collection: String,
    /// Its path.
    pub path: String,
    /// Its attributes.
    pub metadata: Metadata,
    /// Where indexing stands.
    pub status: IndexStatus,
    /// Why it failed.
    pub failure: Option<String>,
    /// When the path was first added, in Unix milliseconds.
    pub created_ms: u64,
    /// Bytes as sent.
    pub size: u64,
    /// Pages, where it has them and is parsed.
    pub pages: Option<u32>,
    /// Its text, where asked for and parsed.
    pub content: Option<String>,
    /// Where its file can be fetched; made by the server.
    pub file_url: String,
}

/// What is known of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageInfo {
    /// A UUID; changes with the document's version.
    pub id: String,
    /// Its collection.
    pub collection: String,
    /// Its document.
    pub path: String,
    /// From 0.
    pub page: u32,
    /// Its text, where asked for and parsed.
    pub content: Option<String>,
}

/// Weights of the two lists in reciprocal-rank fusion; a list with weight 0 is not asked.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Weights {
    /// Of the dense list.
    pub dense: f32,
    /// Of the BM25 list.
    pub lexical: f32,
}

impl Default for Weights {
    fn default() -> Self {
        Self { dense: 1.0, lexical: 1.0 }
    }
}

/// One turn of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// `user`, `assistant` or `system`.
    pub role: String,
    /// What was said.
    pub content: String,
}

/// What a result is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// A document, by its best chunk.
    Documents,
    /// A page, by its best chunk.
    Pages,
    /// A chunk (about 2,000 characters).
    Chunks,
    /// The best fine passage (about 200 characters) of a chunk.
    Passages,
}

/// Whether and how the second stage runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Rerank {
    /// First stage only.
    #[default]
    Off,
    /// A reranker orders the best candidates.
    On {
        /// Its name or alias; `None`: the deployment's default.
        model: Option<String>,
        /// How many candidates it sees; `None`: the deployment's default.
        depth: Option<usize>,
    },
    /// As the collection's policy decides for each query: not at all where the first stage is clear, else to the
    /// policy's depth. Without a policy for the reranker it orders the deployment's number of candidates; without any
    /// reranker in the deployment the first stage stands. A threshold needs scores, so with one nothing is skipped.
    Auto {
        /// Its name or alias; `None`: the deployment's default.
        model: Option<String>,
    },
}

/// How the turns of a conversation become one query.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Conversation {
    /// By a chat model where one is configured, else by concatenation.
    #[default]
    Auto,
    /// The recent user turns, one after the other.
    Concatenate,
    /// A chat model rewrites them into one question; an error where none is configured.
    Rewrite,
}

/// A search.
#[derive(Debug, Clone, PartialEq)]
pub struct SearchRequest {
    /// Where to search.
    pub collection: String,
    /// What to look for; `None` with no messages: every document that meets the filter, by path.
    pub query: Option<String>,
    /// The turns before the query, oldest first.
    pub messages: Vec<Message>,
    /// How they are folded into the query.
    pub conversation: Conversation,
    /// What a result is.
    pub unit: Unit,
    /// Results at most.
    pub k: usize,
    /// Which documents take part.
    pub filter: Option<Filter>,
    /// Fusion weights; `None`: the collection's policy's, else the collection's.
    pub weights: Option<Weights>,
    /// Candidates of each list; `None`: the collection's policy's, else the deployment's default, and as many as `k`
    /// needs, up to 16,384.
    pub depth: Option<usize>,
    /// Compare with every vector instead of asking the graph.
    pub exact: bool,
    /// The second stage.
    pub rerank: Rerank,
    /// Drop results below; only on scores with an absolute scale, so only with a reranker.
    pub threshold: Option<f32>,
    /// Keep one of candidates that say the same.
    pub collapse: bool,
    /// Texts in the results.
    pub include_content: bool,
    /// Attributes in the results.
    pub include_metadata: bool,
    /// How each result got where it is.
    pub explain: bool,
    /// What an experiment splits traffic by, such as a user's or a session's id; `None`: the caller's key.
    pub experiment_key: Option<String>,
}

impl SearchRequest {
    /// A search for the `k` best of `unit` with everything else as usual.
    pub fn new(collection: impl Into<String>, query: impl Into<String>, unit: Unit, k: usize) -> Self {
        Self {
            collection: collection.into(),
            query: Some(query.into()),
            messages: Vec::new(),
            conversation: Conversation::Auto,
            unit,
            k,
            filter: None,
            weights: None,
            depth: None,
            exact: false,
            rerank: Rerank::Off,
            threshold: None,
            collapse: false,
            include_content: true,
            include_metadata: false,
            explain: false,
            experiment_key: None,
        }
    }
}

/// Whether the second stage did its work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum RerankStatus {
    /// It ordered every candidate it was to see.
    Full,
    /// Time ran out: the first `scored` candidates are in its order, the others behind them in the fused order.
    Partial {
        /// Candidates it scored.
        scored: usize,
        /// Why not all.
        reason: String,
    },
    /// The fused order stands.
    Skipped {
        /// Why.
        reason: String,
    },
}

/// The pipelines that an experiment compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Arm {
    /// Everything as the request and the collection have it.
    Control,
    /// The experiment's own settings.
    Treatment,
}

impl Arm {
    /// As written in reports, headers and labels.
    pub fn as_str(self) -> &'static str {
        match self {
            Arm::Control => "control",
            Arm::Treatment => "treatment",
        }
    }
}

/// Which pipeline of which experiment answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// The experiment's name.
    pub experiment: String,
    /// Its pipeline.
    pub arm: Arm,
}

/// A rank and a score in one list.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Place {
    /// From 1.
    pub rank: usize,
    /// In the list's own scale.
    pub score: f32,
}

/// How a result got where it is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Explanation {
    /// In the dense list, by cosine.
    pub dense: Option<Place>,
    /// In the BM25 list.
    pub lexical: Option<Place>,
    /// In the fused list.
    pub fused: Place,
    /// In the reranker's order, by its score for users.
    pub reranked: Option<Place>,
    /// What that order goes by: the reranker's raw output, and what its first stage counts beside it.
    pub logit: Option<f32>,
    /// Ranks gained by reranking; negative: lost.
    pub moved: i64,
    /// Paths of candidates that were dropped because they say the same.
    pub duplicates: Vec<String>,
}

/// One result.
#[derive(Debug, Clone, PartialEq)]
pub struct SearchHit {
    /// Its document.
    pub path: String,
    /// Its score and what that means.
    pub score: Score,
    /// The page, for [`Unit::Pages`].
    pub page: Option<u32>,
    /// Where in the document's text, as `[start, end)` in code points.
    pub span: (usize, usize),
    /// Pages it touches, `[first, last)`; `[0, 1)` for a document without pages.
    pub page_span: (u32, u32),
    /// Headings above it, outermost first.
    pub headings: Vec<String>,
    /// Its text (a document's: its best chunk's), where asked for.
    pub content: Option<String>,
    /// The document's attributes, where asked for.
    pub metadata: Option<Metadata>,
    /// Where asked for.
    pub explanation: Option<Explanation>,
    /// Where the document's file can be fetched; made by the server from [`Self::revision`].
    pub file_url: String,
    /// The document's version.
    pub revision: crate::Revision,
}

/// Where the time of a search went.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SearchTiming {
    /// Folding a conversation into the query.
    pub conversation: Duration,
    /// Embedding the query.
    pub embed: Duration,
    /// The dense list.
    pub dense: Duration,
    /// The BM25 list.
    pub lexical: Duration,
    /// Fusing, reading texts, collapsing.
    pub fuse: Duration,
    /// The second stage.
    pub rerank: Duration,
    /// All.
    pub total: Duration,
}

/// The answer to a [`SearchRequest`].
#[derive(Debug, Clone, PartialEq)]
pub struct SearchResponse {
    /// Best first.
    pub hits: Vec<SearchHit>,
    /// What the scores mean; `None` where nothing was asked for but a filter.
    pub score_kind: Option<ScoreKind>,
    /// What the second stage did.
    pub rerank: RerankStatus,
    /// The reranker that ran.
    pub reranker: Option<String>,
    /// Version of the calibration that made the reranker's scores probabilities.
    pub calibration: Option<String>,
    /// The experiment that took part in the answer.
    pub experiment: Option<Assignment>,
    /// What was searched for, after the conversation was folded in; empty where nothing was asked for but a filter.
    pub query: String,
    /// How the conversation became the query, where that is not what was asked for or not all of it was used.
    pub conversation_note: Option<String>,
    /// What the embedder read of a query that is longer than its window; BM25 and the reranker see it all.
    pub query_truncation: Option<crate::Truncation>,
    /// Candidates after fusion, before collapsing.
    pub candidates: usize,
    /// Tokens and bytes of both stages.
    pub usage: Usage,
    /// Where the time went.
    pub timing: SearchTiming,
}

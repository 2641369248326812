//! What a catalog keeps.

use elodex_types::{ChunkId, IndexStatus, Metadata, Revision, SpaceFingerprint, Weights};
use serde::{Deserialize, Serialize};
use std::ops::Range;
use std::time::SystemTime;
use uuid::Uuid;

/// Numbers a collection; never used twice in one catalog.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CollectionId(pub u32);

/// The embedding space a collection is bound to for life: what its documents are encoded with, and what a query must be
/// encoded with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Space {
    /// The embedder's name when the collection was made.
    pub model: String,
    /// Its identity at `dimensions`.
    pub fingerprint: SpaceFingerprint,
    /// Width of a vector.
    pub dimensions: usize,
}

/// How documents are cut.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunking {
    /// Tokens of the embedder's tokenizer in one chunk, title and heading path included.
    pub tokens: usize,
    /// Tokens that two neighbours may share.
    pub overlap: usize,
    /// Characters of a fine passage, about.
    pub passage_chars: usize,
    /// One chunk per document (per page where pages do not belong together), cut to the model's window.
    pub whole: bool,
}

/// How dense vectors are kept in the index. The catalog keeps f32.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// As computed.
    F32,
    /// One byte per component in memory for the search, f32 on disk for the final scores.
    #[default]
    Int8,
}

/// Everything that is chosen for a collection when it is made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CollectionSettings {
    /// Bound for life.
    pub space: Space,
    /// Bound for life.
    pub chunking: Chunking,
    /// Language of its documents as an ISO 639-1 code; `None`: detected for each document. Bound for life.
    pub language: Option<String>,
    /// Bound for life.
    pub precision: Precision,
    /// Can be changed.
    pub weights: Weights,
    /// What labels decided, as JSON that whoever searches reads; a catalog only keeps it. Can be changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
}

/// A named set of documents.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Collection {
    /// Its number.
    pub id: CollectionId,
    /// Its unique name.
    pub name: String,
    /// When it was made.
    pub created: SystemTime,
    /// How it works.
    pub settings: CollectionSettings,
    /// Terms of an average chunk, as the BM25 weights in its index assume; `None` until something is indexed.
    pub average_terms: Option<f32>,
}

/// What became of a [`NewDocument`](elodex_types::NewDocument).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accepted {
    /// The path is new.
    Created(Revision),
    /// The path had a document; the new one is searched instead as soon as it is indexed.
    Replaced(Revision),
    /// The path had this very document, indexed or under way: nothing to do.
    Unchanged(Revision),
}

/// One version of a document.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Document {
    /// Its version number.
    pub revision: Revision,
    /// Changes with the version.
    pub id: Uuid,
    /// Whose document it is.
    pub collection: CollectionId,
    /// Unique in the collection.
    pub path: String,
    /// Its attributes.
    pub metadata: Metadata,
    /// Where indexing stands.
    pub status: IndexStatus,
    /// Why it failed.
    pub failure: Option<String>,
    /// When the path was first added.
    pub created: SystemTime,
    /// When this version was accepted.
    pub updated: SystemTime,
    /// Bytes as sent.
    pub size: u64,
    /// The version under which content, text, chunks and vectors are kept: versions that differ in metadata only share
    /// them.
    pub source: Revision,
    /// What was found in the content; `None` until parsed.
    pub parsed: Option<ParsedInfo>,
    /// Whether this version is the one that searches see.
    pub live: bool,
}

/// What parsing found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParsedInfo {
    /// The title, where the format has one.
    pub title: Option<String>,
    /// ISO 639-1 code of the language its terms are analysed in; `None`: none that we know.
    pub language: Option<String>,
    /// Media type of what was read.
    pub media_type: String,
    /// Pages, where the document has them.
    pub pages: Option<u32>,
    /// UTF-8 bytes of the text.
    pub text_bytes: u64,
    /// Chunks it was cut into.
    pub chunks: u32,
    /// Terms of all chunks, for the average.
    pub terms: u64,
}

/// A document's text, cut: what parsing hands to the catalog.
#[derive(Debug, Clone, PartialEq)]
pub struct Parsed {
    /// The numbers.
    pub info: ParsedInfo,
    /// The whole text.
    pub text: String,
    /// Byte ranges of the pages in the text; empty where the document has none.
    pub pages: Vec<Range<usize>>,
    /// In order; at most [`ChunkId::MAX_CHUNKS`].
    pub chunks: Vec<Chunk>,
}

/// A piece of a document's text: the unit of retrieval.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunk {
    /// Where in the text, in bytes.
    pub bytes: Range<usize>,
    /// Where in the text, in code points.
    pub chars: Range<usize>,
    /// First page and the one after the last, where the document has pages.
    pub pages: Option<Range<u32>>,
    /// Headings above it, outermost first.
    pub headings: Vec<String>,
    /// Fine passages, in order.
    pub passages: Vec<Passage>,
}

/// A fine piece of a chunk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Passage {
    /// Where in the document's text, in bytes.
    pub bytes: Range<usize>,
    /// Where in the document's text, in code points.
    pub chars: Range<usize>,
}

/// Vectors of consecutive chunks of a revision.
#[derive(Debug, Clone, PartialEq)]
pub struct VectorSlice {
    /// Whose chunks.
    pub revision: Revision,
    /// The chunk whose vector comes first.
    pub first: u32,
    /// One vector of the space's width per chunk, row after row.
    pub vectors: Vec<f32>,
}

/// A change of a document without new content.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// Replaces the metadata of an indexed document; it is indexed anew without parsing or embedding.
    Metadata(Metadata),
    /// Tries again: `NotParsed` after a failed parse, `NotIndexed` after a failed indexing.
    Retry(IndexStatus),
}

/// A live chunk, as a query needs it.
#[derive(Debug, Clone, PartialEq)]
pub struct LiveChunk {
    /// Its id.
    pub id: ChunkId,
    /// Its document, shared by the chunks of one answer.
    pub document: std::sync::Arc<Document>,
    /// Where it lies.
    pub chunk: Chunk,
    /// Its text.
    pub text: String,
}

/// What must happen to an index, in the order of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum IndexOperation {
    /// The chunks of this revision must be in the index.
    Add(Revision),
    /// They must not: chunks 0 to `chunks`.
    Remove {
        /// Whose chunks.
        revision: Revision,
        /// How many it had.
        chunks: u32,
    },
}

/// Documents of a collection by state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// `not_parsed` and `parsing`.
    pub parsing: u64,
    /// `not_indexed` and `indexing`.
    pub indexing: u64,
    /// `indexed`.
    pub indexed: u64,
    /// Either failure.
    pub failed: u64,
    /// UTF-8 bytes of the text of live documents.
    pub indexed_bytes: u64,
    /// Live chunks.
    pub chunks: u64,
    /// Terms of the live chunks.
    pub terms: u64,
}

/// What a usage row counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UsageKind {
    /// Documents added.
    Documents,
    /// Queries answered.
    Queries,
    /// Rerank calls.
    Rerank,
    /// Embed calls.
    Embed,
}

/// What was used in one minute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageRow {
    /// What is counted.
    pub kind: UsageKind,
    /// The collection's name, or a model's.
    pub subject: String,
    /// Unix seconds of the minute's start.
    pub minute: u64,
    /// Calls or documents.
    pub count: u64,
    /// Their bytes.
    pub bytes: u64,
}

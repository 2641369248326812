//! The truth: collections, documents and what is known of them, durable and transactional.

use crate::{
    Accepted, Change, Chunk, Collection, CollectionId, CollectionSettings, Counts, Document, IndexOperation,
    LiveChunk, Parsed, Result, UsageKind, UsageRow, VectorSlice,
};
use elodex_types::{ChunkId, Content, IndexStatus, NewDocument, Revision, Weights};
use std::fmt::Debug;
use std::ops::{Bound, Range};

/// A catalog. Every method that changes something returns when the change is on disk; all of one call happens or
/// nothing.
///
/// # Life of a document
/// [`put`](Self::put) makes a revision `not_parsed`; ingestion finds it with [`pending`](CatalogView::pending), calls
/// [`begin`](Self::begin), [`store_parsed`](Self::store_parsed), [`store_vectors`](Self::store_vectors), writes the index
/// and calls [`publish`](Self::publish), which makes the revision live, the one before it not, and logs what the index
/// must forget. A revision that was replaced or deleted meanwhile answers these calls with `false`: its work is dropped.
///
/// # The index log
/// The last [`store_vectors`](Self::store_vectors) logs [`IndexOperation::Add`], [`publish`](Self::publish) and
/// [`delete`](Self::delete) log [`IndexOperation::Remove`]. An index that applies the log from where it was last flushed
/// is as good as new; [`trim_log`](Self::trim_log) says how far that is.
pub trait Catalog: Debug + Send + Sync + 'static {
    /// A reader's consistent state: later changes are not seen through it. Cheap; hold it for one request.
    ///
    /// # Errors
    /// As the backend fails.
    fn view(&self) -> Result<Box<dyn CatalogView + '_>>;

    /// A random number that this catalog was made with: what an index remembers of whom it belongs to.
    fn id(&self) -> u128;

    /// 32 random bytes that this catalog was made with, for signing file tokens.
    fn secret(&self) -> [u8; 32];

    /// Makes a collection.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`](crate::ErrorKind::Conflict) where the name is taken.
    fn create_collection(&self, name: &str, settings: CollectionSettings) -> Result<Collection>;

    /// Changes a collection's fusion weights.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound).
    fn set_weights(&self, collection: CollectionId, weights: Weights) -> Result<()>;

    /// Changes a collection's policy; `None` takes it away.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound).
    fn set_policy(&self, collection: CollectionId, policy: Option<String>) -> Result<()>;

    /// Remembers the average length that the BM25 weights in the index assume.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound).
    fn set_average_terms(&self, collection: CollectionId, average: f32) -> Result<()>;

    /// Removes a collection with its documents. Returns what it was.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound).
    fn delete_collection(&self, name: &str) -> Result<Collection>;

    /// Accepts documents, all or none. The same content under the same path is not read or embedded again: only
    /// metadata that differ make a new revision, which shares the old one's text, chunks and vectors.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`](crate::ErrorKind::Conflict) for a path that exists where not `overwrite`, or that comes
    /// twice in `documents`; [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) for the collection.
    fn put(
        &self,
        collection: CollectionId,
        documents: Vec<NewDocument>,
        overwrite: bool,
    ) -> Result<Vec<Accepted>>;

    /// Changes metadata or tries a failed document again. Returns the document as it is then.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound); [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) where its
    /// status does not allow the change.
    fn update(&self, collection: CollectionId, path: &str, change: Change) -> Result<Document>;

    /// Deletes documents. Returns the paths that existed, in the order given.
    ///
    /// # Errors
    /// As the backend fails.
    fn delete(&self, collection: CollectionId, paths: &[String]) -> Result<Vec<String>>;

    /// Marks revisions as `Parsing` (from `NotParsed`) or `Indexing` (from `NotIndexed`); again after a kill. Returns
    /// which are still wanted and wait for that.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for another status.
    fn begin(&self, revisions: &[Revision], status: IndexStatus) -> Result<Vec<bool>>;

    /// Keeps what parsing found; the revision is `not_indexed` then. What is parsed already answers `false`: chunks
    /// never change.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) where the numbers in `info` are not those of text, pages and
    /// chunks; [`ErrorKind::Full`](crate::ErrorKind::Full) and the like.
    fn store_parsed(&self, parsed: Vec<(Revision, Parsed)>) -> Result<Vec<bool>>;

    /// Keeps vectors, a revision's in as many slices as the caller likes, each behind the one before. What is stored
    /// already is passed over, so a slice may be sent again. The call that leaves no chunk without logs
    /// [`IndexOperation::Add`]; where all are there, as with a shared source, an empty slice that begins behind the last
    /// chunk does.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) where a slice begins behind the first chunk without a vector,
    /// ends behind the last chunk, or is not of whole vectors.
    fn store_vectors(&self, slices: Vec<VectorSlice>) -> Result<Vec<bool>>;

    /// Makes revisions live and `indexed`. Returns for each whether it is live, and the log entry of what it replaced. A
    /// revision that is live already stays so.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for one that is wanted and whose vectors are not stored.
    fn publish(&self, revisions: &[Revision]) -> Result<Vec<Published>>;

    /// Records a failure with its reason: `ParsingFailed` of what is to be parsed, `IndexingFailed` of what is. The live
    /// revision, if another, stays. Nothing happens to a revision that does not wait for that any more.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for another status.
    fn fail(&self, revision: Revision, status: IndexStatus, reason: &str) -> Result<()>;

    /// Forgets log entries up to and with `sequence`: the index has them on disk.
    ///
    /// # Errors
    /// As the backend fails.
    fn trim_log(&self, collection: CollectionId, sequence: u64) -> Result<()>;

    /// Adds to the usage counters.
    ///
    /// # Errors
    /// As the backend fails.
    fn add_usage(&self, rows: &[UsageRow]) -> Result<()>;

    /// Takes away about `limit` rows of what was deleted: rows of deleted collections, and text, chunks and vectors that
    /// no revision has any more. Deleting only marks them, so that it is quick; ingestion calls this between its work.
    /// Returns whether there is more.
    ///
    /// # Errors
    /// As the backend fails.
    fn purge(&self, limit: usize) -> Result<bool>;
}

/// What publishing did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Published {
    /// The revision is live; chunks of the one before, where there was one, leave the index.
    Live {
        /// The revision before and its chunks.
        replaced: Option<(Revision, u32)>,
    },
    /// It was replaced or deleted meanwhile: its own chunks leave the index.
    Superseded,
}

/// Reads of one consistent state. A collection that is gone has nothing: lists and counts of it are empty.
pub trait CatalogView {
    /// All collections, by name.
    ///
    /// # Errors
    /// As the backend fails.
    fn collections(&self) -> Result<Vec<Collection>>;

    /// A collection by its name.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound), with the names there are.
    fn collection(&self, name: &str) -> Result<Collection>;

    /// The newest revision under a path.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound).
    fn document(&self, collection: CollectionId, path: &str) -> Result<Document>;

    /// The newest revisions, ascending by the bytes of their paths, strictly after `after`, under `prefix`.
    ///
    /// # Errors
    /// As the backend fails.
    fn documents(
        &self,
        collection: CollectionId,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Document>>;

    /// The live revisions in ascending order of path, after `after`: for filters without a query and for rebuilding.
    ///
    /// # Errors
    /// As the backend fails.
    fn live_documents(
        &self,
        collection: CollectionId,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Document>>;

    /// A revision, while it is current or live.
    ///
    /// # Errors
    /// As the backend fails.
    fn revision(&self, revision: Revision) -> Result<Option<Document>>;

    /// The content as it was sent.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) where the source is gone.
    fn content(&self, document: &Document) -> Result<Content>;

    /// A byte range of the text, cut at the text's end. Both ends must lie between characters.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) where it is not parsed.
    fn text(&self, document: &Document, bytes: Range<usize>) -> Result<String>;

    /// Where a page lies in the text.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) for a page that is not there.
    fn page(&self, document: &Document, page: u32) -> Result<Range<usize>>;

    /// A parsed document's chunks `ordinals`, in order; those that are not there are left out.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) where it is not parsed.
    fn chunks(&self, document: &Document, ordinals: Range<u32>) -> Result<Vec<Chunk>>;

    /// The first chunk whose vector is not stored; how many there are where all are.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) where the source is gone.
    fn embedded(&self, document: &Document) -> Result<u32>;

    /// The vectors of `chunks`, row after row, chunks that are not there left out; `None` until all of the document's are
    /// stored.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) where the source is gone.
    fn vectors(&self, document: &Document, chunks: Range<u32>) -> Result<Option<Vec<f32>>>;

    /// The chunks that are live among `ids`, in the order of `ids`; the others are left out.
    ///
    /// # Errors
    /// As the backend fails.
    fn live_chunks(&self, collection: CollectionId, ids: &[ChunkId]) -> Result<Vec<LiveChunk>>;

    /// The values that live documents have under an attribute (each item of a list) within bounds, ascending by bytes;
    /// at most `limit`.
    ///
    /// # Errors
    /// As the backend fails.
    fn attribute_values(
        &self,
        collection: CollectionId,
        attribute: &str,
        bounds: (Bound<&str>, Bound<&str>),
        limit: usize,
    ) -> Result<Vec<String>>;

    /// Languages (ISO 639-1) of the live documents with their number.
    ///
    /// # Errors
    /// As the backend fails.
    fn languages(&self, collection: CollectionId) -> Result<Vec<(String, u64)>>;

    /// Documents by state.
    ///
    /// # Errors
    /// As the backend fails.
    fn counts(&self, collection: CollectionId) -> Result<Counts>;

    /// Revisions that ingestion has to act on, of all collections, in order of acceptance, after `after`.
    ///
    /// # Errors
    /// As the backend fails.
    fn pending(&self, after: Option<Revision>, limit: usize) -> Result<Vec<Document>>;

    /// What happened to the index after `sequence` (0: from the oldest entry kept), in order.
    ///
    /// # Errors
    /// As the backend fails.
    fn log(&self, collection: CollectionId, after: u64, limit: usize) -> Result<Vec<(u64, IndexOperation)>>;

    /// Usage of a kind within `[from, to)` Unix seconds, by minute.
    ///
    /// # Errors
    /// As the backend fails.
    fn usage(&self, kind: UsageKind, from: u64, to: u64) -> Result<Vec<UsageRow>>;
}

//! The derived side: chunks as points that can be searched. Whatever it loses is made again from the catalog.

use crate::{CollectionId, Precision, Result};
use elodex_types::{ChunkId, Metadata, SpaceFingerprint};
use std::fmt::Debug;
use std::sync::Arc;

/// What an index is made for.
#[derive(Debug, Clone, PartialEq)]
pub struct IndexSpec {
    /// [`Catalog::id`](crate::Catalog::id) of the catalog it is derived from.
    pub catalog: u128,
    /// The space of its vectors.
    pub fingerprint: SpaceFingerprint,
    /// Width of a vector.
    pub dimensions: usize,
    /// How vectors are kept.
    pub precision: Precision,
    /// Version of what its sparse vectors hold: how texts become terms and weights.
    pub terms: u32,
}

/// Where indexes live: one directory, one cluster.
pub trait IndexBackend: Debug + Send + Sync + 'static {
    /// Opens a collection's index, or makes it. One that is torn, belongs to another catalog or was made for another
    /// spec is thrown away with a warning in the log and made anew: it is derived.
    ///
    /// # Errors
    /// [`ErrorKind::Backend`](crate::ErrorKind::Backend), [`ErrorKind::Full`](crate::ErrorKind::Full).
    fn open(&self, collection: CollectionId, spec: &IndexSpec) -> Result<Opened>;

    /// Removes a collection's index; no error where there is none.
    ///
    /// # Errors
    /// As the backend fails.
    fn remove(&self, collection: CollectionId) -> Result<()>;

    /// The collections that have an index here.
    ///
    /// # Errors
    /// As the backend fails.
    fn collections(&self) -> Result<Vec<CollectionId>>;

    /// Reads what is stored of a collection's index and compares it with how it was written. Changes nothing; may take
    /// as long as reading all of it.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`](crate::ErrorKind::Conflict) where it was opened here, otherwise as the backend fails.
    fn verify(&self, collection: CollectionId) -> Result<Stored>;
}

/// What is stored of an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stored {
    /// Every byte is as it was written.
    Whole,
    /// The process that wrote it last ended without closing it, so not all of its bytes can be compared. What it lacks is
    /// caught up from the catalog when it is opened.
    Unclosed,
    /// None is there; it is made from the catalog when it is opened.
    Missing,
    /// Something else than was written: what, and the way out.
    Damaged(String),
}

/// An open index.
#[derive(Debug, Clone)]
pub struct Opened {
    /// The index.
    pub index: Arc<dyn ChunkIndex>,
    /// Whether it has just been made and is empty.
    pub fresh: bool,
}

/// A chunk to index.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// Its id.
    pub id: ChunkId,
    /// Its embedding, as wide as the spec says.
    pub dense: Vec<f32>,
    /// Its BM25 weights.
    pub terms: SparseVector,
    /// Its document's attributes.
    pub metadata: Metadata,
}

/// Term ids with weights, ascending by id, each id once.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SparseVector {
    /// Term ids.
    pub ids: Vec<u32>,
    /// Their weights.
    pub weights: Vec<f32>,
}

/// A found chunk.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Found {
    /// Which.
    pub id: ChunkId,
    /// Cosine similarity, or BM25.
    pub score: f32,
}

/// A filter in the algebra that every index has; [`Filter`](elodex_types::Filter)'s ranges are resolved to values
/// before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// Every one holds; an empty list holds.
    All(Vec<Condition>),
    /// At least one holds; an empty list does not.
    Any(Vec<Condition>),
    /// The attribute has one of these values; a list has one among its items.
    AnyOf {
        /// Its full name.
        attribute: String,
        /// An empty list never holds.
        values: Vec<String>,
    },
    /// The opposite of [`Condition::AnyOf`]: also holds where the attribute is missing.
    NoneOf {
        /// Its full name.
        attribute: String,
        /// An empty list always holds.
        values: Vec<String>,
    },
    /// The attribute is there (a list with at least one item).
    Has {
        /// Its full name.
        attribute: String,
    },
}

/// The index of one collection. Writes are seen by the next search.
pub trait ChunkIndex: Debug + Send + Sync + 'static {
    /// Writes points; one with the same id is replaced.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for a vector of another width or with a number that is not
    /// finite; nothing is written then.
    fn upsert(&self, points: &[Point]) -> Result<()>;

    /// Removes points; ids that are not there are no error.
    ///
    /// # Errors
    /// As the backend fails.
    fn remove(&self, ids: &[ChunkId]) -> Result<()>;

    /// The `limit` points nearest to `vector` by cosine among those that meet `condition`, best first; equal scores by
    /// ascending id. Approximate where `exact` is false.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) as for [`Self::upsert`].
    fn dense(
        &self,
        vector: &[f32],
        condition: Option<&Condition>,
        limit: usize,
        exact: bool,
    ) -> Result<Vec<Found>>;

    /// The `limit` points with the highest `Σ q(t) · idf(t) · w(t) > 0` over the terms of `query`, best first, equal
    /// scores by ascending id, where `idf(t) = ln(1 + (N − n(t) + 0.5) / (n(t) + 0.5))` over the index's points that
    /// have terms. A backend may count points that were removed or replaced until [`Self::optimise`].
    ///
    /// # Errors
    /// As the backend fails.
    fn lexical(
        &self,
        query: &SparseVector,
        condition: Option<&Condition>,
        limit: usize,
    ) -> Result<Vec<Found>>;

    /// Ids in ascending order, strictly after `after`: to compare with the catalog.
    ///
    /// # Errors
    /// As the backend fails.
    fn ids(&self, after: Option<ChunkId>, limit: usize) -> Result<Vec<ChunkId>>;

    /// Points there are, exactly.
    ///
    /// # Errors
    /// As the backend fails.
    fn len(&self) -> Result<u64>;

    /// Whether there is none.
    ///
    /// # Errors
    /// As the backend fails.
    fn is_empty(&self) -> Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Returns when everything written before survives a power cut.
    ///
    /// # Errors
    /// As the backend fails.
    fn flush(&self) -> Result<()>;

    /// Builds or renews what makes searches fast (a graph, merged segments), while searches go on. Returns whether
    /// anything was done.
    ///
    /// # Errors
    /// As the backend fails.
    fn optimise(&self) -> Result<bool>;

    /// Bytes on disk, where the backend knows.
    ///
    /// # Errors
    /// As the backend fails.
    fn disk_bytes(&self) -> Result<Option<u64>>;
}

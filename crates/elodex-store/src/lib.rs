//! Where documents are kept and found: a [`Catalog`] that is the truth, and a [`ChunkIndex`] per collection that is
//! derived from it.
//!
//! [`RedbCatalog`] keeps the truth in one file on this machine. [`MemoryIndex`] is the plainest index that is right:
//! tests use it as the oracle. The index for production is in `elodex-store-edge`; one crate per remote engine stands
//! beside it. The `conformance` feature holds the suites that every implementation passes.

mod backup;
mod catalog;
#[cfg(feature = "conformance")]
pub mod conformance;
mod error;
mod index;
mod memory;
mod records;
mod redb_catalog;

pub use backup::{BackupProgress, BackupSummary};
pub use catalog::{Catalog, CatalogView, Published};
pub use error::{Error, ErrorKind, Result};
pub use index::{ChunkIndex, Condition, Found, IndexBackend, IndexSpec, Opened, Point, SparseVector, Stored};
pub use memory::{MemoryBackend, MemoryIndex, check_dense, check_sparse};
pub use records::{
    Accepted, Change, Chunk, Chunking, Collection, CollectionId, CollectionSettings, Counts, Document,
    IndexOperation, LiveChunk, Parsed, ParsedInfo, Passage, Precision, Space, UsageKind, UsageRow,
    VectorSlice,
};
pub use redb_catalog::{CatalogOptions, CheckReport, RedbCatalog};

//! The embedded chunk index: one qdrant-edge shard per collection, in one folder each.
//!
//! A point has the named vectors `dense` (cosine) and `terms` (sparse, weighted by inverse document frequency at search
//! time) and its document's attributes under `m`, each with a keyword index.
//!
//! # What qdrant-edge 0.7 does not do, and what is done about it
//! - Loading a shard does not replay its write-ahead log: what was not flushed may be gone. The catalog's log is
//!   replayed by whoever opens the index.
//! - An update whose number is lower than its point's version is ignored. Numbers come from the write-ahead log, so a
//!   shard whose log lost its end must not be written to. A file names the boot of the machine under which the shard was
//!   last written to without a flush: after a kill within the same boot nothing is lost, after anything else the shard is
//!   thrown away and made again.
//! - The write-ahead log is never cut. It is cut here when the index is opened or optimised: its closed segments but the
//!   newest are removed while the shard is not loaded.
//! - `flush` panics where it fails and where another thread updates. Updates, flushes and optimisations exclude each
//!   other where they must, and panics are caught.
//! - Vectors lie in memory-mapped files that grow without being filled, so a full disk would end the process by a signal:
//!   writes are refused while less than [`LEAST_FREE_BYTES`] are free.
//!
//! # What differs from the contract's letter
//! The inverse document frequency counts points that were removed or replaced until the index is optimised, and of
//! candidates with equal scores at the end of the list any may be left out.

mod backend;
mod condition;
mod files;
mod folder;
mod index;
mod shard;

pub use backend::{EdgeBackend, EdgeOptions};
pub use folder::LEAST_FREE_BYTES;
pub use index::EdgeIndex;

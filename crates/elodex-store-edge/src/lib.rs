//! The embedded chunk index: one qdrant-edge shard per collection, in one folder each.
//!
//! A point has the named vectors `dense` (cosine) and `terms` (sparse, weighted by inverse document frequency at search
//! time) and its document's attributes under `m`, each with a keyword index.
//!
//! # What qdrant-edge 0.7 does not do, and what is done about it
//! - **Recovery.** Loading a shard does not replay its write-ahead log: what was not flushed may be gone. The catalog's
//!   log is replayed by whoever opens the index.
//! - **Numbers.** An update whose number is lower than its point's version is ignored without an error. Numbers come from
//!   the write-ahead log, so a shard whose log lost its end must not be written to. A kill loses nothing of the log, which
//!   is a mapped file; a power cut may. So `unflushed` names the boot of the machine under which the shard was last
//!   written to without a flush: found under another boot, the shard is thrown away and made again. Where the system does
//!   not name its boots, a kill counts as a power cut.
//! - **Torn files.** Reading a mapped file that was cut short ends the process by a signal. `flushed.json` lists the files
//!   and what they were like at the last flush; where they differ when the index is opened, it is made again.
//! - **Durability.** A flush leaves the closed segments of the log and the names of new files to the system: here they
//!   are brought to the disk as well.
//! - **Log.** It is never cut. Its closed segments but the newest (which says where the numbers go on) are removed when
//!   the index is opened, was optimised, or was flushed with more than 256 MiB of log. The shard is loaded again for that;
//!   searches wait meanwhile.
//! - **Panics.** `flush`, and with it the end of a shard, panics where it fails or where another thread updates. Updates
//!   and flushes exclude each other, and panics are caught and returned as errors; the process's panic hook still sees
//!   them. After an optimisation that failed, the index goes on but is made again when it is opened next.
//! - **A full disk.** Mapped files grow without being filled, so a full disk would end the process by a signal: writes are
//!   refused while less than [`LEAST_FREE_BYTES`] are free, optimisations while there is no room for a copy besides.
//!
//! # While an optimisation runs
//! Searches and writes go on; they wait only for the moment in which segments are exchanged and loaded. A flush waits
//! for its end, since what is removed meanwhile is in memory only, and so does the removal of the collection.
//!
//! # What differs from the contract's letter
//! - Points that were removed or replaced in a segment count in the frequencies of terms until the segment is written
//!   anew: by an optimisation once a tenth of it is gone. From then on scores are those of a new index.
//! - Of equal scores at the end of the list those with the lowest ids stay as long as no more than 32 of them fall out.

mod backend;
mod condition;
mod files;
mod folder;
mod index;
mod shard;

pub use backend::{EdgeBackend, EdgeOptions};
pub use folder::LEAST_FREE_BYTES;
pub use index::EdgeIndex;

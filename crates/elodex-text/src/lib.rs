//! Bytes to text with pages and exact offsets, text to chunks with fine passages, chunks to terms for BM25.
//!
//! [`extract`] reads a [`Source`] (a text, given pages, or a file) into an [`Extracted`]: one string, the byte ranges
//! of its pages and where its headings are. [`chunk`] cuts that into [`Chunk`]s under a token budget.
//! [`lexical`] makes the terms of a chunk or a query.
//!
//! Nothing here reads a disk or a network, and no input makes it panic.

mod chunk;
mod error;
mod extract;
pub mod lexical;

pub use chunk::{Chunk, ChunkSpec, Passage, chunk};
pub use error::{Error, ErrorKind, Result};
pub use extract::{ExtractLimits, Extracted, Format, Heading, PageFlow, Source, extract};

//! Bytes to text with pages and exact offsets, text to chunks with fine passages, chunks to terms for BM25.
//!
//! ```
//! use elodex_text::{ChunkSpec, ExtractLimits, Source, chunk, extract};
//!
//! let bytes = b"# Trains\n\nThe night train leaves at ten. It carries mail.\n";
//! let extracted = extract(Source::File { name: "trains.md", bytes }, &ExtractLimits::default())?;
//! assert_eq!(extracted.title.as_deref(), Some("Trains"));
//!
//! let words = |text: &str| text.split_whitespace().count();
//! let spec = ChunkSpec { tokens: 8, overlap: 0, ..ChunkSpec::default() };
//! let chunks = chunk(&extracted, &spec, &words)?;
//! assert_eq!(&extracted.text[chunks[1].bytes.clone()], "It carries mail.");
//! assert_eq!(chunks[1].with_headings(&extracted.text), "Trains\nIt carries mail.");
//! # Ok::<(), elodex_text::Error>(())
//! ```
//!
//! - [`extract`] reads a [`Source`] (a text, given pages, or a file) into an [`Extracted`]: one string, the byte ranges of
//!   its pages and where its headings begin. A file that is not what it seems is refused with what was seen; nothing is
//!   replaced or left out to get through. Every limit holds while a file is expanded, whatever it says about its size.
//! - [`chunk`] cuts the text under a budget of tokens, which the caller counts. Offsets are in bytes and in code points
//!   of [`Extracted::text`].
//! - [`lexical`] makes the terms of a chunk or a query.
//!
//! Nothing here reads a disk or a network, and time and memory grow with the input's size (and, in archives and PDF, with
//! what [`ExtractLimits`] lets it expand to). A PDF may make its parser panic: that becomes an error, after the process's
//! panic hook has had its say.

mod chunk;
mod error;
mod extract;
pub mod lexical;

pub use chunk::{Chunk, ChunkSpec, Passage, chunk};
pub use error::{Error, ErrorKind, Result};
pub use extract::{ExtractLimits, Extracted, Format, Heading, PageFlow, Source, extract};

//! Text to chunks under a token budget, each with its fine passages.

use crate::{Error, ErrorKind, Extracted, Result};
use std::ops::Range;

/// How to cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunkSpec {
    /// Most tokens of a chunk, its heading path included.
    pub tokens: usize,
    /// Most tokens that two neighbours share.
    pub overlap: usize,
    /// Characters of a fine passage, about.
    pub passage_chars: usize,
    /// One chunk per document, or per page where pages stand alone, whatever its length: for collections of short
    /// texts.
    pub whole: bool,
}

impl Default for ChunkSpec {
    fn default() -> Self {
        Self { tokens: 512, overlap: 64, passage_chars: 200, whole: false }
    }
}

/// A part of a document that is embedded and found as one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    /// Where in the text, in bytes.
    pub bytes: Range<usize>,
    /// Where in the text, in code points.
    pub chars: Range<usize>,
    /// First page and the one after the last, counted from 0, where the document has pages.
    pub pages: Option<Range<u32>>,
    /// Headings above it, outermost first. A heading that stands in the chunk is not among them.
    pub headings: Vec<String>,
    /// Fine passages, in order.
    pub passages: Vec<Passage>,
}

/// A few sentences of a chunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passage {
    /// Where in the document's text, in bytes.
    pub bytes: Range<usize>,
    /// Where in the document's text, in code points.
    pub chars: Range<usize>,
}

/// Cuts a document into chunks of at most `spec.tokens` tokens as `count_tokens` counts them.
///
/// # Errors
/// [`ErrorKind::Spec`] where no chunk can meet `spec`.
pub fn chunk(
    extracted: &Extracted,
    spec: &ChunkSpec,
    count_tokens: &(dyn Fn(&str) -> usize + Sync),
) -> Result<Vec<Chunk>> {
    let _ = (extracted, count_tokens);
    Err(Error::new(ErrorKind::Spec, format!("cannot cut into {} tokens yet", spec.tokens)))
}

//! Text to chunks under a token budget, each with its fine passages.

mod borders;
mod pack;
mod passages;
mod units;

use crate::{Error, ErrorKind, Extracted, Result};
use borders::CharOffsets;
use pack::Packer;
use std::ops::Range;

/// How to cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunkSpec {
    /// Most tokens of a chunk behind its headings, see [`Chunk::with_headings`].
    pub tokens: usize,
    /// Most tokens that two neighbours share, in whole sentences.
    pub overlap: usize,
    /// Characters of a fine passage, about: at most half as much again.
    pub passage_chars: usize,
    /// One chunk per document, or per page where pages stand alone, whatever its length: for collections of short
    /// texts. Such a chunk has no headings above it.
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
    /// Where in the text, in bytes, without white space at its ends.
    pub bytes: Range<usize>,
    /// Where in the text, in code points.
    pub chars: Range<usize>,
    /// First page and the one after the last, counted from 0, where the document has pages.
    pub pages: Option<Range<u32>>,
    /// Headings above it, outermost first. A heading that the chunk begins with is not among them. Where they would
    /// take more than a quarter of the chunk's tokens, the outer ones are left out.
    pub headings: Vec<String>,
    /// Fine passages, in order; they cover the chunk but for white space.
    pub passages: Vec<Passage>,
}

impl Chunk {
    /// The headings above the chunk, a line each, and the chunk's part of `text`: what [`ChunkSpec::tokens`] bounds.
    /// `text` is the text the chunk was cut from.
    pub fn with_headings(&self, text: &str) -> String {
        with_headings(self.headings.iter().map(String::as_str), &text[self.bytes.clone()])
    }
}

fn with_headings<'a>(headings: impl Iterator<Item = &'a str>, content: &str) -> String {
    let mut whole = String::with_capacity(content.len());
    for heading in headings {
        whole.push_str(heading);
        whole.push('\n');
    }
    whole.push_str(content);
    whole
}

/// A few sentences of a chunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passage {
    /// Where in the document's text, in bytes.
    pub bytes: Range<usize>,
    /// Where in the document's text, in code points.
    pub chars: Range<usize>,
}

/// Cuts a document into chunks of at most `spec.tokens` tokens as `count_tokens` counts them, special tokens included.
///
/// A chunk ends before a heading, unless it is small and the heading is a sibling or stands below; else at the end
/// of a paragraph, of a sentence, of a word; inside a word only where the word alone is over the budget, and never inside
/// a grapheme cluster that fits it. Neighbours that no heading separates share whole sentences. Every character that is
/// not white space is in a chunk. No chunk leaves a page that stands alone.
///
/// Each part of the text is counted about twice, never much more of it at once than fits a chunk.
///
/// # Errors
/// [`ErrorKind::Spec`] where `spec` contradicts itself or a single character takes more tokens than a chunk has, and
/// where pages or headings of `extracted` do not lie in its text.
pub fn chunk(
    extracted: &Extracted,
    spec: &ChunkSpec,
    count_tokens: &(dyn Fn(&str) -> usize + Sync),
) -> Result<Vec<Chunk>> {
    check(extracted, spec)?;
    let offsets = CharOffsets::new(&extracted.text);
    let mut packer = Packer::new(extracted, spec, count_tokens)?;
    let mut chunks = Vec::new();
    for region in units::regions(extracted) {
        packer.pack(region, &mut |draft| {
            let Some((first, last)) = draft.units.first().zip(draft.units.last()) else { return };
            let bytes = first.bytes.start..last.bytes.end;
            chunks.push(Chunk {
                chars: offsets.range(&bytes),
                pages: extracted.pages.as_ref().map(|pages| pages_of(pages, &bytes)),
                headings: draft.headings.iter().map(|&at| extracted.headings[at].text.clone()).collect(),
                passages: passages::passages(&extracted.text, &offsets, &draft.units, spec.passage_chars),
                bytes,
            });
        })?;
    }
    Ok(chunks)
}

fn check(extracted: &Extracted, spec: &ChunkSpec) -> Result<()> {
    if spec.tokens == 0 || spec.passage_chars == 0 {
        let message = format!(
            "a chunk of {} tokens with passages of {} characters holds nothing; use at least 1 of each",
            spec.tokens, spec.passage_chars
        );
        return Err(Error::new(ErrorKind::Spec, message));
    }
    if spec.overlap >= spec.tokens {
        let message = format!(
            "chunks of {} tokens cannot share {}; use an overlap below the chunk's tokens",
            spec.tokens, spec.overlap
        );
        return Err(Error::new(ErrorKind::Spec, message));
    }
    let mut end = 0;
    for page in extracted.pages.iter().flatten() {
        if page.start < end || extracted.text.get(page.clone()).is_none() {
            let message = format!("page {page:?} does not lie in the text, in order and between characters");
            return Err(Error::new(ErrorKind::Spec, message));
        }
        end = page.end;
    }
    let mut before = 0;
    for heading in &extracted.headings {
        if heading.at < before || !extracted.text.is_char_boundary(heading.at) {
            let message = format!(
                "heading at byte {} does not lie in the text, in order and between characters",
                heading.at
            );
            return Err(Error::new(ErrorKind::Spec, message));
        }
        before = heading.at;
    }
    Ok(())
}

/// The pages that a range touches.
fn pages_of(pages: &[Range<usize>], bytes: &Range<usize>) -> Range<u32> {
    let number = |position: usize| u32::try_from(position).unwrap_or(u32::MAX);
    let first = pages.partition_point(|page| page.end <= bytes.start);
    let last = pages.partition_point(|page| page.start < bytes.end);
    number(first)..number(last.max(first))
}

#[cfg(test)]
mod tests;

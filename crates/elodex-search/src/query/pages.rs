//! Which pages a piece of a document touches, and what a page's text is.

use crate::lexical::analyzer_of;
use crate::{Result, error};
use elodex_store::{CatalogView, Document, LiveChunk};
use std::collections::HashSet;
use std::ops::Range;

/// The page that a chunk counts for: of those it touches the one where it shares most different words with the query, of
/// equals the one with most of it, then the first; 0 where there are no pages.
pub(super) fn main_page(view: &dyn CatalogView, live: &LiveChunk, query: &str) -> Result<u32> {
    let Some(pages) = &live.chunk.pages else { return Ok(0) };
    if pages.len() <= 1 {
        return Ok(pages.start);
    }
    let language = live.document.parsed.as_ref().and_then(|parsed| parsed.language.as_deref());
    let analyzer = analyzer_of(language);
    let wanted: HashSet<String> = analyzer.terms(query).into_iter().collect();
    let chunk = &live.chunk.bytes;
    let mut best = (pages.start, (0, 0));
    for page in pages.clone() {
        let bytes = view.page(&live.document, page).map_err(error::of)?;
        let within =
            bytes.start.max(chunk.start) - chunk.start..bytes.end.min(chunk.end).saturating_sub(chunk.start);
        let text = live.text.get(within).unwrap_or_default();
        let words: HashSet<String> =
            analyzer.terms(text).into_iter().filter(|word| wanted.contains(word)).collect();
        let share = (words.len(), overlap(&bytes, chunk));
        if share > best.1 {
            best = (page, share);
        }
    }
    Ok(best.0)
}

/// Pages that a byte range inside a chunk touches, `[first, last)`; `(0, 1)` where there are no pages.
pub(super) fn touched(view: &dyn CatalogView, live: &LiveChunk, bytes: &Range<usize>) -> Result<(u32, u32)> {
    let Some(pages) = &live.chunk.pages else { return Ok((0, 1)) };
    let mut touched: Option<(u32, u32)> = None;
    if pages.len() > 1 && *bytes != live.chunk.bytes {
        for page in pages.clone() {
            if overlap(&view.page(&live.document, page).map_err(error::of)?, bytes) > 0 {
                touched = Some((touched.map_or(page, |(first, _)| first), page + 1));
            }
        }
    }
    Ok(touched.unwrap_or((pages.start, pages.end.max(pages.start + 1))))
}

/// Bytes that two ranges share.
fn overlap(one: &Range<usize>, other: &Range<usize>) -> usize {
    one.end.min(other.end).saturating_sub(one.start.max(other.start))
}

/// A page's text and where it lies in code points. `near` is a chunk of the document: counting starts there. A document
/// without pages is one page.
pub(super) fn page_text(
    view: &dyn CatalogView,
    near: &LiveChunk,
    page: u32,
) -> Result<(String, (usize, usize))> {
    let document: &Document = &near.document;
    let bytes = match &document.parsed {
        Some(parsed) if parsed.pages.is_none() => 0..usize::try_from(parsed.text_bytes).unwrap_or(usize::MAX),
        _ => view.page(document, page).map_err(error::of)?,
    };
    let text = view.text(document, bytes.clone()).map_err(error::of)?;
    let known = &near.chunk;
    let characters = |range| Ok(view.text(document, range).map_err(error::of)?.chars().count());
    let start = if bytes.start <= known.bytes.start {
        known.chars.start.saturating_sub(characters(bytes.start..known.bytes.start)?)
    } else {
        known.chars.start + characters(known.bytes.start..bytes.start)?
    };
    let end = start + text.chars().count();
    Ok((text, (start, end)))
}

//! Chunks as points of an index, made of what the catalog has: the same point whenever it is made.

use crate::lexical::{analyzer_of, chunk_terms, chunk_weights, read_chunks};
use elodex_store::{CatalogView, ChunkIndex, Document, Error, ErrorKind, Point, Result};
use elodex_types::{ChunkId, Revision};
use std::borrow::Borrow;
use std::ops::Range;
use std::time::{Duration, Instant};

/// Points written at once: a few megabytes at the widest vectors.
const POINTS: u32 = 256;

/// Ids removed at once.
const REMOVED: usize = 4_096;

/// Chunks of a document; 0 before it is parsed.
pub(super) fn chunk_count(document: &Document) -> u32 {
    document.parsed.as_ref().map_or(0, |parsed| parsed.chunks)
}

/// The points of some of a document's chunks, whose vectors are stored.
fn points(
    view: &dyn CatalogView,
    document: &Document,
    ordinals: Range<u32>,
    average: f32,
) -> Result<Vec<Point>> {
    let broken = |what: &str| {
        let message = format!("chunks of `{:.200}`, version {}: {what}", document.path, document.revision);
        Error::new(ErrorKind::Bug, message)
    };
    let chunks = read_chunks(view, document, ordinals.clone())?;
    let vectors = view.vectors(document, ordinals.clone())?.ok_or_else(|| broken("no vectors are stored"))?;
    if chunks.len() != ordinals.len() || vectors.len() % ordinals.len() != 0 {
        return Err(broken(&format!("{} chunks and {} components", chunks.len(), vectors.len())));
    }
    let language = document.parsed.as_ref().and_then(|parsed| parsed.language.as_deref());
    let analyzer = analyzer_of(language);
    let width = vectors.len() / ordinals.len();
    let rows = ordinals.zip(&chunks).zip(vectors.chunks_exact(width.max(1)));
    let point = |((ordinal, (_, text)), vector): ((u32, &(_, String)), &[f32])| {
        let id = ChunkId::new(document.revision, ordinal).ok_or_else(|| broken("there are too many"))?;
        let (counts, length) = chunk_terms(&analyzer, text);
        Ok(Point {
            id,
            dense: vector.to_vec(),
            terms: chunk_weights(&counts, length, average),
            metadata: document.metadata.clone(),
        })
    };
    rows.map(point).collect()
}

/// Writes the points of documents whose vectors are stored. `wrote` is told of some points at a time, and how long the index
/// took for them: one document may have many.
pub(super) fn upsert<D: Borrow<Document>>(
    view: &dyn CatalogView,
    index: &dyn ChunkIndex,
    documents: &[D],
    average: f32,
    wrote: &mut dyn FnMut(u64, Duration),
) -> Result<()> {
    let mut waiting: Vec<Point> = Vec::new();
    let mut write = |points: &[Point]| -> Result<()> {
        let started = Instant::now();
        index.upsert(points)?;
        wrote(points.len() as u64, started.elapsed());
        Ok(())
    };
    for document in documents {
        let document = document.borrow();
        let count = chunk_count(document);
        let mut start = 0;
        while start < count {
            let end = count.min(start + POINTS);
            waiting.extend(points(view, document, start..end, average)?);
            start = end;
            if waiting.len() >= POINTS as usize {
                write(&waiting)?;
                waiting.clear();
            }
        }
    }
    if waiting.is_empty() { Ok(()) } else { write(&waiting) }
}

/// Removes the chunks of revisions, given with their number, from an index.
pub(super) fn remove(index: &dyn ChunkIndex, revisions: &[(Revision, u32)]) -> Result<()> {
    let mut ids = Vec::new();
    for &(revision, chunks) in revisions {
        for ordinal in 0..chunks {
            ids.extend(ChunkId::new(revision, ordinal));
            if ids.len() == REMOVED {
                index.remove(&ids)?;
                ids.clear();
            }
        }
    }
    if !ids.is_empty() {
        index.remove(&ids)?;
    }
    Ok(())
}

/// The mean number of terms in a chunk; `None` where there is none.
pub(super) fn mean_terms(terms: u64, chunks: u64) -> Option<f32> {
    (chunks > 0).then(|| terms as f32 / chunks as f32)
}

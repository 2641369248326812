//! What ingestion reports: work begun, parsed, embedded, live, failed.

use super::rows::{DocumentRow, ParsedSource, decode};
use super::sources;
use super::trouble::{Result, Trouble};
use super::writing::Writing;
use crate::{Collection, Error, ErrorKind, IndexOperation, Parsed, Published, VectorSlice};
use elodex_types::{ChunkId, IndexStatus, Revision};
use redb::ReadableTable;

use IndexStatus::{Indexed, Indexing, IndexingFailed, NotIndexed, NotParsed, Parsing, ParsingFailed};

/// See [`Catalog::begin`](crate::Catalog::begin).
pub(super) fn begin(
    writing: &mut Writing<'_>,
    revisions: &[Revision],
    status: IndexStatus,
) -> Result<Vec<bool>> {
    let from = match status {
        Parsing => [NotParsed, Parsing],
        Indexing => [NotIndexed, Indexing],
        other => return Err(invalid(format!("work on a document cannot begin as `{other}`"))),
    };
    let mut wanted = Vec::with_capacity(revisions.len());
    for revision in revisions {
        match writing.wanted(*revision)? {
            Some(row) if from.contains(&row.status) => {
                set_status(writing, *revision, row, status)?;
                wanted.push(true);
            }
            _ => wanted.push(false),
        }
    }
    Ok(wanted)
}

fn invalid(message: String) -> Trouble {
    Trouble::Refused(Error::new(ErrorKind::Invalid, message))
}

fn set_status(
    writing: &mut Writing<'_>,
    revision: Revision,
    mut row: DocumentRow,
    status: IndexStatus,
) -> Result<DocumentRow> {
    writing.count_status(&row, false)?;
    row.status = status;
    writing.count_status(&row, true)?;
    if !status.is_pending() {
        writing.tables.pending.remove(revision.0)?;
    }
    writing.save_document(revision.0, &row)?;
    Ok(row)
}

/// See [`Catalog::store_parsed`](crate::Catalog::store_parsed).
pub(super) fn store_parsed(writing: &mut Writing<'_>, parsed: Vec<(Revision, Parsed)>) -> Result<Vec<bool>> {
    for (revision, parsed) in &parsed {
        require_consistent(*revision, parsed)?;
    }
    let mut wanted = Vec::with_capacity(parsed.len());
    for (revision, parsed) in parsed {
        match writing.wanted(revision)? {
            Some(row) if matches!(row.status, NotParsed | Parsing) => {
                store_one_parsed(writing, revision, row, parsed)?;
                wanted.push(true);
            }
            _ => wanted.push(false),
        }
    }
    Ok(wanted)
}

fn require_consistent(revision: Revision, parsed: &Parsed) -> Result<()> {
    let Parsed { info, text, pages, chunks } = parsed;
    let consistent = info.text_bytes == text.len() as u64
        && info.chunks as usize == chunks.len()
        && info.pages.unwrap_or(0) as usize == pages.len();
    if !consistent {
        return Err(invalid(format!(
            "revision {revision}: {} bytes, {} chunks and {} pages are not what its numbers say",
            text.len(),
            chunks.len(),
            pages.len()
        )));
    }
    if info.chunks > ChunkId::MAX_CHUNKS {
        return Err(invalid(format!(
            "revision {revision} has {} chunks, at most {} are allowed; split the document",
            info.chunks,
            ChunkId::MAX_CHUNKS
        )));
    }
    Ok(())
}

fn store_one_parsed(
    writing: &mut Writing<'_>,
    revision: Revision,
    mut row: DocumentRow,
    parsed: Parsed,
) -> Result<()> {
    let mut source = writing.source(row.source)?;
    source.parsed = Some(ParsedSource {
        text: parsed.info.text_bytes,
        pages: parsed.pages.len() as u32,
        chunks: parsed.info.chunks,
    });
    writing.save_source(row.source, &source)?;
    let tables = &mut writing.tables;
    sources::store_text(&mut tables.text, row.source, &parsed.text)?;
    sources::store_pages(&mut tables.pages, row.source, &parsed.pages)?;
    sources::store_chunks(&mut tables.chunks, row.source, parsed.chunks)?;
    row.parsed = Some(parsed.info);
    set_status(writing, revision, row, NotIndexed)?;
    Ok(())
}

/// See [`Catalog::store_vectors`](crate::Catalog::store_vectors).
pub(super) fn store_vectors(writing: &mut Writing<'_>, slices: Vec<VectorSlice>) -> Result<Vec<bool>> {
    // What each needs, before anything is written.
    let mut rows = Vec::with_capacity(slices.len());
    for slice in &slices {
        let row = writing.wanted(slice.revision)?.filter(|row| matches!(row.status, NotIndexed | Indexing));
        let Some(row) = row else {
            rows.push(None);
            continue;
        };
        let width = width(writing, row.collection)?;
        let end = end_of(writing, &row, width, slice)?;
        rows.push(Some((row, width, end)));
    }
    let mut wanted = Vec::with_capacity(slices.len());
    for (slice, row) in slices.into_iter().zip(rows) {
        wanted.push(row.is_some());
        let Some((row, width, end)) = row else { continue };
        store_slice(writing, &slice, row, width, end)?;
    }
    Ok(wanted)
}

fn width(writing: &Writing<'_>, collection: u32) -> Result<u32> {
    let row = writing.tables.collections.get(collection)?;
    let row = row.ok_or_else(|| super::corrupt(format!("collection {collection} is missing")))?;
    let collection: Collection = decode(row.value())?;
    Ok(collection.settings.space.dimensions as u32)
}

/// The chunk behind a slice's last one; refuses a slice that does not fit what is stored.
fn end_of(writing: &Writing<'_>, row: &DocumentRow, width: u32, slice: &VectorSlice) -> Result<u32> {
    let stored = writing.source(row.source)?.embedded;
    let VectorSlice { revision, first, vectors } = slice;
    let width = width as usize;
    let end = u32::try_from(vectors.len() / width.max(1)).ok().and_then(|rows| first.checked_add(rows));
    match end.filter(|end| *end <= row.chunks()) {
        Some(end) if *first <= stored && vectors.len() == (end - first) as usize * width => Ok(end),
        _ => Err(invalid(format!(
            "revision {revision} has {} chunks in a space of {width} dimensions, {stored} of them with vectors: {} \
             components from chunk {first} on do not fit",
            row.chunks(),
            vectors.len()
        ))),
    }
}

fn store_slice(
    writing: &mut Writing<'_>,
    slice: &VectorSlice,
    mut row: DocumentRow,
    width: u32,
    end: u32,
) -> Result<()> {
    let mut source = writing.source(row.source)?;
    if source.width.is_none() || end > source.embedded {
        let known = (source.embedded - slice.first) as usize * width as usize;
        let new = slice.vectors.get(known..).unwrap_or_default();
        sources::store_vectors(&mut writing.tables.vectors, row.source, width, source.embedded, new)?;
        source.width = Some(width);
        source.embedded = end;
        writing.save_source(row.source, &source)?;
    }
    if source.complete_width().is_some() && !row.added {
        row.added = true;
        writing.save_document(slice.revision.0, &row)?;
        writing.append_log(row.collection, IndexOperation::Add(slice.revision))?;
    }
    Ok(())
}

/// See [`Catalog::publish`](crate::Catalog::publish).
pub(super) fn publish(writing: &mut Writing<'_>, revisions: &[Revision]) -> Result<Vec<Published>> {
    for revision in revisions {
        let Some(row) = writing.wanted(*revision)? else { continue };
        let ready = row.added && matches!(row.status, NotIndexed | Indexing | Indexed);
        if !ready {
            return Err(invalid(format!(
                "revision {revision} is `{}`{}: it cannot be published",
                row.status,
                if row.added { "" } else { " and its vectors are not stored" }
            )));
        }
    }
    revisions.iter().map(|revision| publish_one(writing, *revision)).collect()
}

fn publish_one(writing: &mut Writing<'_>, revision: Revision) -> Result<Published> {
    let Some(mut row) = writing.wanted(revision)? else { return Ok(Published::Superseded) };
    if row.live {
        return Ok(Published::Live { replaced: None });
    }
    row.live = true;
    row.failure = None;
    let row = set_status(writing, revision, row, Indexed)?;
    writing.count_live(&row, true)?;
    let before = writing
        .tables
        .live
        .insert((row.collection, row.path.as_str()), revision.0)?
        .map(|before| before.value());
    let Some(before) = before else { return Ok(Published::Live { replaced: None }) };
    let old = writing.named_document(before)?;
    writing.drop_revision(before, &old)?;
    Ok(Published::Live { replaced: Some((Revision(before), old.chunks())) })
}

/// See [`Catalog::fail`](crate::Catalog::fail).
pub(super) fn fail(
    writing: &mut Writing<'_>,
    revision: Revision,
    status: IndexStatus,
    reason: &str,
) -> Result<()> {
    let waiting = match status {
        ParsingFailed => [NotParsed, Parsing],
        IndexingFailed => [NotIndexed, Indexing],
        _ => return Err(invalid(format!("`{status}` is not a failure"))),
    };
    let row = writing.wanted(revision)?.filter(|row| waiting.contains(&row.status));
    let Some(mut row) = row else { return Ok(()) };
    row.failure = Some(reason.to_owned());
    set_status(writing, revision, row, status)?;
    Ok(())
}

//! What ingestion reports: work begun, parsed, embedded, live, failed.

use super::rows::{DocumentRow, ParsedSource, decode};
use super::sources;
use super::trouble::{Result, Trouble};
use super::writing::Writing;
use crate::{Collection, Error, ErrorKind, IndexOperation, Parsed, Published};
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
pub(super) fn store_vectors(
    writing: &mut Writing<'_>,
    vectors: Vec<(Revision, Vec<f32>)>,
) -> Result<Vec<bool>> {
    // What each needs, before anything is written.
    let mut rows = Vec::with_capacity(vectors.len());
    for (revision, vectors) in &vectors {
        let row = writing.wanted(*revision)?.filter(|row| matches!(row.status, NotIndexed | Indexing));
        let Some(row) = row else {
            rows.push(None);
            continue;
        };
        let width = width(writing, row.collection)?;
        require_vectors(writing, *revision, &row, width, vectors)?;
        rows.push(Some((row, width)));
    }
    let mut wanted = Vec::with_capacity(vectors.len());
    for ((revision, vectors), row) in vectors.into_iter().zip(rows) {
        wanted.push(row.is_some());
        let Some((mut row, width)) = row else { continue };
        let mut source = writing.source(row.source)?;
        if source.width.is_none() {
            sources::store_vectors(&mut writing.tables.vectors, row.source, width, &vectors)?;
            source.width = Some(width);
            writing.save_source(row.source, &source)?;
        }
        if !row.added {
            row.added = true;
            writing.save_document(revision.0, &row)?;
            writing.append_log(row.collection, IndexOperation::Add(revision))?;
        }
    }
    Ok(wanted)
}

fn width(writing: &Writing<'_>, collection: u32) -> Result<u32> {
    let row = writing.tables.collections.get(collection)?;
    let row = row.ok_or_else(|| super::corrupt(format!("collection {collection} is missing")))?;
    let collection: Collection = decode(row.value())?;
    Ok(collection.settings.space.dimensions as u32)
}

fn require_vectors(
    writing: &Writing<'_>,
    revision: Revision,
    row: &DocumentRow,
    width: u32,
    vectors: &[f32],
) -> Result<()> {
    let needed = row.chunks() as usize * width as usize;
    let stored = writing.source(row.source)?.width.is_some();
    if vectors.len() == needed || (stored && vectors.is_empty()) {
        return Ok(());
    }
    Err(invalid(format!(
        "revision {revision} has {} chunks in a space of {width} dimensions: {needed} components are needed, not {}",
        row.chunks(),
        vectors.len()
    )))
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
    if !matches!(status, ParsingFailed | IndexingFailed) {
        return Err(invalid(format!("`{status}` is not a failure")));
    }
    let Some(mut row) = writing.wanted(revision)? else { return Ok(()) };
    if !row.status.is_pending() {
        return Ok(());
    }
    row.failure = Some(reason.to_owned());
    set_status(writing, revision, row, status)?;
    Ok(())
}

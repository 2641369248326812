//! Taking away, a bounded batch at a time, the rows of what is deleted already: collections and sources.

use super::rows::decode;
use super::tables::PieceKey;
use super::trouble::Result;
use super::writing::{Writing, gone_collection};
use crate::{Collection, CollectionId, Error, ErrorKind};
use redb::{Key, ReadableTable, Table, Value};
use std::ops::Range;

/// See [`Catalog::delete_collection`](crate::Catalog::delete_collection): from here on nothing of it is seen.
pub(super) fn delete_collection(writing: &mut Writing<'_>, name: &str) -> Result<Collection> {
    let Some(id) = writing.tables.names.remove(name)?.map(|row| row.value()) else {
        return Err(Error::new(ErrorKind::NotFound, format!("there is no collection `{name}`")).into());
    };
    let row = writing.tables.collections.remove(id)?.map(|row| decode(row.value()));
    let collection = row.unwrap_or_else(|| Err(gone_collection(CollectionId(id))))?;
    writing.tables.doomed.insert(id, ())?;
    Ok(collection)
}

/// See [`Catalog::purge`](crate::Catalog::purge). A row, or a path with its revisions, costs one of `limit`.
pub(super) fn purge(writing: &mut Writing<'_>, limit: usize) -> Result<bool> {
    let mut left = limit;
    // Sources first: they hold the room on disk.
    while left > 0 {
        let Some(source) = writing.tables.orphans.first()?.map(|(key, _)| key.value()) else { break };
        purge_source(writing, source, &mut left)?;
    }
    while left > 0 {
        let Some(collection) = writing.tables.doomed.first()?.map(|(key, _)| key.value()) else { break };
        purge_collection(writing, collection, &mut left)?;
    }
    Ok(writing.tables.orphans.first()?.is_some() || writing.tables.doomed.first()?.is_some())
}

fn purge_source(writing: &mut Writing<'_>, source: u64, left: &mut usize) -> Result<()> {
    let tables = &mut writing.tables;
    for table in
        [&mut tables.content, &mut tables.text, &mut tables.pages, &mut tables.chunks, &mut tables.vectors]
    {
        take_piece_rows(table, source, left)?;
    }
    if *left > 0 {
        *left -= 1;
        tables.sources.remove(source)?;
        tables.orphans.remove(source)?;
    }
    Ok(())
}

fn take_piece_rows(
    table: &mut Table<'_, PieceKey, &'static [u8]>,
    source: u64,
    left: &mut usize,
) -> Result<()> {
    take(table, (source, 0)..(source + 1, 0), left)
}

fn purge_collection(writing: &mut Writing<'_>, collection: u32, left: &mut usize) -> Result<()> {
    let (from, to) = (collection, collection + 1);
    while *left > 0 {
        let path = {
            let mut paths = writing.tables.current.range((from, "")..(to, ""))?;
            let Some(row) = paths.next() else { break };
            row?.0.value().1.to_owned()
        };
        forget_path(writing, collection, &path)?;
        *left -= 1;
    }
    let tables = &mut writing.tables;
    take(&mut tables.log, (from, 0)..(to, 0), left)?;
    take(&mut tables.values, (from, "", "")..(to, "", ""), left)?;
    take(&mut tables.languages, (from, "")..(to, ""), left)?;
    if *left > 0 {
        *left -= 1;
        writing.tables.doomed.remove(collection)?;
        writing.forget_tally(collection)?;
    }
    Ok(())
}

fn forget_path(writing: &mut Writing<'_>, collection: u32, path: &str) -> Result<()> {
    let current = writing.tables.current.remove((collection, path))?.map(|row| row.value());
    let live = writing.tables.live.remove((collection, path))?.map(|row| row.value());
    for revision in current.into_iter().chain(live.filter(|live| Some(*live) != current)) {
        let row = writing.named_document(revision)?;
        writing.forget_revision(revision, &row)?;
    }
    Ok(())
}

/// Removes rows of a range, as many as are left to remove.
fn take<'k, K: Key + 'static, V: Value + 'static>(
    table: &mut Table<'_, K, V>,
    range: Range<K::SelfType<'k>>,
    left: &mut usize,
) -> Result<()>
where
    K::SelfType<'k>: Clone,
{
    if *left == 0 {
        return Ok(());
    }
    let mut rows = table.extract_from_if(range, |_, _| true)?;
    for row in rows.by_ref().take(*left) {
        row?;
        *left -= 1;
    }
    Ok(rows.close()?)
}

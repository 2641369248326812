//! Accepting, changing and deleting documents.

use super::rows::{DocumentRow, SourceRow};
use super::sources;
use super::trouble::{Result, Trouble};
use super::writing::Writing;
use crate::{Accepted, Change, CollectionId, Document, Error, ErrorKind};
use elodex_types::{IndexStatus, Metadata, NewDocument, Revision};
use std::collections::HashSet;
use uuid::Uuid;

/// A document with its content's hash.
pub(super) type Hashed = (NewDocument, [u8; 32]);

/// See [`Catalog::put`](crate::Catalog::put).
pub(super) fn put(
    writing: &mut Writing<'_>,
    collection: CollectionId,
    documents: Vec<Hashed>,
    overwrite: bool,
) -> Result<Vec<Accepted>> {
    writing.require_collection(collection)?;
    let mut paths = HashSet::with_capacity(documents.len());
    for (document, _) in &documents {
        if !paths.insert(document.path.as_str()) {
            return Err(conflict(format!("path `{}` comes twice in one request", document.path)));
        }
        if !overwrite && writing.current(collection.0, &document.path)?.is_some() {
            return Err(conflict(format!(
                "there is a document `{}` already; delete it first or allow to overwrite it",
                document.path
            )));
        }
    }
    documents.into_iter().map(|document| put_one(writing, collection.0, document)).collect()
}

fn conflict(message: String) -> Trouble {
    Trouble::Refused(Error::new(ErrorKind::Conflict, message))
}

fn put_one(writing: &mut Writing<'_>, collection: u32, (new, hash): Hashed) -> Result<Accepted> {
    let Some(current) = writing.current(collection, &new.path)? else {
        let created = writing.now;
        let revision = insert(writing, collection, new, hash, created)?;
        return Ok(Accepted::Created(Revision(revision)));
    };
    let before = writing.named_document(current)?;
    if !is_failed(before.status) && writing.source(before.source)?.hash == hash {
        if before.metadata == new.metadata {
            return Ok(Accepted::Unchanged(Revision(current)));
        }
        let (revision, _) = share(writing, &before, &before, new.metadata)?;
        supersede(writing, current, &before)?;
        return Ok(Accepted::Replaced(Revision(revision)));
    }
    let live = match writing.live(collection, &new.path)? {
        Some(live) if live != current => Some(writing.named_document(live)?),
        _ => None,
    };
    let revision = match live {
        Some(live) if writing.source(live.source)?.hash == hash => {
            share(writing, &before, &live, new.metadata)?.0
        }
        _ => insert(writing, collection, new, hash, before.created)?,
    };
    supersede(writing, current, &before)?;
    Ok(Accepted::Replaced(Revision(revision)))
}

fn is_failed(status: IndexStatus) -> bool {
    matches!(status, IndexStatus::ParsingFailed | IndexStatus::IndexingFailed)
}

/// A revision with content of its own.
fn insert(
    writing: &mut Writing<'_>,
    collection: u32,
    new: NewDocument,
    hash: [u8; 32],
    created: u64,
) -> Result<u64> {
    let revision = writing.new_revision()?;
    let source: SourceRow =
        sources::store_content(&mut writing.tables.content, revision, &new.content, hash)?;
    writing.save_source(revision, &source)?;
    let row = DocumentRow {
        id: Uuid::new_v4(),
        collection,
        size: new.content.bytes(),
        path: new.path,
        metadata: new.metadata,
        status: IndexStatus::NotParsed,
        failure: None,
        created,
        updated: writing.now,
        source: revision,
        parsed: None,
        live: false,
        added: false,
    };
    make_current(writing, revision, &row)?;
    Ok(revision)
}

/// A revision after `before` with the content of `owner`.
fn share(
    writing: &mut Writing<'_>,
    before: &DocumentRow,
    owner: &DocumentRow,
    metadata: Metadata,
) -> Result<(u64, DocumentRow)> {
    let revision = writing.new_revision()?;
    writing.share_source(owner.source)?;
    let row = DocumentRow {
        id: Uuid::new_v4(),
        collection: before.collection,
        path: before.path.clone(),
        metadata,
        status: if owner.parsed.is_some() { IndexStatus::NotIndexed } else { IndexStatus::NotParsed },
        failure: None,
        created: before.created,
        updated: writing.now,
        size: owner.size,
        source: owner.source,
        parsed: owner.parsed.clone(),
        live: false,
        added: false,
    };
    make_current(writing, revision, &row)?;
    Ok((revision, row))
}

fn make_current(writing: &mut Writing<'_>, revision: u64, row: &DocumentRow) -> Result<()> {
    writing.save_document(revision, row)?;
    writing.tables.current.insert((row.collection, row.path.as_str()), revision)?;
    writing.tables.pending.insert(revision, row.collection)?;
    writing.count_status(row, true)
}

/// Takes what was current out of the counts; it goes unless searches see it. Call it after the new revision shares its
/// source, which would be an orphan otherwise.
fn supersede(writing: &mut Writing<'_>, revision: u64, row: &DocumentRow) -> Result<()> {
    writing.count_status(row, false)?;
    if row.live {
        return Ok(());
    }
    writing.drop_revision(revision, row)
}

/// See [`Catalog::update`](crate::Catalog::update).
pub(super) fn update(
    writing: &mut Writing<'_>,
    collection: CollectionId,
    path: &str,
    change: Change,
) -> Result<Document> {
    writing.require_collection(collection)?;
    let Some(current) = writing.current(collection.0, path)? else {
        return Err(Error::new(ErrorKind::NotFound, format!("there is no document `{path}`")).into());
    };
    let mut row = writing.named_document(current)?;
    match change {
        Change::Metadata(metadata) => {
            require_status(path, row.status, IndexStatus::Indexed, "metadata can be changed")?;
            let (revision, new) = share(writing, &row, &row, metadata)?;
            supersede(writing, current, &row)?;
            Ok(new.into_document(revision))
        }
        Change::Retry(status) => {
            let failed = match status {
                IndexStatus::NotParsed => IndexStatus::ParsingFailed,
                IndexStatus::NotIndexed => IndexStatus::IndexingFailed,
                other => {
                    let message =
                        format!("a document cannot be set to `{other}`; use `not_parsed` or `not_indexed`");
                    return Err(Error::new(ErrorKind::Invalid, message).into());
                }
            };
            require_status(path, row.status, failed, &format!("it can be set to `{status}`"))?;
            writing.count_status(&row, false)?;
            row.status = status;
            row.failure = None;
            writing.count_status(&row, true)?;
            writing.save_document(current, &row)?;
            writing.tables.pending.insert(current, row.collection)?;
            Ok(row.into_document(current))
        }
    }
}

fn require_status(path: &str, is: IndexStatus, needed: IndexStatus, what: &str) -> Result<()> {
    if is == needed {
        return Ok(());
    }
    let message = format!("document `{path}` is `{is}`; {what} only while it is `{needed}`");
    Err(Error::new(ErrorKind::Invalid, message).into())
}

/// See [`Catalog::delete`](crate::Catalog::delete).
pub(super) fn delete(
    writing: &mut Writing<'_>,
    collection: CollectionId,
    paths: Vec<String>,
) -> Result<Vec<String>> {
    let mut deleted = Vec::new();
    if !writing.has_collection(collection.0)? {
        return Ok(deleted);
    }
    for path in paths {
        if remove(writing, collection.0, &path)? {
            deleted.push(path);
        }
    }
    Ok(deleted)
}

/// Removes a path with its revisions. Returns whether it was there.
fn remove(writing: &mut Writing<'_>, collection: u32, path: &str) -> Result<bool> {
    let Some(current) = writing.tables.current.remove((collection, path))?.map(|row| row.value()) else {
        return Ok(false);
    };
    let live = writing.tables.live.remove((collection, path))?.map(|row| row.value());
    let row = writing.named_document(current)?;
    writing.count_status(&row, false)?;
    writing.drop_revision(current, &row)?;
    if let Some(live) = live.filter(|live| *live != current) {
        let row = writing.named_document(live)?;
        writing.drop_revision(live, &row)?;
    }
    Ok(true)
}

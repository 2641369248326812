//! Reads of one consistent state: one read transaction.

use super::rows::{DocumentRow, SourceRow, Tally, decode};
use super::tables::{
    CHUNKS, COLLECTIONS, CONTENT, CURRENT, DOCUMENTS, LANGUAGES, LIVE, LOG, NAMES, PAGES, PENDING, SOURCES,
    TALLIES, TEXT, USAGE, VALUES, VECTORS,
};
use super::trouble::{Result, Trouble};
use super::{RedbCatalog, corrupt, sources};
use crate::{
    CatalogView, Chunk, Collection, CollectionId, Counts, Document, Error, ErrorKind, IndexOperation,
    LiveChunk, UsageKind, UsageRow,
};
use elodex_types::{ChunkId, Content, Revision};
use redb::{ReadOnlyTable, ReadTransaction, ReadableTable, TableDefinition};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ops::{Bound, Range};
use std::sync::Arc;

/// Names that a message lists at most.
const LISTED: usize = 10;

/// A view of a [`RedbCatalog`].
pub(super) struct View<'a> {
    pub(super) catalog: &'a RedbCatalog,
    pub(super) transaction: ReadTransaction,
}

impl View<'_> {
    fn documents_table(&self) -> Result<ReadOnlyTable<u64, &'static [u8]>> {
        Ok(self.transaction.open_table(DOCUMENTS)?)
    }

    fn has_collection(&self, collection: CollectionId) -> Result<bool> {
        Ok(self.transaction.open_table(COLLECTIONS)?.get(collection.0)?.is_some())
    }

    fn find_collection(&self, name: &str) -> Result<Collection> {
        let names = self.transaction.open_table(NAMES)?;
        let Some(id) = names.get(name)?.map(|id| id.value()) else {
            let mut listed = Vec::new();
            for row in names.iter()?.take(LISTED) {
                listed.push(format!("`{}`", row?.0.value()));
            }
            let message = match (listed.len(), redb::ReadableTableMetadata::len(&names)?) {
                (0, _) => format!("there is no collection `{name}` and no other; create it first"),
                (some, all) if all > some as u64 => {
                    format!("there is no collection `{name}`; there are {} and others", listed.join(", "))
                }
                _ => format!("there is no collection `{name}`; there are {}", listed.join(", ")),
            };
            return Err(not_found(message));
        };
        let collections = self.transaction.open_table(COLLECTIONS)?;
        let row =
            collections.get(id)?.ok_or_else(|| corrupt(format!("collection {id} (`{name}`) is missing")))?;
        decode(row.value())
    }

    fn find_document(&self, collection: CollectionId, path: &str) -> Result<Document> {
        let missing = || not_found(format!("there is no document `{path}`"));
        if !self.has_collection(collection)? {
            return Err(missing());
        }
        let current = self.transaction.open_table(CURRENT)?;
        let revision = current.get((collection.0, path))?.ok_or_else(missing)?.value();
        load(&self.documents_table()?, revision)
    }

    /// Documents that a table of paths names.
    fn list(
        &self,
        table: TableDefinition<'static, (u32, &'static str), u64>,
        collection: CollectionId,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Document>> {
        let mut found = Vec::new();
        if !self.has_collection(collection)? {
            return Ok(found);
        }
        let start = match after {
            Some(after) if after >= prefix => Bound::Excluded((collection.0, after)),
            _ => Bound::Included((collection.0, prefix)),
        };
        let documents = self.documents_table()?;
        let paths = self.transaction.open_table(table)?;
        for row in paths.range((start, Bound::Unbounded))? {
            let (key, revision) = row?;
            let (of, path) = key.value();
            if found.len() == limit || of != collection.0 || !path.starts_with(prefix) {
                break;
            }
            found.push(load(&documents, revision.value())?);
        }
        Ok(found)
    }

    fn find_revision(&self, revision: Revision) -> Result<Option<Document>> {
        let documents = self.documents_table()?;
        let Some(row) = documents.get(revision.0)? else { return Ok(None) };
        let row: DocumentRow = decode(row.value())?;
        let there = self.has_collection(CollectionId(row.collection))?;
        Ok(there.then(|| row.into_document(revision.0)))
    }

    /// The source of a document, unless its last revision is gone.
    fn source(&self, document: &Document) -> Result<SourceRow> {
        let sources = self.transaction.open_table(SOURCES)?;
        let row = sources.get(document.source.0)?.map(|row| decode::<SourceRow>(row.value())).transpose()?;
        row.filter(|row| row.references > 0).ok_or_else(|| {
            not_found(format!("document `{}` was replaced or deleted; ask for it again", document.path))
        })
    }

    fn parsed_source(&self, document: &Document) -> Result<super::rows::ParsedSource> {
        self.source(document)?.parsed.ok_or_else(|| {
            not_found(format!(
                "document `{}` is `{}`: its text is not known yet",
                document.path, document.status
            ))
        })
    }

    fn read_text(&self, document: &Document, bytes: Range<usize>) -> Result<String> {
        let parsed = self.parsed_source(document)?;
        let length = parsed.text as usize;
        let bytes = bytes.start.min(length)..bytes.end.min(length);
        let text = self.transaction.open_table(TEXT)?;
        let read = sources::read_text(&text, document.source.0, bytes.clone())?;
        String::from_utf8(read).map_err(|_| {
            let message = format!(
                "bytes {} to {} of document `{}` do not lie between characters",
                bytes.start, bytes.end, document.path
            );
            Error::new(ErrorKind::Invalid, message).into()
        })
    }

    fn read_page(&self, document: &Document, page: u32) -> Result<Range<usize>> {
        let pages = self.parsed_source(document)?.pages;
        if page >= pages {
            return Err(not_found(format!(
                "document `{}` has no page {page}: it has {pages}, counted from 0",
                document.path
            )));
        }
        sources::read_page(&self.transaction.open_table(PAGES)?, document.source.0, page)
    }

    fn read_chunks(&self, document: &Document, ordinals: Range<u32>) -> Result<Vec<Chunk>> {
        let last = self.parsed_source(document)?.chunks;
        let chunks = self.transaction.open_table(CHUNKS)?;
        (ordinals.start..ordinals.end.min(last))
            .map(|ordinal| sources::read_chunk(&chunks, document.source.0, ordinal))
            .collect()
    }

    fn read_vectors(&self, document: &Document, chunks: Range<u32>) -> Result<Option<Vec<f32>>> {
        let source = self.source(document)?;
        let (Some(parsed), Some(width)) = (source.parsed, source.complete_width()) else { return Ok(None) };
        let vectors = self.transaction.open_table(VECTORS)?;
        let chunks = chunks.start.min(parsed.chunks)..chunks.end.min(parsed.chunks);
        sources::read_vectors(&vectors, document.source.0, width, chunks).map(Some)
    }

    fn find_live_chunks(&self, collection: CollectionId, ids: &[ChunkId]) -> Result<Vec<LiveChunk>> {
        let mut found = Vec::with_capacity(ids.len());
        if !self.has_collection(collection)? {
            return Ok(found);
        }
        let documents = self.documents_table()?;
        let chunks = self.transaction.open_table(CHUNKS)?;
        let text = self.transaction.open_table(TEXT)?;
        let mut seen: HashMap<Revision, Option<Arc<Document>>> = HashMap::new();
        for id in ids {
            let revision = id.revision();
            let document = match seen.entry(revision) {
                Entry::Occupied(entry) => entry.into_mut(),
                Entry::Vacant(entry) => {
                    let row = documents.get(revision.0)?;
                    let row = row.map(|row| decode::<DocumentRow>(row.value())).transpose()?;
                    let row = row.filter(|row| row.live && row.collection == collection.0);
                    entry.insert(row.map(|row| Arc::new(row.into_document(revision.0))))
                }
            };
            let Some(document) = document else { continue };
            if document.parsed.as_ref().is_none_or(|parsed| id.ordinal() >= parsed.chunks) {
                continue;
            }
            let chunk = sources::read_chunk(&chunks, document.source.0, id.ordinal())?;
            let bytes = sources::read_text(&text, document.source.0, chunk.bytes.clone())?;
            let text = String::from_utf8(bytes).map_err(|_| {
                corrupt(format!(
                    "chunk {} of `{}` does not lie between characters",
                    id.ordinal(),
                    document.path
                ))
            })?;
            found.push(LiveChunk { id: *id, document: document.clone(), chunk, text });
        }
        Ok(found)
    }

    fn list_values(
        &self,
        collection: CollectionId,
        attribute: &str,
        (from, to): (Bound<&str>, Bound<&str>),
        limit: usize,
    ) -> Result<Vec<String>> {
        let mut found = Vec::new();
        if !self.has_collection(collection)? {
            return Ok(found);
        }
        let start = match from {
            Bound::Included(from) => Bound::Included((collection.0, attribute, from)),
            Bound::Excluded(from) => Bound::Excluded((collection.0, attribute, from)),
            Bound::Unbounded => Bound::Included((collection.0, attribute, "")),
        };
        let values = self.transaction.open_table(VALUES)?;
        for row in values.range((start, Bound::Unbounded))? {
            let (key, _) = row?;
            let (of, name, value) = key.value();
            let within = match to {
                Bound::Included(to) => value <= to,
                Bound::Excluded(to) => value < to,
                Bound::Unbounded => true,
            };
            if found.len() == limit || of != collection.0 || name != attribute || !within {
                break;
            }
            found.push(value.to_owned());
        }
        Ok(found)
    }

    fn list_languages(&self, collection: CollectionId) -> Result<Vec<(String, u64)>> {
        let mut found = Vec::new();
        if !self.has_collection(collection)? {
            return Ok(found);
        }
        let languages = self.transaction.open_table(LANGUAGES)?;
        for row in languages.range((collection.0, "")..(collection.0 + 1, ""))? {
            let (key, count) = row?;
            found.push((key.value().1.to_owned(), count.value()));
        }
        Ok(found)
    }

    fn read_counts(&self, collection: CollectionId) -> Result<Counts> {
        if !self.has_collection(collection)? {
            return Ok(Counts::default());
        }
        let tallies = self.transaction.open_table(TALLIES)?;
        let tally = tallies.get(collection.0)?.map(|row| decode::<Tally>(row.value())).transpose()?;
        Ok(tally.unwrap_or_default().counts)
    }

    fn list_pending(&self, after: Option<Revision>, limit: usize) -> Result<Vec<Document>> {
        let pending = self.transaction.open_table(PENDING)?;
        let documents = self.documents_table()?;
        let mut there = HashMap::new();
        let mut found = Vec::new();
        let start = after.map_or(Bound::Unbounded, |after| Bound::Excluded(after.0));
        for row in pending.range((start, Bound::Unbounded))? {
            if found.len() == limit {
                break;
            }
            let (revision, collection) = row?;
            let collection = collection.value();
            let is_there = match there.entry(collection) {
                Entry::Occupied(entry) => *entry.get(),
                Entry::Vacant(entry) => *entry.insert(self.has_collection(CollectionId(collection))?),
            };
            if is_there {
                found.push(load(&documents, revision.value())?);
            }
        }
        Ok(found)
    }

    fn read_log(
        &self,
        collection: CollectionId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<(u64, IndexOperation)>> {
        let mut found = Vec::new();
        if !self.has_collection(collection)? {
            return Ok(found);
        }
        let log = self.transaction.open_table(LOG)?;
        let range = (Bound::Excluded((collection.0, after)), Bound::Excluded((collection.0 + 1, 0)));
        for row in log.range(range)?.take(limit) {
            let (key, operation) = row?;
            found.push((key.value().1, decode(operation.value())?));
        }
        Ok(found)
    }

    fn read_usage(&self, kind: UsageKind, from: u64, to: u64) -> Result<Vec<UsageRow>> {
        let mut found = Vec::new();
        let code = super::usage_code(kind);
        let usage = self.transaction.open_table(USAGE)?;
        for row in usage.range((code, from, "")..)? {
            let (key, value) = row?;
            let (of, minute, subject) = key.value();
            if of != code || minute >= to {
                break;
            }
            let (count, bytes) = value.value();
            found.push(UsageRow { kind, subject: subject.to_owned(), minute, count, bytes });
        }
        Ok(found)
    }
}

fn not_found(message: String) -> Trouble {
    Error::new(ErrorKind::NotFound, message).into()
}

fn load(documents: &ReadOnlyTable<u64, &'static [u8]>, revision: u64) -> Result<Document> {
    let row = documents.get(revision)?.ok_or_else(|| corrupt(format!("revision {revision} is missing")))?;
    Ok(decode::<DocumentRow>(row.value())?.into_document(revision))
}

impl CatalogView for View<'_> {
    fn collections(&self) -> crate::Result<Vec<Collection>> {
        self.catalog.told((|| {
            let names = self.transaction.open_table(NAMES)?;
            let collections = self.transaction.open_table(COLLECTIONS)?;
            let mut found = Vec::new();
            for row in names.iter()? {
                let id = row?.1.value();
                let row =
                    collections.get(id)?.ok_or_else(|| corrupt(format!("collection {id} is missing")))?;
                found.push(decode(row.value())?);
            }
            Ok(found)
        })())
    }

    fn collection(&self, name: &str) -> crate::Result<Collection> {
        self.catalog.told(self.find_collection(name))
    }

    fn document(&self, collection: CollectionId, path: &str) -> crate::Result<Document> {
        self.catalog.told(self.find_document(collection, path))
    }

    fn documents(
        &self,
        collection: CollectionId,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> crate::Result<Vec<Document>> {
        self.catalog.told(self.list(CURRENT, collection, prefix, after, limit))
    }

    fn live_documents(
        &self,
        collection: CollectionId,
        after: Option<&str>,
        limit: usize,
    ) -> crate::Result<Vec<Document>> {
        self.catalog.told(self.list(LIVE, collection, "", after, limit))
    }

    fn revision(&self, revision: Revision) -> crate::Result<Option<Document>> {
        self.catalog.told(self.find_revision(revision))
    }

    fn content(&self, document: &Document) -> crate::Result<Content> {
        self.catalog.told((|| {
            let source = self.source(document)?;
            sources::read_content(&self.transaction.open_table(CONTENT)?, document.source.0, &source)
        })())
    }

    fn text(&self, document: &Document, bytes: Range<usize>) -> crate::Result<String> {
        self.catalog.told(self.read_text(document, bytes))
    }

    fn page(&self, document: &Document, page: u32) -> crate::Result<Range<usize>> {
        self.catalog.told(self.read_page(document, page))
    }

    fn chunks(&self, document: &Document, ordinals: Range<u32>) -> crate::Result<Vec<Chunk>> {
        self.catalog.told(self.read_chunks(document, ordinals))
    }

    fn embedded(&self, document: &Document) -> crate::Result<u32> {
        self.catalog.told(self.source(document).map(|source| source.embedded))
    }

    fn vectors(&self, document: &Document, chunks: Range<u32>) -> crate::Result<Option<Vec<f32>>> {
        self.catalog.told(self.read_vectors(document, chunks))
    }

    fn live_chunks(&self, collection: CollectionId, ids: &[ChunkId]) -> crate::Result<Vec<LiveChunk>> {
        self.catalog.told(self.find_live_chunks(collection, ids))
    }

    fn attribute_values(
        &self,
        collection: CollectionId,
        attribute: &str,
        bounds: (Bound<&str>, Bound<&str>),
        limit: usize,
    ) -> crate::Result<Vec<String>> {
        self.catalog.told(self.list_values(collection, attribute, bounds, limit))
    }

    fn languages(&self, collection: CollectionId) -> crate::Result<Vec<(String, u64)>> {
        self.catalog.told(self.list_languages(collection))
    }

    fn counts(&self, collection: CollectionId) -> crate::Result<Counts> {
        self.catalog.told(self.read_counts(collection))
    }

    fn pending(&self, after: Option<Revision>, limit: usize) -> crate::Result<Vec<Document>> {
        self.catalog.told(self.list_pending(after, limit))
    }

    fn log(
        &self,
        collection: CollectionId,
        after: u64,
        limit: usize,
    ) -> crate::Result<Vec<(u64, IndexOperation)>> {
        self.catalog.told(self.read_log(collection, after, limit))
    }

    fn usage(&self, kind: UsageKind, from: u64, to: u64) -> crate::Result<Vec<UsageRow>> {
        self.catalog.told(self.read_usage(kind, from, to))
    }
}

//! A write transaction at work: rows with their counters, log and references kept in step.

use super::corrupt;
use super::rows::{DocumentRow, SourceRow, Tally, decode, encode, now_micros};
use super::tables::{Tables, meta_number};
use super::trouble::{Result, Trouble};
use crate::{CollectionId, Error, ErrorKind, IndexOperation};
use elodex_types::{Metadata, MetadataValue, Revision};
use redb::{ReadableTable, Table, WriteTransaction};
use std::collections::{BTreeMap, BTreeSet};

/// Revisions a catalog can number: a chunk's id has 43 bits for them.
const REVISIONS: u64 = 1 << 43;

/// The tables with what is written back at the end.
pub(super) struct Writing<'t> {
    pub(super) tables: Tables<'t>,
    tallies: BTreeMap<u32, Tally>,
    next_revision: u64,
    /// Microseconds since 1970: one time for the whole transaction.
    pub(super) now: u64,
}

impl<'t> Writing<'t> {
    pub(super) fn begin(transaction: &'t WriteTransaction) -> Result<Self> {
        let tables = Tables::open(transaction)?;
        let next_revision = meta_number(&tables.meta, "next_revision")?;
        Ok(Self { tables, tallies: BTreeMap::new(), next_revision, now: now_micros() })
    }

    /// Writes counters back. Call it before the commit.
    pub(super) fn finish(mut self) -> Result<()> {
        if meta_number(&self.tables.meta, "next_revision")? != self.next_revision {
            self.tables.meta.insert("next_revision", self.next_revision.to_le_bytes().as_slice())?;
        }
        for (collection, tally) in &self.tallies {
            self.tables.tallies.insert(collection, encode(tally)?.as_slice())?;
        }
        Ok(())
    }

    /// Refuses where the collection is gone.
    pub(super) fn require_collection(&self, collection: CollectionId) -> Result<()> {
        if self.has_collection(collection.0)? {
            return Ok(());
        }
        Err(gone_collection(collection))
    }

    pub(super) fn has_collection(&self, collection: u32) -> Result<bool> {
        Ok(self.tables.collections.get(collection)?.is_some())
    }

    /// The counters of a collection, to be changed.
    pub(super) fn tally(&mut self, collection: u32) -> Result<&mut Tally> {
        use std::collections::btree_map::Entry;
        match self.tallies.entry(collection) {
            Entry::Occupied(entry) => Ok(entry.into_mut()),
            Entry::Vacant(entry) => {
                let tally = match self.tables.tallies.get(collection)? {
                    Some(row) => decode(row.value())?,
                    None => Tally::default(),
                };
                Ok(entry.insert(tally))
            }
        }
    }

    /// Drops the counters of a collection that is purged.
    pub(super) fn forget_tally(&mut self, collection: u32) -> Result<()> {
        self.tallies.remove(&collection);
        self.tables.tallies.remove(collection)?;
        Ok(())
    }

    /// Numbers a revision.
    pub(super) fn new_revision(&mut self) -> Result<u64> {
        let revision = self.next_revision;
        if revision >= REVISIONS {
            return Err(Trouble::Corrupt(format!("revision {revision} is beyond what a chunk id holds")));
        }
        self.next_revision += 1;
        Ok(revision)
    }

    /// A revision, while it is current or live.
    pub(super) fn document(&self, revision: u64) -> Result<Option<DocumentRow>> {
        self.tables.documents.get(revision)?.map(|row| decode(row.value())).transpose()
    }

    /// A revision that another row names.
    pub(super) fn named_document(&self, revision: u64) -> Result<DocumentRow> {
        self.document(revision)?.ok_or_else(|| corrupt(format!("revision {revision} is missing")))
    }

    /// A revision while it is the newest of its path and its collection is there: what ingestion works on.
    pub(super) fn wanted(&self, revision: Revision) -> Result<Option<DocumentRow>> {
        let Some(row) = self.document(revision.0)? else { return Ok(None) };
        let current = self.current(row.collection, &row.path)?;
        Ok((current == Some(revision.0) && self.has_collection(row.collection)?).then_some(row))
    }

    pub(super) fn current(&self, collection: u32, path: &str) -> Result<Option<u64>> {
        Ok(self.tables.current.get((collection, path))?.map(|row| row.value()))
    }

    pub(super) fn live(&self, collection: u32, path: &str) -> Result<Option<u64>> {
        Ok(self.tables.live.get((collection, path))?.map(|row| row.value()))
    }

    pub(super) fn save_document(&mut self, revision: u64, row: &DocumentRow) -> Result<()> {
        self.tables.documents.insert(revision, encode(row)?.as_slice())?;
        Ok(())
    }

    pub(super) fn source(&self, source: u64) -> Result<SourceRow> {
        let row =
            self.tables.sources.get(source)?.ok_or_else(|| corrupt(format!("source {source} is missing")))?;
        decode(row.value())
    }

    pub(super) fn save_source(&mut self, source: u64, row: &SourceRow) -> Result<()> {
        self.tables.sources.insert(source, encode(row)?.as_slice())?;
        Ok(())
    }

    /// Takes a reference to a source.
    pub(super) fn share_source(&mut self, source: u64) -> Result<()> {
        let mut row = self.source(source)?;
        row.references += 1;
        self.save_source(source, &row)
    }

    fn release_source(&mut self, source: u64) -> Result<()> {
        let mut row = self.source(source)?;
        row.references = row
            .references
            .checked_sub(1)
            .ok_or_else(|| corrupt(format!("source {source} is released more often than it is shared")))?;
        if row.references == 0 {
            self.tables.orphans.insert(source, ())?;
        }
        self.save_source(source, &row)
    }

    /// Removes a revision; `current` and `live` entries of its path are the caller's, who puts others there.
    ///
    /// What it was counted as is taken back, and the index is told when it had its chunks.
    pub(super) fn drop_revision(&mut self, revision: u64, row: &DocumentRow) -> Result<()> {
        self.forget_revision(revision, row)?;
        if row.live {
            self.count_live(row, false)?;
        }
        if row.added {
            let operation = IndexOperation::Remove { revision: Revision(revision), chunks: row.chunks() };
            self.append_log(row.collection, operation)?;
        }
        Ok(())
    }

    /// Removes a revision's rows and nothing that is counted of its collection: enough where that is gone.
    pub(super) fn forget_revision(&mut self, revision: u64, row: &DocumentRow) -> Result<()> {
        self.tables.documents.remove(revision)?;
        self.tables.pending.remove(revision)?;
        self.release_source(row.source)
    }

    /// Adds a live revision to values, languages and sums, or takes it out of them.
    pub(super) fn count_live(&mut self, row: &DocumentRow, add: bool) -> Result<()> {
        for (attribute, value) in attribute_values(&row.metadata) {
            count(&mut self.tables.values, (row.collection, attribute, value), add)?;
        }
        let Some(parsed) = &row.parsed else { return Ok(()) };
        if let Some(language) = &parsed.language {
            count(&mut self.tables.languages, (row.collection, language.as_str()), add)?;
        }
        let counts = &mut self.tally(row.collection)?.counts;
        for (sum, part) in [
            (&mut counts.indexed_bytes, parsed.text_bytes),
            (&mut counts.chunks, u64::from(parsed.chunks)),
            (&mut counts.terms, parsed.terms),
        ] {
            *sum = if add { sum.checked_add(part) } else { sum.checked_sub(part) }
                .ok_or_else(|| corrupt("the sums of live documents do not add up"))?;
        }
        Ok(())
    }

    /// Counts a current revision under its status, or takes it out.
    pub(super) fn count_status(&mut self, row: &DocumentRow, add: bool) -> Result<()> {
        let counter = self.tally(row.collection)?.of_status(row.status);
        *counter = if add { counter.checked_add(1) } else { counter.checked_sub(1) }
            .ok_or_else(|| corrupt(format!("there are less than no documents {}", row.status)))?;
        Ok(())
    }

    /// Tells the index.
    pub(super) fn append_log(&mut self, collection: u32, operation: IndexOperation) -> Result<()> {
        let tally = self.tally(collection)?;
        tally.sequence += 1;
        let sequence = tally.sequence;
        self.tables.log.insert((collection, sequence), encode(&operation)?.as_slice())?;
        Ok(())
    }
}

/// A document's values by attribute, each once.
pub(super) fn attribute_values(metadata: &Metadata) -> BTreeSet<(&str, &str)> {
    let mut values = BTreeSet::new();
    for (name, value) in metadata {
        match value {
            MetadataValue::Text(text) => {
                values.insert((name.as_str(), text.as_str()));
            }
            MetadataValue::List(items) => {
                values.extend(items.iter().map(|item| (name.as_str(), item.as_str())));
            }
        }
    }
    values
}

/// Adds one to a counter or takes one away; a counter at 0 has no row.
fn count<'k, K: redb::Key + 'static>(
    table: &mut Table<'_, K, u64>,
    key: K::SelfType<'k>,
    add: bool,
) -> Result<()> {
    let before = table.get(&key)?.map_or(0, |row| row.value());
    let after = if add { before.checked_add(1) } else { before.checked_sub(1) };
    match after {
        None => return Err(corrupt("a counter of live documents does not add up")),
        Some(0) => drop(table.remove(&key)?),
        Some(after) => drop(table.insert(&key, after)?),
    }
    Ok(())
}

/// The refusal for a collection that is gone.
pub(super) fn gone_collection(collection: CollectionId) -> Trouble {
    Trouble::Refused(Error::new(
        ErrorKind::NotFound,
        format!("collection number {} is gone; look it up by its name again", collection.0),
    ))
}

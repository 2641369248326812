//! A [`Catalog`] in one redb file on this machine.
//!
//! - `tables`, `rows`: what the file holds. `sources`: the part that revisions share, in pieces.
//! - `writing`: a write transaction that keeps counters, log and references in step; `accept`, `ingest`, `purge`: what
//!   is done in one. `group`: callers that write at the same time share a transaction and its fsync.
//! - `view`: reads. `trouble`: what goes wrong.
//! - `opening`, `disk`: the file, its lock and its version, and opening it again after the disk was full.
//! - `transfer`: backup and restore. `check`: whether everything adds up.

mod accept;
mod check;
#[cfg(test)]
mod check_tests;
mod disk;
#[cfg(test)]
mod faults;
mod group;
mod ingest;
mod opening;
mod purge;
mod rows;
#[cfg(test)]
mod script;
mod sources;
mod tables;
mod transfer;
#[cfg(test)]
mod transfer_tests;
mod trouble;
mod view;
mod writing;

pub use check::CheckReport;
pub use opening::CatalogOptions;

use crate::{
    Accepted, Catalog, CatalogView, Change, Collection, CollectionId, CollectionSettings, Document, Error,
    ErrorKind, Parsed, Published, Result, UsageKind, UsageRow, VectorSlice,
};
use elodex_types::{IndexStatus, NewDocument, Revision, Weights};
use opening::Opened;
use redb::{ReadableDatabase, ReadableTable};
use std::path::Path;
use trouble::Trouble;
use writing::Writing;

/// The catalog in `catalog.redb` of a data directory. One process has it open at a time.
///
/// Every method that changes something returns after an fsync; calls at the same time share one. After a full disk it
/// opens the file again by itself, and works as soon as there is room; after any other failure of the disk it stays
/// stopped until the process starts again.
#[derive(Debug)]
pub struct RedbCatalog {
    opened: Opened,
    group: group::Group,
    id: u128,
    secret: [u8; 32],
}

impl RedbCatalog {
    /// Opens the catalog of a data directory; makes both where they are not there.
    ///
    /// # Errors
    /// [`ErrorKind::Locked`] while another process has it open; [`ErrorKind::Corrupt`] where it is damaged or was
    /// written by a newer version; [`ErrorKind::Full`]; [`ErrorKind::Backend`] where the disk fails.
    pub fn open(directory: &Path, options: &CatalogOptions) -> Result<Self> {
        Self::with(Opened::file(directory, options).map_err(Trouble::into_error)?)
    }

    /// A catalog in memory, for tests: nothing of it stays.
    ///
    /// # Errors
    /// None that a caller can cause.
    pub fn in_memory() -> Result<Self> {
        Self::with(Opened::in_memory().map_err(Trouble::into_error)?)
    }

    fn with(opened: Opened) -> Result<Self> {
        let (id, secret) = opened.identify().map_err(Trouble::into_error)?;
        Ok(Self { opened, group: group::Group::default(), id, secret })
    }

    /// Runs a job in a transaction that it may share with others' and returns when that is on disk. `bytes`: what the
    /// job brings, about.
    fn write<T: Send + 'static>(
        &self,
        bytes: u64,
        job: impl FnOnce(&mut Writing<'_>) -> trouble::Result<T> + Send + 'static,
    ) -> Result<T> {
        self.group.submit(bytes, job, |jobs| self.commit(jobs))
    }

    fn commit(&self, jobs: Vec<group::Waiting>) {
        let (runs, waiting): (Vec<_>, Vec<_>) = jobs.into_iter().map(|job| (job.run, job.done)).unzip();
        let committed = self.opened.run(|database| {
            let transaction = opening::begin_write(database)?;
            let mut writing = Writing::begin(&transaction)?;
            for run in runs {
                run(&mut writing)?;
            }
            writing.finish()?;
            Ok(transaction.commit()?)
        });
        let failure = self.told(committed).err();
        for done in waiting {
            let outcome = match &failure {
                None => Ok(()),
                Some(error) => Err(Error::new(error.kind(), error.report())),
            };
            // Nobody listens where a caller's thread ended: its work is done all the same.
            drop(done.send(outcome));
        }
    }

    /// As callers see it; remembers that the disk was full.
    fn told<T>(&self, result: trouble::Result<T>) -> Result<T> {
        result.map_err(|trouble| {
            if trouble.is_full() {
                self.opened.reopen_next();
            }
            trouble.into_error()
        })
    }

    fn change_collection(
        &self,
        collection: CollectionId,
        change: impl FnOnce(&mut Collection) + Send + 'static,
    ) -> Result<()> {
        self.write(0, move |writing| {
            let row = writing.tables.collections.get(collection.0)?.map(|row| rows::decode(row.value()));
            let mut row: Collection = row.unwrap_or_else(|| Err(writing::gone_collection(collection)))?;
            change(&mut row);
            writing.tables.collections.insert(collection.0, rows::encode(&row)?.as_slice())?;
            Ok(())
        })
    }
}

fn corrupt(what: impl Into<String>) -> Trouble {
    Trouble::Corrupt(what.into())
}

/// What a kind is in keys: never change one.
fn usage_code(kind: UsageKind) -> u8 {
    match kind {
        UsageKind::Documents => 0,
        UsageKind::Queries => 1,
        UsageKind::Rerank => 2,
        UsageKind::Embed => 3,
    }
}

impl Catalog for RedbCatalog {
    fn view(&self) -> Result<Box<dyn CatalogView + '_>> {
        let transaction = self.told(self.opened.run(|database| Ok(database.begin_read()?)))?;
        Ok(Box::new(view::View { catalog: self, transaction }))
    }

    fn id(&self) -> u128 {
        self.id
    }

    fn secret(&self) -> [u8; 32] {
        self.secret
    }

    fn create_collection(&self, name: &str, settings: CollectionSettings) -> Result<Collection> {
        let name = name.to_owned();
        self.write(0, move |writing| {
            if writing.tables.names.get(name.as_str())?.is_some() {
                let message = format!("there is a collection `{name}` already; choose another name");
                return Err(Error::new(ErrorKind::Conflict, message).into());
            }
            let number = tables::meta_number(&writing.tables.meta, "next_collection")?;
            // One below the largest: ranges of a collection's rows end at the next number.
            let id = u32::try_from(number).ok().filter(|id| *id < u32::MAX);
            let id = id.ok_or_else(|| corrupt(format!("collection number {number} is beyond 32 bits")))?;
            let collection = Collection {
                id: CollectionId(id),
                name,
                created: rows::from_micros(writing.now),
                settings,
                average_terms: None,
            };
            writing.tables.meta.insert("next_collection", (number + 1).to_le_bytes().as_slice())?;
            writing.tables.names.insert(collection.name.as_str(), id)?;
            writing.tables.collections.insert(id, rows::encode(&collection)?.as_slice())?;
            Ok(collection)
        })
    }

    fn set_weights(&self, collection: CollectionId, weights: Weights) -> Result<()> {
        self.change_collection(collection, move |row| row.settings.weights = weights)
    }

    fn set_policy(&self, collection: CollectionId, policy: Option<String>) -> Result<()> {
        self.change_collection(collection, move |row| row.settings.policy = policy)
    }

    fn set_average_terms(&self, collection: CollectionId, average: f32) -> Result<()> {
        self.change_collection(collection, move |row| row.average_terms = Some(average))
    }

    fn delete_collection(&self, name: &str) -> Result<Collection> {
        let name = name.to_owned();
        self.write(0, move |writing| purge::delete_collection(writing, &name))
    }

    fn put(
        &self,
        collection: CollectionId,
        documents: Vec<NewDocument>,
        overwrite: bool,
    ) -> Result<Vec<Accepted>> {
        let bytes = documents.iter().map(|document| document.content.bytes()).sum();
        let hashed: Vec<accept::Hashed> = documents
            .into_iter()
            .map(|document| {
                let hash = sources::hash(&document.content);
                (document, hash)
            })
            .collect();
        self.write(bytes, move |writing| accept::put(writing, collection, hashed, overwrite))
    }

    fn update(&self, collection: CollectionId, path: &str, change: Change) -> Result<Document> {
        let path = path.to_owned();
        self.write(0, move |writing| accept::update(writing, collection, &path, change))
    }

    fn delete(&self, collection: CollectionId, paths: &[String]) -> Result<Vec<String>> {
        let paths = paths.to_vec();
        self.write(0, move |writing| accept::delete(writing, collection, paths))
    }

    fn begin(&self, revisions: &[Revision], status: IndexStatus) -> Result<Vec<bool>> {
        let revisions = revisions.to_vec();
        self.write(0, move |writing| ingest::begin(writing, &revisions, status))
    }

    fn store_parsed(&self, parsed: Vec<(Revision, Parsed)>) -> Result<Vec<bool>> {
        let bytes = parsed.iter().map(|(_, parsed)| parsed.text.len() as u64).sum();
        self.write(bytes, move |writing| ingest::store_parsed(writing, parsed))
    }

    fn store_vectors(&self, slices: Vec<VectorSlice>) -> Result<Vec<bool>> {
        let bytes = slices.iter().map(|slice| slice.vectors.len() as u64 * 4).sum();
        self.write(bytes, move |writing| ingest::store_vectors(writing, slices))
    }

    fn publish(&self, revisions: &[Revision]) -> Result<Vec<Published>> {
        let revisions = revisions.to_vec();
        self.write(0, move |writing| ingest::publish(writing, &revisions))
    }

    fn fail(&self, revision: Revision, status: IndexStatus, reason: &str) -> Result<()> {
        let reason = reason.to_owned();
        self.write(0, move |writing| ingest::fail(writing, revision, status, &reason))
    }

    fn trim_log(&self, collection: CollectionId, sequence: u64) -> Result<()> {
        self.write(0, move |writing| {
            Ok(writing.tables.log.retain_in((collection.0, 0)..=(collection.0, sequence), |_, _| false)?)
        })
    }

    fn add_usage(&self, rows: &[UsageRow]) -> Result<()> {
        let rows = rows.to_vec();
        self.write(0, move |writing| {
            for row in rows {
                let key = (usage_code(row.kind), row.minute, row.subject.as_str());
                let (count, bytes) = writing.tables.usage.get(key)?.map_or((0, 0), |row| row.value());
                let sum = (count.saturating_add(row.count), bytes.saturating_add(row.bytes));
                writing.tables.usage.insert(key, sum)?;
            }
            Ok(())
        })
    }

    fn purge(&self, limit: usize) -> Result<bool> {
        self.write(0, move |writing| purge::purge(writing, limit))
    }
}

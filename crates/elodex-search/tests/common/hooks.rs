//! A catalog and a backend that do what others do, and before each change what a test wants.

use elodex_store::{
    Accepted, Catalog, CatalogView, Change, ChunkIndex, Collection, CollectionId, CollectionSettings,
    Condition, Document, Found, IndexBackend, IndexSpec, MemoryBackend, Opened, Parsed, Point, Published,
    RedbCatalog, Result, SparseVector, Stored, UsageRow, VectorSlice,
};
use elodex_types::{ChunkId, IndexStatus, NewDocument, Revision, Weights};
use std::collections::HashMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Mutex, PoisonError};

type Hook = Box<dyn FnMut() -> Result<()> + Send>;

/// What to do before a call, by the call's name; and how often each was called.
#[derive(Default)]
pub(crate) struct Hooks {
    before: Mutex<HashMap<&'static str, Hook>>,
    calls: Mutex<HashMap<&'static str, usize>>,
}

impl Hooks {
    /// Does `hook` before each `call`; an error is the call's.
    pub(crate) fn before(&self, call: &'static str, hook: impl FnMut() -> Result<()> + Send + 'static) {
        self.before.lock().unwrap_or_else(PoisonError::into_inner).insert(call, Box::new(hook));
    }

    /// How often a call was made.
    pub(crate) fn calls(&self, call: &'static str) -> usize {
        self.calls.lock().unwrap().get(call).copied().unwrap_or_default()
    }

    fn run(&self, call: &'static str) -> Result<()> {
        *self.calls.lock().unwrap().entry(call).or_default() += 1;
        // Taken out meanwhile: a hook may wait, and others must not wait for it.
        let hook = self.before.lock().unwrap_or_else(PoisonError::into_inner).remove(call);
        let Some(mut hook) = hook else { return Ok(()) };
        let result = catch_unwind(AssertUnwindSafe(&mut hook));
        self.before.lock().unwrap_or_else(PoisonError::into_inner).entry(call).or_insert(hook);
        result.unwrap_or_else(|panic| resume_unwind(panic))
    }
}

impl fmt::Debug for Hooks {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Hooks").finish_non_exhaustive()
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct HookedCatalog {
    pub(crate) inner: Arc<RedbCatalog>,
    pub(crate) hooks: Arc<Hooks>,
}

impl Catalog for HookedCatalog {
    fn view(&self) -> Result<Box<dyn CatalogView + '_>> {
        self.hooks.run("view")?;
        self.inner.view()
    }

    fn id(&self) -> u128 {
        self.inner.id()
    }

    fn secret(&self) -> [u8; 32] {
        self.inner.secret()
    }

    fn create_collection(&self, name: &str, settings: CollectionSettings) -> Result<Collection> {
        self.inner.create_collection(name, settings)
    }

    fn set_weights(&self, collection: CollectionId, weights: Weights) -> Result<()> {
        self.inner.set_weights(collection, weights)
    }

    fn set_policy(&self, collection: CollectionId, policy: Option<String>) -> Result<()> {
        self.inner.set_policy(collection, policy)
    }

    fn set_average_terms(&self, collection: CollectionId, average: f32) -> Result<()> {
        self.hooks.run("set_average_terms")?;
        self.inner.set_average_terms(collection, average)
    }

    fn delete_collection(&self, name: &str) -> Result<Collection> {
        self.inner.delete_collection(name)
    }

    fn put(
        &self,
        collection: CollectionId,
        documents: Vec<NewDocument>,
        overwrite: bool,
    ) -> Result<Vec<Accepted>> {
        self.inner.put(collection, documents, overwrite)
    }

    fn update(&self, collection: CollectionId, path: &str, change: Change) -> Result<Document> {
        self.inner.update(collection, path, change)
    }

    fn delete(&self, collection: CollectionId, paths: &[String]) -> Result<Vec<String>> {
        self.inner.delete(collection, paths)
    }

    fn begin(&self, revisions: &[Revision], status: IndexStatus) -> Result<Vec<bool>> {
        self.hooks.run(if status == IndexStatus::Parsing { "begin parsing" } else { "begin indexing" })?;
        self.inner.begin(revisions, status)
    }

    fn store_parsed(&self, parsed: Vec<(Revision, Parsed)>) -> Result<Vec<bool>> {
        self.hooks.run("store_parsed")?;
        self.inner.store_parsed(parsed)
    }

    fn store_vectors(&self, slices: Vec<VectorSlice>) -> Result<Vec<bool>> {
        self.hooks.run("store_vectors")?;
        self.inner.store_vectors(slices)
    }

    fn publish(&self, revisions: &[Revision]) -> Result<Vec<Published>> {
        self.hooks.run("publish")?;
        self.inner.publish(revisions)
    }

    fn fail(&self, revision: Revision, status: IndexStatus, reason: &str) -> Result<()> {
        self.hooks.run("fail")?;
        self.inner.fail(revision, status, reason)
    }

    fn trim_log(&self, collection: CollectionId, sequence: u64) -> Result<()> {
        self.hooks.run("trim_log")?;
        self.inner.trim_log(collection, sequence)
    }

    fn purge(&self, limit: usize) -> Result<bool> {
        self.hooks.run("purge")?;
        self.inner.purge(limit)
    }

    fn add_usage(&self, rows: &[UsageRow]) -> Result<()> {
        self.inner.add_usage(rows)
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct HookedBackend {
    pub(crate) inner: Arc<MemoryBackend>,
    pub(crate) hooks: Arc<Hooks>,
}

impl IndexBackend for HookedBackend {
    fn open(&self, collection: CollectionId, spec: &IndexSpec) -> Result<Opened> {
        self.hooks.run("open")?;
        let Opened { index, fresh } = self.inner.open(collection, spec)?;
        Ok(Opened { index: Arc::new(HookedIndex { inner: index, hooks: Arc::clone(&self.hooks) }), fresh })
    }

    fn remove(&self, collection: CollectionId) -> Result<()> {
        self.hooks.run("remove index")?;
        self.inner.remove(collection)
    }

    fn collections(&self) -> Result<Vec<CollectionId>> {
        self.inner.collections()
    }

    fn verify(&self, collection: CollectionId) -> Result<Stored> {
        self.inner.verify(collection)
    }
}

/// See the module.
#[derive(Debug)]
struct HookedIndex {
    inner: Arc<dyn ChunkIndex>,
    hooks: Arc<Hooks>,
}

impl ChunkIndex for HookedIndex {
    fn upsert(&self, points: &[Point]) -> Result<()> {
        self.hooks.run("upsert")?;
        self.inner.upsert(points)
    }

    fn remove(&self, ids: &[ChunkId]) -> Result<()> {
        self.hooks.run("remove")?;
        self.inner.remove(ids)
    }

    fn dense(
        &self,
        vector: &[f32],
        condition: Option<&Condition>,
        limit: usize,
        exact: bool,
    ) -> Result<Vec<Found>> {
        self.hooks.run("dense")?;
        self.inner.dense(vector, condition, limit, exact)
    }

    fn lexical(
        &self,
        query: &SparseVector,
        condition: Option<&Condition>,
        limit: usize,
    ) -> Result<Vec<Found>> {
        self.inner.lexical(query, condition, limit)
    }

    fn ids(&self, after: Option<ChunkId>, limit: usize) -> Result<Vec<ChunkId>> {
        self.inner.ids(after, limit)
    }

    fn len(&self) -> Result<u64> {
        self.inner.len()
    }

    fn flush(&self) -> Result<()> {
        self.hooks.run("flush")?;
        self.inner.flush()
    }

    fn optimise(&self) -> Result<bool> {
        self.hooks.run("optimise")?;
        self.inner.optimise()
    }

    fn disk_bytes(&self) -> Result<Option<u64>> {
        self.inner.disk_bytes()
    }
}

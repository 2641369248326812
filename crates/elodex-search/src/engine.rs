//! The engine: a catalog, its indexes, the models, and the threads that ingest.

use crate::collection::OpenCollection;
use crate::ingest::Ingestion;
use crate::query::UsageMeter;
use crate::shadow::Experiments;
use crate::{Error, ErrorKind, Models, Result, SearchOptions, error};
use elodex_store::{Catalog, Collection, CollectionId, IndexBackend};
use rayon::{ThreadPool, ThreadPoolBuilder};
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

/// Threads that lists are asked on: more than there are cores, since an index may be on another machine.
const LIST_THREADS: usize = 32;

/// Documents in, passages out. Cheap to clone; every method may be called from any thread and blocks while it works.
#[derive(Debug, Clone)]
pub struct SearchEngine {
    pub(crate) shared: Arc<Shared>,
    pub(crate) ingestion: Arc<Ingestion>,
    pub(crate) experiments: Arc<Experiments>,
}

/// What queries and ingestion share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) catalog: Arc<dyn Catalog>,
    pub(crate) indexes: Arc<dyn IndexBackend>,
    pub(crate) models: Arc<dyn Models>,
    pub(crate) options: SearchOptions,
    /// What calls used since it was last written.
    pub(crate) usage: UsageMeter,
    /// Where a query's second list is asked while it asks the first.
    pub(crate) lists: ThreadPool,
    open: RwLock<HashMap<CollectionId, Arc<OpenCollection>>>,
}

impl SearchEngine {
    /// Opens every collection's index, brings it up to the catalog, and starts ingesting what was left undone.
    ///
    /// # Errors
    /// Where the catalog or the backend cannot be read. An index that cannot is made again, not an error.
    /// [`ErrorKind::Request`] for an experiment that could not run, [`ErrorKind::NotFound`] for its reranker.
    pub fn open(
        catalog: Arc<dyn Catalog>,
        indexes: Arc<dyn IndexBackend>,
        models: Arc<dyn Models>,
        options: SearchOptions,
    ) -> Result<Self> {
        let usage = UsageMeter::default();
        let lists = ThreadPoolBuilder::new()
            .num_threads(LIST_THREADS)
            .thread_name(|index| format!("elodex-list-{index}"))
            .build()
            .map_err(|error| {
                Error::new(ErrorKind::Bug, format!("cannot start {LIST_THREADS} threads")).caused_by(error)
            })?;
        let open = RwLock::default();
        let shared = Arc::new(Shared { catalog, indexes, models, options, usage, lists, open });
        let experiments = Arc::new(Experiments::start(&shared)?);
        let collections = shared.catalog.view().and_then(|view| view.collections()).map_err(error::of)?;
        let known: Vec<CollectionId> = collections.iter().map(|collection| collection.id).collect();
        for stray in shared.indexes.collections().map_err(error::of)? {
            if !known.contains(&stray) {
                shared.indexes.remove(stray).map_err(error::of)?;
            }
        }
        for collection in &collections {
            shared.open_collection(collection)?;
        }
        let ingestion = Arc::new(Ingestion::start(&shared)?);
        Ok(Self { shared, ingestion, experiments })
    }

    /// The catalog.
    pub fn catalog(&self) -> &Arc<dyn Catalog> {
        &self.shared.catalog
    }

    /// Stops experiments and ingesting, writes indexes through, and returns. What is not ingested yet goes on at the next start.
    pub fn shutdown(&self) {
        self.experiments.stop();
        self.ingestion.stop();
        self.shared.write_usage();
    }
}

impl Shared {
    /// The collection of that name, open.
    pub(crate) fn collection(&self, name: &str) -> Result<Arc<OpenCollection>> {
        let collection = self.catalog.view().and_then(|view| view.collection(name)).map_err(error::of)?;
        self.opened(collection.id)?.ok_or_else(|| {
            Error::new(
                ErrorKind::Unavailable,
                format!("collection `{name}` is just being made or removed; try again"),
            )
        })
    }

    /// An open collection by number.
    pub(crate) fn opened(&self, id: CollectionId) -> Result<Option<Arc<OpenCollection>>> {
        Ok(self.open.read().unwrap_or_else(PoisonError::into_inner).get(&id).cloned())
    }

    /// Opens a collection's index and brings it up to the catalog.
    pub(crate) fn open_collection(&self, collection: &Collection) -> Result<Arc<OpenCollection>> {
        let opened = Arc::new(OpenCollection::open(self, collection)?);
        let mut open = self.open.write().unwrap_or_else(PoisonError::into_inner);
        open.insert(collection.id, Arc::clone(&opened));
        Ok(opened)
    }

    /// Forgets a collection that the catalog has no more: nobody finds it from now on.
    pub(crate) fn close_collection(&self, id: CollectionId) -> Option<Arc<OpenCollection>> {
        self.open.write().unwrap_or_else(PoisonError::into_inner).remove(&id)
    }

    /// Every open collection.
    pub(crate) fn all_open(&self) -> Vec<Arc<OpenCollection>> {
        self.open.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }
}

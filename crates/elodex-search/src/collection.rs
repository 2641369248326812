//! An open collection: its index, and the barrier that keeps overwrites atomic for queries.

use crate::engine::Shared;
use crate::lexical::TERMS_VERSION;
use crate::policy::ReadPolicy;
use crate::{Error, ErrorKind, Result, error, ingest};
use elodex_engine::EmbedService;
use elodex_store::{ChunkIndex, Collection, CollectionId, CollectionSettings, IndexSpec, Space};
use elodex_types::SpaceFingerprint;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};

/// A collection with its index open.
#[derive(Debug)]
pub(crate) struct OpenCollection {
    pub(crate) id: CollectionId,
    pub(crate) name: String,
    /// As it was opened: weights and policy may have changed since.
    pub(crate) settings: CollectionSettings,
    pub(crate) index: Arc<dyn ChunkIndex>,
    pub(crate) policy: ReadPolicy,
    readers: RwLock<()>,
    /// Terms of an average chunk, as the weights that are being written assume.
    average: Mutex<Option<f32>>,
    /// Whether the index has nothing left to apply, weigh anew or optimise.
    settled: AtomicBool,
    /// Chunks embedded since this was opened.
    pub(crate) embedded: AtomicU64,
}

impl OpenCollection {
    /// Opens the index and replays what it missed.
    pub(crate) fn open(shared: &Shared, collection: &Collection) -> Result<Self> {
        let space = &collection.settings.space;
        let spec = IndexSpec {
            catalog: shared.catalog.id(),
            fingerprint: space.fingerprint,
            dimensions: space.dimensions,
            precision: collection.settings.precision,
            terms: TERMS_VERSION,
        };
        let mut opened = shared.indexes.open(collection.id, &spec).map_err(error::of)?;
        let mut caught_up = ingest::catch_up(shared, collection, &*opened.index, opened.fresh)?;
        if !caught_up.sound {
            tracing::warn!(
                collection = collection.name,
                "an index counts points that it does not list; it is made anew"
            );
            drop(opened);
            shared.indexes.remove(collection.id).map_err(error::of)?;
            opened = shared.indexes.open(collection.id, &spec).map_err(error::of)?;
            caught_up = ingest::catch_up(shared, collection, &*opened.index, opened.fresh)?;
        }
        Ok(Self {
            id: collection.id,
            name: collection.name.clone(),
            settings: collection.settings.clone(),
            index: opened.index,
            policy: ReadPolicy::default(),
            readers: RwLock::new(()),
            average: Mutex::new(caught_up.average),
            settled: AtomicBool::new(false),
            embedded: AtomicU64::new(0),
        })
    }

    /// Held by a query from before it takes its view of the catalog until it has read its candidates: chunks that the
    /// view says are live stay in the index meanwhile.
    pub(crate) fn reading(&self) -> RwLockReadGuard<'_, ()> {
        self.readers.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns when every query that began before has read its candidates. Called between publishing a revision and
    /// removing the one before from the index, so that a query sees the old document or the new one, never neither.
    pub(crate) fn wait_for_readers(&self) {
        drop(self.readers.write().unwrap_or_else(PoisonError::into_inner));
    }

    /// The average length that the weights of new points are to assume.
    pub(crate) fn average(&self) -> Option<f32> {
        *self.average.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets what [`Self::average`] returns.
    pub(crate) fn set_average(&self, average: f32) {
        *self.average.lock().unwrap_or_else(PoisonError::into_inner) = Some(average);
    }

    /// Whether the index has nothing left to apply, weigh anew or optimise.
    pub(crate) fn settled(&self) -> bool {
        self.settled.load(Ordering::Acquire)
    }

    /// Says whether it is [settled](Self::settled).
    pub(crate) fn set_settled(&self, settled: bool) {
        self.settled.store(settled, Ordering::Release);
    }
}

/// The embedder a collection is bound to, refused where the served model of that name is another space now.
pub(crate) fn bound_embedder(shared: &Shared, collection: &Collection) -> Result<EmbedService> {
    embedder_of(shared, &collection.name, &collection.settings.space)
}

/// [`bound_embedder`] of the collection `name`, bound to `space`.
pub(crate) fn embedder_of(shared: &Shared, name: &str, space: &Space) -> Result<EmbedService> {
    let (_, service) = shared.models.embedder(Some(&space.model)).map_err(|error| {
        let message = format!(
            "collection `{name}` is bound to embedder `{}`, which is not served here; serve it under that name",
            space.model
        );
        Error::new(error.kind(), message).caused_by(error)
    })?;
    let fingerprint = service.model().fingerprint(space.dimensions);
    if fingerprint != space.fingerprint {
        let message = format!(
            "collection `{name}` holds vectors of space {}, but `{}` is {} now; serve the model it was made with, or make \
             a new collection and ingest again",
            short(space.fingerprint),
            space.model,
            short(fingerprint)
        );
        return Err(Error::new(ErrorKind::Conflict, message));
    }
    Ok(service)
}

/// Enough of a fingerprint to tell two apart.
fn short(fingerprint: SpaceFingerprint) -> String {
    fingerprint.to_string().chars().take(12).collect()
}

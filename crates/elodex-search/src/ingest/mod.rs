//! From an accepted document to a searchable one: read, cut, embed, index, publish; resumed wherever it was stopped.
//!
//! Three stages work at the same time, so that the embedder always has the next texts:
//! - [`read`]: threads that turn content into text and chunks (`not_parsed → parsing → not_indexed`);
//! - [`embed`]: a thread that sends chunk texts to the embedder's slow lane (`not_indexed → indexing`);
//! - [`writer`]: a thread that stores vectors, writes points and publishes (`indexing → indexed`), and, when there is
//!   nothing to ingest, sees to the indexes ([`upkeep`]).
//!
//! What is handed from stage to stage is the number of a revision: its text, chunks and vectors are read from the
//! catalog, which has them on disk. So memory stays bounded, and going on after a kill is what happens anyway.
//!
//! What may pass (a full disk, a busy embedder) is tried again; what may not fails the document with its reason; what
//! was replaced or deleted meanwhile is dropped.

mod board;
mod catch_up;
mod embed;
mod feed;
mod growth;
mod points;
mod read;
mod trouble;
mod upkeep;
mod writer;

pub(crate) use catch_up::catch_up;

use crate::collection::{OpenCollection, bound_embedder};
use crate::engine::Shared;
use crate::{Error, ErrorKind, Result, SearchEngine, error};
use board::Board;
use elodex_store::CollectionId;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use writer::Writer;

/// How often a watcher is told.
const WATCHED: Duration = Duration::from_millis(250);

/// The threads that ingest. Dropping it stops them.
#[derive(Debug)]
pub(crate) struct Ingestion {
    board: Arc<Board>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// How far ingestion is, for a progress bar.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Documents that wait or are worked on.
    pub pending: u64,
    /// Documents that can be searched.
    pub indexed: u64,
    /// Documents that failed.
    pub failed: u64,
    /// Chunks embedded since the engine was opened.
    pub chunks: u64,
}

impl Ingestion {
    /// Starts the threads.
    pub(crate) fn start(shared: &Arc<Shared>) -> Result<Self> {
        let board = Arc::new(Board::default());
        let ingestion = Self { board, threads: Mutex::default() };
        for reader in 0..shared.options.parse_threads.max(1) {
            ingestion.spawn(format!("elodex-read-{reader}"), shared, read::run)?;
        }
        ingestion.spawn("elodex-embed".into(), shared, embed::run)?;
        ingestion.spawn("elodex-index".into(), shared, |shared, board| Writer::new(shared, board).run())?;
        ingestion.wake();
        Ok(ingestion)
    }

    fn spawn(&self, name: String, shared: &Arc<Shared>, work: fn(&Shared, &Board)) -> Result<()> {
        let (shared, board) = (Arc::clone(shared), Arc::clone(&self.board));
        let refused = format!("cannot start thread `{name}`");
        let thread = std::thread::Builder::new()
            .name(name)
            .spawn(move || work(&shared, &board))
            .map_err(|error| Error::new(ErrorKind::Unavailable, refused).caused_by(error))?;
        self.threads.lock().unwrap_or_else(PoisonError::into_inner).push(thread);
        Ok(())
    }

    /// Says that there is work.
    pub(crate) fn wake(&self) {
        self.board.change(|state| state.feed.wake());
    }

    /// Says that a revision that had failed is to be tried again.
    pub(crate) fn rescan(&self) {
        self.board.change(|state| state.feed.rescan());
    }

    /// Says that a collection's embedder is served, in case it was not before.
    pub(crate) fn unblock(&self, collection: CollectionId) {
        self.board.change(|state| state.feed.unblock(collection));
    }

    /// Says that documents of a collection were deleted.
    pub(crate) fn forget(&self, collection: CollectionId, open: Option<&OpenCollection>) {
        self.board.change(|state| {
            state.deleted_from.insert(collection);
            // Here and not by the writer, who may be at the end of settling it: whoever waits from now on sees it.
            if let Some(open) = open {
                open.set_settled(false);
            }
        });
    }

    /// Removes the index of a collection that the catalog has no more, once nothing uses it.
    pub(crate) fn discard(&self, collection: Arc<OpenCollection>) {
        self.board.change(|state| state.discarded.push(collection));
    }

    /// Finishes what is in hand, flushes every index, and joins the threads.
    pub(crate) fn stop(&self) {
        self.board.change(|state| state.stopping = true);
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            let name = thread.thread().name().unwrap_or_default().to_owned();
            if thread.join().is_err() {
                tracing::error!(thread = name, "a thread of ingestion ended by panic");
            }
        }
    }
}

impl Drop for Ingestion {
    fn drop(&mut self) {
        self.stop();
    }
}

impl SearchEngine {
    /// Waits until nothing of `collection` is pending and its index is optimised, telling `watch` about four times a
    /// second; `false` where `timeout` came first.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound), also where the collection is removed meanwhile;
    /// [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable) where the engine shuts down. Where documents are pending
    /// and the collection's embedder is not served as it was, what [`Models::embedder`](crate::Models::embedder) says, or
    /// [`ErrorKind::Conflict`](crate::ErrorKind::Conflict).
    pub fn wait_until_indexed(
        &self,
        collection: &str,
        timeout: Option<Duration>,
        watch: &mut dyn FnMut(Progress),
    ) -> Result<bool> {
        let open = self.shared.collection(collection)?;
        let _waiting = Waiting::new(&self.ingestion.board, open.id);
        let until = timeout.map(|timeout| Instant::now() + timeout);
        loop {
            let view = self.shared.catalog.view().map_err(error::of)?;
            let found = view.collection(collection).map_err(error::of)?;
            let counts = view.counts(found.id).map_err(error::of)?;
            drop(view);
            let pending = counts.parsing + counts.indexing;
            let chunks = open.embedded.load(Ordering::Relaxed);
            watch(Progress { pending, indexed: counts.indexed, failed: counts.failed, chunks });
            if pending == 0 && open.settled() {
                return Ok(true);
            }
            if pending > 0 {
                bound_embedder(&self.shared, &found)?;
            }
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            if left == Some(Duration::ZERO) {
                return Ok(false);
            }
            let time = left.map_or(WATCHED, |left| left.min(WATCHED));
            // A settled index says nothing while documents are on their way to it.
            let done = || pending == 0 && open.settled();
            if !self.ingestion.board.pause_until(time, done) {
                let message =
                    format!("the engine shuts down, with {pending} documents of `{collection}` to go");
                return Err(Error::new(ErrorKind::Unavailable, message));
            }
        }
    }
}

/// Somebody waits for a collection's index: it is optimised as soon as nothing is pending.
struct Waiting<'a> {
    board: &'a Board,
    collection: CollectionId,
}

impl<'a> Waiting<'a> {
    fn new(board: &'a Board, collection: CollectionId) -> Self {
        board.change(|state| {
            *state.waited_for.entry(collection).or_default() += 1;
            state.nudged = true;
        });
        Self { board, collection }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.board.change(|state| {
            let waiting = state.waited_for.entry(self.collection).or_default();
            *waiting = waiting.saturating_sub(1);
            if *waiting == 0 {
                state.waited_for.remove(&self.collection);
            }
        });
    }
}

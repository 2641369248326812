//! What the threads of ingestion tell each other, under one lock: which revisions are to be read, which are to be
//! embedded, which requests are with the embedder, and what else the writer has to do.
//!
//! Every wait is for a condition of this state and every change wakes all that wait, so no word is lost. Nothing that
//! waits for disk or model is done under the lock.

use super::embed::Request;
use super::feed::{Feed, PageWanted};
use crate::collection::OpenCollection;
use elodex_store::{CollectionId, Document};
use elodex_types::Revision;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Revisions and bytes of their text that may wait between reading and embedding; one batch more always may.
const QUEUED: usize = 8_192;
const QUEUE_BYTES: u64 = 16 << 20;

/// Requests that may be with the embedder: enough that it has the next batch while an answer is written down.
const REQUESTS: usize = 4;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Board {
    state: Mutex<State>,
    changed: Condvar,
}

/// What is on the board.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) feed: Feed,
    /// Revisions to embed with the bytes of their text, in order.
    queue: VecDeque<(Revision, u64)>,
    queued_bytes: u64,
    /// Requests whose answers are to be written down, in order.
    requests: VecDeque<Request>,
    /// Collections from which documents were deleted.
    pub(super) deleted_from: BTreeSet<CollectionId>,
    /// Collections that are gone, whose indexes have to go.
    pub(super) discarded: Vec<Arc<OpenCollection>>,
    /// How many callers wait for a collection to be indexed.
    pub(super) waited_for: HashMap<CollectionId, usize>,
    /// Somebody wants the writer to look around.
    pub(super) nudged: bool,
    /// Threads take nothing new.
    pub(super) stopping: bool,
}

/// What a reading thread does next.
pub(super) enum Reading {
    /// Read a page of the list of pending revisions.
    Page(PageWanted),
    /// Read these documents.
    Documents(Vec<Document>),
    /// Come to an end.
    Stop,
}

/// What the writer does next.
pub(super) enum Turn {
    /// Write an answer down.
    Request(Request),
    /// See to what else is on the board: something was deleted or the time given has passed.
    Other,
    /// Nothing waits and nothing is under way: see to the indexes.
    Idle,
    /// Come to an end.
    Stop,
}

/// From when on the writer may be idle.
#[derive(Debug, Clone, Copy)]
pub(super) struct IdleFrom {
    /// Where nobody waits for an index.
    pub(super) quiet: Instant,
    /// Where somebody does.
    pub(super) waited_for: Instant,
}

impl Board {
    /// The state, to look at or to change; whoever waits sees a change made through [`Self::change`] only.
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state and wakes all that wait.
    pub(super) fn change<R>(&self, change: impl FnOnce(&mut State) -> R) -> R {
        let result = change(&mut self.lock());
        self.changed.notify_all();
        result
    }

    /// Whether threads are to take nothing new.
    pub(super) fn stopping(&self) -> bool {
        self.lock().stopping
    }

    /// Waits for `time`; `false` where threads are to stop.
    pub(super) fn pause(&self, time: Duration) -> bool {
        self.pause_until(time, || false)
    }

    /// Waits for `time` or until a change after which `done`; `false` where threads are to stop.
    pub(super) fn pause_until(&self, time: Duration, done: impl Fn() -> bool) -> bool {
        let until = Instant::now() + time;
        let mut state = self.lock();
        while !state.stopping && !done() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            state = self.wait(state, Some(left));
        }
        !state.stopping
    }

    /// Waits for a change of any kind.
    pub(super) fn wait<'a>(
        &self,
        state: MutexGuard<'a, State>,
        at_most: Option<Duration>,
    ) -> MutexGuard<'a, State> {
        match at_most {
            None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            Some(time) => {
                let waited = self.changed.wait_timeout(state, time);
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
        }
    }

    /// What a reading thread does next; documents at most `count` and, beyond the first, at most `bytes` of content.
    pub(super) fn next_to_read(&self, count: usize, bytes: u64) -> Reading {
        let mut state = self.lock();
        loop {
            if state.stopping {
                return Reading::Stop;
            }
            let alarm = state.feed.alarm();
            if let Some(page) = state.feed.page_wanted() {
                return Reading::Page(page);
            }
            let documents = state.feed.take(count, bytes);
            if !documents.is_empty() {
                return Reading::Documents(documents);
            }
            state = self.wait(state, alarm.map(|at| at.saturating_duration_since(Instant::now())));
        }
    }

    /// Hands revisions to the embedding thread, once the queue has room; `false` where threads are to stop.
    pub(super) fn queue(&self, revisions: &[(Revision, u64)]) -> bool {
        let mut state = self.lock();
        while (state.queued_bytes > QUEUE_BYTES || state.queue.len() > QUEUED) && !state.stopping {
            state = self.wait(state, None);
        }
        if state.stopping {
            return false;
        }
        state.queued_bytes += revisions.iter().map(|(_, bytes)| bytes).sum::<u64>();
        state.queue.extend(revisions);
        drop(state);
        self.changed.notify_all();
        true
    }

    /// The next revisions to embed, at most `count` and, beyond the first, at most `bytes` of text; `None` where
    /// threads are to stop.
    pub(super) fn next_to_embed(&self, count: usize, bytes: u64) -> Option<Vec<Revision>> {
        let mut state = self.lock();
        while state.queue.is_empty() && !state.stopping {
            state = self.wait(state, None);
        }
        if state.stopping {
            return None;
        }
        let mut taken = Vec::new();
        let mut taken_bytes = 0;
        while let Some(&(revision, size)) = state.queue.front() {
            if taken.len() == count || (taken_bytes + size > bytes && !taken.is_empty()) {
                break;
            }
            state.queue.pop_front();
            taken.push(revision);
            taken_bytes += size;
        }
        state.queued_bytes -= taken_bytes;
        drop(state);
        self.changed.notify_all();
        Some(taken)
    }

    /// Waits until another request may be sent to the embedder; `false` where threads are to stop.
    pub(super) fn wait_for_room(&self) -> bool {
        let mut state = self.lock();
        while state.requests.len() >= REQUESTS && !state.stopping {
            state = self.wait(state, None);
        }
        !state.stopping
    }

    /// Hands a request to the writer.
    pub(super) fn sent(&self, request: Request) {
        self.change(|state| state.requests.push_back(request));
    }

    /// Takes requests back from the embedder: their documents stay pending.
    pub(super) fn withdraw_requests(&self) {
        let requests = self.change(|state| std::mem::take(&mut state.requests));
        drop(requests);
    }

    /// Whether a revision is still worked on: it was not given up by another thread.
    pub(super) fn works_on(&self, revision: Revision) -> bool {
        self.lock().feed.is_taken(revision)
    }

    /// Whether an answer is to be written down.
    pub(super) fn has_requests(&self) -> bool {
        !self.lock().requests.is_empty()
    }

    /// What the writer does next; waits for something to do, at most until `until`. It is idle where nothing is under
    /// way and the time for it has come.
    pub(super) fn next_turn(&self, until: Option<Instant>, idle: Option<IdleFrom>) -> Turn {
        let mut state = self.lock();
        loop {
            if state.stopping {
                return Turn::Stop;
            }
            if let Some(request) = state.requests.pop_front() {
                drop(state);
                self.changed.notify_all();
                return Turn::Request(request);
            }
            let now = Instant::now();
            let other = state.nudged || !state.deleted_from.is_empty() || !state.discarded.is_empty();
            if other || until.is_some_and(|until| until <= now) {
                return Turn::Other;
            }
            let waited_for = !state.waited_for.is_empty();
            let idle_from = idle.map(|idle| if waited_for { idle.waited_for } else { idle.quiet });
            // Work under way ends with a change, so only a time to come is waited for.
            let idle_from = idle_from.filter(|_| state.feed.idle());
            if idle_from.is_some_and(|from| from <= now) {
                return Turn::Idle;
            }
            let wake = until.into_iter().chain(idle_from).min();
            state = self.wait(state, wake.map(|at| at - now));
        }
    }

    /// Forgets revisions: nothing is left to do for them.
    pub(super) fn finish(&self, revisions: impl IntoIterator<Item = Revision>) {
        self.change(|state| {
            for revision in revisions {
                state.feed.finish(revision);
            }
        });
    }

    /// Puts revisions back that could not be worked on for a reason that may pass.
    pub(super) fn put_back(&self, revisions: impl IntoIterator<Item = Revision>) {
        self.change(|state| {
            for revision in revisions {
                state.feed.finish(revision);
            }
            state.feed.try_again();
        });
    }
}

/// A document's text in the catalog, in bytes; 0 before it is parsed.
pub(super) fn text_bytes(document: &Document) -> u64 {
    document.parsed.as_ref().map_or(0, |parsed| parsed.text_bytes)
}

//! What keeps indexes as good as the catalog while documents come and go: removals from the log, flushes, weights for
//! a new average length, optimisation, and the catalog's own clearing up.

use super::board::{Board, IdleFrom};
use super::growth::Growth;
use super::points::{mean_terms, remove, upsert};
use super::trouble::{Trouble, guard};
use crate::collection::OpenCollection;
use crate::engine::Shared;
use elodex_store::{CollectionId, IndexOperation};
use elodex_types::Revision;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Log entries read at once.
const LOG: usize = 1_024;

/// Points written to an index after which it is flushed, whatever the time.
const UNFLUSHED: u64 = 50_000;

/// How long nothing may have been written before indexes are optimised, where nobody waits for it.
const QUIET: Duration = Duration::from_secs(1);

/// Documents weighed anew in one step.
const WEIGHED: usize = 64;

/// How far the average length may be from what the weights assume.
const DRIFT: f32 = 0.1;

/// Rows that the catalog clears away in one step.
const PURGED: usize = 500;

/// How long to leave an index alone after it failed.
const AFTER_FAILURE: Duration = Duration::from_secs(5);

/// The indexes, as the writing thread has left them.
pub(super) struct Upkeep<'a> {
    shared: &'a Shared,
    board: &'a Board,
    tails: HashMap<CollectionId, Tail>,
    /// When a point was last written.
    changed: Instant,
    /// Nothing is left to do until something happens.
    at_rest: bool,
    /// Leave indexes alone until then: one failed.
    pause: Option<Instant>,
}

/// Where one index stands.
#[derive(Debug, Default)]
struct Tail {
    /// The log is applied up to here.
    applied: u64,
    /// Since when something is not flushed, and how many points.
    unflushed: Option<Instant>,
    points: u64,
    growth: Growth,
    /// Points are being weighed anew: done up to this path.
    weighing: Option<Weighing>,
}

/// Points being weighed anew.
#[derive(Debug, Default, Clone)]
struct Weighing {
    average: f32,
    after: Option<String>,
}

impl<'a> Upkeep<'a> {
    pub(super) fn new(shared: &'a Shared, board: &'a Board) -> Self {
        Self { shared, board, tails: HashMap::new(), changed: Instant::now(), at_rest: false, pause: None }
    }

    /// Until when the writing thread may wait for documents, and from when on it may be idle.
    pub(super) fn due(&mut self) -> (Option<Instant>, Option<IdleFrom>) {
        let now = Instant::now();
        self.pause = self.pause.filter(|until| *until > now);
        let not_before = self.pause.unwrap_or(now);
        let interval = self.shared.options.flush_interval;
        let flush = self.tails.values().filter_map(|tail| match tail.points >= UNFLUSHED {
            true => Some(now),
            false => tail.unflushed.map(|since| since + interval),
        });
        let idle = IdleFrom { quiet: not_before.max(self.changed + QUIET), waited_for: not_before };
        (flush.min().map(|at| at.max(not_before)), (!self.at_rest).then_some(idle))
    }

    /// Points were written, and the index took so long for them.
    pub(super) fn changed(&mut self, open: &OpenCollection, points: u64, took: Duration) {
        open.set_settled(false);
        self.at_rest = false;
        self.changed = Instant::now();
        let tail = self.tails.entry(open.id).or_default();
        tail.unflushed.get_or_insert(self.changed);
        tail.points += points;
        tail.growth.add(points, took);
    }

    /// Points were written, and more may follow before anything else is seen to: those of a large document.
    pub(super) fn wrote(&mut self, open: &OpenCollection, points: u64, took: Duration) {
        self.changed(open, points, took);
        if self.pause.is_none() {
            self.optimise_grown();
        }
    }

    /// Sees to what happened beside documents that came in, and to what is due.
    pub(super) fn events(&mut self) {
        self.removals();
        if self.pause.is_some() {
            return;
        }
        let interval = self.shared.options.flush_interval;
        let due = |tail: &Tail| {
            tail.points >= UNFLUSHED || tail.unflushed.is_some_and(|since| since.elapsed() >= interval)
        };
        let due: Vec<CollectionId> =
            self.tails.iter().filter(|(_, tail)| due(tail)).map(|(id, _)| *id).collect();
        self.flush(&due);
        if !due.is_empty() {
            self.shared.write_usage();
        }
        self.optimise_grown();
        self.settle_waited_for();
    }

    /// Removes indexes and points of what was deleted.
    fn removals(&mut self) {
        let (deleted_from, discarded) = self.board.change(|state| {
            state.nudged = false;
            (std::mem::take(&mut state.deleted_from), std::mem::take(&mut state.discarded))
        });
        self.at_rest = false;
        for open in discarded {
            self.discard(&open);
        }
        for id in deleted_from {
            if let Ok(Some(open)) = self.shared.opened(id) {
                self.apply_log(&open);
            }
        }
    }

    /// Removes the index of a collection that is gone.
    fn discard(&mut self, open: &Arc<OpenCollection>) {
        self.tails.remove(&open.id);
        open.wait_for_readers();
        if let Err(error) = self.shared.indexes.remove(open.id) {
            let error = error.report();
            tracing::warn!(
                collection = open.name,
                error,
                "an index could not be removed; it goes at the next start"
            );
        }
    }

    /// Removes from an index what the log says. What cannot be removed now is with the next flush.
    pub(super) fn apply_log(&mut self, open: &OpenCollection) {
        let applied = guard("removing points", || self.try_apply_log(open));
        if let Err(trouble) = applied {
            self.failed(open, "old points could not be removed", &trouble);
        }
    }

    fn try_apply_log(&mut self, open: &OpenCollection) -> Result<(), Trouble> {
        let tail = self.tails.entry(open.id).or_default();
        loop {
            let entries = self.shared.catalog.view()?.log(open.id, tail.applied, LOG)?;
            let removed: Vec<(Revision, u32)> = entries
                .iter()
                .filter_map(|(_, operation)| match *operation {
                    IndexOperation::Remove { revision, chunks } => Some((revision, chunks)),
                    IndexOperation::Add(_) => None,
                })
                .collect();
            if !removed.is_empty() {
                open.set_settled(false);
                open.wait_for_readers();
                remove(&*open.index, &removed)?;
            }
            let Some((last, _)) = entries.last() else { return Ok(()) };
            tail.applied = *last;
            tail.unflushed.get_or_insert_with(Instant::now);
            self.at_rest = false;
            if entries.len() < LOG {
                return Ok(());
            }
        }
    }

    /// Says what went wrong with an index and leaves it alone for a while.
    fn failed(&mut self, open: &OpenCollection, what: &str, trouble: &Trouble) {
        if let Trouble::Failed(reason) | Trouble::Later(reason) = trouble {
            tracing::warn!(collection = open.name, reason, "{what}; it is tried again");
            self.pause = Some(Instant::now() + AFTER_FAILURE);
        }
    }

    /// Writes indexes through to disk and trims the log.
    fn flush(&mut self, collections: &[CollectionId]) {
        for &id in collections {
            let Ok(Some(open)) = self.shared.opened(id) else {
                self.tails.remove(&id);
                continue;
            };
            self.apply_log(&open);
            let Some(tail) = self.tails.get(&id) else { continue };
            let applied = tail.applied;
            let flushed = guard("flushing an index", || {
                open.index.flush()?;
                if applied > 0 {
                    self.shared.catalog.trim_log(id, applied)?;
                }
                Ok(())
            });
            match flushed {
                Ok(()) | Err(Trouble::Gone) => {
                    let tail = self.tails.entry(id).or_default();
                    (tail.unflushed, tail.points) = (None, 0);
                }
                Err(trouble) => self.failed(&open, "an index could not be flushed", &trouble),
            }
        }
    }

    /// Optimises indexes that have grown by much, though more is on its way: what is not optimised is compared vector by
    /// vector, and writing beside it takes longer the more there is.
    fn optimise_grown(&mut self) {
        let least = self.shared.options.optimise_after;
        let grown: Vec<CollectionId> =
            self.tails.iter().filter(|(_, tail)| tail.growth.is_due(least)).map(|(id, _)| *id).collect();
        for id in grown {
            let Ok(Some(open)) = self.shared.opened(id) else { continue };
            match guard("optimising an index", || Ok(Growth::after_optimising(&*open.index)?)) {
                Ok(growth) => self.tails.entry(id).or_default().growth = growth,
                Err(trouble) => self.failed(&open, "an index could not be optimised", &trouble),
            }
        }
    }

    /// Settles indexes that somebody waits for and that nothing is on its way to, while others are busy.
    fn settle_waited_for(&mut self) {
        let waited_for: Vec<CollectionId> = self.board.lock().waited_for.keys().copied().collect();
        for id in waited_for {
            let Ok(Some(open)) = self.shared.opened(id) else { continue };
            let counts = self.shared.catalog.view().and_then(|view| view.counts(id));
            let nothing_comes = counts.is_ok_and(|counts| counts.parsing + counts.indexing == 0);
            if nothing_comes && !open.settled() && self.settle(&open) {
                self.board.change(|state| state.nudged = true);
            }
        }
    }

    /// Does one step of what is left to do.
    pub(super) fn idle(&mut self) {
        // Points that are weighed anew are written like new ones.
        self.optimise_grown();
        for open in self.shared.all_open() {
            if !open.settled() && self.settle(&open) {
                return;
            }
        }
        let settled = self.shared.all_open().iter().all(|open| open.settled());
        self.at_rest = !self.purge() && settled;
        self.shared.write_usage();
    }

    /// One step on the way to a settled index; whether there are more.
    fn settle(&mut self, open: &OpenCollection) -> bool {
        let step = guard("settling an index", || {
            self.try_apply_log(open)?;
            Ok(self.weigh(open)? || open.index.optimise()?)
        });
        match step {
            Ok(more) => {
                if let (false, Some(tail)) = (more, self.tails.get_mut(&open.id)) {
                    tail.growth.end();
                }
                let settled = |deleted: bool| open.set_settled(!more && !deleted);
                self.board.change(|state| settled(state.deleted_from.contains(&open.id)));
                more
            }
            Err(trouble) => {
                self.failed(open, "an index could not be optimised", &trouble);
                false
            }
        }
    }

    /// Weighs some points anew where the average length has moved; whether there are more.
    fn weigh(&mut self, open: &OpenCollection) -> Result<bool, Trouble> {
        let Some(assumed) = open.average() else { return Ok(false) };
        let view = self.shared.catalog.view()?;
        let tail = self.tails.entry(open.id).or_default();
        let Weighing { average, after } = match &tail.weighing {
            Some(weighing) => weighing.clone(),
            None => {
                let counts = view.counts(open.id)?;
                let Some(average) = mean_terms(counts.terms, counts.chunks) else { return Ok(false) };
                if (average - assumed).abs() <= DRIFT * assumed {
                    return Ok(false);
                }
                tracing::debug!(collection = open.name, assumed, average, "weighing all points anew");
                // From now on, for what comes in meanwhile too.
                open.set_average(average);
                Weighing { average, after: None }
            }
        };
        tail.weighing = Some(Weighing { average, after: after.clone() });
        let documents = view.live_documents(open.id, after.as_deref(), WEIGHED)?;
        let mut wrote = |points, took| {
            tail.points += points;
            tail.growth.add(points, took);
        };
        upsert(&*view, &*open.index, &documents, average, &mut wrote)?;
        tail.unflushed.get_or_insert_with(Instant::now);
        drop(view);
        if let (WEIGHED, Some(last)) = (documents.len(), documents.last()) {
            tail.weighing = Some(Weighing { average, after: Some(last.path.clone()) });
            return Ok(true);
        }
        tail.weighing = None;
        // What was deleted while it was written is in the log.
        self.try_apply_log(open)?;
        open.index.flush()?;
        self.shared.catalog.set_average_terms(open.id, average)?;
        Ok(true)
    }

    /// Lets the catalog clear up; whether there is more.
    fn purge(&mut self) -> bool {
        match guard("clearing up the catalog", || Ok(self.shared.catalog.purge(PURGED)?)) {
            Ok(more) => more,
            Err(trouble) => {
                tracing::warn!(?trouble, "what was deleted could not be cleared away; it is tried again");
                self.pause = Some(Instant::now() + AFTER_FAILURE);
                true
            }
        }
    }

    /// Flushes everything: the threads end.
    pub(super) fn end(&mut self) {
        self.removals();
        let unflushed: Vec<CollectionId> =
            self.tails.iter().filter(|(_, tail)| tail.unflushed.is_some()).map(|(id, _)| *id).collect();
        self.flush(&unflushed);
    }
}

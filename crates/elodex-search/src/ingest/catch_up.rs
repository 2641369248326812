//! An index is brought up to the catalog when it is opened, before anybody searches or writes it.

use super::growth::Growth;
use super::points::{chunk_count, mean_terms, remove, upsert};
use crate::engine::Shared;
use crate::{Result, error};
use elodex_store::{CatalogView, ChunkIndex, Collection, Document, IndexOperation};
use elodex_types::{ChunkId, Revision};

/// Documents and log entries read at once.
const PAGE: usize = 256;

/// Ids read from an index at once.
const IDS: usize = 16_384;

/// Brings an index up to the catalog: replays the log, or writes every live chunk where the index is fresh; then
/// compares the ids and mends what differs.
///
/// What was being ingested is pending still and not seen to here.
pub(crate) fn catch_up(
    shared: &Shared,
    collection: &Collection,
    index: &dyn ChunkIndex,
    fresh: bool,
) -> Result<CaughtUp> {
    let view = shared.catalog.view().map_err(error::of)?;
    let mut state = CatchUp {
        view: &*view,
        collection,
        index,
        average: collection.average_terms,
        growth: Some(Growth::default()),
        optimise_after: shared.options.optimise_after,
    };
    if fresh || state.average.is_none() {
        let counts = view.counts(collection.id).map_err(error::of)?;
        state.average = mean_terms(counts.terms, counts.chunks).or(state.average);
    }
    let outcome = state.run(fresh).map_err(error::of)?;
    let average = state.average;
    drop(view);
    let Outcome { last, replayed, written, removed, live } = outcome;
    if let Some(average) = average
        && collection.average_terms != Some(average)
    {
        shared.catalog.set_average_terms(collection.id, average).map_err(error::of)?;
    }
    if fresh || replayed + written + removed > 0 {
        index.flush().map_err(error::of)?;
        tracing::info!(
            collection = collection.name,
            fresh,
            replayed,
            written,
            removed,
            "an index was brought up to the catalog"
        );
    }
    if last > 0 {
        shared.catalog.trim_log(collection.id, last).map_err(error::of)?;
    }
    let sound = index.len().map_err(error::of)? == live;
    Ok(CaughtUp { average, sound })
}

/// An index after [`catch_up`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct CaughtUp {
    /// The average length that its weights assume.
    pub(crate) average: Option<f32>,
    /// Whether it counts as many points as there are live chunks. One that lists the right ids and counts others has
    /// some twice: it was torn in a way it does not know of.
    pub(crate) sound: bool,
}

/// What was done.
#[derive(Debug, Default)]
struct Outcome {
    /// The log's last entry.
    last: u64,
    /// Log entries replayed.
    replayed: u64,
    /// Points written.
    written: u64,
    /// Points removed that did not belong there.
    removed: u64,
    /// Live chunks there are.
    live: u64,
}

/// See [`catch_up`].
struct CatchUp<'a> {
    view: &'a dyn CatalogView,
    collection: &'a Collection,
    index: &'a dyn ChunkIndex,
    average: Option<f32>,
    /// `None` once it could not be optimised.
    growth: Option<Growth>,
    optimise_after: u64,
}

impl CatchUp<'_> {
    fn run(&mut self, fresh: bool) -> elodex_store::Result<Outcome> {
        let mut outcome = Outcome::default();
        self.replay(fresh, &mut outcome)?;
        let mut live = self.live(fresh, &mut outcome)?;
        if !fresh {
            self.compare(&mut live, &mut outcome)?;
        }
        Ok(outcome)
    }

    /// Applies the log; a fresh index needs nothing of it.
    fn replay(&mut self, fresh: bool, outcome: &mut Outcome) -> elodex_store::Result<()> {
        loop {
            let entries = self.view.log(self.collection.id, outcome.last, PAGE)?;
            let Some((last, _)) = entries.last() else { return Ok(()) };
            outcome.last = *last;
            if fresh {
                continue;
            }
            outcome.replayed += entries.len() as u64;
            for (_, operation) in entries {
                match operation {
                    IndexOperation::Remove { revision, chunks } => remove(self.index, &[(revision, chunks)])?,
                    IndexOperation::Add(revision) => {
                        if let Some(document) = self.view.revision(revision)?.filter(|document| document.live)
                        {
                            self.write(&[document], outcome)?;
                        }
                    }
                }
            }
        }
    }

    fn write(&mut self, documents: &[Document], outcome: &mut Outcome) -> elodex_store::Result<()> {
        let Self { index, growth, optimise_after, .. } = self;
        let mut wrote = |points, took| {
            outcome.written += points;
            let Some(grown) = growth.as_mut() else { return };
            grown.add(points, took);
            if grown.is_due(*optimise_after) {
                // One that cannot be is written and searched as it is, only more slowly.
                *growth = match Growth::after_optimising(*index) {
                    Ok(growth) => Some(growth),
                    Err(error) => {
                        tracing::warn!(error = error.report(), "an index could not be optimised");
                        None
                    }
                };
            }
        };
        // Without an average there is no live chunk, so none to weigh.
        upsert(self.view, *index, documents, self.average.unwrap_or(1.0), &mut wrote)
    }

    /// The live revisions with their chunks, ascending; writes them where the index is fresh.
    fn live(&mut self, fresh: bool, outcome: &mut Outcome) -> elodex_store::Result<Vec<Live>> {
        let mut live = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let documents = self.view.live_documents(self.collection.id, after.as_deref(), PAGE)?;
            outcome.live += documents.iter().map(|document| u64::from(chunk_count(document))).sum::<u64>();
            if fresh {
                self.write(&documents, outcome)?;
            } else {
                live.extend(documents.iter().map(|document| Live {
                    revision: document.revision,
                    chunks: chunk_count(document),
                    found: 0,
                }));
            }
            match documents.last() {
                Some(last) if documents.len() == PAGE => after = Some(last.path.clone()),
                _ => break,
            }
        }
        live.sort_unstable_by_key(|live| live.revision);
        Ok(live)
    }

    /// Removes points that are no live chunk's, and writes documents of which a point is missing.
    fn compare(&mut self, live: &mut [Live], outcome: &mut Outcome) -> elodex_store::Result<()> {
        let mut after: Option<ChunkId> = None;
        loop {
            let ids = self.index.ids(after, IDS)?;
            let strays: Vec<ChunkId> = ids.iter().copied().filter(|id| !counted(live, *id)).collect();
            if !strays.is_empty() {
                outcome.removed += strays.len() as u64;
                self.index.remove(&strays)?;
            }
            match ids.last() {
                Some(last) if ids.len() == IDS => after = Some(*last),
                _ => break,
            }
        }
        for incomplete in live.iter().filter(|live| live.found < live.chunks) {
            if let Some(document) = self.view.revision(incomplete.revision)? {
                self.write(&[document], outcome)?;
            }
        }
        Ok(())
    }
}

/// A live revision, and how many of its chunks the index has.
#[derive(Debug)]
struct Live {
    revision: Revision,
    chunks: u32,
    found: u32,
}

/// Counts a point for its revision; `false` where it is no live chunk's.
fn counted(live: &mut [Live], id: ChunkId) -> bool {
    let Ok(place) = live.binary_search_by_key(&id.revision(), |live| live.revision) else { return false };
    let live = &mut live[place];
    let known = id.ordinal() < live.chunks;
    live.found += u32::from(known);
    known
}

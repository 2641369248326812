//! The first stage: two ranked lists, fused, and as many live candidates of them as the answer needs.

use super::candidate::{Candidate, Standing};
use super::deadline::Clock;
use super::fuse::{Fused, fuse};
use super::{collapse, pages};
use crate::{Error, ErrorKind, Result, error};
use elodex_store::{CatalogView, ChunkIndex, Collection, Condition, Found, LiveChunk, SparseVector};
use elodex_types::{ChunkId, Place, Revision, SearchRequest, Unit, Weights};
use rayon::ThreadPool;
use std::collections::{HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

/// Candidates of a list beyond which no search goes to find more documents or pages.
pub(super) const DEEPEST: usize = 16_384;
/// Chunks read from the catalog at once.
const READ: std::ops::RangeInclusive<usize> = 32..=512;

/// What is looked for, and how much of it.
#[derive(Debug)]
pub(super) struct Search<'a> {
    pub(super) request: &'a SearchRequest,
    /// What is asked, with the conversation's turns.
    pub(super) query: &'a str,
    pub(super) condition: Option<Condition>,
    /// The query's embedding; `None` where the dense list is not asked.
    pub(super) vector: Option<&'a [f32]>,
    /// The query's terms; `None` where the BM25 list is not asked.
    pub(super) terms: Option<SparseVector>,
    pub(super) weights: Weights,
    /// Candidates of the dense and of the BM25 list to begin with.
    pub(super) depths: [usize; 2],
    /// Documents, pages or chunks that are enough.
    pub(super) enough: usize,
    /// Candidates that the second stage is to see.
    pub(super) rerank_depth: usize,
}

/// What the first stage found.
#[derive(Debug, Default)]
pub(super) struct Retrieved {
    /// Best first.
    pub(super) candidates: Vec<Candidate>,
    /// Before collapsing, as far as is known.
    pub(super) fused: usize,
    pub(super) dense_time: Duration,
    pub(super) lexical_time: Duration,
}

/// Asks the lists, and asks again for twice as many where that brings too few documents or pages and the request names no
/// depth. Called under [`OpenCollection::reading`](crate::collection::OpenCollection::reading) with a view taken there.
pub(super) fn retrieve(
    view: &dyn CatalogView,
    collection: &Collection,
    index: &dyn ChunkIndex,
    threads: &ThreadPool,
    search: &Search<'_>,
    clock: &Clock,
) -> Result<Retrieved> {
    let mut reader = Reader { view, collection, read: HashMap::new() };
    let wanted = wanted(view, collection, search)?;
    let mut depths = search.depths;
    let mut times = (Duration::ZERO, Duration::ZERO);
    loop {
        let lists = ask(index, threads, search, depths)?;
        times = (times.0 + lists.dense_time, times.1 + lists.lexical_time);
        let fused = fuse([(search.weights.dense, &lists.dense), (search.weights.lexical, &lists.lexical)]);
        let chosen = choose(&mut reader, search, wanted, &fused)?;
        let exhausted = lists.dense.len() < depths[0] && lists.lexical.len() < depths[1];
        let fixed = search.request.depth.is_some() || depths.iter().all(|&depth| depth >= DEEPEST);
        if chosen.units >= wanted || exhausted || fixed || clock.passed() {
            return Ok(Retrieved {
                candidates: reader.candidates(chosen.kept, lists.asked(search))?,
                fused: fused.len() - chosen.dead,
                dense_time: times.0,
                lexical_time: times.1,
            });
        }
        depths = depths.map(|depth| (2 * depth).min(DEEPEST));
    }
}

/// Documents, pages or chunks that are looked for: as many as are enough, or every document there is.
fn wanted(view: &dyn CatalogView, collection: &Collection, search: &Search<'_>) -> Result<usize> {
    if search.request.unit != Unit::Documents {
        return Ok(search.enough);
    }
    let counts = view.counts(collection.id).map_err(error::of)?;
    // What waits to be indexed may be live in an older version.
    let documents = counts.parsing + counts.indexing + counts.indexed + counts.failed;
    Ok(usize::try_from(documents).map_or(search.enough, |documents| documents.min(search.enough)))
}

struct Lists {
    dense: Vec<Found>,
    lexical: Vec<Found>,
    dense_time: Duration,
    lexical_time: Duration,
}

impl Lists {
    /// Those that were asked.
    fn asked(&self, search: &Search<'_>) -> [Option<&[Found]>; 2] {
        [search.vector.map(|_| &*self.dense), search.terms.as_ref().map(|_| &*self.lexical)]
    }
}

/// Both lists at the same time, the second on one of `threads`; one that is not asked is empty.
fn ask(
    index: &dyn ChunkIndex,
    threads: &ThreadPool,
    search: &Search<'_>,
    [dense_depth, lexical_depth]: [usize; 2],
) -> Result<Lists> {
    let condition = search.condition.as_ref();
    let exact = search.request.exact;
    let dense = || timed(|| search.vector.map(|vector| index.dense(vector, condition, dense_depth, exact)));
    let lexical = || {
        timed(|| {
            let terms = search.terms.as_ref().filter(|terms| !terms.ids.is_empty());
            terms.map(|terms| index.lexical(terms, condition, lexical_depth))
        })
    };
    let ((dense, dense_time), (lexical, lexical_time)) = if search.vector.is_some() && search.terms.is_some()
    {
        let mut other = None;
        let dense = threads.in_place_scope(|scope| {
            scope.spawn(|_| other = catch_unwind(AssertUnwindSafe(lexical)).ok());
            dense()
        });
        let panicked = || Error::new(ErrorKind::Bug, "the search of the bm25 list panicked");
        (dense, other.ok_or_else(panicked)?)
    } else {
        (dense(), lexical())
    };
    let list = |found: Option<elodex_store::Result<_>>| found.transpose().map(Option::unwrap_or_default);
    Ok(Lists {
        dense: list(dense).map_err(error::of)?,
        lexical: list(lexical).map_err(error::of)?,
        dense_time,
        lexical_time,
    })
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let started = Instant::now();
    let result = work();
    (result, started.elapsed())
}

/// The candidates that the answer is made of.
struct Chosen {
    kept: Vec<Choice>,
    /// Documents, pages or chunks among them.
    units: usize,
    /// Found chunks that are not live, among those looked at.
    dead: usize,
}

struct Choice {
    id: ChunkId,
    page: u32,
    fused: Place,
    places: [Option<Place>; 2],
    duplicates: Vec<String>,
}

/// Goes through the fused list until there are enough candidates and enough documents, pages or chunks of them.
fn choose(reader: &mut Reader<'_>, search: &Search<'_>, wanted: usize, fused: &[Fused<2>]) -> Result<Chosen> {
    let request = search.request;
    let enough = wanted.max(search.rerank_depth);
    let mut chosen = Chosen { kept: Vec::new(), units: 0, dead: 0 };
    let mut units: HashSet<(Revision, u32)> = HashSet::new();
    let mut distinct = collapse::Kept::default();
    // Behind what the reranker sees, only the first chunk of a document counts: the others need not be read.
    let only_new = request.unit == Unit::Documents && !request.collapse;
    for batch in fused.chunks(enough.clamp(*READ.start(), *READ.end())) {
        let full = only_new && chosen.kept.len() >= search.rerank_depth;
        let batch: Vec<&Fused<2>> =
            batch.iter().filter(|found| !(full && units.contains(&(found.id.revision(), 0)))).collect();
        reader.read(&batch)?;
        for found in batch {
            if chosen.units >= wanted && chosen.kept.len() >= search.rerank_depth {
                return Ok(chosen);
            }
            let Some(Some(read)) = reader.read.get_mut(&found.id) else {
                chosen.dead += 1;
                continue;
            };
            if request.collapse {
                let shingles = read.shingles.get_or_insert_with(|| collapse::shingles(&read.live.text));
                if let Some(same) = distinct.offer(shingles) {
                    let duplicates = &mut chosen.kept[same].duplicates;
                    if !duplicates.contains(&read.live.document.path) {
                        duplicates.push(read.live.document.path.clone());
                    }
                    continue;
                }
            }
            let page = match request.unit {
                Unit::Pages => pages::main_page(reader.view, &read.live, search.query)?,
                _ => 0,
            };
            let revision = found.id.revision();
            let new = match request.unit {
                Unit::Documents | Unit::Pages => units.insert((revision, page)),
                Unit::Chunks | Unit::Passages => true,
            };
            chosen.units += usize::from(new);
            let fused = Place { rank: chosen.kept.len() + 1, score: found.score as f32 };
            chosen.kept.push(Choice {
                id: found.id,
                page,
                fused,
                places: found.places,
                duplicates: Vec::new(),
            });
        }
    }
    Ok(chosen)
}

/// Chunks read from the catalog, each once for a request; `None` for one that is not live.
struct Reader<'a> {
    view: &'a dyn CatalogView,
    collection: &'a Collection,
    read: HashMap<ChunkId, Option<Read>>,
}

struct Read {
    live: LiveChunk,
    shingles: Option<Vec<u64>>,
}

impl Reader<'_> {
    fn read(&mut self, batch: &[&Fused<2>]) -> Result<()> {
        let unread = batch.iter().map(|found| found.id).filter(|id| !self.read.contains_key(id));
        let ids: Vec<ChunkId> = unread.collect();
        if ids.is_empty() {
            return Ok(());
        }
        self.read.extend(ids.iter().map(|&id| (id, None)));
        for live in self.view.live_chunks(self.collection.id, &ids).map_err(error::of)? {
            self.read.insert(live.id, Some(Read { live, shingles: None }));
        }
        Ok(())
    }

    /// The chosen chunks with their texts.
    fn candidates(&mut self, chosen: Vec<Choice>, asked: [Option<&[Found]>; 2]) -> Result<Vec<Candidate>> {
        let candidate = |choice: Choice| {
            let read = self.read.remove(&choice.id).flatten();
            let read =
                read.ok_or_else(|| Error::new(ErrorKind::Bug, "a chunk was found twice in one list"))?;
            let [dense, lexical] = choice.places;
            Ok(Candidate {
                live: read.live,
                page: choice.page,
                dense,
                lexical,
                standing: Standing::of(asked, choice.places),
                fused: choice.fused,
                second: None,
                duplicates: choice.duplicates,
            })
        };
        chosen.into_iter().map(candidate).collect()
    }
}

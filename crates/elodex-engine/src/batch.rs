//! One batch on its way: what it holds, how it is packed and run, and who is told what came of it.

use crate::backend::{Backend, Part, Receipt};
use crate::error::of_panic;
use crate::job::{JobId, Settled};
use crate::scheduler::Shared;
use crate::{Error, ErrorKind, Result};
use elodex_kernels::Parallelism;
use elodex_models::Encoded;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

/// A part on its way into a batch.
pub(crate) struct Item<B: Backend> {
    pub(crate) job: JobId,
    pub(crate) slot: usize,
    pub(crate) position: usize,
    pub(crate) call: Arc<B::Call>,
    pub(crate) part: Part,
    /// What was charged for it so far.
    pub(crate) charged: usize,
}

/// Runs a batch that counts as running, on this worker and with [`Parallelism::Pool`] on the others too, and tells the
/// callers. `started` is when it was begun to be gathered.
pub(crate) fn run<B: Backend>(
    shared: &Shared<B>,
    batch: Vec<Item<B>>,
    parallelism: Parallelism,
    started: Instant,
) {
    let _place = Place(shared);
    let bytes = match compute(shared, &batch, parallelism) {
        Ok(results) => deliver(shared, batch, results),
        Err(failure) => fail_batch(shared, &batch, &failure),
    };
    shared.lock().measure(bytes, started.elapsed());
    shared.cache.settle();
}

/// A batch's place among those that run; dropped, it is free for the next, however the batch ended.
struct Place<'a, B: Backend>(&'a Shared<B>);

impl<B: Backend> Drop for Place<'_, B> {
    fn drop(&mut self) {
        let mut queue = self.0.lock();
        queue.running.end();
        queue.broken |= std::thread::panicking();
        // Where no call is left, only the next one or the end has to wake the scheduler, and both do: woken for nothing, it
        // would take the processor from whoever was just answered.
        let awaited = queue.in_flight() > 0 || queue.stopping || queue.broken;
        drop(queue);
        if awaited {
            self.0.changed.notify_all();
        }
    }
}

fn compute<B: Backend>(
    shared: &Shared<B>,
    batch: &[Item<B>],
    parallelism: Parallelism,
) -> Result<Vec<B::Raw>, BatchFailure> {
    let started = Instant::now();
    let Shared { backend, counters, .. } = shared;
    let inputs: Vec<(&B::Call, &Encoded)> =
        batch.iter().map(|item| (item.call.as_ref(), &item.part.encoded)).collect();
    let outcome = catch_unwind(AssertUnwindSafe(|| backend.run(&inputs, parallelism)));
    counters.compute_nanos.add_time(started.elapsed());
    counters.batches.add(1);
    counters.tokens.add(batch.iter().map(|item| item.part.tokens() as u64).sum());
    match outcome {
        Ok(Ok(results)) if results.len() == batch.len() => Ok(results),
        Ok(Ok(results)) => Err(BatchFailure::Count(results.len())),
        Ok(Err(error)) => Err(BatchFailure::Model(Arc::new(error))),
        Err(panic) => Err(BatchFailure::Panic(of_panic("running a batch", panic.as_ref()).to_string())),
    }
}

/// Files the results and tells whoever is complete; the bytes of the inputs that are.
fn deliver<B: Backend>(shared: &Shared<B>, batch: Vec<Item<B>>, results: Vec<B::Raw>) -> u64 {
    let now = Instant::now();
    let mut finished_bytes = 0;
    let mut settled = Vec::new();
    let mut keep = Vec::new();
    let mut queue = shared.lock();
    for (item, raw) in batch.into_iter().zip(results) {
        let receipt: Receipt = item.part.receipt();
        let Some(job) = queue.job_mut(item.job) else { continue };
        let filed = job.file(&shared.backend, item.slot, item.position, receipt, raw);
        let (lane, key, bytes) = (job.lane, Arc::clone(&job.key), job.bytes(item.slot));
        let (complete, expired) = (job.unfinished() == 0, job.late() && job.running() == 0);
        match filed {
            Ok(None) => {}
            Ok(Some(output)) => {
                keep.push(output);
                queue.release(lane, &key, bytes);
                finished_bytes += bytes;
            }
            Err(error) => {
                settled.extend(queue.fail(item.job, error));
                continue;
            }
        }
        if !complete && !expired {
            continue;
        }
        let Some(job) = queue.remove(item.job) else { continue };
        if complete {
            settled.push(job.complete(now));
            continue;
        }
        let (inputs, late) = job.expire();
        shared.counters.expired.add(inputs as u64);
        settled.push(late);
    }
    drop(queue);
    for (key, output) in keep {
        shared.cache.insert(key, output);
    }
    settled.into_iter().for_each(Settled::tell);
    finished_bytes
}

/// Ends every job that had a part in a failed batch, and no other.
fn fail_batch<B: Backend>(shared: &Shared<B>, batch: &[Item<B>], failure: &BatchFailure) -> u64 {
    let mut queue = shared.lock();
    let settled: Vec<_> = batch.iter().filter_map(|item| queue.fail(item.job, failure.error())).collect();
    drop(queue);
    settled.into_iter().for_each(Settled::tell);
    0
}

/// Why a whole batch has no results.
enum BatchFailure {
    Model(Arc<elodex_models::Error>),
    Panic(String),
    Count(usize),
}

impl BatchFailure {
    /// One error per job that was in the batch.
    fn error(&self) -> Error {
        match self {
            // A single input's fault is found when it is tokenised; here nobody in particular is to blame.
            BatchFailure::Model(error) => {
                Error::new(ErrorKind::Bug, "the model could not run a batch").caused_by(Arc::clone(error))
            }
            BatchFailure::Panic(message) => Error::new(ErrorKind::Bug, message.clone()),
            BatchFailure::Count(count) => {
                Error::new(ErrorKind::Bug, format!("the model answered a batch with {count} results"))
            }
        }
    }
}

/// Chooses a batch of at most `budget` tokens, longest first: everything that was ready, then of the fresh parts, the
/// longest that fit. A part over the budget runs alone.
pub(crate) fn pack<B: Backend>(
    ready: Vec<Item<B>>,
    mut fresh: Vec<Item<B>>,
    budget: usize,
) -> (Vec<Item<B>>, Vec<Item<B>>) {
    let mut tokens = ready.iter().map(|item| item.part.tokens()).sum::<usize>();
    let mut batch = ready;
    let mut left = Vec::new();
    fresh.sort_by_key(|item| std::cmp::Reverse(item.part.tokens()));
    for item in fresh {
        let more = item.part.tokens();
        if batch.is_empty() || tokens + more <= budget {
            tokens += more;
            batch.push(item);
        } else {
            left.push(item);
        }
    }
    batch.sort_by_key(|item| std::cmp::Reverse(item.part.tokens()));
    (batch, left)
}

/// Spreads a batch, longest first, over at most `places`: each part to where the fewest tokens are.
pub(crate) fn share_out<B: Backend>(batch: Vec<Item<B>>, places: usize) -> Vec<Vec<Item<B>>> {
    let mut shares: Vec<(usize, Vec<Item<B>>)> = Vec::new();
    shares.resize_with(places.clamp(1, batch.len().max(1)), Default::default);
    for item in batch {
        let Some((tokens, share)) = shares.iter_mut().min_by_key(|(tokens, _)| *tokens) else { continue };
        *tokens += item.part.tokens();
        share.push(item);
    }
    shares.into_iter().map(|(_, share)| share).collect()
}

//! Submission and life cycle, the same for both kinds of model.

use crate::backend::Backend;
use crate::cache::{Cache, CacheKey, KeyHasher};
use crate::job::{Job, NewInput, Reply};
use crate::pending::{Pending, channel};
use crate::queue::Queue;
use crate::scheduler::{self, Shared};
use crate::{EngineLimits, Error, ErrorKind, Result, Runtime, Stats};
use elodex_types::{CallContext, Lane, Latency, Timing};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

/// What an input counts beside its text, in bytes: see [`elodex_types::Usage::bytes`].
const BYTES_PER_INPUT: u64 = 150;

/// A model with its queue, cache and scheduler thread. Dropping it finishes accepted work and joins the thread.
pub(crate) struct Engine<B: Backend> {
    shared: Arc<Shared<B>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// A request as both kinds of model submit it.
pub(crate) struct Submission<C> {
    pub(crate) call: C,
    pub(crate) inputs: Vec<String>,
    /// Bytes of text each input is read with: the query of a rerank call.
    pub(crate) shared_bytes: u64,
    /// Has taken in everything of the call that results depend on.
    pub(crate) names: KeyHasher,
    /// Bytes one input's result takes.
    pub(crate) result_bytes: u64,
    pub(crate) latency: Latency,
    pub(crate) context: CallContext,
}

/// The results of a request.
pub(crate) struct Answers<O> {
    /// One per input, in request order.
    pub(crate) outputs: Vec<O>,
    /// As [`elodex_types::Usage`] counts them.
    pub(crate) bytes: u64,
    pub(crate) lane: Lane,
    pub(crate) timing: Timing,
}

/// Where an input's result comes from.
enum Source<O> {
    Cache(O),
    Slot(usize),
}

/// A request after the cache and its own repetitions have been taken out.
struct Sifted<O> {
    sources: Vec<Source<O>>,
    new: Vec<NewInput>,
    new_bytes: u64,
}

impl<B: Backend> Engine<B> {
    /// Starts the scheduler thread, named after the model. `weight` is what a result costs in the cache.
    pub(crate) fn start(
        backend: B,
        name: &str,
        runtime: Arc<Runtime>,
        limits: EngineLimits,
        weight: impl Fn(&B::Output) -> u64 + Send + Sync + 'static,
    ) -> Result<Self> {
        let token_budget = limits.token_budget(|tokens| backend.activation_bytes(tokens))?;
        let small_tokens =
            scheduler::small_tokens(backend.layer_multiply_adds(), token_budget, runtime.threads());
        let shared = Arc::new(Shared {
            backend,
            runtime,
            token_budget,
            small_tokens,
            cache: Cache::new(limits.cache_bytes, weight),
            limits,
            counters: Default::default(),
            queue: Mutex::new(Queue::default()),
            changed: Condvar::new(),
            stopped: Condvar::new(),
        });
        let of_thread = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name(format!("elodex-scheduler-{name}"))
            .spawn(move || scheduler::run(&of_thread))
            .map_err(|error| {
                Error::new(ErrorKind::Bug, format!("cannot start the scheduler thread of `{name}`"))
                    .caused_by(error)
            })?;
        Ok(Self { shared, thread: Mutex::new(Some(thread)) })
    }

    pub(crate) fn backend(&self) -> &B {
        &self.shared.backend
    }

    pub(crate) fn limits(&self) -> &EngineLimits {
        &self.shared.limits
    }

    /// Admits a request or refuses it at once. `assemble` makes the response, on a worker thread.
    pub(crate) fn submit<T: Send + 'static>(
        &self,
        submission: Submission<B::Call>,
        assemble: impl FnOnce(Answers<B::Output>) -> T + Send + 'static,
    ) -> Result<Pending<T>> {
        let submitted = self.try_submit(submission, assemble);
        if submitted.is_err() {
            self.shared.counters.refused.add(1);
        }
        submitted
    }

    /// Counts a request refused before it came to [`submit`](Self::submit).
    pub(crate) fn count_refusal(&self) {
        self.shared.counters.refused.add(1);
    }

    fn try_submit<T: Send + 'static>(
        &self,
        submission: Submission<B::Call>,
        assemble: impl FnOnce(Answers<B::Output>) -> T + Send + 'static,
    ) -> Result<Pending<T>> {
        let submitted = Instant::now();
        let Submission { call, inputs, shared_bytes, names, result_bytes, latency, context } = submission;
        self.shared.lock().check_open()?;
        let bytes = inputs.iter().map(|text| BYTES_PER_INPUT + shared_bytes + text.len() as u64).sum();
        let largest = self.shared.limits.largest_request();
        if bytes > largest {
            return Err(Error::new(
                ErrorKind::TooLarge,
                format!("the request counts {bytes} bytes, more than the limit of {largest}; split it"),
            ));
        }
        let Sifted { sources, new, new_bytes } = self.sift(inputs, shared_bytes, &names);
        let (hits, misses) = ((sources.len() - new.len()) as u64, new.len() as u64);
        let count = || {
            self.shared.counters.cache_hits.add(hits);
            self.shared.counters.cache_misses.add(misses);
        };
        if new.is_empty() {
            count();
            let lane = if latency == Latency::Slow { Lane::Slow } else { Lane::Fast };
            let timing = Timing { total: submitted.elapsed(), ..Timing::default() };
            let outputs = gather(sources, &[]);
            return Ok(Pending::ready(assemble(Answers { outputs, bytes, lane, timing })));
        }

        let results = result_bytes * misses;
        let mut queue = self.shared.lock();
        let lane = queue.admit(&self.shared.limits, &context.key, latency, new_bytes, results)?;
        let id = queue.new_id();
        let of_release = Arc::clone(&self.shared);
        let (sender, pending) = channel(move || {
            let mut queue = of_release.lock();
            queue.release_results(results);
            // Still there: nobody wants it any more.
            let dropped = queue.remove(id);
            drop(queue);
            if let Some(job) = dropped {
                of_release.counters.cancelled.add(job.unfinished() as u64);
                of_release.changed.notify_all();
            }
        });
        let reply: Reply<B::Output> = Box::new(move |finished| {
            sender.send(finished.map(|finished| {
                let outputs = gather(sources, &finished.outputs);
                assemble(Answers { outputs, bytes, lane: finished.lane, timing: finished.timing })
            }));
        });
        let job = Job::new(context.key, lane, context.deadline, Arc::new(call), new, submitted, reply);
        queue.insert(id, job, results);
        drop(queue);
        count();
        self.shared.changed.notify_all();
        Ok(pending)
    }

    /// Looks every input up and keeps one of equal ones.
    fn sift(&self, inputs: Vec<String>, shared_bytes: u64, names: &KeyHasher) -> Sifted<B::Output> {
        let mut sifted = Sifted { sources: Vec::with_capacity(inputs.len()), new: Vec::new(), new_bytes: 0 };
        let mut slots: HashMap<CacheKey, usize> = HashMap::new();
        for (index, text) in inputs.into_iter().enumerate() {
            let cache_key = names.key_with(&text);
            let free = match slots.entry(cache_key) {
                Entry::Occupied(slot) => {
                    sifted.sources.push(Source::Slot(*slot.get()));
                    continue;
                }
                Entry::Vacant(free) => free,
            };
            if let Some(output) = self.shared.cache.get(&cache_key) {
                sifted.sources.push(Source::Cache(output));
                continue;
            }
            free.insert(sifted.new.len());
            sifted.sources.push(Source::Slot(sifted.new.len()));
            let bytes = BYTES_PER_INPUT + shared_bytes + text.len() as u64;
            sifted.new_bytes += bytes;
            sifted.new.push(NewInput { index, text, bytes, cache_key });
        }
        sifted
    }

    pub(crate) fn stats(&self) -> Stats {
        let mut stats = self.shared.counters.read();
        stats.cached_bytes = self.shared.cache.bytes();
        let queue = self.shared.lock();
        stats.queued_bytes = queue.bytes();
        stats.result_bytes = queue.result_bytes();
        stats.in_flight = queue.in_flight() as u64;
        stats
    }

    /// Takes no more requests, and waits until the accepted ones are answered. Called from a waker, on the scheduler's
    /// thread or on a worker, it would wait for the thread it holds: there it only closes the door.
    pub(crate) fn shutdown(&self) {
        let mut queue = self.shared.lock();
        queue.stopping = true;
        self.shared.changed.notify_all();
        while !queue.stopped && !self.on_own_thread() {
            queue = self.shared.stopped.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl<B: Backend> Engine<B> {
    /// Whether accepted work may need this thread: the scheduler's or a worker.
    fn on_own_thread(&self) -> bool {
        if self.shared.runtime.on_worker() {
            return true;
        }
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        thread.as_ref().is_some_and(|thread| thread.thread().id() == std::thread::current().id())
    }
}

/// Results in request order.
fn gather<O: Clone>(sources: Vec<Source<O>>, slots: &[O]) -> Vec<O> {
    sources
        .into_iter()
        .map(|source| match source {
            Source::Cache(output) => output,
            Source::Slot(slot) => slots[slot].clone(),
        })
        .collect()
}

impl<B: Backend> Drop for Engine<B> {
    fn drop(&mut self) {
        self.shutdown();
        if self.on_own_thread() {
            return;
        }
        let thread = self.thread.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("a scheduler thread ended by panic");
        }
    }
}

impl<B: Backend> fmt::Debug for Engine<B> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Engine").field("limits", &self.shared.limits).finish_non_exhaustive()
    }
}

//! The thread of one model: picks work fairly, tokenises it, packs a batch and hands it to the workers.
//!
//! # How many batches run
//! A *large* batch runs alone, with every worker. *Small* ones, whose kernels are hardly worth sharing out, run side by
//! side on a worker each, and what waits is spread over the workers that have none. Only a small batch that nothing runs
//! beside yet lets the other workers help. Small is what has at most [`Shared::small_tokens`] for each worker it gets. A
//! large batch that was gathered while small ones run waits for these, and nothing else begins meanwhile; so what
//! arrives waits for one large batch at most before its turn is decided, or for the first of the small ones to end.
//!
//! All batches of all models run on the one pool of the [`Runtime`], so never on more threads than it has. Beside it
//! this thread only picks and packs, and tokenises a text that is alone.
//!
//! A request of many inputs is never more than the queue's members: every batch takes from it what fairness allows.

use crate::backend::{Backend, Part};
use crate::batch::{self, Item};
use crate::cache::Cache;
use crate::error::{of_model, of_panic};
use crate::job::{JobId, Ready, Settled};
use crate::queue::{Pick, Queue, Room, Work};
use crate::stats::Counters;
use crate::{EngineLimits, Error, ErrorKind, Result, Runtime};
use elodex_kernels::Parallelism;
use elodex_types::Lane;
use rayon::Scope;
use rayon::prelude::*;
use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Text that may be tokenised for one batch, in bytes per token of the batch.
const TEXT_BYTES_PER_TOKEN: usize = 16;

/// Rounds of picking and tokenising for one batch, for texts that turn out shorter in tokens than estimated.
const FILL_ROUNDS: usize = 4;

/// Tokens per byte before anything has been tokenised, and how much a new measurement counts.
const FIRST_TOKENS_PER_BYTE: f64 = 0.25;
const MEASUREMENT_WEIGHT: f64 = 0.05;

/// Multiply-adds in one layer's linear maps up to which a batch is small: threads meet between kernels, so what a second
/// one gains is a matter of what a layer costs. 75 tokens of MiniLM (hidden 384), 18 of BERT base (768).
pub(crate) const SMALL_LAYER_MULTIPLY_ADDS: u64 = 1 << 27;

/// Tokens of a small batch at most: by what a layer costs, and so that those on all `threads` together keep within the
/// `budget` of one batch.
pub(crate) fn small_tokens(layer_multiply_adds: u64, budget: usize, threads: usize) -> usize {
    let worth_one = SMALL_LAYER_MULTIPLY_ADDS / layer_multiply_adds.max(1);
    usize::try_from(worth_one).unwrap_or(usize::MAX).min(budget / threads)
}

/// What the scheduler's thread, the workers and the callers share.
pub(crate) struct Shared<B: Backend> {
    pub(crate) backend: B,
    pub(crate) runtime: Arc<Runtime>,
    pub(crate) limits: EngineLimits,
    /// Tokens of a batch that fit both `batch_tokens` and `memory_bytes`.
    pub(crate) token_budget: usize,
    /// Tokens of a small batch, for each worker it gets.
    pub(crate) small_tokens: usize,
    pub(crate) cache: Cache<B::Output>,
    pub(crate) counters: Counters,
    pub(crate) queue: Mutex<Queue<B>>,
    /// Work arrived, a batch ended, or the service is stopping.
    pub(crate) changed: Condvar,
    /// The scheduler's thread has nothing more to do.
    pub(crate) stopped: Condvar,
}

impl<B: Backend> Shared<B> {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Queue<B>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until something [changed](Self::changed).
    fn wait<'a>(&self, queue: MutexGuard<'a, Queue<B>>) -> MutexGuard<'a, Queue<B>> {
        self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner)
    }
}

/// A text on its way to the tokeniser.
struct Untokenised<B: Backend> {
    job: JobId,
    slot: usize,
    call: Arc<B::Call>,
    charged: usize,
    text: String,
}

/// A text the tokeniser has dealt with.
struct Tokenised<B: Backend> {
    job: JobId,
    slot: usize,
    call: Arc<B::Call>,
    charged: usize,
    bytes: usize,
    parts: Result<Vec<Part>, TokeniseError>,
}

impl<B: Backend> Untokenised<B> {
    fn failed(self, error: TokeniseError) -> Tokenised<B> {
        let Self { job, slot, call, charged, text } = self;
        Tokenised { job, slot, call, charged, bytes: text.len(), parts: Err(error) }
    }
}

enum TokeniseError {
    /// What all inputs of the call share cannot be used.
    Call(Error),
    Model(elodex_models::Error),
    Panic(Error),
}

/// Runs until the service is stopped and all accepted work is done.
pub(crate) fn run<B: Backend>(shared: &Shared<B>) {
    let survived = catch_unwind(AssertUnwindSafe(|| {
        shared.runtime.scope(|scope| {
            let mut scheduler = Scheduler { shared, scope, tokens_per_byte: FIRST_TOKENS_PER_BYTE };
            while let Some(lane) = scheduler.next_lane() {
                scheduler.step(lane);
            }
        });
    }));
    let mut queue = shared.lock();
    queue.stopping = true;
    let left = queue.drain();
    drop(queue);
    if let Err(panic) = survived {
        let error = of_panic("being scheduled", panic.as_ref());
        tracing::error!(requests = left.len(), error = error.report(), "a scheduler died");
    }
    for job in left {
        job.fail(Error::new(ErrorKind::Bug, "the scheduler of this model died; restart the service")).tell();
    }
    shared.lock().stopped = true;
    shared.stopped.notify_all();
}

struct Scheduler<'a, 'scope, B: Backend> {
    shared: &'scope Shared<B>,
    /// Where batches run.
    scope: &'a Scope<'scope>,
    tokens_per_byte: f64,
}

impl<B: Backend> Scheduler<'_, '_, B> {
    /// Waits for work and for room to run it; `None` when stopping and nothing is left.
    fn next_lane(&self) -> Option<Lane> {
        let threads = self.shared.runtime.threads();
        loop {
            let mut queue = self.shared.lock();
            // Under the lock held until the wait, so that none that came meanwhile is overlooked.
            let expired = queue.expire(Instant::now());
            if !expired.is_empty() {
                drop(queue);
                self.tell_expired(expired);
                continue;
            }
            if queue.broken {
                return None;
            }
            if queue.running.has_room(threads) {
                if let Some(lane) = queue.next_lane() {
                    return Some(lane);
                }
                if queue.stopping {
                    return None;
                }
            }
            drop(self.shared.wait(queue));
        }
    }

    fn tell_expired(&self, expired: Vec<(usize, Settled<B>)>) {
        for (inputs, settled) in expired {
            self.shared.counters.expired.add(inputs as u64);
            settled.tell();
        }
    }

    /// One batch.
    fn step(&mut self, lane: Lane) {
        let started = Instant::now();
        let batch = self.gather(lane);
        let large = self.is_large(&batch);
        if large {
            self.wait_until_none_runs();
        }
        let batch = self.commit(batch);
        if batch.is_empty() {
            return;
        }
        let places = if large { 1 } else { self.places() };
        let shares = batch::share_out(batch, places);
        let running = &mut self.shared.lock().running;
        // Alone, the other workers may as well help: they turn to the next batch as soon as there is one.
        let parallelism =
            if running.batches() + shares.len() == 1 { Parallelism::Pool } else { Parallelism::Serial };
        for share in shares {
            running.begin(large);
            let shared = self.shared;
            self.scope.spawn(move |_| batch::run(shared, share, parallelism, started));
        }
    }

    /// Small batches that may begin now; what ends meanwhile only adds to them.
    fn places(&self) -> usize {
        self.shared.runtime.threads() - self.shared.lock().running.batches()
    }

    /// Whether a batch, longest first, is more than the workers without one can take as small batches.
    fn is_large(&self, batch: &[Item<B>]) -> bool {
        let longest = batch.first().map_or(0, |item| item.part.tokens());
        let tokens: usize = batch.iter().map(|item| item.part.tokens()).sum();
        longest > self.shared.small_tokens || tokens > self.shared.small_tokens * self.places()
    }

    fn wait_until_none_runs(&self) {
        let mut queue = self.shared.lock();
        while queue.running.batches() > 0 {
            queue = self.shared.wait(queue);
        }
    }

    /// Picks and tokenises work until a batch is full enough or nothing waits.
    fn gather(&mut self, lane: Lane) -> Vec<Item<B>> {
        let budget = self.shared.token_budget;
        let (mut ready, mut fresh) = (Vec::new(), Vec::new());
        let mut tokens = 0;
        let mut text_room = budget.saturating_mul(TEXT_BYTES_PER_TOKEN);
        for _ in 0..FILL_ROUNDS {
            let room = Room {
                empty: ready.is_empty() && fresh.is_empty(),
                tokens: budget - tokens,
                text_bytes: text_room,
            };
            let picks = self.pick(lane, &room);
            if picks.is_empty() {
                break;
            }
            let mut texts = Vec::new();
            for pick in picks {
                let Pick { job, slot, call, charged, work } = pick;
                match work {
                    Work::Part { position, part } => {
                        ready.push(Item { job, slot, position, call, part, charged });
                    }
                    Work::Text(text) => {
                        text_room = text_room.saturating_sub(text.len());
                        texts.push(Untokenised { job, slot, call, charged, text });
                    }
                }
            }
            if !texts.is_empty() {
                let tokenised = self.tokenise(texts);
                self.absorb(tokenised, &mut fresh);
            }
            tokens = ready.iter().chain(&fresh).map(|item| item.part.tokens()).sum();
            if tokens >= budget - budget / 4 {
                break;
            }
        }
        let (batch, left) = batch::pack(ready, fresh, budget);
        let mut queue = self.shared.lock();
        // Backwards, so that what goes to the head of a job keeps its order.
        for item in left.into_iter().rev() {
            queue.correct(item.job, -(item.charged as i64));
            queue.put_back(item.job, Ready { slot: item.slot, position: item.position, part: item.part });
        }
        batch
    }

    fn pick(&self, lane: Lane, room: &Room) -> Vec<Pick<B>> {
        let backend = &self.shared.backend;
        let tokens_per_byte = self.tokens_per_byte;
        self.shared.lock().pick(lane, room, |call, bytes| {
            let tokens = (bytes as f64 * tokens_per_byte).ceil() as usize;
            tokens.clamp(1, backend.most_tokens(call).unwrap_or(usize::MAX).max(1))
        })
    }

    /// Tokenises texts, on the pool where there are several: for one alone, waking it takes longer than the text.
    fn tokenise(&self, texts: Vec<Untokenised<B>>) -> Vec<Tokenised<B>> {
        let started = Instant::now();
        let tokenised = match <[_; 1]>::try_from(texts) {
            Ok([text]) => vec![match self.open(&text.call) {
                Ok(()) => self.prepare(text),
                Err(error) => text.failed(TokeniseError::Call(error)),
            }],
            Err(texts) => self.shared.runtime.install(|| self.tokenise_in_parallel(texts)),
        };
        self.shared.counters.tokenise_nanos.add_time(started.elapsed());
        tokenised
    }

    fn tokenise_in_parallel(&self, texts: Vec<Untokenised<B>>) -> Vec<Tokenised<B>> {
        let mut seen = HashSet::new();
        let calls: Vec<(JobId, Arc<B::Call>)> = texts
            .iter()
            .filter(|text| seen.insert(text.job))
            .map(|text| (text.job, Arc::clone(&text.call)))
            .collect();
        let mut unusable: Vec<(JobId, Error)> = calls
            .into_par_iter()
            .filter_map(|(job, call)| self.open(&call).err().map(|error| (job, error)))
            .collect();
        let broken: HashSet<JobId> = unusable.iter().map(|(job, _)| *job).collect();
        let (lost, usable): (Vec<_>, Vec<_>) =
            texts.into_iter().partition(|text: &Untokenised<B>| broken.contains(&text.job));
        let mut tokenised: Vec<Tokenised<B>> =
            usable.into_par_iter().map(|text| self.prepare(text)).collect();
        for text in lost {
            // The job ends with its first error; its other texts of this round have nothing to add.
            let Some(at) = unusable.iter().position(|(broken, _)| *broken == text.job) else { continue };
            tokenised.push(text.failed(TokeniseError::Call(unusable.swap_remove(at).1)));
        }
        tokenised
    }

    /// Prepares what all texts of a call share. A panic is an error of the call.
    fn open(&self, call: &B::Call) -> Result<()> {
        catch_unwind(AssertUnwindSafe(|| self.shared.backend.open(call)))
            .unwrap_or_else(|panic| Err(of_panic("tokenising", panic.as_ref())))
    }

    /// A panic or an error stays with its text.
    fn prepare(&self, text: Untokenised<B>) -> Tokenised<B> {
        let Untokenised { job, slot, call, charged, text } = text;
        let parts = match catch_unwind(AssertUnwindSafe(|| self.shared.backend.prepare(&call, &text))) {
            Ok(parts) => parts.map_err(TokeniseError::Model),
            Err(panic) => Err(TokeniseError::Panic(of_panic("tokenising", panic.as_ref()))),
        };
        Tokenised { job, slot, call, charged, bytes: text.len(), parts }
    }

    /// Takes tokenised texts of living jobs as items; a text that cannot run ends its job.
    fn absorb(&mut self, tokenised: Vec<Tokenised<B>>, fresh: &mut Vec<Item<B>>) {
        let mut settled = Vec::new();
        let mut queue = self.shared.lock();
        for Tokenised { job, slot, call, charged, bytes, parts } in tokenised {
            let Some(waiting) = queue.job_mut(job) else { continue };
            let subject = waiting.subject(slot);
            let parts = match parts
                .map_err(|error| error.about(&subject))
                .and_then(|parts| self.check(&subject, parts))
            {
                Ok(parts) => parts,
                Err(error) => {
                    settled.extend(queue.fail(job, error));
                    continue;
                }
            };
            waiting.expect_parts(slot, parts.len());
            let counted = waiting.bytes(slot);
            let tokens: usize = parts.iter().map(Part::tokens).sum();
            if parts.iter().all(|part| !part.encoded.truncation.cut()) && bytes > 0 {
                let measured = tokens as f64 / counted as f64;
                self.tokens_per_byte += MEASUREMENT_WEIGHT * (measured - self.tokens_per_byte);
            }
            queue.correct(job, tokens as i64 - charged as i64);
            for (position, part) in parts.into_iter().enumerate() {
                let charged = part.tokens();
                fresh.push(Item { job, slot, position, call: Arc::clone(&call), part, charged });
            }
        }
        drop(queue);
        settled.into_iter().for_each(Settled::tell);
    }

    /// Refuses parts that can never run.
    fn check(&self, subject: &str, parts: Vec<Part>) -> Result<Vec<Part>> {
        if parts.is_empty() {
            return Err(Error::new(ErrorKind::Bug, format!("{subject}: the tokenizer gave nothing to run")));
        }
        for part in &parts {
            if part.tokens() <= self.shared.token_budget {
                continue;
            }
            let (needed, limit) =
                (self.shared.backend.activation_bytes(part.tokens()), self.shared.limits.memory_bytes);
            if needed > limit {
                return Err(Error::new(
                    ErrorKind::TooLarge,
                    format!(
                        "{subject}: {} tokens need {needed} bytes of activations, more than the limit of {limit}; \
                         shorten it or raise memory_bytes",
                        part.tokens()
                    ),
                ));
            }
        }
        Ok(parts)
    }

    /// The last look before the model runs: whoever has gone or is too late costs nothing.
    fn commit(&self, mut batch: Vec<Item<B>>) -> Vec<Item<B>> {
        let now = Instant::now();
        let expired = self.shared.lock().expire(now);
        self.tell_expired(expired);
        let mut queue = self.shared.lock();
        batch.retain(|item| {
            let Some(job) = queue.job_mut(item.job).filter(|job| !job.late()) else { return false };
            if let Some(waited) = job.start(now) {
                self.shared.counters.queue_nanos.add_time(waited);
            }
            true
        });
        batch
    }
}

impl TokeniseError {
    fn about(self, subject: &str) -> Error {
        match self {
            TokeniseError::Call(error) => error,
            TokeniseError::Model(error) => of_model(subject, error),
            TokeniseError::Panic(error) => Error::new(ErrorKind::Bug, subject).caused_by(error),
        }
    }
}

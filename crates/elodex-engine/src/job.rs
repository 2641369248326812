//! An admitted request on its way through the queue.

use crate::backend::{Backend, Part, Receipt};
use crate::cache::CacheKey;
use crate::{Error, ErrorKind, Result};
use elodex_types::{Lane, Timing};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub(crate) type JobId = u64;

/// Answers a request; called without the queue's lock.
pub(crate) type Reply<O> = Box<dyn FnOnce(Result<Finished<O>>) + Send>;

/// The results of a job.
pub(crate) struct Finished<O> {
    /// One per slot.
    pub(crate) outputs: Vec<O>,
    pub(crate) lane: Lane,
    pub(crate) timing: Timing,
}

/// One distinct input of a job that was not in the cache.
pub(crate) struct NewInput {
    /// Its first position in the request.
    pub(crate) index: usize,
    pub(crate) text: String,
    /// As [`elodex_types::Usage`] counts them.
    pub(crate) bytes: u64,
    pub(crate) cache_key: CacheKey,
}

/// An input's place in its job.
struct Slot<B: Backend> {
    index: usize,
    bytes: u64,
    cache_key: CacheKey,
    /// One per part, filled as parts are run.
    parts: Vec<Option<(Receipt, B::Raw)>>,
    missing: usize,
    output: Option<B::Output>,
}

/// A tokenised part that waits for a batch.
pub(crate) struct Ready {
    pub(crate) slot: usize,
    pub(crate) position: usize,
    pub(crate) part: Part,
}

/// A text that waits to be tokenised.
pub(crate) struct Waiting {
    pub(crate) slot: usize,
    pub(crate) text: String,
}

/// See the module.
pub(crate) struct Job<B: Backend> {
    pub(crate) key: Arc<str>,
    pub(crate) lane: Lane,
    pub(crate) deadline: Option<Instant>,
    pub(crate) call: Arc<B::Call>,
    pub(crate) waiting: VecDeque<Waiting>,
    pub(crate) ready: VecDeque<Ready>,
    slots: Vec<Slot<B>>,
    unfinished: usize,
    /// Parts in batches under way.
    running: usize,
    /// The deadline passed while parts ran: they finish, nothing else is begun.
    late: bool,
    submitted: Instant,
    first_batch: Option<Instant>,
    reply: Reply<B::Output>,
}

impl<B: Backend> Job<B> {
    pub(crate) fn new(
        key: Arc<str>,
        lane: Lane,
        deadline: Option<Instant>,
        call: Arc<B::Call>,
        inputs: Vec<NewInput>,
        submitted: Instant,
        reply: Reply<B::Output>,
    ) -> Self {
        let mut waiting = VecDeque::with_capacity(inputs.len());
        let mut slots = Vec::with_capacity(inputs.len());
        for (slot, input) in inputs.into_iter().enumerate() {
            waiting.push_back(Waiting { slot, text: input.text });
            slots.push(Slot {
                index: input.index,
                bytes: input.bytes,
                cache_key: input.cache_key,
                parts: Vec::new(),
                missing: 0,
                output: None,
            });
        }
        let unfinished = slots.len();
        Self {
            key,
            lane,
            deadline,
            call,
            waiting,
            ready: VecDeque::new(),
            slots,
            unfinished,
            running: 0,
            late: false,
            submitted,
            first_batch: None,
            reply,
        }
    }

    /// Whether something of it can be put into a batch.
    pub(crate) fn has_work(&self) -> bool {
        !self.ready.is_empty() || !self.waiting.is_empty()
    }

    pub(crate) fn unfinished(&self) -> usize {
        self.unfinished
    }

    /// Bytes of the inputs without an output.
    pub(crate) fn unfinished_bytes(&self) -> u64 {
        self.slots.iter().filter(|slot| slot.output.is_none()).map(|slot| slot.bytes).sum()
    }

    pub(crate) fn bytes(&self, slot: usize) -> u64 {
        self.slots[slot].bytes
    }

    /// How errors name a slot's input: "input 3".
    pub(crate) fn subject(&self, slot: usize) -> String {
        format!("{} {}", B::INPUT, self.slots[slot].index)
    }

    /// Takes note of how many parts a slot has.
    pub(crate) fn expect_parts(&mut self, slot: usize, parts: usize) {
        self.slots[slot].parts = (0..parts).map(|_| None).collect();
        self.slots[slot].missing = parts;
    }

    pub(crate) fn running(&self) -> usize {
        self.running
    }

    pub(crate) fn late(&self) -> bool {
        self.late
    }

    /// Gives up what has not started.
    pub(crate) fn cut_short(&mut self) {
        self.late = true;
        self.waiting.clear();
        self.ready.clear();
    }

    /// Takes note that a part runs now; the time it waited if it is the job's first.
    pub(crate) fn start(&mut self, now: Instant) -> Option<Duration> {
        self.running += 1;
        if self.first_batch.is_some() {
            return None;
        }
        self.first_batch = Some(now);
        Some(now.saturating_duration_since(self.submitted))
    }

    /// Files a part's result. If it was the input's last, gives the input's output with its name in the cache.
    pub(crate) fn file(
        &mut self,
        backend: &B,
        slot: usize,
        position: usize,
        receipt: Receipt,
        raw: B::Raw,
    ) -> Result<Option<(CacheKey, B::Output)>> {
        let subject = self.subject(slot);
        self.running -= 1;
        let place = &mut self.slots[slot];
        place.parts[position] = Some((receipt, raw));
        place.missing -= 1;
        if place.missing > 0 {
            return Ok(None);
        }
        let parts = std::mem::take(&mut place.parts).into_iter().flatten().collect();
        let output = backend.finish(&subject, parts)?;
        place.output = Some(output.clone());
        self.unfinished -= 1;
        Ok(Some((place.cache_key, output)))
    }

    /// Ends the job: with its outputs if all are there.
    pub(crate) fn complete(self, now: Instant) -> Settled<B> {
        let timing = Timing {
            total: now.saturating_duration_since(self.submitted),
            inference: self.first_batch.map_or(Duration::ZERO, |first| now.saturating_duration_since(first)),
        };
        let outputs = self.slots.into_iter().filter_map(|slot| slot.output).collect();
        Settled { reply: self.reply, answer: Ok(Finished { outputs, lane: self.lane, timing }) }
    }

    /// Ends the job because its deadline passed, with the number of inputs that have no result.
    pub(crate) fn expire(self) -> (usize, Settled<B>) {
        let unfinished = self.unfinished;
        let message = format!("the deadline passed with {unfinished} {}s not computed", B::INPUT);
        (unfinished, self.fail(Error::new(ErrorKind::Deadline, message)))
    }

    /// Ends the job with an error.
    pub(crate) fn fail(self, error: Error) -> Settled<B> {
        Settled { reply: self.reply, answer: Err(error) }
    }
}

/// A job that has ended and whose caller is to be told once the queue's lock is released: a caller's waker may run
/// anything.
#[must_use]
pub(crate) struct Settled<B: Backend> {
    reply: Reply<B::Output>,
    answer: Result<Finished<B::Output>>,
}

impl<B: Backend> Settled<B> {
    pub(crate) fn tell(self) {
        (self.reply)(self.answer);
    }
}

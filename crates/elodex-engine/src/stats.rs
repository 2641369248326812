//! Counters since the start and gauges of now.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Counters since the start and gauges of now.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct Stats {
    /// Inputs answered from the cache, or by an equal input of the same request.
    pub cache_hits: u64,
    /// Inputs that had to be computed.
    pub cache_misses: u64,
    /// Batches run.
    pub batches: u64,
    /// Tokens run.
    pub tokens: u64,
    /// Inputs dropped because their caller had gone.
    pub cancelled: u64,
    /// Inputs dropped because their deadline had passed.
    pub expired: u64,
    /// Requests refused at admission.
    pub refused: u64,
    /// Bytes of text waiting now.
    pub queued_bytes: u64,
    /// Requests waiting or running now.
    pub in_flight: u64,
    /// Bytes of answers reserved now, from admission until the caller takes the answer.
    pub result_bytes: u64,
    /// Bytes of results in the cache now.
    pub cached_bytes: u64,
    /// Sum over requests of the time from submission to the first batch that held part of one.
    pub queue_time: Duration,
    /// Time spent tokenising.
    pub tokenise_time: Duration,
    /// Time spent in the model, summed over batches: small ones may run side by side.
    pub compute_time: Duration,
}

/// What [`Stats`] counts, written from any thread.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) cache_hits: Counter,
    pub(crate) cache_misses: Counter,
    pub(crate) batches: Counter,
    pub(crate) tokens: Counter,
    pub(crate) cancelled: Counter,
    pub(crate) expired: Counter,
    pub(crate) refused: Counter,
    pub(crate) queue_nanos: Counter,
    pub(crate) tokenise_nanos: Counter,
    pub(crate) compute_nanos: Counter,
}

/// A number that only grows.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, amount: u64) {
        self.0.fetch_add(amount, Ordering::Relaxed);
    }

    pub(crate) fn add_time(&self, time: Duration) {
        self.add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    fn time(&self) -> Duration {
        Duration::from_nanos(self.get())
    }
}

impl Counters {
    /// The counters as [`Stats`], gauges at zero.
    pub(crate) fn read(&self) -> Stats {
        Stats {
            cache_hits: self.cache_hits.get(),
            cache_misses: self.cache_misses.get(),
            batches: self.batches.get(),
            tokens: self.tokens.get(),
            cancelled: self.cancelled.get(),
            expired: self.expired.get(),
            refused: self.refused.get(),
            queue_time: self.queue_nanos.time(),
            tokenise_time: self.tokenise_nanos.time(),
            compute_time: self.compute_nanos.time(),
            ..Stats::default()
        }
    }
}

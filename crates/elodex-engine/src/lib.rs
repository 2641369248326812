//! Admission, fair scheduling, token-budget packing, roles and caches around a model: the synchronous heart of the
//! server. No async runtime is needed: an answer is a [`Pending`] that can be waited for or polled as a future.
//!
//! # The way of a request
//! `submit` looks every input up in the cache, keeps one of equal inputs, and admits the rest or refuses the request
//! at once. The model's own scheduler thread then picks inputs fairly, tokenises them on the [`Runtime`]'s pool, packs
//! them without padding into a batch under a token budget, longest first, and hands it to the pool. A large batch runs
//! alone with every thread, small ones run side by side on a thread each. A request is answered when its last input is.
//!
//! # Lanes
//! Lanes change the order of work, never a number. [`Latency`](elodex_types::Latency) chooses one:
//! - `Slow`: the slow lane.
//! - `Auto`: the fast lane if the request has at most `fast_bytes_per_request` to compute and its key at most
//!   `fast_bytes_per_key` waiting there, else the slow lane.
//! - `Fast`: the fast lane by the same rule, else [`ErrorKind::KeyLimit`].
//!
//! A batch holds work of one lane. Fast work goes first, but of eight batches run while both lanes wait one is slow.
//! Within a lane keys take turns in proportion to tokens (start-time fair queueing), and within a key its requests do:
//! a single query waits for one batch, not for the thousand documents before it.
//!
//! # What is dropped
//! Dropping a [`Pending`] takes its request out of the queue at once; a passed deadline does so before the next batch.
//! What is already in a running batch finishes. A request whose deadline passes half-way fails as a whole, but what
//! was computed stays in the cache.
//!
//! # What fails together
//! An input the model refuses fails its own request, named by index. A panic or an error inside a batch fails the
//! requests that had a part in that batch; the scheduler goes on.
//!
//! # What is promised
//! Results are the bits of a direct model call on the input alone, whatever else runs: kernels are batch-invariant and
//! the cache is keyed by everything a result depends on. Usage counts do not depend on the cache either. Memory stays
//! within what [`EngineLimits`] says.

mod backend;
mod batch;
mod cache;
mod embed;
mod engine;
mod error;
mod fair;
mod job;
mod limits;
mod pending;
mod queue;
mod rerank;
mod runtime;
mod scheduler;
mod stats;

#[cfg(test)]
mod fake;

pub use embed::EmbedService;
pub use error::{Error, ErrorKind, Result};
pub use limits::EngineLimits;
pub use pending::Pending;
pub use rerank::RerankService;
pub use runtime::Runtime;
pub use stats::Stats;

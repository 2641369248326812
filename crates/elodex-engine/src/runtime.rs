//! The threads every model of a process shares.

use crate::{Error, ErrorKind, Result};
use elodex_kernels::Kernels;
use rayon::{Scope, ThreadPool, ThreadPoolBuilder};

/// Threads and kernels every model of a process shares.
///
/// Each model's scheduler runs its batches on this one pool, so several models never use more cores than asked for.
/// Work on the pool must not wait for a [`Pending`](crate::Pending): it would hold a thread the answer needs.
#[derive(Debug)]
pub struct Runtime {
    pool: ThreadPool,
    kernels: Kernels,
}

impl Runtime {
    /// A pool of `threads` worker threads. Fails if `threads` is 0 or the system refuses a thread.
    pub fn new(threads: usize, kernels: Kernels) -> Result<Self> {
        if threads == 0 {
            return Err(Error::new(
                ErrorKind::Request,
                "a runtime of 0 threads computes nothing; ask for at least 1",
            ));
        }
        let pool = ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|index| format!("elodex-worker-{index}"))
            .build()
            .map_err(|error| {
                Error::new(ErrorKind::Bug, format!("cannot start {threads} worker threads")).caused_by(error)
            })?;
        Ok(Self { pool, kernels })
    }

    /// Worker threads.
    pub fn threads(&self) -> usize {
        self.pool.current_num_threads()
    }

    /// The kernels to load models with.
    pub fn kernels(&self) -> Kernels {
        self.kernels
    }

    /// Runs `work` here; what it spawns on its scope runs on the pool. Returns once all of that has ended, and panics
    /// if any of it did.
    pub(crate) fn scope<'scope, R>(&self, work: impl FnOnce(&Scope<'scope>) -> R) -> R {
        self.pool.in_place_scope(work)
    }

    /// Whether this is one of the pool's threads.
    pub(crate) fn on_worker(&self) -> bool {
        self.pool.current_thread_index().is_some()
    }

    /// Runs `work` on the pool and waits for it; rayon calls inside use the pool.
    pub fn install<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        self.pool.install(work)
    }
}

//! Group commit: callers that write at the same time share one transaction and one fsync.
//!
//! A caller leaves its job in the queue and takes the turn. Who gets the turn first runs every job in the queue in one
//! transaction; the others wait for the turn meanwhile and find their job done when they get it. A job that refuses
//! changes nothing and stops nobody; when storage fails, every job of the transaction fails.

use super::trouble::Trouble;
use super::writing::Writing;
use crate::{Error, ErrorKind, Result};
use std::collections::VecDeque;
use std::fmt;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Jobs in one transaction at most.
const JOBS: usize = 512;

/// Bytes that the jobs of one transaction bring, about: a caller with little does not wait for many with much.
const BYTES: u64 = 64 << 20;

type Job = Box<dyn FnOnce(&mut Writing<'_>) -> std::result::Result<(), Trouble> + Send>;

/// A job in the queue.
pub(super) struct Waiting {
    pub(super) run: Job,
    pub(super) done: Sender<Result<()>>,
    bytes: u64,
}

/// The queue.
#[derive(Default)]
pub(super) struct Group {
    queue: Mutex<VecDeque<Waiting>>,
    turn: Mutex<()>,
}

impl fmt::Debug for Group {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Group").finish_non_exhaustive()
    }
}

impl Group {
    /// Runs `job` with those that wait at the same time, by `lead`, which commits or fails all it is given.
    pub(super) fn submit<T: Send + 'static>(
        &self,
        bytes: u64,
        job: impl FnOnce(&mut Writing<'_>) -> std::result::Result<T, Trouble> + Send + 'static,
        lead: impl Fn(Vec<Waiting>),
    ) -> Result<T> {
        let answer = Arc::new(Mutex::new(None));
        let slot = answer.clone();
        let run: Job = Box::new(move |writing| {
            let told = match job(writing) {
                Ok(value) => Ok(value),
                Err(Trouble::Refused(error)) => Err(error),
                Err(trouble) => return Err(trouble),
            };
            *lock(&slot) = Some(told);
            Ok(())
        });
        let (done, outcome) = channel();
        lock(&self.queue).push_back(Waiting { run, done, bytes });
        self.wait(&outcome, lead)?;
        lock(&answer).take().unwrap_or_else(|| Err(lost()))
    }

    fn wait(&self, outcome: &Receiver<Result<()>>, lead: impl Fn(Vec<Waiting>)) -> Result<()> {
        let _turn = lock(&self.turn);
        loop {
            match outcome.try_recv() {
                Ok(outcome) => return outcome,
                Err(TryRecvError::Disconnected) => return Err(lost()),
                Err(TryRecvError::Empty) => lead(self.next_jobs()),
            }
        }
    }

    fn next_jobs(&self) -> Vec<Waiting> {
        let mut queue = lock(&self.queue);
        let mut bytes = 0;
        let mut jobs = Vec::new();
        while let Some(job) = queue.front() {
            bytes += job.bytes;
            if jobs.len() == JOBS || (bytes > BYTES && !jobs.is_empty()) {
                break;
            }
            jobs.extend(queue.pop_front());
        }
        jobs
    }
}

/// A lock whose holder panicked guards nothing half-done here: the transaction went with it.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn lost() -> Error {
    Error::new(ErrorKind::Bug, "a write to the catalog ended without an answer")
}

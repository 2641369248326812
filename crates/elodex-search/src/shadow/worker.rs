//! Second answers, made behind the ones that are given: a queue with an end, threads of its own, a share of time.

use super::budget::Budget;
use super::compare::Ranking;
use super::experiment::ShadowLimits;
use super::tally::ShadowTally;
use crate::{Error, ErrorKind, Result};
use elodex_types::SearchRequest;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

/// A query for the second pipeline, and what was answered to it.
#[derive(Debug)]
pub(super) struct Task {
    pub(super) request: SearchRequest,
    pub(super) given: Ranking,
}

/// Answers a request with the second pipeline.
pub(super) type Answer = dyn Fn(&SearchRequest) -> Result<Ranking> + Send + Sync;

/// One shadow at work.
pub(super) struct Worker {
    bench: Arc<Bench>,
    tasks: Mutex<Option<SyncSender<Task>>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// What the threads share with whoever gives them work.
struct Bench {
    tally: Mutex<ShadowTally>,
    budget: Mutex<Budget>,
    stopped: AtomicBool,
}

impl fmt::Debug for Worker {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Worker")
    }
}

impl Worker {
    pub(super) fn start(name: &str, limits: ShadowLimits, answer: Arc<Answer>) -> Result<Self> {
        let (sender, receiver) = sync_channel(limits.queue);
        let bench = Arc::new(Bench {
            tally: Mutex::default(),
            budget: Mutex::new(Budget::new(limits.time_share, Instant::now())),
            stopped: AtomicBool::new(false),
        });
        let receiver = Arc::new(Mutex::new(receiver));
        let mut threads = Vec::new();
        for _ in 0..limits.at_once {
            let (bench, receiver) = (Arc::clone(&bench), Arc::clone(&receiver));
            let answer = Arc::clone(&answer);
            let thread = std::thread::Builder::new().name(format!("shadow-{name:.8}"));
            let thread = thread.spawn(move || bench.work(&receiver, &*answer)).map_err(|error| {
                Error::new(ErrorKind::Unavailable, "cannot start a thread for an experiment").caused_by(error)
            })?;
            threads.push(thread);
        }
        Ok(Self { bench, tasks: Mutex::new(Some(sender)), threads: Mutex::new(threads) })
    }

    /// What it counted so far.
    pub(super) fn tally(&self) -> MutexGuard<'_, ShadowTally> {
        lock(&self.bench.tally)
    }

    /// Takes a task where there is time and room for it; else counts why not. Never waits.
    pub(super) fn offer(&self, task: Task) {
        self.tally().sampled += 1;
        if !lock(&self.bench.budget).is_left(Instant::now()) {
            self.tally().over_budget += 1;
            return;
        }
        let tasks = lock(&self.tasks);
        let Some(sender) = &*tasks else { return };
        if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) = sender.try_send(task) {
            self.tally().queue_full += 1;
        }
    }

    /// Ends the task at hand and forgets the others.
    pub(super) fn stop(&self) {
        self.bench.stopped.store(true, Ordering::Release);
        lock(&self.tasks).take();
        for thread in lock(&self.threads).drain(..) {
            if thread.join().is_err() {
                tracing::error!("a thread of an experiment panicked");
            }
        }
    }
}

impl Bench {
    fn work(&self, tasks: &Mutex<Receiver<Task>>, answer: &Answer) {
        loop {
            let task = lock(tasks).recv();
            let Ok(task) = task else { return };
            if self.stopped.load(Ordering::Acquire) {
                return;
            }
            // Those before it may have used up what was left when it came.
            if !lock(&self.budget).is_left(Instant::now()) {
                lock(&self.tally).over_budget += 1;
                continue;
            }
            let started = Instant::now();
            let second = answer(&task.request);
            let took = started.elapsed();
            lock(&self.budget).spend(took);
            lock(&self.tally).count(&task.given, second, took);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use elodex_types::Unit;
    use std::sync::mpsc::channel;
    use std::time::Duration;

    fn task() -> Task {
        let request = SearchRequest::new("c", "q", Unit::Chunks, 1);
        Task { request, given: Ranking::empty(Duration::ZERO) }
    }

    fn limits(queue: usize, time_share: f64) -> ShadowLimits {
        ShadowLimits { queue, time_share, at_once: 1 }
    }

    fn eventually(happened: impl Fn() -> bool) {
        for _ in 0..12_000 {
            if happened() {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("not within two minutes");
    }

    #[test]
    fn what_has_no_room_is_dropped_and_counted_and_nobody_waits() {
        let (begun, begins) = channel();
        let (go_on, may_go_on) = channel::<()>();
        let gate = Mutex::new((begun, may_go_on));
        let answer = move |_: &SearchRequest| {
            let gate = lock(&gate);
            gate.0.send(()).unwrap();
            gate.1.recv().unwrap();
            Ok(Ranking::empty(Duration::from_millis(3)))
        };
        let worker = Worker::start("test", limits(2, 1.0), Arc::new(answer)).unwrap();
        worker.offer(task());
        begins.recv().unwrap();
        // One is at work and waits for us; two have room, two have none.
        (0..4).for_each(|_| worker.offer(task()));
        let report = worker.tally().report();
        assert_eq!((report.sampled, report.queue_full, report.compared), (5, 2, 0));
        (0..3).for_each(|_| go_on.send(()).unwrap());
        eventually(|| worker.tally().report().compared == 3);
        let report = worker.tally().report();
        assert_eq!((report.failed, report.over_budget, report.queue_full), (0, 0, 2));
        assert_eq!((report.overlap.mean, report.shadow_ms.mean), (Some(1.0), Some(3.0)));
        worker.stop();
        worker.offer(task());
        assert_eq!(worker.tally().report().compared, 3);
    }

    #[test]
    fn time_that_is_used_up_drops_what_comes_then() {
        let answer = |_: &SearchRequest| {
            std::thread::sleep(Duration::from_millis(2));
            Err(Error::new(ErrorKind::Overload, "no room"))
        };
        let worker = Worker::start("test", limits(8, 1e-9), Arc::new(answer)).unwrap();
        worker.offer(task());
        eventually(|| worker.tally().report().failed == 1);
        assert_eq!(worker.tally().report().last_failure.as_deref(), Some("no room"));
        eventually(|| !lock(&worker.bench.budget).is_left(Instant::now()));
        (0..3).for_each(|_| worker.offer(task()));
        let report = worker.tally().report();
        assert_eq!((report.sampled, report.over_budget, report.failed), (4, 3, 1));
        worker.stop();
    }

    #[test]
    fn stopping_forgets_what_waits() {
        let (begun, begins) = channel();
        let begun = Mutex::new(begun);
        let worker = Arc::new(OnceWorker::default());
        let inner = Arc::clone(&worker);
        let answer = move |_: &SearchRequest| {
            lock(&begun).send(()).unwrap();
            // Until it is told to stop, so that the others still wait then.
            eventually(|| inner.0.get().is_some_and(|bench| bench.stopped.load(Ordering::Acquire)));
            Ok(Ranking::empty(Duration::ZERO))
        };
        let started = Worker::start("test", limits(8, 1.0), Arc::new(answer)).unwrap();
        worker.0.set(Arc::clone(&started.bench)).ok().unwrap();
        (0..4).for_each(|_| started.offer(task()));
        begins.recv().unwrap();
        started.stop();
        assert_eq!(started.tally().report().compared, 1);
    }

    #[derive(Default)]
    struct OnceWorker(std::sync::OnceLock<Arc<Bench>>);
}

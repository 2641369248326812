//! Threads that stay awake between the parts of a piece of work.
//!
//! A worker of rayon's that finds nothing to do falls asleep, and to wake it takes tens of microseconds, a large part of
//! what a layer of a short text takes. So for the length of a pass the others look for the next part themselves. Nobody waits for them:
//! whoever leads takes parts, too, and one that comes late, or turned to other work of the pool, is not missed.

use std::any::Any;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Looks at the number of jobs before a thread turns to other work of the pool, if there is any.
const LOOKS: u32 = 256;

thread_local! {
    /// The team that this thread leads.
    static LED: RefCell<Option<Arc<Team>>> = const { RefCell::new(None) };
}

/// What a team works on.
struct Job<'a> {
    task: &'a (dyn Fn(usize) + Sync),
    count: usize,
    /// The next task that nobody has begun.
    next: AtomicUsize,
}

impl Job<'_> {
    fn work(&self) {
        loop {
            let index = self.next.fetch_add(1, Ordering::Relaxed);
            if index >= self.count {
                return;
            }
            (self.task)(index);
        }
    }
}

/// One thread that leads, and others of its pool.
#[derive(Default)]
struct Team {
    /// Whether the others were called.
    called: AtomicBool,
    /// Null between two jobs. Whoever reads it has entered `inside` before.
    job: AtomicPtr<Job<'static>>,
    /// Jobs so far.
    jobs: AtomicUsize,
    /// How many of the others may be at a job.
    inside: AtomicUsize,
    over: AtomicBool,
    panic: Mutex<Option<Box<dyn Any + Send>>>,
}

impl Team {
    /// Runs all tasks of a job. Panics if one did.
    fn run(self: &Arc<Self>, count: usize, task: &(dyn Fn(usize) + Sync)) {
        if !self.called.swap(true, Ordering::Relaxed) {
            for _ in 1..rayon::current_num_threads() {
                let team = Arc::clone(self);
                rayon::spawn(move || team.help());
            }
        }
        let job = Job { task, count, next: AtomicUsize::new(0) };
        let at_work = AtWork::on(self, &job);
        job.work();
        drop(at_work);
        let panic = self.panic.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(panic) = panic {
            resume_unwind(panic);
        }
    }

    /// Takes part in job after job until the leader's work is over.
    fn help(&self) {
        let (mut seen, mut looks) = (0, 0);
        while !self.over.load(Ordering::Acquire) {
            let jobs = self.jobs.load(Ordering::Acquire);
            if jobs != seen {
                (seen, looks) = (jobs, 0);
                self.take_part();
                continue;
            }
            looks += 1;
            if looks < LOOKS {
                std::hint::spin_loop();
            } else {
                looks = 0;
                if rayon::yield_now() != Some(rayon::Yield::Executed) {
                    std::thread::yield_now();
                }
            }
        }
    }

    fn take_part(&self) {
        // In the order of all these operations either the job is read as null, or the leader sees this thread inside.
        self.inside.fetch_add(1, Ordering::SeqCst);
        let job = self.job.load(Ordering::SeqCst);
        if !job.is_null() {
            // SAFETY: the leader keeps the job for as long as someone is inside.
            let outcome = catch_unwind(AssertUnwindSafe(|| unsafe { (*job).work() }));
            if let Err(panic) = outcome {
                *self.panic.lock().unwrap_or_else(PoisonError::into_inner) = Some(panic);
            }
        }
        self.inside.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A job that others may see; dropped, none does any more.
struct AtWork<'a>(&'a Team);

impl<'a> AtWork<'a> {
    fn on(team: &'a Team, job: &'a Job<'a>) -> Self {
        let job = ptr::from_ref(job).cast_mut().cast();
        team.job.store(job, Ordering::SeqCst);
        team.jobs.fetch_add(1, Ordering::SeqCst);
        Self(team)
    }
}

impl Drop for AtWork<'_> {
    fn drop(&mut self) {
        self.0.job.store(ptr::null_mut(), Ordering::SeqCst);
        while self.0.inside.load(Ordering::SeqCst) > 0 {
            std::hint::spin_loop();
        }
    }
}

/// Ends what [`together`] began, however its work ended.
struct Leading {
    team: Arc<Team>,
    before: Option<Arc<Team>>,
}

impl Drop for Leading {
    fn drop(&mut self) {
        self.team.over.store(true, Ordering::Release);
        LED.set(self.before.take());
    }
}

/// Runs `work`, whose calls of [`run`] other threads of the current pool wait for awake.
pub(super) fn together<R>(work: impl FnOnce() -> R) -> R {
    let team = Arc::new(Team::default());
    let _leading = Leading { before: LED.replace(Some(Arc::clone(&team))), team };
    work()
}

/// Runs `task(0)` to `task(count - 1)` on the threads of the team that this one leads; without one it says so.
pub(super) fn run(count: usize, task: &(dyn Fn(usize) + Sync)) -> bool {
    let team = LED.with_borrow(Option::clone);
    if let Some(team) = &team {
        team.run(count, task);
    }
    team.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parallel::{Parallelism, for_each_task};
    use rayon::{ThreadPool, ThreadPoolBuilder};
    use std::collections::HashSet;
    use std::thread::ThreadId;

    fn pool(threads: usize) -> ThreadPool {
        ThreadPoolBuilder::new().num_threads(threads).build().unwrap()
    }

    /// How often each of `count` tasks ran.
    fn counted(threads: usize, count: usize) -> Vec<usize> {
        let runs: Vec<AtomicUsize> = (0..count).map(|_| AtomicUsize::new(0)).collect();
        for_each_task(threads, count, |index| {
            runs[index].fetch_add(1, Ordering::Relaxed);
        });
        runs.into_iter().map(AtomicUsize::into_inner).collect()
    }

    #[test]
    fn every_task_of_every_job_runs_once() {
        for threads in [2, 3, 8] {
            pool(threads).install(|| {
                Parallelism::Pool.together(|| {
                    for count in (2..200).cycle().take(2_000) {
                        assert_eq!(counted(threads, count), vec![1; count], "{threads} threads");
                    }
                });
            });
        }
    }

    #[test]
    fn others_take_part() {
        let threads: Mutex<HashSet<ThreadId>> = Mutex::default();
        pool(2).install(|| {
            Parallelism::Pool.together(|| {
                // Neither task ends before both are begun.
                let barrier = std::sync::Barrier::new(2);
                for_each_task(2, 2, |_| {
                    barrier.wait();
                    threads.lock().unwrap().insert(std::thread::current().id());
                });
            });
        });
        assert_eq!(threads.into_inner().unwrap().len(), 2);
    }

    #[test]
    fn a_panic_reaches_the_leader_and_ends_nothing_else() {
        let pool = pool(2);
        for culprit in 0..64 {
            let outcome = pool.install(|| {
                catch_unwind(AssertUnwindSafe(|| {
                    Parallelism::Pool.together(|| {
                        for_each_task(2, 64, |index| assert_ne!(index, culprit));
                    });
                }))
            });
            assert!(outcome.is_err());
            assert_eq!(pool.install(|| Parallelism::Pool.together(|| counted(2, 64))), vec![1; 64]);
        }
    }

    #[test]
    fn others_turn_to_the_pools_other_work() {
        let pool = pool(2);
        let (sender, receiver) = std::sync::mpsc::channel();
        pool.install(move || {
            Parallelism::Pool.together(move || {
                counted(2, 2);
                rayon::spawn(move || sender.send(()).unwrap());
                // This thread is busy until another one has done that.
                receiver.recv().unwrap();
            });
        });
    }

    #[test]
    fn a_leader_alone_is_enough() {
        let pool = pool(2);
        let (begin, begun) = std::sync::mpsc::channel();
        let (end, ended) = std::sync::mpsc::channel::<()>();
        pool.spawn(move || {
            begin.send(()).unwrap();
            ended.recv().unwrap();
        });
        begun.recv().unwrap();
        assert_eq!(pool.install(|| Parallelism::Pool.together(|| counted(2, 64))), vec![1; 64]);
        end.send(()).unwrap();
    }
}

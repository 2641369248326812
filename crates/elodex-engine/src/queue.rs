//! The waiting room of one model: admission, the two lanes, fairness between keys and between a key's requests, and
//! the account of bytes.
//!
//! Everything here happens under one lock and none of it waits for a model. Jobs that end are handed out as
//! [`Settled`] so that their callers are told without the lock.

use crate::backend::{Backend, Part};
use crate::fair::Fair;
use crate::job::{Job, JobId, Ready, Settled};
use crate::{EngineLimits, Error, ErrorKind, Result};
use elodex_types::{Lane, Latency};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// While work waits in both lanes, one batch in this many is slow, so that a stream of fast work delays bulk work but
/// never starves it.
pub(crate) const SLOW_SHARE: u32 = 8;

/// Advice where no throughput has been measured yet, and the least and most advice given.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LEAST_WAIT: Duration = Duration::from_millis(100);
const MOST_WAIT: Duration = Duration::from_secs(60);

/// One lane: keys take turns, and within a key its jobs do.
#[derive(Default)]
struct LaneQueue {
    keys: Fair<Arc<str>>,
    jobs: HashMap<Arc<str>, Fair<JobId>>,
    bytes: u64,
}

impl LaneQueue {
    fn next(&self) -> Option<JobId> {
        self.jobs.get(self.keys.next()?)?.next().copied()
    }

    fn enter(&mut self, key: &Arc<str>, id: JobId) {
        self.jobs.entry(Arc::clone(key)).or_default().enter(&id);
        self.keys.enter(key);
    }

    fn leave(&mut self, key: &Arc<str>, id: JobId) {
        let Some(jobs) = self.jobs.get_mut(key) else { return };
        jobs.leave_for_good(&id);
        if jobs.is_empty() {
            self.jobs.remove(key);
            self.keys.leave(key);
        }
    }

    fn charge(&mut self, key: &Arc<str>, id: JobId, cost: i64) {
        self.keys.charge(key, cost);
        if let Some(jobs) = self.jobs.get_mut(key) {
            jobs.charge(&id, cost);
        }
    }
}

/// Bytes one key has waiting, by lane.
#[derive(Default)]
struct KeyBytes {
    fast: u64,
    slow: u64,
}

/// What the queue gives the scheduler for the next batch.
pub(crate) struct Pick<B: Backend> {
    pub(crate) job: JobId,
    pub(crate) slot: usize,
    pub(crate) call: Arc<B::Call>,
    /// What the job and its key were charged.
    pub(crate) charged: usize,
    pub(crate) work: Work,
}

/// See [`Pick`].
pub(crate) enum Work {
    Text(String),
    Part { position: usize, part: Part },
}

/// How much the scheduler can still put into a batch.
pub(crate) struct Room {
    /// Whether nothing is in the batch yet: then one part is taken however large it is.
    pub(crate) empty: bool,
    pub(crate) tokens: usize,
    pub(crate) text_bytes: usize,
}

/// Batches of one model under way: a large one alone, or small ones, as many as there are threads.
#[derive(Default)]
pub(crate) struct Running {
    batches: usize,
    large: bool,
}

impl Running {
    pub(crate) fn batches(&self) -> usize {
        self.batches
    }

    /// Whether another small batch may begin.
    pub(crate) fn has_room(&self, threads: usize) -> bool {
        !self.large && self.batches < threads
    }

    pub(crate) fn begin(&mut self, large: bool) {
        self.batches += 1;
        self.large = large;
    }

    pub(crate) fn end(&mut self) {
        self.batches -= 1;
        self.large = false;
    }
}

/// See the module.
pub(crate) struct Queue<B: Backend> {
    jobs: HashMap<JobId, Job<B>>,
    fast: LaneQueue,
    slow: LaneQueue,
    /// Fast batches since the last slow one, counted while slow work waits.
    fast_streak: u32,
    deadlines: BTreeSet<(Instant, JobId)>,
    key_bytes: HashMap<Arc<str>, KeyBytes>,
    result_bytes: u64,
    /// Bytes of inputs finished per second of work, averaged over recent batches; 0 before the first.
    throughput: f64,
    next_id: JobId,
    pub(crate) running: Running,
    pub(crate) stopping: bool,
    /// A batch ended by a panic of ours: nothing more is begun.
    pub(crate) broken: bool,
    pub(crate) stopped: bool,
}

impl<B: Backend> Default for Queue<B> {
    fn default() -> Self {
        Self {
            jobs: HashMap::new(),
            fast: LaneQueue::default(),
            slow: LaneQueue::default(),
            fast_streak: 0,
            deadlines: BTreeSet::new(),
            key_bytes: HashMap::new(),
            result_bytes: 0,
            throughput: 0.0,
            next_id: 0,
            running: Running::default(),
            stopping: false,
            broken: false,
            stopped: false,
        }
    }
}

impl<B: Backend> Queue<B> {
    pub(crate) fn bytes(&self) -> u64 {
        self.fast.bytes + self.slow.bytes
    }

    pub(crate) fn result_bytes(&self) -> u64 {
        self.result_bytes
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.jobs.len()
    }

    pub(crate) fn job_mut(&mut self, id: JobId) -> Option<&mut Job<B>> {
        self.jobs.get_mut(&id)
    }

    /// Refuses everything once the service is stopping.
    pub(crate) fn check_open(&self) -> Result<()> {
        if self.stopping {
            return Err(Error::new(
                ErrorKind::Stopping,
                "the service is stopping and takes no more requests",
            ));
        }
        Ok(())
    }

    /// Decides whether `bytes` of text with `results` bytes of answers may wait here for `key`, and in which lane.
    pub(crate) fn admit(
        &self,
        limits: &EngineLimits,
        key: &Arc<str>,
        latency: Latency,
        bytes: u64,
        results: u64,
    ) -> Result<Lane> {
        self.check_open()?;
        if results > limits.result_bytes {
            return Err(Error::new(
                ErrorKind::TooLarge,
                format!(
                    "the answer needs {results} bytes, more than the limit of {} bytes for all answers; split the request",
                    limits.result_bytes
                ),
            ));
        }
        if self.result_bytes + results > limits.result_bytes {
            let message = format!(
                "answers of {} bytes are under way and the limit is {} bytes; try again later",
                self.result_bytes, limits.result_bytes
            );
            return Err(Error::new(ErrorKind::QueueFull, message).retry_after(self.time_for(self.bytes())));
        }
        if self.bytes() + bytes > limits.queue_bytes {
            let message = format!(
                "{} bytes wait and the queue holds {}; a request of {bytes} bytes must try again later",
                self.bytes(),
                limits.queue_bytes
            );
            return Err(Error::new(ErrorKind::QueueFull, message).retry_after(self.time_for(self.bytes())));
        }
        let held = self.key_bytes.get(key);
        let (fast, slow) = held.map_or((0, 0), |held| (held.fast, held.slow));
        let alone = self.bytes() == fast + slow;
        let share = if alone {
            limits.key_queue_bytes.max(limits.queue_bytes.saturating_sub(limits.key_queue_bytes))
        } else {
            limits.key_queue_bytes
        };
        // A key with nothing waiting is always let in: its share may be smaller than the largest request.
        if fast + slow > 0 && fast + slow + bytes > share {
            let message = format!(
                "{} bytes of this key wait and its share of the queue is {share}; a request of {bytes} bytes must try \
                 again later",
                fast + slow
            );
            return Err(Error::new(ErrorKind::KeyLimit, message).retry_after(self.time_for(self.bytes())));
        }
        match (latency, self.fast_refusal(limits, fast, bytes)) {
            (Latency::Slow, _) | (Latency::Auto, Some(_)) => Ok(Lane::Slow),
            (Latency::Fast | Latency::Auto, None) => Ok(Lane::Fast),
            (Latency::Fast, Some(refusal)) => Err(refusal),
        }
    }

    /// Why the fast lane would not take `bytes` more from a key with `held` bytes in it.
    fn fast_refusal(&self, limits: &EngineLimits, held: u64, bytes: u64) -> Option<Error> {
        if bytes > limits.fast_bytes_per_request {
            // No retry advice: waiting does not make the request smaller.
            return Some(Error::new(
                ErrorKind::KeyLimit,
                format!(
                    "a request of {bytes} bytes is over the fast lane's limit of {} per request; split it, or send it \
                     with latency `slow` or none",
                    limits.fast_bytes_per_request
                ),
            ));
        }
        if held > 0 && held + bytes > limits.fast_bytes_per_key {
            let message = format!(
                "{held} bytes of this key wait in the fast lane, whose limit is {} per key; try again later, or send \
                 the request with latency `slow` or none",
                limits.fast_bytes_per_key
            );
            return Some(
                Error::new(ErrorKind::KeyLimit, message).retry_after(self.time_for(self.fast.bytes)),
            );
        }
        None
    }

    /// The name of the next job.
    pub(crate) fn new_id(&mut self) -> JobId {
        self.next_id += 1;
        self.next_id
    }

    /// Takes in a job that was [admitted](Self::admit).
    pub(crate) fn insert(&mut self, id: JobId, job: Job<B>, results: u64) {
        let bytes = job.unfinished_bytes();
        let held = self.key_bytes.entry(Arc::clone(&job.key)).or_default();
        match job.lane {
            Lane::Fast => held.fast += bytes,
            Lane::Slow => held.slow += bytes,
        }
        let lane = self.lane_mut(job.lane);
        lane.bytes += bytes;
        lane.enter(&job.key, id);
        self.result_bytes += results;
        if let Some(deadline) = job.deadline {
            self.deadlines.insert((deadline, id));
        }
        self.jobs.insert(id, job);
    }

    /// Takes a job out, with all that is left of it.
    pub(crate) fn remove(&mut self, id: JobId) -> Option<Job<B>> {
        let job = self.jobs.remove(&id)?;
        self.lane_mut(job.lane).leave(&job.key, id);
        if let Some(deadline) = job.deadline {
            self.deadlines.remove(&(deadline, id));
        }
        self.release(job.lane, &job.key, job.unfinished_bytes());
        Some(job)
    }

    /// Takes a job out because it went wrong.
    pub(crate) fn fail(&mut self, id: JobId, error: Error) -> Option<Settled<B>> {
        Some(self.remove(id)?.fail(error))
    }

    /// Takes out all jobs.
    pub(crate) fn drain(&mut self) -> Vec<Job<B>> {
        let ids: Vec<JobId> = self.jobs.keys().copied().collect();
        ids.into_iter().filter_map(|id| self.remove(id)).collect()
    }

    /// Gives back bytes of inputs that no longer wait.
    pub(crate) fn release(&mut self, lane: Lane, key: &Arc<str>, bytes: u64) {
        self.lane_mut(lane).bytes -= bytes;
        let Some(held) = self.key_bytes.get_mut(key) else { return };
        match lane {
            Lane::Fast => held.fast -= bytes,
            Lane::Slow => held.slow -= bytes,
        }
        if held.fast + held.slow == 0 {
            self.key_bytes.remove(key);
        }
    }

    /// Gives back bytes of an answer its caller has taken or does not want.
    pub(crate) fn release_results(&mut self, bytes: u64) {
        self.result_bytes -= bytes;
    }

    /// Ends the jobs whose deadline has passed. One with parts in a batch under way is cut short: it ends with that
    /// batch.
    pub(crate) fn expire(&mut self, now: Instant) -> Vec<(usize, Settled<B>)> {
        let mut expired = Vec::new();
        while let Some(&(deadline, id)) = self.deadlines.first() {
            if deadline > now {
                break;
            }
            self.deadlines.pop_first();
            let Some(job) = self.jobs.get_mut(&id) else { continue };
            if job.running() > 0 {
                job.cut_short();
                let (key, lane) = (Arc::clone(&job.key), job.lane);
                self.lane_mut(lane).leave(&key, id);
                continue;
            }
            expired.extend(self.remove(id).map(Job::expire));
        }
        expired
    }

    /// The lane of the next batch; `None` while nothing waits.
    pub(crate) fn next_lane(&mut self) -> Option<Lane> {
        let (fast, slow) = (!self.fast.keys.is_empty(), !self.slow.keys.is_empty());
        match (fast, slow) {
            (false, false) => None,
            (true, true) if self.fast_streak + 1 < SLOW_SHARE => {
                self.fast_streak += 1;
                Some(Lane::Fast)
            }
            (true, false) => {
                self.fast_streak = 0;
                Some(Lane::Fast)
            }
            (_, true) => {
                self.fast_streak = 0;
                Some(Lane::Slow)
            }
        }
    }

    /// Takes work for a batch in fair order until `room` is used up by estimate. A text may overshoot it: once
    /// tokenised it is ready for the batch after. A ready part that does not fit ends the search, so that what waits
    /// longest is never overtaken by something smaller.
    pub(crate) fn pick(
        &mut self,
        lane: Lane,
        room: &Room,
        estimate: impl Fn(&B::Call, u64) -> usize,
    ) -> Vec<Pick<B>> {
        let mut picks: Vec<Pick<B>> = Vec::new();
        let (mut tokens, mut text_bytes) = (0, 0);
        let Self { jobs, fast, slow, .. } = self;
        let queue = match lane {
            Lane::Fast => fast,
            Lane::Slow => slow,
        };
        while tokens < room.tokens && text_bytes < room.text_bytes {
            let Some(id) = queue.next() else { break };
            let Some(job) = jobs.get_mut(&id) else { break };
            if let Some(ready) = job.ready.front()
                && tokens + ready.part.tokens() > room.tokens
                && !(room.empty && picks.is_empty())
            {
                break;
            }
            let (slot, charged, work) = if let Some(ready) = job.ready.pop_front() {
                let charged = ready.part.tokens();
                (ready.slot, charged, Work::Part { position: ready.position, part: ready.part })
            } else if let Some(waiting) = job.waiting.pop_front() {
                text_bytes += waiting.text.len();
                (waiting.slot, estimate(&job.call, job.bytes(waiting.slot)), Work::Text(waiting.text))
            } else {
                break;
            };
            tokens += charged;
            queue.charge(&job.key, id, charged as i64);
            picks.push(Pick { job: id, slot, call: Arc::clone(&job.call), charged, work });
            if !job.has_work() {
                queue.leave(&job.key, id);
            }
        }
        picks
    }

    /// Corrects what a job was charged once its cost is known.
    pub(crate) fn correct(&mut self, id: JobId, by: i64) {
        let Some(job) = self.jobs.get(&id) else { return };
        let (key, lane) = (Arc::clone(&job.key), job.lane);
        self.lane_mut(lane).charge(&key, id, by);
    }

    /// Puts a tokenised part that found no room at the head of its job.
    pub(crate) fn put_back(&mut self, id: JobId, ready: Ready) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        job.ready.push_front(ready);
        let (key, lane) = (Arc::clone(&job.key), job.lane);
        self.lane_mut(lane).enter(&key, id);
    }

    /// Takes note that a batch, which still counts as running, finished inputs of `bytes` in `time`.
    pub(crate) fn measure(&mut self, bytes: u64, time: Duration) {
        if bytes == 0 || time.is_zero() {
            return;
        }
        let rate = bytes as f64 / time.as_secs_f64() * self.running.batches as f64;
        self.throughput = if self.throughput == 0.0 { rate } else { 0.8 * self.throughput + 0.2 * rate };
    }

    /// How long `bytes` of waiting text take at the recent pace.
    fn time_for(&self, bytes: u64) -> Duration {
        if self.throughput == 0.0 {
            return FIRST_WAIT;
        }
        Duration::try_from_secs_f64(bytes as f64 / self.throughput)
            .unwrap_or(MOST_WAIT)
            .clamp(LEAST_WAIT, MOST_WAIT)
    }

    fn lane_mut(&mut self, lane: Lane) -> &mut LaneQueue {
        match lane {
            Lane::Fast => &mut self.fast,
            Lane::Slow => &mut self.slow,
        }
    }
}

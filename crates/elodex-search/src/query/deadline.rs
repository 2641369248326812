//! What is left of a request's time.

use crate::{Error, ErrorKind, Result};
use elodex_engine::Pending;
use elodex_types::CallContext;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};

/// The most that is kept back for writing the answer.
const RESERVE: Duration = Duration::from_millis(50);

/// A request's time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    pub(super) started: Instant,
    deadline: Option<Instant>,
}

impl Clock {
    pub(super) fn start(context: &CallContext) -> Self {
        Self { started: Instant::now(), deadline: context.deadline }
    }

    /// Refuses to go on with `stage` once the deadline has passed.
    pub(super) fn check(&self, stage: &str) -> Result<()> {
        if self.passed() { Err(too_late(stage)) } else { Ok(()) }
    }

    pub(super) fn passed(&self) -> bool {
        self.deadline.is_some_and(|deadline| deadline <= Instant::now())
    }

    /// What is left; `None`: no end.
    pub(super) fn left(&self) -> Option<Duration> {
        self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()))
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// When the second stage must be done so that its answer is still in time: a twentieth of what is left is kept
    /// back, 50 ms at most.
    pub(super) fn reserved(&self) -> Option<Instant> {
        let left = self.left()?;
        self.deadline.map(|deadline| deadline.checked_sub((left / 20).min(RESERVE)).unwrap_or(deadline))
    }
}

/// The error of a request whose deadline passed in `stage`.
pub(super) fn too_late(stage: &str) -> Error {
    let message = format!("the deadline passed while {stage}; allow more time or ask for fewer candidates");
    Error::new(ErrorKind::Deadline, message)
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Waits for an answer until `deadline`; `None`, and the work is cancelled, where it is not there by then.
pub(super) fn wait<T>(pending: Pending<T>, deadline: Option<Instant>) -> Option<elodex_engine::Result<T>> {
    let Some(deadline) = deadline else { return Some(pending.wait()) };
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut pending = pin!(pending);
    loop {
        if let Poll::Ready(answer) = pending.as_mut().poll(&mut context) {
            return Some(answer);
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return None;
        }
        std::thread::park_timeout(left);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock(deadline: Option<Instant>) -> Clock {
        Clock::start(&CallContext { key: "test".into(), deadline })
    }

    #[test]
    fn a_passed_deadline_is_an_error_and_none_never_is() {
        assert!(clock(None).check("testing").is_ok());
        assert_eq!(clock(None).reserved(), None);
        let error = clock(Some(Instant::now())).check("testing").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Deadline);
        assert!(error.to_string().contains("while testing"));
    }

    #[test]
    fn the_reserve_lies_before_the_deadline() {
        let deadline = Instant::now() + Duration::from_secs(3_600);
        let reserved = clock(Some(deadline)).reserved().unwrap();
        assert_eq!(deadline - reserved, RESERVE);
    }
}

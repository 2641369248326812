//! An answer under way: a one-shot channel whose receiver can block or be polled, and whose drop cancels the work.

use crate::{Error, ErrorKind, Result};
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// An answer under way. Dropping it cancels the work that has not started.
///
/// Wait for it on a thread, or poll it as a future: whichever executor runs it is woken when the answer is there.
#[must_use = "dropping a pending answer cancels its work"]
pub struct Pending<T> {
    cell: Arc<Cell<T>>,
    /// Run exactly once, when the answer has been taken or is not wanted any more.
    release: Option<Box<dyn FnOnce() + Send>>,
}

/// The sending half: gives the answer once. Dropped without one, it answers with an internal error, so no caller waits
/// for ever.
pub(crate) struct Sender<T> {
    cell: Arc<Cell<T>>,
}

struct Cell<T> {
    state: Mutex<State<T>>,
    answered: Condvar,
}

enum State<T> {
    Waiting(Option<Waker>),
    Answered(Result<T>),
    Taken,
}

/// A pending answer and the sender that completes it. `release` runs once the receiver is done with the answer.
pub(crate) fn channel<T>(release: impl FnOnce() + Send + 'static) -> (Sender<T>, Pending<T>) {
    let cell = Arc::new(Cell { state: Mutex::new(State::Waiting(None)), answered: Condvar::new() });
    (Sender { cell: Arc::clone(&cell) }, Pending { cell, release: Some(Box::new(release)) })
}

impl<T> Cell<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer(&self, answer: Result<T>) {
        let mut state = self.lock();
        if let State::Waiting(waker) = &mut *state {
            let waker = waker.take();
            *state = State::Answered(answer);
            drop(state);
            self.answered.notify_all();
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }
}

impl<T> Sender<T> {
    pub(crate) fn send(self, answer: Result<T>) {
        self.cell.answer(answer);
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.cell
            .answer(Err(Error::new(ErrorKind::Bug, "the scheduler dropped a request without an answer")));
    }
}

impl<T> Pending<T> {
    /// An answer that is already there.
    pub(crate) fn ready(answer: T) -> Self {
        let cell = Cell { state: Mutex::new(State::Answered(Ok(answer))), answered: Condvar::new() };
        Self { cell: Arc::new(cell), release: None }
    }

    /// Blocks until the answer is there.
    pub fn wait(self) -> Result<T> {
        let mut state = self.cell.lock();
        loop {
            match std::mem::replace(&mut *state, State::Taken) {
                State::Answered(answer) => return answer,
                State::Taken => return Err(taken_twice()),
                waiting @ State::Waiting(_) => {
                    *state = waiting;
                    state = self.cell.answered.wait(state).unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
    }
}

fn taken_twice() -> Error {
    Error::new(ErrorKind::Bug, "an answer was asked for again after it had been taken")
}

impl<T> Future for Pending<T> {
    type Output = Result<T>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let answer = {
            let mut state = this.cell.lock();
            match std::mem::replace(&mut *state, State::Taken) {
                State::Answered(answer) => answer,
                State::Taken => Err(taken_twice()),
                State::Waiting(_) => {
                    *state = State::Waiting(Some(context.waker().clone()));
                    return Poll::Pending;
                }
            }
        };
        if let Some(release) = this.release.take() {
            release();
        }
        Poll::Ready(answer)
    }
}

impl<T> Drop for Pending<T> {
    fn drop(&mut self) {
        if let Some(release) = self.release.take() {
            release();
        }
    }
}

impl<T> fmt::Debug for Pending<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &*self.cell.lock() {
            State::Waiting(_) => "waiting",
            State::Answered(_) => "answered",
            State::Taken => "taken",
        };
        formatter.debug_struct("Pending").field("state", &state).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn counted() -> (Arc<Count>, Sender<u32>, Pending<u32>) {
        let released = Arc::new(Count::default());
        let seen = Arc::clone(&released);
        let (sender, pending) = channel(move || seen.wake());
        (released, sender, pending)
    }

    #[test]
    fn a_poll_leaves_its_waker_and_takes_the_answer_once() {
        let (released, sender, mut pending) = counted();
        let woken = Arc::new(Count::default());
        let waker = Waker::from(Arc::clone(&woken));
        let mut context = Context::from_waker(&waker);
        assert!(Pin::new(&mut pending).poll(&mut context).is_pending());
        assert!(Pin::new(&mut pending).poll(&mut context).is_pending());
        sender.send(Ok(7));
        assert_eq!(woken.0.load(Ordering::SeqCst), 1);
        let Poll::Ready(Ok(7)) = Pin::new(&mut pending).poll(&mut context) else { panic!("no answer") };
        assert_eq!(released.0.load(Ordering::SeqCst), 1);
        let Poll::Ready(Err(error)) = Pin::new(&mut pending).poll(&mut context) else { panic!("no error") };
        assert_eq!(error.kind(), ErrorKind::Bug);
        drop(pending);
        assert_eq!(released.0.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn waiting_blocks_until_another_thread_answers() {
        let (released, sender, pending) = counted();
        let waiter = std::thread::spawn(move || pending.wait());
        sender.send(Ok(7));
        assert_eq!(waiter.join().unwrap().unwrap(), 7);
        assert_eq!(released.0.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn a_lost_sender_is_an_error_not_a_hang() {
        let (_, sender, pending) = counted();
        drop(sender);
        assert_eq!(pending.wait().unwrap_err().kind(), ErrorKind::Bug);
        assert_eq!(Pending::ready(7).wait().unwrap(), 7);
    }

    #[test]
    fn dropping_the_receiver_releases() {
        let (released, sender, pending) = counted();
        drop(pending);
        assert_eq!(released.0.load(Ordering::SeqCst), 1);
        sender.send(Ok(7));
    }
}

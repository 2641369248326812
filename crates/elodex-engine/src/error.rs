//! The crate's error, and what the models' errors become here.

use elodex_types::{Failure, Fault, Kind};
use std::any::Any;

/// What went wrong in the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The queue is full for everyone.
    QueueFull,
    /// This key's share of the queue is full, or its fast lane is.
    KeyLimit,
    /// The request is larger than a limit.
    TooLarge,
    /// The deadline passed before the work was done.
    Deadline,
    /// The service is stopping.
    Stopping,
    /// The model refused the request; see the cause.
    Request,
    /// An internal invariant broke.
    Bug,
}

impl Kind for ErrorKind {
    fn fault(self) -> Fault {
        match self {
            ErrorKind::QueueFull | ErrorKind::Stopping => Fault::Unavailable,
            ErrorKind::KeyLimit => Fault::Overload,
            ErrorKind::TooLarge => Fault::TooLarge,
            ErrorKind::Deadline => Fault::Deadline,
            ErrorKind::Request => Fault::User,
            ErrorKind::Bug => Fault::Bug,
        }
    }
}

/// The error of this crate.
pub type Error = Failure<ErrorKind>;

/// A result with this crate's error.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A model's error about `subject` ("input 3"): the caller's fault where the model says so, else ours.
pub(crate) fn of_model(subject: impl Into<String>, error: elodex_models::Error) -> Error {
    let kind = match error.kind() {
        elodex_models::ErrorKind::Request | elodex_models::ErrorKind::TooLong => ErrorKind::Request,
        _ => ErrorKind::Bug,
    };
    Error::new(kind, subject).caused_by(error)
}

/// A caught panic during `activity` as an error.
pub(crate) fn of_panic(activity: &str, panic: &(dyn Any + Send)) -> Error {
    let text = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message");
    tracing::error!(activity, panic = text, "a model call panicked");
    Error::new(ErrorKind::Bug, format!("the model panicked while {activity}: {text}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_models_verdict_decides_whose_fault_it_is() {
        let refused = elodex_models::Error::new(elodex_models::ErrorKind::TooLong, "700 tokens, at most 512");
        let error = of_model("input 3", refused);
        assert_eq!(error.kind(), ErrorKind::Request);
        assert_eq!(error.report(), "input 3: 700 tokens, at most 512");
        let corrupt = elodex_models::Error::new(elodex_models::ErrorKind::Corrupt, "no weights");
        assert_eq!(of_model("input 3", corrupt).kind(), ErrorKind::Bug);
    }
}

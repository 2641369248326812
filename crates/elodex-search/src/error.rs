//! The crate's error, and what those of the layers below become here.

use elodex_types::{Failure, Fault, Kind};

/// What went wrong in a search or an ingestion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The request asks for something that is not allowed.
    Request,
    /// The named thing does not exist.
    NotFound,
    /// It exists already, or its state or its embedding space forbids this.
    Conflict,
    /// Larger than a limit.
    TooLarge,
    /// This caller has to wait.
    Overload,
    /// Nobody is served now.
    Unavailable,
    /// The deadline passed before there was anything to answer.
    Deadline,
    /// A chat model or a remote store failed.
    Upstream,
    /// An internal invariant broke, or data on disk are damaged.
    Bug,
}

impl Kind for ErrorKind {
    fn fault(self) -> Fault {
        match self {
            ErrorKind::Request => Fault::User,
            ErrorKind::NotFound => Fault::NotFound,
            ErrorKind::Conflict => Fault::Conflict,
            ErrorKind::TooLarge => Fault::TooLarge,
            ErrorKind::Overload => Fault::Overload,
            ErrorKind::Unavailable => Fault::Unavailable,
            ErrorKind::Deadline => Fault::Deadline,
            ErrorKind::Upstream => Fault::Upstream,
            ErrorKind::Bug => Fault::Bug,
        }
    }
}

/// The error of this crate.
pub type Error = Failure<ErrorKind>;

/// A result with this crate's error.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The kind with the same fault.
fn kind_of(fault: Fault) -> ErrorKind {
    match fault {
        Fault::User | Fault::Shape => ErrorKind::Request,
        Fault::NotFound => ErrorKind::NotFound,
        Fault::Conflict => ErrorKind::Conflict,
        Fault::TooLarge => ErrorKind::TooLarge,
        Fault::Overload => ErrorKind::Overload,
        Fault::Unavailable => ErrorKind::Unavailable,
        Fault::Deadline => ErrorKind::Deadline,
        Fault::Upstream => ErrorKind::Upstream,
        _ => ErrorKind::Bug,
    }
}

/// A lower layer's error with its own words and fault.
pub(crate) fn of<K: Kind>(error: Failure<K>) -> Error {
    let mut here = Error::new(kind_of(error.fault()), error.report());
    if let Some(wait) = error.wait() {
        here = here.retry_after(wait);
    }
    here
}

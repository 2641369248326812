//! The crate's error.

use elodex_types::{Failure, Fault, Kind};

/// What went wrong in a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The named collection, document or page is not there.
    NotFound,
    /// It is there already, or its state forbids this.
    Conflict,
    /// The request asks for something that is not allowed.
    Invalid,
    /// The disk, or a quota on it, is full. Nothing of the request was kept.
    Full,
    /// What lies on disk is not what was written, or was written by another version.
    Corrupt,
    /// Another process has the data open.
    Locked,
    /// The disk failed meanwhile. Where it was only full, the next call finds the store open again.
    Stopped,
    /// The backend refused or could not be reached.
    Backend,
    /// An internal invariant broke.
    Bug,
}

impl Kind for ErrorKind {
    fn fault(self) -> Fault {
        match self {
            ErrorKind::NotFound => Fault::NotFound,
            ErrorKind::Conflict => Fault::Conflict,
            ErrorKind::Invalid => Fault::User,
            ErrorKind::Full | ErrorKind::Locked | ErrorKind::Stopped => Fault::Unavailable,
            ErrorKind::Backend => Fault::Upstream,
            ErrorKind::Corrupt | ErrorKind::Bug => Fault::Bug,
        }
    }
}

/// The error of this crate.
pub type Error = Failure<ErrorKind>;

/// A result with this crate's error.
pub type Result<T, E = Error> = std::result::Result<T, E>;

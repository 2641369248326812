//! The crate's error: what keeps a server from starting. Failures of single requests are
//! [`Problem`](elodex_dialects::Problem)s.

use elodex_types::{Failure, Fault, Kind};

/// What went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Settings contradict each other or name something that does not exist.
    Config,
    /// The key file cannot be read, written or understood.
    Keys,
    /// No key has this id.
    UnknownKey,
    /// A model cannot be started or failed its first run.
    Model,
    /// The network or the operating system refused.
    Io,
}

impl Kind for ErrorKind {
    fn fault(self) -> Fault {
        match self {
            ErrorKind::Config | ErrorKind::Keys => Fault::User,
            ErrorKind::UnknownKey => Fault::NotFound,
            ErrorKind::Model | ErrorKind::Io => Fault::Bug,
        }
    }
}

/// The error of this crate.
pub type Error = Failure<ErrorKind>;

/// A result with this crate's error.
pub type Result<T, E = Error> = std::result::Result<T, E>;

//! The crate's error.

use elodex_types::{Failure, Fault, Kind};

/// What went wrong while locating, loading or preparing a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// No such directory, file, repository or revision.
    NotFound,
    /// A file of the model is corrupt, truncated or contradicts another.
    Corrupt,
    /// The model is well-formed, but of a family or with an option this build does not run.
    Unsupported,
    /// The licence forbids commercial use and was not accepted.
    Licence,
    /// The hub refuses access: the repository is private or gated, or the token is missing or wrong.
    Access,
    /// The request asks for what the model cannot do: a missing role, an unknown dimension.
    Request,
    /// An input is longer than the model's window and the policy is to refuse.
    TooLong,
    /// Reading or writing local files failed.
    Io,
    /// The hub could not be reached or answered nonsense.
    Network,
    /// An internal invariant broke.
    Bug,
}

impl Kind for ErrorKind {
    fn fault(self) -> Fault {
        match self {
            ErrorKind::NotFound => Fault::NotFound,
            ErrorKind::Request | ErrorKind::TooLong => Fault::User,
            ErrorKind::Licence | ErrorKind::Access => Fault::Forbidden,
            ErrorKind::Network => Fault::Upstream,
            ErrorKind::Corrupt | ErrorKind::Unsupported | ErrorKind::Io | ErrorKind::Bug => Fault::Bug,
        }
    }
}

/// The error of this crate.
pub type Error = Failure<ErrorKind>;

/// A result with this crate's error.
pub type Result<T> = std::result::Result<T, Error>;

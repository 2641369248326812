//! What goes wrong.

use elodex_types::{Failure, Fault, Kind};

/// What kind of thing went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A rule that cannot be read, or that names what is not there.
    Rule,
    /// A baseline that cannot be read.
    Baseline,
    /// A baseline of something else: other queries, another collection, another protocol.
    Mismatch,
}

impl Kind for ErrorKind {
    fn fault(self) -> Fault {
        match self {
            ErrorKind::Rule | ErrorKind::Baseline => Fault::User,
            ErrorKind::Mismatch => Fault::Conflict,
        }
    }
}

/// An error of this crate.
pub type Error = Failure<ErrorKind>;

/// A result with [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

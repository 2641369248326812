//! The crate's error.

use elodex_types::{Failure, Fault, Kind};

/// Why something cannot be evaluated or fitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A file cannot be read or written.
    Io,
    /// A file is not what its format says; the message names file and line.
    Malformed,
    /// There is nothing to evaluate or to fit.
    Empty,
    /// Inputs do not belong together: other queries, other documents.
    Mismatch,
    /// A setting that makes no sense, such as one fold.
    Settings,
}

impl Kind for ErrorKind {
    fn fault(self) -> Fault {
        match self {
            ErrorKind::Io
            | ErrorKind::Malformed
            | ErrorKind::Empty
            | ErrorKind::Mismatch
            | ErrorKind::Settings => Fault::User,
        }
    }
}

/// The error of this crate.
pub type Error = Failure<ErrorKind>;

/// A result with this crate's error.
pub type Result<T, E = Error> = std::result::Result<T, E>;

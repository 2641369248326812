//! The crate's error.

use elodex_types::{Failure, Fault, Kind};

/// Why a document cannot be read or cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A format or an encoding that is not read here.
    Unsupported,
    /// The bytes are not what their format says.
    Malformed,
    /// The file is encrypted.
    Encrypted,
    /// The text, the pages, what a container expands to or the time it takes are over a limit.
    TooLarge,
    /// There is no text in it.
    Empty,
    /// A chunking specification that no chunk can meet.
    Spec,
}

impl Kind for ErrorKind {
    fn fault(self) -> Fault {
        match self {
            ErrorKind::TooLarge => Fault::TooLarge,
            ErrorKind::Unsupported
            | ErrorKind::Malformed
            | ErrorKind::Encrypted
            | ErrorKind::Empty
            | ErrorKind::Spec => Fault::User,
        }
    }
}

/// The error of this crate.
pub type Error = Failure<ErrorKind>;

/// A result with this crate's error.
pub type Result<T, E = Error> = std::result::Result<T, E>;

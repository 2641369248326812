//! The crate's error.

use elodex_types::{Failure, Fault, Kind};

/// What went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// An option or a call that cannot be meant.
    Request,
    /// A file that is not what it should be.
    Corrupt,
    /// What a resumed run was begun with is not there any more: another corpus, other settings.
    Changed,
    /// A file that cannot be read or written.
    Io,
    /// Another process has it open.
    Locked,
    /// A judge that gave no verdict.
    Judge,
    /// The budget is spent.
    Budget,
    /// Stopped by the caller; what was done is kept.
    Cancelled,
    /// Battles that do not determine scores: no finite ones, or nothing that ties documents to each other.
    Undetermined,
    /// A model that cannot be trained here.
    Unsupported,
    /// Numbers that are none: a loss or a gradient.
    Diverged,
    /// A GPU that is not there, or whose memory is full.
    Device,
    /// Ours.
    Bug,
}

impl Kind for ErrorKind {
    fn fault(self) -> Fault {
        match self {
            ErrorKind::Request
            | ErrorKind::Corrupt
            | ErrorKind::Unsupported
            | ErrorKind::Undetermined
            | ErrorKind::Diverged => Fault::User,
            ErrorKind::Changed | ErrorKind::Locked => Fault::Conflict,
            ErrorKind::Judge | ErrorKind::Budget => Fault::Upstream,
            ErrorKind::Cancelled | ErrorKind::Device => Fault::Unavailable,
            ErrorKind::Io | ErrorKind::Bug => Fault::Bug,
        }
    }
}

/// An error of this crate.
pub type Error = Failure<ErrorKind>;
/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

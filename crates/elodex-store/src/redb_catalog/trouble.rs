//! What stops work inside the catalog, and how it is told to callers.

use crate::{Error, ErrorKind};
use std::io;
use std::time::Duration;

/// A result inside the catalog.
pub(super) type Result<T, E = Trouble> = std::result::Result<T, E>;

/// When to ask a catalog again that is just being opened again.
const RETRY: Duration = Duration::from_secs(1);

/// Why work inside a transaction stops.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The request cannot be met. Raised before anything is changed: others' work in the same transaction goes on.
    Refused(Error),
    /// The database failed: the transaction is lost.
    Storage(redb::Error),
    /// A row is not what was written, or is missing: the transaction is lost.
    Corrupt(String),
}

impl Trouble {
    /// Whether the database answers nothing more until it is opened again, and opening it again is safe: the disk was
    /// full. After any other failure of the disk the page cache may differ from what the disk holds, and only a restart
    /// is safe.
    pub(super) fn is_full(&self) -> bool {
        matches!(self, Self::Storage(redb::Error::Io(error)) if is_full(error))
    }

    /// As callers see it.
    pub(super) fn into_error(self) -> Error {
        match self {
            Self::Refused(error) => error,
            Self::Corrupt(what) => Error::new(
                ErrorKind::Corrupt,
                format!("the catalog is damaged: {what}; run `elodex doctor`, then restore a backup"),
            ),
            Self::Storage(error) => storage_error(error),
        }
    }
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

macro_rules! from_storage {
    ($($error:ident),*) => {
        $(impl From<redb::$error> for Trouble {
            fn from(error: redb::$error) -> Self {
                Self::Storage(error.into())
            }
        })*
    };
}
from_storage!(
    StorageError,
    TableError,
    TransactionError,
    CommitError,
    DatabaseError,
    SetDurabilityError,
    CompactionError
);

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self::Storage(redb::Error::Io(error))
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
    )
}

fn storage_error(error: redb::Error) -> Error {
    let (kind, message) = match &error {
        redb::Error::Io(io) if is_full(io) => (
            ErrorKind::Full,
            "the catalog's disk is full, nothing of this request was kept; make room and try again",
        ),
        redb::Error::Io(_) => {
            (ErrorKind::Backend, "cannot read or write the catalog; check the disk, then start again")
        }
        redb::Error::PreviousIo | redb::Error::DatabaseClosed => (
            ErrorKind::Stopped,
            "the catalog stopped after a failure of its disk; try again, and if that does not help check the disk and \
             start again",
        ),
        redb::Error::DatabaseAlreadyOpen => (
            ErrorKind::Locked,
            "the data directory is open in another process; ask the running server with `--url`, or stop it",
        ),
        redb::Error::Corrupted(_) => {
            (ErrorKind::Corrupt, "the catalog is damaged; run `elodex doctor`, then restore a backup")
        }
        redb::Error::UpgradeRequired(_) => (
            ErrorKind::Corrupt,
            "the catalog was written by another version; open it with that version and make a backup there",
        ),
        redb::Error::TransactionInProgress => {
            (ErrorKind::Conflict, "the catalog is in use; wait until its readers are done and try again")
        }
        _ => (ErrorKind::Bug, "the catalog used its database wrongly"),
    };
    let error = Error::new(kind, message).caused_by(error);
    if kind == ErrorKind::Stopped { error.retry_after(RETRY) } else { error }
}

//! What can come between a document and its being searchable, and what is done about it.

use super::board::Board;
use crate::engine::Shared;
use elodex_store::{Document, ErrorKind};
use elodex_types::{IndexStatus, Revision};
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Why a document does not go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Trouble {
    /// It was replaced or deleted: its work is dropped.
    Gone,
    /// Nothing but another content or another try by hand can help.
    Failed(String),
    /// The disk is full, the index cannot be reached, the embedder stops: it is tried again.
    Later(String),
}

impl From<elodex_store::Error> for Trouble {
    fn from(error: elodex_store::Error) -> Self {
        match error.kind() {
            ErrorKind::NotFound => Trouble::Gone,
            ErrorKind::Full | ErrorKind::Locked | ErrorKind::Stopped | ErrorKind::Backend => {
                Trouble::Later(error.report())
            }
            _ => Trouble::Failed(error.report()),
        }
    }
}

impl From<crate::Error> for Trouble {
    fn from(error: crate::Error) -> Self {
        match error.kind() {
            crate::ErrorKind::NotFound => Trouble::Gone,
            crate::ErrorKind::Unavailable | crate::ErrorKind::Upstream | crate::ErrorKind::Overload => {
                Trouble::Later(error.report())
            }
            _ => Trouble::Failed(error.report()),
        }
    }
}

/// Does `work`; a panic in it is a failure with its message.
pub(super) fn guard<T>(activity: &str, work: impl FnOnce() -> Result<T, Trouble>) -> Result<T, Trouble> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let message = panic_message(&*panic);
        tracing::error!(activity, panic = message, "ingestion panicked");
        Err(Trouble::Failed(format!("an internal error while {activity}: {message}")))
    })
}

fn panic_message(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}

/// Ends the work on documents that are in trouble, or puts it off.
pub(super) fn settle(
    shared: &Shared,
    board: &Board,
    documents: &[&Document],
    status: IndexStatus,
    trouble: &Trouble,
) {
    let revisions = || documents.iter().map(|document| document.revision);
    let reason = match trouble {
        Trouble::Later(reason) => {
            tracing::warn!(documents = documents.len(), reason, "ingestion pauses and tries again");
            return board.put_back(revisions());
        }
        Trouble::Gone => "the catalog has lost what belongs to it",
        Trouble::Failed(reason) => reason,
    };
    for document in documents {
        if let Err(error) = fail(shared, document, status, reason) {
            tracing::warn!(path = document.path, error, "a failure could not be recorded");
            board.put_back([document.revision]);
            continue;
        }
        board.finish([document.revision]);
    }
}

/// Records a failure.
fn fail(shared: &Shared, document: &Document, status: IndexStatus, reason: &str) -> Result<(), String> {
    // What was replaced or deleted meanwhile has no failure; what seemed gone and is not must not wait for ever.
    if !wanted(shared, document.revision)? {
        return Ok(());
    }
    tracing::warn!(path = document.path, %status, reason, "a document failed");
    shared.catalog.fail(document.revision, status, reason).map_err(|error| error.report())
}

/// Whether ingestion has still to act on a revision.
fn wanted(shared: &Shared, revision: Revision) -> Result<bool, String> {
    let found = shared.catalog.view().and_then(|view| view.revision(revision));
    Ok(found.map_err(|error| error.report())?.is_some_and(|document| document.status.is_pending()))
}

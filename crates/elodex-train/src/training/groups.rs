//! Queries with documents and what training wants their scores to be.

use crate::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};
use std::io::{BufRead, Read as _};

/// Longest line of a file of groups.
const MAX_LINE_BYTES: usize = 16 << 20;

/// A query and what its documents' scores should be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Group {
    /// The query.
    pub query: String,
    /// At least one. A single one has no order to teach: a reranker learns its score, but with
    /// [`Objective::Listwise`](super::Objective::Listwise) nothing; an embedder sets it against the documents of the other
    /// queries it is learned with.
    pub documents: Vec<Target>,
}

/// A document and its target.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Target {
    /// The document: title, a space, text.
    pub text: String,
    /// How relevant it is, 0 to 1.
    pub target: f32,
}

/// Reads groups, one JSON object a line.
///
/// # Errors
/// The first line that is none: named by its number.
pub fn read_groups(name: &str, mut file: impl BufRead) -> Result<Vec<Group>> {
    let mut groups = Vec::new();
    let mut line = Vec::new();
    for number in 1_u64.. {
        let wrong =
            |reason: String| Error::new(ErrorKind::Corrupt, format!("`{name}`, line {number}: {reason}"));
        line.clear();
        // With a byte for the end of the line.
        let read = (&mut file).take(MAX_LINE_BYTES as u64 + 1).read_until(b'\n', &mut line);
        let read = read
            .map_err(|error| Error::new(ErrorKind::Io, format!("cannot read `{name}`")).caused_by(error))?;
        if read == 0 {
            break;
        }
        line.pop_if(|last| *last == b'\n');
        if line.len() > MAX_LINE_BYTES {
            return Err(wrong(format!("more than the {MAX_LINE_BYTES} bytes that can be read")));
        }
        if line.trim_ascii().is_empty() {
            continue;
        }
        let group: Group = serde_json::from_slice(&line).map_err(|error| wrong(error.to_string()))?;
        let fits = |target: &Target| (0.0..=1.0).contains(&target.target);
        if let Some(document) = group.documents.iter().find(|document| !fits(document)) {
            return Err(wrong(format!("a target is {}; targets lie in 0 to 1", document.target)));
        }
        if group.documents.is_empty() {
            return Err(wrong("a query without documents teaches nothing; leave it out".into()));
        }
        groups.push(group);
    }
    if groups.is_empty() {
        return Err(Error::new(ErrorKind::Request, format!("`{name}` holds no query to train on")));
    }
    Ok(groups)
}

/// Takes every `nth` group out, for evaluation: by the hash of its query, so that a query is on the same side in every
/// run.
pub fn split(groups: Vec<Group>, nth: u64) -> (Vec<Group>, Vec<Group>) {
    groups.into_iter().partition(|group| {
        let hash = blake3::hash(group.query.as_bytes());
        let first = u64::from_le_bytes(std::array::from_fn(|index| hash.as_bytes()[index]));
        !first.is_multiple_of(nth)
    })
}

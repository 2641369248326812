//! Queries with documents and what training wants their scores to be.

use crate::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};
use std::io::BufRead;

/// Longest line of a file of groups.
const MAX_LINE_BYTES: usize = 16 << 20;

/// A query and what its documents' scores should be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Group {
    /// The query.
    pub query: String,
    /// At least two.
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
pub fn read_groups(name: &str, file: impl BufRead) -> Result<Vec<Group>> {
    let mut groups = Vec::new();
    for (number, line) in file.lines().enumerate() {
        let wrong = |reason: String| {
            Error::new(ErrorKind::Corrupt, format!("`{name}`, line {}: {reason}", number + 1))
        };
        let line = line
            .map_err(|error| Error::new(ErrorKind::Io, format!("cannot read `{name}`")).caused_by(error))?;
        if line.trim().is_empty() {
            continue;
        }
        if line.len() > MAX_LINE_BYTES {
            return Err(wrong(format!("{} bytes, at most {MAX_LINE_BYTES} can be read", line.len())));
        }
        let group: Group = serde_json::from_str(&line).map_err(|error| wrong(error.to_string()))?;
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

//! What dialects share in writing search results.

use crate::problem::Problem;
use elodex_types::{Fault, SearchResponse};

/// Refuses scores that JSON could not carry faithfully.
pub(crate) fn finite_hits(response: &SearchResponse) -> Result<(), Problem> {
    match response.hits.iter().find(|hit| !hit.score.value.is_finite()) {
        None => Ok(()),
        Some(hit) => Err(Problem::new(Fault::Bug, format!("`{}` has a score that is not finite", hit.path))),
    }
}

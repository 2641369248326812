//! Candidates become results: the best of each document or page, or every chunk.

use super::candidate::Candidate;
use elodex_types::{Revision, Unit};
use std::collections::HashSet;

/// The first `k` candidates, in their order, of which no two are of one document, or page.
pub(super) fn best(candidates: Vec<Candidate>, unit: Unit, k: usize) -> Vec<Candidate> {
    let mut seen: HashSet<(Revision, u32)> = HashSet::new();
    let is_first = |candidate: &Candidate| match unit {
        // The page is 0 where pages are not asked for.
        Unit::Documents | Unit::Pages => seen.insert((candidate.live.id.revision(), candidate.page)),
        Unit::Chunks | Unit::Passages => true,
    };
    candidates.into_iter().filter(is_first).take(k).collect()
}

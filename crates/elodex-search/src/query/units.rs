//! Candidates become results: the best of each document or page, or every chunk.

use super::candidate::Candidate;
use elodex_types::{Revision, Unit};
use std::collections::HashSet;

/// The first `k` candidates, in their order, of which no two are of one document, or page.
pub(super) fn best(candidates: Vec<Candidate>, unit: Unit, k: usize) -> Vec<Candidate> {
    let mut is_first = first_of(unit);
    candidates.into_iter().filter(|candidate| is_first(candidate)).take(k).collect()
}

/// The fused scores of the candidates that would be results, best first.
pub(super) fn fused_scores(candidates: &[Candidate], unit: Unit) -> impl Iterator<Item = f32> {
    let mut is_first = first_of(unit);
    candidates.iter().filter(move |candidate| is_first(candidate)).map(|candidate| candidate.fused.score)
}

/// Says of candidate after candidate whether it is the first of its document or page.
fn first_of(unit: Unit) -> impl FnMut(&Candidate) -> bool {
    let mut seen: HashSet<(Revision, u32)> = HashSet::new();
    move |candidate| match unit {
        // The page is 0 where pages are not asked for.
        Unit::Documents | Unit::Pages => seen.insert((candidate.live.id.revision(), candidate.page)),
        Unit::Chunks | Unit::Passages => true,
    }
}

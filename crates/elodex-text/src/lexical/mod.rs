//! Terms for BM25: segmentation, folding, stop words and stems by language.

mod analyzer;
mod language;

pub use analyzer::Analyzer;
pub use language::{Language, detect};

/// The id of a term in a sparse vector.
pub fn term_id(term: &str) -> u32 {
    let _ = term;
    0
}

/// Ids with the number of times each occurs, ascending by id.
pub fn term_counts(terms: &[String]) -> Vec<(u32, u32)> {
    let mut ids: Vec<u32> = terms.iter().map(|term| term_id(term)).collect();
    ids.sort_unstable();
    ids.chunk_by(|one, other| one == other).map(|run| (run[0], run.len() as u32)).collect()
}

//! Terms for BM25: segmentation, folding, stop words and stems by language.
//!
//! ```
//! use elodex_text::lexical::{Analyzer, Language, detect, term_counts};
//!
//! let analyzer = Analyzer::new(Language::English);
//! assert_eq!(analyzer.terms("The runners' shoes, running on 东京 roads"), ["runner", "shoe", "run", "东京", "road"]);
//! assert_eq!(term_counts(&analyzer.terms("a cat and cats")), [(elodex_text::lexical::term_id("cat"), 2)]);
//! assert_eq!(detect("Der Zug fährt heute eine Stunde später, weil es geschneit hat."), Language::German);
//! ```
//!
//! What the analysers make of a text is stored in indexes, as ids. Whatever changes a term of any text changes
//! [`VERSION`], and indexes of another version must be built anew.

mod analyzer;
mod language;
mod scripts;

pub use analyzer::{Analyzer, Indexed};
pub use language::{Language, detect};

/// Version of what analysers make of texts.
pub const VERSION: u32 = 2;

/// The id of a term in a sparse vector: the first four bytes of the BLAKE3 hash of its UTF-8, little-endian. It is
/// stored in indexes and never changes.
///
/// Two of a vocabulary's terms may share an id; among 100,000 terms about one does.
pub fn term_id(term: &str) -> u32 {
    let hash = blake3::hash(term.as_bytes());
    let [first, second, third, fourth, ..] = *hash.as_bytes();
    u32::from_le_bytes([first, second, third, fourth])
}

/// Ids with the number of times each occurs, ascending by id.
pub fn term_counts(terms: &[String]) -> Vec<(u32, u32)> {
    let mut ids: Vec<u32> = terms.iter().map(|term| term_id(term)).collect();
    ids.sort_unstable();
    ids.chunk_by(|one, other| one == other)
        .map(|run| (run[0], u32::try_from(run.len()).unwrap_or(u32::MAX)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_stay_what_indexes_hold() {
        assert_eq!(term_id(""), 0xb949_13af);
        assert_eq!(term_id("retrieval"), term_id("retrieval"));
        assert_ne!(term_id("a"), term_id("b"));
    }

    #[test]
    fn counts_are_sorted_and_complete() {
        let terms: Vec<String> = ["b", "a", "b", "c", "b"].map(str::to_owned).to_vec();
        let counts = term_counts(&terms);
        assert!(counts.is_sorted_by(|one, other| one.0 < other.0), "{counts:?}");
        assert_eq!(counts.iter().map(|&(_, count)| count).sum::<u32>(), 5);
        assert!(counts.contains(&(term_id("b"), 3)));
        assert_eq!(term_counts(&[]), []);
    }
}

//! Candidates that say the same: sets of three-word shingles (Broder, "On the resemblance and containment of documents",
//! 1997) with a Jaccard similarity of 0.9 or more.
//!
//! Two sets that similar share one of their first `⌊n / 10⌋ + 1` members in any fixed order (prefix filtering: Chaudhuri,
//! Ganti and Kaushik, ICDE 2006), so only those that do are compared.

use elodex_text::lexical::{Analyzer, Language};
use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

/// Words in a shingle.
const WORDS: usize = 3;
/// Most sets that one candidate is compared with: texts that share a beginning with thousands are not worth more.
const MOST_COMPARED: usize = 256;

/// The candidates kept so far, each unlike the others.
#[derive(Debug, Default)]
pub(super) struct Kept {
    sets: Vec<Vec<u64>>,
    /// Which sets have a shingle among their first ones.
    heads: HashMap<u64, Vec<usize>>,
}

impl Kept {
    /// The number of the kept text that says the same as `shingles`, or `None`, and it is kept as the next.
    pub(super) fn offer(&mut self, shingles: &[u64]) -> Option<usize> {
        let head = &shingles[..shingles.len().min(shingles.len() / 10 + 1)];
        let mut alike: Vec<usize> =
            head.iter().filter_map(|shingle| self.heads.get(shingle)).flatten().copied().collect();
        alike.sort_unstable();
        alike.dedup();
        for &number in alike.iter().take(MOST_COMPARED) {
            if says_the_same(&self.sets[number], shingles) {
                return Some(number);
            }
        }
        let number = self.sets.len();
        for &shingle in head {
            self.heads.entry(shingle).or_default().push(number);
        }
        self.sets.push(shingles.to_vec());
        None
    }
}

/// A text's shingles as hashes, ascending, each once. A text with fewer words than a shingle is one, a text without
/// words is itself.
pub(super) fn shingles(text: &str) -> Vec<u64> {
    let words = Analyzer::new(Language::Other).terms(text);
    let mut shingles: Vec<u64> = match words.len() {
        0 => vec![hash(text.trim())],
        1..WORDS => vec![hash(words.as_slice())],
        _ => words.windows(WORDS).map(hash).collect(),
    };
    shingles.sort_unstable();
    shingles.dedup();
    shingles
}

fn hash(value: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// Whether the Jaccard similarity of two ascending sets is at least 0.9.
fn says_the_same(one: &[u64], other: &[u64]) -> bool {
    let (mut left, mut right, mut shared) = (0, 0, 0);
    while left < one.len() && right < other.len() {
        match one[left].cmp(&other[right]) {
            std::cmp::Ordering::Less => left += 1,
            std::cmp::Ordering::Greater => right += 1,
            std::cmp::Ordering::Equal => {
                shared += 1;
                left += 1;
                right += 1;
            }
        }
    }
    let all = one.len() + other.len() - shared;
    10 * shared >= 9 * all
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_same_words_are_the_same_whatever_stands_between() {
        let mut kept = Kept::default();
        assert_eq!(kept.offer(&shingles("The cat sat on the mat.")), None);
        assert_eq!(kept.offer(&shingles("A dog lay under the table.")), None);
        assert_eq!(kept.offer(&shingles("the CAT sat\n on the mat")), Some(0));
        assert_eq!(kept.offer(&shingles("the mat sat on the cat")), None);
    }

    #[test]
    fn short_texts_and_signs_are_compared_as_a_whole() {
        let mut kept = Kept::default();
        for (text, same) in
            [("?!", None), ("yes", None), ("Yes.", Some(1)), ("?!", Some(0)), ("no way", None)]
        {
            assert_eq!(kept.offer(&shingles(text)), same, "{text}");
        }
    }

    proptest! {
        #[test]
        fn nothing_alike_is_missed(sets in prop::collection::vec(prop::collection::btree_set(0_u64..30, 1..25), 1..40)) {
            let sets: Vec<Vec<u64>> = sets.into_iter().map(|set| set.into_iter().collect()).collect();
            let mut kept = Kept::default();
            let mut plain: Vec<&Vec<u64>> = Vec::new();
            for set in &sets {
                let expected = plain.iter().position(|other| says_the_same(other, set));
                prop_assert_eq!(kept.offer(set), expected);
                if expected.is_none() {
                    plain.push(set);
                }
            }
        }
    }
}

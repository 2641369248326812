//! How much two rankings have in common, without labels.

use std::collections::HashSet;
use std::hash::Hash;

/// The persistence that [`rank_biased_overlap`] is usually computed with: the first ten ranks have 86 % of the weight.
pub const PERSISTENCE: f64 = 0.9;

/// Share of the longer ranking that both have: the size of the intersection over the longer length, 0 to 1; 1 for two
/// empty ones. Repeated items count once.
pub fn overlap<T: Eq + Hash>(one: &[T], other: &[T]) -> f64 {
    let (one, other): (HashSet<&T>, HashSet<&T>) = (one.iter().collect(), other.iter().collect());
    let longer = one.len().max(other.len());
    if longer == 0 { 1.0 } else { one.intersection(&other).count() as f64 / longer as f64 }
}

/// Rank-biased overlap of two rankings, 0 to 1, extrapolated beyond their ends: RBO_EXT for rankings of unequal length
/// (Webber, Moffat and Zobel, "A similarity measure for indefinite rankings", ACM TOIS 28(4), 2010, equation 32).
///
/// With `s` and `l` the lengths of the shorter and the longer ranking and `X_d` how many of the first `d` they share:
///
/// ```text
/// (1−p)/p · (Σ_{d=1..l} X_d/d · p^d + Σ_{d=s+1..l} X_s·(d−s)/(s·d) · p^d) + ((X_l − X_s)/l + X_s/s) · p^l
/// ```
///
/// `persistence` is `p`, above 0 and below 1: the smaller, the more the first ranks count. Two empty rankings are equal
/// (1); an empty one has nothing in common with another (0). Each ranking names an item once.
pub fn rank_biased_overlap<T: Eq + Hash>(one: &[T], other: &[T], persistence: f64) -> f64 {
    let (short, long) = if one.len() <= other.len() { (one, other) } else { (other, one) };
    if short.is_empty() {
        return if long.is_empty() { 1.0 } else { 0.0 };
    }
    let (mut seen_short, mut seen_long): (HashSet<&T>, HashSet<&T>) = (HashSet::new(), HashSet::new());
    let (mut shared, mut shared_at_short) = (0_usize, 0_usize);
    let (mut sum, mut weight) = (0.0, 1.0);
    for (position, item) in long.iter().enumerate() {
        let depth = position + 1;
        weight *= persistence;
        seen_long.insert(item);
        shared += usize::from(seen_short.contains(item));
        if let Some(item) = short.get(position) {
            seen_short.insert(item);
            shared += usize::from(seen_long.contains(item));
        }
        if depth == short.len() {
            shared_at_short = shared;
        }
        sum += shared as f64 / depth as f64 * weight;
        if depth > short.len() {
            let beyond = (depth - short.len()) as f64;
            sum += shared_at_short as f64 * beyond / (short.len() * depth) as f64 * weight;
        }
    }
    let agreement =
        (shared - shared_at_short) as f64 / long.len() as f64 + shared_at_short as f64 / short.len() as f64;
    // Rounding may leave it a little above 1.
    ((1.0 - persistence) / persistence * sum + agreement * weight).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rbo(one: &str, other: &str) -> f64 {
        let items = |text: &str| text.chars().collect::<Vec<_>>();
        rank_biased_overlap(&items(one), &items(other), PERSISTENCE)
    }

    #[test]
    fn values_computed_by_hand() {
        // X: 0, 2. (0/1·.9 + 2/2·.81)/9 + 2/2·.81
        // X: 1, 1, 3. (.9 + .5·.81 + .729)/9 + .729
        // Lengths 1 and 3, X: 0, 1, 1. (.405 + .243)/9 + (1/3)·.729
        // Lengths 2 and 4, X: 1, 1, 2, 2. (.9 + .405 + .486 + .32805 + [1/6·.729 + 2/8·.6561])/9 + (1/4 + 1/2)·.6561
        let expected = [
            ("ab", "ba", 0.9),
            ("abc", "acb", 0.955),
            ("b", "abc", 0.315),
            ("ax", "abxc", 0.759_25),
            ("a", "abc", 1.0),
            ("abc", "abc", 1.0),
            ("abc", "xyz", 0.0),
            ("", "abc", 0.0),
            ("", "", 1.0),
        ];
        for (one, other, value) in expected {
            let found = rbo(one, other);
            assert!((found - value).abs() < 1e-12, "{one} {other}: {found}");
        }
    }

    #[test]
    fn the_first_ranks_count_most() {
        assert!(rbo("abcdefghij", "bacdefghij") < rbo("abcdefghij", "abcdefghji"));
    }

    #[test]
    fn overlap_is_a_share_of_the_longer() {
        assert_eq!(overlap(&["a", "b", "c", "d"], &["d", "a"]), 0.5);
        assert_eq!((overlap::<u8>(&[], &[]), overlap(&[], &["a"])), (1.0, 0.0));
    }

    proptest! {
        #[test]
        fn it_is_symmetric_and_a_share(
            one in Just((0..12).collect::<Vec<u8>>()).prop_shuffle(),
            other in Just((4..20).collect::<Vec<u8>>()).prop_shuffle(),
            lengths in (0_usize..12, 0_usize..16),
            persistence in 0.05_f64..0.98,
        ) {
            let (one, other) = (&one[..lengths.0], &other[..lengths.1]);
            let forth = rank_biased_overlap(one, other, persistence);
            prop_assert!((-1e-12..=1.0 + 1e-12).contains(&forth), "{}", forth);
            prop_assert!((forth - rank_biased_overlap(other, one, persistence)).abs() < 1e-12);
            prop_assert!((rank_biased_overlap(one, one, persistence) - 1.0).abs() < 1e-12);
        }
    }
}

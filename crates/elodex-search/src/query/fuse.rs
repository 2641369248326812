//! Reciprocal-rank fusion (Cormack, Clarke and Büttcher, SIGIR 2009) with weights.

use elodex_eval::fusion::RRF_K;
use elodex_store::Found;
use elodex_types::{ChunkId, Place};
use std::collections::HashMap;

/// A candidate of at least one of `N` lists.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Fused<const N: usize> {
    pub(super) id: ChunkId,
    /// `Σ weight / (60 + rank)` over the lists that have it.
    pub(super) score: f64,
    /// Its rank and score in each list.
    pub(super) places: [Option<Place>; N],
}

impl<const N: usize> Fused<N> {
    fn best_rank(&self) -> usize {
        self.places.iter().flatten().map(|place| place.rank).min().unwrap_or(usize::MAX)
    }
}

/// Fuses ranked lists with their weights, best first; equal scores by the best rank in any list, then by id. A list with
/// weight 0 takes no part.
pub(super) fn fuse<const N: usize>(lists: [(f32, &[Found]); N]) -> Vec<Fused<N>> {
    let mut fused: Vec<Fused<N>> = Vec::new();
    let mut positions: HashMap<ChunkId, usize> = HashMap::new();
    for (list, (weight, found)) in lists.into_iter().enumerate() {
        if weight == 0.0 {
            continue;
        }
        for (position, found) in found.iter().enumerate() {
            let at = *positions.entry(found.id).or_insert_with(|| {
                fused.push(Fused { id: found.id, score: 0.0, places: [None; N] });
                fused.len() - 1
            });
            let candidate = &mut fused[at];
            let rank = position + 1;
            if candidate.places[list].is_none() {
                candidate.places[list] = Some(Place { rank, score: found.score });
                candidate.score += f64::from(weight) / (RRF_K + rank as f64);
            }
        }
    }
    fused.sort_by(|one, other| {
        other
            .score
            .total_cmp(&one.score)
            .then_with(|| one.best_rank().cmp(&other.best_rank()))
            .then_with(|| one.id.cmp(&other.id))
    });
    fused
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn list(ids: &[u64]) -> Vec<Found> {
        ids.iter().map(|&id| Found { id: ChunkId::from_raw(id), score: 1.0 / (id + 1) as f32 }).collect()
    }

    fn order<const N: usize>(fused: &[Fused<N>]) -> Vec<u64> {
        fused.iter().map(|candidate| candidate.id.as_raw()).collect()
    }

    /// Ids in some order, each once.
    fn ranking() -> impl Strategy<Value = Vec<u64>> {
        Just((0..40_u64).collect::<Vec<_>>())
            .prop_shuffle()
            .prop_flat_map(|ids| (0..=ids.len()).prop_map(move |length| ids[..length].to_vec()))
    }

    #[test]
    fn the_score_is_the_formula_s() {
        let fused = fuse([(1.0, &list(&[7, 8])), (0.5, &list(&[8, 9]))]);
        assert_eq!(order(&fused), [8, 7, 9]);
        assert!((fused[0].score - (1.0 / 62.0 + 0.5 / 61.0)).abs() < 1e-12);
        assert_eq!(fused[0].places.map(|place| place.map(|place| place.rank)), [Some(2), Some(1)]);
        assert_eq!(fused[1].places[1], None);
    }

    #[test]
    fn ties_go_to_the_best_rank_and_then_to_the_id() {
        // 1/61 + 1/64 is not 1/62 + 1/63, but first places of two lists tie.
        let fused = fuse([(1.0, &list(&[5, 3])), (1.0, &list(&[2, 9]))]);
        assert_eq!(order(&fused), [2, 5, 3, 9]);
    }

    proptest! {
        #[test]
        fn the_order_of_the_lists_does_not_matter(
            one in ranking(), two in ranking(), weights in (0.0_f32..4.0, 0.0_f32..4.0),
        ) {
            let (one, two) = (list(&one), list(&two));
            let forth = fuse([(weights.0, &one), (weights.1, &two)]);
            let back = fuse([(weights.1, &two), (weights.0, &one)]);
            prop_assert_eq!(order(&forth), order(&back));
            for (left, right) in forth.iter().zip(&back) {
                prop_assert_eq!(left.score, right.score);
            }
        }

        #[test]
        fn a_list_without_weight_changes_nothing(one in ranking(), two in ranking(), weight in 0.1_f32..4.0) {
            let with = fuse([(weight, &list(&one)), (0.0, &list(&two))]);
            prop_assert_eq!(order(&with), one);
        }

        #[test]
        fn what_no_list_ranks_lower_is_not_lower(one in ranking(), two in ranking()) {
            let fused = fuse([(1.0, &list(&one)), (1.0, &list(&two))]);
            let rank = |ids: &[u64], id| ids.iter().position(|&other| other == id).unwrap_or(usize::MAX);
            for pair in fused.windows(2) {
                prop_assert!(pair[0].score >= pair[1].score);
            }
            for (position, above) in fused.iter().enumerate() {
                for below in &fused[position + 1..] {
                    let (above, below) = (above.id.as_raw(), below.id.as_raw());
                    // `below` is in front in both lists only if it is in neither.
                    let ahead = rank(&one, below) < rank(&one, above) && rank(&two, below) < rank(&two, above);
                    prop_assert!(!ahead, "{above} stands before {below}");
                }
            }
        }
    }
}

//! Search by terms.

use super::data::{Random, assert_same, id, ids};
use super::{Setting, with_oracle};
use crate::{ChunkIndex, Condition, Point, SparseVector};

const DIMENSIONS: usize = 2;

fn assert_formula(index: &dyn ChunkIndex, oracle: &dyn ChunkIndex) {
    let mut random = Random(40);
    let condition = Condition::AnyOf { attribute: "language".into(), values: vec!["en".into()] };
    for _ in 0..10 {
        let query = random.terms(8);
        for condition in [None, Some(&condition)] {
            let expected = oracle.lexical(&query, condition, 40).unwrap();
            assert_same(&index.lexical(&query, condition, 40).unwrap(), &expected, 1e-4);
        }
    }
}

pub(super) fn lexical_scores_are_bm25(setting: &Setting) {
    with_oracle(setting, DIMENSIONS, |index, oracle| {
        let mut random = Random(41);
        for round in 0..5 {
            let points: Vec<Point> = (0..200).map(|at| random.point(round * 200 + at, DIMENSIONS)).collect();
            for each in [index, oracle] {
                each.upsert(&points).unwrap();
            }
            assert_formula(index, oracle);
        }
    });
}

pub(super) fn lexical_scores_follow_removals(setting: &Setting) {
    with_oracle(setting, DIMENSIONS, |index, oracle| {
        let mut random = Random(42);
        let points: Vec<Point> = (0..2500).map(|at| random.point(at, DIMENSIONS)).collect();
        let replaced: Vec<Point> = (500..900).map(|at| random.point(at, DIMENSIONS)).collect();
        let gone: Vec<_> = (1000..2000).map(id).collect();
        for each in [index, oracle] {
            each.upsert(&points).unwrap();
            each.upsert(&replaced).unwrap();
            each.remove(&gone).unwrap();
        }
        if setting.counts_removed_terms {
            index.optimise().unwrap();
        }
        assert_formula(index, oracle);
        // Adding after that.
        let added: Vec<Point> = (1500..1700).map(|at| random.point(at, DIMENSIONS)).collect();
        for each in [index, oracle] {
            each.upsert(&added).unwrap();
        }
        assert_formula(index, oracle);
    });
}

pub(super) fn lexical_finds_only_what_shares_a_term(setting: &Setting) {
    with_oracle(setting, DIMENSIONS, |index, _| {
        let mut random = Random(43);
        let mut with = |revision: u64, ids: Vec<u32>| {
            let mut point = random.point(revision, DIMENSIONS);
            point.terms = SparseVector { weights: vec![1.0; ids.len()], ids };
            point
        };
        let points = [
            with(1, vec![1, 2]),
            with(2, vec![2]),
            with(3, vec![]),
            with(4, vec![u32::MAX]),
            with(5, vec![0]),
        ];
        index.upsert(&points).unwrap();
        let find = |ids_of_terms: &[u32]| {
            let query = SparseVector { ids: ids_of_terms.to_vec(), weights: vec![1.0; ids_of_terms.len()] };
            ids(&index.lexical(&query, None, 10).unwrap())
        };
        assert_eq!(find(&[]), []);
        assert_eq!(find(&[77]), []);
        assert_eq!(find(&[1, 2]), [id(1), id(2)]);
        assert_eq!(find(&[2, 77]), [id(1), id(2)]);
        assert_eq!(find(&[u32::MAX]), [id(4)]);
        assert_eq!(find(&[0]), [id(5)]);
        // A point that loses its terms is not found by them.
        index.upsert(&[with(2, vec![])]).unwrap();
        index.remove(&[id(5)]).unwrap();
        assert_eq!(find(&[0, 2]), [id(1)]);
    });
}

//! Dense search.

use super::data::{Random, assert_same, clustered, id, ids, spec};
use super::{Setting, with_oracle, with_oracle_of};
use crate::{ChunkIndex, Condition, IndexSpec, Point, Precision, SparseVector};
use elodex_types::{Metadata, MetadataValue};

pub(super) fn exact_search_is_that_of_all_points(setting: &Setting) {
    for dimensions in [1, 3, 96] {
        with_oracle(setting, dimensions, |index, oracle| {
            let mut random = Random(20);
            let points: Vec<_> = (0..700).map(|revision| random.point(revision, dimensions)).collect();
            for each in [index, oracle] {
                each.upsert(&points).unwrap();
            }
            let condition = Condition::AnyOf { attribute: "language".into(), values: vec!["de".into()] };
            for limit in [1, 10, 100, 1000] {
                for condition in [None, Some(&condition)] {
                    let query: Vec<f32> =
                        random.vector(dimensions).iter().map(|component| 100.0 * component).collect();
                    let expected = oracle.dense(&query, condition, limit, true).unwrap();
                    assert_same(&index.dense(&query, condition, limit, true).unwrap(), &expected, 1e-5);
                }
            }
        });
    }
}

pub(super) fn equal_scores_are_in_order_of_ids(setting: &Setting) {
    with_oracle(setting, 2, |index, _| {
        // Written in another order than that of the ids: eight better ones, then twenty equals, then worse ones.
        let mut points: Vec<Point> = (0..60)
            .map(|revision| {
                let (height, weight) = match revision {
                    0..8 => (0.1, 3.0),
                    8..28 => (0.5, 2.0),
                    _ => (5.0, 1.0),
                };
                let terms = SparseVector { ids: vec![4], weights: vec![weight] };
                Point { id: id(revision), dense: vec![1.0, height], terms, metadata: Metadata::new() }
            })
            .collect();
        points.sort_by_key(|point| (point.id.revision().0 * 37) % 61);
        index.upsert(&points).unwrap();
        let query = SparseVector { ids: vec![4], weights: vec![1.0] };
        for limit in [5, 8, 9, 20, 28, 60] {
            let expected: Vec<_> = (0..limit).map(id).collect();
            let limit = expected.len();
            assert_eq!(ids(&index.dense(&[1.0, 0.0], None, limit, true).unwrap()), expected);
            assert_eq!(ids(&index.lexical(&query, None, limit).unwrap()), expected);
        }
    });
}

pub(super) fn a_vector_of_zeros_has_no_direction(setting: &Setting) {
    with_oracle(setting, 2, |index, oracle| {
        let mut random = Random(21);
        let mut points = vec![random.point(1, 2), random.point(2, 2), random.point(3, 2)];
        points[1].dense = vec![0.0; 2];
        for each in [index, oracle] {
            each.upsert(&points).unwrap();
        }
        for query in [[0.0, 0.0], [1.0, 2.0]] {
            let expected = oracle.dense(&query, None, 5, true).unwrap();
            assert_same(&index.dense(&query, None, 5, true).unwrap(), &expected, 1e-5);
        }
    });
}

pub(super) fn approximate_search_finds_nearly_all(setting: &Setting) {
    assert_recall(setting, Precision::F32);
}

pub(super) fn bytes_find_nearly_all(setting: &Setting) {
    assert_recall(setting, Precision::Int8);
}

/// Recall against the search of all points, before the index is optimised and after, with a filter and without one.
fn assert_recall(setting: &Setting, precision: Precision) {
    const DIMENSIONS: usize = 96;
    const LIMIT: usize = 50;
    let spec = IndexSpec { precision, ..spec(DIMENSIONS) };
    with_oracle_of(setting, &spec, |index, oracle| {
        let mut random = Random(22);
        let mut vectors = clustered(&mut random, 6_020, DIMENSIONS, 60);
        let queries = vectors.split_off(6_000);
        let points: Vec<Point> = (0..)
            .zip(vectors)
            .map(|(revision, dense)| {
                let value = MetadataValue::Text((revision % 4).to_string());
                let metadata = Metadata::from([("quarter".to_owned(), value)]);
                Point { id: id(revision), dense, terms: SparseVector::default(), metadata }
            })
            .collect();
        for part in points.chunks(1000) {
            index.upsert(part).unwrap();
            oracle.upsert(part).unwrap();
        }
        let quarter = Condition::AnyOf { attribute: "quarter".into(), values: vec!["3".into()] };
        for optimised in [false, true] {
            if optimised {
                index.optimise().unwrap();
                assert!(!index.optimise().unwrap(), "a second time there is nothing to do");
            }
            for condition in [None, Some(&quarter)] {
                let recall = recall(index, oracle, &queries, condition, LIMIT);
                assert!(recall >= 0.95, "recall {recall}, optimised {optimised}, filter {condition:?}");
            }
            // Scores are those of the original vectors whatever the search looked at.
            let expected = oracle.dense(&queries[0], None, LIMIT, true).unwrap();
            assert_same(&index.dense(&queries[0], None, LIMIT, true).unwrap(), &expected, 1e-5);
            let best = index.dense(&queries[0], None, 1, false).unwrap();
            assert!((best[0].score - expected[0].score).abs() < 1e-5, "{best:?} {:?}", expected[0]);
        }
    });
}

fn recall(
    index: &dyn ChunkIndex,
    oracle: &dyn ChunkIndex,
    queries: &[Vec<f32>],
    condition: Option<&Condition>,
    limit: usize,
) -> f64 {
    let mut hits = 0;
    for query in queries {
        let expected = ids(&oracle.dense(query, condition, limit, true).unwrap());
        let got = ids(&index.dense(query, condition, limit, false).unwrap());
        assert_eq!(got.len(), limit);
        hits += got.iter().filter(|id| expected.contains(id)).count();
    }
    hits as f64 / (queries.len() * limit) as f64
}

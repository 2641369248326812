//! Points, ids and collections.

use super::data::{Random, assert_alike, id, ids, spec};
use super::{ONE, Setting, with_oracle};
use crate::{CollectionId, ErrorKind, SparseVector};
use elodex_types::Metadata;

pub(super) fn an_empty_index_answers(setting: &Setting) {
    with_oracle(setting, 8, |index, _| {
        let terms = SparseVector { ids: vec![3], weights: vec![1.0] };
        assert_eq!(index.len().unwrap(), 0);
        assert!(index.is_empty().unwrap());
        assert_eq!(index.ids(None, 10).unwrap(), []);
        for exact in [false, true] {
            assert_eq!(index.dense(&[1.0; 8], None, 10, exact).unwrap(), []);
        }
        assert_eq!(index.lexical(&terms, None, 10).unwrap(), []);
        index.upsert(&[]).unwrap();
        index.remove(&[]).unwrap();
        index.remove(&[id(5)]).unwrap();
        index.flush().unwrap();
        index.optimise().unwrap();
        assert_eq!(index.len().unwrap(), 0);
        index.disk_bytes().unwrap();
    });
}

pub(super) fn points_are_written_replaced_and_removed(setting: &Setting) {
    with_oracle(setting, 8, |index, oracle| {
        let mut random = Random(1);
        for round in 0..12 {
            let points: Vec<_> = (0..60).map(|_| random.any_point(200, 8)).collect();
            let gone: Vec<_> = (0..20).map(|_| id(random.below(250) as u64)).collect();
            for each in [index, oracle] {
                each.upsert(&points).unwrap();
                each.remove(&gone).unwrap();
            }
            if round % 5 == 4 {
                index.flush().unwrap();
                index.optimise().unwrap();
            }
            assert_alike(index, oracle, 8);
        }
        // The last of two with one id stands.
        let twice = [random.point(7, 8), random.point(7, 8)];
        for each in [index, oracle] {
            each.upsert(&twice).unwrap();
        }
        assert_alike(index, oracle, 8);
    });
}

pub(super) fn limits_are_kept(setting: &Setting) {
    with_oracle(setting, 4, |index, _| {
        let mut random = Random(2);
        let mut points: Vec<_> = (0..30).map(|revision| random.point(revision, 4)).collect();
        for point in &mut points {
            point.terms = SparseVector { ids: vec![1], weights: vec![1.0 + random.unit()] };
        }
        index.upsert(&points).unwrap();
        let query = SparseVector { ids: vec![1], weights: vec![1.0] };
        for (limit, found) in [(0, 0), (1, 1), (29, 29), (30, 30), (1000, 30)] {
            for exact in [false, true] {
                assert_eq!(index.dense(&[1.0; 4], None, limit, exact).unwrap().len(), found);
            }
            assert_eq!(index.lexical(&query, None, limit).unwrap().len(), found);
            assert_eq!(index.ids(None, limit).unwrap().len(), found);
        }
    });
}

pub(super) fn bad_vectors_are_refused_whole(setting: &Setting) {
    with_oracle(setting, 4, |index, _| {
        let mut random = Random(3);
        let good = random.point(1, 4);
        let with = |dense: Vec<f32>, ids: Vec<u32>, weights: Vec<f32>| {
            let mut point = good.clone();
            (point.id, point.dense, point.terms) = (id(2), dense, SparseVector { ids, weights });
            point
        };
        let bad = [
            with(vec![], vec![], vec![]),
            with(vec![1.0; 3], vec![], vec![]),
            with(vec![1.0; 5], vec![], vec![]),
            with(vec![1.0, f32::NAN, 0.0, 0.0], vec![], vec![]),
            with(vec![1.0, f32::INFINITY, 0.0, 0.0], vec![], vec![]),
            with(vec![1.0; 4], vec![1], vec![f32::NAN]),
            with(vec![1.0; 4], vec![1, 2], vec![1.0]),
            with(vec![1.0; 4], vec![2, 1], vec![1.0, 1.0]),
            with(vec![1.0; 4], vec![2, 2], vec![1.0, 1.0]),
        ];
        for point in bad {
            let error = index.upsert(&[good.clone(), point.clone()]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid, "{point:?}");
            assert_eq!(index.len().unwrap(), 0, "{point:?}");
        }
        for query in [vec![1.0; 3], vec![f32::NAN; 4], vec![f32::NEG_INFINITY; 4]] {
            assert_eq!(index.dense(&query, None, 5, false).unwrap_err().kind(), ErrorKind::Invalid);
        }
        let query = SparseVector { ids: vec![1], weights: vec![f32::NAN] };
        assert_eq!(index.lexical(&query, None, 5).unwrap_err().kind(), ErrorKind::Invalid);
        index.upsert(&[good]).unwrap();
        assert_eq!(index.len().unwrap(), 1);
    });
}

pub(super) fn ids_are_paged_in_order(setting: &Setting) {
    with_oracle(setting, 4, |index, oracle| {
        let mut random = Random(4);
        let mut points: Vec<_> = (0..100).map(|_| random.point(0, 4)).enumerate().collect::<Vec<_>>();
        for (at, point) in &mut points {
            point.id = elodex_types::ChunkId::from_raw((*at as u64 * 7_777_777_777) % (1 << 62));
        }
        let points: Vec<_> = points.into_iter().map(|(_, point)| point).collect();
        for each in [index, oracle] {
            each.upsert(&points).unwrap();
        }
        index.remove(&[points[50].id]).unwrap();
        oracle.remove(&[points[50].id]).unwrap();
        let mut after = None;
        let mut all = Vec::new();
        loop {
            let page = index.ids(after, 13).unwrap();
            assert_eq!(page, oracle.ids(after, 13).unwrap());
            let Some(&last) = page.last() else { break };
            all.extend(page);
            after = Some(last);
        }
        assert_eq!(all.len(), 99);
        let past_the_end = Some(elodex_types::ChunkId::from_raw(u64::MAX));
        assert_eq!(index.ids(past_the_end, 5).unwrap(), []);
    });
}

pub(super) fn collections_are_apart(setting: &Setting) {
    let directory = tempfile::tempdir().unwrap();
    let backend = (setting.open)(directory.path());
    assert_eq!(backend.collections().unwrap(), []);
    let one = backend.open(ONE, &spec(4)).unwrap().index;
    let ten = backend.open(CollectionId(10), &spec(6)).unwrap().index;
    let mut random = Random(5);
    one.upsert(&[random.point(1, 4)]).unwrap();
    ten.upsert(&[random.point(2, 6), random.point(3, 6)]).unwrap();
    assert_eq!(one.ids(None, 9).unwrap(), [id(1)]);
    assert_eq!(ten.ids(None, 9).unwrap(), [id(2), id(3)]);
    assert_eq!(backend.collections().unwrap(), [ONE, CollectionId(10)]);
    // An open index is handed out again as it is.
    let again = backend.open(ONE, &spec(4)).unwrap();
    assert!(!again.fresh);
    one.upsert(&[random.point(4, 4)]).unwrap();
    assert_eq!(again.index.len().unwrap(), 2);
}

pub(super) fn a_removed_collection_is_gone(setting: &Setting) {
    let directory = tempfile::tempdir().unwrap();
    let backend = (setting.open)(directory.path());
    backend.remove(ONE).unwrap();
    let index = backend.open(ONE, &spec(4)).unwrap().index;
    let mut random = Random(6);
    index.upsert(&[random.point(1, 4)]).unwrap();
    index.flush().unwrap();
    backend.remove(ONE).unwrap();
    assert_eq!(backend.collections().unwrap(), []);
    // Whoever still holds it may get an error, and ends nothing else.
    let _ = index.dense(&[1.0; 4], None, 1, false);
    let _ = index.upsert(&[random.point(2, 4)]);
    drop(index);
    let again = backend.open(ONE, &spec(4)).unwrap();
    assert!(again.fresh);
    assert!(again.index.is_empty().unwrap());
    let mut point = random.point(3, 4);
    point.metadata = Metadata::new();
    again.index.upsert(&[point]).unwrap();
    assert_eq!(ids(&again.index.dense(&[1.0; 4], None, 5, true).unwrap()), [id(3)]);
}

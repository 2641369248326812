//! What is there when a backend is opened again. Nothing to see in one that keeps nothing.

use super::data::{Random, assert_alike, assert_same, id, spec};
use super::{ONE, Setting};
use crate::{ChunkIndex, Condition, ErrorKind, IndexBackend, IndexSpec, MemoryBackend, Precision, Stored};
use elodex_types::SpaceFingerprint;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const DIMENSIONS: usize = 16;

fn oracle() -> Arc<dyn ChunkIndex> {
    MemoryBackend::default().open(ONE, &spec(DIMENSIONS)).unwrap().index
}

pub(super) fn what_is_flushed_stays(setting: &Setting) {
    if !setting.keeps {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let oracle = oracle();
    let mut random = Random(60);
    for round in 0..6 {
        let backend = (setting.open)(directory.path());
        let stored = if round == 0 { Stored::Missing } else { Stored::Whole };
        assert_eq!(backend.verify(ONE).unwrap(), stored);
        let opened = backend.open(ONE, &spec(DIMENSIONS)).unwrap();
        assert_eq!(backend.verify(ONE).unwrap_err().kind(), ErrorKind::Conflict);
        assert_eq!(opened.fresh, round == 0);
        assert_eq!(backend.collections().unwrap(), [ONE]);
        assert_alike(&*opened.index, &*oracle, DIMENSIONS);
        // Attributes and terms are there as well, not only vectors.
        let condition = Condition::AnyOf { attribute: "language".into(), values: vec!["日本".into()] };
        let query = random.terms(5);
        let expected = oracle.lexical(&query, Some(&condition), 2000).unwrap();
        let got = opened.index.lexical(&query, Some(&condition), 2000).unwrap();
        assert_eq!(got.len(), expected.len());
        let points: Vec<_> = (0..300).map(|_| random.any_point(1000, DIMENSIONS)).collect();
        let gone: Vec<_> = (0..50).map(|_| id(random.below(1000) as u64)).collect();
        for each in [&*opened.index, &*oracle] {
            each.upsert(&points).unwrap();
            each.remove(&gone).unwrap();
        }
        // Closing flushes as well.
        if round % 2 == 0 {
            opened.index.flush().unwrap();
        }
        if round % 3 == 0 {
            opened.index.optimise().unwrap();
        }
    }
}

pub(super) fn writes_after_opening_count(setting: &Setting) {
    if !setting.keeps {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let oracle = oracle();
    let mut random = Random(61);
    for _ in 0..5 {
        let backend = (setting.open)(directory.path());
        let index = backend.open(ONE, &spec(DIMENSIONS)).unwrap().index;
        // The same few points again and again: each write must win over those before the opening.
        for _ in 0..20 {
            let points = [random.point(1, DIMENSIONS), random.point(2, DIMENSIONS)];
            index.upsert(&points).unwrap();
            oracle.upsert(&points).unwrap();
        }
        assert_alike(&*index, &*oracle, DIMENSIONS);
        index.remove(&[id(2)]).unwrap();
        oracle.remove(&[id(2)]).unwrap();
        assert_alike(&*index, &*oracle, DIMENSIONS);
    }
}

pub(super) fn another_spec_starts_anew(setting: &Setting) {
    let first = spec(4);
    let others = [
        IndexSpec { catalog: 18, ..first.clone() },
        IndexSpec { fingerprint: SpaceFingerprint::new([8; 32]), ..first.clone() },
        IndexSpec { dimensions: 5, ..first.clone() },
        IndexSpec { precision: Precision::Int8, ..first.clone() },
        IndexSpec { terms: 2, ..first.clone() },
    ];
    for other in others {
        for reopen in [false, true] {
            let directory = tempfile::tempdir().unwrap();
            let mut backend = (setting.open)(directory.path());
            let index = backend.open(ONE, &first).unwrap().index;
            index.upsert(&[Random(62).point(1, 4)]).unwrap();
            index.flush().unwrap();
            drop(index);
            if reopen {
                drop(backend);
                backend = (setting.open)(directory.path());
            }
            let opened = backend.open(ONE, &other).unwrap();
            assert!(opened.fresh, "{other:?}");
            assert_eq!(opened.index.len().unwrap(), 0);
            let point = Random(63).point(1, other.dimensions);
            opened.index.upsert(std::slice::from_ref(&point)).unwrap();
            assert_eq!(opened.index.dense(&point.dense, None, 1, true).unwrap()[0].id, point.id);
        }
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => all.extend(files(&path)),
            false => all.push(path),
        }
    }
    all.sort();
    all
}

/// Every file in turn is deleted, emptied, or cut in half: the index is made anew, or holds what it held.
pub(super) fn torn_files_start_anew(setting: &Setting) {
    if !setting.keeps {
        return;
    }
    let fill = |folder: &Path| {
        let backend = (setting.open)(folder);
        let index = backend.open(ONE, &spec(DIMENSIONS)).unwrap().index;
        let oracle = oracle();
        let mut random = Random(64);
        let points: Vec<_> = (0..60).map(|at| random.point(at, DIMENSIONS)).collect();
        for each in [&*index, &*oracle] {
            each.upsert(&points).unwrap();
        }
        index.flush().unwrap();
        oracle
    };
    let probe = tempfile::tempdir().unwrap();
    fill(probe.path());
    let count = files(probe.path()).len();
    for at in 0..count {
        for kept_part in [None, Some(0.0), Some(0.5)] {
            let directory = tempfile::tempdir().unwrap();
            let oracle = fill(directory.path());
            let all = files(directory.path());
            let Some(path) = all.get(at) else { continue };
            match kept_part {
                None => std::fs::remove_file(path).unwrap(),
                Some(part) => {
                    let file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
                    let length = file.metadata().unwrap().len();
                    file.set_len((length as f64 * part) as u64).unwrap();
                }
            }
            let backend = (setting.open)(directory.path());
            let opened = backend.open(ONE, &spec(DIMENSIONS)).unwrap();
            if opened.fresh {
                assert_eq!(opened.index.len().unwrap(), 0);
            } else {
                assert_alike(&*opened.index, &*oracle, DIMENSIONS);
            }
            let point = Random(65).point(5, DIMENSIONS);
            opened.index.upsert(std::slice::from_ref(&point)).unwrap();
            opened.index.flush().unwrap();
            let found = opened.index.dense(&point.dense, None, 1, true).unwrap();
            oracle.upsert(std::slice::from_ref(&point)).unwrap();
            let expected = oracle.dense(&point.dense, None, 1, true).unwrap();
            assert_same(&found, &expected, 1e-5);
        }
    }
}

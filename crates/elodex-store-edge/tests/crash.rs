//! A process that writes is killed again and again: what it had flushed is there when the index is opened.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use elodex_store::{
    ChunkIndex, CollectionId, IndexBackend, IndexSpec, MemoryIndex, Point, Precision, SparseVector,
};
use elodex_store_edge::{EdgeBackend, EdgeOptions};
use elodex_types::{ChunkId, Metadata, MetadataValue, Revision, SpaceFingerprint};
use std::collections::{HashMap, HashSet};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Names the folder to the process that is killed.
const FOLDER: &str = "ELODEX_CRASH_FOLDER";
const KILLS: u64 = 30;
const DIMENSIONS: usize = 64;
const POINTS: u64 = 1600;
const BATCH: u64 = 60;
/// An optimisation after as many batches.
const OPTIMISED: u64 = 3;

fn mix(number: u64) -> u64 {
    let mixed = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

fn id(at: u64) -> ChunkId {
    ChunkId::new(Revision(at), 0).unwrap()
}

/// What batch `number` writes and removes.
fn batch(number: u64) -> (Vec<Point>, Vec<ChunkId>) {
    let points = (0..BATCH).map(|at| {
        let seed = number * 1000 + at;
        let component = |it: u64| (mix(seed * 100 + it) % 2000) as f32 / 1000.0 - 1.0;
        Point {
            id: id(mix(seed) % POINTS),
            dense: (0..DIMENSIONS as u64).map(component).collect(),
            terms: SparseVector { ids: vec![(seed % 50) as u32], weights: vec![1.0] },
            metadata: Metadata::from([("batch".to_owned(), MetadataValue::Text(number.to_string()))]),
        }
    });
    let gone = (0..BATCH / 3).map(|at| id(mix(number * 1000 + 500 + at) % POINTS));
    (points.collect(), gone.collect())
}

fn apply(index: &dyn ChunkIndex, number: u64) {
    let (points, gone) = batch(number);
    index.upsert(&points).unwrap();
    index.remove(&gone).unwrap();
}

fn open(folder: &Path) -> elodex_store::Opened {
    let spec = IndexSpec {
        catalog: 1,
        fingerprint: SpaceFingerprint::new([1; 32]),
        dimensions: DIMENSIONS,
        precision: Precision::F32,
        terms: 1,
    };
    let options = EdgeOptions { graph_threshold_kb: 100 };
    EdgeBackend::open_with(&folder.join("index"), options).unwrap().open(CollectionId(1), &spec).unwrap()
}

/// Batches that were flushed, by the side file.
fn flushed(folder: &Path) -> u64 {
    let lines = std::fs::read_to_string(folder.join("flushed")).unwrap_or_default();
    // The last line may be cut short by the kill.
    lines.split_inclusive('\n').filter(|line| line.ends_with('\n')).count() as u64
}

fn oracle(batches: u64) -> (MemoryIndex, HashMap<ChunkId, Vec<f32>>) {
    let index = MemoryIndex::new(DIMENSIONS);
    let mut vectors = HashMap::new();
    for number in 0..batches {
        apply(&index, number);
        let (points, gone) = batch(number);
        vectors.extend(points.into_iter().map(|point| (point.id, point.dense)));
        vectors.retain(|id, _| !gone.contains(id));
    }
    (index, vectors)
}

/// Not a test of its own: what the process that is killed runs.
#[test]
fn writes_until_killed() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let folder = Path::new(&folder);
    let done = flushed(folder);
    let opened = open(folder);
    if opened.fresh {
        (0..done).for_each(|number| apply(&*opened.index, number));
        opened.index.flush().unwrap();
    }
    println!("\nready");
    let mut side =
        std::fs::OpenOptions::new().append(true).create(true).open(folder.join("flushed")).unwrap();
    for number in done.. {
        apply(&*opened.index, number);
        opened.index.flush().unwrap();
        side.write_all(format!("{number}\n").as_bytes()).unwrap();
        if number % OPTIMISED == OPTIMISED - 1 {
            opened.index.optimise().unwrap();
        }
    }
}

#[test]
fn what_was_flushed_survives_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let mut made_again = 0;
    for kill in 0..KILLS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["writes_until_killed", "--exact", "--nocapture"])
            .env(FOLDER, folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let ready = lines.map_while(Result::ok).any(|line| line == "ready");
        std::thread::sleep(Duration::from_millis(mix(kill) % 600));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(ready, "the writing process ended early");

        let done = flushed(folder.path());
        let opened = open(folder.path());
        if opened.fresh {
            made_again += 1;
            assert_eq!(opened.index.len().unwrap(), 0);
            // As the catalog would have it done.
            (0..done).for_each(|number| apply(&*opened.index, number));
            opened.index.flush().unwrap();
            continue;
        }
        assert_flushed(&*opened.index, done);
    }
    println!("{} batches, made again {made_again} times of {KILLS}", flushed(folder.path()));
    let done = flushed(folder.path());
    assert!(done > 0, "nothing was written");

    // What comes after all those openings counts as well.
    let index = open(folder.path()).index;
    (done..done + 20).for_each(|number| apply(&*index, number));
    assert_flushed(&*index, done + 20);
}

/// Every batch below `batches` is in the index; the next one may be in part.
fn assert_flushed(index: &dyn ChunkIndex, batches: u64) {
    let (oracle, vectors) = oracle(batches);
    let (points, gone) = batch(batches);
    let under_way: HashSet<ChunkId> = points.iter().map(|point| point.id).chain(gone).collect();
    let settled = |index: &dyn ChunkIndex| -> Vec<ChunkId> {
        let ids = index.ids(None, usize::MAX).unwrap();
        assert_eq!(ids.len() as u64, index.len().unwrap());
        ids.into_iter().filter(|id| !under_way.contains(id)).collect()
    };
    let expected = settled(&oracle);
    assert_eq!(settled(index), expected, "after {batches} batches");
    for id in expected.iter().step_by(7) {
        let best = index.dense(&vectors[id], None, 1, true).unwrap()[0];
        assert!(best.id == *id && best.score > 0.9999, "after {batches} batches {id:?}: {best:?}");
    }
}

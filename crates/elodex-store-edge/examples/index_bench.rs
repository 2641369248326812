//! Measures the index: `cargo run --release -p elodex-store-edge --example index_bench [-- SIZE…]`.
//!
//! Clustered vectors of 384 components. Columns: seconds to write (with a flush for every 1,000 points), milliseconds of
//! an exact search, seconds to optimise, milliseconds of an approximate search (50th and 95th percentile) and its recall
//! among the best 100, KiB on disk and in memory for 1,000 points, milliseconds to open, MiB of the write-ahead log.
#![expect(clippy::unwrap_used, reason = "a benchmark may end where something fails")]

use elodex_store::{ChunkIndex, CollectionId, IndexBackend, IndexSpec, Point, Precision, SparseVector};
use elodex_store_edge::EdgeBackend;
use elodex_types::{ChunkId, Metadata, MetadataValue, Revision, SpaceFingerprint};
use std::path::Path;
use std::time::Instant;

const DIMENSIONS: usize = 384;
const CENTRES: u64 = 500;
const QUERIES: u64 = 200;
const LIMIT: usize = 100;

fn main() {
    let sizes: Vec<u64> = std::env::args().skip(1).map(|size| size.parse().unwrap()).collect();
    let sizes = if sizes.is_empty() { vec![1_000, 10_000, 50_000, 100_000] } else { sizes };
    println!(
        "precision    points  write s  exact ms  optimise s  p50 ms  p95 ms  recall  disk KiB  memory KiB  open ms  log MiB"
    );
    for precision in [Precision::F32, Precision::Int8] {
        for &size in &sizes {
            measure(size, precision);
        }
    }
}

/// A number that looks like chance, in -1 to 1, about normal.
fn noise(seed: u64) -> f32 {
    let uniform = |seed: u64| {
        let mut bits = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((bits ^ (bits >> 31)) >> 40) as f32 / (1 << 24) as f32
    };
    (0..4).map(|at| uniform(seed.wrapping_mul(4) + at)).sum::<f32>() / 2.0 - 1.0
}

fn vector(seed: u64) -> Vec<f32> {
    let centre = seed.wrapping_mul(2_654_435_761) % CENTRES;
    let component = |at: u64| noise(centre * 1000 + at + (1 << 40)) + 0.6 * noise(seed * 1000 + at);
    (0..DIMENSIONS as u64).map(component).collect()
}

fn point(seed: u64) -> Point {
    let terms = (0..20).map(|at| (at * 500 + (seed * 31 + u64::from(at) * 17) as u32 % 500, 1.0));
    let (ids, weights) = terms.unzip();
    Point {
        id: ChunkId::new(Revision(seed), 0).unwrap(),
        dense: vector(seed),
        terms: SparseVector { ids, weights },
        metadata: Metadata::from([("shelf".into(), MetadataValue::Text((seed % 20).to_string()))]),
    }
}

fn measure(size: u64, precision: Precision) {
    let folder = tempfile::tempdir().unwrap();
    let spec = IndexSpec {
        catalog: 1,
        fingerprint: SpaceFingerprint::new([0; 32]),
        dimensions: DIMENSIONS,
        precision,
        terms: 1,
    };
    let before = resident();
    let backend = EdgeBackend::open(folder.path()).unwrap();
    let index = backend.open(CollectionId(1), &spec).unwrap().index;
    let mut writing = 0.0;
    for start in (0..size).step_by(1000) {
        let points: Vec<Point> = (start..(start + 1000).min(size)).map(point).collect();
        let clock = Instant::now();
        index.upsert(&points).unwrap();
        index.flush().unwrap();
        writing += clock.elapsed().as_secs_f64();
    }
    let log = log_bytes(folder.path()) as f64 / 1_048_576.0;
    let (_, exact) = search(&*index, size, true);
    let clock = Instant::now();
    index.optimise().unwrap();
    let optimising = clock.elapsed().as_secs_f64();
    let (truth, _) = search(&*index, size, true);
    let (found, times) = search(&*index, size, false);
    let hits: usize = found
        .iter()
        .zip(&truth)
        .map(|(found, truth)| found.iter().filter(|id| truth.contains(id)).count())
        .sum();
    let recall = hits as f64 / truth.iter().map(Vec::len).sum::<usize>() as f64;
    let disk = index.disk_bytes().unwrap().unwrap_or_default();
    drop(index);
    drop(backend);
    let clock = Instant::now();
    let backend = EdgeBackend::open(folder.path()).unwrap();
    let opened = backend.open(CollectionId(1), &spec).unwrap();
    let opening = 1e3 * clock.elapsed().as_secs_f64();
    assert!(!opened.fresh);
    search(&*opened.index, size, false);
    let memory = resident().saturating_sub(before);
    let each = |bytes: u64| bytes as f64 / 1.024 / size as f64;
    println!(
        "{:<9} {size:>9} {writing:>8.2} {:>9.2} {optimising:>11.2} {:>7.2} {:>7.2} {recall:>7.4} {:>9.0} {:>11.0} {opening:>8.0} {log:>8.0}",
        format!("{precision:?}"),
        exact[exact.len() / 2],
        times[times.len() / 2],
        times[times.len() * 95 / 100],
        each(disk),
        each(memory),
    );
}

/// What was found for each query, and the sorted times in milliseconds.
fn search(index: &dyn ChunkIndex, size: u64, exact: bool) -> (Vec<Vec<ChunkId>>, Vec<f64>) {
    let mut found = Vec::new();
    let mut times = Vec::new();
    for query in 0..QUERIES {
        let query = vector(size + 7 + query);
        let clock = Instant::now();
        let best = index.dense(&query, None, LIMIT, exact).unwrap();
        times.push(1e3 * clock.elapsed().as_secs_f64());
        found.push(best.into_iter().map(|found| found.id).collect());
    }
    times.sort_by(f64::total_cmp);
    (found, times)
}

/// Bytes of this process in memory, those of mapped files included.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes: u64 = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok()).unwrap_or(0);
    kilobytes << 10
}

fn log_bytes(root: &Path) -> u64 {
    let log = root.join("1/shard/wal");
    let entries = std::fs::read_dir(log).unwrap();
    entries.map(|entry| entry.unwrap().metadata().unwrap().len()).sum()
}

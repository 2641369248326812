//! What the index leaves on the disk.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use elodex_store::{
    CollectionId, ErrorKind, IndexBackend, IndexSpec, Point, Precision, SparseVector, Stored,
};
use elodex_store_edge::{EdgeBackend, EdgeOptions};
use elodex_types::{ChunkId, Metadata, Revision, SpaceFingerprint};
use std::path::{Path, PathBuf};

const DIMENSIONS: usize = 64;
const ONE: CollectionId = CollectionId(1);

fn spec(precision: Precision) -> IndexSpec {
    IndexSpec {
        catalog: 1,
        fingerprint: SpaceFingerprint::new([1; 32]),
        dimensions: DIMENSIONS,
        precision,
        terms: 1,
    }
}

fn points(revisions: std::ops::Range<u64>) -> Vec<Point> {
    let point = |revision: u64| Point {
        id: ChunkId::new(Revision(revision), 0).unwrap(),
        dense: (0..DIMENSIONS as u64).map(|at| ((revision * 31 + at * at * 7) % 101) as f32 - 50.0).collect(),
        terms: SparseVector { ids: vec![(revision % 9) as u32], weights: vec![1.0] },
        metadata: Metadata::new(),
    };
    revisions.map(point).collect()
}

fn files(folder: &Path, name_part: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path, name_part));
        } else if path.file_name().is_some_and(|name| name.to_string_lossy().contains(name_part)) {
            found.push(path);
        }
    }
    found
}

#[test]
fn graphs_and_bytes_are_made_beyond_the_threshold() {
    for precision in [Precision::F32, Precision::Int8] {
        let folder = tempfile::tempdir().unwrap();
        let options = EdgeOptions { graph_threshold_kb: 500 };
        let index = EdgeBackend::open_with(folder.path(), options)
            .unwrap()
            .open(ONE, &spec(precision))
            .unwrap()
            .index;
        // 250 kB, then 750.
        index.upsert(&points(0..1000)).unwrap();
        assert!(!index.optimise().unwrap());
        assert!(files(folder.path(), "graph").is_empty());
        index.upsert(&points(1000..3000)).unwrap();
        assert!(index.optimise().unwrap());
        assert!(!files(folder.path(), "graph").is_empty());
        assert_eq!(files(folder.path(), "quantized").is_empty(), precision == Precision::F32);
        assert!(!index.optimise().unwrap());
    }
}

#[test]
fn many_short_vectors_are_optimised_before_they_take_much_room() {
    let folder = tempfile::tempdir().unwrap();
    let index = EdgeBackend::open(folder.path()).unwrap().open(ONE, &spec(Precision::F32)).unwrap().index;
    index.upsert(&points(0..12_000)).unwrap();
    assert!(!index.optimise().unwrap());
    // 3,500 kB
    index.upsert(&points(12_000..14_000)).unwrap();
    assert!(index.optimise().unwrap());
    assert!(!index.optimise().unwrap());
}

#[test]
fn an_empty_index_is_small() {
    let folder = tempfile::tempdir().unwrap();
    let backend = EdgeBackend::open(folder.path()).unwrap();
    let index = backend.open(ONE, &spec(Precision::F32)).unwrap().index;
    let bytes = index.disk_bytes().unwrap().unwrap();
    assert!(bytes < 6 << 20, "{bytes} bytes");
}

#[test]
fn the_log_is_cut() {
    let folder = tempfile::tempdir().unwrap();
    let options = EdgeOptions { graph_threshold_kb: 500 };
    let backend = EdgeBackend::open_with(folder.path(), options).unwrap();
    let index = backend.open(ONE, &spec(Precision::F32)).unwrap().index;
    for _ in 0..10 {
        index.upsert(&points(0..6000)).unwrap();
    }
    let closed = files(folder.path(), "closed-").len();
    assert!(closed > 1, "the log should have several closed segments, it has {closed}");
    index.optimise().unwrap();
    assert!(files(folder.path(), "closed-").len() <= 1);
    // Numbers go on where the log was cut: later writes count.
    index.remove(&[points(5..6)[0].id]).unwrap();
    assert_eq!(index.len().unwrap(), 5999);
    index.upsert(&points(5..6)).unwrap();
    assert_eq!(index.len().unwrap(), 6000);
}

#[test]
fn a_second_process_is_kept_out() {
    let folder = tempfile::tempdir().unwrap();
    let first = EdgeBackend::open(folder.path()).unwrap();
    assert_eq!(EdgeBackend::open(folder.path()).unwrap_err().kind(), ErrorKind::Locked);
    let index = first.open(ONE, &spec(Precision::F32)).unwrap().index;
    drop(first);
    assert_eq!(EdgeBackend::open(folder.path()).unwrap_err().kind(), ErrorKind::Locked);
    drop(index);
    EdgeBackend::open(folder.path()).unwrap();
}

/// Changes one byte in the middle of a file.
fn damage(path: &Path) {
    let mut bytes = std::fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn a_changed_byte_in_any_file_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let options = EdgeOptions { graph_threshold_kb: 500 };
    let backend = || EdgeBackend::open_with(folder.path(), options).unwrap();
    let spec = spec(Precision::Int8);
    let index = backend().open(ONE, &spec).unwrap().index;
    index.upsert(&points(0..3000)).unwrap();
    assert!(index.optimise().unwrap());
    drop(index);
    assert_eq!(backend().verify(ONE).unwrap(), Stored::Whole);
    let whole = files(&folder.path().join("1/shard"), "");
    for kind in ["graph", "quantized", "vectors", "wal"] {
        assert!(whole.iter().any(|path| path.to_string_lossy().contains(kind)), "{kind} in {whole:?}");
    }
    for path in whole.into_iter().filter(|path| std::fs::metadata(path).unwrap().len() > 0) {
        let (bytes, modified) =
            (std::fs::read(&path).unwrap(), std::fs::metadata(&path).unwrap().modified().unwrap());
        damage(&path);
        let Stored::Damaged(what) = backend().verify(ONE).unwrap() else { panic!("{}", path.display()) };
        let name = path.strip_prefix(folder.path().join("1/shard")).unwrap().display().to_string();
        assert!(what.contains(&name) && what.contains("is made again from the catalog"), "{what}");
        std::fs::write(&path, bytes).unwrap();
        std::fs::File::options().write(true).open(&path).unwrap().set_modified(modified).unwrap();
    }
    assert!(!backend().open(ONE, &spec).unwrap().fresh);
}

#[test]
fn changed_bytes_are_not_searched_after_a_start() {
    let folder = tempfile::tempdir().unwrap();
    let open = || EdgeBackend::open(folder.path()).unwrap().open(ONE, &spec(Precision::F32)).unwrap();
    open().index.upsert(&points(0..100)).unwrap();
    assert!(!open().fresh);
    let vectors = files(&folder.path().join("1/shard"), "chunk_0.mmap").remove(0);
    // A copy of the same bytes has another time and is as good.
    let bytes = std::fs::read(&vectors).unwrap();
    std::fs::write(&vectors, &bytes).unwrap();
    assert!(!open().fresh);
    damage(&vectors);
    assert!(open().fresh);
}

#[test]
fn what_was_not_closed_is_no_damage() {
    let folder = tempfile::tempdir().unwrap();
    let backend = || EdgeBackend::open(folder.path()).unwrap();
    let opened = backend().open(ONE, &spec(Precision::F32)).unwrap();
    opened.index.upsert(&points(0..10)).unwrap();
    drop(opened);
    std::fs::write(folder.path().join("1/unflushed"), "a boot").unwrap();
    assert_eq!(backend().verify(ONE).unwrap(), Stored::Unclosed);
    assert_eq!(backend().verify(CollectionId(2)).unwrap(), Stored::Missing);
}

#[test]
fn a_kill_before_the_list_of_files_is_written_is_no_damage() {
    let folder = tempfile::tempdir().unwrap();
    let backend = || EdgeBackend::open(folder.path()).unwrap();
    let index = backend().open(ONE, &spec(Precision::F32)).unwrap().index;
    index.upsert(&points(0..10)).unwrap();
    index.flush().unwrap();
    // Nothing is written from here on, and lists cannot be: as if killed before that, by a flush or at the end.
    let list = folder.path().join("1/flushed.new");
    std::fs::create_dir(&list).unwrap();
    assert!(index.flush().is_err());
    drop(index);
    std::fs::remove_dir(&list).unwrap();
    assert_eq!(backend().verify(ONE).unwrap(), Stored::Unclosed);

    let opened = backend().open(ONE, &spec(Precision::F32)).unwrap();
    assert!(!opened.fresh);
    opened.index.flush().unwrap();
    std::fs::create_dir(&list).unwrap();
    drop(opened);
    std::fs::remove_dir(&list).unwrap();
    assert_eq!(backend().verify(ONE).unwrap(), Stored::Unclosed);
    assert!(!backend().open(ONE, &spec(Precision::F32)).unwrap().fresh);
}

#[test]
fn writes_of_another_boot_are_not_trusted() {
    let folder = tempfile::tempdir().unwrap();
    let open = || EdgeBackend::open(folder.path()).unwrap().open(ONE, &spec(Precision::F32)).unwrap();
    let opened = open();
    opened.index.upsert(&points(0..10)).unwrap();
    drop(opened);
    assert!(!open().fresh);
    std::fs::write(folder.path().join("1/unflushed"), "another boot").unwrap();
    assert!(open().fresh);
    assert!(!open().fresh);
}

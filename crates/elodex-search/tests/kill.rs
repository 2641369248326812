//! SIGKILL at random moments: what was acknowledged is there exactly once, with the index that production uses.
//!
//! The test starts itself as a second process that adds, overwrites and deletes documents and says on its standard
//! output what it is about to do and when that is acknowledged; kills it; opens what it left; and compares. By default
//! 25 times, or as often as `ELODEX_KILL_ROUNDS` says.
#![expect(clippy::unwrap_used, reason = "a test may end by panic")]

mod common;

use common::{OneModel, long_text, named, text};
use elodex_search::{ErrorKind, SearchEngine, SearchOptions};
use elodex_store::{
    Catalog, CatalogOptions, ChunkIndex, CollectionId, IndexBackend, IndexSpec, Opened, RedbCatalog, Stored,
};
use elodex_store_edge::EdgeBackend;
use elodex_types::{ChunkId, Content, IndexStatus};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Where the second process works, and what its random numbers begin with.
const FOLDER: &str = "ELODEX_KILL_FOLDER";
const SEED: &str = "ELODEX_KILL_SEED";

const COLLECTION: &str = "killed";
const PATHS: u64 = 40;

/// A backend that remembers the indexes it opened.
#[derive(Debug)]
struct Remembering {
    inner: EdgeBackend,
    opened: Mutex<Vec<Arc<dyn ChunkIndex>>>,
}

impl IndexBackend for Remembering {
    fn open(&self, collection: CollectionId, spec: &IndexSpec) -> elodex_store::Result<Opened> {
        let opened = self.inner.open(collection, spec)?;
        self.opened.lock().unwrap().push(Arc::clone(&opened.index));
        Ok(opened)
    }

    fn remove(&self, collection: CollectionId) -> elodex_store::Result<()> {
        self.inner.remove(collection)
    }

    fn collections(&self) -> elodex_store::Result<Vec<CollectionId>> {
        self.inner.collections()
    }

    fn verify(&self, collection: CollectionId) -> elodex_store::Result<Stored> {
        self.inner.verify(collection)
    }
}

/// An engine on a folder, and what the checks look at.
struct Opening {
    engine: SearchEngine,
    catalog: Arc<RedbCatalog>,
    backend: Arc<Remembering>,
}

fn open(folder: &Path, model: Arc<OneModel>) -> Opening {
    let catalog = Arc::new(RedbCatalog::open(folder, &CatalogOptions::default()).unwrap());
    let inner = EdgeBackend::open(&folder.join("indexes")).unwrap();
    for collection in inner.collections().unwrap() {
        let stored = inner.verify(collection).unwrap();
        assert!(!matches!(stored, Stored::Damaged(_)), "what a kill leaves is no damage: {stored:?}");
    }
    let backend = Arc::new(Remembering { inner, opened: Mutex::default() });
    let options = SearchOptions {
        flush_interval: Duration::from_millis(100),
        optimise_after: 200,
        ..SearchOptions::default()
    };
    let engine = SearchEngine::open(
        Arc::clone(&catalog) as Arc<dyn Catalog>,
        Arc::clone(&backend) as Arc<dyn IndexBackend>,
        model,
        options,
    );
    Opening { engine: engine.unwrap(), catalog, backend }
}

/// Numbers that look random (xorshift, Marsaglia 2003).
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

/// The text of a seed: from a sentence to several chunks.
fn content(seed: u64) -> String {
    format!("seed {seed}\n\n{}", long_text(seed as usize, 1 + (seed % 4) as usize))
}

/// The second process.
#[test]
#[ignore = "the other half of the test that kills it"]
fn adds_until_it_is_killed() {
    let (Ok(folder), Ok(seed)) = (std::env::var(FOLDER), std::env::var(SEED)) else { return };
    let Opening { engine, .. } = open(Path::new(&folder), Arc::new(OneModel::golden("bert_minilm")));
    let mut random = Random(seed.parse().unwrap());
    match engine.create_collection(&named(COLLECTION)) {
        Err(error) if error.kind() != ErrorKind::Conflict => panic!("{error:?}"),
        _ => {}
    }
    println!("> ready");
    loop {
        let path = |random: &mut Random| format!("p{:02}", random.below(PATHS));
        match random.below(100) {
            0..3 => {
                let time = Duration::from_millis(500);
                engine.wait_until_indexed(COLLECTION, Some(time), &mut |_| ()).unwrap();
            }
            3..20 => {
                let path = path(&mut random);
                println!("> delete {path}");
                match engine.delete(COLLECTION, &[path]) {
                    Err(error) if error.kind() != ErrorKind::NotFound => panic!("{error:?}"),
                    _ => println!("> done"),
                }
            }
            _ => {
                let mut changes: BTreeMap<String, u64> = BTreeMap::new();
                for _ in 0..=random.below(3) {
                    changes.insert(path(&mut random), random.below(1 << 30));
                }
                let words: Vec<String> =
                    changes.iter().map(|(path, seed)| format!("{path} {seed}")).collect();
                println!("> add {}", words.join(" "));
                let documents = changes.iter().map(|(path, seed)| text(path, &content(*seed))).collect();
                engine.add(COLLECTION, documents, true).unwrap();
                println!("> done");
            }
        }
    }
}

/// What each path holds: the seed of its text.
type Contents = BTreeMap<String, u64>;

fn apply(contents: &mut Contents, order: &str) {
    let mut words = order.split(' ');
    match words.next() {
        Some("delete") => {
            contents.remove(words.next().unwrap());
        }
        Some("add") => {
            while let (Some(path), Some(seed)) = (words.next(), words.next()) {
                contents.insert(path.to_owned(), seed.parse().unwrap());
            }
        }
        other => panic!("{other:?}"),
    }
}

/// Starts the second process, kills it at a random moment, and returns what it was about to do.
fn kill_one(folder: &Path, random: &mut Random, acknowledged: &mut Contents) -> Option<String> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "adds_until_it_is_killed", "--ignored", "--nocapture", "--test-threads=1"])
        .env(FOLDER, folder)
        .env(SEED, (random.below(1 << 40) + 1).to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut under_way: Option<String> = None;
    let mut take = |line: std::io::Result<String>| {
        let line = line.unwrap();
        match line.strip_prefix("> ") {
            Some("done") => apply(acknowledged, &under_way.take().unwrap()),
            Some("ready") | None => {}
            Some(order) => under_way = Some(order.to_owned()),
        }
    };
    // Some are killed while they start, most while they work.
    let orders = if random.below(5) == 0 { 0 } else { 1 + random.below(150) };
    for line in lines.by_ref().take(orders as usize) {
        take(line);
    }
    std::thread::sleep(Duration::from_millis(random.below(if orders == 0 { 400 } else { 40 })));
    child.kill().unwrap();
    let status = child.wait().unwrap();
    assert_eq!(status.code(), None, "it ended by itself");
    lines.for_each(take);
    under_way
}

/// What the catalog says each path holds.
fn found(catalog: &RedbCatalog, collection: CollectionId) -> Contents {
    let view = catalog.view().unwrap();
    let documents = view.documents(collection, "", None, usize::MAX).unwrap();
    documents
        .into_iter()
        .map(|document| {
            let Content::Text(words) = view.content(&document).unwrap() else { panic!("not a text") };
            let seed = words.split_whitespace().nth(1).unwrap().parse().unwrap();
            assert_eq!(words, content(seed), "a torn content");
            (document.path, seed)
        })
        .collect()
}

/// Compares what a killed process left with what it had acknowledged, finishes its work, and compares the index.
fn check(folder: &Path, model: &Arc<OneModel>, acknowledged: &mut Contents, under_way: Option<&str>) {
    let Opening { engine, catalog, backend } = open(folder, Arc::clone(model));
    let collection = catalog.view().unwrap().collection(COLLECTION);
    let Ok(collection) = collection else {
        assert!(acknowledged.is_empty(), "the collection is lost");
        return;
    };
    let found = found(&catalog, collection.id);
    if found != *acknowledged {
        let order = under_way.unwrap_or_else(|| panic!("{acknowledged:?} became {found:?}"));
        apply(acknowledged, order);
        assert_eq!(found, *acknowledged, "after `{order}`, all or nothing");
    }
    let time = Some(Duration::from_secs(300));
    assert!(engine.wait_until_indexed(COLLECTION, time, &mut |_| ()).unwrap(), "stuck");

    let view = catalog.view().unwrap();
    let mut live: Vec<ChunkId> = Vec::new();
    for document in view.documents(collection.id, "", None, usize::MAX).unwrap() {
        assert_eq!((document.status, document.live), (IndexStatus::Indexed, true), "{:?}", document.failure);
        assert_eq!(view.text(&document, 0..usize::MAX).unwrap(), content(acknowledged[&document.path]));
        let chunks = document.parsed.map_or(0, |parsed| parsed.chunks);
        live.extend((0..chunks).filter_map(|ordinal| ChunkId::new(document.revision, ordinal)));
    }
    live.sort_unstable();
    drop(view);
    // An index that does not agree with the catalog after a kill is made anew: the last one opened is in use.
    let index = Arc::clone(backend.opened.lock().unwrap().last().unwrap());
    assert_eq!(index.ids(None, usize::MAX).unwrap(), live, "index and catalog differ");
    assert_eq!(index.len().unwrap(), live.len() as u64);
    engine.shutdown();
}

#[test]
fn what_was_acknowledged_survives_kills() {
    let rounds: u64 = std::env::var("ELODEX_KILL_ROUNDS").map_or(25, |rounds| rounds.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let model = Arc::new(OneModel::golden("bert_minilm"));
    let mut random = Random(0x00C0_FFEE);
    let mut acknowledged = Contents::new();
    for round in 0..rounds {
        let under_way = kill_one(folder.path(), &mut random, &mut acknowledged);
        check(folder.path(), &model, &mut acknowledged, under_way.as_deref());
        println!("round {round}: {} documents, under way: {under_way:?}", acknowledged.len());
    }
}

//! Puts many tiny documents into a catalog, ingests them, and prints how fast each step goes at the beginning and at the
//! end: `cargo run --release -p elodex-store --example catalog_load -- DIRECTORY [DOCUMENTS]`.

use elodex_store::{
    Accepted, Catalog, Chunk, Chunking, CollectionSettings, Parsed, ParsedInfo, Passage, Precision, Space,
    VectorSlice,
};
use elodex_store::{CatalogOptions, RedbCatalog};
use elodex_types::{
    ChunkId, Content, IndexStatus, MetadataValue, NewDocument, Revision, SpaceFingerprint, Weights,
};
use std::error::Error;
use std::path::Path;
use std::time::{Duration, Instant};

const BATCH: usize = 1_000;
const WIDTH: usize = 384;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let directory = arguments.next().ok_or("name a directory to make the catalog in")?;
    let documents: usize = arguments.next().map_or(Ok(100_000), |number| number.parse())?;
    let catalog = RedbCatalog::open(Path::new(&directory), &CatalogOptions::default())?;
    let settings = CollectionSettings {
        space: Space { model: "m".into(), fingerprint: SpaceFingerprint::new([0; 32]), dimensions: WIDTH },
        chunking: Chunking { tokens: 256, overlap: 0, passage_chars: 200, whole: false },
        language: None,
        precision: Precision::F32,
        weights: Weights::default(),
        policy: None,
    };
    let collection = catalog.create_collection("load", settings)?.id;

    let mut put = Vec::new();
    for batch in 0..documents.div_ceil(BATCH) {
        let new = (0..BATCH).map(|at| document(batch * BATCH + at)).collect();
        let start = Instant::now();
        let accepted = catalog.put(collection, new, false)?;
        put.push(start.elapsed());
        assert!(accepted.iter().all(|accepted| matches!(accepted, Accepted::Created(_))));
    }
    report("put", &put);

    let mut steps: [Vec<Duration>; 5] = Default::default();
    let mut published = Vec::new();
    loop {
        let mut timed = |step: usize, start: Instant| steps[step].push(start.elapsed());
        let start = Instant::now();
        let pending = catalog.view()?.pending(None, BATCH)?;
        timed(0, start);
        if pending.is_empty() {
            break;
        }
        let revisions: Vec<Revision> = pending.iter().map(|document| document.revision).collect();
        let start = Instant::now();
        catalog.begin(&revisions, IndexStatus::Parsing)?;
        timed(1, start);
        let parsed = revisions.iter().map(|of| (*of, parsed())).collect();
        let start = Instant::now();
        catalog.store_parsed(parsed)?;
        timed(2, start);
        let slice = |of: &Revision| VectorSlice { revision: *of, first: 0, vectors: vec![0.25; WIDTH] };
        let vectors = revisions.iter().map(slice).collect();
        let start = Instant::now();
        catalog.store_vectors(vectors)?;
        timed(3, start);
        let start = Instant::now();
        catalog.publish(&revisions)?;
        timed(4, start);
        published.extend(revisions);
    }
    for (name, step) in ["pending", "begin", "store_parsed", "store_vectors", "publish"].iter().zip(&steps) {
        report(name, step);
    }

    let start = Instant::now();
    let single = 200;
    for at in 0..single {
        catalog.put(collection, vec![document(documents + at)], false)?;
    }
    println!("single puts, one caller: {:.0}/s", single as f64 / start.elapsed().as_secs_f64());
    let start = Instant::now();
    std::thread::scope(|scope| {
        for caller in 0..16 {
            let catalog = &catalog;
            scope.spawn(move || {
                for at in 0..50 {
                    let number = documents * 2 + caller * 1_000 + at;
                    if let Err(error) = catalog.put(collection, vec![document(number)], false) {
                        eprintln!("{}", error.report());
                    }
                }
            });
        }
    });
    println!("single puts, 16 callers: {:.0}/s", 800.0 / start.elapsed().as_secs_f64());

    let view = catalog.view()?;
    let ids: Vec<ChunkId> = published
        .iter()
        .step_by((published.len() / 200).max(1))
        .filter_map(|of| ChunkId::new(*of, 0))
        .take(200)
        .collect();
    let start = Instant::now();
    let found = view.live_chunks(collection, &ids)?.len();
    let cold = start.elapsed();
    let start = Instant::now();
    view.live_chunks(collection, &ids)?;
    println!("live_chunks of {found} documents: {cold:?}, again {:?}", start.elapsed());
    drop(view);
    let bytes = std::fs::metadata(Path::new(&directory).join("catalog.redb"))?.len();
    println!("file: {:.0} bytes a document", bytes as f64 / documents as f64);
    // As if killed: what opening costs then.
    std::mem::forget(catalog);
    Ok(())
}

fn document(number: usize) -> NewDocument {
    let metadata = [("lang".to_owned(), MetadataValue::Text(format!("l{}", number % 20)))].into();
    let content =
        Content::Text(format!("Document {number} says that {number} is a number. {}", "Words. ".repeat(30)));
    NewDocument { path: format!("folder/{:03}/{number:09}.txt", number % 1_000), metadata, content }
}

fn parsed() -> Parsed {
    let text = "Words. ".repeat(35);
    let half = text.len() / 2;
    let passage = |from, to| Passage { bytes: from..to, chars: from..to };
    let chunk = Chunk {
        bytes: 0..text.len(),
        chars: 0..text.len(),
        pages: None,
        headings: Vec::new(),
        passages: vec![passage(0, half), passage(half, text.len())],
    };
    let info = ParsedInfo {
        title: None,
        language: Some("en".into()),
        media_type: "text/plain".into(),
        pages: None,
        text_bytes: text.len() as u64,
        chunks: 1,
        terms: 35,
    };
    Parsed { info, text, pages: Vec::new(), chunks: vec![chunk] }
}

fn report(name: &str, batches: &[Duration]) {
    let tenth = (batches.len() / 10).max(1);
    let rate = |batches: &[Duration]| {
        (batches.len() * BATCH) as f64 / batches.iter().sum::<Duration>().as_secs_f64().max(1e-9)
    };
    println!(
        "{name}: {:.0} documents/s; first tenth {:.0}, last tenth {:.0}",
        rate(batches),
        rate(&batches[..tenth]),
        rate(&batches[batches.len() - tenth..])
    );
}

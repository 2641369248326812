//! What many tiny documents and one large one cost: time, memory and disk, with the index of production and a tiny
//! embedder, so that everything but the embedding is seen.
//!
//! `cargo run --release --workspace --example hardship -- DIRECTORY many [DOCUMENTS]` or `… DIRECTORY large [MEGABYTES]`.
//! The directory must be empty; what is written there stays.

use elodex_engine::{EmbedService, EngineLimits, RerankService, Runtime};
use elodex_kernels::Kernels;
use elodex_models::Embedder;
use elodex_models::files::ModelFiles;
use elodex_search::{Error, ErrorKind, Models, Progress, SearchEngine, SearchOptions};
use elodex_store::{CatalogOptions, RedbCatalog};
use elodex_store_edge::EdgeBackend;
use elodex_types::{Content, CreateCollection, Metadata, MetadataValue, NewDocument};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

type AnyError = Box<dyn std::error::Error>;

/// Documents of one call.
const BATCH: usize = 500;

/// Documents between two lines of the report.
const REPORTED: u64 = 50_000;

const COLLECTION: &str = "hardship";

#[derive(Debug)]
struct OneModel(EmbedService);

impl Models for OneModel {
    fn embedder(&self, _: Option<&str>) -> elodex_search::Result<(String, EmbedService)> {
        Ok(("tiny".into(), self.0.clone()))
    }

    fn reranker(&self, _: Option<&str>) -> elodex_search::Result<(String, RerankService)> {
        Err(Error::new(ErrorKind::NotFound, "there is no reranker"))
    }
}

fn main() -> Result<(), AnyError> {
    let mut arguments = std::env::args().skip(1);
    let directory = arguments.next().ok_or("name a directory")?;
    let what = arguments.next().ok_or("say `many` or `large`")?;
    let number = arguments.next().map(|number| number.parse::<usize>()).transpose()?;
    let directory = Path::new(&directory);
    let engine = open(directory)?;
    let collection = CreateCollection { name: COLLECTION.into(), ..CreateCollection::default() };
    engine.create_collection(&collection)?;
    println!("open: {}", memory()?);
    match what.as_str() {
        "many" => many(&engine, number.unwrap_or(1_000_000))?,
        "large" => large(&engine, number.unwrap_or(50))?,
        other => return Err(format!("`{other}` is neither `many` nor `large`").into()),
    }
    let counts = engine.status(Some(COLLECTION))?;
    println!("{counts:?}");
    let bytes = disk_bytes(directory)?;
    let per = bytes as f64 / counts.num_documents as f64;
    println!("on disk: {:.0} MB, {:.2} MB per 1,000 documents", bytes as f64 / 1e6, per * 1_000.0 / 1e6);
    engine.shutdown();
    drop(engine);
    let start = Instant::now();
    let engine = open(directory)?;
    println!("opened again in {:.1} s: {}", start.elapsed().as_secs_f64(), memory()?);
    engine.shutdown();
    Ok(())
}

fn open(directory: &Path) -> Result<SearchEngine, AnyError> {
    let threads = std::thread::available_parallelism()?.get();
    let runtime = Arc::new(Runtime::new(threads, Kernels::detect())?);
    let files = ModelFiles::open(&elodex_testkit::golden_dir("bert_minilm").join("model"))?;
    let embedder = Embedder::load(&files, runtime.kernels())?;
    // A cache would be seen in the memory.
    let limits = EngineLimits { cache_bytes: 0, ..EngineLimits::default() };
    let service = EmbedService::start(embedder, runtime, limits)?;
    let catalog = Arc::new(RedbCatalog::open(directory, &CatalogOptions::default())?);
    let indexes = Arc::new(EdgeBackend::open(&directory.join("indexes"))?);
    Ok(SearchEngine::open(catalog, indexes, Arc::new(OneModel(service)), SearchOptions::default())?)
}

fn many(engine: &SearchEngine, documents: usize) -> Result<(), AnyError> {
    let start = Instant::now();
    for first in (0..documents).step_by(BATCH) {
        let end = documents.min(first + BATCH);
        engine.add(COLLECTION, (first..end).map(tiny).collect(), false)?;
        if (end as u64).is_multiple_of(REPORTED) {
            let indexed = engine.status(Some(COLLECTION))?.num_indexed_documents;
            report("accepted", end as u64, start)?;
            println!("    {indexed} of them indexed");
        }
    }
    let mut next = 0;
    let mut trouble = None;
    engine.wait_until_indexed(COLLECTION, None, &mut |progress: Progress| {
        if progress.indexed >= next {
            next = progress.indexed - progress.indexed % REPORTED + REPORTED;
            trouble = report("indexed", progress.indexed, start).err();
        }
    })?;
    trouble.map_or(Ok(()), Err)?;
    report("indexed", documents as u64, start)
}

fn large(engine: &SearchEngine, megabytes: usize) -> Result<(), AnyError> {
    let text = long_text(megabytes << 20);
    println!("with the text: {}", memory()?);
    let start = Instant::now();
    let content = Content::Text(text);
    engine.add(
        COLLECTION,
        vec![NewDocument { path: "large".into(), metadata: Metadata::new(), content }],
        false,
    )?;
    println!("accepted after {:.1} s: {}", start.elapsed().as_secs_f64(), memory()?);
    let mut next = 0;
    let mut trouble = None;
    engine.wait_until_indexed(COLLECTION, None, &mut |progress: Progress| {
        if progress.chunks >= next {
            next = progress.chunks - progress.chunks % REPORTED + REPORTED;
            trouble = report("embedded chunks", progress.chunks, start).err();
        }
    })?;
    trouble.map_or(Ok(()), Err)?;
    println!("indexed after {:.1} s: {}", start.elapsed().as_secs_f64(), memory()?);
    Ok(())
}

fn report(what: &str, count: u64, start: Instant) -> Result<(), AnyError> {
    let seconds = start.elapsed().as_secs_f64();
    println!("{what} {count} after {seconds:.1} s, {:.0}/s: {}", count as f64 / seconds, memory()?);
    Ok(())
}

/// A document of one sentence.
fn tiny(number: usize) -> NewDocument {
    let text = format!("Lamp {number} of street {} burns {} hours.", number % 977, number % 24);
    let metadata = [("street".to_owned(), MetadataValue::Text(format!("s{}", number % 977)))].into();
    NewDocument {
        path: format!("{:03}/{number}.txt", number % 1_000),
        metadata,
        content: Content::Text(text),
    }
}

fn long_text(bytes: usize) -> String {
    let mut text = String::with_capacity(bytes + 128);
    let mut number = 0;
    while text.len() < bytes {
        number += 1;
        text +=
            &format!("In year {} the keeper of house {number} counted {} ships.", number % 2_000, number % 7);
        text += if number % 6 == 0 { "\n\n" } else { " " };
    }
    text
}

/// Resident memory: now, of that not backed by files, and the most there was.
fn memory() -> Result<String, AnyError> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let of = |name: &str| -> u64 {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let kilobytes = line.and_then(|line| line.trim_matches([':', '\t', ' ']).split(' ').next());
        kilobytes.and_then(|number| number.trim().parse::<u64>().ok()).unwrap_or(0) >> 10
    };
    Ok(format!("{} MiB resident, {} of it anonymous, {} at most", of("VmRSS"), of("RssAnon"), of("VmHWM")))
}

fn disk_bytes(directory: &Path) -> Result<u64, AnyError> {
    use std::os::unix::fs::MetadataExt;
    let mut bytes = 0;
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        // Blocks, for files with holes.
        bytes += match metadata.is_dir() {
            true => disk_bytes(&entry.path())?,
            false => metadata.blocks() * 512,
        };
    }
    Ok(bytes)
}

//! How much of the embedder's own throughput ingestion reaches: the same chunks embedded directly and ingested.
//!
//! `cargo run --release -p elodex-search --example ingest_rate -- MODEL_DIR [DOCUMENTS] [PARAGRAPHS]`

use elodex_engine::{EmbedService, EngineLimits, RerankService, Runtime};
use elodex_kernels::Kernels;
use elodex_models::Embedder;
use elodex_models::files::ModelFiles;
use elodex_search::{Error, ErrorKind, Models, SearchEngine, SearchOptions};
use elodex_store::{Catalog, CatalogOptions, MemoryBackend, RedbCatalog};
use elodex_types::{
    CallContext, Content, CreateCollection, EmbedRequest, Latency, Metadata, NewDocument, Role,
    TruncationPolicy,
};
use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

type AnyError = Box<dyn std::error::Error>;

#[derive(Debug)]
struct OneModel(EmbedService);

impl Models for OneModel {
    fn embedder(&self, _: Option<&str>) -> elodex_search::Result<(String, EmbedService)> {
        Ok(("model".into(), self.0.clone()))
    }

    fn reranker(&self, _: Option<&str>) -> elodex_search::Result<(String, RerankService)> {
        Err(Error::new(ErrorKind::NotFound, "there is no reranker"))
    }
}

fn main() -> Result<(), AnyError> {
    let mut arguments = std::env::args().skip(1);
    let model = arguments.next().ok_or("name a model directory")?;
    let mut number = |otherwise| arguments.next().map_or(Ok(otherwise), |given| given.parse::<usize>());
    let (documents, paragraphs) = (number(400)?, number(4)?);
    let threads = std::thread::available_parallelism()?.get();
    let runtime = Arc::new(Runtime::new(threads, Kernels::detect())?);
    let embedder = Embedder::load(&ModelFiles::open(Path::new(&model))?, runtime.kernels())?;
    // No cache: both runs have to compute everything.
    let limits = EngineLimits { cache_bytes: 0, ..EngineLimits::default() };
    let service = EmbedService::start(embedder, runtime, limits)?;

    let folder = tempfile::tempdir()?;
    let catalog = Arc::new(RedbCatalog::open(folder.path(), &CatalogOptions::default())?);
    let engine = SearchEngine::open(
        Arc::clone(&catalog) as Arc<dyn Catalog>,
        Arc::new(MemoryBackend::default()),
        Arc::new(OneModel(service.clone())),
        SearchOptions::default(),
    )?;
    let name = "rate";
    engine.create_collection(&CreateCollection { name: name.into(), ..CreateCollection::default() })?;
    let before = service.stats().tokens;
    let start = Instant::now();
    for first in (0..documents).step_by(100) {
        let batch = (first..documents.min(first + 100)).map(|number| document(number, paragraphs));
        engine.add(name, batch.collect(), false)?;
    }
    engine.wait_until_indexed(name, None, &mut |_| ())?;
    let ingested = rate(&service, before, start);

    let before = service.stats().tokens;
    let start = Instant::now();
    directly(&service, &*catalog, name)?;
    let direct = rate(&service, before, start);
    println!(
        "ingested {ingested:.0} tokens/s, embedded {direct:.0} tokens/s: {:.1} %",
        100.0 * ingested / direct
    );
    Ok(())
}

/// Tokens per second since `start`.
fn rate(service: &EmbedService, before: u64, start: Instant) -> f64 {
    (service.stats().tokens - before) as f64 / start.elapsed().as_secs_f64()
}

/// Embeds every chunk of a collection as a bulk client would.
fn directly(service: &EmbedService, catalog: &dyn Catalog, collection: &str) -> Result<(), AnyError> {
    let view = catalog.view()?;
    let collection = view.collection(collection)?;
    let mut texts = Vec::new();
    for document in view.live_documents(collection.id, None, usize::MAX)? {
        let count = document.parsed.as_ref().map_or(0, |parsed| parsed.chunks);
        for chunk in view.chunks(&document, 0..count)? {
            texts.push(view.text(&document, chunk.bytes)?);
        }
    }
    drop(view);
    let mut under_way = VecDeque::new();
    for texts in texts.chunks(64) {
        let request = EmbedRequest {
            model: String::new(),
            role: Some(Role::Document),
            inputs: texts.to_vec(),
            dimensions: None,
            truncation: Some(TruncationPolicy::Truncate),
            latency: Latency::Slow,
        };
        under_way.push_back(service.submit(request, CallContext { key: "bulk".into(), deadline: None })?);
        if under_way.len() == 4
            && let Some(oldest) = under_way.pop_front()
        {
            oldest.wait()?;
        }
    }
    for pending in under_way {
        pending.wait()?;
    }
    Ok(())
}

/// A document whose words are its own.
fn document(number: usize, paragraphs: usize) -> NewDocument {
    let sentence = |index: usize| {
        format!(
            "In year {} the keeper of house {number} counted {index} ships and {} lamps.",
            1000 + index,
            number * index
        )
    };
    let paragraph =
        |index: usize| (0..6).map(|line| sentence(index * 6 + line)).collect::<Vec<_>>().join(" ");
    let text = (0..paragraphs).map(paragraph).collect::<Vec<_>>().join("\n\n");
    NewDocument { path: format!("{number}.txt"), metadata: Metadata::new(), content: Content::Text(text) }
}

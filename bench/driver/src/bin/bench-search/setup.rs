//! An engine on a folder, with one embedder.

use elodex_engine::{EmbedService, EngineLimits, RerankService, Runtime};
use elodex_kernels::Kernels;
use elodex_models::{Embedder, files::ModelFiles};
use elodex_search::{ErrorKind, Models, SearchEngine, SearchOptions};
use elodex_store::{CatalogOptions, RedbCatalog};
use elodex_store_edge::EdgeBackend;
use elodex_types::{CallContext, EmbedRequest, EmbedResponse, Latency, Role};
use std::error::Error;
use std::path::Path;
use std::sync::Arc;

/// The one embedder; no reranker.
#[derive(Debug, Clone)]
pub(crate) struct One(pub(crate) EmbedService);

impl Models for One {
    fn embedder(&self, _: Option<&str>) -> elodex_search::Result<(String, EmbedService)> {
        Ok(("embedder".to_owned(), self.0.clone()))
    }

    fn reranker(&self, _: Option<&str>) -> elodex_search::Result<(String, RerankService)> {
        Err(elodex_search::Error::new(ErrorKind::NotFound, "the benchmark has no reranker"))
    }
}

/// The model as the server runs it, but without its cache.
pub(crate) fn embedder(model: &Path) -> Result<EmbedService, Box<dyn Error>> {
    let kernels = Kernels::detect();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let runtime = Arc::new(Runtime::new(threads, kernels)?);
    let limits = EngineLimits { cache_bytes: 0, ..EngineLimits::default() };
    Ok(EmbedService::start(Embedder::load(&ModelFiles::open(model)?, kernels)?, runtime, limits)?)
}

pub(crate) fn engine(folder: &Path, model: &EmbedService) -> Result<SearchEngine, Box<dyn Error>> {
    let catalog = RedbCatalog::open(folder, &CatalogOptions::default())?;
    let indexes = EdgeBackend::open(&folder.join("index"))?;
    let models = Arc::new(One(model.clone()));
    Ok(SearchEngine::open(Arc::new(catalog), Arc::new(indexes), models, SearchOptions::default())?)
}

pub(crate) fn context() -> CallContext {
    CallContext { key: "bench".into(), deadline: None }
}

pub(crate) fn embed(service: &EmbedService, texts: Vec<String>) -> Result<EmbedResponse, Box<dyn Error>> {
    let request = EmbedRequest {
        model: String::new(),
        role: Some(Role::Document),
        inputs: texts,
        dimensions: None,
        truncation: None,
        latency: Latency::Slow,
    };
    Ok(service.submit(request, context())?.wait()?)
}

/// A percentile of unsorted values.
pub(crate) fn percentile(values: &mut [f64], percent: usize) -> f64 {
    values.sort_by(f64::total_cmp);
    values
        .get((values.len() * percent / 100).min(values.len().saturating_sub(1)))
        .copied()
        .unwrap_or_default()
}

/// Resident memory of this process in MiB, as Linux counts it.
pub(crate) fn resident_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok()).unwrap_or_default() / 1024.0
}

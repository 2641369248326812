//! An engine with an embedder called `tiny` and a reranker called `judge`.

use elodex_engine::{EmbedService, EngineLimits, RerankService, Runtime};
use elodex_kernels::Kernels;
use elodex_models::files::ModelFiles;
use elodex_models::{Embedder, Reranker};
use elodex_search::{Error, ErrorKind, Models, Result, SearchEngine, SearchOptions};
use elodex_store::{CatalogOptions, MemoryBackend, RedbCatalog};
use elodex_types::{
    CallContext, Content, CreateCollection, Metadata, NewDocument, Rerank, SearchHit, SearchRequest,
    SearchResponse, Weights,
};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

/// Texts that the reranker puts into another order than the first stage.
pub(crate) const COFFEE: [&str; 6] = [
    "Coffee is ground and brewed.",
    "Tea is steeped in hot water, coffee is not.",
    "A coffee grinder needs cleaning.",
    "Who drinks coffee sleeps badly, they say of coffee.",
    "Coffee beans come from Ethiopia.",
    "The coffee house closes at six.",
];

static RUNTIME: LazyLock<Arc<Runtime>> =
    LazyLock::new(|| Arc::new(Runtime::new(2, Kernels::detect()).unwrap()));

fn files(family: &str) -> ModelFiles {
    ModelFiles::open(&elodex_testkit::golden_dir(family).join("model")).unwrap()
}

#[derive(Debug)]
struct TwoModels {
    embedder: EmbedService,
    /// `None`: the deployment has none.
    reranker: Option<RerankService>,
}

impl Models for TwoModels {
    fn embedder(&self, name: Option<&str>) -> Result<(String, EmbedService)> {
        known(name, "tiny").map(|name| (name, self.embedder.clone()))
    }

    fn reranker(&self, name: Option<&str>) -> Result<(String, RerankService)> {
        let none = || Error::new(ErrorKind::NotFound, "there is no reranker");
        let reranker = self.reranker.as_ref().ok_or_else(none)?;
        known(name, "judge").map(|name| (name, reranker.clone()))
    }
}

fn known(asked: Option<&str>, name: &str) -> Result<String> {
    match asked {
        Some(other) if other != name => {
            Err(Error::new(ErrorKind::NotFound, format!("no model is called `{other}`; there is `{name}`")))
        }
        _ => Ok(name.to_owned()),
    }
}

fn open(
    catalog: &Arc<RedbCatalog>,
    backend: &Arc<MemoryBackend>,
    models: &Arc<TwoModels>,
    options: &SearchOptions,
) -> Result<SearchEngine> {
    let (catalog, backend, models) = (Arc::clone(catalog), Arc::clone(backend), Arc::clone(models));
    SearchEngine::open(catalog, backend, models, options.clone())
}

/// An engine with one collection, `c`.
pub(crate) struct Ground {
    pub(crate) engine: SearchEngine,
    pub(crate) catalog: Arc<RedbCatalog>,
    pub(crate) backend: Arc<MemoryBackend>,
    models: Arc<TwoModels>,
    options: SearchOptions,
    _folder: tempfile::TempDir,
}

impl Ground {
    pub(crate) fn new() -> Self {
        Self::with(SearchOptions::default(), EngineLimits::default())
    }

    /// With other options, and other limits of the reranker.
    pub(crate) fn with(options: SearchOptions, limits: EngineLimits) -> Self {
        Self::open(options, Some(limits), None).unwrap()
    }

    /// With other options, where no reranker is served.
    pub(crate) fn without_reranker(options: SearchOptions) -> Self {
        Self::open(options, None, None).unwrap()
    }

    /// With a reranker beside which the first stage's lists count this much, and texts, indexed.
    pub(crate) fn of_texts_with_first_stage(texts: &[&str], weights: Weights) -> Self {
        let limits = Some(EngineLimits::default());
        let ground = Self::open(SearchOptions::default(), limits, Some(weights)).unwrap();
        ground.add(text_documents(texts));
        ground
    }

    /// Why an engine with these options does not open.
    pub(crate) fn refused(options: SearchOptions) -> Error {
        Self::open(options, Some(EngineLimits::default()), None).err().unwrap()
    }

    fn open(
        options: SearchOptions,
        reranker_limits: Option<EngineLimits>,
        first_stage: Option<Weights>,
    ) -> Result<Self> {
        let folder = tempfile::tempdir().unwrap();
        let catalog = Arc::new(RedbCatalog::open(folder.path(), &CatalogOptions::default()).unwrap());
        let embedder = Embedder::load(&files("bert_minilm"), RUNTIME.kernels()).unwrap();
        let reranker = |limits| {
            let mut files = files("bert_cross");
            if let Some(weights) = first_stage {
                files.config["first_stage"] = serde_json::to_value(weights).unwrap();
            }
            let reranker = Reranker::load(&files, RUNTIME.kernels()).unwrap();
            RerankService::start(reranker, Arc::clone(&RUNTIME), limits).unwrap()
        };
        let models = Arc::new(TwoModels {
            embedder: EmbedService::start(embedder, Arc::clone(&RUNTIME), EngineLimits::default()).unwrap(),
            reranker: reranker_limits.map(reranker),
        });
        let backend = Arc::new(MemoryBackend::default());
        let engine = open(&catalog, &backend, &models, &options)?;
        let collection = CreateCollection { name: "c".into(), ..CreateCollection::default() };
        engine.create_collection(&collection).unwrap();
        Ok(Self { engine, catalog, backend, models, options, _folder: folder })
    }

    /// As a new process would open what the last one left, after `meanwhile`.
    pub(crate) fn reopen(&mut self, meanwhile: impl FnOnce(&Self)) {
        self.engine.shutdown();
        meanwhile(self);
        self.engine = open(&self.catalog, &self.backend, &self.models, &self.options).unwrap();
    }

    /// With documents, indexed.
    pub(crate) fn of(documents: Vec<NewDocument>) -> Self {
        let ground = Self::new();
        ground.add(documents);
        ground
    }

    /// With texts under the paths `0`, `1`, …, indexed.
    pub(crate) fn of_texts(texts: &[&str]) -> Self {
        Self::of(text_documents(texts))
    }

    pub(crate) fn add(&self, documents: Vec<NewDocument>) {
        self.engine.add("c", documents, true).unwrap();
        self.wait();
    }

    pub(crate) fn wait(&self) {
        let done = self.engine.wait_until_indexed("c", Some(Duration::from_secs(120)), &mut |_| ());
        assert!(done.unwrap(), "not indexed within two minutes");
    }

    #[track_caller]
    pub(crate) fn search(&self, request: &SearchRequest) -> SearchResponse {
        self.engine.search(request, &caller()).unwrap()
    }

    #[track_caller]
    pub(crate) fn refusal(&self, request: &SearchRequest) -> Error {
        self.engine.search(request, &caller()).unwrap_err()
    }

    /// A document's whole text.
    pub(crate) fn text(&self, path: &str) -> String {
        self.engine.document("c", path, true).unwrap().0.content.unwrap()
    }
}

pub(crate) fn caller() -> CallContext {
    CallContext { key: "test".into(), deadline: None }
}

pub(crate) fn text_document(path: &str, text: &str) -> NewDocument {
    NewDocument { path: path.into(), metadata: Metadata::new(), content: Content::Text(text.into()) }
}

fn text_documents(texts: &[&str]) -> Vec<NewDocument> {
    let document = |(path, text): (usize, &&str)| text_document(&path.to_string(), text);
    texts.iter().enumerate().map(document).collect()
}

/// The deployment's reranker with its usual depth.
pub(crate) fn judged() -> Rerank {
    Rerank::On { model: None, depth: None }
}

pub(crate) fn paths(response: &SearchResponse) -> Vec<&str> {
    response.hits.iter().map(|hit: &SearchHit| hit.path.as_str()).collect()
}

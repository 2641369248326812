//! An engine over a catalog in a temporary folder, indexes in memory and a tiny seeded embedder, whose catalog and
//! indexes can be made to fail, to wait and to tell what was asked of them.
#![expect(dead_code, reason = "each test program uses a part")]

pub(crate) mod hooks;

use elodex_engine::{EmbedService, EngineLimits, RerankService, Runtime};
use elodex_kernels::Kernels;
use elodex_models::Embedder;
use elodex_models::files::ModelFiles;
use elodex_search::{Error, ErrorKind, Models, Result, SearchEngine, SearchOptions};
use elodex_store::{
    Catalog, CatalogOptions, ChunkIndex, Collection, IndexBackend, IndexSpec, MemoryBackend, RedbCatalog,
};
use elodex_types::{
    CallContext, ChunkId, Content, CreateCollection, EmbedRequest, Latency, Metadata, MetadataValue,
    NewDocument, Role,
};
use hooks::{HookedBackend, HookedCatalog, Hooks};
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

static RUNTIME: LazyLock<Arc<Runtime>> =
    LazyLock::new(|| Arc::new(Runtime::new(2, Kernels::detect()).unwrap()));

/// The embedder's name.
pub(crate) const MODEL: &str = "tiny";

/// One embedder, by its name or as the default.
#[derive(Debug)]
pub(crate) struct OneModel {
    pub(crate) name: &'static str,
    pub(crate) service: EmbedService,
}

impl OneModel {
    /// A golden family's embedder under [`MODEL`].
    pub(crate) fn golden(family: &str) -> Self {
        Self::golden_within(family, EngineLimits::default())
    }

    /// With other limits.
    pub(crate) fn golden_within(family: &str, limits: EngineLimits) -> Self {
        let files = ModelFiles::open(&elodex_testkit::golden_dir(family).join("model")).unwrap();
        let model = Embedder::load(&files, RUNTIME.kernels()).unwrap();
        Self { name: MODEL, service: EmbedService::start(model, Arc::clone(&RUNTIME), limits).unwrap() }
    }
}

impl Models for OneModel {
    fn embedder(&self, name: Option<&str>) -> Result<(String, EmbedService)> {
        match name {
            Some(other) if other != self.name => {
                let message = format!("no embedder is called `{other}`; there is `{}`", self.name);
                Err(Error::new(ErrorKind::NotFound, message))
            }
            _ => Ok((self.name.into(), self.service.clone())),
        }
    }

    fn reranker(&self, _: Option<&str>) -> Result<(String, RerankService)> {
        Err(Error::new(ErrorKind::NotFound, "there is no reranker"))
    }
}

/// What an engine stands on; outlives it, to open another.
pub(crate) struct Ground {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) catalog: Arc<RedbCatalog>,
    pub(crate) backend: Arc<MemoryBackend>,
    pub(crate) models: Arc<OneModel>,
    pub(crate) hooks: Arc<Hooks>,
    pub(crate) options: SearchOptions,
}

impl Ground {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let catalog = Arc::new(RedbCatalog::open(folder.path(), &CatalogOptions::default()).unwrap());
        Self {
            folder,
            catalog,
            backend: Arc::new(MemoryBackend::default()),
            models: Arc::new(OneModel::golden("bert_minilm")),
            hooks: Arc::new(Hooks::default()),
            options: SearchOptions { flush_interval: Duration::from_millis(50), ..SearchOptions::default() },
        }
    }

    /// Opens an engine.
    pub(crate) fn open(&self) -> SearchEngine {
        self.open_with(Arc::clone(&self.models) as Arc<dyn Models>)
    }

    /// Opens an engine with other models.
    pub(crate) fn open_with(&self, models: Arc<dyn Models>) -> SearchEngine {
        let catalog = HookedCatalog { inner: Arc::clone(&self.catalog), hooks: Arc::clone(&self.hooks) };
        let backend = HookedBackend { inner: Arc::clone(&self.backend), hooks: Arc::clone(&self.hooks) };
        SearchEngine::open(Arc::new(catalog), Arc::new(backend), models, self.options.clone()).unwrap()
    }

    /// A document's embedding.
    pub(crate) fn embed(&self, text: &str) -> Arc<[f32]> {
        let request = EmbedRequest {
            model: MODEL.into(),
            role: Some(Role::Document),
            inputs: vec![text.into()],
            dimensions: None,
            truncation: None,
            latency: Latency::Auto,
        };
        let context = CallContext { key: "test".into(), deadline: None };
        self.models.service.submit(request, context).unwrap().wait().unwrap().embeddings.remove(0)
    }

    /// A collection as the catalog has it.
    pub(crate) fn collection(&self, name: &str) -> Collection {
        self.catalog.view().unwrap().collection(name).unwrap()
    }

    /// A collection's index.
    pub(crate) fn index(&self, name: &str) -> Arc<dyn ChunkIndex> {
        let collection = self.collection(name);
        let space = &collection.settings.space;
        let spec = IndexSpec {
            catalog: self.catalog.id(),
            fingerprint: space.fingerprint,
            dimensions: space.dimensions,
            precision: collection.settings.precision,
            terms: elodex_search::TERMS_VERSION,
        };
        self.backend.open(collection.id, &spec).unwrap().index
    }

    /// The points of a collection's index.
    pub(crate) fn indexed_ids(&self, name: &str) -> Vec<ChunkId> {
        self.index(name).ids(None, usize::MAX).unwrap()
    }

    /// The chunks that the catalog says are live.
    pub(crate) fn live_ids(&self, name: &str) -> Vec<ChunkId> {
        let view = self.catalog.view().unwrap();
        let documents = view.live_documents(self.collection(name).id, None, usize::MAX).unwrap();
        let mut ids: Vec<ChunkId> = documents
            .iter()
            .flat_map(|document| {
                let chunks = document.parsed.as_ref().map_or(0, |parsed| parsed.chunks);
                (0..chunks).filter_map(|ordinal| ChunkId::new(document.revision, ordinal))
            })
            .collect();
        ids.sort_unstable();
        ids
    }

    /// Asserts that the index has the live chunks and nothing else.
    pub(crate) fn assert_in_step(&self, name: &str) {
        assert_eq!(self.indexed_ids(name), self.live_ids(name), "index and catalog differ");
    }
}

/// A collection with the defaults.
pub(crate) fn named(name: &str) -> CreateCollection {
    CreateCollection { name: name.into(), ..CreateCollection::default() }
}

/// A plain text.
pub(crate) fn text(path: &str, text: &str) -> NewDocument {
    NewDocument { path: path.into(), metadata: Metadata::new(), content: Content::Text(text.into()) }
}

/// One attribute.
pub(crate) fn metadata(name: &str, value: &str) -> Metadata {
    BTreeMap::from([(name.to_owned(), MetadataValue::Text(value.into()))])
}

/// Waits until a collection is indexed.
pub(crate) fn wait(engine: &SearchEngine, collection: &str) {
    assert!(engine.wait_until_indexed(collection, Some(Duration::from_secs(120)), &mut |_| ()).unwrap());
}

/// Waits for something that threads bring about.
pub(crate) fn eventually(what: &str, happened: impl Fn() -> bool) {
    for _ in 0..12_000 {
        if happened() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("{what}: not within two minutes");
}

/// A text that makes several chunks of any tiny embedder, different for each `seed`.
pub(crate) fn long_text(seed: usize, paragraphs: usize) -> String {
    let sentence = |index: usize| {
        format!(
            "Paragraph {index} of story {seed} tells how traveller {} crossed river {}.",
            index * 7 + seed,
            index + 3
        )
    };
    let paragraph =
        |index: usize| (0..6).map(|line| sentence(index * 6 + line)).collect::<Vec<_>>().join(" ");
    (0..paragraphs).map(paragraph).collect::<Vec<_>>().join("\n\n")
}

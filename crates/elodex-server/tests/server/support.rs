//! A server in this process with tiny models, and a client for it.

use elodex_engine::{EngineLimits, Runtime, Stats};
use elodex_kernels::Kernels;
use elodex_models::files::ModelFiles;
use elodex_search::{Experiment, SearchEngine, SearchOptions};
use elodex_server::keys::KeyStore;
use elodex_server::{
    Access, App, Defaults, ModelKind, ModelRegistry, RateLimits, RegistryModels, Search, ServedModel,
    ServerConfig, Service, Stopped,
};
use elodex_store::{Catalog, CatalogOptions, MemoryBackend, RedbCatalog};
use elodex_testkit::golden_dir;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub(crate) const KEY: &str = "the key of the tests";
pub(crate) const EMBEDDER: &str = "bert_minilm";
pub(crate) const RERANKER: &str = "bert_cross";

/// Every test that waits for something gives up after this many looks, 10 ms apart.
const LOOKS: usize = 6_000;

/// What tests vary.
pub(crate) struct Options {
    pub(crate) key: Option<&'static str>,
    /// Whether collections are kept, in a folder that is removed with the server.
    pub(crate) collections: bool,
    pub(crate) public_url: Option<&'static str>,
    pub(crate) rates: RateLimits,
    pub(crate) body_bytes: usize,
    pub(crate) document_bytes: u64,
    pub(crate) bodies_bytes: usize,
    pub(crate) max_concurrent_requests: usize,
    pub(crate) cors_origins: Vec<String>,
    pub(crate) limits: EngineLimits,
    pub(crate) experiments: Vec<Experiment>,
    pub(crate) install: bool,
}

impl Default for Options {
    fn default() -> Self {
        // Without a cache every call is computed, so that tests can tell when work runs.
        let limits = EngineLimits { cache_bytes: 0, request_bytes: 50_000_000, ..EngineLimits::default() };
        Self {
            key: None,
            collections: false,
            public_url: None,
            rates: RateLimits::default(),
            body_bytes: 100_000_000,
            document_bytes: 1_000_000,
            bodies_bytes: 1_000_000_000,
            max_concurrent_requests: 64,
            cors_origins: Vec::new(),
            limits,
            experiments: Vec::new(),
            install: true,
        }
    }
}

/// A running server.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) embedder: Service,
    app: App,
    registry: Option<ModelRegistry>,
    search: Option<SearchEngine>,
    collections: bool,
    experiments: Vec<Experiment>,
    folder: tempfile::TempDir,
    key: Option<&'static str>,
    agent: ureq::Agent,
    stop: Option<oneshot::Sender<()>>,
    serving: Option<JoinHandle<Stopped>>,
    runtime: tokio::runtime::Runtime,
}

/// An answer, whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: ureq::http::HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no json: {}", self.text))
    }

    #[track_caller]
    pub(crate) fn ok(self) -> Value {
        assert_eq!(self.status, 200, "{}", self.text);
        assert_eq!(self.header("content-type"), Some("application/json"));
        self.json()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

fn served(name: &str, directory: &str, limits: &EngineLimits, runtime: &Arc<Runtime>) -> ServedModel {
    let files = ModelFiles::open(&golden_dir(directory).join("model")).unwrap();
    let kind = ModelKind::of(&files);
    let service = Service::start(&files, kind, Kernels::detect(), runtime, limits.clone()).unwrap();
    ServedModel { name: name.to_owned(), files, service, limits: limits.clone() }
}

fn key_file(folder: &tempfile::TempDir) -> PathBuf {
    folder.path().join("keys.toml")
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(engine) = self.search.take() {
            engine.shutdown();
        }
    }
}

impl Server {
    pub(crate) fn start(options: Options) -> Self {
        let engine = Arc::new(Runtime::new(2, Kernels::detect()).unwrap());
        let models = vec![
            served("tiny", EMBEDDER, &options.limits, &engine),
            served("cross", RERANKER, &options.limits, &engine),
        ];
        let embedder = models[0].service.clone();
        let aliases = [("zembed-1", "tiny"), ("asks", "tiny:query"), ("zerank-2", "cross")];
        let aliases = aliases.map(|(alias, target)| (alias.to_owned(), target.parse().unwrap()));
        let registry = ModelRegistry::new(models, aliases.into(), Defaults::default()).unwrap();

        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let access = match options.key {
            Some(key) => Access::Keys(KeyStore::open(Some(key_file(&folder)), Some(key)).unwrap()),
            None => Access::Open,
        };
        let app = App::new(ServerConfig {
            access,
            public_url: options.public_url.map(str::to_owned),
            document_bytes: options.document_bytes,
            cors_origins: options.cors_origins,
            body_bytes: options.body_bytes,
            bodies_bytes: options.bodies_bytes,
            header_timeout: Duration::from_secs(60),
            body_timeout: Duration::from_secs(60),
            request_timeout: Duration::from_secs(60),
            shutdown_grace: Duration::from_secs(60),
            max_concurrent_requests: options.max_concurrent_requests,
            rates: options.rates,
        });
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = runtime.spawn(elodex_server::serve(listener, app.clone(), async {
            let _ = stopped.await;
        }));
        let agent = ureq::Agent::config_builder().http_status_as_error(false).build().new_agent();
        let mut server = Self {
            address,
            embedder,
            app,
            registry: Some(registry),
            search: None,
            collections: options.collections,
            experiments: options.experiments,
            folder,
            key: options.key,
            agent,
            stop: Some(stop),
            serving: Some(serving),
            runtime,
        };
        if options.install {
            server.install();
        }
        server
    }

    pub(crate) fn install(&mut self) {
        let registry = Arc::new(self.registry.take().unwrap());
        let search = self.collections.then(|| {
            let catalog =
                Arc::new(RedbCatalog::open(self.folder.path(), &CatalogOptions::default()).unwrap());
            let models = Arc::new(RegistryModels(Arc::clone(&registry)));
            let options = SearchOptions {
                chunk_tokens: 32,
                chunk_overlap: 8,
                experiments: std::mem::take(&mut self.experiments),
                ..SearchOptions::default()
            };
            let rerank_depth = options.rerank_depth;
            let indexes = Arc::new(MemoryBackend::default());
            let truth = Arc::clone(&catalog) as Arc<dyn Catalog>;
            let engine = SearchEngine::open(truth, indexes, models, options).unwrap();
            self.search = Some(engine.clone());
            Search { engine, rerank_depth, catalog: Some(catalog) }
        });
        self.runtime.block_on(self.app.install(registry, search)).unwrap();
    }

    /// A key of the key file, from now on known to the server.
    pub(crate) fn make_key(&self, permission: &str) -> String {
        let body = json!({"name": permission, "permission": permission});
        let answer = self.post("/v1/admin/add-api-key", &body);
        assert_eq!(answer.status, 201, "{}", answer.text);
        answer.json()["api_key"].as_str().unwrap().to_owned()
    }

    /// A POST with another key.
    pub(crate) fn post_as(&self, key: &str, path: &str, body: &Value) -> Answer {
        self.as_stranger(path, Some(body), Some(&format!("Bearer {key}")))
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(path, body.to_string().into_bytes(), &[("content-type", "application/json")])
    }

    /// A POST with the server's key, if it has one, and these headers.
    pub(crate) fn send(&self, path: &str, body: Vec<u8>, headers: &[(&str, &str)]) -> Answer {
        let mut request = self.agent.post(format!("http://{}{path}", self.address));
        if let Some(key) = self.key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        read(request.send(body).unwrap())
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        let mut request = self.agent.get(format!("http://{}{path}", self.address));
        if let Some(key) = self.key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        read(request.call().unwrap())
    }

    /// A GET or POST without a key.
    pub(crate) fn as_stranger(
        &self,
        path: &str,
        body: Option<&Value>,
        authorization: Option<&str>,
    ) -> Answer {
        let url = format!("http://{}{path}", self.address);
        let headers = authorization.map(|value| ("authorization", value));
        let answer = match body {
            None => headers
                .into_iter()
                .fold(self.agent.get(url), |request, (name, value)| request.header(name, value))
                .call(),
            Some(body) => headers
                .into_iter()
                .fold(self.agent.post(url), |request, (name, value)| request.header(name, value))
                .send_json(body),
        };
        read(answer.unwrap())
    }

    /// A CORS preflight.
    pub(crate) fn preflight(&self, path: &str, origin: &str, asks_for: &str) -> Answer {
        let request = ureq::http::Request::builder()
            .method("OPTIONS")
            .uri(format!("http://{}{path}", self.address))
            .header("origin", origin)
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", asks_for)
            .body(())
            .unwrap();
        read(self.agent.run(request).unwrap())
    }

    pub(crate) fn stats(&self) -> Stats {
        self.embedder.stats()
    }

    /// Looks at the embedder until `condition` holds.
    #[track_caller]
    pub(crate) fn wait_until(&self, what: &str, condition: impl Fn(&Stats) -> bool) {
        wait_for(what, || condition(&self.stats()));
    }

    pub(crate) fn begin_to_stop(&mut self) {
        self.stop.take().unwrap().send(()).unwrap();
    }

    pub(crate) fn stopped(&mut self) -> Stopped {
        let serving = self.serving.take().unwrap();
        self.runtime.block_on(serving).unwrap()
    }
}

/// Looks until `condition` holds.
#[track_caller]
pub(crate) fn wait_for(what: &str, condition: impl Fn() -> bool) {
    for _ in 0..LOOKS {
        if condition() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("{what}: it did not happen");
}

fn read(mut answer: ureq::http::Response<ureq::Body>) -> Answer {
    let text = answer.body_mut().with_config().limit(200_000_000).read_to_string().unwrap();
    Answer { status: answer.status().as_u16(), headers: answer.headers().clone(), text }
}

/// A ZeroEntropy embed request.
pub(crate) fn embed(texts: &[&str]) -> Value {
    json!({"model": "tiny", "input_type": "document", "input": texts})
}

/// An embed request that keeps the tiny model busy for a good while: `count` texts, all different.
pub(crate) fn long_embed(count: usize) -> Value {
    let texts: Vec<String> =
        (0..count).map(|number| format!("number {number} {}", "and so on ".repeat(60))).collect();
    json!({"model": "tiny", "input_type": "document", "input": texts})
}

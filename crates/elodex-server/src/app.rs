//! The state all requests share.

use crate::config::{Access, ServerConfig};
use crate::keys::{Caller, Permission};
use crate::library::{Library, Search};
use crate::limits::RateLimiter;
use crate::metrics::Metrics;
use crate::registry::ModelRegistry;
use crate::{Error, ErrorKind, Result};
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use elodex_dialects::Problem;
use elodex_types::Fault;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use tokio::sync::{Semaphore, SemaphorePermit};

/// Bytes that one permit of the body memory stands for.
const BODY_UNIT: usize = 1024;

/// A server's state. Cheap to clone.
#[derive(Debug, Clone)]
pub struct App {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    config: ServerConfig,
    models: OnceLock<Arc<ModelRegistry>>,
    library: OnceLock<Library>,
    ready: AtomicBool,
    rates: RateLimiter,
    permits: Semaphore,
    bodies: Semaphore,
    metrics: Metrics,
}

impl App {
    /// A server without models: alive, not ready.
    pub fn new(config: ServerConfig) -> Self {
        let rates = RateLimiter::new(config.rates);
        let semaphore = |permits: usize| Semaphore::new(permits.min(Semaphore::MAX_PERMITS));
        // Less than one whole body could never be read, however empty the server is.
        let bodies =
            config.bodies_bytes.max(config.body_bytes).max(config.document_body_bytes()).div_ceil(BODY_UNIT);
        let inner = Inner {
            permits: semaphore(config.max_concurrent_requests),
            bodies: semaphore(bodies),
            config,
            models: OnceLock::new(),
            library: OnceLock::new(),
            ready: AtomicBool::new(false),
            rates,
            metrics: Metrics::new(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Takes the models and, for the routes of collections, a search engine on the same models; runs each model once and
    /// then is ready.
    ///
    /// # Errors
    /// [`ErrorKind::Model`] when a model fails its first run, [`ErrorKind::Config`] when there are models already.
    pub async fn install(&self, registry: Arc<ModelRegistry>, search: Option<Search>) -> Result<()> {
        for model in registry.models() {
            model.warm_up().await?;
        }
        let twice = || Error::new(ErrorKind::Config, "the server has its models already");
        if let Some(search) = search {
            self.inner.library.set(Library::new(search)).map_err(|_| twice())?;
        }
        self.inner.models.set(registry).map_err(|_| twice())?;
        self.inner.ready.store(true, Ordering::Release);
        tracing::info!("ready");
        Ok(())
    }

    /// Whether calls are answered now.
    pub fn is_ready(&self) -> bool {
        self.inner.ready.load(Ordering::Acquire)
    }

    /// From now on `/ready` says no, so that a load balancer sends nothing more.
    pub(crate) fn stop(&self) {
        self.inner.ready.store(false, Ordering::Release);
    }

    pub(crate) fn config(&self) -> &ServerConfig {
        &self.inner.config
    }

    pub(crate) fn rates(&self) -> &RateLimiter {
        &self.inner.rates
    }

    /// A place among the calls at once.
    pub(crate) fn enter(&self) -> Result<SemaphorePermit<'_>, Problem> {
        self.inner.permits.try_acquire().map_err(|_| {
            let message = "as many requests are under way as this server allows; try again soon";
            Problem::new(Fault::Unavailable, message)
        })
    }

    /// Room for a body of at most `bytes`, kept until the permit is dropped.
    pub(crate) fn reserve_body(&self, bytes: usize) -> Result<SemaphorePermit<'_>, Problem> {
        let units = u32::try_from(bytes.div_ceil(BODY_UNIT)).unwrap_or(u32::MAX);
        self.inner.bodies.try_acquire_many(units).map_err(|_| {
            let message = "the requests under way fill the memory for request bodies; try again soon";
            Problem::new(Fault::Unavailable, message)
        })
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.inner.metrics
    }

    /// The models once they are there.
    pub(crate) fn installed_models(&self) -> Option<&ModelRegistry> {
        self.inner.models.get().map(Arc::as_ref)
    }

    /// The search engine once it is there.
    pub(crate) fn installed_library(&self) -> Option<&Library> {
        self.inner.library.get()
    }

    /// The search engine, or the refusal of a server without one.
    pub(crate) fn library(&self) -> Result<&Library, Problem> {
        self.models()?;
        self.installed_library().ok_or_else(|| {
            let message = "this server has no data directory; start it with --data-dir to keep collections";
            Problem::new(Fault::NotFound, message)
        })
    }

    /// The models, or the refusal for a call that comes too early.
    pub(crate) fn models(&self) -> Result<&ModelRegistry, Problem> {
        self.installed_models()
            .ok_or_else(|| Problem::new(Fault::Unavailable, "the models are being loaded; try again soon"))
    }

    /// Who calls, where that is known and `needed` is permitted.
    pub(crate) fn authorise(&self, headers: &HeaderMap, needed: Permission) -> Result<Caller, Problem> {
        let keys = match &self.inner.config.access {
            Access::Open => return Ok(Caller { key: Arc::from("anonymous"), permission: Permission::All }),
            Access::Keys(keys) => keys,
        };
        let refused = |message: &str| Problem::new(Fault::Unauthenticated, message);
        let Some(value) = headers.get(AUTHORIZATION) else {
            return Err(refused("an api key is needed; send `authorization: Bearer <key>`"));
        };
        // The header is never shown back: it may hold a key with a typing error.
        let token = value
            .to_str()
            .ok()
            .and_then(|value| value.split_once(' '))
            .and_then(|(scheme, token)| scheme.eq_ignore_ascii_case("bearer").then(|| token.trim()));
        let Some(token) = token else {
            return Err(refused("the authorization header has another form than `Bearer <key>`"));
        };
        let caller = keys.identify(token).ok_or_else(|| refused("unknown api key"))?;
        if caller.permission < needed {
            let message = format!("this key is `{}`; a key with `{needed}` is needed", caller.permission);
            return Err(Problem::new(Fault::Forbidden, message));
        }
        Ok(caller)
    }

    /// Reads the key file again if it changed.
    pub(crate) fn refresh_keys(&self) {
        if let Access::Keys(keys) = &self.inner.config.access
            && let Err(error) = keys.refresh()
        {
            tracing::warn!(error = error.report(), "the key file is unusable; the keys stay as they were");
        }
    }
}

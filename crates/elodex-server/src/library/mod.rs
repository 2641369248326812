//! Collections, documents and searches: the engine behind them, and what the server keeps around it.

mod answer;
mod backup;
mod experiments;
mod files;
mod models;
mod search;
mod usage;

pub(crate) use answer::{change, read};
pub(crate) use backup::backup;
pub(crate) use experiments::experiments;
pub(crate) use files::hand_out;
pub use models::RegistryModels;
pub(crate) use search::search;
pub(crate) use usage::tell;

use crate::app::App;
use crate::config::ServerConfig;
use axum::http::HeaderMap;
use axum::http::header::HOST;
use elodex_dialects::Problem;
use elodex_search::SearchEngine;
use elodex_store::RedbCatalog;
use elodex_types::{Fault, Kind, Revision, StatusCounts};
use files::Tokens;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Searches and questions at once; each holds a thread, mostly to wait for a model.
const READERS: usize = 64;

/// Changes at once; the catalog makes them one after the other.
const WRITERS: usize = 8;

/// A search engine for a server.
#[derive(Debug, Clone)]
pub struct Search {
    /// The engine; whoever opened it shuts it down.
    pub engine: SearchEngine,
    /// Candidates a reranker sees where a request names no depth, as the engine was opened with.
    pub rerank_depth: usize,
    /// The engine's catalog where it lies on this machine, for backups.
    pub catalog: Option<Arc<RedbCatalog>>,
}

/// A search engine in service.
#[derive(Debug)]
pub(crate) struct Library {
    pub(crate) search: Search,
    tokens: Tokens,
    readers: Arc<Semaphore>,
    writers: Arc<Semaphore>,
}

impl Library {
    pub(crate) fn new(search: Search) -> Self {
        let tokens = Tokens::new(search.engine.catalog().secret());
        Self {
            search,
            tokens,
            readers: Arc::new(Semaphore::new(READERS)),
            writers: Arc::new(Semaphore::new(WRITERS)),
        }
    }

    /// Runs a question on a thread of its own.
    async fn ask<T: Send + 'static>(
        &self,
        work: impl FnOnce(&SearchEngine) -> elodex_search::Result<T> + Send + 'static,
    ) -> Result<T, Problem> {
        self.run(&self.readers, work).await
    }

    /// Runs a change on a thread of its own.
    async fn alter<T: Send + 'static>(
        &self,
        work: impl FnOnce(&SearchEngine) -> elodex_search::Result<T> + Send + 'static,
    ) -> Result<T, Problem> {
        self.run(&self.writers, work).await
    }

    /// Waits for a place among `bound` and keeps it until the work is done, also where nobody waits for it any more.
    async fn run<T: Send + 'static>(
        &self,
        bound: &Arc<Semaphore>,
        work: impl FnOnce(&SearchEngine) -> elodex_search::Result<T> + Send + 'static,
    ) -> Result<T, Problem> {
        let place = Arc::clone(bound).acquire_owned().await;
        let place = place.map_err(|_| Problem::new(Fault::Unavailable, "the server is stopping"))?;
        let engine = self.search.engine.clone();
        let span = tracing::Span::current();
        let task = tokio::task::spawn_blocking(move || {
            let _place = place;
            span.in_scope(|| work(&engine))
        });
        match task.await {
            Ok(outcome) => outcome.map_err(refused),
            // Blocking tasks are never aborted, so this is a panic; passing it on lets one place answer for all.
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }

    /// Where a document's file can be fetched.
    fn file_url(&self, base: &str, revision: Revision) -> String {
        format!("{base}/v1/documents/get-document?token={}", self.tokens.of(revision))
    }
}

/// What the client is told of an engine's error. The causes of a fault of ours go to the log only.
fn refused<K: Kind>(error: elodex_types::Failure<K>) -> Problem {
    if matches!(error.fault(), Fault::Bug | Fault::Upstream) {
        tracing::error!(error = error.report(), "a call failed");
    }
    Problem::from(error)
}

/// All documents by state; `None` where there are none to count, or for a moment cannot be.
pub(crate) async fn counts(app: &App) -> Option<StatusCounts> {
    let library = app.installed_library()?;
    library.ask(|engine| engine.status(None)).await.ok()
}

/// What addresses of files begin with: the setting, else what the client calls this server. Without either they are
/// relative to it.
fn base_url(config: &ServerConfig, headers: &HeaderMap) -> String {
    if let Some(url) = &config.public_url {
        return url.trim_end_matches('/').to_owned();
    }
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    if is_authority(host) { format!("http://{host}") } else { String::new() }
}

/// Whether a text is a host with or without a port, and nothing that could end the host's part of an address.
fn is_authority(host: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte);
    !host.is_empty() && host.len() <= 255 && host.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::is_authority;

    #[test]
    fn only_hosts_become_part_of_an_address() {
        for host in ["localhost", "127.0.0.1:8080", "[::1]:8080", "search.example"] {
            assert!(is_authority(host), "{host}");
        }
        for odd in ["", "a/b", "user@host", "host#", "host?x", "a b", "höst", &"x".repeat(256)] {
            assert!(!is_authority(odd), "{odd}");
        }
    }
}

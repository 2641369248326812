//! Around every request: its id, its span, its log line, its metrics, and an answer where a handler panics.

use crate::app::App;
use crate::keys::hex;
use crate::reply;
use crate::routes::{Mount, OWN_PATHS, mount_of};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method};
use axum::middleware::Next;
use axum::response::Response;
use elodex_dialects::Problem;
use elodex_types::Fault;
use futures_util::FutureExt as _;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use tracing::Instrument as _;

const REQUEST_ID: &str = "x-request-id";

/// What handlers find out about a request and its log line tells. Never texts, never keys.
#[derive(Debug, Clone, Default)]
pub(crate) struct Facts {
    inner: Arc<FactsInner>,
}

#[derive(Debug, Default)]
struct FactsInner {
    request_id: String,
    key: OnceLock<Arc<str>>,
    model: OnceLock<String>,
}

impl Facts {
    fn of(headers: &HeaderMap) -> Self {
        let inner = FactsInner { request_id: request_id(headers), ..FactsInner::default() };
        Self { inner: Arc::new(inner) }
    }

    pub(crate) fn request_id(&self) -> &str {
        &self.inner.request_id
    }

    pub(crate) fn set_key(&self, id: &Arc<str>) {
        let _ = self.inner.key.set(Arc::clone(id));
    }

    pub(crate) fn set_model(&self, name: &str) {
        let _ = self.inner.model.set(name.to_owned());
    }
}

/// The client's id where it is short and printable, else a random one.
fn request_id(headers: &HeaderMap) -> String {
    let acceptable =
        |id: &&str| !id.is_empty() && id.len() <= 128 && id.bytes().all(|byte| byte.is_ascii_graphic());
    if let Some(id) = headers.get(REQUEST_ID).and_then(|value| value.to_str().ok()).filter(acceptable) {
        return id.to_owned();
    }
    let mut bytes = [0; 16];
    // An id only helps to find a log line: without randomness a constant one does no harm.
    let _ = getrandom::fill(&mut bytes);
    hex(&bytes)
}

pub(crate) async fn observe(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let facts = Facts::of(request.headers());
    let Mount { dialect, path } = mount_of(request.uri().path());
    let method = request.method().clone();
    let span = tracing::info_span!(
        "request",
        otel.name = path,
        otel.kind = "server",
        http.request.method = %method,
        http.route = path,
        http.response.status_code = tracing::field::Empty,
        request_id = facts.request_id(),
    );
    #[cfg(feature = "otlp")]
    crate::telemetry::continue_trace(&span, request.headers());
    request.extensions_mut().insert(facts.clone());

    let answer = AssertUnwindSafe(next.run(request)).catch_unwind().instrument(span.clone());
    let mut response = answer.await.unwrap_or_else(|_| {
        // The panic hook has logged where; this line says for which request.
        span.in_scope(|| tracing::error!("a handler panicked"));
        reply::problem(
            dialect,
            &Problem::new(Fault::Bug, "an internal error occurred; the log has the details"),
        )
    });

    reply::set(&mut response, REQUEST_ID, facts.request_id());
    let status = response.status().as_u16();
    let took = started.elapsed();
    app.metrics().request(dialect.name(), path, status, took);
    span.record("http.response.status_code", status);
    span.in_scope(|| log(&facts, &method, path, status, took));
    response
}

/// One line for a finished request; probes and scrapes come too often to be told by default.
fn log(facts: &Facts, method: &Method, path: &'static str, status: u16, took: Duration) {
    let milliseconds = took.as_secs_f64() * 1000.0;
    if OWN_PATHS.contains(&path) {
        tracing::debug!(target: "elodex::access", %method, path, status, milliseconds, "answered");
        return;
    }
    let key = facts.inner.key.get().map_or("-", AsRef::as_ref);
    let model = facts.inner.model.get().map_or("-", String::as_str);
    tracing::info!(target: "elodex::access", %method, path, status, milliseconds, key, model, "answered");
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    #[test]
    fn ids_are_taken_over_or_made() {
        let id = |value: &'static str| {
            request_id(&HeaderMap::from_iter([(
                REQUEST_ID.parse().unwrap(),
                HeaderValue::from_static(value),
            )]))
        };
        assert_eq!(id("abc-1"), "abc-1");
        for odd in ["", "a b", &*"x".repeat(129).leak()] {
            let made = id(odd);
            assert!(made.len() == 32 && made != odd, "{made}");
        }
        assert_ne!(request_id(&HeaderMap::new()), request_id(&HeaderMap::new()));
    }

    async fn boom() -> &'static str {
        panic!("on purpose");
    }

    #[tokio::test]
    async fn a_panic_is_answered_and_has_an_id() {
        let config = crate::config::ServerConfig {
            access: crate::config::Access::Open,
            public_url: None,
            cors_origins: Vec::new(),
            document_bytes: 0,
            body_bytes: 0,
            bodies_bytes: 0,
            header_timeout: std::time::Duration::from_secs(1),
            body_timeout: std::time::Duration::from_secs(1),
            request_timeout: std::time::Duration::from_secs(1),
            shutdown_grace: std::time::Duration::from_secs(1),
            max_concurrent_requests: 1,
            rates: crate::limits::RateLimits::default(),
        };
        let app = App::new(config);
        let router = axum::Router::new()
            .route("/v2/embed", axum::routing::get(boom))
            .layer(axum::middleware::from_fn_with_state(app, observe));
        let request =
            Request::get("/v2/embed").header(REQUEST_ID, "me").body(axum::body::Body::empty()).unwrap();
        let response = tower::ServiceExt::oneshot(router, request).await.unwrap();
        assert_eq!(response.status(), 500);
        assert_eq!(response.headers()[REQUEST_ID], "me");
        assert_eq!(response.headers()["x-should-retry"], "false");
        let body = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert!(body["message"].is_string() && !body.to_string().contains("on purpose"), "{body}");
    }
}

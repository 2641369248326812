//! Which path answers what.

use crate::app::App;
use crate::config::ServerConfig;
use crate::keys::Permission;
use crate::observe::observe;
use crate::{calls, library, openapi, probes, reply};
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, Method as HttpMethod, StatusCode, Uri};
use axum::middleware::from_fn_with_state;
use axum::response::{Redirect, Response};
use axum::routing::{MethodFilter, MethodRouter, get, on, post};
use elodex_dialects::{Dialect, Method, Problem, zeroentropy};
use elodex_types::Fault;
use serde_json::json;
use std::time::Duration;
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer, ExposeHeaders};

/// Paths that belong to no dialect.
pub(crate) const OWN_PATHS: [&str; 12] = [
    "/",
    "/docs",
    "/openapi.json",
    "/live",
    "/ready",
    "/health",
    "/metrics",
    "/v1/admin/backup",
    "/v1/admin/experiments",
    "/v1/models",
    "/models",
    "/v1/health",
];

/// Headers a page of another origin may read.
const EXPOSED: [&str; 12] = [
    "x-request-id",
    "x-elodex-model-fingerprint",
    "x-elodex-truncated",
    "x-elodex-lane",
    "x-elodex-score-kind",
    "x-elodex-rerank",
    "x-elodex-rerank-reason",
    "x-elodex-experiment",
    "server-timing",
    "retry-after",
    "retry-after-ms",
    "x-should-retry",
];

/// What a path belongs to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mount {
    /// Whose error shape applies.
    pub(crate) dialect: &'static dyn Dialect,
    /// The path for logs and metrics; a constant where it is unknown, so that clients cannot make labels.
    pub(crate) path: &'static str,
}

/// The dialect with a route at `path`, else ZeroEntropy.
pub(crate) fn mount_of(path: &str) -> Mount {
    for dialect in elodex_dialects::all() {
        if let Some(route) = dialect.routes().iter().find(|route| route.path == path) {
            return Mount { dialect, path: route.path };
        }
    }
    let path = OWN_PATHS.into_iter().find(|own| *own == path).unwrap_or("unknown");
    Mount { dialect: &zeroentropy::ZeroEntropy, path }
}

/// Every route of a server around `app`.
pub fn router(app: App) -> Router {
    let mut router = Router::new();
    for dialect in elodex_dialects::all() {
        for route in dialect.routes().iter().copied() {
            let filter = match route.method {
                Method::Get => MethodFilter::GET,
                Method::Post => MethodFilter::POST,
            };
            let handler =
                move |State(app): State<App>, request: Request| calls::answer(app, dialect, route, request);
            router = router.route(route.path, with_fallback(on(filter, handler)));
        }
    }
    router = router
        .route("/", with_fallback(get(|| async { Redirect::temporary("/docs") })))
        .route("/docs", with_fallback(get(openapi::page)))
        .route("/openapi.json", with_fallback(get(openapi::serve_document)))
        .route("/live", with_fallback(get(probes::live)))
        .route("/ready", with_fallback(get(probes::ready)))
        .route("/health", with_fallback(get(probes::ready)))
        .route("/v1/health", with_fallback(get(probes::ready)))
        .route("/metrics", with_fallback(get(metrics)))
        .route("/v1/admin/backup", with_fallback(post(library::backup)))
        .route("/v1/admin/experiments", with_fallback(get(library::experiments)))
        .route("/v1/models", with_fallback(get(models)))
        .route("/models", with_fallback(get(models)))
        .fallback(not_found);
    if let Some(cors) = cors(app.config()) {
        router = router.layer(cors);
    }
    router.layer(from_fn_with_state(app.clone(), observe)).with_state(app)
}

fn with_fallback(methods: MethodRouter<App>) -> MethodRouter<App> {
    methods.fallback(method_not_allowed)
}

/// `None` without origins. Browsers send the headers of generated clients (`X-Stainless-*` and others), so whatever a
/// page asks to send is allowed; the origin is what decides.
fn cors(config: &ServerConfig) -> Option<CorsLayer> {
    if config.cors_origins.is_empty() {
        return None;
    }
    let origins = if config.cors_origins.iter().any(|origin| origin == "*") {
        AllowOrigin::any()
    } else {
        AllowOrigin::list(config.cors_origins.iter().filter_map(|origin| HeaderValue::from_str(origin).ok()))
    };
    let layer = CorsLayer::new()
        .allow_origin(origins)
        .allow_methods([HttpMethod::GET, HttpMethod::POST])
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers(ExposeHeaders::list(EXPOSED.map(HeaderName::from_static)))
        .max_age(Duration::from_secs(3600));
    Some(layer)
}

async fn not_found(uri: Uri) -> Response {
    let shown: String = uri.path().chars().take(100).collect();
    let message = format!("there is nothing at `{shown}`; /docs lists what is served");
    reply::problem(mount_of(uri.path()).dialect, &Problem::new(Fault::NotFound, message))
}

async fn method_not_allowed(method: HttpMethod, uri: Uri) -> Response {
    let message = format!("`{}` does not answer {method}; /docs lists what is served", uri.path());
    let mut response = reply::problem(mount_of(uri.path()).dialect, &Problem::new(Fault::User, message));
    *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
    response
}

async fn metrics(State(app): State<App>, request: Request) -> Response {
    match app.authorise(request.headers(), Permission::ReadOnly) {
        Ok(_) => {
            let counts = library::counts(&app).await;
            let library = app.installed_library();
            let experiments = library.map(|library| library.search.engine.experiments());
            let experiments = experiments.unwrap_or_default();
            let text = app.metrics().render(app.installed_models(), counts, &experiments, app.is_ready());
            reply::with_type(text, "text/plain; version=0.0.4; charset=utf-8")
        }
        Err(problem) => reply::problem(&zeroentropy::ZeroEntropy, &problem),
    }
}

/// Models and aliases, in the shape OpenAI's clients list them.
async fn models(State(app): State<App>, request: Request) -> Response {
    match list_models(&app, &request) {
        Ok(list) => reply::json(list.to_string().into_bytes()),
        Err(problem) => reply::problem(&zeroentropy::ZeroEntropy, &problem),
    }
}

fn list_models(app: &App, request: &Request) -> Result<serde_json::Value, Problem> {
    app.authorise(request.headers(), Permission::ReadOnly)?;
    let registry = app.models()?;
    let mut data: Vec<serde_json::Value> = registry
        .models()
        .map(|model| {
            json!({
                "id": model.name, "object": "model", "created": 0, "owned_by": "elodex",
                "source": model.files.id, "kind": model.service.kind().as_str(),
            })
        })
        .collect();
    data.extend(registry.aliases().map(|(alias, target)| {
        json!({
            "id": alias, "object": "model", "created": 0, "owned_by": "elodex",
            "alias_of": target.model, "role": target.role,
        })
    }));
    Ok(json!({ "object": "list", "data": data }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_have_the_error_shape_of_their_dialect() {
        let dialect = |path: &str| mount_of(path).dialect.name();
        assert_eq!(dialect("/v1/models/embed"), "zeroentropy");
        assert_eq!(dialect("/v1/rerank"), "jina");
        assert_eq!(dialect("/v2/rerank"), "cohere");
        assert_eq!(dialect("/rerank"), "tei");
        assert_eq!(dialect("/v1/embeddings"), "openai");
        assert_eq!(dialect("/no/such"), "zeroentropy");
        assert_eq!(mount_of("/no/such").path, "unknown");
    }
}

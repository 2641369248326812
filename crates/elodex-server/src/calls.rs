//! One handler for every dialect's routes: authenticate, read, translate, resolve, run, translate back.

use crate::app::App;
use crate::keys::Permission;
use crate::metrics::{CallRecord, lane_name};
use crate::observe::Facts;
use crate::registry::{ModelKind, Service};
use crate::{body, info, key_calls, library, reply, tokenize};
use axum::body::Body;
use axum::extract::Request;
use axum::http::header::CACHE_CONTROL;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use elodex_dialects::{Dialect, EmbedCall, Operation, Problem, RerankCall, Route};
use elodex_store::UsageKind;
use elodex_types::{CallContext, Fault, Lane, Timing, Truncation, Usage};
use std::sync::Arc;
use std::time::{Duration, Instant};

const TIMEOUT_HEADER: &str = "x-request-timeout-ms";

/// Bodies from here on are parsed, and answers from here on written, off the threads that serve connections.
const OFFLOAD_BYTES: usize = 64 * 1024;

/// A request on its way: what every step needs to know of it.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) app: App,
    pub(crate) key: Arc<str>,
    pub(crate) deadline: Instant,
    dialect: &'static dyn Dialect,
    request_id: String,
}

/// Answers a request to a dialect's route. What is not said to be kept must not be: it is the key's holder's alone.
pub(crate) async fn answer(
    app: App,
    dialect: &'static dyn Dialect,
    route: Route,
    request: Request,
) -> Response {
    let mut response = answer_or_refuse(app, dialect, route, request).await;
    if !response.headers().contains_key(CACHE_CONTROL) {
        reply::set(&mut response, "cache-control", "no-store");
    }
    response
}

async fn answer_or_refuse(
    app: App,
    dialect: &'static dyn Dialect,
    route: Route,
    request: Request,
) -> Response {
    let (parts, mut body) = request.into_parts();
    let foreign_type = body::foreign_type(&parts.headers).filter(|_| route.operation.takes_body());
    let refusal = match foreign_type {
        Some(found) => {
            let message = format!("the content type is `{found}`; send json as `application/json`");
            let mut response = reply::problem(dialect, &Problem::new(Fault::User, message));
            *response.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
            response
        }
        None => match answer_in_time(&app, dialect, route, &parts, &mut body).await {
            Ok(response) => return response,
            Err(problem) => reply::problem(dialect, &problem),
        },
    };
    body::drain(&mut body, app.config()).await;
    refusal
}

fn longest_body(app: &App, route: Route) -> usize {
    match route.operation {
        Operation::Upload(_) => app.config().document_body_bytes(),
        _ => app.config().body_bytes,
    }
}

async fn answer_in_time(
    app: &App,
    dialect: &'static dyn Dialect,
    route: Route,
    parts: &Parts,
    body: &mut Body,
) -> Result<Response, Problem> {
    let (deadline, timeout) = deadline(&parts.headers, app.config().request_timeout)?;
    let work = run(app, dialect, route, parts, body, deadline);
    tokio::time::timeout_at(deadline.into(), work).await.unwrap_or_else(|_| {
        let message = format!("no answer within {} ms", timeout.as_millis());
        Err(Problem::new(Fault::Deadline, message))
    })
}

async fn run(
    app: &App,
    dialect: &'static dyn Dialect,
    route: Route,
    parts: &Parts,
    body: &mut Body,
    deadline: Instant,
) -> Result<Response, Problem> {
    if let Operation::File(kind) = route.operation {
        let _place = app.enter()?;
        return library::hand_out(app, kind, parts).await;
    }
    let needed = if route.operation.changes() { Permission::All } else { Permission::ReadOnly };
    let caller = app.authorise(&parts.headers, needed)?;
    let facts = parts.extensions.get::<Facts>().cloned().unwrap_or_default();
    facts.set_key(&caller.key);
    if let Operation::Info(render) = route.operation {
        return Ok(reply::json(render(&info::info(app)?)?));
    }
    let _place = app.enter()?;
    let limit = longest_body(app, route);
    let _room = app.reserve_body(body::expected_length(&parts.headers, limit))?;
    let bytes = body::read(body, &parts.headers, limit, app.config()).await?;
    let call = Call {
        app: app.clone(),
        dialect,
        request_id: facts.request_id().to_owned(),
        key: caller.key,
        deadline,
    };
    match route.operation {
        Operation::Embed(parse) => {
            let parsed = offload(bytes.len(), move || parse(&bytes)).await?;
            embed(&call, parsed, &facts).await
        }
        Operation::Rerank(parse) => {
            let parsed = offload(bytes.len(), move || parse(&bytes)).await?;
            rerank(&call, parsed, &facts).await
        }
        Operation::Tokenize(parse) => {
            let parsed = parse(&bytes)?;
            let app = app.clone();
            offload(usize::MAX, move || tokenize::tokenize(&app, &parsed)).await.map(reply::json)
        }
        Operation::Search(parse) => {
            let parsed = offload(bytes.len(), move || parse(&bytes)).await?;
            library::search(&call, parsed, &parts.headers, &facts).await
        }
        Operation::Read(parse) => {
            let parsed = parse(&bytes, parts.uri.query().unwrap_or_default())?;
            library::read(&call, parsed, &parts.headers).await
        }
        Operation::Write(parse) | Operation::Upload(parse) => {
            let parsed = offload(bytes.len(), move || parse(&bytes)).await?;
            library::change(&call, parsed).await
        }
        Operation::Keys(parse) => {
            let parsed = parse(&bytes)?;
            let app = app.clone();
            offload(usize::MAX, move || key_calls::answer(&app, parsed)).await
        }
        Operation::Usage(parse) => library::tell(app, parse(&bytes)?).await,
        _ => Err(Problem::new(Fault::Bug, format!("{} {} is not served", call.dialect.name(), route.path))),
    }
}

/// When the answer is no longer wanted, and how long that is from now.
fn deadline(headers: &HeaderMap, longest: Duration) -> Result<(Instant, Duration), Problem> {
    let now = Instant::now();
    let Some(value) = headers.get(TIMEOUT_HEADER) else { return Ok((now + longest, longest)) };
    let milliseconds: Option<u64> = value.to_str().ok().and_then(|value| value.trim().parse().ok());
    match milliseconds.filter(|milliseconds| *milliseconds > 0) {
        Some(milliseconds) => {
            let timeout = Duration::from_millis(milliseconds).min(longest);
            Ok((now + timeout, timeout))
        }
        None => {
            let shown: String = String::from_utf8_lossy(value.as_bytes()).chars().take(40).collect();
            let message =
                format!("{TIMEOUT_HEADER} is `{shown}`; send a whole number of milliseconds above 0");
            Err(Problem::new(Fault::User, message))
        }
    }
}

/// Runs `work` here when it is small and on a blocking thread when it is not. A panic in it panics here.
async fn offload<T: Send + 'static>(bytes: usize, work: impl FnOnce() -> T + Send + 'static) -> T {
    if bytes < OFFLOAD_BYTES {
        return work();
    }
    let span = tracing::Span::current();
    match tokio::task::spawn_blocking(move || span.in_scope(work)).await {
        Ok(value) => value,
        // Blocking tasks are never aborted, so this is a panic; passing it on lets one place answer for all.
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

impl Call {
    fn context(&self) -> CallContext {
        CallContext { key: Arc::clone(&self.key), deadline: Some(self.deadline) }
    }
}

async fn embed(call: &Call, parsed: EmbedCall, facts: &Facts) -> Result<Response, Problem> {
    let EmbedCall { mut request, shape } = parsed;
    let (model, role) = call.app.models()?.resolve(&request.model, ModelKind::Embedder, request.role)?;
    let Service::Embed(service) = &model.service else {
        return Err(Problem::new(Fault::Bug, format!("`{}` is no embedder", model.name)));
    };
    facts.set_model(&model.name);
    request.role = role;
    let bytes = billed(request.inputs.iter().map(String::len));
    request.latency = call.app.rates().admit(&call.key, request.latency, bytes, Instant::now())?;

    let response = service.submit(request, call.context()).map_err(refused)?.await.map_err(refused)?;

    let receipt = Receipt {
        kind: UsageKind::Embed,
        model: &model.name,
        usage: response.usage,
        lane: response.lane,
        timing: response.timing,
        truncated: count_cut(&response.truncations),
    };
    let fingerprint = response.fingerprint.to_string();
    let size = response.embeddings.iter().map(|vector| vector.len() * 4).sum();
    let request_id = call.request_id.clone();
    let body = offload(size, move || shape.render(&response, &request_id)).await?;
    let mut response = reply::json(body);
    reply::set(&mut response, "x-elodex-model-fingerprint", &fingerprint);
    receipt.attach(&call.app, &mut response);
    Ok(response)
}

async fn rerank(call: &Call, parsed: RerankCall, facts: &Facts) -> Result<Response, Problem> {
    let RerankCall { mut request, shape } = parsed;
    let (model, _) = call.app.models()?.resolve(&request.model, ModelKind::Reranker, None)?;
    let Service::Rerank(service) = &model.service else {
        return Err(Problem::new(Fault::Bug, format!("`{}` is no reranker", model.name)));
    };
    facts.set_model(&model.name);
    let bytes = billed(request.documents.iter().map(|document| request.query.len() + document.len()));
    request.latency = call.app.rates().admit(&call.key, request.latency, bytes, Instant::now())?;

    let response = service.submit(request, call.context()).map_err(refused)?.await.map_err(refused)?;

    let receipt = Receipt {
        kind: UsageKind::Rerank,
        model: &model.name,
        usage: response.usage,
        lane: response.lane,
        timing: response.timing,
        truncated: count_cut(&response.truncations),
    };
    let kind = response.results.first().map(|ranked| ranked.score.kind);
    let request_id = call.request_id.clone();
    // An answer may echo its documents, so its size is that of the request.
    let size = usize::try_from(bytes).unwrap_or(usize::MAX);
    let body = offload(size, move || shape.render(&response, &request_id)).await?;
    let mut response = reply::json(body);
    if let Some(kind) = kind.and_then(|kind| serde_json::to_value(kind).ok()) {
        reply::set(&mut response, "x-elodex-score-kind", kind.as_str().unwrap_or_default());
    }
    receipt.attach(&call.app, &mut response);
    Ok(response)
}

/// What the client is told of an engine's error. The causes of a fault of ours go to the log only.
fn refused(error: elodex_engine::Error) -> Problem {
    if matches!(error.fault(), Fault::Bug | Fault::Upstream) {
        tracing::error!(error = error.report(), "a call failed");
    }
    Problem::from(error)
}

/// Bytes as [`Usage::bytes`] counts them.
pub(crate) fn billed(lengths: impl Iterator<Item = usize>) -> u64 {
    lengths.map(|length| 150 + length as u64).sum()
}

fn count_cut(truncations: &[Truncation]) -> usize {
    truncations.iter().filter(|truncation| truncation.cut()).count()
}

/// What a client is told about a call besides its answer.
struct Receipt<'a> {
    kind: UsageKind,
    model: &'a str,
    usage: Usage,
    lane: Lane,
    timing: Timing,
    truncated: usize,
}

impl Receipt<'_> {
    fn attach(&self, app: &App, response: &mut Response) {
        if self.truncated > 0 {
            reply::set(response, "x-elodex-truncated", &self.truncated.to_string());
        }
        reply::set(response, "x-elodex-lane", lane_name(self.lane));
        let milliseconds = |duration: Duration| duration.as_secs_f64() * 1000.0;
        let timing = format!(
            "inference;dur={:.3}, engine;dur={:.3}",
            milliseconds(self.timing.inference),
            milliseconds(self.timing.total)
        );
        reply::set(response, "server-timing", &timing);
        if let Some(library) = app.installed_library() {
            library.search.engine.record_usage(self.kind, self.model, self.usage.bytes);
        }
        app.metrics().call(CallRecord {
            model: self.model,
            lane: self.lane,
            usage: self.usage,
            timing: self.timing,
            truncated: self.truncated,
        });
    }
}

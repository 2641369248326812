//! Answering a search.

use super::{Library, base_url};
use crate::app::App;
use crate::calls::{Call, billed};
use crate::observe::Facts;
use crate::registry::ModelKind;
use crate::reply;
use axum::http::HeaderMap;
use axum::response::Response;
use elodex_dialects::{Problem, SearchCall};
use elodex_search::MOST_RERANKED;
use elodex_types::{Assignment, CallContext, Latency, Rerank, RerankStatus, SearchRequest, SearchTiming};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What experiments split traffic by where it is sent, such as a user's or a session's id.
const EXPERIMENT_KEY: &str = "x-elodex-experiment-key";

/// How much sooner than the client's patience ends the engine must have done its best, so that the answer arrives.
const LONGEST_MARGIN: Duration = Duration::from_millis(50);

/// Characters of a reason that go into a header.
const LONGEST_REASON: usize = 300;

pub(crate) async fn search(
    call: &Call,
    parsed: SearchCall,
    headers: &HeaderMap,
    facts: &Facts,
) -> Result<Response, Problem> {
    let SearchCall { mut request, thorough, budget, shape } = parsed;
    let library = call.app.library()?;
    let lane = if thorough { Latency::Slow } else { Latency::Fast };
    let charged = billed(std::iter::once(sent(&request)));
    let lane = call.app.rates().admit(&call.key, lane, charged, Instant::now())?;
    if thorough {
        spend_more(&mut request, library, &call.app)?;
    }
    request.experiment_key = experiment_key(headers);
    let context = CallContext { key: Arc::clone(&call.key), deadline: Some(deadline(call.deadline, budget)) };
    let mut response = library.ask(move |engine| engine.search(&request, &context)).await?;

    let owed = response.usage.bytes.saturating_sub(charged);
    call.app.rates().owe(&call.key, lane, owed, Instant::now());
    if let Some(reranker) = &response.reranker {
        facts.set_model(reranker);
    }
    let base = base_url(call.app.config(), headers);
    for hit in &mut response.hits {
        hit.file_url = library.file_url(&base, hit.revision);
    }
    let (rerank, why_not) = rerank_facts(&response.rerank);
    call.app.metrics().search(&response.timing, rerank);
    let mut answer = reply::json(shape.render(&response)?);
    reply::set(&mut answer, "x-elodex-rerank", rerank);
    if let Some(reason) = why_not {
        reply::set(&mut answer, "x-elodex-rerank-reason", &in_a_header(reason));
    }
    if response.query_truncation.is_some() {
        reply::set(&mut answer, "x-elodex-truncated", "1");
    }
    if let Some(Assignment { experiment, arm }) = &response.experiment {
        reply::set(&mut answer, "x-elodex-experiment", &format!("{experiment}={}", arm.as_str()));
    }
    if let Some(kind) = response.score_kind.and_then(|kind| serde_json::to_value(kind).ok()) {
        reply::set(&mut answer, "x-elodex-score-kind", kind.as_str().unwrap_or_default());
    }
    reply::set(&mut answer, "server-timing", &server_timing(&response.timing));
    Ok(answer)
}

/// The key as it was sent; it is only hashed, so what is no text does as well.
fn experiment_key(headers: &HeaderMap) -> Option<String> {
    let key = headers.get(EXPERIMENT_KEY).filter(|key| !key.is_empty())?;
    Some(String::from_utf8_lossy(key.as_bytes()).into_owned())
}

/// Bytes of the texts that a search is asked with.
fn sent(request: &SearchRequest) -> usize {
    let turns: usize = request.messages.iter().map(|turn| turn.content.len()).sum();
    turns + request.query.as_ref().map_or(0, String::len)
}

/// Compares with every vector, and reranks twice the candidates: by the deployment's reranker where one is served and
/// none was named. No depth of the lists is named: they are as deep as the reranker's and grow where that is too little.
fn spend_more(request: &mut SearchRequest, library: &Library, app: &App) -> Result<(), Problem> {
    request.exact = true;
    let default_is_served = app.models()?.resolve("", ModelKind::Reranker, None).is_ok();
    let (model, depth) = match std::mem::take(&mut request.rerank) {
        Rerank::On { model, depth } => (model, depth),
        Rerank::Auto { model } if model.is_some() || default_is_served => (model, None),
        Rerank::Auto { .. } => return Ok(()),
        Rerank::Off if default_is_served && request.query.is_some() => (None, None),
        Rerank::Off => return Ok(()),
    };
    let depth = depth.unwrap_or(library.search.rerank_depth).saturating_mul(2).max(request.k);
    request.rerank = Rerank::On { model, depth: Some(depth.clamp(1, MOST_RERANKED)) };
    Ok(())
}

/// When the engine has to answer with what it has: within the request's own budget, and a little before the request
/// is given up.
fn deadline(given_up: Instant, budget: Option<Duration>) -> Instant {
    let now = Instant::now();
    let left = given_up.saturating_duration_since(now);
    let left = left - LONGEST_MARGIN.min(left / 10);
    now + budget.map_or(left, |budget| budget.min(left))
}

/// What the second stage did, and why not all.
fn rerank_facts(status: &RerankStatus) -> (&'static str, Option<&str>) {
    match status {
        RerankStatus::Full => ("full", None),
        RerankStatus::Partial { reason, .. } => ("partial", Some(reason)),
        RerankStatus::Skipped { reason } => ("skipped", Some(reason)),
    }
}

/// The beginning of a message, with what no header may hold as `?`.
fn in_a_header(message: &str) -> String {
    let plain = |letter: char| if matches!(letter, ' '..='~') { letter } else { '?' };
    message.chars().take(LONGEST_REASON).map(plain).collect()
}

fn server_timing(timing: &SearchTiming) -> String {
    let stages = [
        ("conversation", timing.conversation),
        ("embed", timing.embed),
        ("dense", timing.dense),
        ("lexical", timing.lexical),
        ("fuse", timing.fuse),
        ("rerank", timing.rerank),
        ("engine", timing.total),
    ];
    let entry = |(name, took): (&str, Duration)| format!("{name};dur={:.3}", took.as_secs_f64() * 1000.0);
    stages.map(entry).join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_engine_answers_before_the_client_gives_up() {
        let given_up = Instant::now() + Duration::from_secs(10);
        let usual = deadline(given_up, None);
        assert!(usual < given_up && usual > given_up - 2 * LONGEST_MARGIN);
        assert!(deadline(given_up, Some(Duration::from_secs(1))) < given_up - Duration::from_secs(8));
        assert!(deadline(given_up, Some(Duration::from_secs(99))) <= usual + Duration::from_secs(1));
        let soon = Instant::now() + Duration::from_millis(10);
        assert!(deadline(soon, None) <= soon);
    }
}

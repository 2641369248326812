//! Golden pairs: every file under `golden/<dialect>/` is one case.
//!
//! A case names a `route` and then has either
//! - a `request` (or `request_text` for a body that is not JSON) and what it is read as: `call`, or `error`;
//!   with a `response` of the engine, also the `answer` it is written as, compared byte for byte; or
//! - a `failure` from a layer below and the `error` it is written as.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod store;

use elodex_dialects::tei::{Info, InfoModel, ModelType, Pooling, Token};
use elodex_dialects::{Dialect, ErrorReply, Operation, Problem, all};
use elodex_types::{
    EmbedRequest, EmbedResponse, Fault, Lane, Latency, Ranked, RerankRequest, RerankResponse, Score,
    ScoreKind, SpaceFingerprint, Timing, Truncation, Usage,
};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::Duration;

const REQUEST_ID: &str = "req-1";
const CANONICAL_MODEL: &str = "org/canonical";

fn folder(dialect: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden").join(dialect)
}

fn run_folder(dialect: &dyn Dialect) {
    let mut paths: Vec<_> =
        std::fs::read_dir(folder(dialect.name())).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(paths.len() >= 8, "{} has only {} cases", dialect.name(), paths.len());
    for path in paths {
        let case: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        run_case(dialect, &case, &path.display().to_string());
    }
}

#[test]
fn zeroentropy() {
    run_folder(all()[0]);
}

#[test]
fn openai() {
    run_folder(all()[1]);
}

#[test]
fn cohere() {
    run_folder(all()[2]);
}

#[test]
fn jina() {
    run_folder(all()[3]);
}

#[test]
fn tei() {
    run_folder(all()[4]);
}

#[test]
fn elodex() {
    run_folder(all()[5]);
}

#[test]
fn every_dialect_has_its_own_paths_and_folder() {
    let mut seen = std::collections::HashSet::new();
    for dialect in all() {
        assert!(folder(dialect.name()).is_dir(), "{}", dialect.name());
        for route in dialect.routes() {
            assert!(seen.insert((route.method, route.path)), "{} is served twice", route.path);
        }
    }
    let folders = std::fs::read_dir(folder("")).unwrap().count();
    assert_eq!(folders, all().len(), "a folder without a dialect");
}

fn run_case(dialect: &dyn Dialect, case: &Value, name: &str) {
    if let Some(failure) = case.get("failure") {
        let problem = Problem {
            retry_after: failure["retry_after_ms"].as_u64().map(Duration::from_millis),
            ..Problem::new(fault(text(&failure["fault"])), text(&failure["message"]))
        };
        return check_error(&dialect.render_error(&problem), &case["error"], name);
    }
    let path = text(&case["route"]);
    let route =
        dialect.routes().iter().find(|route| route.path == path).unwrap_or_else(|| panic!("{name}: {path}"));
    let body = match case.get("request_text") {
        Some(raw) => text(raw).as_bytes().to_vec(),
        None => serde_json::to_vec(&case["request"]).unwrap(),
    };
    let outcome = match route.operation {
        Operation::Embed(read) => read(&body).map(|call| {
            let answer =
                case.get("response").map(|response| call.shape.render(&embedded(response), REQUEST_ID));
            (embed_json(&call.request), answer)
        }),
        Operation::Rerank(read) => read(&body).map(|call| {
            let answer =
                case.get("response").map(|response| call.shape.render(&reranked(response), REQUEST_ID));
            (rerank_json(&call.request), answer)
        }),
        Operation::Tokenize(read) => read(&body).map(|call| {
            let answer = case.get("response").map(|response| call.render(&tokens(response)));
            let call = json!({"model": call.model, "role": call.role, "inputs": call.inputs,
                "add_special_tokens": call.add_special_tokens});
            (call, answer)
        }),
        Operation::Info(render) => Ok((Value::Null, Some(render(&info())))),
        operation => store::run(operation, &body, case),
    };
    match outcome {
        Ok((call, answer)) => {
            assert_eq!(call, case["call"], "{name}: call");
            match answer {
                Some(Ok(answer)) => {
                    assert_eq!(
                        String::from_utf8(answer).unwrap(),
                        case["answer"].to_string(),
                        "{name}: answer"
                    );
                }
                Some(Err(problem)) => check_error(&dialect.render_error(&problem), &case["error"], name),
                None => assert!(case.get("answer").is_none(), "{name}: an answer without a response"),
            }
        }
        Err(problem) => check_error(&dialect.render_error(&problem), &case["error"], name),
    }
}

fn check_error(reply: &ErrorReply, expected: &Value, name: &str) {
    let body = String::from_utf8(reply.body.clone()).unwrap();
    assert_eq!(body, expected["body"].to_string(), "{name}: error body");
    assert_eq!(reply.status, expected["status"], "{name}: status");
    let headers: serde_json::Map<_, _> = reply
        .retry
        .headers()
        .into_iter()
        .map(|(header, value)| (header.into(), Value::String(value)))
        .collect();
    assert_eq!(
        Value::Object(headers),
        expected.get("headers").cloned().unwrap_or(json!({})),
        "{name}: headers"
    );
}

pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn fault(name: &str) -> Fault {
    let faults = [
        Fault::User,
        Fault::Shape,
        Fault::Unauthenticated,
        Fault::Forbidden,
        Fault::NotFound,
        Fault::Conflict,
        Fault::TooLarge,
        Fault::Overload,
        Fault::Unavailable,
        Fault::Deadline,
        Fault::Upstream,
        Fault::Bug,
    ];
    faults.into_iter().find(|fault| format!("{fault:?}") == name).unwrap()
}

fn embed_json(request: &EmbedRequest) -> Value {
    let EmbedRequest { model, role, inputs, dimensions, truncation, latency } = request;
    json!({"model": model, "role": role, "inputs": inputs, "dimensions": dimensions, "truncation": truncation,
        "latency": latency_name(*latency)})
}

fn rerank_json(request: &RerankRequest) -> Value {
    let RerankRequest { model, query, documents, top_n, truncation, latency } = request;
    json!({"model": model, "query": query, "documents": documents, "top_n": top_n, "truncation": truncation,
        "latency": latency_name(*latency)})
}

fn latency_name(latency: Latency) -> Value {
    serde_json::to_value(latency).unwrap()
}

pub(crate) fn number(value: &Value) -> f32 {
    match value {
        Value::String(name) => name.parse().unwrap(),
        value => value.as_f64().unwrap() as f32,
    }
}

pub(crate) fn usage(response: &Value) -> Usage {
    serde_json::from_value(response["usage"].clone()).unwrap()
}

fn receipt(value: &Value) -> Truncation {
    serde_json::from_value(value.clone()).unwrap_or(Truncation { seen: 3, used: 3 })
}

fn embedded(response: &Value) -> EmbedResponse {
    let vectors = response["embeddings"].as_array().unwrap();
    EmbedResponse {
        model: CANONICAL_MODEL.into(),
        role: None,
        embeddings: vectors
            .iter()
            .map(|vector| vector.as_array().unwrap().iter().map(number).collect())
            .collect(),
        fingerprint: SpaceFingerprint::new([7; 32]),
        truncations: (0..vectors.len()).map(|index| receipt(&response["truncations"][index])).collect(),
        usage: usage(response),
        lane: Lane::Fast,
        timing: Timing::default(),
    }
}

fn reranked(response: &Value) -> RerankResponse {
    let ranked = response["results"].as_array().unwrap().iter().map(|ranked| Ranked {
        index: ranked["index"].as_u64().unwrap() as usize,
        score: Score { value: number(&ranked["score"]), kind: ScoreKind::Relevance },
        logit: number(&ranked["logit"]),
        span: None,
    });
    RerankResponse {
        model: CANONICAL_MODEL.into(),
        results: ranked.collect(),
        truncations: response["truncations"].as_array().into_iter().flatten().map(receipt).collect(),
        usage: usage(response),
        lane: if response["lane"] == "slow" { Lane::Slow } else { Lane::Fast },
        timing: Timing { total: Duration::from_millis(125), inference: Duration::from_micros(62_500) },
    }
}

fn tokens(response: &Value) -> Vec<Vec<Token>> {
    let token = |token: &Value| Token {
        id: token["id"].as_u64().unwrap() as u32,
        text: text(&token["text"]).into(),
        special: token["special"].as_bool().unwrap(),
        start: token["start"].as_u64().map(|start| start as usize),
        stop: token["stop"].as_u64().map(|stop| stop as usize),
    };
    response
        .as_array()
        .unwrap()
        .iter()
        .map(|list| list.as_array().unwrap().iter().map(token).collect())
        .collect()
}

fn info() -> Info {
    Info {
        model: InfoModel {
            model_id: "org/model".into(),
            model_sha: None,
            model_dtype: "float32".into(),
            served_model_name: "model".into(),
            model_type: ModelType::Embedding(Pooling { pooling: "mean".into() }),
        },
        max_concurrent_requests: 512,
        max_input_length: 256,
        max_batch_tokens: 16384,
        max_batch_requests: None,
        max_client_batch_size: 2048,
        auto_truncate: false,
        tokenization_workers: 2,
        version: "0.1.0".into(),
        sha: None,
        docker_label: None,
    }
}

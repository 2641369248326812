//! What a search may use: a key's allowance, the queues of the models, and time.

use crate::searches::{filled, filled_with, paths};
use crate::support::{Answer, KEY, Options, Server, long_embed};
use elodex_engine::EngineLimits;
use elodex_server::RateLimits;
use serde_json::{Value, json};
use std::io::Write as _;
use std::net::TcpStream;

fn search(server: &Server, extra: &Value) -> Answer {
    let mut body = json!({"collection": "c", "query": "night"});
    body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    server.post("/v1/search", &body)
}

fn top_documents(server: &Server, mode: &str) -> Answer {
    let body = json!({"collection_name": "c", "query": "night", "k": 3, "latency_mode": mode});
    server.post("/v1/queries/top-documents", &body)
}

#[track_caller]
fn assert_over_the_limit(answer: &Answer, lane: &str) {
    assert_eq!(answer.status, 429, "{}", answer.text);
    let wait: u64 = answer.header("retry-after-ms").unwrap().parse().unwrap();
    assert!((1..=60_000).contains(&wait), "{wait}");
    assert!(answer.header("retry-after").is_some());
    assert!(answer.text.contains(&format!("over its {lane} limit")), "{}", answer.text);
}

fn limited(rates: RateLimits) -> Server {
    filled_with(Options { key: Some(KEY), rates, ..Options::default() })
}

#[test]
fn each_search_is_a_request_of_its_lane() {
    let server =
        limited(RateLimits { fast_bytes: None, fast_requests: Some(2), slow_bytes: Some(1_000_000) });
    top_documents(&server, "low").ok();
    search(&server, &json!({})).ok();
    assert_over_the_limit(&top_documents(&server, "low"), "fast");
    assert_over_the_limit(&search(&server, &json!({})), "fast");
    top_documents(&server, "high").ok();
    let other = server.make_key("read_only");
    server.post_as(&other, "/v1/search", &json!({"collection": "c", "query": "night"})).ok();
}

#[test]
fn the_bytes_of_queries_are_charged() {
    let server = limited(RateLimits { fast_bytes: Some(2_000), fast_requests: None, slow_bytes: Some(500) });
    let query = "night ".repeat(200);
    let turns = json!([{"role": "user", "content": query}]);
    search(&server, &json!({"messages": turns})).ok();
    assert_over_the_limit(&search(&server, &json!({"query": query})), "fast");
    top_documents(&server, "high").ok();
    let never = search(&server, &json!({"query": "x".repeat(2_000)}));
    assert_eq!(never.status, 413, "{}", never.text);
}

#[test]
fn what_the_reranker_read_is_charged_afterwards() {
    let server = limited(RateLimits { fast_bytes: Some(700), fast_requests: None, slow_bytes: Some(700) });
    let used = search(&server, &json!({"rerank": true})).ok()["usage"]["bytes"].as_u64().unwrap();
    assert!(used > 700, "{used}");
    assert_over_the_limit(&search(&server, &json!({})), "fast");
    top_documents(&server, "high").ok();
    assert_over_the_limit(&top_documents(&server, "high"), "slow");
}

#[test]
fn a_full_queue_is_told_with_a_time_to_come_back() {
    const MANY: usize = 20_000;
    let fill = |server: &Server| {
        let body = long_embed(MANY).to_string();
        let mut stream = TcpStream::connect(server.address).unwrap();
        write!(
            stream,
            "POST /v1/models/embed HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        server.wait_until("the long call starts", |stats| stats.result_bytes > 100_000);
        stream
    };
    let server = Server::start(Options::default());
    let stream = fill(&server);
    let answers = server.stats().result_bytes;
    drop((stream, server));

    // Room for the answers of the long call and no other.
    let options = Options::default();
    let limits = EngineLimits { result_bytes: answers, ..options.limits.clone() };
    let server = filled_with(Options { limits, ..options });
    let stream = fill(&server);
    let refused = search(&server, &json!({}));
    assert_eq!(refused.status, 503, "{}", refused.text);
    assert!(refused.header("retry-after-ms").is_some() && refused.header("retry-after").is_some());
    assert!(refused.text.contains("try again later"), "{}", refused.text);
    let by_words = search(&server, &json!({"list": "lexical", "rerank": true})).ok();
    assert_eq!(by_words["rerank_status"]["status"], json!("full"), "only the embedder is busy");
    drop(stream);
    server.wait_until("the work is cancelled", |stats| stats.result_bytes == 0);
    search(&server, &json!({})).ok();
}

#[test]
fn a_deadline_without_end_or_without_time_is_kept() {
    let server = filled();
    let whole = search(&server, &json!({"deadline_ms": u64::MAX, "rerank": true})).ok();
    assert_eq!(whole["rerank_status"]["status"], json!("full"));
    // In one millisecond a search is done, or says what it was doing.
    let hasty = search(&server, &json!({"deadline_ms": 1, "rerank": true}));
    assert!([200, 504].contains(&hasty.status), "{}", hasty.text);
    assert!(hasty.status == 200 || hasty.text.contains("the deadline passed while"), "{}", hasty.text);
}

#[test]
fn more_is_asked_for_than_there_is() {
    let server = filled();
    for unit in ["documents", "pages", "chunks", "passages"] {
        let answer =
            search(&server, &json!({"k": 2_048, "unit": unit, "rerank": true, "list": "dense"})).ok();
        let mut found = paths(&answer["results"]);
        found.sort_unstable();
        found.dedup();
        assert_eq!(found.len(), 4, "{unit}");
    }
    server.make_collection("empty");
    for (path, body) in [
        ("/v1/search", json!({"collection": "empty", "query": "night", "rerank": true, "threshold": 0.5})),
        ("/v1/queries/top-documents", json!({"collection_name": "empty", "query": null, "k": 2_048})),
        (
            "/v1/queries/top-pages",
            json!({"collection_name": "empty", "query": "x", "k": 9, "latency_mode": "high"}),
        ),
        (
            "/v1/queries/top-snippets",
            json!({"collection_name": "empty", "query": "x", "k": 9, "reranker": "cross"}),
        ),
    ] {
        assert_eq!(server.post(path, &body).ok()["results"], json!([]), "{path}");
    }
}

#[test]
fn what_is_not_asked_for_is_not_sent() {
    let server = filled();
    for (content, metadata, explain) in
        [(true, true, true), (true, false, false), (false, true, false), (false, false, true)]
    {
        let body = json!({"include_content": content, "include_metadata": metadata, "explain": explain});
        let answer = search(&server, &body).ok();
        for result in answer["results"].as_array().unwrap() {
            assert_eq!(result["content"].is_string(), content, "{result}");
            assert_eq!(result["metadata"].is_object(), metadata, "{result}");
            assert_eq!(result.get("explanation").is_some(), explain, "{result}");
        }
        let body = json!({"collection_name": "c", "query": "night", "k": 4, "include_content": content,
            "include_metadata": metadata});
        let answer = server.post("/v1/queries/top-pages", &body).ok();
        assert!(!answer["results"].as_array().unwrap().is_empty());
        for page in answer["results"].as_array().unwrap() {
            assert_eq!((page["content"].is_string(), page.get("image_url")), (content, Some(&Value::Null)));
        }
        for document in answer["document_results"].as_array().unwrap() {
            assert_eq!(document["metadata"].is_object(), metadata, "{document}");
            assert!(document["file_url"].is_string());
        }
    }
}

#[test]
fn one_long_document_does_not_hide_the_others_from_a_thorough_search() {
    let server = filled();
    let long = "At night the lamp burns and the night is long and dark. ".repeat(900);
    server.add("c", "long.txt", &long, json!({}));
    server.wait_until_indexed("c");
    for mode in ["low", "high"] {
        let body = json!({"collection_name": "c", "query": "night", "k": 5, "latency_mode": mode});
        let answer = server.post("/v1/queries/top-documents", &body).ok();
        assert_eq!(answer["results"].as_array().unwrap().len(), 5, "{mode}");
    }
}

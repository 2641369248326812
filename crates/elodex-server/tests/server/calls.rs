//! Answers, and what comes beside them.

use crate::support::{KEY, Options, Server, embed};
use serde_json::{Value, json};

fn width(vector: &Value) -> usize {
    vector.as_array().unwrap().len()
}

#[test]
fn every_dialect_gives_the_same_vector() {
    let server = Server::start(Options::default());
    let texts = json!(["hello world", "a second text"]);
    let ours = server.post("/v1/models/embed", &embed(&["hello world", "a second text"])).ok();
    let expected = &ours["results"][0]["embedding"];
    assert!(width(expected) > 0);
    assert_eq!(server.post("/models/embed", &embed(&["hello world", "a second text"])).ok(), ours);

    let openai = json!({"model": "tiny:document", "input": texts});
    for path in ["/v1/embeddings", "/embeddings"] {
        let answer = server.post(path, &openai).ok();
        assert_eq!(&answer["data"][0]["embedding"], expected, "{path}");
    }
    let cohere = json!({
        "model": "tiny", "texts": texts, "input_type": "search_document", "embedding_types": ["float"],
    });
    assert_eq!(&server.post("/v2/embed", &cohere).ok()["embeddings"]["float"][0], expected);
    let tei = json!({"inputs": texts, "prompt_name": "document"});
    assert_eq!(&server.post("/embed", &tei).ok()[0], expected);
}

#[test]
fn every_dialect_gives_the_same_ranking() {
    let server = Server::start(Options::default());
    let documents = json!(["ships at night", "bread", "the lighthouse keeper counts ships"]);
    let body = json!({"model": "zerank-2", "query": "who counts ships?", "documents": documents});
    let ours = server.post("/v1/models/rerank", &body).ok();
    let ranking = |answer: &Value, score: &str| -> Vec<(u64, f64)> {
        let results = answer.as_array().unwrap().iter();
        results.map(|result| (result["index"].as_u64().unwrap(), result[score].as_f64().unwrap())).collect()
    };
    let expected = ranking(&ours["results"], "relevance_score");
    assert_eq!(expected.len(), 3);
    assert!(expected.is_sorted_by(|a, b| a.1 >= b.1), "{expected:?}");
    for path in ["/models/rerank", "/v1/rerank", "/v2/rerank"] {
        let answer = server.post(path, &body).ok();
        assert_eq!(ranking(&answer["results"], "relevance_score"), expected, "{path}");
    }
    let tei = json!({"query": "who counts ships?", "texts": documents});
    assert_eq!(ranking(&server.post("/rerank", &tei).ok(), "score"), expected);

    let none = json!({"model": "cross", "query": "q", "documents": ["d"], "top_n": 0});
    assert_eq!(server.post("/v1/models/rerank", &none).ok()["results"], json!([]));
}

#[test]
fn headers_tell_what_happened() {
    let server = Server::start(Options::default());
    let long = "word ".repeat(5_000);
    let body = embed(&["short", &long]).to_string().into_bytes();
    let headers = [("content-type", "application/json; charset=utf-8"), ("x-request-id", "trace-7")];
    let answer = server.send("/v1/models/embed", body, &headers);
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(answer.header("x-request-id"), Some("trace-7"));
    assert_eq!(answer.header("x-elodex-truncated"), Some("1"));
    assert_eq!(answer.header("x-elodex-model-fingerprint").unwrap().len(), 64);
    assert!(answer.header("server-timing").unwrap().starts_with("inference;dur="));
    assert!(["fast", "slow"].contains(&answer.header("x-elodex-lane").unwrap()));

    let answer = server.post("/v1/models/embed", &embed(&["short"]));
    assert_eq!(answer.header("x-elodex-truncated"), None);
    assert_eq!(answer.header("x-request-id").unwrap().len(), 32);

    let rerank = json!({"model": "cross", "query": "q", "documents": ["d", long, long], "top_n": 1});
    let answer = server.post("/v1/models/rerank", &rerank);
    assert_eq!(answer.header("x-elodex-score-kind"), Some("relevance"));
    assert_eq!(answer.header("x-elodex-truncated"), Some("2"), "also those that `top_n` leaves out");
}

#[test]
fn tokens_and_facts() {
    let server = Server::start(Options::default());
    let answer =
        server.post("/tokenize", &json!({"inputs": ["hello world"], "add_special_tokens": true})).ok();
    let tokens = answer[0].as_array().unwrap();
    assert_eq!((&tokens[0]["special"], &tokens[0]["start"]), (&json!(true), &Value::Null));
    let content: Vec<&Value> = tokens.iter().filter(|token| token["special"] == json!(false)).collect();
    assert_eq!(content.first().unwrap()["start"], json!(0));
    assert_eq!(content.last().unwrap()["stop"], json!(11));
    let bare = server.post("/tokenize", &json!({"inputs": "hello world", "add_special_tokens": false})).ok();
    assert_eq!(bare[0].as_array().unwrap().len(), content.len());

    let info = server.get("/info").ok();
    assert_eq!(info["served_model_name"], json!("tiny"));
    assert_eq!(info["model_dtype"], json!("float32"));
    assert!(info["max_input_length"].as_u64().unwrap() > 0);

    let listed = server.get("/v1/models").ok();
    let names: Vec<&str> =
        listed["data"].as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap()).collect();
    assert_eq!(names, ["cross", "tiny", "asks", "zembed-1", "zerank-2"]);
}

#[test]
fn metrics_count_what_was_served() {
    let server = Server::start(Options { key: Some(KEY), ..Options::default() });
    server.post("/v1/models/embed", &embed(&["one", "two"])).ok();
    server.post("/v1/models/embed", &json!({"model": "no-such-model", "input_type": "query", "input": "x"}));
    server.get("/no/such/path");
    let answer = server.get("/metrics");
    assert_eq!(answer.status, 200);
    assert!(answer.header("content-type").unwrap().starts_with("text/plain"));
    for line in [
        r#"elodex_http_requests_total{dialect="zeroentropy",path="/v1/models/embed",status="200"} 1"#,
        r#"elodex_http_requests_total{dialect="zeroentropy",path="/v1/models/embed",status="404"} 1"#,
        r#"elodex_http_requests_total{dialect="zeroentropy",path="unknown",status="404"} 1"#,
        r#"elodex_call_bytes_total{model="tiny"} 306"#,
        r#"elodex_ready 1"#,
        r#"elodex_in_flight_requests{model="tiny"} 0"#,
        r#"elodex_queued_bytes{model="cross"} 0"#,
    ] {
        assert!(answer.text.contains(line), "{line} is not in\n{}", answer.text);
    }
    assert!(!answer.text.contains(KEY) && !answer.text.contains("no-such-model"));
}

#[test]
fn the_description_and_its_page_are_served() {
    let server = Server::start(Options { key: Some(KEY), ..Options::default() });
    let document = server.as_stranger("/openapi.json", None, None).ok();
    assert_eq!(document["openapi"], json!("3.1.0"));
    assert!(document["paths"]["/v1/models/embed"]["post"].is_object());
    let page = server.as_stranger("/", None, None);
    assert_eq!(page.status, 200);
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    assert!(page.header("content-security-policy").unwrap().contains("default-src 'none'"));
}

#[test]
fn pages_of_allowed_origins_may_call() {
    let origins = vec!["https://app.example".to_owned()];
    let server = Server::start(Options { key: Some(KEY), cors_origins: origins, ..Options::default() });
    let asks_for = "authorization,content-type,x-stainless-lang,x-stainless-retry-count";
    let answer = server.preflight("/v1/models/embed", "https://app.example", asks_for);
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("access-control-allow-origin"), Some("https://app.example"));
    assert_eq!(answer.header("access-control-allow-headers"), Some(asks_for));
    let other = server.preflight("/v1/models/embed", "https://evil.example", asks_for);
    assert_eq!(other.header("access-control-allow-origin"), None);
}

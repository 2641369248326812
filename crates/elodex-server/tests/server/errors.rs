//! Refusals: each in the shape of the dialect that owns the path.

use crate::support::{KEY, Options, Server, embed, long_embed};
use elodex_server::RateLimits;
use serde_json::json;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

const JSON: [(&str, &str); 1] = [("content-type", "application/json")];

#[test]
fn without_a_key_nothing_is_answered() {
    let server = Server::start(Options { key: Some(KEY), ..Options::default() });
    let body = embed(&["x"]);
    for authorization in [None, Some("Bearer"), Some("Bearer wrong"), Some("Basic abc"), Some(KEY)] {
        let answer = server.as_stranger("/v1/models/embed", Some(&body), authorization);
        assert_eq!(answer.status, 401, "{authorization:?}");
        assert!(answer.json()["detail"].is_string());
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
        assert!(!answer.text.contains("wrong"));
    }
    let bearer = format!("bearer {KEY}");
    server.as_stranger("/v1/models/embed", Some(&body), Some(&bearer)).ok();

    assert_eq!(
        server.as_stranger("/rerank", Some(&json!({})), None).json()["error_type"],
        json!("Validation")
    );
    assert!(
        server.as_stranger("/v1/embeddings", Some(&json!({})), None).json()["error"]["message"].is_string()
    );
    assert!(server.as_stranger("/v2/embed", Some(&json!({})), None).json()["message"].is_string());
    for path in ["/metrics", "/info", "/v1/models", "/models"] {
        assert_eq!(server.as_stranger(path, None, None).status, 401, "{path}");
    }
    for path in ["/live", "/ready", "/health", "/docs", "/openapi.json"] {
        assert_eq!(server.as_stranger(path, None, None).status, 200, "{path}");
    }
}

#[test]
fn unknown_paths_and_methods() {
    let server = Server::start(Options::default());
    let answer = server.get("/v1/no/such");
    assert_eq!(answer.status, 404);
    assert!(answer.json()["detail"].as_str().unwrap().contains("/v1/no/such"));
    assert_eq!(server.post("/v1/no/such", &json!({})).status, 404);
    for (path, field) in [("/v1/models/embed", "detail"), ("/v2/rerank", "message"), ("/embed", "error")] {
        let answer = server.get(path);
        assert_eq!(answer.status, 405, "{path}");
        assert!(answer.json()[field].is_string(), "{}", answer.text);
    }
    assert_eq!(server.post("/metrics", &json!({})).status, 405);
}

#[test]
fn what_is_not_json_is_refused() {
    let server = Server::start(Options::default());
    let answer = server.send("/v1/models/embed", b"text".to_vec(), &[("content-type", "text/plain")]);
    assert_eq!(answer.status, 415);
    assert!(answer.json()["detail"].as_str().unwrap().contains("`text/plain`"));
    for body in [&b""[..], b"{", b"\xff", b"[]"] {
        let answer = server.send("/v1/models/embed", body.to_vec(), &JSON);
        assert_eq!(answer.status, 422, "{}", answer.text);
        assert!(answer.json()["detail"][0]["msg"].is_string());
    }
}

#[test]
fn long_bodies_are_refused_in_every_shape() {
    let server = Server::start(Options { body_bytes: 1_000, ..Options::default() });
    let body = json!({"padding": "x".repeat(1_500)});
    for (path, field) in [
        ("/v1/models/embed", "detail"),
        ("/v1/embeddings", "error"),
        ("/v2/embed", "message"),
        ("/v1/rerank", "detail"),
        ("/embed", "error"),
    ] {
        let answer = server.post(path, &body);
        assert_eq!(answer.status, 413, "{path}: {}", answer.text);
        assert!(!answer.json()[field].is_null(), "{path}: {}", answer.text);
    }
    let whole = server.post("/v1/models/embed", &json!({"padding": "x".repeat(40_000_000)}));
    assert_eq!(whole.status, 413, "a client that sends everything first gets its answer");
    let head = "POST /v1/models/embed HTTP/1.1\r\nhost: h\r\ncontent-type: application/json\r\n\
                content-length: 10000000000\r\n\r\n";
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream.write_all(head.as_bytes()).unwrap();
    let mut status = [0; 12];
    stream.read_exact(&mut status).unwrap();
    assert_eq!(&status, b"HTTP/1.1 413", "what was announced is refused without waiting for it");
}

#[test]
fn names_and_roles() {
    let server = Server::start(Options::default());
    let call = |model: &str, role: &str| {
        server.post("/v1/models/embed", &json!({"model": model, "input_type": role, "input": "x"}))
    };
    let unknown = call("gone", "query");
    assert_eq!(unknown.status, 404);
    let detail = unknown.json()["detail"].as_str().unwrap().to_owned();
    assert_eq!(detail, "unknown model `gone`; available: tiny, asks, zembed-1");
    assert_eq!(call("cross", "query").status, 404, "a reranker is no embedder");

    assert_eq!(call("asks", "query").status, 200);
    let conflict = call("asks", "document");
    assert_eq!(conflict.status, 409);
    assert_eq!(conflict.header("x-should-retry"), Some("false"));
    assert_eq!(call("tiny:query", "document").status, 409);
    assert_eq!(call("asks:document", "document").status, 409);
    assert_eq!(call("zembed-1:document", "document").status, 200);

    let openai = |model: &str| server.post("/v1/embeddings", &json!({"model": model, "input": "x"}));
    let bound = openai("asks").ok();
    assert_eq!(openai("tiny:query").ok()["data"], bound["data"]);
}

#[test]
fn rates_are_kept_per_key() {
    let rates = RateLimits { fast_bytes: Some(1_000), fast_requests: None, slow_bytes: Some(2_000) };
    let server = Server::start(Options { key: Some(KEY), rates, ..Options::default() });
    let text = "x".repeat(750);
    let call = |latency: &str| {
        let body = json!({"model": "tiny", "input_type": "query", "input": text, "latency": latency});
        server.post("/v1/models/embed", &body)
    };
    assert_eq!(call("fast").status, 200);
    let refused = call("fast");
    assert_eq!(refused.status, 429);
    let wait: u64 = refused.header("retry-after-ms").unwrap().parse().unwrap();
    assert!((1..=60_000).contains(&wait), "{wait}");
    assert!(refused.header("retry-after").is_some() && refused.json()["detail"].is_string());
    assert_eq!(call("slow").status, 200, "the slow lane has its own allowance");
}

#[test]
fn deadlines_are_kept() {
    let server = Server::start(Options::default());
    let late = |value: &str, body: Vec<u8>| {
        server.send("/v1/models/embed", body, &[JSON[0], ("x-request-timeout-ms", value)])
    };
    for wrong in ["0", "soon", "-1", "1.5"] {
        let answer = late(wrong, embed(&["x"]).to_string().into_bytes());
        assert_eq!(answer.status, 400, "{wrong}");
    }
    assert_eq!(late("60000", embed(&["x"]).to_string().into_bytes()).status, 200);
    let answer = late("1", long_embed(20_000).to_string().into_bytes());
    assert_eq!(answer.status, 504, "{}", answer.text);
    server.wait_until("the late work ends", |stats| stats.in_flight == 0);
}

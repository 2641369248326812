//! Searching.

use crate::collections::server;
use crate::support::{Options, Server};
use serde_json::{Value, json};

const TEXTS: [(&str, &str, &str); 4] = [
    (
        "ships.txt",
        "The lighthouse keeper counts ships at night. Ünder the lamp he writes their names.",
        "sea",
    ),
    ("bread.txt", "Bread needs flour, water, salt and a night of rest.", "kitchen"),
    ("cheese.txt", "Cheese ages in cool cellars, turned once a week.", "kitchen"),
    ("stars.txt", "At night the stars stand over the sea.", "sea"),
];

pub(crate) fn filled() -> Server {
    filled_with(Options::default())
}

pub(crate) fn filled_with(options: Options) -> Server {
    let server = Server::start(Options { collections: true, ..options });
    server.make_collection("c");
    for (path, text, place) in TEXTS {
        assert_eq!(server.add("c", path, text, json!({"place": place})).status, 201);
    }
    server.wait_until_indexed("c");
    server
}

pub(crate) fn paths(results: &Value) -> Vec<&str> {
    results.as_array().unwrap().iter().map(|result| result["path"].as_str().unwrap()).collect()
}

#[test]
fn snippets_are_the_characters_they_say() {
    let server = filled();
    for precise in [false, true] {
        let body = json!({"collection_name": "c", "query": "who counts ships", "k": 3, "precise_responses": precise,
            "include_document_metadata": true});
        let answer = server.post("/v1/queries/top-snippets", &body).ok();
        let results = answer["results"].as_array().unwrap();
        assert!(!results.is_empty());
        for result in results {
            let path = result["path"].as_str().unwrap();
            let text = TEXTS.iter().find(|(name, ..)| *name == path).unwrap().1;
            let at = |name: &str| result[name].as_u64().unwrap() as usize;
            let (start, end) = (at("start_index"), at("end_index"));
            let expected: String = text.chars().skip(start).take(end - start).collect();
            assert_eq!(result["content"], json!(expected), "{path}");
            assert_eq!(result["page_span"], json!([0, 1]));
        }
        let documents = paths(&answer["document_results"]);
        assert!(documents.iter().all(|path| paths(&answer["results"]).contains(path)));
        assert!(answer["document_results"][0]["metadata"]["place"].is_string());
    }
}

#[test]
fn filters_choose_documents() {
    let server = filled();
    let top = |filter: Value| {
        let body = json!({"collection_name": "c", "query": "night", "k": 10, "filter": filter, "include_metadata": true});
        server.post("/v1/queries/top-documents", &body)
    };
    let found = |filter: Value| {
        let answer = top(filter).ok();
        let mut found: Vec<String> = paths(&answer["results"]).into_iter().map(str::to_owned).collect();
        found.sort();
        found
    };
    assert_eq!(found(json!({"place": {"$eq": "sea"}})), ["ships.txt", "stars.txt"]);
    assert_eq!(found(json!({"place": "kitchen"})), ["bread.txt", "cheese.txt"]);
    assert_eq!(found(json!({"place": {"$nin": ["sea", "kitchen"]}})), Vec::<String>::new());
    assert_eq!(found(json!({"$or": [{"place": "sea"}, {"other": {"$ne": "x"}}]})).len(), 4);
    assert_eq!(top(json!({"place": {"$eq": 3}})).status, 422);
    assert_eq!(top(json!({"place": {"$like": "s"}})).status, 400);

    let body = json!({"collection_name": "c", "query": null, "k": 10, "filter": {"place": "sea"}});
    let all = server.post("/v1/queries/top-documents", &body).ok();
    assert_eq!(all["results"].as_array().unwrap().len(), 2);
}

#[test]
fn rerankers_order_and_are_named() {
    let server = filled();
    let top = |extra: Value| {
        let mut body = json!({"collection_name": "c", "query": "night", "k": 4});
        body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        server.post("/v1/queries/top-documents", &body)
    };
    let plain = top(json!({}));
    assert_eq!(plain.header("x-elodex-rerank"), Some("skipped"));
    assert_eq!(plain.header("x-elodex-rerank-reason"), Some("not asked for"));
    assert_eq!(plain.header("x-elodex-score-kind"), Some("rank_fused"));
    assert_eq!(plain.header("cache-control"), Some("no-store"));
    let reranked = top(json!({"reranker": "zerank-2"}));
    assert_eq!(reranked.header("x-elodex-rerank"), Some("full"), "{}", reranked.text);
    assert_eq!(reranked.header("x-elodex-rerank-reason"), None);
    assert_eq!(reranked.header("x-elodex-score-kind"), Some("relevance"));
    let high = top(json!({"latency_mode": "high"}));
    assert_eq!(high.header("x-elodex-rerank"), Some("full"), "the only reranker is the default");
    assert_eq!(high.json()["results"], reranked.json()["results"]);
    assert_eq!(plain.header("x-elodex-truncated"), None);
    let cut = top(json!({"query": "night ".repeat(600)}));
    assert_eq!(cut.header("x-elodex-truncated"), Some("1"), "{}", cut.text);
    let gone = top(json!({"reranker": "gone"}));
    assert_eq!(gone.status, 404);
    assert!(gone.text.contains("cross"), "{}", gone.text);
    assert_eq!(top(json!({"k": 0})).status, 400);
}

#[test]
fn our_own_search_explains() {
    let server = filled();
    let body = json!({"collection": "c", "query": "who counts ships at night", "k": 2, "rerank": true, "explain": true});
    let answer = server.post("/v1/search", &body).ok();
    assert_eq!(answer["rerank_status"]["status"], json!("full"));
    assert_eq!((&answer["score_kind"], &answer["reranker"]), (&json!("relevance"), &json!("cross")));
    let first = &answer["results"][0];
    assert_eq!(first["score_kind"], json!("relevance"));
    assert_eq!(first["explanation"]["reranked"]["rank"], json!(1));
    assert!(first["explanation"]["fused"]["rank"].is_u64());
    assert!(answer["timings_ms"]["total"].as_f64().unwrap() > 0.0);
    assert!(answer["usage"]["bytes"].as_u64().unwrap() > 150);

    let lexical =
        server.post("/v1/search", &json!({"collection": "c", "query": "flour", "list": "lexical"})).ok();
    assert_eq!(paths(&lexical["results"]), ["bread.txt"]);
    let unknown = server.post("/v1/search", &json!({"collection": "c", "query": "x", "top_k": 3}));
    assert_eq!(unknown.status, 422);
    let no_scale = server.post("/v1/search", &json!({"collection": "c", "query": "x", "threshold": 0.5}));
    assert_eq!(no_scale.status, 400, "{}", no_scale.text);
    assert_eq!(server.post("/v1/search", &json!({"collection": "gone", "query": "x"})).status, 404);
}

#[test]
fn pages_are_found() {
    let server = server();
    server.make_collection("c");
    let body = json!({"collection_name": "c", "path": "a", "content": {"type": "text-pages-unordered",
        "pages": ["apples and pears", "ships at night", "flour and salt"]}});
    assert_eq!(server.post("/v1/documents/add-document", &body).status, 201);
    server.wait_until_indexed("c");
    let body = json!({"collection_name": "c", "query": "flour", "k": 3, "include_content": true});
    let answer = server.post("/v1/queries/top-pages", &body).ok();
    let found = answer["results"].as_array().unwrap();
    let flour = found.iter().find(|page| page["content"] == json!("flour and salt")).unwrap();
    assert_eq!(flour["page_index"], json!(2));
    assert_eq!(answer["document_results"].as_array().unwrap().len(), 1);
}

#[test]
fn metrics_count_searches_and_documents() {
    let server = filled();
    server.post("/v1/search", &json!({"collection": "c", "query": "night"})).ok();
    let text = server.get("/metrics").text;
    for line in [
        r#"elodex_http_requests_total{dialect="elodex",path="/v1/search",status="200"} 1"#,
        r#"elodex_searches_total{rerank="skipped"} 1"#,
        r#"elodex_search_stage_duration_seconds_count{stage="embed"} 1"#,
        r#"elodex_documents{state="indexed"} 4"#,
        r#"elodex_documents{state="pending"} 0"#,
        r#"elodex_documents{state="failed"} 0"#,
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
}

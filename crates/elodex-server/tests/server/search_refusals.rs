//! Wrong searches: the client's fault, with a message that names the field and the way out.

use crate::searches::filled;
use crate::support::{Answer, Server};
use serde_json::{Value, json};

/// A right search with some fields changed.
fn search(server: &Server, change: &Value) -> Answer {
    let mut body = json!({"collection": "c", "query": "night"});
    body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    server.post("/v1/search", &body)
}

#[test]
fn wrong_fields_are_named_with_the_way_out() {
    let server = filled();
    let user = |content: &str| json!({"role": "user", "content": content});
    for (change, status, told) in [
        (json!({"top_k": 3}), 422, "unknown field `top_k`; known are collection, query"),
        (json!({"collection": 3}), 422, "collection: invalid type: integer"),
        (json!({"collection": "gone"}), 404, "`gone`"),
        (json!({"query": ["x"]}), 422, "query: invalid type: sequence"),
        (json!({"query": " "}), 400, "the query is empty; leave it out"),
        (json!({"query": null}), 400, "without a query only documents can be listed"),
        (json!({"query": "x".repeat(65_537)}), 413, "at most 65536"),
        (json!({"messages": "x"}), 422, "messages: invalid type: string"),
        (json!({"messages": [{"role": "user"}]}), 422, "messages[0]: missing field `content`"),
        (json!({"messages": [{"role": "user", "content": "x", "name": "y"}]}), 422, "unknown field `name`"),
        (json!({"messages": [{"role": "robot", "content": "x"}]}), 400, "`robot`; use `user`"),
        (json!({"messages": vec![user("x"); 1_025]}), 413, "1025 messages"),
        (json!({"query": null, "messages": [{"role": "assistant", "content": "x"}]}), 400, "no user turn"),
        (json!({"messages": [user("x")], "conversation": "rewrite"}), 400, "ask for `concatenate`"),
        (json!({"conversation": "summary"}), 422, "conversation: unknown value `summary`; use `auto`"),
        (json!({"unit": "words"}), 422, "unit: unknown value `words`; use `documents`"),
        (json!({"k": 0}), 422, "k: invalid value: integer `0`, expected an integer of at least 1"),
        (json!({"k": 2_049}), 400, "k is 2049; it must be between 1 and 2048"),
        (json!({"k": 1.5}), 422, "k: invalid type: floating point"),
        (json!({"filter": "x"}), 422, "filter: a filter is an object"),
        (
            json!({"filter": {"place": {"$like": "s"}}}),
            400,
            "filter.place.$like: unknown operator; use `$eq`",
        ),
        (json!({"filter": {"list:x": {"$gt": "s"}}}), 400, "compare it with `$in` or `$nin`"),
        (json!({"weights": 1}), 422, "weights: not an object"),
        (json!({"weights": {"dense": 1}}), 422, "missing field `weights.lexical`"),
        (json!({"weights": {"dense": -1, "lexical": 1}}), 400, "weights.dense: -1 is no weight"),
        (json!({"weights": {"dense": 1e39, "lexical": 1}}), 400, "weights.dense: inf is no weight"),
        (json!({"weights": {"dense": 0, "lexical": 0}}), 400, "weights: both are 0"),
        (json!({"weights": {"dense": 1, "lexical": 1, "sparse": 1}}), 422, "unknown field `weights.sparse`"),
        (json!({"weights": {"dense": 1, "lexical": 1}, "list": "dense"}), 400, "list: means weights"),
        (json!({"list": "sparse"}), 422, "list: unknown value `sparse`; use `dense`"),
        (json!({"depth": 0}), 422, "depth: invalid value"),
        (json!({"depth": 10_001}), 400, "depth is 10001; it must be between 1 and 10000"),
        (json!({"exact": "yes"}), 422, "exact: invalid type: string"),
        (json!({"rerank": "cross"}), 422, "or an object with a `model` and a `depth`"),
        (json!({"rerank": {"model": "gone"}}), 404, "unknown model `gone`; available: cross"),
        (json!({"rerank": {"model": "tiny"}}), 404, "`tiny`"),
        (json!({"rerank": {"depth": 0}}), 422, "rerank.depth: invalid value"),
        (json!({"rerank": {"depth": 2_049}}), 400, "rerank depth is 2049"),
        (json!({"rerank": {"top": 3}}), 422, "unknown field `rerank.top`"),
        (json!({"rerank": true, "threshold": 1.5}), 400, "threshold 1.5 is not between 0 and 1"),
        (json!({"rerank": true, "threshold": "high"}), 422, "threshold: invalid type: string"),
        (json!({"collapse": 1}), 422, "collapse: invalid type: integer"),
        (json!({"deadline_ms": 0}), 422, "deadline_ms: invalid value"),
        (json!({"deadline_ms": -5}), 422, "deadline_ms: invalid value"),
        (json!({"deadline_ms": "1s"}), 422, "deadline_ms: invalid type: string"),
        (json!({"include_content": null}), 422, "include_content: invalid type: null"),
        (json!({"explain": "true"}), 422, "explain: invalid type: string"),
    ] {
        let answer = search(&server, &change);
        let shown: String = change.to_string().chars().take(100).collect();
        assert_eq!(answer.status, status, "{shown}: {}", answer.text);
        assert!(answer.text.contains(told), "{shown}: {}", answer.text);
    }
}

#[test]
fn numbers_that_json_lacks_are_refused() {
    let server = filled();
    for (field, told) in [
        (r#""threshold": NaN"#, "not valid JSON"),
        (r#""threshold": Infinity"#, "not valid JSON"),
        (r#""threshold": 1e999"#, "threshold"),
        (r#""weights": {"dense": NaN, "lexical": 1}"#, "not valid JSON"),
        (r#""weights": {"dense": 1e999, "lexical": 1}"#, "weights.dense"),
    ] {
        let body = format!(r#"{{"collection": "c", "query": "night", "rerank": true, {field}}}"#);
        let answer = server.send("/v1/search", body.into_bytes(), &[("content-type", "application/json")]);
        assert_eq!(answer.status, 422, "{field}: {}", answer.text);
        assert!(answer.text.contains(told), "{field}: {}", answer.text);
    }
}

#[test]
fn a_threshold_is_for_scores_with_a_scale() {
    let server = filled();
    for list in ["dense", "lexical", "hybrid"] {
        let answer = search(&server, &json!({"list": list, "threshold": 0.0}));
        assert_eq!(answer.status, 400, "{list}: {}", answer.text);
        assert!(answer.text.contains("name a reranker or leave the threshold out"), "{}", answer.text);
        for unit in ["documents", "pages", "chunks", "passages"] {
            let body = json!({"list": list, "threshold": 0.0, "rerank": true, "unit": unit});
            let answer = search(&server, &body).ok();
            assert_eq!(answer["score_kind"], json!("relevance"), "{list} {unit}");
        }
    }
    let listed = json!({"query": null, "unit": "documents", "threshold": 0.5, "rerank": true});
    assert_eq!(search(&server, &listed).status, 400);
}

#[test]
fn no_value_of_any_field_is_the_servers_fault() {
    let server = filled();
    let values = [
        Value::Null,
        json!(true),
        json!(-1),
        json!(0),
        json!(1e300),
        json!(u64::MAX),
        json!(""),
        json!("\u{0}"),
        json!([]),
        json!([[]]),
        json!([{}]),
        json!({}),
        json!({"a": {"b": []}}),
    ];
    for field in [
        "collection",
        "query",
        "messages",
        "conversation",
        "unit",
        "k",
        "filter",
        "weights",
        "list",
        "depth",
        "exact",
        "rerank",
        "threshold",
        "collapse",
        "deadline_ms",
        "include_content",
        "include_metadata",
        "explain",
    ] {
        for value in &values {
            let answer = search(&server, &json!({field: value}));
            assert!(
                answer.status == 200 || (400..500).contains(&answer.status),
                "{field} {value}: {}",
                answer.text
            );
            if answer.status != 200 {
                assert!(answer.text.contains(field), "{field} {value}: {}", answer.text);
            }
        }
    }
}

#[test]
fn bounds_of_the_queries_dialect() {
    let server = filled();
    let post = |path: &str, extra: Value| {
        let mut body = json!({"collection_name": "c", "query": "night", "k": 1});
        body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        server.post(&format!("/v1/queries/{path}"), &body)
    };
    for (path, most) in [("top-documents", 2_048), ("top-pages", 1_024), ("top-snippets", 128)] {
        for (k, status) in [(-1, 400), (0, 400), (1, 200), (most, 200), (most + 1, 400)] {
            let answer = post(path, json!({"k": k}));
            assert_eq!(answer.status, status, "{path} {k}: {}", answer.text);
            assert_eq!(answer.text.contains(&format!("k: {k} is not within 1 and {most}")), status == 400);
        }
        assert_eq!(post(path, json!({"k": "1"})).status, 422);
        assert_eq!(post(path, json!({"query": "x".repeat(4_096)})).status, 200, "{path}");
        let long = post(path, json!({"query": "x".repeat(4_097)}));
        assert_eq!(long.status, 400, "{path}");
        assert!(long.text.contains("query: 4097 ") && long.text.contains("at most 4096"), "{}", long.text);
        // Snippets count characters, the others bytes.
        let wide = post(path, json!({"query": "é".repeat(4_096)}));
        assert_eq!(wide.status, if path == "top-snippets" { 200 } else { 400 }, "{path}");
        assert_eq!(post(path, json!({"query": ""})).status, 400, "{path}");
        assert_eq!(post(path, json!({"collection_name": "gone"})).status, 404, "{path}");
    }
    assert_eq!(post("top-pages", json!({"query": null})).status, 422);
    assert_eq!(post("top-documents", json!({"latency_mode": "medium"})).status, 422);
}

#[test]
fn filters_are_nested_as_deep_as_is_said() {
    let server = filled();
    let nested = |depth: usize| {
        let join = |inner: Value, depth: usize| {
            let group = if depth.is_multiple_of(2) { "$and" } else { "$or" };
            // Two names in one object, with two operators under one of them, are groups as well.
            json!({group: [inner], "place": {"$gte": "a", "$lt": "z"}})
        };
        search(
            &server,
            &json!({"unit": "documents", "filter": (0..depth).fold(json!({"place": "sea"}), join)}),
        )
    };
    assert_eq!(nested(32).ok()["results"].as_array().unwrap().len(), 2);
    for depth in [33, 60, 500] {
        let answer = nested(depth);
        assert!((400..500).contains(&answer.status), "{depth}: {}", answer.text);
    }
    assert!(nested(33).text.contains("more than 32 deep; flatten the filter"));
}

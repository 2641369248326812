//! Keys, permissions and usage.

use crate::support::{KEY, Options, Server, embed};
use serde_json::{Value, json};

fn server() -> Server {
    Server::start(Options { collections: true, key: Some(KEY), ..Options::default() })
}

#[test]
fn keys_that_may_only_read_change_nothing() {
    let server = server();
    server.make_collection("c");
    let reader = server.make_key("read_only");
    for (path, body) in [
        ("/v1/collections/add-collection", json!({"collection_name": "d"})),
        ("/v1/collections/delete-collection", json!({"collection_name": "c"})),
        ("/v1/collections/create", json!({"name": "d"})),
        ("/v1/documents/add-document", json!({})),
        ("/v1/documents/update-document", json!({})),
        ("/documents/delete-document", json!({})),
        ("/v1/admin/add-api-key", json!({"name": "x", "permission": "all"})),
        ("/v1/admin/list-api-keys", json!({})),
    ] {
        let answer = server.post_as(&reader, path, &body);
        assert_eq!(answer.status, 403, "{path}: {}", answer.text);
        assert!(answer.json()["detail"].as_str().unwrap().contains("`all`"));
    }
    server.post_as(&reader, "/v1/status/get-status", &json!({})).ok();
    server.post_as(&reader, "/v1/search", &json!({"collection": "c", "query": "x"})).ok();
}

#[test]
fn keys_are_looked_after_while_the_server_runs() {
    let server = server();
    let key = server.make_key("read_only");
    let listed = server.post("/v1/admin/list-api-keys", &json!({})).ok();
    let id = listed["api_keys"][0]["api_key_id"].as_str().unwrap().to_owned();
    assert!(!listed.to_string().contains(&key));
    let write = || {
        let body = json!({"collection_name": "c"});
        server.post_as(&key, "/v1/collections/delete-collection", &body).status
    };
    assert_eq!(write(), 403);
    server.post("/v1/admin/update-api-key", &json!({"api_key_id": id, "permission": "all"})).ok();
    assert_eq!(write(), 404, "it may, but there is no such collection");
    server.post("/v1/admin/delete-api-key", &json!({"api_key_id": id})).ok();
    assert_eq!(write(), 401);
    assert_eq!(server.post("/v1/admin/delete-api-key", &json!({"api_key_id": id})).status, 404);
    assert_eq!(server.post("/v1/admin/get-organization", &json!({})).ok()["name"], json!("local"));
    assert_eq!(server.post("/v1/admin/create-organization", &json!({"name": "x"})).status, 409);

    let open = Server::start(Options { collections: true, ..Options::default() });
    let refused = open.post("/v1/admin/add-api-key", &json!({"name": "x", "permission": "all"}));
    assert_eq!(refused.status, 409, "{}", refused.text);
}

#[test]
fn usage_is_counted() {
    let server = server();
    server.make_collection("c");
    server.add("c", "a", "hello", json!({}));
    server.wait_until_indexed("c");
    server.post("/v1/models/embed", &embed(&["one", "two"])).ok();
    server.post("/v1/models/rerank", &json!({"model": "cross", "query": "q", "documents": ["d"]})).ok();
    let counters = server.post("/v1/usage/models/counters", &json!({})).ok();
    let expected = json!({"count": 2, "bytes": 306 + 152, "billable_units": 0});
    assert_eq!(counters, json!({"all_time": expected, "billing_cycle": expected}));

    let windows = |path: &str, extra: Value| {
        // 27 years from 2023 on, as many days as one answer may tell.
        let (start, end) = (1_700_006_400_u64, 1_700_006_400_u64 + 86_400 * 9_999);
        let mut body = json!({"start_time": start, "end_time": end, "aggregation_window": "daily"});
        body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        server.post(path, &body).ok()
    };
    let sum = |windows: &Value| -> u64 {
        windows.as_array().unwrap().iter().map(|window| window["count"].as_u64().unwrap()).sum()
    };
    assert_eq!(sum(&windows("/v1/usage/models/embed", json!({}))), 1);
    assert_eq!(sum(&windows("/v1/usage/models/reranker", json!({}))), 1);
    assert_eq!(sum(&windows("/v1/usage/documents", json!({"collection_names": ["c"]}))), 1);
    assert_eq!(sum(&windows("/v1/usage/documents", json!({"collection_names": ["d"]}))), 0);
}

//! Collections and documents.

use crate::support::{Answer, Options, Server, wait_for};
use serde_json::{Value, json};

pub(crate) fn server() -> Server {
    Server::start(Options { collections: true, ..Options::default() })
}

impl Server {
    pub(crate) fn make_collection(&self, name: &str) {
        let answer = self.post("/v1/collections/add-collection", &json!({"collection_name": name}));
        assert_eq!(answer.status, 201, "{}", answer.text);
    }

    pub(crate) fn add(&self, collection: &str, path: &str, text: &str, metadata: Value) -> Answer {
        let content = json!({"type": "text", "text": text});
        let body =
            json!({"collection_name": collection, "path": path, "content": content, "metadata": metadata});
        self.post("/v1/documents/add-document", &body)
    }

    #[track_caller]
    pub(crate) fn wait_until_indexed(&self, collection: &str) {
        wait_for("everything is indexed", || {
            let status = self.post("/status/get-status", &json!({"collection_name": collection})).ok();
            status["num_documents"] == status["num_indexed_documents"]
        });
    }
}

fn detail(answer: &Answer) -> String {
    answer.json()["detail"].as_str().unwrap_or_else(|| panic!("{}", answer.text)).to_owned()
}

#[test]
fn collections_come_and_go() {
    let server = server();
    server.make_collection("b");
    server.make_collection("a");
    let twice = server.post("/collections/add-collection", &json!({"collection_name": "a"}));
    assert_eq!((twice.status, twice.header("x-should-retry")), (409, Some("false")));
    assert!(detail(&twice).contains("`a`"), "{}", twice.text);
    let listed = server.send("/v1/collections/get-collection-list", Vec::new(), &[]).ok();
    assert_eq!(listed, json!({"collection_names": ["a", "b"]}));

    let made = server.post(
        "/v1/collections/create",
        &json!({"name": "c", "chunk_tokens": 16, "weights": {"dense": 1, "lexical": 0}}),
    );
    assert_eq!(made.status, 201, "{}", made.text);
    let info = server.post("/v1/collections/get-info", &json!({"name": "c"})).ok();
    assert_eq!(info, made.json());
    assert_eq!((&info["model"], &info["chunk_tokens"]), (&json!("tiny"), &json!(16)));
    let weights = json!({"name": "c", "weights": {"dense": 0, "lexical": 1}});
    assert_eq!(server.post("/v1/collections/set-weights", &weights).ok()["weights"]["lexical"], json!(1.0));
    assert_eq!(server.post("/v1/collections/create", &json!({"name": "d", "model": "gone"})).status, 404);

    server.post("/v1/collections/delete-collection", &json!({"collection_name": "a"})).ok();
    let gone = server.post("/v1/collections/delete-collection", &json!({"collection_name": "a"}));
    assert_eq!(gone.status, 404);
    assert_eq!(server.post("/v1/status/get-status", &json!({"collection_name": "a"})).status, 404);
}

#[test]
fn without_a_data_directory_the_routes_say_so() {
    let server = Server::start(Options::default());
    for (path, body) in [
        ("/v1/collections/add-collection", json!({"collection_name": "a"})),
        ("/v1/status/get-status", json!({})),
        ("/v1/search", json!({"collection": "a", "query": "x"})),
        ("/v1/usage/counters", json!({})),
    ] {
        let answer = server.post(path, &body);
        assert_eq!(answer.status, 404, "{path}");
        assert!(detail(&answer).contains("--data-dir"), "{path}: {}", answer.text);
    }
    assert_eq!(server.get("/documents/get-document?token=x").status, 404);
}

#[test]
fn documents_are_kept_with_everything() {
    let server = server();
    server.make_collection("c");
    assert_eq!(
        server.add("c", "b.txt", "Käse und Brot", json!({"lang": "de", "list:tags": ["x"]})).status,
        201
    );
    assert_eq!(server.add("c", "b.txt", "other", json!({})).status, 409);
    assert_eq!(server.add("gone", "b.txt", "x", json!({})).status, 404);
    let pages = json!({"collection_name": "c", "path": "a.pdf", "overwrite": true,
        "content": {"type": "text-pages", "pages": ["first page", "second page"]}});
    assert_eq!(server.post("/v1/documents/add-document", &pages).status, 201);
    assert_eq!(server.post("/v1/documents/add-document", &pages).status, 200, "it was there");
    server.wait_until_indexed("c");

    let asked = json!({"collection_name": "c", "path": "b.txt", "include_content": true});
    let document = &server.post("/v1/documents/get-document-info", &asked).ok()["document"];
    assert_eq!(document["content"], json!("Käse und Brot"));
    assert_eq!(document["metadata"], json!({"lang": "de", "list:tags": ["x"]}));
    assert_eq!((&document["size"], &document["index_status"]), (&json!(14), &json!("indexed")));

    let page = |index: u32| {
        let asked =
            json!({"collection_name": "c", "path": "a.pdf", "page_index": index, "include_content": true});
        server.post("/v1/documents/get-page-info", &asked)
    };
    let second = page(1).ok();
    assert_eq!(second["page"]["content"], json!("second page"));
    assert_eq!(second["page"]["image_url"], Value::Null);
    assert_eq!(page(2).status, 404);

    let list = |body: Value| {
        let documents = server.post("/v1/documents/get-document-info-list", &body).ok()["documents"].clone();
        let paths = documents.as_array().unwrap().iter().map(|document| document["path"].clone());
        paths.collect::<Vec<Value>>()
    };
    assert_eq!(list(json!({"collection_name": "c"})), ["a.pdf", "b.txt"]);
    assert_eq!(list(json!({"collection_name": "c", "path_gt": "a.pdf"})), ["b.txt"]);
    assert_eq!(list(json!({"collection_name": "c", "path_prefix": "a"})), ["a.pdf"]);
    assert_eq!(list(json!({"collection_name": "c", "limit": 0})), Vec::<Value>::new());
    let by_url = "/v1/documents/get-document-info-list?path_gt=a.pdf";
    let answer = server.post(by_url, &json!({"collection_name": "c"})).ok();
    assert_eq!(answer["documents"][0]["path"], json!("b.txt"));

    let delete = |paths: Value| {
        server.post("/v1/documents/delete-document", &json!({"collection_name": "c", "path": paths}))
    };
    assert_eq!(delete(json!(["a.pdf", "none"])).ok()["deleted_paths"], json!(["a.pdf"]));
    assert_eq!(delete(json!("a.pdf")).status, 404);
}

#[test]
fn updates_follow_the_status() {
    let server = server();
    server.make_collection("c");
    server.add("c", "a", "some text", json!({"k": "old"}));
    server.wait_until_indexed("c");
    let update = |change: Value| {
        let mut body = json!({"collection_name": "c", "path": "a"});
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        server.post("/v1/documents/update-document", &body)
    };
    update(json!({})).ok();
    assert_eq!(update(json!({"index_status": "not_parsed"})).status, 400, "it has not failed");
    assert_eq!(update(json!({"metadata": {"k": 1}})).status, 422);
    assert_eq!(update(json!({"metadata": {"k": ["x"]}})).status, 400);
    update(json!({"metadata": {"k": "new"}})).ok();
    server.wait_until_indexed("c");
    let asked = json!({"collection_name": "c", "path": "a"});
    let document = server.post("/v1/documents/get-document-info", &asked).ok()["document"].clone();
    assert_eq!(document["metadata"], json!({"k": "new"}));
}

#[test]
fn a_file_that_cannot_be_read_says_why() {
    let server = server();
    server.make_collection("c");
    let body = json!({"collection_name": "c", "path": "a.pdf",
        "content": {"type": "auto", "base64_data": "bm90IGEgcGRm"}});
    assert_eq!(server.post("/v1/documents/add-document", &body).status, 201);
    wait_for("it fails", || {
        server.post("/v1/status/get-status", &json!({})).ok()["num_failed_documents"] == json!(1)
    });
    let asked = json!({"collection_name": "c", "path": "a.pdf"});
    let document = server.post("/v1/documents/get-document-info", &asked).ok()["document"].clone();
    assert_eq!(document["index_status"], json!("parsing_failed"));
    assert!(!document["failure"].as_str().unwrap().is_empty());
}

#[test]
fn documents_have_a_limit_of_their_own() {
    let options =
        Options { collections: true, body_bytes: 2_000, document_bytes: 10_000, ..Options::default() };
    let server = Server::start(options);
    server.make_collection("c");
    assert_eq!(server.add("c", "a", &"x".repeat(10_000), json!({})).status, 201);
    let refused = server.add("c", "b", &"x".repeat(10_001), json!({}));
    assert_eq!(refused.status, 413);
    assert!(detail(&refused).contains("10001 bytes"), "{}", refused.text);
    assert_eq!(server.add("c", "b", &"x".repeat(600_000), json!({})).status, 413, "not even read");
    let long = json!({"collection_name": "x".repeat(3_000)});
    assert_eq!(server.post("/v1/collections/add-collection", &long).status, 413);
}

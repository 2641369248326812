//! Files by token.

use crate::support::{Answer, KEY, Options, Server};
use serde_json::{Value, json};

fn file_url(server: &Server, headers: &[(&str, &str)]) -> String {
    let body = json!({"collection_name": "c", "path": "a"}).to_string().into_bytes();
    let mut all = vec![("content-type", "application/json")];
    all.extend_from_slice(headers);
    let document: Value = server.send("/v1/documents/get-document-info", body, &all).ok();
    document["document"]["file_url"].as_str().unwrap().to_owned()
}

fn fetch(server: &Server, url: &str) -> Answer {
    let path = url.strip_prefix(&format!("http://{}", server.address)).unwrap_or(url);
    server.as_stranger(path, None, None)
}

fn with_a_document(options: Options) -> Server {
    let server = Server::start(Options { collections: true, key: Some(KEY), ..options });
    server.make_collection("c");
    assert_eq!(server.add("c", "a", "Grüße", json!({})).status, 201);
    server.wait_until_indexed("c");
    server
}

#[test]
fn whoever_has_the_address_may_fetch() {
    let server = with_a_document(Options::default());
    let url = file_url(&server, &[]);
    assert!(url.starts_with(&format!("http://{}/v1/documents/get-document?token=", server.address)), "{url}");
    let file = fetch(&server, &url);
    assert_eq!((file.status, file.text.as_str()), (200, "Grüße"));
    assert_eq!(file.header("content-type"), Some("text/plain; charset=utf-8"));
    assert!(file.header("cache-control").unwrap().contains("immutable"));
    assert!(file.header("content-security-policy").unwrap().contains("sandbox"));
    assert_eq!(fetch(&server, &url.replace("/v1/", "/")).status, 200);

    let damaged = fetch(&server, &url[..url.len() - 2]);
    assert_eq!((damaged.status, damaged.header("cache-control")), (404, Some("no-store")));
    assert_eq!(fetch(&server, "/v1/documents/get-document").status, 400);
    let image = fetch(&server, "/v1/documents/get-page-image?token=x");
    assert_eq!(image.status, 404);
    assert!(image.text.contains("not drawn"), "{}", image.text);

    let body = json!({"collection_name": "c", "path": "a", "overwrite": true,
        "content": {"type": "text", "text": "new"}});
    assert_eq!(server.post("/v1/documents/add-document", &body).status, 200);
    server.wait_until_indexed("c");
    assert_eq!(fetch(&server, &url).status, 404, "that version is gone");
    assert_eq!(fetch(&server, &file_url(&server, &[])).text, "new");
}

#[test]
fn addresses_come_from_the_setting_or_a_harmless_host() {
    let server =
        with_a_document(Options { public_url: Some("https://search.example/"), ..Options::default() });
    assert!(file_url(&server, &[]).starts_with("https://search.example/v1/documents/get-document?token="));
    let server = with_a_document(Options::default());
    assert!(file_url(&server, &[("host", "other.example:81")]).starts_with("http://other.example:81/v1/"));
    assert!(file_url(&server, &[("host", "evil.example/x?")]).starts_with("/v1/documents/get-document"));
}

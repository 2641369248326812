//! The schemas demand exactly the fields that the readers demand.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use elodex_dialects::{Operation, all, cohere, elodex, jina, openai, tei, zeroentropy};
use serde_json::{Value, json};
use utoipa::{PartialSchema, ToSchema};

fn check<T: PartialSchema>(path: &str, required: &[&str]) {
    let schema = serde_json::to_value(T::schema()).unwrap();
    let demanded = schema.get("required").cloned().unwrap_or(json!([]));
    assert_eq!(demanded, json!(required), "{path}: {schema}");

    let route =
        all().into_iter().flat_map(|dialect| dialect.routes()).find(|route| route.path == path).unwrap();
    let complete: Value = required.iter().map(|name| ((*name).to_owned(), sample(name))).collect();
    let read = |body: &Value| match route.operation {
        Operation::Embed(read) => read(body.to_string().as_bytes()).map(drop),
        Operation::Rerank(read) => read(body.to_string().as_bytes()).map(drop),
        Operation::Tokenize(read) => read(body.to_string().as_bytes()).map(drop),
        Operation::Search(read) => read(body.to_string().as_bytes()).map(drop),
        Operation::Read(read) => read(body.to_string().as_bytes(), "").map(drop),
        Operation::Write(read) | Operation::Upload(read) => read(body.to_string().as_bytes()).map(drop),
        Operation::Keys(read) => read(body.to_string().as_bytes()).map(drop),
        Operation::Usage(read) => read(body.to_string().as_bytes()).map(drop),
        _ => panic!("{path} reads no body"),
    };
    read(&complete).unwrap_or_else(|problem| panic!("{path}: {problem}"));
    for name in required {
        let mut body = complete.clone();
        body.as_object_mut().unwrap().remove(*name);
        let problem = read(&body).unwrap_err();
        assert_eq!(problem.message, format!("missing field `{name}`"), "{path}");
    }
}

fn sample(name: &str) -> Value {
    match name {
        "documents" | "texts" => json!(["text"]),
        "content" => json!({"type": "text", "text": "text"}),
        "policy" => json!({"version": 1}),
        "weights" => json!({"dense": 1, "lexical": 1}),
        "k" | "page_index" | "start_time" | "end_time" => json!(1),
        "permission" => json!("all"),
        "aggregation_window" => json!("daily"),
        _ => json!("query"),
    }
}

#[test]
fn required_fields_agree() {
    check::<zeroentropy::EmbedBody>("/v1/models/embed", &["model", "input_type", "input"]);
    check::<zeroentropy::RerankBody>("/v1/models/rerank", &["model", "query", "documents"]);
    check::<openai::EmbeddingsBody>("/v1/embeddings", &["model", "input"]);
    check::<cohere::RerankBody>("/v2/rerank", &["model", "query", "documents"]);
    check::<jina::RerankBody>("/v1/rerank", &["model", "query", "documents"]);
    check::<tei::EmbedBody>("/embed", &["inputs"]);
    check::<tei::RerankBody>("/rerank", &["query", "texts"]);
    check::<tei::TokenizeBody>("/tokenize", &["inputs"]);
}

#[test]
fn required_fields_of_the_search_api_agree() {
    check::<zeroentropy::StatusBody>("/v1/status/get-status", &[]);
    check::<zeroentropy::AddCollectionBody>("/v1/collections/add-collection", &["collection_name"]);
    check::<zeroentropy::CollectionBody>("/v1/collections/delete-collection", &["collection_name"]);
    let document = ["collection_name", "path"];
    check::<zeroentropy::AddDocumentBody>(
        "/v1/documents/add-document",
        &["collection_name", "path", "content"],
    );
    check::<zeroentropy::UpdateDocumentBody>("/v1/documents/update-document", &document);
    check::<zeroentropy::DeleteDocumentBody>("/v1/documents/delete-document", &document);
    check::<zeroentropy::DocumentInfoBody>("/v1/documents/get-document-info", &document);
    check::<zeroentropy::DocumentListBody>("/v1/documents/get-document-info-list", &["collection_name"]);
    check::<zeroentropy::PageInfoBody>(
        "/v1/documents/get-page-info",
        &["collection_name", "path", "page_index"],
    );
    let query = ["collection_name", "query", "k"];
    check::<zeroentropy::TopDocumentsBody>("/v1/queries/top-documents", &query);
    check::<zeroentropy::TopPagesBody>("/v1/queries/top-pages", &query);
    check::<zeroentropy::TopSnippetsBody>("/v1/queries/top-snippets", &query);
    check::<zeroentropy::AddApiKeyBody>("/v1/admin/add-api-key", &["name", "permission"]);
    check::<zeroentropy::ApiKeyBody>("/v1/admin/delete-api-key", &["api_key_id"]);
    check::<zeroentropy::UpdateApiKeyBody>("/v1/admin/update-api-key", &["api_key_id"]);
    check::<zeroentropy::UsageBody>("/v1/usage/queries", &["start_time", "end_time", "aggregation_window"]);
    check::<elodex::SearchBody>("/v1/search", &["collection"]);
    check::<elodex::CreateCollectionBody>("/v1/collections/create", &["name"]);
    check::<elodex::CollectionBody>("/v1/collections/get-info", &["name"]);
    check::<elodex::SetWeightsBody>("/v1/collections/set-weights", &["name", "weights"]);
    check::<elodex::SetPolicyBody>("/v1/collections/set-policy", &["name", "policy"]);
}

#[test]
fn cohere_needs_either_texts_or_inputs() {
    let schema = serde_json::to_value(cohere::EmbedBody::schema()).unwrap();
    assert_eq!(schema["required"], json!(["model", "input_type"]));
}

#[test]
fn names_tell_the_dialects_apart() {
    assert_eq!(zeroentropy::EmbedBody::name(), "zeroentropy.EmbedBody");
    assert_eq!(tei::EmbedBody::name(), "tei.EmbedBody");
}

#[test]
fn nullable_and_borrowed_fields_have_plain_schemas() {
    let body = serde_json::to_value(zeroentropy::EmbedBody::schema()).unwrap();
    assert_eq!(body["properties"]["dimensions"]["type"], json!(["integer", "null"]));
    assert_eq!(body["properties"]["encoding_format"]["$ref"], "#/components/schemas/EncodingFormat");
    let vector = serde_json::to_value(elodex_dialects::Vector::schema()).unwrap();
    let kinds: Vec<_> = vector["oneOf"].as_array().unwrap().iter().map(|kind| kind["type"].clone()).collect();
    assert_eq!(kinds, ["array", "string"]);
}

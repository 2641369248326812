//! The schemas demand exactly the fields that the readers demand.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use elodex_dialects::{Operation, all, cohere, jina, openai, tei, zeroentropy};
use serde_json::{Value, json};
use utoipa::{PartialSchema, ToSchema};

fn check<T: PartialSchema>(path: &str, required: &[&str]) {
    let schema = serde_json::to_value(T::schema()).unwrap();
    assert_eq!(schema["required"], json!(required), "{path}: {schema}");

    let route =
        all().into_iter().flat_map(|dialect| dialect.routes()).find(|route| route.path == path).unwrap();
    let complete: Value = required.iter().map(|name| ((*name).to_owned(), sample(name))).collect();
    let read = |body: &Value| match route.operation {
        Operation::Embed(read) => read(body.to_string().as_bytes()).map(drop),
        Operation::Rerank(read) => read(body.to_string().as_bytes()).map(drop),
        Operation::Tokenize(read) => read(body.to_string().as_bytes()).map(drop),
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

//! `/openapi.json`, made from the dialects' own wire types, and `/docs`, a page that renders it without any other
//! server's help.

mod search;

use crate::reply;
use axum::response::Response;
use elodex_dialects::{Dialect, Method, Operation, Route, all, cohere, jina, openai, tei, zeroentropy};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;

const PAGE: &str = include_str!("../../assets/docs.html");

/// The page needs its own inline script and style, and this server's description; nothing else is let in.
const PAGE_POLICY: &str =
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; connect-src 'self'";

pub(crate) async fn page() -> Response {
    let mut response = reply::with_type(PAGE, "text/html; charset=utf-8");
    reply::set(&mut response, "content-security-policy", PAGE_POLICY);
    response
}

pub(crate) async fn serve_document() -> Response {
    reply::json(document().to_string().into_bytes())
}

/// The OpenAPI 3.1 description of every route.
pub fn document() -> Value {
    let mut paths = Map::new();
    let mut schemas = Map::new();
    for dialect in all() {
        let errors = error_schema(dialect, &mut schemas);
        for route in dialect.routes() {
            let Description { summary, body, answer } = describe(dialect, route, &mut schemas);
            let method = match route.method {
                Method::Get => "get",
                Method::Post => "post",
            };
            let mut operation = json!({
                "tags": [dialect.name()],
                "summary": summary,
                "operationId": format!("{method}{}", route.path.replace(['/', '-'], "_")),
                "responses": {
                    "200": {"description": "the answer", "content": {"application/json": {"schema": answer}}},
                    "default": {"description": "an error", "content": {"application/json": {"schema": errors}}},
                },
            });
            if let Operation::Search(_) = route.operation {
                operation["parameters"] = json!([{
                    "name": "x-elodex-experiment-key", "in": "header", "required": false, "schema": {"type": "string"},
                    "description": "what an experiment splits traffic by, such as a user's id; the API key where absent. \
                                    The answer's header x-elodex-experiment says which pipeline it got",
                }]);
            }
            if let Operation::File(_) = route.operation {
                operation["responses"]["200"]["content"] = json!({"*/*": {}});
                operation["parameters"] = json!([{
                    "name": "token", "in": "query", "required": true, "schema": {"type": "string"},
                    "description": "stands in `file_url`",
                }]);
                operation["security"] = json!([]);
            }
            if let Some(status) = search::created(route) {
                let answer = operation["responses"]["200"].clone();
                operation["responses"][status] = answer;
            }
            if let Some(body) = body {
                operation["requestBody"] =
                    json!({"required": true, "content": {"application/json": {"schema": body}}});
            }
            paths.insert(route.path.to_owned(), json!({ method: operation }));
        }
    }
    add_own_paths(&mut paths);
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Elodex",
            "version": env!("CARGO_PKG_VERSION"),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            "description": "Embeddings and reranking in the shapes of ZeroEntropy, OpenAI, Cohere, Jina and TEI; \
                            collections, documents and search in those of ZeroEntropy and our own.",
        },
        "servers": [{"url": "/"}],
        "security": [{"key": []}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
    })
}

/// What a route does, reads and answers.
struct Description {
    summary: &'static str,
    /// `None` where no body is read.
    body: Option<Value>,
    answer: Value,
}

fn describe(dialect: &dyn Dialect, route: &Route, schemas: &mut Map<String, Value>) -> Description {
    let (summary, body, answer) = match search::describe(dialect.name(), route, schemas) {
        Some(found) => found,
        None => describe_model_call(dialect, route.operation, schemas),
    };
    Description { summary, body, answer }
}

/// Summary, request schema and answer schema of a model call.
fn describe_model_call(
    dialect: &dyn Dialect,
    operation: Operation,
    schemas: &mut Map<String, Value>,
) -> (&'static str, Option<Value>, Value) {
    let name = dialect.name();
    match (operation, name) {
        (Operation::Info(_), _) => {
            ("What is served and with which limits", None, add::<tei::Info>(name, schemas))
        }
        (Operation::Tokenize(_), _) => {
            let tokens = add::<tei::Token>(name, schemas);
            let answer = json!({"type": "array", "items": {"type": "array", "items": tokens}});
            ("Splits texts into tokens", Some(add::<tei::TokenizeBody>(name, schemas)), answer)
        }
        (Operation::Embed(_), _) => {
            let (body, answer) = match name {
                "openai" => (
                    add::<openai::EmbeddingsBody>(name, schemas),
                    add::<openai::EmbeddingsAnswer<'static>>(name, schemas),
                ),
                "cohere" => (
                    add::<cohere::EmbedBody>(name, schemas),
                    add::<cohere::EmbedAnswer<'static>>(name, schemas),
                ),
                "tei" => {
                    let vectors =
                        json!({"type": "array", "items": {"type": "array", "items": {"type": "number"}}});
                    (add::<tei::EmbedBody>(name, schemas), vectors)
                }
                _ => (
                    add::<zeroentropy::EmbedBody>(name, schemas),
                    add::<zeroentropy::EmbedAnswer<'static>>(name, schemas),
                ),
            };
            ("Embeds texts", Some(body), answer)
        }
        _ => {
            let (body, answer) = match name {
                "cohere" => (
                    add::<cohere::RerankBody>(name, schemas),
                    add::<cohere::RerankAnswer<'static>>(name, schemas),
                ),
                "jina" => (
                    add::<jina::RerankBody>(name, schemas),
                    add::<jina::RerankAnswer<'static>>(name, schemas),
                ),
                "tei" => {
                    let ranked = add::<tei::RankedText<'static>>(name, schemas);
                    (add::<tei::RerankBody>(name, schemas), json!({"type": "array", "items": ranked}))
                }
                _ => (
                    add::<zeroentropy::RerankBody>(name, schemas),
                    add::<zeroentropy::RerankAnswer>(name, schemas),
                ),
            };
            ("Scores documents against a query, best first", Some(body), answer)
        }
    }
}

fn error_schema(dialect: &dyn Dialect, schemas: &mut Map<String, Value>) -> Value {
    let name = dialect.name();
    match name {
        "openai" => add::<openai::ErrorBody<'static>>(name, schemas),
        "cohere" => add::<cohere::ErrorBody<'static>>(name, schemas),
        "jina" => add::<jina::ErrorBody<'static>>(name, schemas),
        "tei" => add::<tei::ErrorBody<'static>>(name, schemas),
        _ => {
            let text = add::<zeroentropy::ErrorBody<'static>>(name, schemas);
            let list = add::<zeroentropy::ValidationErrorBody<'static>>(name, schemas);
            json!({"anyOf": [text, list]})
        }
    }
}

/// Adds a type and those it refers to, each under its dialect's name since dialects share type names, and returns a
/// reference to it.
fn add<T: ToSchema>(dialect: &str, schemas: &mut Map<String, Value>) -> Value {
    let mut found: Vec<(String, RefOr<Schema>)> = vec![(T::name().into_owned(), T::schema())];
    T::schemas(&mut found);
    for (name, schema) in found {
        let mut schema = serde_json::to_value(schema).unwrap_or_default();
        prefix_references(&mut schema, dialect);
        schemas.insert(format!("{dialect}.{name}"), schema);
    }
    json!({"$ref": format!("#/components/schemas/{dialect}.{}", T::name())})
}

fn prefix_references(value: &mut Value, dialect: &str) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                if let (true, Value::String(reference)) = (key == "$ref", &mut *value)
                    && let Some(name) = reference.strip_prefix("#/components/schemas/")
                {
                    *reference = format!("#/components/schemas/{dialect}.{name}");
                } else {
                    prefix_references(value, dialect);
                }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(|value| prefix_references(value, dialect)),
        _ => {}
    }
}

fn add_own_paths(paths: &mut Map<String, Value>) {
    let own = [
        ("/live", "The process answers", "application/json", false),
        (
            "/ready",
            "Calls are answered; 503 while models load and while the server stops",
            "application/json",
            false,
        ),
        ("/health", "The same as /ready", "application/json", false),
        ("/v1/health", "The same as /ready", "application/json", false),
        ("/metrics", "Prometheus metrics", "text/plain", true),
        ("/v1/models", "Models and aliases", "application/json", true),
        ("/models", "The same as /v1/models", "application/json", true),
        ("/openapi.json", "This description", "application/json", false),
        ("/docs", "A page that shows this description", "text/html", false),
        ("/", "Redirects to /docs", "text/html", false),
    ];
    let backup = json!({
        "tags": ["server"],
        "summary": "Everything the catalog holds as one checksummed file, for `elodex restore`; needs permission `all`",
        "operationId": "post_v1_admin_backup",
        "responses": {"200": {"description": "the file", "content": {"application/octet-stream": {}}}},
    });
    let experiments = json!({
        "tags": ["server"],
        "summary": "What shadows and splits of the live traffic found since the server started; needs permission `all`",
        "operationId": "get_v1_admin_experiments",
        "responses": {"200": {"description": "a report of each experiment", "content": {"application/json": {"schema": {
            "type": "object", "required": ["experiments"],
            "properties": {"experiments": {"type": "array", "items": {"type": "object"}}},
        }}}}},
    });
    paths.insert("/v1/admin/experiments".to_owned(), json!({ "get": experiments }));
    paths.insert("/v1/admin/backup".to_owned(), json!({ "post": backup }));
    for (path, summary, content_type, needs_key) in own {
        let mut operation = json!({
            "tags": ["server"],
            "summary": summary,
            "operationId": format!("get{}", path.replace(['/', '.'], "_")),
            "responses": {"200": {"description": "the answer", "content": {content_type: {}}}},
        });
        if !needs_key {
            operation["security"] = json!([]);
        }
        paths.insert(path.to_owned(), json!({ "get": operation }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routes::OWN_PATHS;

    fn references(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(map) => {
                found.extend(map.get("$ref").and_then(Value::as_str).map(str::to_owned));
                map.values().for_each(|value| references(value, found));
            }
            Value::Array(values) => values.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }

    #[test]
    fn every_route_is_described() {
        let document = document();
        let dialects = all().into_iter().flat_map(Dialect::routes).map(|route| route.path);
        for path in dialects.chain(OWN_PATHS) {
            assert!(document["paths"].get(path).is_some(), "{path}");
        }
        let body =
            |path: &str| &document["paths"][path]["post"]["requestBody"]["content"]["application/json"];
        let refers = |path: &str| body(path)["schema"]["$ref"].as_str().unwrap().to_owned();
        assert!(refers("/v1/queries/top-snippets").ends_with("TopSnippetsBody"));
        assert!(refers("/v1/search").ends_with("elodex.SearchBody"));
        assert!(refers("/v1/models/rerank").ends_with("RerankBody"));
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let document = document();
        let mut found = Vec::new();
        references(&document, &mut found);
        assert!(found.len() > 20, "{found:?}");
        for reference in found {
            let name = reference.strip_prefix("#/components/schemas/").unwrap();
            assert!(document["components"]["schemas"].get(name).is_some(), "{reference}");
        }
    }

    #[test]
    fn the_page_fetches_nothing_from_elsewhere() {
        assert!(!PAGE.contains("http://") && !PAGE.contains("https://"));
    }
}

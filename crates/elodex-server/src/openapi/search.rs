//! The routes of collections, documents, searches, keys and usage.

use super::add;
use elodex_dialects::{Route, elodex, zeroentropy as ze};
use serde_json::{Map, Value, json};

/// Summary, request schema and answer schema; `None` for the routes of the models.
pub(super) fn describe(
    dialect: &str,
    route: &Route,
    schemas: &mut Map<String, Value>,
) -> Option<(&'static str, Option<Value>, Value)> {
    match dialect {
        "zeroentropy" => zeroentropy(route.path, schemas),
        "elodex" => own(route.path, schemas),
        _ => None,
    }
}

/// The status besides 200 that says that something was made.
pub(super) fn created(route: &Route) -> Option<&'static str> {
    let makes = ["/add-collection", "/add-document", "/add-api-key", "/collections/create"];
    makes.iter().any(|end| route.path.ends_with(end)).then_some("201")
}

fn zeroentropy(path: &str, schemas: &mut Map<String, Value>) -> Option<(&'static str, Option<Value>, Value)> {
    /// The schemas of a call's body and answer.
    macro_rules! call {
        ($summary:literal, $body:ty, $answer:ty) => {{
            let body = add::<$body>("zeroentropy", schemas);
            ($summary, Some(body), add::<$answer>("zeroentropy", schemas))
        }};
    }
    let windows = |summary, schemas: &mut Map<String, Value>| {
        let body = add::<ze::UsageBody>("zeroentropy", schemas);
        let window = add::<ze::WindowCounter>("zeroentropy", schemas);
        (summary, Some(body), json!({"type": "array", "items": window}))
    };
    Some(match path.strip_prefix("/v1").unwrap_or(path) {
        "/status/get-status" => {
            call!("Counts documents by state", ze::StatusBody, ze::StatusAnswer)
        }
        "/collections/add-collection" => {
            call!("Makes a collection", ze::AddCollectionBody, ze::MessageAnswer)
        }
        "/collections/get-collection-list" => {
            let answer = add::<ze::CollectionList<'static>>("zeroentropy", schemas);
            ("Lists collections", None, answer)
        }
        "/collections/delete-collection" => {
            call!("Removes a collection and everything in it", ze::CollectionBody, ze::MessageAnswer)
        }
        "/documents/add-document" => {
            call!("Adds a document; indexing goes on behind", ze::AddDocumentBody, ze::MessageAnswer)
        }
        "/documents/update-document" => {
            call!(
                "Replaces a document's metadata, or tries it again",
                ze::UpdateDocumentBody,
                ze::MessageAnswer
            )
        }
        "/documents/delete-document" => {
            call!("Deletes documents", ze::DeleteDocumentBody, ze::DeleteDocumentAnswer<'static>)
        }
        "/documents/get-document-info" => {
            call!("Tells what is known of a document", ze::DocumentInfoBody, ze::DocumentAnswer<'static>)
        }
        "/documents/get-document-info-list" => {
            call!("Lists documents by path", ze::DocumentListBody, ze::DocumentListAnswer<'static>)
        }
        "/documents/get-page-info" => {
            call!("Tells what is known of a page", ze::PageInfoBody, ze::PageAnswer<'static>)
        }
        "/documents/get-document" => ("Hands out a document as it was sent", None, json!({})),
        "/documents/get-page-image" => ("Pages are not drawn: always 404", None, json!({})),
        "/queries/top-documents" => {
            call!("Finds documents", ze::TopDocumentsBody, ze::TopDocumentsAnswer<'static>)
        }
        "/queries/top-pages" => call!("Finds pages", ze::TopPagesBody, ze::TopPagesAnswer<'static>),
        "/queries/top-snippets" => {
            call!("Finds snippets", ze::TopSnippetsBody, ze::TopSnippetsAnswer<'static>)
        }
        "/admin/add-api-key" => {
            call!("Makes an API key", ze::AddApiKeyBody, ze::AddApiKeyAnswer<'static>)
        }
        "/admin/list-api-keys" => {
            call!("Lists API keys", ze::OrganizationBody, ze::ListApiKeysAnswer<'static>)
        }
        "/admin/delete-api-key" => call!("Makes an API key useless", ze::ApiKeyBody, ze::MessageAnswer),
        "/admin/update-api-key" => call!("Changes an API key", ze::UpdateApiKeyBody, ze::MessageAnswer),
        "/admin/get-organization" => {
            call!("Tells of this deployment", ze::OrganizationBody, ze::Organization)
        }
        "/admin/create-organization" | "/admin/update-organization" => {
            call!("Always refused: a deployment is one organization", ze::OrganizationBody, ze::MessageAnswer)
        }
        "/usage/documents" => windows("Counts documents added, by windows of time", schemas),
        "/usage/queries" => windows("Counts queries, by windows of time", schemas),
        "/usage/models/reranker" => windows("Counts rerank calls, by windows of time", schemas),
        "/usage/models/embed" => windows("Counts embed calls, by windows of time", schemas),
        "/usage/models/counters" => {
            ("Counts model calls", None, add::<ze::CountersAnswer>("zeroentropy", schemas))
        }
        "/usage/counters" => {
            ("Counts documents and queries", None, add::<ze::CountersAnswer>("zeroentropy", schemas))
        }
        _ => return None,
    })
}

fn own(path: &str, schemas: &mut Map<String, Value>) -> Option<(&'static str, Option<Value>, Value)> {
    let collection = json!({"type": "object", "description": "the collection with all its settings"});
    Some(match path {
        "/v1/search" => {
            let body = add::<elodex::SearchBody>("elodex", schemas);
            let answer = add::<elodex::SearchAnswer<'static>>("elodex", schemas);
            ("Finds documents, pages, chunks or passages, and tells how", Some(body), answer)
        }
        "/v1/collections/create" => {
            let body = add::<elodex::CreateCollectionBody>("elodex", schemas);
            ("Makes a collection with settings of its own", Some(body), collection)
        }
        "/v1/collections/get-info" => {
            let body = add::<elodex::CollectionBody>("elodex", schemas);
            ("Tells what is known of a collection", Some(body), collection)
        }
        "/v1/collections/get-info-list" => {
            let answer = add::<elodex::CollectionsAnswer<'static>>("elodex", schemas);
            ("Tells what is known of every collection", None, answer)
        }
        "/v1/collections/set-weights" => {
            let body = add::<elodex::SetWeightsBody>("elodex", schemas);
            ("Changes the weights of a collection's lists", Some(body), collection)
        }
        "/v1/collections/set-policy" => {
            let body = add::<elodex::SetPolicyBody>("elodex", schemas);
            ("Sets or takes away what labels decided for a collection", Some(body), collection)
        }
        _ => return None,
    })
}

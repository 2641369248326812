//! ZeroEntropy's API, at the root and under `/v1`, as its SDKs speak it: models, collections, documents, queries, and of
//! its administration what one deployment needs.
//!
//! - Errors are `{"detail": text}`; errors about the body's shape are 422 with a list of `{loc, msg, type}`. A value of the
//!   right type that is out of range is 400.
//! - `limit` and `top_n` may be 0 and give nothing. `num_shards` is checked and changes nothing: there are no shards here.
//! - `path_gt` is read from the query of the URL as well: the Node client's pagination puts it there.

mod admin;
mod collections;
mod documents;
mod models;
mod queries;
mod usage;

pub use admin::{
    AddApiKeyAnswer, AddApiKeyBody, ApiKey, ApiKeyBody, ListApiKeysAnswer, Organization, OrganizationBody,
    UpdateApiKeyBody,
};
pub use collections::{
    AddCollectionBody, CollectionBody, CollectionList, MessageAnswer, StatusAnswer, StatusBody,
};
pub use documents::{
    AddDocumentBody, Content, DeleteDocumentAnswer, DeleteDocumentBody, DocumentAnswer, DocumentFacts,
    DocumentInfoBody, DocumentListAnswer, DocumentListBody, IndexStatusName, ListedDocument, PageAnswer,
    PageFacts, PageInfoBody, RetryStatus, UpdateDocumentBody,
};
pub use models::{
    EmbedAnswer, EmbedBody, EmbedResult, InputType, LatencyMode, RerankAnswer, RerankBody, RerankResult,
    UsageCounts,
};
pub use queries::{
    DocumentResult, PageResult, QueryLatencyMode, SnippetResult, TopDocumentsAnswer, TopDocumentsBody,
    TopPagesAnswer, TopPagesBody, TopSnippetsAnswer, TopSnippetsBody,
};
pub use usage::{Counter, CountersAnswer, UsageBody, WindowCounter};

use crate::json::write_error;
use crate::problem::{Problem, Reason, Segment};
use crate::{Dialect, FileKind, Operation, Route};
use elodex_types::Fault;
use serde::Serialize;
use utoipa::ToSchema;

/// The dialect.
#[derive(Debug, Clone, Copy)]
pub struct ZeroEntropy;

/// One endpoint under `/v1` and at the root.
macro_rules! both {
    ($( $method:ident $path:literal $operation:expr; )+) => {
        [$( Route::$method(concat!("/v1", $path), $operation), Route::$method($path, $operation), )+]
    };
}

const ROUTES: [Route; 60] = both! {
    post "/models/embed" Operation::Embed(models::parse_embed);
    post "/models/rerank" Operation::Rerank(models::parse_rerank);
    post "/status/get-status" Operation::Read(collections::parse_status);
    post "/collections/add-collection" Operation::Write(collections::parse_add);
    post "/collections/get-collection-list" Operation::Read(collections::parse_list);
    post "/collections/delete-collection" Operation::Write(collections::parse_delete);
    post "/documents/add-document" Operation::Upload(documents::parse_add);
    post "/documents/update-document" Operation::Write(documents::parse_update);
    post "/documents/delete-document" Operation::Write(documents::parse_delete);
    post "/documents/get-document-info" Operation::Read(documents::parse_info);
    post "/documents/get-document-info-list" Operation::Read(documents::parse_list);
    post "/documents/get-page-info" Operation::Read(documents::parse_page);
    post "/queries/top-documents" Operation::Search(queries::parse_documents);
    post "/queries/top-pages" Operation::Search(queries::parse_pages);
    post "/queries/top-snippets" Operation::Search(queries::parse_snippets);
    get "/documents/get-document" Operation::File(FileKind::Document);
    get "/documents/get-page-image" Operation::File(FileKind::PageImage);
    post "/admin/add-api-key" Operation::Keys(admin::parse_add);
    post "/admin/list-api-keys" Operation::Keys(admin::parse_list);
    post "/admin/delete-api-key" Operation::Keys(admin::parse_delete);
    post "/admin/update-api-key" Operation::Keys(admin::parse_update);
    post "/admin/get-organization" Operation::Keys(admin::parse_organization);
    post "/admin/create-organization" Operation::Keys(admin::refuse_organization);
    post "/admin/update-organization" Operation::Keys(admin::refuse_change);
    post "/usage/documents" Operation::Usage(usage::parse_documents);
    post "/usage/queries" Operation::Usage(usage::parse_queries);
    post "/usage/models/reranker" Operation::Usage(usage::parse_rerank);
    post "/usage/models/embed" Operation::Usage(usage::parse_embed);
    post "/usage/models/counters" Operation::Usage(usage::parse_model_counters);
    post "/usage/counters" Operation::Usage(usage::parse_counters);
};

impl Dialect for ZeroEntropy {
    fn name(&self) -> &'static str {
        "zeroentropy"
    }

    fn routes(&self) -> &'static [Route] {
        &ROUTES
    }

    fn error_body(&self, problem: &Problem) -> Vec<u8> {
        if problem.fault != Fault::Shape {
            return write_error(&ErrorBody { detail: &problem.message });
        }
        let mut loc = vec![Loc::Name("body")];
        loc.extend(problem.location.iter().map(|segment| match segment {
            Segment::Field(name) => Loc::Name(name),
            Segment::Index(index) => Loc::Index(*index),
        }));
        let kind = match problem.reason {
            Reason::Json => "json_invalid",
            Reason::Missing => "missing",
            _ => "value_error",
        };
        write_error(&ValidationErrorBody {
            detail: vec![ValidationError { loc, msg: &problem.message, kind }],
        })
    }
}

/// Every error but 422.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = zeroentropy::ErrorBody)]
pub struct ErrorBody<'a> {
    /// What is wrong.
    pub detail: &'a str,
}

/// A 422.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = zeroentropy::ValidationErrorBody)]
pub struct ValidationErrorBody<'a> {
    /// One entry per problem.
    pub detail: Vec<ValidationError<'a>>,
}

/// One problem with the body's shape.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = zeroentropy::ValidationError)]
pub struct ValidationError<'a> {
    /// Where: `"body"`, then field names and list positions.
    pub loc: Vec<Loc<'a>>,
    /// What is wrong.
    pub msg: &'a str,
    /// `json_invalid`, `missing` or `value_error`.
    #[serde(rename = "type")]
    pub kind: &'a str,
}

/// One step of a [`ValidationError::loc`].
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
#[schema(as = zeroentropy::Loc)]
pub enum Loc<'a> {
    /// A field.
    Name(&'a str),
    /// A position in a list.
    Index(usize),
}

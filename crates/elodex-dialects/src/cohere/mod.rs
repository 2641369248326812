//! Cohere's `/v2/embed` and `/v2/rerank`.
//!
//! - `input_type` is a role: `search_query` and `search_document` are the two sides, `classification` and `clustering`
//!   are `None`, which only symmetric models and role-bound aliases accept. Images are refused.
//! - `truncate` is `END` where absent, as that API documents; `NONE` refuses a long text and `START` is refused itself.
//!   Rerank cuts a long document's end, again as documented. Whatever was cut is listed in `meta.warnings`.
//! - `max_tokens`, `max_tokens_per_doc` and enabled `relevant_spans` are refused; `priority` is ignored.
//! - The quantised `embedding_types` are computed from the float vector: see [`quantise`].
//! - Optional fields may be `null`. Errors are `{"message": text}`; a malformed body is 400.

mod embed;
pub mod quantise;
mod rerank;

pub use embed::{ContentPart, EmbedAnswer, EmbedBody, EmbeddingType, EmbeddingsByType, InputItem, Truncate};
pub use rerank::{RerankAnswer, RerankBody, RerankResult};

use crate::json::write_error;
use crate::problem::{Problem, status};
use crate::{Dialect, Operation, Route};
use elodex_types::{Fault, Truncation};
use serde::Serialize;
use utoipa::ToSchema;

/// The dialect.
#[derive(Debug, Clone, Copy)]
pub struct Cohere;

const ROUTES: [Route; 2] = [
    Route::post("/v2/embed", Operation::Embed(embed::parse)),
    Route::post("/v2/rerank", Operation::Rerank(rerank::parse)),
];

impl Dialect for Cohere {
    fn name(&self) -> &'static str {
        "cohere"
    }

    fn routes(&self) -> &'static [Route] {
        &ROUTES
    }

    fn status(&self, problem: &Problem) -> u16 {
        match problem.fault {
            Fault::Shape => 400,
            fault => status(fault),
        }
    }

    fn error_body(&self, problem: &Problem) -> Vec<u8> {
        write_error(&ErrorBody { message: &problem.message })
    }
}

/// The body of every error.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = cohere::ErrorBody)]
pub struct ErrorBody<'a> {
    /// What is wrong.
    pub message: &'a str,
}

/// What every answer says about itself.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = cohere::Meta)]
pub struct Meta {
    /// The version spoken.
    pub api_version: ApiVersion,
    /// Counters.
    pub billed_units: BilledUnits,
    /// One line per input that was cut.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// The version of the API.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[schema(as = cohere::ApiVersion)]
pub struct ApiVersion {
    /// Always `2`.
    pub version: &'static str,
}

/// What the call consumed.
#[derive(Debug, Clone, Copy, Default, Serialize, ToSchema)]
#[schema(as = cohere::BilledUnits)]
pub struct BilledUnits {
    /// Embed: tokens the model read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_tokens: Option<u64>,
    /// Rerank: one per query and 100 documents begun.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub search_units: Option<u64>,
}

impl Meta {
    fn new(billed_units: BilledUnits, warnings: Vec<String>) -> Self {
        Self { api_version: ApiVersion { version: "2" }, billed_units, warnings }
    }
}

/// The warning about one input, if it was cut.
fn cut_warning(name: &str, index: usize, receipt: Truncation) -> Option<String> {
    receipt.cut().then(|| {
        format!("{name}[{index}] has {} tokens and was cut at its end to {}", receipt.seen, receipt.used)
    })
}

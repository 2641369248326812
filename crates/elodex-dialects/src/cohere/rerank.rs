//! `/v2/rerank`.

use super::{BilledUnits, Meta, cut_warning};
use crate::json::{Count, Fields, Object, Whole, write};
use crate::problem::Problem;
use crate::vector::finite_scores;
use crate::{RerankCall, RerankShape};
use elodex_types::{Latency, RerankRequest, RerankResponse, TruncationPolicy};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Documents in one search unit.
const DOCUMENTS_PER_UNIT: usize = 100;

/// Body of a `POST /v2/rerank`.
#[derive(Debug, ToSchema)]
#[schema(as = cohere::RerankBody)]
pub struct RerankBody {
    /// Model name or alias.
    pub model: String,
    /// The query.
    pub query: String,
    /// The passages. Structured data is best written as YAML.
    pub documents: Vec<String>,
    /// Keep only the best; all where absent.
    pub top_n: Option<usize>,
}

#[derive(Deserialize)]
struct RelevantSpans {
    mode: String,
}

impl RerankBody {
    fn read(fields: &Fields<'_>) -> Result<Self, Problem> {
        Ok(Self {
            model: fields.required("model")?,
            query: fields.required("query")?,
            documents: fields.required("documents")?,
            top_n: fields.optional("top_n")?.map(|Whole(count): Count| count),
        })
    }
}

pub(super) fn parse(body: &[u8]) -> Result<RerankCall, Problem> {
    let fields = Fields::split(body)?;
    let body = RerankBody::read(&fields)?;
    if fields.optional::<IgnoredAny>("max_tokens_per_doc")?.is_some() {
        let message = "max_tokens_per_doc: not supported; leave it out and the model's own window applies";
        return Err(Problem::unsupported("max_tokens_per_doc", message));
    }
    if fields
        .optional::<Object<RelevantSpans>>("relevant_spans")?
        .is_some_and(|Object(spans)| spans.mode != "disabled")
    {
        let message = "relevant_spans: not supported; leave it out or set its mode to `disabled`";
        return Err(Problem::unsupported("relevant_spans", message));
    }
    Ok(RerankCall {
        shape: Box::new(Ranking { documents: body.documents.len() }),
        request: RerankRequest {
            model: body.model,
            query: body.query,
            documents: body.documents,
            top_n: body.top_n,
            truncation: Some(TruncationPolicy::Truncate),
            latency: Latency::Auto,
        },
    })
}

#[derive(Debug)]
struct Ranking {
    documents: usize,
}

impl RerankShape for Ranking {
    fn render(&self, response: &RerankResponse, request_id: &str) -> Result<Vec<u8>, Problem> {
        finite_scores(response)?;
        let receipts = response.truncations.iter().enumerate();
        let warnings =
            receipts.filter_map(|(index, receipt)| cut_warning("documents", index, *receipt)).collect();
        let search_units = Some(self.documents.div_ceil(DOCUMENTS_PER_UNIT) as u64);
        let body = RerankAnswer {
            id: request_id,
            results: response
                .results
                .iter()
                .map(|ranked| RerankResult { index: ranked.index, relevance_score: ranked.score.value })
                .collect(),
            meta: Meta::new(BilledUnits { search_units, ..BilledUnits::default() }, warnings),
        };
        write(&body, 256 + 48 * response.results.len())
    }
}

/// Answer of a `POST /v2/rerank`.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = cohere::RerankAnswer)]
pub struct RerankAnswer<'a> {
    /// The request's id.
    pub id: &'a str,
    /// Best first.
    pub results: Vec<RerankResult>,
    /// Version, counters, warnings.
    pub meta: Meta,
}

/// One scored document.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[schema(as = cohere::RerankResult)]
pub struct RerankResult {
    /// Position in the request's `documents`.
    pub index: usize,
    /// 0..1.
    pub relevance_score: f32,
}

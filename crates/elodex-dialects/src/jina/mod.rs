//! Jina's `/v1/rerank`. Jina's embeddings share a path with OpenAI's and live in [`openai`](crate::openai).
//!
//! - Documents are strings or `{"text": …}`; images are refused. They are echoed unless `return_documents` is `false`.
//! - `truncation` chooses the policy; where absent, the deployment's default applies. `max_doc_length`,
//!   `max_query_length` and `return_embeddings: true` are refused.
//! - Optional fields may be `null`. Errors are `{"detail": text}`; a malformed body is 422.

use crate::json::{Count, Fields, Text, Whole, when_too_long, write, write_error};
use crate::problem::Problem;
use crate::vector::finite_scores;
use crate::{Dialect, Operation, RerankCall, RerankShape, Route};
use elodex_types::{Latency, RerankRequest, RerankResponse};
use serde::Serialize;
use utoipa::ToSchema;

/// The dialect.
#[derive(Debug, Clone, Copy)]
pub struct Jina;

const ROUTES: [Route; 1] = [Route::post("/v1/rerank", Operation::Rerank(parse_rerank))];

impl Dialect for Jina {
    fn name(&self) -> &'static str {
        "jina"
    }

    fn routes(&self) -> &'static [Route] {
        &ROUTES
    }

    fn error_body(&self, problem: &Problem) -> Vec<u8> {
        write_error(&ErrorBody { detail: &problem.message })
    }
}

/// Body of a `POST /v1/rerank`.
#[derive(Debug, ToSchema)]
#[schema(as = jina::RerankBody)]
pub struct RerankBody {
    /// Model name or alias.
    pub model: String,
    /// The query.
    pub query: String,
    /// The passages.
    #[schema(value_type = Vec<Document>)]
    pub documents: Vec<String>,
    /// Keep only the best; all where absent.
    pub top_n: Option<usize>,
    /// Whether the answer echoes the passages; `true` where absent.
    pub return_documents: Option<bool>,
    /// `true` cuts a long passage's end, `false` refuses it; the deployment's default where absent.
    pub truncation: Option<bool>,
}

/// Schema of a passage.
#[derive(Debug, ToSchema)]
#[serde(untagged)]
#[schema(as = jina::Document)]
pub enum Document {
    /// The text.
    Text(String),
    /// The text in an object.
    Object {
        /// The text.
        text: String,
    },
}

impl RerankBody {
    fn read(fields: &Fields<'_>) -> Result<Self, Problem> {
        Ok(Self {
            model: fields.required("model")?,
            query: fields.required("query")?,
            documents: Text::<true>::strings(fields.required("documents")?),
            top_n: fields.optional("top_n")?.map(|Whole(count): Count| count),
            return_documents: fields.optional("return_documents")?,
            truncation: fields.optional("truncation")?,
        })
    }
}

fn parse_rerank(body: &[u8]) -> Result<RerankCall, Problem> {
    let fields = Fields::split(body)?;
    let body = RerankBody::read(&fields)?;
    for name in ["max_doc_length", "max_query_length"] {
        if fields.optional::<serde::de::IgnoredAny>(name)?.is_some() {
            let message = format!("{name}: not supported; leave it out and the model's own window applies");
            return Err(Problem::unsupported(name, message));
        }
    }
    if fields.optional("return_embeddings")? == Some(true) {
        let message = "return_embeddings: a reranker has no embeddings to return; leave it out";
        return Err(Problem::unsupported("return_embeddings", message));
    }
    let echo = body.return_documents.unwrap_or(true);
    let shape = Ranking { model: body.model.clone(), documents: echo.then(|| body.documents.clone()) };
    Ok(RerankCall {
        request: RerankRequest {
            model: body.model,
            query: body.query,
            documents: body.documents,
            top_n: body.top_n,
            truncation: body.truncation.map(when_too_long),
            latency: Latency::Auto,
        },
        shape: Box::new(shape),
    })
}

#[derive(Debug)]
struct Ranking {
    model: String,
    documents: Option<Vec<String>>,
}

impl RerankShape for Ranking {
    fn render(&self, response: &RerankResponse, _: &str) -> Result<Vec<u8>, Problem> {
        finite_scores(response)?;
        let results = response.results.iter().map(|ranked| RerankResult {
            index: ranked.index,
            document: self
                .documents
                .as_ref()
                .and_then(|documents| documents.get(ranked.index))
                .map(|text| EchoedDocument { text }),
            relevance_score: ranked.score.value,
        });
        let usage = Usage { total_tokens: response.usage.tokens, prompt_tokens: response.usage.tokens };
        let body = RerankAnswer { model: &self.model, object: "list", usage, results: results.collect() };
        let texts: usize = self.documents.iter().flatten().map(String::len).sum();
        write(&body, 256 + 80 * response.results.len() + texts)
    }
}

/// Answer of a `POST /v1/rerank`.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = jina::RerankAnswer)]
pub struct RerankAnswer<'a> {
    /// The model name of the request.
    pub model: &'a str,
    /// Always `list`.
    pub object: &'static str,
    /// Counters.
    pub usage: Usage,
    /// Best first.
    pub results: Vec<RerankResult<'a>>,
}

/// One scored document.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[schema(as = jina::RerankResult)]
pub struct RerankResult<'a> {
    /// Position in the request's `documents`.
    pub index: usize,
    /// The passage, unless `return_documents` is `false`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub document: Option<EchoedDocument<'a>>,
    /// 0..1.
    pub relevance_score: f32,
}

/// An echoed passage.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[schema(as = jina::EchoedDocument)]
pub struct EchoedDocument<'a> {
    /// Its text.
    pub text: &'a str,
}

/// What the call consumed.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[schema(as = jina::Usage)]
pub struct Usage {
    /// Tokens the model read.
    pub total_tokens: u64,
    /// The same.
    pub prompt_tokens: u64,
}

/// The body of every error.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = jina::ErrorBody)]
pub struct ErrorBody<'a> {
    /// What is wrong.
    pub detail: &'a str,
}

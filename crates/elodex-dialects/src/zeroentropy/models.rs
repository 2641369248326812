//! `/models/embed` and `/models/rerank`.
//!
//! - `latency` prefers a lane and never changes numbers; the lane used comes back as `actual_latency_mode`.
//! - There is no truncation field: the deployment's default applies.

use crate::json::{Count, Fields, OneOrMany, Positive, Texts, Whole, write};
use crate::problem::Problem;
use crate::vector::{EncodingFormat, Vector, finite_embeddings, finite_scores};
use crate::{EmbedCall, EmbedShape, RerankCall, RerankShape};
use elodex_types::{EmbedRequest, EmbedResponse, Lane, Latency, RerankRequest, RerankResponse, Role, Usage};
use serde::Serialize;
use utoipa::ToSchema;

/// Body of a `POST /models/embed`.
#[derive(Debug, ToSchema)]
#[schema(as = zeroentropy::EmbedBody)]
pub struct EmbedBody {
    /// Model name or alias.
    pub model: String,
    /// The side of the retrieval; each has its own prompt.
    #[schema(value_type = InputType)]
    pub input_type: Role,
    /// A text or a list of texts; the order is kept.
    #[schema(value_type = Texts)]
    pub input: Vec<String>,
    /// Output width; the model's full width where absent.
    #[schema(minimum = 1)]
    pub dimensions: Option<usize>,
    /// How vectors are written; `float` where absent.
    #[schema(required = false)]
    pub encoding_format: EncodingFormat,
    /// Lane preference; `null` tries fast and falls back to slow.
    #[schema(value_type = Option<LatencyMode>)]
    pub latency: Latency,
}

/// Schema of `input_type`.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "lowercase")]
#[schema(as = zeroentropy::InputType)]
pub enum InputType {
    /// What a user asks.
    Query,
    /// What is searched.
    Document,
}

/// Schema of `latency` and `actual_latency_mode`.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "lowercase")]
#[schema(as = zeroentropy::LatencyMode)]
pub enum LatencyMode {
    /// Interactive lane.
    Fast,
    /// Bulk lane.
    Slow,
}

const LATENCIES: [(&str, Latency); 2] = [("fast", Latency::Fast), ("slow", Latency::Slow)];

impl EmbedBody {
    fn read(body: &[u8]) -> Result<Self, Problem> {
        let fields = Fields::split(body)?;
        Ok(Self {
            model: fields.required("model")?,
            input_type: fields
                .required_choice("input_type", &[("query", Role::Query), ("document", Role::Document)])?,
            input: fields.required::<OneOrMany<String>>("input")?.0,
            dimensions: fields.optional("dimensions")?.map(|Whole(dimensions): Positive| dimensions),
            encoding_format: fields.defaulted_choice(
                "encoding_format",
                &EncodingFormat::CHOICES,
                EncodingFormat::default(),
            )?,
            latency: fields.optional_choice("latency", &LATENCIES)?.unwrap_or_default(),
        })
    }
}

pub(super) fn parse_embed(body: &[u8]) -> Result<EmbedCall, Problem> {
    let body = EmbedBody::read(body)?;
    Ok(EmbedCall {
        request: EmbedRequest {
            model: body.model,
            role: Some(body.input_type),
            inputs: body.input,
            dimensions: body.dimensions,
            truncation: None,
            latency: body.latency,
        },
        shape: Box::new(Embeddings { encoding: body.encoding_format }),
    })
}

#[derive(Debug)]
struct Embeddings {
    encoding: EncodingFormat,
}

impl EmbedShape for Embeddings {
    fn render(&self, response: &EmbedResponse, _: &str) -> Result<Vec<u8>, Problem> {
        finite_embeddings(response)?;
        let encoding = self.encoding;
        let results =
            response.embeddings.iter().map(|vector| EmbedResult { embedding: encoding.encode(vector) });
        let body = EmbedAnswer { results: results.collect(), usage: response.usage.into() };
        write(&body, encoding.capacity(&response.embeddings))
    }
}

/// Answer of a `POST /models/embed`.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = zeroentropy::EmbedAnswer)]
pub struct EmbedAnswer<'a> {
    /// One entry per input, in input order.
    pub results: Vec<EmbedResult<'a>>,
    /// Counters.
    pub usage: UsageCounts,
}

/// One embedded input.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = zeroentropy::EmbedResult)]
pub struct EmbedResult<'a> {
    /// Its vector.
    pub embedding: Vector<'a>,
}

/// What the call consumed.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[schema(as = zeroentropy::UsageCounts)]
pub struct UsageCounts {
    /// `Σ(150 + len_utf8(input))`.
    pub total_bytes: u64,
    /// Tokens the model read.
    pub total_tokens: u64,
}

impl From<Usage> for UsageCounts {
    fn from(usage: Usage) -> Self {
        Self { total_bytes: usage.bytes, total_tokens: usage.tokens }
    }
}

/// Body of a `POST /models/rerank`.
#[derive(Debug, ToSchema)]
#[schema(as = zeroentropy::RerankBody)]
pub struct RerankBody {
    /// Model name or alias.
    pub model: String,
    /// The query.
    pub query: String,
    /// The passages.
    pub documents: Vec<String>,
    /// Keep only the best; all where absent.
    pub top_n: Option<usize>,
    /// Lane preference; `null` tries fast and falls back to slow.
    #[schema(value_type = Option<LatencyMode>)]
    pub latency: Latency,
}

impl RerankBody {
    fn read(body: &[u8]) -> Result<Self, Problem> {
        let fields = Fields::split(body)?;
        Ok(Self {
            model: fields.required("model")?,
            query: fields.required("query")?,
            documents: fields.required("documents")?,
            top_n: fields.optional("top_n")?.map(|Whole(count): Count| count),
            latency: fields.optional_choice("latency", &LATENCIES)?.unwrap_or_default(),
        })
    }
}

pub(super) fn parse_rerank(body: &[u8]) -> Result<RerankCall, Problem> {
    let body = RerankBody::read(body)?;
    Ok(RerankCall {
        request: RerankRequest {
            model: body.model,
            query: body.query,
            documents: body.documents,
            top_n: body.top_n,
            truncation: None,
            latency: body.latency,
        },
        shape: Box::new(Ranking),
    })
}

#[derive(Debug)]
struct Ranking;

impl RerankShape for Ranking {
    fn render(&self, response: &RerankResponse, _: &str) -> Result<Vec<u8>, Problem> {
        finite_scores(response)?;
        let results = response.results.iter();
        let body = RerankAnswer {
            results: results
                .map(|ranked| RerankResult { index: ranked.index, relevance_score: ranked.score.value })
                .collect(),
            total_bytes: response.usage.bytes,
            total_tokens: response.usage.tokens,
            actual_latency_mode: response.lane,
            e2e_latency: response.timing.total.as_secs_f64(),
            inference_latency: response.timing.inference.as_secs_f64(),
        };
        write(&body, 256 + 48 * response.results.len())
    }
}

/// Answer of a `POST /models/rerank`.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = zeroentropy::RerankAnswer)]
pub struct RerankAnswer {
    /// Best first.
    pub results: Vec<RerankResult>,
    /// `Σ(150 + len_utf8(query) + len_utf8(document))`.
    pub total_bytes: u64,
    /// Tokens the model read.
    pub total_tokens: u64,
    /// Lane used.
    #[schema(value_type = LatencyMode)]
    pub actual_latency_mode: Lane,
    /// Seconds from submission to answer.
    pub e2e_latency: f64,
    /// Seconds in the model.
    pub inference_latency: f64,
}

/// One scored document.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[schema(as = zeroentropy::RerankResult)]
pub struct RerankResult {
    /// Position in the request's `documents`.
    pub index: usize,
    /// 0..1.
    pub relevance_score: f32,
}

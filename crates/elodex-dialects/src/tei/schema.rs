//! The wire types, for readers and for OpenAPI.

use crate::json::{Fields, OneOrMany, Positive, Text, Texts, Whole};
use crate::problem::Problem;
use serde::Serialize;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// Body of a `POST /embed`.
#[derive(Debug, ToSchema)]
#[schema(as = tei::EmbedBody)]
pub struct EmbedBody {
    /// A text or a list of at least one.
    #[schema(value_type = Texts)]
    pub inputs: Vec<String>,
    /// `true` cuts a long text's end, `false` refuses it; the deployment's default where absent.
    pub truncate: Option<bool>,
    /// Only `right` is supported.
    #[schema(required = false)]
    pub truncation_direction: TruncationDirection,
    /// `query`, `document` or `passage`.
    pub prompt_name: Option<String>,
    /// Only `true`, the default, is supported: a model normalises or it does not.
    #[schema(required = false)]
    pub normalize: bool,
    /// Output width; the model's full width where absent.
    #[schema(minimum = 1)]
    pub dimensions: Option<usize>,
}

/// Which end of a long text is cut.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ToSchema)]
#[schema(as = tei::TruncationDirection)]
pub enum TruncationDirection {
    /// The start.
    Left,
    /// The end.
    #[default]
    Right,
}

const DIRECTIONS: [(&str, TruncationDirection); 4] = [
    ("Left", TruncationDirection::Left),
    ("Right", TruncationDirection::Right),
    ("left", TruncationDirection::Left),
    ("right", TruncationDirection::Right),
];

impl EmbedBody {
    pub(super) fn read(body: &[u8]) -> Result<Self, Problem> {
        let fields = Fields::split(body)?;
        Ok(Self {
            inputs: Text::<false>::strings(fields.required::<OneOrMany<Text<false>>>("inputs")?.0),
            truncate: fields.optional("truncate")?,
            truncation_direction: fields.defaulted_choice(
                "truncation_direction",
                &DIRECTIONS,
                TruncationDirection::default(),
            )?,
            prompt_name: fields.optional("prompt_name")?,
            normalize: fields.defaulted("normalize", true)?,
            dimensions: fields.optional("dimensions")?.map(|Whole(dimensions): Positive| dimensions),
        })
    }
}

/// Body of a `POST /rerank`.
#[derive(Debug, ToSchema)]
#[schema(as = tei::RerankBody)]
pub struct RerankBody {
    /// The query.
    pub query: String,
    /// At least one passage.
    pub texts: Vec<String>,
    /// `true` cuts a long passage's end, `false` refuses it; the deployment's default where absent.
    pub truncate: Option<bool>,
    /// Only `right` is supported.
    #[schema(required = false)]
    pub truncation_direction: TruncationDirection,
    /// Return the model's raw outputs in place of 0..1.
    #[schema(required = false)]
    pub raw_scores: bool,
    /// Echo the passages.
    #[schema(required = false)]
    pub return_text: bool,
}

impl RerankBody {
    pub(super) fn read(body: &[u8]) -> Result<Self, Problem> {
        let fields = Fields::split(body)?;
        Ok(Self {
            query: fields.required("query")?,
            texts: fields.required("texts")?,
            truncate: fields.optional("truncate")?,
            truncation_direction: fields.defaulted_choice(
                "truncation_direction",
                &DIRECTIONS,
                TruncationDirection::default(),
            )?,
            raw_scores: fields.defaulted("raw_scores", false)?,
            return_text: fields.defaulted("return_text", false)?,
        })
    }
}

/// One entry of a `/rerank` answer.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[schema(as = tei::RankedText)]
pub struct RankedText<'a> {
    /// Position in the request's `texts`.
    pub index: usize,
    /// The passage, with `return_text`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<&'a str>,
    /// 0..1, or the model's raw output with `raw_scores`.
    pub score: f32,
}

/// Body of a `POST /tokenize`.
#[derive(Debug, ToSchema)]
#[schema(as = tei::TokenizeBody)]
pub struct TokenizeBody {
    /// A text or a list of at least one.
    #[schema(value_type = Texts)]
    pub inputs: Vec<String>,
    /// Whether the tokenizer's template is applied; `true` where absent.
    #[schema(required = false)]
    pub add_special_tokens: bool,
    /// `query`, `document` or `passage`.
    pub prompt_name: Option<String>,
}

impl TokenizeBody {
    pub(super) fn read(body: &[u8]) -> Result<Self, Problem> {
        let fields = Fields::split(body)?;
        Ok(Self {
            inputs: Text::<false>::strings(fields.required::<OneOrMany<Text<false>>>("inputs")?.0),
            add_special_tokens: fields.defaulted("add_special_tokens", true)?,
            prompt_name: fields.optional("prompt_name")?,
        })
    }
}

/// One token of a `/tokenize` answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = tei::Token)]
pub struct Token {
    /// Its id in the vocabulary.
    pub id: u32,
    /// Its text.
    pub text: String,
    /// Whether the template put it there.
    pub special: bool,
    /// First character in the input; `None` for tokens that stand for no part of it.
    pub start: Option<usize>,
    /// One past the last character in the input.
    pub stop: Option<usize>,
}

/// The answer of a `GET /info`; the server fills it.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = tei::Info)]
pub struct Info {
    /// The model that answers requests without a model name.
    #[serde(flatten)]
    pub model: InfoModel,
    /// Requests that may wait or run at once.
    pub max_concurrent_requests: usize,
    /// Tokens of the model's window.
    pub max_input_length: usize,
    /// Tokens in one packed batch.
    pub max_batch_tokens: usize,
    /// Sequences in one batch; `None` when only tokens limit it.
    pub max_batch_requests: Option<usize>,
    /// Inputs in one request.
    pub max_client_batch_size: usize,
    /// Whether a request that says nothing about truncation is cut.
    pub auto_truncate: bool,
    /// Threads that tokenise.
    pub tokenization_workers: usize,
    /// Version of this server.
    pub version: String,
    /// Commit it was built from.
    pub sha: Option<String>,
    /// Label of its container image.
    pub docker_label: Option<String>,
}

/// The model half of an [`Info`].
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = tei::InfoModel)]
pub struct InfoModel {
    /// Canonical id.
    pub model_id: String,
    /// Revision.
    pub model_sha: Option<String>,
    /// Number type of the weights, such as `float32` or `int8`.
    pub model_dtype: String,
    /// The name it is served under.
    pub served_model_name: String,
    /// What it computes.
    pub model_type: ModelType,
}

/// What a model computes.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = tei::ModelType)]
pub enum ModelType {
    /// Embeddings.
    Embedding(Pooling),
    /// Scores of query and passage.
    Reranker(Labels),
}

/// How an embedder turns token states into one vector.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = tei::Pooling)]
pub struct Pooling {
    /// Such as `mean`, `cls` or `last_token`.
    pub pooling: String,
}

/// The labels of a reranker's head.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
#[schema(as = tei::Labels)]
pub struct Labels {
    /// Label by position.
    pub id2label: BTreeMap<String, String>,
    /// Position by label.
    pub label2id: BTreeMap<String, usize>,
}

/// The body of every error.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = tei::ErrorBody)]
pub struct ErrorBody<'a> {
    /// What is wrong.
    pub error: &'a str,
    /// Which kind of problem it is.
    pub error_type: ErrorType,
}

/// Kinds of problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = tei::ErrorType)]
pub enum ErrorType {
    /// The service cannot take work now.
    Unhealthy,
    /// The service failed.
    Backend,
    /// Too much work at once.
    Overloaded,
    /// The request is not acceptable.
    Validation,
    /// The tokenizer failed.
    Tokenizer,
    /// A list is empty that must not be.
    Empty,
}

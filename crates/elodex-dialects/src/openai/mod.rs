//! OpenAI's `/v1/embeddings`, with Jina's additions to the same endpoint.
//!
//! - OpenAI has no role: the call's role is `None` and the server takes it from a model alias such as `zembed-1:query`.
//!   Jina's `task` is a role where it names a side: `retrieval.query`, `code.query` and `query` are the query side,
//!   `retrieval.passage`, `code.passage` and `document` the document side; the symmetric tasks are `None`.
//! - Arrays of token ids are refused: they belong to another model's tokenizer.
//! - Jina's `embedding_type` is another name of `encoding_format`, `truncate` chooses the truncation policy, and
//!   `late_chunking: true` and `normalized: false` are refused. `user` is ignored.
//! - Optional fields may be `null`. Errors are `{"error": {message, type, param, code}}`; a malformed body is 400.

use crate::json::{Fields, OneOrMany, Positive, Text, Texts, Whole, when_too_long, write, write_error};
use crate::problem::{Problem, status};
use crate::vector::{EncodingFormat, Vector, finite_embeddings};
use crate::{Dialect, EmbedCall, EmbedShape, Operation, Route};
use elodex_types::{EmbedRequest, EmbedResponse, Fault, Latency, Role};
use serde::Serialize;
use utoipa::ToSchema;

/// The dialect.
#[derive(Debug, Clone, Copy)]
pub struct OpenAi;

const ROUTES: [Route; 2] = [
    Route::post("/v1/embeddings", Operation::Embed(parse_embeddings)),
    Route::post("/embeddings", Operation::Embed(parse_embeddings)),
];

impl Dialect for OpenAi {
    fn name(&self) -> &'static str {
        "openai"
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
        let (kind, code) = match problem.fault {
            Fault::User | Fault::Shape | Fault::Conflict | Fault::TooLarge => ("invalid_request_error", None),
            Fault::Unauthenticated => ("invalid_request_error", Some("invalid_api_key")),
            Fault::Forbidden => ("permission_error", None),
            Fault::NotFound => ("invalid_request_error", Some("model_not_found")),
            Fault::Overload => ("rate_limit_error", Some("rate_limit_exceeded")),
            _ => ("server_error", None),
        };
        let error = ErrorObject { message: &problem.message, kind, param: problem.path(), code };
        write_error(&ErrorBody { error })
    }
}

/// Body of a `POST /v1/embeddings`.
#[derive(Debug, ToSchema)]
#[schema(as = openai::EmbeddingsBody)]
pub struct EmbeddingsBody {
    /// Model name or alias.
    pub model: String,
    /// A text or a list of texts; the order is kept.
    #[schema(value_type = Texts)]
    pub input: Vec<String>,
    /// Output width; the model's full width where absent.
    #[schema(minimum = 1)]
    pub dimensions: Option<usize>,
    /// How vectors are written; `float` where absent.
    pub encoding_format: Option<EncodingFormat>,
    /// Jina's name of `encoding_format`; where both are given, `encoding_format` counts.
    pub embedding_type: Option<EncodingFormat>,
    /// Jina's task, such as `retrieval.query` or `retrieval.passage`.
    #[schema(value_type = Option<String>)]
    pub task: Option<Role>,
    /// Jina's: `true` cuts a long text's end, `false` refuses it; the deployment's default where absent.
    pub truncate: Option<bool>,
    /// Jina's: only `false` is supported.
    pub late_chunking: Option<bool>,
    /// Jina's: only `true` is supported.
    pub normalized: Option<bool>,
}

const TASKS: [(&str, Option<Role>); 10] = [
    ("retrieval.query", Some(Role::Query)),
    ("retrieval.passage", Some(Role::Document)),
    ("query", Some(Role::Query)),
    ("document", Some(Role::Document)),
    ("code.query", Some(Role::Query)),
    ("code.passage", Some(Role::Document)),
    ("retrieval", None),
    ("text-matching", None),
    ("classification", None),
    ("separation", None),
];

impl EmbeddingsBody {
    fn read(body: &[u8]) -> Result<Self, Problem> {
        let fields = Fields::split(body)?;
        Ok(Self {
            model: fields.required("model")?,
            input: Text::<true>::strings(fields.required::<OneOrMany<Text<true>>>("input")?.0),
            dimensions: fields.optional("dimensions")?.map(|Whole(dimensions): Positive| dimensions),
            encoding_format: fields.optional_choice("encoding_format", &EncodingFormat::CHOICES)?,
            embedding_type: fields.optional_choice("embedding_type", &EncodingFormat::CHOICES)?,
            task: fields.optional_choice("task", &TASKS)?.flatten(),
            truncate: fields.optional("truncate")?,
            late_chunking: fields.optional("late_chunking")?,
            normalized: fields.optional("normalized")?,
        })
    }
}

fn parse_embeddings(body: &[u8]) -> Result<EmbedCall, Problem> {
    let body = EmbeddingsBody::read(body)?;
    if body.late_chunking == Some(true) {
        return Err(Problem::unsupported(
            "late_chunking",
            "late_chunking: not supported; send one text per chunk",
        ));
    }
    if body.normalized == Some(false) {
        let message = "normalized: embeddings come as the model defines them, so `false` is not supported; leave it out";
        return Err(Problem::unsupported("normalized", message));
    }
    let encoding = body.encoding_format.or(body.embedding_type).unwrap_or_default();
    Ok(EmbedCall {
        shape: Box::new(Embeddings { model: body.model.clone(), encoding }),
        request: EmbedRequest {
            model: body.model,
            role: body.task,
            inputs: body.input,
            dimensions: body.dimensions,
            truncation: body.truncate.map(when_too_long),
            latency: Latency::Auto,
        },
    })
}

#[derive(Debug)]
struct Embeddings {
    model: String,
    encoding: EncodingFormat,
}

impl EmbedShape for Embeddings {
    fn render(&self, response: &EmbedResponse, _: &str) -> Result<Vec<u8>, Problem> {
        finite_embeddings(response)?;
        let data = response.embeddings.iter().enumerate().map(|(index, vector)| Embedding {
            object: "embedding",
            index,
            embedding: self.encoding.encode(vector),
        });
        let usage = Usage { prompt_tokens: response.usage.tokens, total_tokens: response.usage.tokens };
        let body = EmbeddingsAnswer { object: "list", data: data.collect(), model: &self.model, usage };
        write(&body, self.encoding.capacity(&response.embeddings))
    }
}

/// Answer of a `POST /v1/embeddings`.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = openai::EmbeddingsAnswer)]
pub struct EmbeddingsAnswer<'a> {
    /// Always `list`.
    pub object: &'static str,
    /// One entry per input, in input order.
    pub data: Vec<Embedding<'a>>,
    /// The model name of the request.
    pub model: &'a str,
    /// Counters.
    pub usage: Usage,
}

/// One embedded input.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = openai::Embedding)]
pub struct Embedding<'a> {
    /// Always `embedding`.
    pub object: &'static str,
    /// Position in the request's `input`.
    pub index: usize,
    /// Its vector.
    pub embedding: Vector<'a>,
}

/// What the call consumed.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[schema(as = openai::Usage)]
pub struct Usage {
    /// Tokens the model read.
    pub prompt_tokens: u64,
    /// The same.
    pub total_tokens: u64,
}

/// The body of every error.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = openai::ErrorBody)]
pub struct ErrorBody<'a> {
    /// The error.
    pub error: ErrorObject<'a>,
}

/// One error.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = openai::ErrorObject)]
pub struct ErrorObject<'a> {
    /// What is wrong.
    pub message: &'a str,
    /// `invalid_request_error`, `permission_error`, `rate_limit_error` or `server_error`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The field it is about, such as `input[3]`.
    pub param: Option<String>,
    /// A code for programs.
    pub code: Option<&'static str>,
}

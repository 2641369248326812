//! Six HTTP dialects over the two model calls and the search API, as pure translation: no I/O, no async, no web framework.
//!
//! A [`Dialect`] lists its [`Route`]s. Each route carries the function that reads a request body into the call the
//! engine understands, together with the shape that later writes the answer:
//!
//! ```
//! use elodex_dialects::{Operation, all};
//!
//! let body = br#"{"model": "zembed-1", "input_type": "query", "input": "why is the sky blue?"}"#;
//! let dialect = all()[0];
//! let route = dialect.routes().iter().find(|route| route.path == "/v1/models/embed").unwrap();
//! let Operation::Embed(read) = route.operation else { panic!("an embed route") };
//! let call = read(body).unwrap();
//! assert_eq!(call.request.inputs, ["why is the sky blue?"]);
//!
//! let problem = read(b"{}").unwrap_err();
//! let reply = dialect.render_error(&problem);
//! assert_eq!(reply.status, 422);
//! // later: call.shape.render(&response, "request-id")
//! ```
//!
//! Rules every dialect keeps:
//! - JSON types are strict, a repeated field counts with its last value. Unknown fields are ignored where another service
//!   defines the shape; our own [`elodex`] refuses them.
//! - A field that asks for something Elodex does not do is refused with [`Fault::User`](elodex_types::Fault::User),
//!   never ignored, unless leaving it out cannot change a number in the answer.
//! - A field that the dialect lacks is `None` in the call, which means the deployment's default. The model name is
//!   passed on untouched: the server resolves aliases such as `name:query`.
//! - A number that is not finite never reaches a client: rendering fails instead.

mod calls;
mod filter;
mod json;
mod metadata;
mod problem;
mod search;
mod vector;

pub mod cohere;
pub mod elodex;
pub mod jina;
pub mod openai;
pub mod tei;
pub mod zeroentropy;

pub use calls::{
    Counted, FileKind, KeyEntry, KeysCall, Period, Permission, ReadCall, Render, SearchCall, SearchShape,
    UsageCall, UsageTotals, UsageWindow, WriteCall,
};
pub use json::Texts;
pub use problem::{ErrorReply, Problem, Reason, RetryAdvice, Segment, retry_advice, status};
pub use vector::{EncodingFormat, Vector, decode_base64, encode_base64};

use elodex_types::{EmbedRequest, EmbedResponse, RerankRequest, RerankResponse, Role};
use std::fmt::Debug;

/// One API shape.
pub trait Dialect: Debug + Sync {
    /// Lower-case name for configuration, logs and metrics.
    fn name(&self) -> &'static str;

    /// Where it answers. No two dialects share a method and path.
    fn routes(&self) -> &'static [Route];

    /// The status of a fault, where this API differs from the common table [`status`].
    fn status(&self, problem: &Problem) -> u16 {
        status(problem.fault)
    }

    /// The JSON body of an error.
    fn error_body(&self, problem: &Problem) -> Vec<u8>;

    /// Status, body and retry advice of an error.
    fn render_error(&self, problem: &Problem) -> ErrorReply {
        ErrorReply {
            status: self.status(problem),
            body: self.error_body(problem),
            retry: retry_advice(problem.fault, problem.retry_after),
        }
    }
}

/// Every dialect; ZeroEntropy, the primary one, first.
pub fn all() -> [&'static dyn Dialect; 6] {
    [&zeroentropy::ZeroEntropy, &openai::OpenAi, &cohere::Cohere, &jina::Jina, &tei::Tei, &elodex::Elodex]
}

/// An HTTP method of a [`Route`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Method {
    /// Without a body.
    Get,
    /// With a JSON body.
    Post,
}

/// One endpoint.
#[derive(Debug, Clone, Copy)]
pub struct Route {
    /// Its method.
    pub method: Method,
    /// Its absolute path, without parameters.
    pub path: &'static str,
    /// What it does.
    pub operation: Operation,
}

impl Route {
    const fn post(path: &'static str, operation: Operation) -> Self {
        Self { method: Method::Post, path, operation }
    }

    const fn get(path: &'static str, operation: Operation) -> Self {
        Self { method: Method::Get, path, operation }
    }
}

/// What a route does, with the function that reads its request or writes its answer.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Operation {
    /// Embeds texts.
    Embed(fn(&[u8]) -> Result<EmbedCall, Problem>),
    /// Scores documents against a query.
    Rerank(fn(&[u8]) -> Result<RerankCall, Problem>),
    /// Splits texts into tokens.
    Tokenize(fn(&[u8]) -> Result<TokenizeCall, Problem>),
    /// Says what is served and with which limits.
    Info(fn(&tei::Info) -> Result<Vec<u8>, Problem>),
    /// Searches a collection.
    Search(fn(&[u8]) -> Result<SearchCall, Problem>),
    /// Tells what collections and documents there are. Beside the body it reads the query of the URL, without its `?`.
    Read(fn(&[u8], &str) -> Result<ReadCall, Problem>),
    /// Changes collections or documents; needs the permission to.
    Write(fn(&[u8]) -> Result<WriteCall, Problem>),
    /// Puts a document into a collection; needs the permission to, and its body may be as long as documents are.
    Upload(fn(&[u8]) -> Result<WriteCall, Problem>),
    /// Looks after API keys; needs the permission to change.
    Keys(fn(&[u8]) -> Result<KeysCall, Problem>),
    /// Tells what was used.
    Usage(fn(&[u8]) -> Result<UsageCall, Problem>),
    /// Hands out a file to whoever has its token, which stands in the URL.
    File(FileKind),
}

impl Operation {
    /// Whether a body is read.
    pub fn takes_body(self) -> bool {
        !matches!(self, Operation::Info(_) | Operation::File(_))
    }

    /// Whether a key that may only read is not enough.
    pub fn changes(self) -> bool {
        matches!(self, Operation::Write(_) | Operation::Upload(_) | Operation::Keys(_))
    }
}

/// A parsed embed request.
#[derive(Debug)]
pub struct EmbedCall {
    /// What to run.
    pub request: EmbedRequest,
    /// How to write the answer.
    pub shape: Box<dyn EmbedShape>,
}

/// A parsed rerank request.
#[derive(Debug)]
pub struct RerankCall {
    /// What to run.
    pub request: RerankRequest,
    /// How to write the answer.
    pub shape: Box<dyn RerankShape>,
}

/// A parsed tokenize request.
#[derive(Debug, Clone, PartialEq)]
pub struct TokenizeCall {
    /// Model name or alias; empty for the deployment's default embedder.
    pub model: String,
    /// Whose prompt comes first; `None` adds none.
    pub role: Option<Role>,
    /// Texts to split.
    pub inputs: Vec<String>,
    /// Whether the tokenizer's template (`[CLS]` and the like) is applied.
    pub add_special_tokens: bool,
}

impl TokenizeCall {
    /// The JSON body of the answer: one list of tokens per input.
    ///
    /// # Errors
    /// None in practice: every token can be written as JSON.
    pub fn render(&self, tokens: &[Vec<tei::Token>]) -> Result<Vec<u8>, Problem> {
        tei::render_tokens(tokens)
    }
}

/// How one request wants its embeddings written; keeps what the answer echoes.
pub trait EmbedShape: Debug + Send + Sync {
    /// The JSON body of the answer. `request_id` appears where the dialect has such a field.
    ///
    /// # Errors
    /// [`Fault::Bug`](elodex_types::Fault::Bug) when a number is not finite.
    fn render(&self, response: &EmbedResponse, request_id: &str) -> Result<Vec<u8>, Problem>;
}

/// How one request wants its ranking written; keeps what the answer echoes.
pub trait RerankShape: Debug + Send + Sync {
    /// The JSON body of the answer. `request_id` appears where the dialect has such a field.
    ///
    /// # Errors
    /// [`Fault::Bug`](elodex_types::Fault::Bug) when a score is not finite.
    fn render(&self, response: &RerankResponse, request_id: &str) -> Result<Vec<u8>, Problem>;
}

//! Text Embeddings Inference's `/embed`, `/rerank`, `/tokenize` and `/info`.
//!
//! - A TEI server holds one model, so requests name none: the call's model is the empty string, which means the
//!   deployment's default for that operation.
//! - `prompt_name` is a role: `query`, or `document` and its other name `passage`. Other names are refused.
//! - `truncate` absent or `null` is the deployment's default, which `/info` reports as `auto_truncate`.
//! - `truncation_direction: left`, `normalize: false` and token ids are refused.
//! - Errors are `{"error": text, "error_type": kind}` with 422 for a request that is not acceptable, 400 for an empty
//!   list, 413, 429 and 424 for a failure of ours.

mod schema;

pub use schema::{
    EmbedBody, ErrorBody, ErrorType, Info, InfoModel, Labels, ModelType, Pooling, RankedText, RerankBody,
    Token, TokenizeBody, TruncationDirection,
};

use crate::json::{empty, when_too_long, write, write_error};
use crate::problem::{Problem, Reason, status};
use crate::vector::{EncodingFormat, finite_embeddings, finite_scores};
use crate::{
    Dialect, EmbedCall, EmbedShape, Method, Operation, RerankCall, RerankShape, Route, TokenizeCall,
};
use elodex_types::{EmbedRequest, EmbedResponse, Fault, Latency, RerankRequest, RerankResponse, Role};

/// The dialect.
#[derive(Debug, Clone, Copy)]
pub struct Tei;

const ROUTES: [Route; 4] = [
    Route::post("/embed", Operation::Embed(parse_embed)),
    Route::post("/rerank", Operation::Rerank(parse_rerank)),
    Route::post("/tokenize", Operation::Tokenize(parse_tokenize)),
    Route { method: Method::Get, path: "/info", operation: Operation::Info(render_info) },
];

impl Dialect for Tei {
    fn name(&self) -> &'static str {
        "tei"
    }

    fn routes(&self) -> &'static [Route] {
        &ROUTES
    }

    fn status(&self, problem: &Problem) -> u16 {
        match problem.fault {
            Fault::User if problem.reason == Reason::Empty => 400,
            Fault::User => 422,
            Fault::Upstream | Fault::Bug => 424,
            fault => status(fault),
        }
    }

    fn error_body(&self, problem: &Problem) -> Vec<u8> {
        let error_type = match problem.fault {
            Fault::User if problem.reason == Reason::Empty => ErrorType::Empty,
            Fault::Overload => ErrorType::Overloaded,
            Fault::Unavailable => ErrorType::Unhealthy,
            Fault::Deadline | Fault::Upstream | Fault::Bug => ErrorType::Backend,
            _ => ErrorType::Validation,
        };
        write_error(&ErrorBody { error: &problem.message, error_type })
    }
}

fn parse_embed(body: &[u8]) -> Result<EmbedCall, Problem> {
    let body = EmbedBody::read(body)?;
    if body.inputs.is_empty() {
        return Err(empty("inputs"));
    }
    refuse_left(body.truncation_direction)?;
    if !body.normalize {
        let message =
            "normalize: embeddings come as the model defines them, so `false` is not supported; leave it out";
        return Err(Problem::unsupported("normalize", message));
    }
    Ok(EmbedCall {
        request: EmbedRequest {
            model: String::new(),
            role: role(body.prompt_name.as_deref())?,
            inputs: body.inputs,
            dimensions: body.dimensions,
            truncation: body.truncate.map(when_too_long),
            latency: Latency::Auto,
        },
        shape: Box::new(Embeddings),
    })
}

fn refuse_left(direction: TruncationDirection) -> Result<(), Problem> {
    match direction {
        TruncationDirection::Right => Ok(()),
        TruncationDirection::Left => Err(Problem::unsupported(
            "truncation_direction",
            "truncation_direction: only the end of a text can be cut; use `right`",
        )),
    }
}

fn role(prompt_name: Option<&str>) -> Result<Option<Role>, Problem> {
    match prompt_name {
        None => Ok(None),
        Some("query") => Ok(Some(Role::Query)),
        Some("document" | "passage") => Ok(Some(Role::Document)),
        Some(other) => {
            let shown: String = other.chars().take(80).collect();
            let message = format!("prompt_name: no prompt is named `{shown}`; use `query` or `document`");
            Err(Problem::unsupported("prompt_name", message))
        }
    }
}

#[derive(Debug)]
struct Embeddings;

impl EmbedShape for Embeddings {
    fn render(&self, response: &EmbedResponse, _: &str) -> Result<Vec<u8>, Problem> {
        finite_embeddings(response)?;
        let vectors: Vec<&[f32]> = response.embeddings.iter().map(|vector| &**vector).collect();
        write(&vectors, EncodingFormat::Float.capacity(&response.embeddings))
    }
}

fn parse_rerank(body: &[u8]) -> Result<RerankCall, Problem> {
    let body = RerankBody::read(body)?;
    if body.texts.is_empty() {
        return Err(empty("texts"));
    }
    refuse_left(body.truncation_direction)?;
    let shape = Ranking { raw_scores: body.raw_scores, texts: body.return_text.then(|| body.texts.clone()) };
    Ok(RerankCall {
        request: RerankRequest {
            model: String::new(),
            query: body.query,
            documents: body.texts,
            top_n: None,
            truncation: body.truncate.map(when_too_long),
            latency: Latency::Auto,
        },
        shape: Box::new(shape),
    })
}

#[derive(Debug)]
struct Ranking {
    raw_scores: bool,
    texts: Option<Vec<String>>,
}

impl RerankShape for Ranking {
    fn render(&self, response: &RerankResponse, _: &str) -> Result<Vec<u8>, Problem> {
        finite_scores(response)?;
        let ranks: Vec<_> = response
            .results
            .iter()
            .map(|ranked| RankedText {
                index: ranked.index,
                text: self.texts.as_ref().and_then(|texts| texts.get(ranked.index)).map(String::as_str),
                score: if self.raw_scores { ranked.logit } else { ranked.score.value },
            })
            .collect();
        let texts: usize = self.texts.iter().flatten().map(String::len).sum();
        write(&ranks, 64 + 48 * ranks.len() + texts)
    }
}

fn parse_tokenize(body: &[u8]) -> Result<TokenizeCall, Problem> {
    let body = TokenizeBody::read(body)?;
    if body.inputs.is_empty() {
        return Err(empty("inputs"));
    }
    Ok(TokenizeCall {
        model: String::new(),
        role: role(body.prompt_name.as_deref())?,
        inputs: body.inputs,
        add_special_tokens: body.add_special_tokens,
    })
}

pub(crate) fn render_tokens(tokens: &[Vec<Token>]) -> Result<Vec<u8>, Problem> {
    let count: usize = tokens.iter().map(Vec::len).sum();
    write(&tokens, 64 + 72 * count)
}

fn render_info(info: &Info) -> Result<Vec<u8>, Problem> {
    write(info, 1024)
}

//! `/v2/embed`.

use super::{BilledUnits, Meta, cut_warning, quantise};
use crate::json::{Fields, Positive, choose, write};
use crate::problem::{Problem, Reason};
use crate::vector::{EncodingFormat, encode_base64, finite_embeddings};
use crate::{EmbedCall, EmbedShape};
use elodex_types::{EmbedRequest, EmbedResponse, Fault, Latency, Role, TruncationPolicy};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Body of a `POST /v2/embed`.
#[derive(Debug, ToSchema)]
pub struct EmbedBody {
    /// Model name or alias.
    pub model: String,
    /// `search_query`, `search_document`, `classification` or `clustering`.
    pub input_type: String,
    /// The texts; either these or `inputs`.
    pub texts: Option<Vec<String>>,
    /// The texts, each in an object; either these or `texts`.
    pub inputs: Option<Vec<InputItem>>,
    /// Output width; the model's full width where absent.
    #[schema(minimum = 1)]
    pub output_dimension: Option<usize>,
    /// How vectors are written, each kind under its own name; `float` where absent.
    pub embedding_types: Option<Vec<EmbeddingType>>,
    /// `NONE` or `END`; `END` where absent.
    pub truncate: Option<String>,
}

/// One entry of `inputs`.
#[derive(Debug, Deserialize, ToSchema)]
pub struct InputItem {
    /// Exactly one part, of type `text`.
    pub content: Vec<ContentPart>,
}

/// One part of an [`InputItem`].
#[derive(Debug, Deserialize, ToSchema)]
pub struct ContentPart {
    /// Only `text`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The text.
    pub text: Option<String>,
}

/// How vectors are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum EmbeddingType {
    /// Arrays of numbers.
    Float,
    /// [`quantise::int8`].
    Int8,
    /// [`quantise::uint8`].
    Uint8,
    /// [`quantise::binary`].
    Binary,
    /// [`quantise::ubinary`].
    Ubinary,
    /// Base64 of little-endian `f32` bytes.
    Base64,
}

const EMBEDDING_TYPES: [(&str, EmbeddingType); 6] = [
    ("float", EmbeddingType::Float),
    ("int8", EmbeddingType::Int8),
    ("uint8", EmbeddingType::Uint8),
    ("binary", EmbeddingType::Binary),
    ("ubinary", EmbeddingType::Ubinary),
    ("base64", EmbeddingType::Base64),
];

const INPUT_TYPES: [(&str, Option<Role>); 4] = [
    ("search_query", Some(Role::Query)),
    ("search_document", Some(Role::Document)),
    ("classification", None),
    ("clustering", None),
];

#[derive(Clone, Copy)]
enum Cut {
    None,
    Start,
    End,
}

pub(super) fn parse(body: &[u8]) -> Result<EmbedCall, Problem> {
    let fields = Fields::split(body)?;
    let model: String = fields.required("model")?;
    let input_type: String = fields.required("input_type")?;
    if input_type == "image"
        || fields.optional::<Vec<IgnoredAny>>("images")?.is_some_and(|images| !images.is_empty())
    {
        let field = if input_type == "image" { "input_type" } else { "images" };
        return Err(Problem::unsupported(field, format!("{field}: images are not supported; send `texts`")));
    }
    let role = choose("input_type", &input_type, &INPUT_TYPES)?;
    let texts = read_texts(&fields)?;
    let dimensions = fields.optional("output_dimension")?.map(|Positive(dimensions)| dimensions);
    let mut types = Vec::new();
    for name in fields.optional::<Vec<String>>("embedding_types")?.unwrap_or_default() {
        types.push(choose("embedding_types", &name, &EMBEDDING_TYPES)?);
    }
    if types.is_empty() {
        types.push(EmbeddingType::Float);
    }
    let truncation = match fields
        .optional_choice("truncate", &[("NONE", Cut::None), ("END", Cut::End), ("START", Cut::Start)])?
    {
        Some(Cut::None) => TruncationPolicy::Error,
        Some(Cut::End) | None => TruncationPolicy::Truncate,
        Some(Cut::Start) => {
            let message = "truncate: only the end of a text can be cut; use `END` or `NONE`";
            return Err(Problem::unsupported("truncate", message));
        }
    };
    if fields.optional::<IgnoredAny>("max_tokens")?.is_some() {
        let message = "max_tokens: not supported; leave it out and the model's own window applies";
        return Err(Problem::unsupported("max_tokens", message));
    }
    Ok(EmbedCall {
        shape: Box::new(Embeddings { types, texts: texts.clone() }),
        request: EmbedRequest {
            model,
            role,
            inputs: texts,
            dimensions,
            truncation: Some(truncation),
            latency: Latency::Auto,
        },
    })
}

fn read_texts(fields: &Fields<'_>) -> Result<Vec<String>, Problem> {
    let texts: Option<Vec<String>> = fields.optional("texts")?;
    let inputs: Option<Vec<InputItem>> = fields.optional("inputs")?;
    match (texts, inputs) {
        (Some(texts), None) => Ok(texts),
        (None, Some(inputs)) => {
            inputs.into_iter().enumerate().map(|(index, input)| only_text(index, input)).collect()
        }
        (Some(_), Some(_)) => Err(Problem::unsupported("inputs", "give `texts` or `inputs`, not both")),
        (None, None) => Err(Problem {
            reason: Reason::Missing,
            ..Problem::new(Fault::Shape, "missing field `texts`: give `texts` or `inputs`")
        }),
    }
}

/// Several parts would have to be joined in a way that nobody documents, so one is asked for.
fn only_text(index: usize, input: InputItem) -> Result<String, Problem> {
    let count = input.content.len();
    let mut parts = input.content.into_iter();
    match (parts.next(), parts.next()) {
        (Some(ContentPart { kind, text: Some(text) }), None) if kind == "text" => Ok(text),
        (Some(part), None) if part.kind == "text" => {
            Err(Problem::unsupported("inputs", format!("inputs[{index}].content[0]: missing field `text`")))
        }
        (Some(_), None) => Err(Problem::unsupported(
            "inputs",
            format!("inputs[{index}].content[0]: only parts of type `text` are supported"),
        )),
        _ => Err(Problem::unsupported(
            "inputs",
            format!("inputs[{index}].content: has {count} parts; send one text part per input"),
        )),
    }
}

#[derive(Debug)]
struct Embeddings {
    types: Vec<EmbeddingType>,
    texts: Vec<String>,
}

impl EmbedShape for Embeddings {
    fn render(&self, response: &EmbedResponse, request_id: &str) -> Result<Vec<u8>, Problem> {
        finite_embeddings(response)?;
        let mut embeddings = EmbeddingsByType::default();
        for kind in &self.types {
            let vectors = response.embeddings.iter().map(|vector| &**vector);
            match kind {
                EmbeddingType::Float => embeddings.float = Some(vectors.collect()),
                EmbeddingType::Int8 => embeddings.int8 = Some(vectors.map(quantise::int8).collect()),
                EmbeddingType::Uint8 => embeddings.uint8 = Some(vectors.map(quantise::uint8).collect()),
                EmbeddingType::Binary => embeddings.binary = Some(vectors.map(quantise::binary).collect()),
                EmbeddingType::Ubinary => embeddings.ubinary = Some(vectors.map(quantise::ubinary).collect()),
                EmbeddingType::Base64 => embeddings.base64 = Some(vectors.map(encode_base64).collect()),
            }
        }
        let receipts = response.truncations.iter().enumerate();
        let warnings =
            receipts.filter_map(|(index, receipt)| cut_warning("texts", index, *receipt)).collect();
        let billed_units =
            BilledUnits { input_tokens: Some(response.usage.tokens), ..BilledUnits::default() };
        let body = EmbedAnswer {
            response_type: "embeddings_by_type",
            id: request_id,
            embeddings,
            texts: &self.texts,
            meta: Meta::new(billed_units, warnings),
        };
        let texts: usize = self.texts.iter().map(String::len).sum();
        write(&body, self.types.len() * EncodingFormat::Float.capacity(&response.embeddings) + texts)
    }
}

/// Answer of a `POST /v2/embed`.
#[derive(Debug, Serialize, ToSchema)]
pub struct EmbedAnswer<'a> {
    /// Always `embeddings_by_type`.
    pub response_type: &'static str,
    /// The request's id.
    pub id: &'a str,
    /// The vectors of all texts, once per requested type.
    pub embeddings: EmbeddingsByType<'a>,
    /// The texts of the request.
    pub texts: &'a [String],
    /// Version, counters, warnings.
    pub meta: Meta,
}

/// The requested types; the others are absent.
#[derive(Debug, Default, Serialize, ToSchema)]
pub struct EmbeddingsByType<'a> {
    /// Numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<Vec<f32>>>)]
    pub float: Option<Vec<&'a [f32]>>,
    /// [`quantise::int8`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub int8: Option<Vec<Vec<i8>>>,
    /// [`quantise::uint8`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uint8: Option<Vec<Vec<u8>>>,
    /// [`quantise::binary`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub binary: Option<Vec<Vec<i8>>>,
    /// [`quantise::ubinary`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ubinary: Option<Vec<Vec<u8>>>,
    /// Base64 of little-endian `f32` bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base64: Option<Vec<String>>,
}

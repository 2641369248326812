//! `/v2/embed`.

use super::{BilledUnits, Meta, cut_warning, quantise};
use crate::json::{Fields, Object, Positive, Whole, choose, write};
use crate::problem::{Problem, Reason};
use crate::vector::{EncodingFormat, encode_base64, finite_embeddings};
use crate::{EmbedCall, EmbedShape};
use elodex_types::{EmbedRequest, EmbedResponse, Fault, Latency, Role, TruncationPolicy};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Body of a `POST /v2/embed`.
#[derive(Debug, ToSchema)]
#[schema(as = cohere::EmbedBody)]
pub struct EmbedBody {
    /// Model name or alias.
    pub model: String,
    /// `search_query`, `search_document`, `classification` or `clustering`.
    #[schema(value_type = String)]
    pub input_type: Option<Role>,
    /// The texts; either these or `inputs`.
    pub texts: Option<Vec<String>>,
    /// The texts, each in an object; either these or `texts`.
    pub inputs: Option<Vec<InputItem>>,
    /// Output width; the model's full width where absent.
    #[schema(minimum = 1)]
    pub output_dimension: Option<usize>,
    /// How vectors are written, each kind under its own name; `float` where absent.
    #[schema(required = false)]
    pub embedding_types: Vec<EmbeddingType>,
    /// `NONE` or `END`; `END` where absent.
    #[schema(required = false)]
    pub truncate: Truncate,
}

/// Which end of a long text is cut.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ToSchema)]
#[schema(rename_all = "UPPERCASE")]
#[schema(as = cohere::Truncate)]
pub enum Truncate {
    /// A long text is refused.
    None,
    /// Refused itself.
    Start,
    /// The end.
    #[default]
    End,
}

/// One entry of `inputs`.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = cohere::InputItem)]
pub struct InputItem {
    /// Exactly one part, of type `text`.
    #[schema(value_type = Vec<ContentPart>)]
    pub(crate) content: Vec<Object<ContentPart>>,
}

/// One part of an [`InputItem`].
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = cohere::ContentPart)]
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
#[schema(as = cohere::EmbeddingType)]
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

const TRUNCATES: [(&str, Truncate); 3] =
    [("NONE", Truncate::None), ("END", Truncate::End), ("START", Truncate::Start)];

impl EmbedBody {
    fn read(body: &[u8]) -> Result<Self, Problem> {
        let fields = Fields::split(body)?;
        let model = fields.required("model")?;
        let input_type: String = fields.required("input_type")?;
        if input_type == "image" {
            return Err(Problem::unsupported(
                "input_type",
                "input_type: images are not supported; send `texts`",
            ));
        }
        for (name, instead) in [
            ("images", "images are not supported; send `texts`"),
            ("max_tokens", "not supported; leave it out and the model's own window applies"),
        ] {
            if fields.optional::<IgnoredAny>(name)?.is_some() {
                return Err(Problem::unsupported(name, format!("{name}: {instead}")));
            }
        }
        let mut embedding_types = Vec::new();
        for name in fields.optional::<Vec<String>>("embedding_types")?.unwrap_or_default() {
            embedding_types.push(choose(fields.at("embedding_types"), &name, &EMBEDDING_TYPES)?);
        }
        Ok(Self {
            model,
            input_type: choose(fields.at("input_type"), &input_type, &INPUT_TYPES)?,
            texts: fields.optional("texts")?,
            inputs: fields
                .optional::<Vec<Object<InputItem>>>("inputs")?
                .map(|inputs| inputs.into_iter().map(|Object(input)| input).collect()),
            output_dimension: fields
                .optional("output_dimension")?
                .map(|Whole(dimensions): Positive| dimensions),
            embedding_types,
            truncate: fields.optional_choice("truncate", &TRUNCATES)?.unwrap_or_default(),
        })
    }

    /// The texts of whichever field holds them.
    fn texts(texts: Option<Vec<String>>, inputs: Option<Vec<InputItem>>) -> Result<Vec<String>, Problem> {
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
}

pub(super) fn parse(body: &[u8]) -> Result<EmbedCall, Problem> {
    let body = EmbedBody::read(body)?;
    let truncation = match body.truncate {
        Truncate::None => TruncationPolicy::Error,
        Truncate::End => TruncationPolicy::Truncate,
        Truncate::Start => {
            let message = "truncate: only the end of a text can be cut; use `END` or `NONE`";
            return Err(Problem::unsupported("truncate", message));
        }
    };
    let texts = EmbedBody::texts(body.texts, body.inputs)?;
    let types =
        if body.embedding_types.is_empty() { vec![EmbeddingType::Float] } else { body.embedding_types };
    Ok(EmbedCall {
        shape: Box::new(Embeddings { types, texts: texts.clone() }),
        request: EmbedRequest {
            model: body.model,
            role: body.input_type,
            inputs: texts,
            dimensions: body.output_dimension,
            truncation: Some(truncation),
            latency: Latency::Auto,
        },
    })
}

/// Several parts would have to be joined in a way that nobody documents, so one is asked for.
fn only_text(index: usize, input: InputItem) -> Result<String, Problem> {
    let count = input.content.len();
    let mut parts = input.content.into_iter();
    match (parts.next().map(|part| part.0), parts.next()) {
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
#[schema(as = cohere::EmbedAnswer)]
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
#[schema(as = cohere::EmbeddingsByType)]
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

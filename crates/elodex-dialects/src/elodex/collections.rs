//! `/v1/collections/create`, `get-info`, `get-info-list`, `set-weights` and `set-policy`.

use super::search::{WeightsBody, read_weights};
use crate::json::{Fields, Positive, Whole, write};
use crate::problem::Problem;
use crate::{ReadCall, WriteCall};
use elodex_types::{CollectionInfo, CreateCollection, Fault, Weights};
use serde::Serialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use utoipa::ToSchema;

/// Body of a `POST /v1/collections/create`. What is left out is the deployment's default.
#[derive(Debug, ToSchema)]
#[schema(as = elodex::CreateCollectionBody)]
pub struct CreateCollectionBody {
    /// A name nobody has, of at most 1,024 bytes.
    pub name: String,
    /// The embedder's name or alias.
    pub model: Option<String>,
    /// Width of the vectors; the model's full width where absent.
    #[schema(minimum = 1)]
    pub dimensions: Option<usize>,
    /// Tokens in a chunk.
    #[schema(minimum = 1)]
    pub chunk_tokens: Option<usize>,
    /// Tokens that neighbouring chunks may share.
    pub chunk_overlap: Option<usize>,
    /// Characters of a fine passage.
    #[schema(minimum = 1)]
    pub passage_chars: Option<usize>,
    /// One chunk per document, for texts that are short anyway.
    pub whole_documents: Option<bool>,
    /// ISO 639-1 code of its documents' language; detected where absent.
    pub language: Option<String>,
    /// `f32` or `int8` vectors in the index.
    pub precision: Option<String>,
    /// Weights of the two lists in the fusion.
    #[schema(value_type = Option<WeightsBody>)]
    pub weights: Option<Weights>,
}

const CREATE_FIELDS: [&str; 10] = [
    "name",
    "model",
    "dimensions",
    "chunk_tokens",
    "chunk_overlap",
    "passage_chars",
    "whole_documents",
    "language",
    "precision",
    "weights",
];

pub(super) fn parse_create(body: &[u8]) -> Result<WriteCall, Problem> {
    let fields = Fields::split(body)?;
    fields.only(&CREATE_FIELDS)?;
    let positive =
        |name| -> Result<_, Problem> { Ok(fields.optional(name)?.map(|Whole(value): Positive| value)) };
    let request = CreateCollection {
        name: fields.required("name")?,
        model: fields.optional("model")?,
        dimensions: positive("dimensions")?,
        chunk_tokens: positive("chunk_tokens")?,
        chunk_overlap: fields.optional("chunk_overlap")?.map(|Whole::<0>(value)| value),
        passage_chars: positive("passage_chars")?,
        whole_documents: fields.optional("whole_documents")?,
        language: fields.optional("language")?,
        precision: fields.optional("precision")?,
        weights: read_weights(&fields)?,
    };
    Ok(WriteCall::CreateCollection { request, render: render_info })
}

/// Body of a `POST /v1/collections/get-info`.
#[derive(Debug, ToSchema)]
#[schema(as = elodex::CollectionBody)]
pub struct CollectionBody {
    /// The collection.
    pub name: String,
}

pub(super) fn parse_info(body: &[u8], _: &str) -> Result<ReadCall, Problem> {
    let fields = Fields::split(body)?;
    fields.only(&["name"])?;
    Ok(ReadCall::Collection { name: fields.required("name")?, render: render_info })
}

/// A collection with its policy as JSON.
#[derive(Debug, Serialize)]
struct WithPolicy<'a> {
    #[serde(flatten)]
    info: &'a CollectionInfo,
    policy: Option<&'a RawValue>,
}

impl<'a> WithPolicy<'a> {
    fn of(info: &'a CollectionInfo) -> Result<Self, Problem> {
        let policy = info.policy.as_deref().map(serde_json::from_str).transpose().map_err(|error| {
            Problem::new(Fault::Bug, format!("the policy of `{}` is kept as no JSON: {error}", info.name))
        })?;
        Ok(Self { info, policy })
    }
}

fn render_info(info: &CollectionInfo) -> Result<Vec<u8>, Problem> {
    write(&WithPolicy::of(info)?, 512)
}

pub(super) fn parse_list(body: &[u8], _: &str) -> Result<ReadCall, Problem> {
    Fields::split_or_none(body)?.only(&[])?;
    Ok(ReadCall::Collections { render: render_list })
}

fn render_list(collections: &[CollectionInfo]) -> Result<Vec<u8>, Problem> {
    let described: Vec<WithPolicy<'_>> = collections.iter().map(WithPolicy::of).collect::<Result<_, _>>()?;
    write(&CollectionsAnswer { collections: described }, 64 + 512 * collections.len())
}

/// Answer of a `POST /v1/collections/get-info-list`.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = elodex::CollectionsAnswer)]
pub struct CollectionsAnswer<'a> {
    /// By name.
    #[schema(value_type = Vec<Object>)]
    collections: Vec<WithPolicy<'a>>,
}

/// Body of a `POST /v1/collections/set-weights`.
#[derive(Debug, ToSchema)]
#[schema(as = elodex::SetWeightsBody)]
pub struct SetWeightsBody {
    /// The collection.
    pub name: String,
    /// Weights of the two lists in the fusion from now on.
    pub weights: WeightsBody,
}

pub(super) fn parse_weights(body: &[u8]) -> Result<WriteCall, Problem> {
    let fields = Fields::split(body)?;
    fields.only(&["name", "weights"])?;
    fields.required_object("weights")?;
    let name = fields.required("name")?;
    let weights = read_weights(&fields)?.unwrap_or_default();
    Ok(WriteCall::SetWeights { name, weights, render: render_info })
}

/// Body of a `POST /v1/collections/set-policy`.
#[derive(Debug, ToSchema)]
#[schema(as = elodex::SetPolicyBody)]
pub struct SetPolicyBody {
    /// The collection.
    pub name: String,
    /// What `elodex eval --write-policy` wrote; `null` takes the policy away.
    #[schema(required, value_type = Option<Object>)]
    pub policy: Option<String>,
}

pub(super) fn parse_policy(body: &[u8]) -> Result<WriteCall, Problem> {
    let fields = Fields::split(body)?;
    fields.only(&["name", "policy"])?;
    // One that is forgotten must not take away the one there is.
    fields.required::<IgnoredAny>("policy")?;
    if fields.raw("policy").is_some() {
        fields.required_object("policy")?;
    }
    let policy = fields.raw("policy").map(|raw| raw.get().to_owned());
    Ok(WriteCall::SetPolicy { name: fields.required("name")?, policy, render: render_info })
}

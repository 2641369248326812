//! `/v1/collections/create`, `get-info`, `get-info-list` and `set-weights`.

use super::search::{WeightsBody, read_weights};
use crate::json::{Fields, Positive, Whole, write};
use crate::problem::Problem;
use crate::{ReadCall, WriteCall};
use elodex_types::{CollectionInfo, CreateCollection, Weights};
use serde::Serialize;
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

fn render_info(info: &CollectionInfo) -> Result<Vec<u8>, Problem> {
    write(info, 512)
}

pub(super) fn parse_list(body: &[u8], _: &str) -> Result<ReadCall, Problem> {
    Fields::split_or_none(body)?.only(&[])?;
    Ok(ReadCall::Collections { render: render_list })
}

fn render_list(collections: &[CollectionInfo]) -> Result<Vec<u8>, Problem> {
    write(&CollectionsAnswer { collections }, 64 + 512 * collections.len())
}

/// Answer of a `POST /v1/collections/get-info-list`.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = elodex::CollectionsAnswer)]
pub struct CollectionsAnswer<'a> {
    /// By name.
    #[schema(value_type = Vec<Object>)]
    pub collections: &'a [CollectionInfo],
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

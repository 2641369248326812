//! Vectors on the wire.

use crate::problem::Problem;
use base64::prelude::{BASE64_STANDARD, Engine as _};
use elodex_types::{EmbedResponse, Fault, RerankResponse};
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;

/// One embedding as JSON: an array of numbers, each the shortest decimal that reads back as the same `f32`, or the
/// base64 of its little-endian `f32` bytes.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(untagged)]
pub enum Vector<'v> {
    /// The numbers.
    #[schema(value_type = Vec<f32>)]
    Float(&'v [f32]),
    /// Base64 of the little-endian bytes.
    Base64(String),
}

/// How a caller wants vectors written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum EncodingFormat {
    /// Arrays of numbers.
    #[default]
    Float,
    /// Base64 of little-endian `f32` bytes.
    Base64,
}

impl EncodingFormat {
    /// The names on the wire.
    pub(crate) const CHOICES: [(&'static str, Self); 2] = [("float", Self::Float), ("base64", Self::Base64)];

    /// Writes one vector.
    pub(crate) fn encode(self, vector: &[f32]) -> Vector<'_> {
        match self {
            Self::Float => Vector::Float(vector),
            Self::Base64 => Vector::Base64(encode_base64(vector)),
        }
    }

    /// Bytes of JSON to reserve for `embeddings`.
    pub(crate) fn capacity(self, embeddings: &[Arc<[f32]>]) -> usize {
        let numbers: usize = embeddings.iter().map(|vector| vector.len()).sum();
        let per_number = match self {
            Self::Float => 14,
            Self::Base64 => 6,
        };
        256 + numbers * per_number + embeddings.len() * 64
    }
}

/// Base64 (standard alphabet, padded) of the little-endian bytes of `vector`.
pub fn encode_base64(vector: &[f32]) -> String {
    let bytes: Vec<u8> = vector.iter().flat_map(|number| number.to_le_bytes()).collect();
    BASE64_STANDARD.encode(bytes)
}

/// Reads what [`encode_base64`] wrote; `None` when `text` is not base64 or not whole numbers.
pub fn decode_base64(text: &str) -> Option<Vec<f32>> {
    let bytes = BASE64_STANDARD.decode(text).ok()?;
    let (numbers, rest) = bytes.as_chunks::<4>();
    rest.is_empty().then(|| numbers.iter().map(|number| f32::from_le_bytes(*number)).collect())
}

/// Refuses embeddings that JSON could not carry faithfully.
pub(crate) fn finite_embeddings(response: &EmbedResponse) -> Result<(), Problem> {
    match response.embeddings.iter().position(|vector| vector.iter().any(|number| !number.is_finite())) {
        None => Ok(()),
        Some(index) => Err(Problem::new(
            Fault::Bug,
            format!("model `{}` gave input {index} an embedding that is not finite", response.model),
        )),
    }
}

/// Refuses scores that JSON could not carry faithfully.
pub(crate) fn finite_scores(response: &RerankResponse) -> Result<(), Problem> {
    let broken =
        |ranked: &&elodex_types::Ranked| !ranked.score.value.is_finite() || !ranked.logit.is_finite();
    match response.results.iter().find(broken) {
        None => Ok(()),
        Some(ranked) => Err(Problem::new(
            Fault::Bug,
            format!("model `{}` gave document {} a score that is not finite", response.model, ranked.index),
        )),
    }
}

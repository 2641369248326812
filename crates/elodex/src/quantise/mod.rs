//! Quantising: texts to calibrate with, and what 8-bit integers change.

mod agreement;
mod arguments;
mod retrieval;
mod samples;

pub(crate) use agreement::{Agreement, outputs};
pub(crate) use arguments::QuantiseArgs;
pub(crate) use retrieval::{Retrieval, Retrieved};
pub(crate) use samples::{Sample, built_in, read};

use elodex_kernels::Kernels;
use elodex_models::files::ModelFiles;
use elodex_models::{Embedder, Encoded, Reranker};
use elodex_types::{Role, TruncationPolicy};

/// A model of either kind.
pub(crate) enum Model {
    Embedder(Box<Embedder>),
    Reranker(Box<Reranker>),
}

impl Model {
    pub(crate) fn load(files: &ModelFiles, kernels: Kernels) -> anyhow::Result<Self> {
        if files.is_reranker() {
            return Ok(Self::Reranker(Reranker::load(files, kernels)?.into()));
        }
        Ok(Self::Embedder(Embedder::load(files, kernels)?.into()))
    }

    /// What the model reads of a sample: an embedder its text and its query apart, a reranker both together.
    pub(crate) fn inputs(&self, sample: &Sample) -> anyhow::Result<Vec<Encoded>> {
        let cut = TruncationPolicy::Truncate;
        match self {
            Self::Embedder(embedder) => {
                let mut inputs = vec![embedder.prepare(&sample.text, Some(Role::Document), cut)?];
                if let Some(query) = &sample.query {
                    inputs.push(embedder.prepare(query, Some(Role::Query), cut)?);
                }
                Ok(inputs)
            }
            Self::Reranker(reranker) => {
                let query = reranker.prepare_query(sample.query.as_deref().unwrap_or_default())?;
                let windows = reranker.prepare_document(&query, &sample.text, cut)?;
                Ok(windows.into_iter().map(|window| window.encoded).collect())
            }
        }
    }
}

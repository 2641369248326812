//! Bi-encoders: a text in a role becomes a vector.

use crate::files::{Licence, ModelFiles};
use crate::tokenizer::TextTokenizer;
use crate::{Encoded, Result};
use elodex_kernels::{Kernels, Parallelism};
use elodex_types::{Role, SpaceFingerprint, TruncationPolicy};

/// What a loaded embedder says of itself.
#[derive(Debug, Clone)]
pub struct EmbedderInfo {
    /// Repository id or directory name.
    pub id: String,
    /// `config.json`'s architecture.
    pub architecture: String,
    /// Usable widths, widest (the model's own) first.
    pub dimensions: Vec<usize>,
    /// Any width from this up to the model's own can be sliced; `None` when only `dimensions` are usable.
    pub any_dimension_from: Option<usize>,
    /// Longest input in tokens.
    pub max_tokens: usize,
    /// Whether a role must be given.
    pub asymmetric: bool,
    /// Whether vectors have length 1.
    pub normalized: bool,
    /// Number of weights.
    pub parameters: u64,
    /// Bytes the loaded weights hold in memory.
    pub weight_bytes: u64,
    /// The model card's licence.
    pub licence: Licence,
}

/// A runnable bi-encoder.
#[derive(Debug)]
pub struct Embedder {}

impl Embedder {
    /// Loads weights and tokenizer.
    pub fn load(files: &ModelFiles, kernels: Kernels) -> Result<Self> {
        let _ = (files, kernels);
        todo!()
    }

    /// What it is.
    pub fn info(&self) -> &EmbedderInfo {
        todo!()
    }

    /// Its tokenizer.
    pub fn tokenizer(&self) -> &TextTokenizer {
        todo!()
    }

    /// Identity of the space of vectors of this width.
    pub fn fingerprint(&self, dimensions: usize) -> SpaceFingerprint {
        let _ = dimensions;
        todo!()
    }

    /// The width to compute for a requested one; an error that lists the usable widths if there is no such width.
    pub fn resolve_dimensions(&self, requested: Option<usize>) -> Result<usize> {
        let _ = requested;
        todo!()
    }

    /// Tokenises `text` for `role`. Refuses a missing role on an asymmetric model, and an over-long text under
    /// [`TruncationPolicy::Error`]; [`TruncationPolicy::Passages`] is for rerankers and refused.
    pub fn prepare(&self, text: &str, role: Option<Role>, policy: TruncationPolicy) -> Result<Encoded> {
        let _ = (text, role, policy);
        todo!()
    }

    /// Embeds a packed batch; one vector per text, in order. `dimensions` comes from [`Self::resolve_dimensions`].
    pub fn embed(&self, batch: &[&Encoded], dimensions: usize, parallelism: Parallelism) -> Result<Vec<Vec<f32>>> {
        let _ = (batch, dimensions, parallelism);
        todo!()
    }

    /// Bytes of activations a packed batch of `tokens` tokens needs at most, for admission.
    pub fn activation_bytes(&self, tokens: usize) -> u64 {
        let _ = tokens;
        todo!()
    }
}

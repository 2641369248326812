//! The sizes that a configuration claims, checked, and the encoder they make unless an architecture says otherwise.

use super::loader::corrupt;
use crate::Result;
use crate::spec::{LayerSpec, NormKind, NormPlacement, Rotary, TransformerSpec};
use elodex_kernels::Activation;

/// Largest width, head or feed-forward size a configuration may claim. Far above any published model; it keeps sizes
/// computed from a hostile file from overflowing.
const MAX_WIDTH: usize = 1 << 18;
/// Longest sequence a configuration may claim.
const MAX_POSITIONS: usize = 1 << 20;
/// Most layers a configuration may claim.
const MAX_LAYERS: usize = 1 << 10;

/// What most configurations say of an encoder.
pub(super) struct Sizes {
    pub(super) hidden: usize,
    pub(super) heads: usize,
    pub(super) intermediate: usize,
    pub(super) layers: usize,
    pub(super) vocab: usize,
    /// Rows of the table of learned positions, or the longest sequence where there is none.
    pub(super) positions: usize,
    /// How many of those rows, at the start, belong to padding.
    pub(super) position_offset: usize,
}

impl Sizes {
    /// BERT's encoder in these sizes: LayerNorm behind each block, all tokens see each other, a plain feed-forward
    /// block. What an architecture does otherwise it sets over this. Absurd sizes are refused.
    pub(super) fn encoder(self, norm_eps: f32, activation: Activation) -> Result<TransformerSpec> {
        let Self { hidden, heads, intermediate, layers, vocab, position_offset, .. } = self;
        check_sizes(hidden, heads, heads, intermediate, layers)?;
        if !hidden.is_multiple_of(heads) {
            return Err(corrupt(format!("hidden size {hidden} does not divide into {heads} heads")));
        }
        let head_dim = hidden / heads;
        Ok(TransformerSpec {
            hidden,
            heads,
            kv_heads: heads,
            head_dim,
            intermediate,
            vocab,
            max_positions: positions(self.positions, position_offset)?,
            position_offset,
            norm: NormKind::LayerNorm,
            norm_eps,
            placement: NormPlacement::Post,
            causal: false,
            attention_scale: (head_dim as f32).sqrt().recip(),
            activation,
            gated: false,
            layers: vec![LayerSpec::default(); layers],
            rotary: vec![],
        })
    }
}

/// Refuses sizes that are zero, absurd or do not divide.
pub(super) fn check_sizes(
    hidden: usize,
    heads: usize,
    kv_heads: usize,
    intermediate: usize,
    layers: usize,
) -> Result<()> {
    for (name, value, limit) in [
        ("hidden size", hidden, MAX_WIDTH),
        ("number of heads", heads, MAX_WIDTH),
        ("number of key-value heads", kv_heads, MAX_WIDTH),
        ("intermediate size", intermediate, MAX_WIDTH),
        ("number of layers", layers, MAX_LAYERS),
    ] {
        if value == 0 || value > limit {
            return Err(corrupt(format!("{name} is {value}; it must be between 1 and {limit}")));
        }
    }
    if !heads.is_multiple_of(kv_heads) {
        return Err(corrupt(format!("{heads} heads cannot share {kv_heads} key-value heads")));
    }
    Ok(())
}

/// Refuses absurd sequence lengths and returns the length less the positions that padding takes.
pub(super) fn positions(claimed: usize, offset: usize) -> Result<usize> {
    if claimed <= offset || claimed > MAX_POSITIONS {
        return Err(corrupt(format!(
            "max_position_embeddings is {claimed}; it must be between {} and {MAX_POSITIONS}",
            offset + 1
        )));
    }
    Ok(claimed - offset)
}

/// Rotary positions over the whole of each head.
pub(super) fn whole_head_rotary(theta: f32, head_dim: usize) -> Result<Rotary> {
    if !head_dim.is_multiple_of(2) {
        return Err(corrupt(format!("head width is {head_dim}; rotary positions need an even one")));
    }
    Ok(Rotary::new(theta, head_dim))
}

/// The layers of a network whose every layer sees everything and rotates by its only table.
pub(super) fn rotary_layers(count: usize) -> Vec<LayerSpec> {
    vec![LayerSpec { window: None, rotary: Some(0) }; count]
}

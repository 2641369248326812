//! Transformers as data: one generic encoder/decoder that every architecture fills in.

use crate::table::Table;
use elodex_kernels::{Activation, PackedMatrix};

/// The shape and the choices of one transformer.
#[derive(Debug, Clone, PartialEq)]
pub struct TransformerSpec {
    /// Width of a token vector.
    pub hidden: usize,
    /// Query heads.
    pub heads: usize,
    /// Key and value heads; divides `heads`.
    pub kv_heads: usize,
    /// Width of one head.
    pub head_dim: usize,
    /// Width between the two feed-forward matrices.
    pub intermediate: usize,
    /// Rows of the token table.
    pub vocab: usize,
    /// Longest sequence the positions allow.
    pub max_positions: usize,
    /// The first row of the learned position table that a sequence uses (RoBERTa: 2).
    pub position_offset: usize,
    /// The kind of every norm.
    pub norm: NormKind,
    /// Added under the root.
    pub norm_eps: f32,
    /// Where the norms of a layer stand.
    pub placement: NormPlacement,
    /// Token i sees only tokens j ≤ i.
    pub causal: bool,
    /// Factor on q·k.
    pub attention_scale: f32,
    /// Feed-forward activation.
    pub activation: Activation,
    /// Feed-forward is `activation(gate) ⊙ up` instead of `activation(up)`.
    pub gated: bool,
    /// One per layer.
    pub layers: Vec<LayerSpec>,
    /// Inverse frequencies of each rotary table that a layer may name.
    pub rotary: Vec<Rotary>,
}

/// What differs between layers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LayerSpec {
    /// Token i sees only tokens with |i − j| ≤ window.
    pub window: Option<usize>,
    /// Index into [`TransformerSpec::rotary`].
    pub rotary: Option<usize>,
}

/// Rotary position embedding (RoFormer, arXiv 2104.09864) in the half-split form.
#[derive(Debug, Clone, PartialEq)]
pub struct Rotary {
    /// θ^(−2i/d) for i in 0..d/2.
    pub inverse_frequencies: Vec<f32>,
}

impl Rotary {
    /// The plain table for `dimensions` rotated components of each head.
    pub fn new(theta: f32, dimensions: usize) -> Self {
        let inverse_frequencies = (0..dimensions / 2)
            .map(|index| 1.0 / theta.powf((2 * index) as f32 / dimensions as f32))
            .collect();
        Self { inverse_frequencies }
    }

    /// Rotated components of each head.
    pub fn dimensions(&self) -> usize {
        2 * self.inverse_frequencies.len()
    }
}

/// Kinds of norm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NormKind {
    /// Mean and variance.
    LayerNorm,
    /// Root mean square.
    RmsNorm,
}

/// Where the norms of a layer stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NormPlacement {
    /// `x = x + f(norm(x))`
    Pre,
    /// `x = norm(x + f(x))`
    Post,
}

/// A linear layer, packed for the kernels.
#[derive(Debug)]
pub struct Linear {
    /// Of its tensors, without `.weight`; several that are stacked over each other are joined by `+`.
    pub name: String,
    /// `[out, in]`
    pub weight: PackedMatrix,
    /// `[out]`
    pub bias: Option<Vec<f32>>,
}

/// A table of vectors that are added to tokens'.
#[derive(Debug)]
pub struct Learned {
    /// Of its tensor.
    pub name: String,
    /// `[rows, hidden]`
    pub values: Vec<f32>,
}

/// The weights of one norm.
#[derive(Debug)]
pub struct Norm {
    /// Names of its tensors: of the weight, and of the bias where it has one.
    pub names: (String, Option<String>),
    /// `[hidden]`
    pub weight: Vec<f32>,
    /// `[hidden]`; RMSNorm has none.
    pub bias: Option<Vec<f32>>,
}

/// Everything a [`TransformerSpec`] needs to run.
#[derive(Debug)]
pub struct Weights {
    /// `[vocab, hidden]`
    pub tokens: Table,
    /// `[position_offset + max_positions, hidden]`
    pub positions: Option<Learned>,
    /// `[segments, hidden]`
    pub segments: Option<Learned>,
    /// Behind the sum of the embeddings.
    pub embedding_norm: Option<Norm>,
    /// One per layer.
    pub layers: Vec<LayerWeights>,
    /// Behind the last layer.
    pub final_norm: Option<Norm>,
    /// `[heads, 2·radius + 1]` and the radius (MPNet).
    pub relative_bias: Option<(Vec<f32>, usize)>,
}

/// The weights of one layer.
#[derive(Debug)]
pub struct LayerWeights {
    /// Pre: in front of attention (`None`: identity). Post: behind it.
    pub attention_norm: Option<Norm>,
    /// `[(heads + 2·kv_heads)·head_dim, hidden]`: queries, keys, values.
    pub qkv: Linear,
    /// `[head_dim]` RMS norms of each query and each key head.
    pub head_norms: Option<(Vec<f32>, Vec<f32>)>,
    /// `[hidden, heads·head_dim]`
    pub attention_out: Linear,
    /// Pre: in front of the feed-forward block. Post: behind it.
    pub feed_forward_norm: Norm,
    /// `[intermediate, hidden]`, or gate over up `[2·intermediate, hidden]`.
    pub up: Linear,
    /// `[hidden, intermediate]`
    pub down: Linear,
}

impl LayerWeights {
    /// Its linear layers.
    pub fn linears(&self) -> [&Linear; 4] {
        [&self.qkv, &self.attention_out, &self.up, &self.down]
    }
}

impl TransformerSpec {
    /// Width of a row of queries, keys and values.
    pub fn qkv_width(&self) -> usize {
        (self.heads + 2 * self.kv_heads) * self.head_dim
    }

    /// Width behind the first feed-forward matrix.
    pub fn up_width(&self) -> usize {
        if self.gated { 2 * self.intermediate } else { self.intermediate }
    }
}

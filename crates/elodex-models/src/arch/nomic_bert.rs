//! NomicBERT: <https://arxiv.org/abs/2402.01613>, upstream `nomic-ai/nomic-bert-2048` (`modeling_hf_nomic_bert.py`).
//! nomic-embed-text-v1 and v1.5; the mixture-of-experts v2 is refused.
//!
//! Post-norm, rotary positions with base 1000, SwiGLU whose gate is the *second* matrix (`fc12`), two segments, no
//! biases but in the norms. The configuration uses GPT-2's key names; transformers 5 writes BERT's, which are aliases
//! here.

use super::loader::{corrupt, part, rope_theta, unsupported};
use super::sizes::{Sizes, rotary_layers};
use super::{Arch, Loader, Network};
use crate::Result;
use crate::exec::Backbone;
use crate::spec::{LayerWeights, Rotary, TransformerSpec, Weights};
use elodex_kernels::Activation;
use serde::Deserialize;

pub(super) const ARCH: Arch =
    Arch { names: &["NomicBertModel", "NomicBertForPreTraining"], model_type: "nomic_bert", load };

/// Upstream's base where the configuration has none.
const DEFAULT_THETA: f32 = 1000.0;

#[derive(Debug, Deserialize)]
struct Config {
    vocab_size: usize,
    #[serde(alias = "hidden_size")]
    n_embd: usize,
    #[serde(alias = "num_hidden_layers")]
    n_layer: usize,
    #[serde(alias = "num_attention_heads")]
    n_head: usize,
    #[serde(alias = "intermediate_size")]
    n_inner: usize,
    #[serde(alias = "max_position_embeddings")]
    n_positions: usize,
    /// `swiglu`, or `silu` where the gate goes without saying.
    #[serde(alias = "hidden_act")]
    activation_function: String,
    #[serde(alias = "layer_norm_eps")]
    layer_norm_epsilon: f32,
    type_vocab_size: usize,
    /// Else `rope_parameters.rope_theta`.
    rotary_emb_base: Option<f32>,
    #[serde(default = "whole_head")]
    rotary_emb_fraction: f32,
    rotary_scaling_factor: Option<f32>,
    #[serde(default = "scaled")]
    scale_attn_weights: bool,
    #[serde(default)]
    scale_attn_by_inverse_layer_idx: bool,
    #[serde(default)]
    rotary_emb_interleaved: bool,
    #[serde(default)]
    prenorm: bool,
    #[serde(default)]
    parallel_block: bool,
    #[serde(default)]
    use_rms_norm: bool,
    #[serde(default)]
    qkv_proj_bias: bool,
    #[serde(default)]
    mlp_fc1_bias: bool,
    #[serde(default)]
    mlp_fc2_bias: bool,
    #[serde(default)]
    num_experts: usize,
}

fn whole_head() -> f32 {
    1.0
}

fn scaled() -> bool {
    true
}

fn load(loader: &Loader<'_>) -> Result<Network> {
    let config: Config = loader.parse()?;
    let refused = [
        (config.prenorm, "prenorm"),
        (config.parallel_block, "parallel_block"),
        (config.use_rms_norm, "use_rms_norm"),
        (config.rotary_emb_interleaved, "rotary_emb_interleaved"),
        (config.num_experts > 0, "num_experts"),
        (config.rotary_scaling_factor.is_some(), "rotary_scaling_factor"),
        (!config.scale_attn_weights, "scale_attn_weights off"),
        (config.scale_attn_by_inverse_layer_idx, "scale_attn_by_inverse_layer_idx"),
    ];
    if let Some((_, option)) = refused.iter().find(|(set, _)| *set) {
        return Err(unsupported(format!("NomicBERT with {option} is not supported")));
    }
    if !["swiglu", "silu"].contains(&config.activation_function.as_str()) {
        return Err(unsupported(format!(
            "NomicBERT activation `{}` is not swiglu",
            config.activation_function
        )));
    }
    let hidden = config.n_embd;
    let sizes = Sizes {
        hidden,
        heads: config.n_head,
        intermediate: config.n_inner,
        layers: config.n_layer,
        vocab: config.vocab_size,
        positions: config.n_positions,
        position_offset: 0,
    };
    let encoder = sizes.encoder(config.layer_norm_epsilon, Activation::Silu)?;
    let head_dim = encoder.head_dim;
    let rotary_dim = (head_dim as f32 * config.rotary_emb_fraction) as usize;
    if rotary_dim == 0 || rotary_dim > head_dim || !rotary_dim.is_multiple_of(2) {
        return Err(corrupt(format!(
            "rotary_emb_fraction {} of {head_dim} is not usable",
            config.rotary_emb_fraction
        )));
    }
    let theta = config.rotary_emb_base.map_or_else(|| rope_theta(loader.config, DEFAULT_THETA), Ok)?;
    let weights = Weights {
        tokens: loader.table("embeddings.word_embeddings.weight", config.vocab_size, hidden)?,
        positions: None,
        segments: Some(loader.learned(
            "embeddings.token_type_embeddings.weight",
            config.type_vocab_size,
            hidden,
        )?),
        embedding_norm: Some(loader.norm("emb_ln", hidden, true)?),
        layers: (0..config.n_layer)
            .map(|index| layer(loader, &config, &format!("encoder.layers.{index}")))
            .collect::<Result<_>>()?,
        final_norm: None,
        relative_bias: None,
    };
    let spec = TransformerSpec {
        gated: true,
        layers: rotary_layers(config.n_layer),
        rotary: vec![Rotary::new(theta, rotary_dim)],
        ..encoder
    };
    Ok(Network::encoder(Backbone::new(spec, weights, loader.kernels), None))
}

fn layer(loader: &Loader<'_>, config: &Config, name: &str) -> Result<LayerWeights> {
    let (hidden, inner) = (config.n_embd, config.n_inner);
    let attention_bias = config.qkv_proj_bias;
    let gate_and_up = ["fc12", "fc11"].map(|half| part(format!("{name}.mlp.{half}"), inner));
    Ok(LayerWeights {
        qkv: loader.linear(&format!("{name}.attn.Wqkv"), 3 * hidden, hidden, attention_bias)?,
        head_norms: None,
        attention_out: loader.linear(&format!("{name}.attn.out_proj"), hidden, hidden, attention_bias)?,
        attention_norm: Some(loader.norm(&format!("{name}.norm1"), hidden, true)?),
        up: loader.stacked(&gate_and_up, hidden, config.mlp_fc1_bias)?,
        down: loader.linear(&format!("{name}.mlp.fc2"), hidden, inner, config.mlp_fc2_bias)?,
        feed_forward_norm: loader.norm(&format!("{name}.norm2"), hidden, true)?,
    })
}

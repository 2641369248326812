//! Qwen3: <https://arxiv.org/abs/2505.09388>, upstream `transformers/models/qwen3`. Qwen3-Embedding and -Reranker,
//! zembed-1, the zerank family, and voyage-4-nano, which sees both ways and projects every token.
//!
//! Pre-norm RMSNorm, rotary positions, grouped-query attention with a norm per query and key head, SwiGLU, no biases.

use super::loader::{activation, part, rope_theta, unsupported};
use super::sizes::{check_sizes, positions, rotary_layers, whole_head_rotary};
use super::{Arch, Loader, Network};
use crate::Result;
use crate::exec::Backbone;
use crate::spec::{LayerWeights, NormKind, NormPlacement, TransformerSpec, Weights};
use serde::Deserialize;

pub(super) const ARCH: Arch = Arch { names: &["Qwen3Model", "Qwen3ForCausalLM"], model_type: "qwen3", load };

/// Inputs that share a scale where weights are 8-bit integers: a few channels of these models are far larger than the
/// rest.
const GROUP: usize = 128;

/// Upstream's `rope_theta` where the configuration has none.
const DEFAULT_THETA: f32 = 10_000.0;

#[derive(Debug, Deserialize)]
struct Config {
    vocab_size: usize,
    hidden_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    num_key_value_heads: usize,
    head_dim: usize,
    intermediate_size: usize,
    hidden_act: String,
    max_position_embeddings: usize,
    rms_norm_eps: f32,
    #[serde(default)]
    attention_bias: bool,
    #[serde(default)]
    use_sliding_window: bool,
    #[serde(default)]
    tie_word_embeddings: bool,
    /// voyage-4-nano.
    #[serde(default)]
    use_bidirectional_attention: bool,
}

fn load(loader: &Loader<'_>) -> Result<Network> {
    let loader = &loader.in_groups_of(GROUP);
    let config: Config = loader.parse()?;
    if config.use_sliding_window {
        return Err(unsupported("use_sliding_window is not supported for Qwen3"));
    }
    let hidden = config.hidden_size;
    let (heads, kv_heads) = (config.num_attention_heads, config.num_key_value_heads);
    check_sizes(hidden, heads, kv_heads, config.intermediate_size, config.num_hidden_layers)?;
    check_sizes(config.head_dim, 1, 1, 1, 1)?;
    let rotary = whole_head_rotary(rope_theta(loader.config, DEFAULT_THETA)?, config.head_dim)?;
    let max_positions = positions(config.max_position_embeddings, 0)?;
    let prefix = loader.prefix(&["", "model."], "embed_tokens.weight")?;
    let embedding_name = format!("{prefix}embed_tokens.weight");

    let weights = Weights {
        tokens: loader.table(&embedding_name, config.vocab_size, hidden)?,
        positions: None,
        segments: None,
        embedding_norm: None,
        layers: (0..config.num_hidden_layers)
            .map(|index| layer(loader, &config, &format!("{prefix}layers.{index}")))
            .collect::<Result<_>>()?,
        final_norm: Some(loader.norm(&format!("{prefix}norm"), hidden, false)?),
        relative_bias: None,
    };
    let spec = TransformerSpec {
        hidden,
        heads,
        kv_heads,
        head_dim: config.head_dim,
        intermediate: config.intermediate_size,
        vocab: config.vocab_size,
        max_positions,
        position_offset: 0,
        norm: NormKind::RmsNorm,
        norm_eps: config.rms_norm_eps,
        placement: NormPlacement::Pre,
        causal: !config.use_bidirectional_attention,
        attention_scale: (config.head_dim as f32).sqrt().recip(),
        activation: activation(&config.hidden_act)?,
        gated: true,
        layers: rotary_layers(config.num_hidden_layers),
        rotary: vec![rotary],
    };

    let token_projection = match loader.store.shape("linear.weight") {
        Some([outputs, _]) => Some(loader.head("linear", *outputs, hidden, false)?),
        _ => None,
    };
    let has_output = loader.store.shape("lm_head.weight").is_some() && !config.tie_word_embeddings;
    let output_table = if has_output { "lm_head.weight".to_owned() } else { embedding_name };
    Ok(Network {
        backbones: vec![Backbone::new(spec, weights, loader.kernels)],
        token_projection,
        classifier: None,
        output_table: Some(output_table),
    })
}

fn layer(loader: &Loader<'_>, config: &Config, name: &str) -> Result<LayerWeights> {
    let (hidden, head_dim, bias) = (config.hidden_size, config.head_dim, config.attention_bias);
    let query_width = config.num_attention_heads * head_dim;
    let key_width = config.num_key_value_heads * head_dim;
    let attention = [
        part(format!("{name}.self_attn.q_proj"), query_width),
        part(format!("{name}.self_attn.k_proj"), key_width),
        part(format!("{name}.self_attn.v_proj"), key_width),
    ];
    let intermediate = config.intermediate_size;
    let feed_forward = ["gate_proj", "up_proj"].map(|half| part(format!("{name}.mlp.{half}"), intermediate));
    let query_norm = loader.vector(&format!("{name}.self_attn.q_norm.weight"), head_dim)?;
    let key_norm = loader.vector(&format!("{name}.self_attn.k_norm.weight"), head_dim)?;
    Ok(LayerWeights {
        attention_norm: Some(loader.norm(&format!("{name}.input_layernorm"), hidden, false)?),
        qkv: loader.stacked(&attention, hidden, bias)?,
        head_norms: Some((query_norm, key_norm)),
        attention_out: loader.linear(&format!("{name}.self_attn.o_proj"), hidden, query_width, bias)?,
        feed_forward_norm: loader.norm(&format!("{name}.post_attention_layernorm"), hidden, false)?,
        up: loader.stacked(&feed_forward, hidden, false)?,
        down: loader.linear(&format!("{name}.mlp.down_proj"), hidden, intermediate, false)?,
    })
}

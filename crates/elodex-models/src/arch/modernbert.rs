//! ModernBERT: <https://arxiv.org/abs/2412.13663>, upstream `transformers/models/modernbert`. gte-modernbert,
//! modernbert-embed and gte-reranker-modernbert.
//!
//! Pre-norm (the first layer's attention has none), rotary positions, GeGLU, and attention that is local in all but
//! every third layer, with a rotary base for each kind.

use super::loader::{activation, corrupt, rope_theta_of, unsupported};
use super::sizes::{Sizes, whole_head_rotary};
use super::{Arch, Classifier, Loader, Network};
use crate::Result;
use crate::exec::Backbone;
use crate::files::PoolingMode;
use crate::heads::Head;
use crate::spec::{LayerSpec, LayerWeights, NormPlacement, TransformerSpec, Weights};
use elodex_kernels::Activation;
use serde::Deserialize;

pub(super) const ARCH: Arch = Arch {
    names: &["ModernBertModel", "ModernBertForMaskedLM", "ModernBertForSequenceClassification"],
    model_type: "modernbert",
    load,
};

const GLOBAL: usize = 0;
const LOCAL: usize = 1;

#[derive(Debug, Deserialize)]
struct Config {
    vocab_size: usize,
    hidden_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    intermediate_size: usize,
    hidden_activation: String,
    max_position_embeddings: usize,
    norm_eps: f32,
    local_attention: usize,
    #[serde(default = "every_third")]
    global_attn_every_n_layers: usize,
    layer_types: Option<Vec<String>>,
    #[serde(default)]
    norm_bias: bool,
    #[serde(default)]
    attention_bias: bool,
    #[serde(default)]
    mlp_bias: bool,
    #[serde(default)]
    classifier_bias: bool,
    classifier_activation: Option<String>,
    classifier_pooling: Option<String>,
}

fn every_third() -> usize {
    3
}

fn load(loader: &Loader<'_>) -> Result<Network> {
    let config: Config = loader.parse()?;
    let hidden = config.hidden_size;
    let sizes = Sizes {
        hidden,
        heads: config.num_attention_heads,
        intermediate: config.intermediate_size,
        layers: config.num_hidden_layers,
        vocab: config.vocab_size,
        positions: config.max_position_embeddings,
        position_offset: 0,
    };
    let encoder = sizes.encoder(config.norm_eps, activation(&config.hidden_activation)?)?;
    let rotary = |kind: &str, legacy: &str, default: f32| {
        let parameters = &loader.config["rope_parameters"][kind];
        whole_head_rotary(rope_theta_of(loader.config, parameters, legacy, default)?, encoder.head_dim)
    };
    let spec = TransformerSpec {
        placement: NormPlacement::Pre,
        gated: true,
        layers: layer_specs(&config)?,
        rotary: vec![
            rotary("full_attention", "global_rope_theta", 160_000.0)?,
            rotary("sliding_attention", "local_rope_theta", 10_000.0)?,
        ],
        ..encoder
    };
    let prefix = loader.prefix(&["", "model."], "embeddings.tok_embeddings.weight")?;
    let weights = Weights {
        tokens: loader.table(
            &format!("{prefix}embeddings.tok_embeddings.weight"),
            config.vocab_size,
            hidden,
        )?,
        positions: None,
        segments: None,
        embedding_norm: Some(loader.norm(&format!("{prefix}embeddings.norm"), hidden, config.norm_bias)?),
        layers: (0..config.num_hidden_layers)
            .map(|index| layer(loader, &config, &format!("{prefix}layers.{index}"), index == 0))
            .collect::<Result<_>>()?,
        final_norm: Some(loader.norm(&format!("{prefix}final_norm"), hidden, config.norm_bias)?),
        relative_bias: None,
    };
    let classifier = if loader.architecture() == "ModernBertForSequenceClassification" {
        Some(classifier(loader, &config)?)
    } else {
        None
    };
    Ok(Network::encoder(Backbone::new(spec, weights, loader.kernels), classifier))
}

fn layer_specs(config: &Config) -> Result<Vec<LayerSpec>> {
    let global = LayerSpec { window: None, rotary: Some(GLOBAL) };
    let local = LayerSpec { window: Some(config.local_attention / 2), rotary: Some(LOCAL) };
    match &config.layer_types {
        Some(types) if types.len() != config.num_hidden_layers => Err(corrupt(format!(
            "layer_types has {} entries for {} layers",
            types.len(),
            config.num_hidden_layers
        ))),
        Some(types) => types
            .iter()
            .map(|kind| match kind.as_str() {
                "full_attention" => Ok(global),
                "sliding_attention" => Ok(local),
                other => Err(unsupported(format!("layer type `{other}` is not supported"))),
            })
            .collect(),
        None => {
            let every = config.global_attn_every_n_layers.max(1);
            Ok((0..config.num_hidden_layers)
                .map(|index| if index.is_multiple_of(every) { global } else { local })
                .collect())
        }
    }
}

fn layer(loader: &Loader<'_>, config: &Config, name: &str, first: bool) -> Result<LayerWeights> {
    let (hidden, intermediate) = (config.hidden_size, config.intermediate_size);
    let attention_norm = if first {
        None
    } else {
        Some(loader.norm(&format!("{name}.attn_norm"), hidden, config.norm_bias)?)
    };
    Ok(LayerWeights {
        attention_norm,
        qkv: loader.linear(&format!("{name}.attn.Wqkv"), 3 * hidden, hidden, config.attention_bias)?,
        head_norms: None,
        attention_out: loader.linear(&format!("{name}.attn.Wo"), hidden, hidden, config.attention_bias)?,
        feed_forward_norm: loader.norm(&format!("{name}.mlp_norm"), hidden, config.norm_bias)?,
        up: loader.linear(&format!("{name}.mlp.Wi"), 2 * intermediate, hidden, config.mlp_bias)?,
        down: loader.linear(&format!("{name}.mlp.Wo"), hidden, intermediate, config.mlp_bias)?,
    })
}

fn classifier(loader: &Loader<'_>, config: &Config) -> Result<Classifier> {
    let hidden = config.hidden_size;
    let pooling = match config.classifier_pooling.as_deref() {
        None | Some("cls") => PoolingMode::Cls,
        Some("mean") => PoolingMode::Mean,
        Some(other) => return Err(unsupported(format!("classifier_pooling `{other}` is not cls or mean"))),
    };
    let dense_activation =
        config.classifier_activation.as_deref().map_or(Ok(Activation::Gelu), activation)?;
    let heads = vec![
        Head::Dense(loader.head("head.dense", hidden, hidden, config.classifier_bias)?, dense_activation),
        Head::LayerNorm(loader.norm("head.norm", hidden, config.norm_bias)?, config.norm_eps),
        Head::Dense(loader.one_label("classifier", hidden, true)?, Activation::Identity),
    ];
    Ok(Classifier { pooling, heads })
}

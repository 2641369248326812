//! BERT: <https://arxiv.org/abs/1810.04805>, upstream `transformers/models/bert`. MiniLM, bge, e5, arctic, gte and the
//! ms-marco cross-encoders are this with other sizes.
//!
//! Post-norm, learned positions from 0, two segments, erf GELU, biases everywhere.

use super::loader::{activation, check_sizes, head_dim, part, positions, unsupported};
use super::{Arch, Classifier, Loader, Network};
use crate::Result;
use crate::exec::Backbone;
use crate::files::PoolingMode;
use crate::heads::Head;
use crate::spec::{LayerSpec, LayerWeights, NormKind, NormPlacement, TransformerSpec, Weights};
use elodex_kernels::Activation;
use serde::Deserialize;

pub(super) const ARCH: Arch = Arch {
    names: &["BertModel", "BertForMaskedLM", "BertForSequenceClassification"],
    model_type: "bert",
    load,
};

/// `config.json` of BERT and of those that keep its names.
#[derive(Debug, Deserialize)]
pub(super) struct Config {
    pub(super) vocab_size: usize,
    pub(super) hidden_size: usize,
    pub(super) num_hidden_layers: usize,
    pub(super) num_attention_heads: usize,
    pub(super) intermediate_size: usize,
    pub(super) hidden_act: String,
    pub(super) max_position_embeddings: usize,
    pub(super) type_vocab_size: usize,
    pub(super) layer_norm_eps: f32,
    position_embedding_type: Option<String>,
    #[serde(default)]
    pub(super) pad_token_id: usize,
}

fn load(loader: &Loader<'_>) -> Result<Network> {
    let config: Config = loader.parse()?;
    let prefix = loader.prefix(&["", "bert."], "embeddings.word_embeddings.weight")?;
    let backbone = backbone(loader, &config, &prefix, 0)?;
    let classifier = if loader.architecture() == "BertForSequenceClassification" {
        let hidden = config.hidden_size;
        let pooler = loader.linear(&[part(format!("{prefix}pooler.dense"), hidden)], hidden, true)?;
        let label = loader.one_label("classifier", hidden, true)?;
        let heads = vec![Head::Dense(pooler, Activation::Tanh), Head::Dense(label, Activation::Identity)];
        Some(Classifier { pooling: PoolingMode::Cls, heads })
    } else {
        None
    };
    Ok(Network::encoder(backbone, classifier))
}

/// The encoder under BERT's weight names; `position_offset` rows of the position table belong to padding.
pub(super) fn backbone(
    loader: &Loader<'_>,
    config: &Config,
    prefix: &str,
    position_offset: usize,
) -> Result<Backbone> {
    let kind = config.position_embedding_type.as_deref().unwrap_or("absolute");
    if kind != "absolute" {
        return Err(unsupported(format!("position_embedding_type `{kind}` is not supported")));
    }
    let hidden = config.hidden_size;
    check_sizes(
        hidden,
        config.num_attention_heads,
        config.num_attention_heads,
        config.intermediate_size,
        config.num_hidden_layers,
    )?;
    let head_dim = head_dim(hidden, config.num_attention_heads)?;
    let max_positions = positions(config.max_position_embeddings, position_offset)?;

    let embeddings = format!("{prefix}embeddings");
    let weights = Weights {
        tokens: loader.matrix(&format!("{embeddings}.word_embeddings.weight"), config.vocab_size, hidden)?,
        positions: Some(loader.matrix(
            &format!("{embeddings}.position_embeddings.weight"),
            config.max_position_embeddings,
            hidden,
        )?),
        segments: Some(loader.matrix(
            &format!("{embeddings}.token_type_embeddings.weight"),
            config.type_vocab_size,
            hidden,
        )?),
        embedding_norm: Some(loader.norm(&format!("{embeddings}.LayerNorm"), hidden, true)?),
        layers: (0..config.num_hidden_layers)
            .map(|index| layer(loader, config, &format!("{prefix}encoder.layer.{index}")))
            .collect::<Result<_>>()?,
        final_norm: None,
        relative_bias: None,
    };
    let spec = TransformerSpec {
        hidden,
        heads: config.num_attention_heads,
        kv_heads: config.num_attention_heads,
        head_dim,
        intermediate: config.intermediate_size,
        vocab: config.vocab_size,
        max_positions,
        position_offset,
        norm: NormKind::LayerNorm,
        norm_eps: config.layer_norm_eps,
        placement: NormPlacement::Post,
        causal: false,
        attention_scale: (head_dim as f32).sqrt().recip(),
        activation: activation(&config.hidden_act)?,
        gated: false,
        layers: vec![LayerSpec::default(); config.num_hidden_layers],
        rotary: vec![],
    };
    Ok(Backbone::new(spec, weights, loader.kernels))
}

fn layer(loader: &Loader<'_>, config: &Config, name: &str) -> Result<LayerWeights> {
    let hidden = config.hidden_size;
    let attention =
        ["query", "key", "value"].map(|role| part(format!("{name}.attention.self.{role}"), hidden));
    Ok(LayerWeights {
        qkv: loader.linear(&attention, hidden, true)?,
        head_norms: None,
        attention_out: loader.linear(
            &[part(format!("{name}.attention.output.dense"), hidden)],
            hidden,
            true,
        )?,
        attention_norm: Some(loader.norm(&format!("{name}.attention.output.LayerNorm"), hidden, true)?),
        up: loader.linear(
            &[part(format!("{name}.intermediate.dense"), config.intermediate_size)],
            hidden,
            true,
        )?,
        down: loader.linear(
            &[part(format!("{name}.output.dense"), hidden)],
            config.intermediate_size,
            true,
        )?,
        feed_forward_norm: loader.norm(&format!("{name}.output.LayerNorm"), hidden, true)?,
    })
}

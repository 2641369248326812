//! BERT: <https://arxiv.org/abs/1810.04805>, upstream `transformers/models/bert`. MiniLM, bge, e5, arctic, gte and the
//! ms-marco cross-encoders are this with other sizes.
//!
//! Post-norm, learned positions from 0, two segments, erf GELU, biases everywhere.

use super::loader::{activation, part, unsupported};
use super::sizes::Sizes;
use super::{Arch, Classifier, Loader, Network};
use crate::Result;
use crate::exec::Backbone;
use crate::files::PoolingMode;
use crate::heads::Head;
use crate::spec::{LayerWeights, Weights};
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
        let pooler = loader.head(&format!("{prefix}pooler.dense"), hidden, hidden, true)?;
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
    let sizes = Sizes {
        hidden,
        heads: config.num_attention_heads,
        intermediate: config.intermediate_size,
        layers: config.num_hidden_layers,
        vocab: config.vocab_size,
        positions: config.max_position_embeddings,
        position_offset,
    };
    let spec = sizes.encoder(config.layer_norm_eps, activation(&config.hidden_act)?)?;

    let embeddings = format!("{prefix}embeddings");
    let weights = Weights {
        tokens: loader.table(&format!("{embeddings}.word_embeddings.weight"), config.vocab_size, hidden)?,
        positions: Some(loader.learned(
            &format!("{embeddings}.position_embeddings.weight"),
            config.max_position_embeddings,
            hidden,
        )?),
        segments: Some(loader.learned(
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
    Ok(Backbone::new(spec, weights, loader.kernels))
}

fn layer(loader: &Loader<'_>, config: &Config, name: &str) -> Result<LayerWeights> {
    let (hidden, intermediate) = (config.hidden_size, config.intermediate_size);
    let attention =
        ["query", "key", "value"].map(|role| part(format!("{name}.attention.self.{role}"), hidden));
    let attention_out = format!("{name}.attention.output");
    let (up, down) = (format!("{name}.intermediate"), format!("{name}.output"));
    Ok(LayerWeights {
        qkv: loader.stacked(&attention, hidden, true)?,
        head_norms: None,
        attention_out: loader.linear(&format!("{attention_out}.dense"), hidden, hidden, true)?,
        attention_norm: Some(loader.norm(&format!("{attention_out}.LayerNorm"), hidden, true)?),
        up: loader.linear(&format!("{up}.dense"), intermediate, hidden, true)?,
        down: loader.linear(&format!("{down}.dense"), hidden, intermediate, true)?,
        feed_forward_norm: loader.norm(&format!("{down}.LayerNorm"), hidden, true)?,
    })
}

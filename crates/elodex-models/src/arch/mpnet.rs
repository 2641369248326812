//! MPNet: <https://arxiv.org/abs/2004.09297>, upstream `transformers/models/mpnet`. all-mpnet-base-v2.
//!
//! Post-norm, learned positions behind the padding id, no segments, and one table of relative-position biases
//! (T5 buckets) shared by all layers.

use super::loader::{activation, corrupt, part};
use super::sizes::Sizes;
use super::{Arch, Loader, Network};
use crate::Result;
use crate::exec::Backbone;
use crate::spec::{LayerWeights, Weights};
use serde::Deserialize;

pub(super) const ARCH: Arch = Arch { names: &["MPNetModel", "MPNetForMaskedLM"], model_type: "mpnet", load };

/// Distance from which all positions share a bucket; fixed upstream.
const MAX_DISTANCE: usize = 128;

#[derive(Debug, Deserialize)]
struct Config {
    vocab_size: usize,
    hidden_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    intermediate_size: usize,
    hidden_act: String,
    max_position_embeddings: usize,
    layer_norm_eps: f32,
    relative_attention_num_buckets: usize,
    #[serde(default = "default_pad_token_id")]
    pad_token_id: usize,
}

fn default_pad_token_id() -> usize {
    1
}

fn load(loader: &Loader<'_>) -> Result<Network> {
    let config: Config = loader.parse()?;
    let prefix = loader.prefix(&["", "mpnet."], "embeddings.word_embeddings.weight")?;
    let hidden = config.hidden_size;
    let heads = config.num_attention_heads;
    let sizes = Sizes {
        hidden,
        heads,
        intermediate: config.intermediate_size,
        layers: config.num_hidden_layers,
        vocab: config.vocab_size,
        positions: config.max_position_embeddings,
        position_offset: config.pad_token_id + 1,
    };
    let spec = sizes.encoder(config.layer_norm_eps, activation(&config.hidden_act)?)?;
    let buckets = config.relative_attention_num_buckets;
    if buckets < 4 || !buckets.is_multiple_of(4) {
        return Err(corrupt(format!(
            "relative_attention_num_buckets is {buckets}; it must be a multiple of 4"
        )));
    }
    let table = loader.matrix(&format!("{prefix}encoder.relative_attention_bias.weight"), buckets, heads)?;
    let relative_bias = relative_bias(&table, buckets, heads);

    let embeddings = format!("{prefix}embeddings");
    let weights = Weights {
        tokens: loader.table(&format!("{embeddings}.word_embeddings.weight"), config.vocab_size, hidden)?,
        positions: Some(loader.learned(
            &format!("{embeddings}.position_embeddings.weight"),
            config.max_position_embeddings,
            hidden,
        )?),
        segments: None,
        embedding_norm: Some(loader.norm(&format!("{embeddings}.LayerNorm"), hidden, true)?),
        layers: (0..config.num_hidden_layers)
            .map(|index| layer(loader, &config, &format!("{prefix}encoder.layer.{index}")))
            .collect::<Result<_>>()?,
        final_norm: None,
        relative_bias: Some((relative_bias, MAX_DISTANCE)),
    };
    Ok(Network::encoder(Backbone::new(spec, weights, loader.kernels), None))
}

fn layer(loader: &Loader<'_>, config: &Config, name: &str) -> Result<LayerWeights> {
    let (hidden, intermediate) = (config.hidden_size, config.intermediate_size);
    let attention = format!("{name}.attention");
    let qkv = ["q", "k", "v"].map(|role| part(format!("{attention}.attn.{role}"), hidden));
    let (up, down) = (format!("{name}.intermediate"), format!("{name}.output"));
    Ok(LayerWeights {
        qkv: loader.stacked(&qkv, hidden, true)?,
        head_norms: None,
        attention_out: loader.linear(&format!("{attention}.attn.o"), hidden, hidden, true)?,
        attention_norm: Some(loader.norm(&format!("{attention}.LayerNorm"), hidden, true)?),
        up: loader.linear(&format!("{up}.dense"), intermediate, hidden, true)?,
        down: loader.linear(&format!("{down}.dense"), hidden, intermediate, true)?,
        feed_forward_norm: loader.norm(&format!("{down}.LayerNorm"), hidden, true)?,
    })
}

/// `[buckets, heads]` to `[heads, 2·MAX_DISTANCE + 1]` by j − i.
fn relative_bias(table: &[f32], buckets: usize, heads: usize) -> Vec<f32> {
    let mut out = Vec::with_capacity(heads * (2 * MAX_DISTANCE + 1));
    for head in 0..heads {
        for column in 0..=2 * MAX_DISTANCE {
            let offset = column as i64 - MAX_DISTANCE as i64;
            out.push(table[bucket(offset, buckets) * heads + head]);
        }
    }
    out
}

/// The T5 bucket (<https://arxiv.org/abs/1910.10683>, §2.1) of j − i: half the buckets for keys behind the query, half
/// for keys in front; in each half the near distances one by one, the far ones by their logarithm.
fn bucket(offset: i64, buckets: usize) -> usize {
    let half = buckets / 2;
    let base = if offset > 0 { half } else { 0 };
    let distance = offset.unsigned_abs() as usize;
    let exact = half / 2;
    if distance < exact {
        return base + distance;
    }
    let log = (distance as f32 / exact as f32).ln() / (MAX_DISTANCE as f32 / exact as f32).ln();
    base + (exact + (log * (half - exact) as f32) as usize).min(half - 1)
}

#[cfg(test)]
mod tests {
    use super::bucket;

    #[test]
    fn buckets_near_far_and_signed() {
        let expected =
            [(0, 0), (-7, 7), (-8, 8), (-127, 15), (-128, 15), (1, 17), (8, 24), (128, 31), (-16, 10)];
        for (offset, wanted) in expected {
            assert_eq!(bucket(offset, 32), wanted, "offset {offset}");
        }
    }
}

//! jina-embeddings-v3: <https://arxiv.org/abs/2409.10173>, upstream `jinaai/xlm-roberta-flash-implementation`.
//!
//! XLM-RoBERTa with rotary positions, and a low-rank adapter per task on every linear layer and embedding. The adapters
//! of the two retrieval tasks are merged into the weights when loading, W + (α/r)·B·A as upstream computes it, so each
//! role has a transformer of its own.

use super::loader::{activation, corrupt};
use super::sizes::{Sizes, check_sizes, rotary_layers, whole_head_rotary};
use super::{Arch, Loader, Network};
use crate::Result;
use crate::exec::Backbone;
use crate::spec::{LayerWeights, Learned, Linear, TransformerSpec, Weights};
use crate::table::Table;
use serde::Deserialize;

pub(super) const ARCH: Arch = Arch { names: &["XLMRobertaLoRA"], model_type: "", load };

/// In the order of the routes.
const TASKS: [&str; 2] = ["retrieval.query", "retrieval.passage"];

#[derive(Debug, Deserialize)]
struct Config {
    vocab_size: usize,
    hidden_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    intermediate_size: usize,
    hidden_act: String,
    max_position_embeddings: usize,
    type_vocab_size: usize,
    layer_norm_eps: f32,
    rotary_emb_base: f32,
    lora_adaptations: Vec<String>,
    lora_rank: usize,
    lora_alpha: f32,
}

fn load(loader: &Loader<'_>) -> Result<Network> {
    let config: Config = loader.parse()?;
    check_sizes(config.lora_rank, 1, 1, 1, 1)?;
    let prefix =
        loader.prefix(&["roberta.", ""], "embeddings.word_embeddings.parametrizations.weight.original")?;
    let backbones = TASKS
        .iter()
        .map(|task| {
            let index = config.lora_adaptations.iter().position(|name| name == task);
            let index = index.ok_or_else(|| corrupt(format!("lora_adaptations has no `{task}`")))?;
            backbone(&Adapted { loader, config: &config, prefix: &prefix, task: index })
        })
        .collect::<Result<_>>()?;
    Ok(Network { backbones, token_projection: None, classifier: None, output_table: None })
}

/// The weights as one task sees them.
struct Adapted<'a> {
    loader: &'a Loader<'a>,
    config: &'a Config,
    prefix: &'a str,
    task: usize,
}

fn backbone(adapted: &Adapted<'_>) -> Result<Backbone> {
    let Adapted { loader, config, prefix, .. } = adapted;
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
    let encoder = sizes.encoder(config.layer_norm_eps, activation(&config.hidden_act)?)?;
    let spec = TransformerSpec {
        layers: rotary_layers(config.num_hidden_layers),
        rotary: vec![whole_head_rotary(config.rotary_emb_base, encoder.head_dim)?],
        ..encoder
    };
    let weights = Weights {
        tokens: adapted.tokens()?,
        positions: None,
        segments: Some(adapted.embedding("embeddings.token_type_embeddings", config.type_vocab_size)?),
        embedding_norm: Some(loader.norm(&format!("{prefix}emb_ln"), hidden, true)?),
        layers: (0..config.num_hidden_layers).map(|index| adapted.layer(index)).collect::<Result<_>>()?,
        final_norm: None,
        relative_bias: None,
    };
    Ok(Backbone::new(spec, weights, loader.kernels))
}

impl Adapted<'_> {
    fn layer(&self, index: usize) -> Result<LayerWeights> {
        let (hidden, intermediate) = (self.config.hidden_size, self.config.intermediate_size);
        let name = format!("encoder.layers.{index}");
        let norm = |which: &str| self.loader.norm(&format!("{}{name}.{which}", self.prefix), hidden, true);
        Ok(LayerWeights {
            qkv: self.linear(&format!("{name}.mixer.Wqkv"), 3 * hidden, hidden)?,
            head_norms: None,
            attention_out: self.linear(&format!("{name}.mixer.out_proj"), hidden, hidden)?,
            attention_norm: Some(norm("norm1")?),
            up: self.linear(&format!("{name}.mlp.fc1"), intermediate, hidden)?,
            down: self.linear(&format!("{name}.mlp.fc2"), hidden, intermediate)?,
            feed_forward_norm: norm("norm2")?,
        })
    }

    fn linear(&self, name: &str, rows: usize, columns: usize) -> Result<Linear> {
        let name = format!("{}{name}", self.prefix);
        let (tasks, rank) = (self.config.lora_adaptations.len(), self.config.lora_rank);
        let mut weight = self.original(&name, rows, columns)?;
        let down = self.low_rank(&name, "lora_A", [tasks, rank, columns])?;
        let up = self.low_rank(&name, "lora_B", [tasks, rows, rank])?;
        self.merge(&mut weight, &up, &down, columns);
        let bias = self.loader.vector(&format!("{name}.bias"), rows)?;
        let weight = self.loader.pack(&name, &weight, rows, columns)?;
        Ok(Linear { name, weight, bias: Some(bias) })
    }

    fn tokens(&self) -> Result<Table> {
        let name = "embeddings.word_embeddings";
        self.loader.pack_table(
            name,
            self.embedding(name, self.config.vocab_size)?.values,
            self.config.hidden_size,
        )
    }

    /// Of an embedding the adapter's two factors are swapped: A is `[rows, rank]`, B is `[rank, hidden]`.
    fn embedding(&self, name: &str, rows: usize) -> Result<Learned> {
        let name = format!("{}{name}", self.prefix);
        let (tasks, rank, hidden) =
            (self.config.lora_adaptations.len(), self.config.lora_rank, self.config.hidden_size);
        let mut weight = self.original(&name, rows, hidden)?;
        let left = self.low_rank(&name, "lora_A", [tasks, rows, rank])?;
        let right = self.low_rank(&name, "lora_B", [tasks, rank, hidden])?;
        self.merge(&mut weight, &left, &right, hidden);
        Ok(Learned { name, values: weight })
    }

    fn original(&self, name: &str, rows: usize, columns: usize) -> Result<Vec<f32>> {
        self.loader.matrix(&format!("{name}.parametrizations.weight.original"), rows, columns)
    }

    /// This task's slice of stacked factors.
    fn low_rank(&self, name: &str, factor: &str, shape: [usize; 3]) -> Result<Vec<f32>> {
        let all = self.loader.store.tensor(&format!("{name}.parametrizations.weight.0.{factor}"), &shape)?;
        let size = shape[1] * shape[2];
        Ok(all[self.task * size..(self.task + 1) * size].to_vec())
    }

    /// `weight[rows, columns] += (α/r) · left[rows, r] · right[r, columns]`
    fn merge(&self, weight: &mut [f32], left: &[f32], right: &[f32], columns: usize) {
        let rank = self.config.lora_rank;
        let scale = self.config.lora_alpha / rank as f32;
        for (row, values) in weight.chunks_exact_mut(columns).enumerate() {
            for (column, value) in values.iter_mut().enumerate() {
                let sum: f32 =
                    (0..rank).map(|index| left[row * rank + index] * right[index * columns + column]).sum();
                *value += scale * sum;
            }
        }
    }
}

//! The one executor of every [`TransformerSpec`]: packed variable-length batches on the CPU, no padding.
//!
//! A batch is cut into micro-batches of whole sequences that fit a core's cache; each runs through all layers on one
//! thread. A sequence too long for that split runs with all threads inside its kernels. Neither choice changes a bit:
//! every kernel's row depends on that row's sequence alone.

mod pass;
mod plan;

use self::pass::{Pass, Scratch};
use self::plan::{MICRO_BATCH_TOKENS, Plan};
use crate::Encoded;
use crate::spec::{LayerWeights, Learned, Linear, TransformerSpec, Weights};
use elodex_kernels::{Kernels, Parallelism, Precision, RopeTable};
use rayon::prelude::*;
use std::cell::RefCell;
use std::sync::{Mutex, PoisonError};

/// Buffers of a larger micro-batch are given back to the system instead of kept.
const KEPT_SCRATCH_TOKENS: usize = 4 * MICRO_BATCH_TOKENS;

/// Which token vectors a caller needs of each sequence; the last layer computes no others where it can.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rows {
    /// All, `[length, hidden]`.
    All,
    /// The first, `[1, hidden]`.
    First,
    /// The last, `[1, hidden]`.
    Last,
}

/// A point inside the network, for comparison with a reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Behind the embedding block.
    Embeddings,
    /// Behind a layer.
    Layer(usize),
    /// Behind the final norm.
    Final,
}

/// A transformer ready to run.
#[derive(Debug)]
pub struct Backbone {
    spec: TransformerSpec,
    weights: Weights,
    rope_tables: Vec<RopeTable>,
    kernels: Kernels,
    attention_precision: Precision,
    scratch: Mutex<Vec<Scratch>>,
}

impl Backbone {
    /// Joins a spec and its weights.
    pub fn new(spec: TransformerSpec, weights: Weights, kernels: Kernels) -> Self {
        let rope_tables = spec
            .rotary
            .iter()
            .map(|rotary| RopeTable::new(&rotary.inverse_frequencies, spec.max_positions))
            .collect();
        let attention_precision = attention_precision(&weights);
        Self { spec, weights, rope_tables, kernels, attention_precision, scratch: Mutex::new(Vec::new()) }
    }

    /// The spec.
    pub fn spec(&self) -> &TransformerSpec {
        &self.spec
    }

    /// The kernels it runs on.
    pub fn kernels(&self) -> Kernels {
        self.kernels
    }

    /// Bytes the weights hold.
    pub fn weight_bytes(&self) -> u64 {
        let weights = &self.weights;
        let floats = |values: &Option<Vec<f32>>| values.as_ref().map_or(0, Vec::len);
        let learned = |table: &Option<Learned>| table.as_ref().map_or(0, |table| table.values.len());
        let linears = weights.layers.iter().flat_map(LayerWeights::linears);
        let layers: usize = linears.map(|layer| layer.weight.bytes() + 4 * floats(&layer.bias)).sum();
        let tables = weights.tokens.memory() + 4 * (learned(&weights.positions) + learned(&weights.segments));
        (tables + layers) as u64
    }

    /// The weights.
    pub fn weights(&self) -> &Weights {
        &self.weights
    }

    /// Bytes of activations that `tokens` tokens in one micro-batch need.
    pub fn activation_bytes(&self, tokens: usize) -> u64 {
        let spec = &self.spec;
        let gated = if spec.gated { spec.intermediate } else { 0 };
        let width = 2 * spec.hidden + spec.qkv_width() + spec.heads * spec.head_dim + spec.up_width() + gated;
        4 * (width as u64) * (tokens as u64)
    }

    /// Multiply-adds that a layer's linear maps need for one token, on average over layers.
    pub fn layer_multiply_adds(&self) -> u64 {
        let layers = &self.weights.layers;
        let linears = layers.iter().flat_map(LayerWeights::linears);
        let weights: usize = linears.map(|layer| layer.weight.n() * layer.weight.k()).sum();
        (weights / layers.len().max(1)) as u64
    }

    /// Runs a batch and hands each sequence's requested rows to `finish`; results in batch order.
    pub fn run<R: Send>(
        &self,
        batch: &[&Encoded],
        rows: Rows,
        parallelism: Parallelism,
        finish: impl Fn(usize, &[f32]) -> R + Sync,
    ) -> Vec<R> {
        let threads = match parallelism {
            Parallelism::Serial => 1,
            Parallelism::Pool => rayon::current_num_threads(),
        };
        let plan = Plan::new(batch, threads);
        let run =
            |members: &[usize], parallelism| self.run_micro_batch(batch, members, rows, parallelism, &finish);

        let mut results: Vec<(usize, R)> = Vec::with_capacity(batch.len());
        for &index in &plan.alone {
            results.extend(run(&[index], parallelism));
        }
        match parallelism {
            Parallelism::Serial => {
                for members in &plan.together {
                    results.extend(run(members, Parallelism::Serial));
                }
            }
            Parallelism::Pool => {
                let parts: Vec<Vec<(usize, R)>> = plan
                    .together
                    .par_iter()
                    .with_max_len(1)
                    .map(|members| run(members, Parallelism::Serial))
                    .collect();
                results.extend(parts.into_iter().flatten());
            }
        }
        results.sort_unstable_by_key(|(index, _)| *index);
        results.into_iter().map(|(_, result)| result).collect()
    }

    /// Runs one sequence and shows every stage's `[length, hidden]` to `observe`.
    pub fn observe(&self, sequence: &Encoded, mut observe: impl FnMut(Stage, &[f32])) {
        let offsets = [0, sequence.ids.len()];
        let sequences = [sequence];
        let pass = Pass::new(self, &sequences, &offsets, Parallelism::Pool);
        pass.run(Rows::All, &mut Scratch::default(), &mut observe);
    }

    /// Runs one sequence and shows every linear layer's input `[length, in]` to `observe`.
    pub fn observe_inputs(&self, sequence: &Encoded, observe: impl FnMut(&Linear, &[f32])) {
        let offsets = [0, sequence.ids.len()];
        let sequences = [sequence];
        let observe = RefCell::new(observe);
        let show = |layer: &Linear, input: &[f32]| (observe.borrow_mut())(layer, input);
        let pass = Pass::new(self, &sequences, &offsets, Parallelism::Pool).showing_inputs(&show);
        pass.run(Rows::All, &mut Scratch::default(), &mut |_, _| {});
    }

    fn run_micro_batch<R>(
        &self,
        batch: &[&Encoded],
        members: &[usize],
        rows: Rows,
        parallelism: Parallelism,
        finish: &impl Fn(usize, &[f32]) -> R,
    ) -> Vec<(usize, R)> {
        let sequences: Vec<&Encoded> = members.iter().map(|&index| batch[index]).collect();
        let mut offsets = Vec::with_capacity(sequences.len() + 1);
        offsets.push(0);
        for sequence in &sequences {
            offsets.push(offsets[offsets.len() - 1] + sequence.ids.len());
        }

        let mut scratch =
            self.scratch.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default();
        let pass = Pass::new(self, &sequences, &offsets, parallelism);
        parallelism.together(|| pass.run(rows, &mut scratch, &mut |_, _| {}));
        let hidden = self.spec.hidden;
        let results = members
            .iter()
            .enumerate()
            .map(|(place, &index)| {
                let range = match rows {
                    Rows::All => offsets[place] * hidden..offsets[place + 1] * hidden,
                    Rows::First | Rows::Last => place * hidden..(place + 1) * hidden,
                };
                (index, finish(index, &scratch.hidden[range]))
            })
            .collect();
        if offsets[members.len()] <= KEPT_SCRATCH_TOKENS {
            self.scratch.lock().unwrap_or_else(PoisonError::into_inner).push(scratch);
        }
        results
    }
}

/// Whoever needs scales per group of inputs has inputs of very different size, and queries and keys with them: attention
/// is then f32.
fn attention_precision(weights: &Weights) -> Precision {
    let matrix = weights.layers.first().map(|layer| &layer.qkv.weight);
    match matrix.and_then(|matrix| Some((matrix, matrix.byte_panels()?))) {
        Some((matrix, panels)) if panels.group() == matrix.k().next_multiple_of(4) => Precision::Int8,
        _ => Precision::F32,
    }
}

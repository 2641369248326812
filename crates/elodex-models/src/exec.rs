//! The one executor of every [`TransformerSpec`]: packed variable-length batches on the CPU, no padding.
//!
//! A batch is cut into micro-batches of whole sequences that fit a core's cache; each runs through all layers on one
//! thread. A sequence too long for that split runs with all threads inside its kernels. Neither choice changes a bit:
//! every kernel's row depends on that row's sequence alone.

use crate::Encoded;
use crate::spec::{Linear, Norm, NormKind, NormPlacement, TransformerSpec, Weights};
use elodex_kernels::{Activation, Attention, Epilogue, Kernels, Parallelism, RelativeBias, RopeTable};
use rayon::prelude::*;
use std::sync::{Mutex, PoisonError};

/// Tokens of a micro-batch: few enough that its widest activation stays in a core's second-level cache, enough that
/// each weight fetched from memory is used many times.
const MICRO_BATCH_TOKENS: usize = 256;

/// Below this a batch is not worth cutting into pieces.
const MIN_MICRO_BATCH_TOKENS: usize = 48;

/// Buffers of a larger micro-batch are given back to the system instead of kept.
const KEPT_SCRATCH_TOKENS: usize = 4 * MICRO_BATCH_TOKENS;

/// Micro-batches per thread, so that a thread which ends early finds more to do.
const MICRO_BATCHES_PER_THREAD: usize = 3;

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
    scratch: Mutex<Vec<Scratch>>,
}

/// Buffers of one micro-batch, kept between batches.
#[derive(Debug, Default)]
struct Scratch {
    hidden: Vec<f32>,
    other: Vec<f32>,
    qkv: Vec<f32>,
    attended: Vec<f32>,
    wide: Vec<f32>,
    gated: Vec<f32>,
}

impl Backbone {
    /// Joins a spec and its weights.
    pub fn new(spec: TransformerSpec, weights: Weights, kernels: Kernels) -> Self {
        let rope_tables = spec
            .rotary
            .iter()
            .map(|rotary| RopeTable::new(&rotary.inverse_frequencies, spec.max_positions))
            .collect();
        Self { spec, weights, rope_tables, kernels, scratch: Mutex::new(Vec::new()) }
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
        let linear = |layer: &Linear| layer.weight.bytes() + 4 * floats(&layer.bias);
        let layers: usize = weights
            .layers
            .iter()
            .map(|layer| {
                [&layer.qkv, &layer.attention_out, &layer.up, &layer.down].map(linear).iter().sum::<usize>()
            })
            .sum();
        (4 * (weights.tokens.len() + floats(&weights.positions) + floats(&weights.segments)) + layers) as u64
    }

    /// Bytes of activations that `tokens` tokens in one micro-batch need.
    pub fn activation_bytes(&self, tokens: usize) -> u64 {
        let spec = &self.spec;
        let gated = if spec.gated { spec.intermediate } else { 0 };
        let width = 2 * spec.hidden + spec.qkv_width() + spec.heads * spec.head_dim + spec.up_width() + gated;
        4 * (width as u64) * (tokens as u64)
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
        for members in &plan.alone {
            results.extend(run(members, parallelism));
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
        let mut scratch = Scratch::default();
        let offsets = [0, sequence.ids.len()];
        self.forward(&[sequence], &offsets, Rows::All, Parallelism::Pool, &mut scratch, &mut observe);
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
        self.forward(&sequences, &offsets, rows, parallelism, &mut scratch, &mut |_, _| {});
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

    /// Leaves the last hidden states in `scratch.hidden`: all rows, or one per sequence.
    fn forward(
        &self,
        sequences: &[&Encoded],
        offsets: &[usize],
        rows: Rows,
        parallelism: Parallelism,
        scratch: &mut Scratch,
        observe: &mut dyn FnMut(Stage, &[f32]),
    ) {
        let spec = &self.spec;
        let tokens = offsets[offsets.len() - 1];
        let positions: Vec<u32> =
            sequences.iter().flat_map(|sequence| 0..sequence.ids.len() as u32).collect();
        self.embed_tokens(sequences, scratch, parallelism);
        observe(Stage::Embeddings, &scratch.hidden);

        let last = spec.layers.len() - 1;
        for index in 0..spec.layers.len() {
            let wanted: Option<Vec<usize>> = match rows {
                Rows::First if index == last => Some(offsets[..sequences.len()].to_vec()),
                Rows::Last if index == last => Some(offsets[1..].iter().map(|end| end - 1).collect()),
                _ => None,
            };
            self.attention_block(index, tokens, offsets, &positions, scratch, parallelism);
            let tokens = match &wanted {
                None => tokens,
                Some(wanted) => {
                    keep_rows(&mut scratch.attended, spec.heads * spec.head_dim, wanted);
                    keep_rows(&mut scratch.hidden, spec.hidden, wanted);
                    wanted.len()
                }
            };
            self.feed_forward_block(index, tokens, scratch, parallelism);
            observe(Stage::Layer(index), &scratch.hidden);
        }

        if let Some(norm) = &self.weights.final_norm {
            self.normalize(norm, &mut scratch.hidden, parallelism);
        }
        observe(Stage::Final, &scratch.hidden);
    }

    fn embed_tokens(&self, sequences: &[&Encoded], scratch: &mut Scratch, parallelism: Parallelism) {
        let hidden = self.spec.hidden;
        scratch.hidden.clear();
        for sequence in sequences {
            for (position, &id) in sequence.ids.iter().enumerate() {
                let start = scratch.hidden.len();
                scratch.hidden.extend_from_slice(row(&self.weights.tokens, id as usize, hidden));
                let vector = &mut scratch.hidden[start..];
                // The sum's order is the reference's: tokens + segments, then positions.
                if let Some(segments) = &self.weights.segments {
                    let segment = sequence.type_ids.get(position).copied().unwrap_or(0) as usize;
                    add(vector, row(segments, segment, hidden));
                }
                if let Some(positions) = &self.weights.positions {
                    add(vector, row(positions, position + self.spec.position_offset, hidden));
                }
            }
        }
        if let Some(norm) = &self.weights.embedding_norm {
            self.normalize(norm, &mut scratch.hidden, parallelism);
        }
    }

    /// Queries, keys and values of `scratch.hidden` to attention's output in `scratch.attended`.
    fn attention_block(
        &self,
        index: usize,
        tokens: usize,
        offsets: &[usize],
        positions: &[u32],
        scratch: &mut Scratch,
        parallelism: Parallelism,
    ) {
        let spec = &self.spec;
        let layer = &self.weights.layers[index];
        let width = spec.qkv_width();
        resize(&mut scratch.qkv, tokens * width);
        match (&layer.attention_norm, spec.placement) {
            (Some(norm), NormPlacement::Pre) => {
                scratch.other.clone_from(&scratch.hidden);
                self.normalize(norm, &mut scratch.other, parallelism);
                self.linear(
                    &layer.qkv,
                    &scratch.other,
                    tokens,
                    Activation::Identity,
                    None,
                    &mut scratch.qkv,
                    parallelism,
                );
            }
            _ => {
                self.linear(
                    &layer.qkv,
                    &scratch.hidden,
                    tokens,
                    Activation::Identity,
                    None,
                    &mut scratch.qkv,
                    parallelism,
                );
            }
        }
        if let Some((query_norm, key_norm)) = &layer.head_norms {
            let (heads, kv_heads, head_dim, eps) = (spec.heads, spec.kv_heads, spec.head_dim, spec.norm_eps);
            self.kernels.head_rms_norm(
                &mut scratch.qkv,
                width,
                0,
                heads,
                head_dim,
                query_norm,
                eps,
                parallelism,
            );
            self.kernels.head_rms_norm(
                &mut scratch.qkv,
                width,
                heads,
                kv_heads,
                head_dim,
                key_norm,
                eps,
                parallelism,
            );
        }
        if let Some(rotary) = spec.layers[index].rotary {
            let dimensions = spec.rotary[rotary].dimensions();
            let heads = spec.heads + spec.kv_heads;
            let table = &self.rope_tables[rotary];
            self.kernels.rope(
                &mut scratch.qkv,
                width,
                heads,
                spec.head_dim,
                dimensions,
                positions,
                table,
                parallelism,
            );
        }
        resize(&mut scratch.attended, tokens * spec.heads * spec.head_dim);
        let attention = Attention {
            qkv: &scratch.qkv,
            offsets,
            heads: spec.heads,
            kv_heads: spec.kv_heads,
            head_dim: spec.head_dim,
            scale: spec.attention_scale,
            causal: spec.causal,
            window: spec.layers[index].window,
            relative_bias: self
                .weights
                .relative_bias
                .as_ref()
                .map(|(table, radius)| RelativeBias { table, radius: *radius }),
        };
        self.kernels.attention(&attention, &mut scratch.attended, parallelism);
    }

    /// Attention's output in `scratch.attended` and the residual in `scratch.hidden` to the layer's output in
    /// `scratch.hidden`.
    fn feed_forward_block(
        &self,
        index: usize,
        tokens: usize,
        scratch: &mut Scratch,
        parallelism: Parallelism,
    ) {
        let spec = &self.spec;
        let layer = &self.weights.layers[index];
        let Scratch { hidden, other, attended, wide, gated, .. } = scratch;
        resize(other, tokens * spec.hidden);
        self.linear(
            &layer.attention_out,
            attended,
            tokens,
            Activation::Identity,
            Some(hidden),
            other,
            parallelism,
        );

        let normed: &[f32] = match spec.placement {
            NormPlacement::Post => {
                if let Some(norm) = &layer.attention_norm {
                    self.normalize(norm, other, parallelism);
                }
                other
            }
            NormPlacement::Pre => {
                hidden.clone_from(other);
                self.normalize(&layer.feed_forward_norm, hidden, parallelism);
                hidden
            }
        };
        resize(wide, tokens * spec.up_width());
        let inner: &[f32] = if spec.gated {
            self.linear(&layer.up, normed, tokens, Activation::Identity, None, wide, parallelism);
            resize(gated, tokens * spec.intermediate);
            self.kernels.gate(wide, spec.intermediate, spec.activation, gated, parallelism);
            gated
        } else {
            self.linear(&layer.up, normed, tokens, spec.activation, None, wide, parallelism);
            wide
        };
        resize(hidden, tokens * spec.hidden);
        self.linear(&layer.down, inner, tokens, Activation::Identity, Some(other), hidden, parallelism);
        if spec.placement == NormPlacement::Post {
            self.normalize(&layer.feed_forward_norm, hidden, parallelism);
        }
    }

    #[expect(clippy::too_many_arguments, reason = "one call of the kernel, with the layer's bias filled in")]
    fn linear(
        &self,
        layer: &Linear,
        input: &[f32],
        tokens: usize,
        activation: Activation,
        residual: Option<&[f32]>,
        out: &mut [f32],
        parallelism: Parallelism,
    ) {
        let epilogue = Epilogue { bias: layer.bias.as_deref(), activation, residual };
        self.kernels.linear(input, tokens, &layer.weight, epilogue, out, parallelism);
    }

    fn normalize(&self, norm: &Norm, values: &mut [f32], parallelism: Parallelism) {
        let (eps, hidden) = (self.spec.norm_eps, self.spec.hidden);
        match self.spec.norm {
            NormKind::LayerNorm => {
                self.kernels.layer_norm(
                    values,
                    Some(&norm.weight),
                    norm.bias.as_deref(),
                    eps,
                    hidden,
                    parallelism,
                );
            }
            NormKind::RmsNorm => self.kernels.rms_norm(values, &norm.weight, eps, hidden, parallelism),
        }
    }
}

/// Which sequences run together.
#[derive(Debug, PartialEq, Eq)]
struct Plan {
    /// Run one after the other with every thread: too long to share out, or too little to be worth it.
    alone: Vec<Vec<usize>>,
    /// Run side by side, one thread each, longest first.
    together: Vec<Vec<usize>>,
}

impl Plan {
    fn new(batch: &[&Encoded], threads: usize) -> Self {
        let mut order: Vec<usize> = (0..batch.len()).collect();
        order.sort_by_key(|&index| std::cmp::Reverse(batch[index].ids.len()));
        let total: usize = batch.iter().map(|sequence| sequence.ids.len()).sum();
        if total <= MIN_MICRO_BATCH_TOKENS * threads || batch.len() < threads {
            let alone = if threads == 1 || total <= MICRO_BATCH_TOKENS {
                if order.is_empty() { vec![] } else { vec![order] }
            } else {
                order.into_iter().map(|index| vec![index]).collect()
            };
            return Self { alone, together: vec![] };
        }

        let share = total.div_ceil(threads);
        let target =
            (total / (threads * MICRO_BATCHES_PER_THREAD)).clamp(MIN_MICRO_BATCH_TOKENS, MICRO_BATCH_TOKENS);
        let mut plan = Self { alone: vec![], together: vec![] };
        let mut members: Vec<usize> = vec![];
        let mut tokens = 0;
        for index in order {
            let length = batch[index].ids.len();
            if threads > 1 && length > share {
                plan.alone.push(vec![index]);
                continue;
            }
            if tokens + length > target && !members.is_empty() {
                plan.together.push(std::mem::take(&mut members));
                tokens = 0;
            }
            members.push(index);
            tokens += length;
        }
        if !members.is_empty() {
            plan.together.push(members);
        }
        plan
    }
}

/// Grows or shrinks without clearing: every element is written before it is read.
fn resize(buffer: &mut Vec<f32>, length: usize) {
    buffer.resize(length, 0.0);
}

fn row(table: &[f32], index: usize, width: usize) -> &[f32] {
    &table[index * width..(index + 1) * width]
}

fn add(vector: &mut [f32], other: &[f32]) {
    for (value, other) in vector.iter_mut().zip(other) {
        *value += other;
    }
}

/// Moves the wanted rows (ascending) to the front and drops the rest.
fn keep_rows(matrix: &mut Vec<f32>, width: usize, wanted: &[usize]) {
    for (place, &row) in wanted.iter().enumerate() {
        matrix.copy_within(row * width..(row + 1) * width, place * width);
    }
    matrix.truncate(wanted.len() * width);
}

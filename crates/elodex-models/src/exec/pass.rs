//! One micro-batch through the embeddings and every layer.

use super::{Backbone, Rows, Stage};
use crate::Encoded;
use crate::spec::{Linear, Norm, NormKind, NormPlacement};
use elodex_kernels::{Activation, Attention, Epilogue, Parallelism, RelativeBias};

/// Rows that one thread takes from attention's output to the next layer's input at a time: their widest activations
/// stay in its second-level cache.
const FEED_FORWARD_ROWS: usize = 96;

/// Called with a linear layer and its input `[rows, in]`.
type ShowInput<'a> = &'a dyn Fn(&Linear, &[f32]);

/// Buffers of one micro-batch, kept between batches.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    /// The layers' input and output, at the end the last hidden states.
    pub(super) hidden: Vec<f32>,
    other: Vec<f32>,
    qkv: Vec<f32>,
    attended: Vec<f32>,
    wide: Vec<f32>,
    gated: Vec<f32>,
}

/// Buffers of some rows between attention and the next layer.
struct FeedForward<'a> {
    other: &'a mut Vec<f32>,
    wide: &'a mut Vec<f32>,
    gated: &'a mut Vec<f32>,
}

/// A micro-batch and how to run it.
pub(super) struct Pass<'a> {
    backbone: &'a Backbone,
    sequences: &'a [&'a Encoded],
    /// Where each sequence starts among the tokens, and where the last one ends.
    offsets: &'a [usize],
    /// Of each token in its sequence.
    positions: Vec<u32>,
    parallelism: Parallelism,
    /// Sees the input of every linear layer.
    show_input: Option<ShowInput<'a>>,
}

impl<'a> Pass<'a> {
    pub(super) fn new(
        backbone: &'a Backbone,
        sequences: &'a [&'a Encoded],
        offsets: &'a [usize],
        parallelism: Parallelism,
    ) -> Self {
        let positions = sequences.iter().flat_map(|sequence| 0..sequence.ids.len() as u32).collect();
        Self { backbone, sequences, offsets, positions, parallelism, show_input: None }
    }

    pub(super) fn showing_inputs(self, show: ShowInput<'a>) -> Self {
        Self { show_input: Some(show), ..self }
    }

    /// Leaves the last hidden states in `scratch.hidden`: all rows, or one per sequence.
    pub(super) fn run(&self, rows: Rows, scratch: &mut Scratch, observe: &mut dyn FnMut(Stage, &[f32])) {
        let spec = &self.backbone.spec;
        self.embed_tokens(scratch);
        observe(Stage::Embeddings, &scratch.hidden);

        let last = spec.layers.len() - 1;
        for index in 0..spec.layers.len() {
            self.attention_block(index, scratch);
            if index == last
                && let Some(wanted) = self.wanted(rows)
            {
                keep_rows(&mut scratch.attended, spec.heads * spec.head_dim, &wanted);
                keep_rows(&mut scratch.hidden, spec.hidden, &wanted);
            }
            self.feed_forward_block(index, scratch);
            observe(Stage::Layer(index), &scratch.hidden);
        }

        if let Some(norm) = &self.backbone.weights.final_norm {
            self.normalize(norm, &mut scratch.hidden);
        }
        observe(Stage::Final, &scratch.hidden);
    }

    /// The rows to go on with behind the last attention, ascending; `None` for all.
    fn wanted(&self, rows: Rows) -> Option<Vec<usize>> {
        let sequences = self.sequences.len();
        match rows {
            Rows::All => None,
            Rows::First => Some(self.offsets[..sequences].to_vec()),
            Rows::Last => Some(self.offsets[1..].iter().map(|end| end - 1).collect()),
        }
    }

    fn embed_tokens(&self, scratch: &mut Scratch) {
        let Backbone { spec, weights, .. } = self.backbone;
        let hidden = spec.hidden;
        scratch.hidden.clear();
        for sequence in self.sequences {
            for (position, &id) in sequence.ids.iter().enumerate() {
                let start = scratch.hidden.len();
                weights.tokens.look_up(id as usize, &mut scratch.hidden);
                let vector = &mut scratch.hidden[start..];
                // The sum's order is the reference's: tokens + segments, then positions.
                if let Some(segments) = &weights.segments {
                    let segment = sequence.type_ids.get(position).copied().unwrap_or(0) as usize;
                    add(vector, row(&segments.values, segment, hidden));
                }
                if let Some(positions) = &weights.positions {
                    add(vector, row(&positions.values, position + spec.position_offset, hidden));
                }
            }
        }
        if let Some(norm) = &weights.embedding_norm {
            self.normalize(norm, &mut scratch.hidden);
        }
    }

    /// `scratch.hidden` to attention's output, before its own linear layer, in `scratch.attended`.
    fn attention_block(&self, index: usize, scratch: &mut Scratch) {
        let Backbone { spec, weights, rope_tables, kernels, .. } = self.backbone;
        let layer = &weights.layers[index];
        let tokens = self.positions.len();
        let width = spec.qkv_width();
        let Scratch { hidden, other, qkv, attended, .. } = scratch;

        let input: &[f32] = match (&layer.attention_norm, spec.placement) {
            (Some(norm), NormPlacement::Pre) => {
                other.clone_from(hidden);
                self.normalize(norm, other);
                other
            }
            _ => hidden,
        };
        resize(qkv, tokens * width);
        self.linear(&layer.qkv, input, Activation::Identity, None, qkv);

        if let Some((query_norm, key_norm)) = &layer.head_norms {
            let parts = [(0, spec.heads, query_norm), (spec.heads, spec.kv_heads, key_norm)];
            for (first, heads, norm) in parts {
                kernels.head_rms_norm(
                    qkv,
                    width,
                    first,
                    heads,
                    spec.head_dim,
                    norm,
                    spec.norm_eps,
                    self.parallelism,
                );
            }
        }
        if let Some(rotary) = spec.layers[index].rotary {
            kernels.rope(
                qkv,
                width,
                spec.heads + spec.kv_heads,
                spec.head_dim,
                spec.rotary[rotary].dimensions(),
                &self.positions,
                &rope_tables[rotary],
                self.parallelism,
            );
        }

        resize(attended, tokens * spec.heads * spec.head_dim);
        let relative_bias = weights.relative_bias.as_ref();
        let attention = Attention {
            qkv,
            offsets: self.offsets,
            heads: spec.heads,
            kv_heads: spec.kv_heads,
            head_dim: spec.head_dim,
            scale: spec.attention_scale,
            precision: self.backbone.attention_precision,
            causal: spec.causal,
            window: spec.layers[index].window,
            relative_bias: relative_bias.map(|(table, radius)| RelativeBias { table, radius: *radius }),
        };
        kernels.attention(&attention, attended, self.parallelism);
    }

    /// Attention's output in `scratch.attended` and the residual in `scratch.hidden`, with equally many rows, to the
    /// layer's output in `scratch.hidden`.
    fn feed_forward_block(&self, index: usize, scratch: &mut Scratch) {
        let spec = &self.backbone.spec;
        let attended_width = spec.heads * spec.head_dim;
        let rows = match self.parallelism {
            Parallelism::Serial => FEED_FORWARD_ROWS,
            Parallelism::Pool => scratch.hidden.len() / spec.hidden,
        };
        let Scratch { hidden, other, attended, wide, gated, .. } = scratch;
        let blocks = hidden.chunks_mut(rows * spec.hidden).zip(attended.chunks(rows * attended_width));
        for (hidden, attended) in blocks {
            self.feed_forward_rows(index, attended, hidden, FeedForward { other, wide, gated });
        }
    }

    fn feed_forward_rows(
        &self,
        index: usize,
        attended: &[f32],
        hidden: &mut [f32],
        buffers: FeedForward<'_>,
    ) {
        let Backbone { spec, weights, kernels, .. } = self.backbone;
        let layer = &weights.layers[index];
        let FeedForward { other, wide, gated } = buffers;
        let tokens = hidden.len() / spec.hidden;

        resize(other, tokens * spec.hidden);
        self.linear(&layer.attention_out, attended, Activation::Identity, Some(hidden), other);
        let normed: &[f32] = match spec.placement {
            NormPlacement::Post => {
                if let Some(norm) = &layer.attention_norm {
                    self.normalize(norm, other);
                }
                other
            }
            NormPlacement::Pre => {
                hidden.copy_from_slice(other);
                self.normalize(&layer.feed_forward_norm, hidden);
                hidden
            }
        };

        resize(wide, tokens * spec.up_width());
        let inner: &[f32] = if spec.gated {
            self.linear(&layer.up, normed, Activation::Identity, None, wide);
            resize(gated, tokens * spec.intermediate);
            kernels.gate(wide, spec.intermediate, spec.activation, gated, self.parallelism);
            gated
        } else {
            self.linear(&layer.up, normed, spec.activation, None, wide);
            wide
        };

        self.linear(&layer.down, inner, Activation::Identity, Some(other), hidden);
        if spec.placement == NormPlacement::Post {
            self.normalize(&layer.feed_forward_norm, hidden);
        }
    }

    fn linear(
        &self,
        layer: &Linear,
        input: &[f32],
        activation: Activation,
        residual: Option<&[f32]>,
        out: &mut [f32],
    ) {
        if let Some(show) = self.show_input {
            show(layer, input);
        }
        let rows = input.len() / layer.weight.k();
        let epilogue = Epilogue { bias: layer.bias.as_deref(), activation, residual };
        self.backbone.kernels.linear(input, rows, &layer.weight, epilogue, out, self.parallelism);
    }

    fn normalize(&self, norm: &Norm, values: &mut [f32]) {
        let Backbone { spec, kernels, .. } = self.backbone;
        let (weight, bias) = (&norm.weight, norm.bias.as_deref());
        let (eps, hidden) = (spec.norm_eps, spec.hidden);
        match spec.norm {
            NormKind::LayerNorm => {
                kernels.layer_norm(values, Some(weight), bias, eps, hidden, self.parallelism);
            }
            NormKind::RmsNorm => kernels.rms_norm(values, weight, eps, hidden, self.parallelism),
        }
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

//! A transformer encoder, forwards with everything kept that the way back needs, and backwards.

#[cfg(any(test, feature = "cuda"))]
mod graph;

use super::attention::Heads;
use super::cannot;
use super::device::Device;
use super::layers::{Context, Linear, Norm};
use super::parameters::{Gradients, Key, Parameter, Parameters};
use crate::{Error, ErrorKind, Result};
use elodex_kernels::{Activation, Attention, Kernels, Parallelism, Precision};
use elodex_models::Encoded;
use elodex_models::exec::Backbone;
use elodex_models::spec::{self, NormKind, NormPlacement, TransformerSpec};
use elodex_models::weights::WeightStore;

/// The encoders that can be trained: LayerNorm behind each block, learned positions, GELU (BERT, XLM-RoBERTa).
#[derive(Debug, Clone)]
pub(crate) struct Encoder {
    spec: TransformerSpec,
    heads: Heads,
    tokens: Key,
    positions: Key,
    segments: Option<Key>,
    embedding_norm: Norm,
    layers: Vec<Layer>,
    kernels: Kernels,
    pub(super) device: Device,
}

#[derive(Debug, Clone)]
struct Layer {
    qkv: Linear,
    attention_out: Linear,
    attention_norm: Norm,
    up: Linear,
    down: Linear,
    feed_forward_norm: Norm,
}

/// Which rows of the last layer are computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Every token's.
    All,
    /// Each sequence's first token's.
    First,
}

/// Texts as one packed batch.
#[derive(Debug, Clone)]
pub struct Batch {
    ids: Vec<u32>,
    /// Of each token; 0 where the text has no segments.
    segments: Vec<u32>,
    /// Where each sequence starts among the tokens, and where the last one ends.
    offsets: Vec<usize>,
}

impl Batch {
    /// Of these texts, in order.
    pub fn new<'a>(texts: impl IntoIterator<Item = &'a Encoded>) -> Self {
        let mut batch = Self { ids: vec![], segments: vec![], offsets: vec![0] };
        for text in texts {
            batch.ids.extend(&text.ids);
            batch.segments.extend(&text.type_ids);
            batch.segments.resize(batch.ids.len(), 0);
            batch.offsets.push(batch.ids.len());
        }
        batch
    }

    /// `[sequences + 1]`, see [`elodex_kernels::Attention::offsets`].
    pub(super) fn offsets(&self) -> &[usize] {
        &self.offsets
    }
}

/// What the way back needs of the way there.
#[derive(Debug)]
pub(super) struct Tape {
    batch: Batch,
    output: Vec<f32>,
    kept: Kept,
}

#[derive(Debug)]
enum Kept {
    Kernels(Activations),
    #[cfg(any(test, feature = "cuda"))]
    Graph(graph::Graph),
}

#[derive(Debug)]
struct Activations {
    wanted: Wanted,
    embedding_sum: Vec<f32>,
    layers: Vec<LayerTape>,
}

#[derive(Debug)]
struct LayerTape {
    input: Vec<f32>,
    qkv: Vec<f32>,
    /// Attention's output, from here on the wanted rows only.
    attended: Vec<f32>,
    attention_sum: Vec<f32>,
    middle: Vec<f32>,
    /// Before the activation.
    up: Vec<f32>,
    feed_forward_sum: Vec<f32>,
}

impl Tape {
    /// The last hidden states of the wanted rows, `[rows, hidden]`.
    pub(super) fn output(&self) -> &[f32] {
        &self.output
    }

    /// The batch.
    pub(super) fn batch(&self) -> &Batch {
        &self.batch
    }
}

impl Encoder {
    /// That of `backbone`, with its weights read from `store` into `parameters`.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] for anything but the encoders named above.
    pub(super) fn load(
        backbone: &Backbone,
        store: &WeightStore,
        id: &str,
        parameters: &mut Parameters,
    ) -> Result<Self> {
        let spec = backbone.spec();
        let weights = backbone.weights();
        let refused = |what: &str| {
            let message = format!(
                "`{id}` has {what}; encoders like BERT and XLM-RoBERTa can be trained: LayerNorm behind each block, \
                 learned positions, GELU"
            );
            Error::new(ErrorKind::Unsupported, message)
        };
        check(spec, weights).map_err(refused)?;
        let (Some(positions), Some(embedding_norm)) = (&weights.positions, &weights.embedding_norm) else {
            return Err(refused("no learned positions, or no norm behind its embeddings"));
        };
        let mut reader = Reader { store, parameters };
        let hidden = spec.hidden;
        let tokens = reader.read(vec![weights.tokens.name().to_owned()], &[spec.vocab, hidden])?;
        let mut table = |learned: &spec::Learned| {
            reader.read(vec![learned.name.clone()], &[learned.values.len() / hidden, hidden])
        };
        let positions = table(positions)?;
        let segments = weights.segments.as_ref().map(table).transpose()?;
        let embedding_norm = reader.norm(embedding_norm)?;
        let mut layers = Vec::with_capacity(weights.layers.len());
        for layer in &weights.layers {
            let Some(attention_norm) = &layer.attention_norm else {
                return Err(refused("a layer without a norm behind attention"));
            };
            layers.push(Layer {
                qkv: reader.linear(&layer.qkv)?,
                attention_out: reader.linear(&layer.attention_out)?,
                attention_norm: reader.norm(attention_norm)?,
                up: reader.linear(&layer.up)?,
                down: reader.linear(&layer.down)?,
                feed_forward_norm: reader.norm(&layer.feed_forward_norm)?,
            });
        }
        let heads = Heads { heads: spec.heads, head_dim: spec.head_dim, scale: spec.attention_scale };
        let kernels = backbone.kernels();
        Ok(Self {
            spec: spec.clone(),
            heads,
            tokens,
            positions,
            segments,
            embedding_norm,
            layers,
            kernels,
            device: Device::Cpu,
        })
    }

    /// Width of a token vector.
    pub(crate) fn hidden(&self) -> usize {
        self.spec.hidden
    }

    /// Longest sequence.
    pub(crate) fn max_tokens(&self) -> usize {
        self.spec.max_positions
    }

    /// The kernels it runs on.
    pub(crate) fn kernels(&self) -> Kernels {
        self.kernels
    }

    /// Where it computes.
    pub(crate) fn device(&self) -> &Device {
        &self.device
    }

    /// Runs `batch`, within the current rayon pool.
    ///
    /// # Errors
    /// [`ErrorKind::Device`], of a device other than the CPU.
    pub(super) fn forward(&self, parameters: &Parameters, batch: Batch, wanted: Wanted) -> Result<Tape> {
        match &self.device {
            Device::Cpu => Ok(self.forward_on_kernels(parameters, batch, wanted)),
            #[cfg(any(test, feature = "cuda"))]
            Device::Candle(device) => {
                let run = graph::Graph::run(self, device, parameters, &batch, wanted);
                let run = run.and_then(|graph| Ok((graph.output()?, graph)));
                let (output, graph) = run.map_err(|error| failed(&batch, error))?;
                Ok(Tape { batch, output, kept: Kept::Graph(graph) })
            }
        }
    }

    /// From the gradient by [`Tape::output`], adds those by the encoder's parameters to `gradients`.
    ///
    /// # Errors
    /// As [`Self::forward`].
    pub(super) fn backward(
        &self,
        parameters: &Parameters,
        tape: Tape,
        gradient: Vec<f32>,
        gradients: &mut Gradients,
    ) -> Result<()> {
        let Tape { batch, kept, .. } = tape;
        match kept {
            Kept::Kernels(activations) => {
                self.backward_on_kernels(parameters, &batch, activations, gradient, gradients);
                Ok(())
            }
            #[cfg(any(test, feature = "cuda"))]
            Kept::Graph(graph) => graph.backward(gradient, gradients).map_err(|error| failed(&batch, error)),
        }
    }

    fn forward_on_kernels(&self, parameters: &Parameters, batch: Batch, wanted: Wanted) -> Tape {
        let context = Context { kernels: self.kernels, parameters };
        let eps = self.spec.norm_eps;
        let embedding_sum = self.embed(parameters, &batch);
        let mut hidden = self.embedding_norm.forward(context, &embedding_sum, eps);
        let mut layers = Vec::with_capacity(self.layers.len());
        for (index, layer) in self.layers.iter().enumerate() {
            let qkv = layer.qkv.forward(context, &hidden, Activation::Identity, None);
            let mut attended = vec![0.0; hidden.len()];
            self.attend(&batch, &qkv, &mut attended);
            let only_first = wanted == Wanted::First && index + 1 == self.layers.len();
            let kept;
            let residual = if only_first {
                attended = self.first_rows(&batch, &attended);
                kept = self.first_rows(&batch, &hidden);
                &kept
            } else {
                &hidden
            };
            let attention_sum =
                layer.attention_out.forward(context, &attended, Activation::Identity, Some(residual));
            let middle = layer.attention_norm.forward(context, &attention_sum, eps);
            let up = layer.up.forward(context, &middle, Activation::Identity, None);
            let activated = self.activate(&up);
            let feed_forward_sum =
                layer.down.forward(context, &activated, Activation::Identity, Some(&middle));
            let output = layer.feed_forward_norm.forward(context, &feed_forward_sum, eps);
            let input = std::mem::replace(&mut hidden, output);
            layers.push(LayerTape { input, qkv, attended, attention_sum, middle, up, feed_forward_sum });
        }
        Tape { batch, output: hidden, kept: Kept::Kernels(Activations { wanted, embedding_sum, layers }) }
    }

    fn backward_on_kernels(
        &self,
        parameters: &Parameters,
        batch: &Batch,
        activations: Activations,
        mut gradient: Vec<f32>,
        gradients: &mut Gradients,
    ) {
        let context = Context { kernels: self.kernels, parameters };
        let Activations { wanted, embedding_sum, layers: tapes } = activations;
        let eps = self.spec.norm_eps;
        for (index, (layer, tape)) in self.layers.iter().zip(tapes).enumerate().rev() {
            layer.feed_forward_norm.backward(context, &tape.feed_forward_sum, eps, &mut gradient, gradients);
            let activated = self.activate(&tape.up);
            let mut by_up = layer.down.backward(context, &activated, &gradient, None, gradients);
            self.kernels.gelu_backward(&tape.up, &mut by_up, Parallelism::Pool);
            gradient = layer.up.backward(context, &tape.middle, &by_up, Some(&gradient), gradients);
            layer.attention_norm.backward(context, &tape.attention_sum, eps, &mut gradient, gradients);
            let mut by_attended =
                layer.attention_out.backward(context, &tape.attended, &gradient, None, gradients);
            if wanted == Wanted::First && index + 1 == self.layers.len() {
                by_attended = self.spread_first_rows(batch, &by_attended);
                gradient = self.spread_first_rows(batch, &gradient);
            }
            let by_qkv = self.heads.backward(self.kernels, &tape.qkv, &batch.offsets, &by_attended);
            gradient = layer.qkv.backward(context, &tape.input, &by_qkv, Some(&gradient), gradients);
        }
        self.embedding_norm.backward(context, &embedding_sum, eps, &mut gradient, gradients);
        self.spread_embeddings(batch, &gradient, gradients);
    }

    /// Sum of each token's embeddings, `[tokens, hidden]`.
    fn embed(&self, parameters: &Parameters, batch: &Batch) -> Vec<f32> {
        let hidden = self.spec.hidden;
        let mut sum = Vec::with_capacity(batch.ids.len() * hidden);
        for token in self.table_rows(batch) {
            let start = sum.len();
            sum.extend_from_slice(row(&parameters[self.tokens], token.id, hidden));
            // In the order of the reference: tokens + segments, then positions.
            if let Some(segments) = self.segments {
                add(&mut sum[start..], row(&parameters[segments], token.segment, hidden));
            }
            add(&mut sum[start..], row(&parameters[self.positions], token.position, hidden));
        }
        sum
    }

    /// Adds the gradient by the sum of each token's embeddings to those of its rows of the tables.
    fn spread_embeddings(&self, batch: &Batch, gradient: &[f32], gradients: &mut Gradients) {
        let hidden = self.spec.hidden;
        for (token, gradient) in self.table_rows(batch).zip(gradient.chunks_exact(hidden)) {
            add(row_mut(&mut gradients[self.tokens], token.id, hidden), gradient);
            add(row_mut(&mut gradients[self.positions], token.position, hidden), gradient);
            if let Some(segments) = self.segments {
                add(row_mut(&mut gradients[segments], token.segment, hidden), gradient);
            }
        }
    }

    fn table_rows(&self, batch: &Batch) -> impl Iterator<Item = TableRows> {
        let offset = self.spec.position_offset;
        let positions = batch.offsets.windows(2).flat_map(move |pair| offset..offset + pair[1] - pair[0]);
        let tokens = batch.ids.iter().zip(&batch.segments);
        tokens.zip(positions).map(|((id, segment), position)| TableRows {
            id: *id as usize,
            segment: *segment as usize,
            position,
        })
    }

    fn attend(&self, batch: &Batch, qkv: &[f32], out: &mut [f32]) {
        let attention = Attention {
            qkv,
            offsets: &batch.offsets,
            heads: self.heads.heads,
            kv_heads: self.heads.heads,
            head_dim: self.heads.head_dim,
            scale: self.heads.scale,
            causal: false,
            window: None,
            precision: Precision::F32,
            relative_bias: None,
        };
        self.kernels.attention(&attention, out, Parallelism::Pool);
    }

    fn activate(&self, up: &[f32]) -> Vec<f32> {
        let mut activated = vec![0.0; up.len()];
        self.kernels.gelu(up, &mut activated, Parallelism::Pool);
        activated
    }

    fn first_rows(&self, batch: &Batch, rows: &[f32]) -> Vec<f32> {
        let hidden = self.spec.hidden;
        let starts = &batch.offsets[..batch.offsets.len() - 1];
        starts.iter().flat_map(|start| row(rows, *start, hidden)).copied().collect()
    }

    /// The other way: zeros but for each sequence's first row.
    fn spread_first_rows(&self, batch: &Batch, first: &[f32]) -> Vec<f32> {
        let hidden = self.spec.hidden;
        let mut rows = vec![0.0; batch.ids.len() * hidden];
        for (start, values) in batch.offsets.iter().zip(first.chunks_exact(hidden)) {
            row_mut(&mut rows, *start, hidden).copy_from_slice(values);
        }
        rows
    }
}

#[cfg(any(test, feature = "cuda"))]
fn failed(batch: &Batch, error: candle_core::Error) -> Error {
    let message = format!(
        "the device cannot run {} texts of {} tokens together; train with fewer queries or documents of a step, or fewer \
         tokens of each",
        batch.offsets.len() - 1,
        batch.ids.len()
    );
    Error::new(ErrorKind::Device, message).caused_by(error)
}

/// A token's rows of the tables.
struct TableRows {
    id: usize,
    segment: usize,
    position: usize,
}

/// Says what keeps a transformer from being trained.
fn check(spec: &TransformerSpec, weights: &spec::Weights) -> std::result::Result<(), &'static str> {
    let others = [
        (spec.norm != NormKind::LayerNorm, "norms other than LayerNorm"),
        (spec.placement != NormPlacement::Post, "norms in front of its blocks"),
        (spec.causal, "causal attention"),
        (spec.gated || spec.activation != Activation::Gelu, "an activation other than GELU"),
        (!spec.rotary.is_empty(), "rotary positions"),
        (spec.layers.iter().any(|layer| layer.window.is_some()), "local attention"),
        (weights.relative_bias.is_some(), "relative positions"),
        (weights.final_norm.is_some(), "a norm behind its last layer"),
        (spec.kv_heads != spec.heads, "shared key heads"),
        (weights.layers.iter().any(|layer| layer.head_norms.is_some()), "norms of its heads"),
    ];
    match others.into_iter().find(|(other, _)| *other) {
        Some((_, what)) => Err(what),
        None => Ok(()),
    }
}

/// Reads weights as they lie in the file.
struct Reader<'a> {
    store: &'a WeightStore,
    parameters: &'a mut Parameters,
}

impl Reader<'_> {
    fn read(&mut self, names: Vec<String>, shape: &[usize]) -> Result<Key> {
        let mut part = shape.to_vec();
        part[0] /= names.len();
        let mut values = Vec::with_capacity(shape.iter().product());
        for name in &names {
            values.extend(self.store.tensor(name, &part).map_err(cannot("read an encoder's weights"))?);
        }
        Ok(self.parameters.add(Parameter { names, shape: shape.to_vec(), values }))
    }

    fn linear(&mut self, linear: &spec::Linear) -> Result<Linear> {
        let names =
            |end: &str| linear.name.split('+').map(|part| format!("{part}.{end}")).collect::<Vec<_>>();
        let (outputs, inputs) = (linear.weight.n(), linear.weight.k());
        let weight = self.read(names("weight"), &[outputs, inputs])?;
        Ok(Linear { weight, bias: self.read(names("bias"), &[outputs])? })
    }

    fn norm(&mut self, norm: &spec::Norm) -> Result<Norm> {
        let width = [norm.weight.len()];
        let weight = self.read(vec![norm.names.0.clone()], &width)?;
        let bias = norm.names.1.iter().cloned().collect();
        Ok(Norm { weight, bias: self.read(bias, &width)? })
    }
}

fn row(table: &[f32], index: usize, width: usize) -> &[f32] {
    &table[index * width..(index + 1) * width]
}

fn row_mut(table: &mut [f32], index: usize, width: usize) -> &mut [f32] {
    &mut table[index * width..(index + 1) * width]
}

/// sum += values
fn add(sum: &mut [f32], values: &[f32]) {
    for (sum, value) in sum.iter_mut().zip(values) {
        *sum += value;
    }
}

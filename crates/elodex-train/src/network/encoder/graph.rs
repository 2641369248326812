//! The encoder on candle, which finds its way back by itself, for devices that the kernels do not run on.
//!
//! With every batch the weights go there and the gradients come back, so that all else is the same as on the CPU. Texts are
//! padded to the longest of their batch; attention masks padding, and none of it is put out.

use super::{Batch, Encoder, Layer, Linear, Norm, Wanted, add};
use crate::network::{Gradients, Key, Parameters};
use candle_core::{D, Device, Result, Tensor, Var};

/// What is added to the scores of padding: no probability is left of them.
const MASKED: f32 = -1e9;

/// The way there, which candle goes back on.
#[derive(Debug)]
pub(super) struct Graph {
    weights: Vec<(Key, Var)>,
    output: Tensor,
}

impl Graph {
    /// Runs `batch`.
    pub(super) fn run(
        encoder: &Encoder,
        device: &Device,
        parameters: &Parameters,
        batch: &Batch,
        wanted: Wanted,
    ) -> Result<Self> {
        let padded = Padded::new(batch);
        let mask = padded.spread(batch, MASKED, |_| 0.0);
        let mask = Tensor::from_vec(mask, (padded.texts, 1, 1, padded.length), device)?;
        let mut run = Run { encoder, device, parameters, padded, mask, weights: vec![] };
        let mut hidden = run.embed(batch)?;
        for layer in &encoder.layers {
            hidden = run.layer(layer, &hidden)?;
        }
        let rows = padded.rows(batch, wanted);
        let output = hidden.index_select(&Tensor::from_vec(rows.clone(), rows.len(), device)?, 0)?;
        Ok(Self { weights: run.weights, output })
    }

    /// The last hidden states of the wanted rows, `[rows, hidden]`.
    pub(super) fn output(&self) -> Result<Vec<f32>> {
        self.output.flatten_all()?.to_vec1()
    }

    /// From the gradient by the output, adds those by the weights to `gradients`.
    pub(super) fn backward(self, by_output: Vec<f32>, gradients: &mut Gradients) -> Result<()> {
        let by_output = Tensor::from_vec(by_output, self.output.shape(), self.output.device())?;
        // Its gradient by the output is `by_output`.
        let found = (&self.output * by_output)?.sum_all()?.backward()?;
        for (key, weight) in &self.weights {
            let gradient =
                found.get(weight).ok_or_else(|| candle_core::Error::msg("a weight without a gradient"))?;
            add(&mut gradients[*key], &gradient.flatten_all()?.to_vec1::<f32>()?);
        }
        Ok(())
    }
}

/// A batch's texts one below the other, all as long as the longest.
#[derive(Clone, Copy)]
struct Padded {
    texts: usize,
    length: usize,
}

impl Padded {
    fn new(batch: &Batch) -> Self {
        let lengths = batch.offsets.windows(2).map(|pair| pair[1] - pair[0]);
        Self { texts: batch.offsets.len() - 1, length: lengths.max().unwrap_or(0) }
    }

    /// One value of each place: that of its token, else `padding`.
    fn spread<T: Copy>(self, batch: &Batch, padding: T, value: impl Fn(usize) -> T) -> Vec<T> {
        let mut values = vec![padding; self.texts * self.length];
        for (row, pair) in values.chunks_exact_mut(self.length).zip(batch.offsets.windows(2)) {
            row.iter_mut().zip(pair[0]..pair[1]).for_each(|(place, token)| *place = value(token));
        }
        values
    }

    /// The places of the wanted rows.
    fn rows(self, batch: &Batch, wanted: Wanted) -> Vec<u32> {
        let lengths = batch.offsets.windows(2).map(|pair| match wanted {
            Wanted::All => pair[1] - pair[0],
            Wanted::First => 1,
        });
        let places = lengths.enumerate().flat_map(|(text, length)| (0..length).map(move |at| (text, at)));
        places.map(|(text, at)| (text * self.length + at) as u32).collect()
    }
}

struct Run<'a> {
    encoder: &'a Encoder,
    device: &'a Device,
    parameters: &'a Parameters,
    padded: Padded,
    /// `[texts, 1, 1, length]`
    mask: Tensor,
    weights: Vec<(Key, Var)>,
}

impl Run<'_> {
    /// A weight, on the device.
    fn weight(&mut self, key: Key) -> Result<Tensor> {
        let parameter = self.parameters.parameter(key);
        let weight = Var::from_slice(&parameter.values, parameter.shape.as_slice(), self.device)?;
        let tensor = weight.as_tensor().clone();
        self.weights.push((key, weight));
        Ok(tensor)
    }

    /// `[texts · length, hidden]`
    fn embed(&mut self, batch: &Batch) -> Result<Tensor> {
        let Encoder { tokens, positions, segments, embedding_norm, spec, .. } = self.encoder;
        let padded = self.padded;
        let mut rows = |table: Key, ids: Vec<u32>| {
            let ids = Tensor::from_vec(ids, padded.texts * padded.length, self.device)?;
            self.weight(table)?.index_select(&ids, 0)
        };
        let mut sum = rows(*tokens, padded.spread(batch, 0, |token| batch.ids[token]))?;
        if let Some(segments) = segments {
            sum = (sum + rows(*segments, padded.spread(batch, 0, |token| batch.segments[token]))?)?;
        }
        let first = spec.position_offset;
        let places = (0..padded.texts).flat_map(|_| first..first + padded.length);
        let positions = rows(*positions, places.map(|position| position as u32).collect())?;
        self.norm(*embedding_norm, &(sum + positions)?)
    }

    fn layer(&mut self, layer: &Layer, input: &Tensor) -> Result<Tensor> {
        let qkv = self.linear(layer.qkv, input)?;
        let attended = self.attend(&qkv)?;
        let middle = (self.linear(layer.attention_out, &attended)? + input)?;
        let middle = self.norm(layer.attention_norm, &middle)?;
        let up = self.linear(layer.up, &middle)?.gelu_erf()?;
        let sum = (self.linear(layer.down, &up)? + &middle)?;
        self.norm(layer.feed_forward_norm, &sum)
    }

    fn linear(&mut self, linear: Linear, input: &Tensor) -> Result<Tensor> {
        let weight = self.weight(linear.weight)?;
        input.matmul(&weight.t()?)?.broadcast_add(&self.weight(linear.bias)?)
    }

    /// Of basic operations: candle's own LayerNorm and softmax have no way back.
    fn norm(&mut self, norm: Norm, input: &Tensor) -> Result<Tensor> {
        let centred = input.broadcast_sub(&input.mean_keepdim(D::Minus1)?)?;
        let variance = centred.sqr()?.mean_keepdim(D::Minus1)?;
        let deviation = (variance + f64::from(self.encoder.spec.norm_eps))?.sqrt()?;
        let scaled = centred.broadcast_div(&deviation)?.broadcast_mul(&self.weight(norm.weight)?)?;
        scaled.broadcast_add(&self.weight(norm.bias)?)
    }

    fn attend(&self, qkv: &Tensor) -> Result<Tensor> {
        let Padded { texts, length } = self.padded;
        let heads = self.encoder.heads;
        let qkv = qkv.reshape((texts, length, 3, heads.heads, heads.head_dim))?;
        // `[texts, heads, length, head_dim]`
        let part = |index| qkv.narrow(2, index, 1)?.squeeze(2)?.transpose(1, 2)?.contiguous();
        let (queries, keys, values): (Tensor, Tensor, Tensor) = (part(0)?, part(1)?, part(2)?);
        let scores = (queries.matmul(&keys.t()?)? * f64::from(heads.scale))?.broadcast_add(&self.mask)?;
        let largest = scores.max_keepdim(D::Minus1)?.detach();
        let powers = scores.broadcast_sub(&largest)?.exp()?;
        let probabilities = powers.broadcast_div(&powers.sum_keepdim(D::Minus1)?)?;
        probabilities.matmul(&values)?.transpose(1, 2)?.contiguous()?.reshape((texts * length, heads.width()))
    }
}

#[cfg(test)]
mod tests {
    use crate::network::{Batch, BiEncoder, CrossEncoder, Device, Gradients};
    use elodex_kernels::Kernels;
    use elodex_models::Encoded;
    use elodex_models::files::ModelFiles;
    use elodex_testkit::golden_dir;
    use elodex_types::Truncation;

    fn golden(name: &str) -> ModelFiles {
        ModelFiles::open(&golden_dir(name).join("model")).unwrap()
    }

    /// Texts of these lengths, each in so many segments.
    fn batch(lengths: &[u32], segments: u32) -> Batch {
        let texts: Vec<Encoded> = lengths
            .iter()
            .map(|&length| Encoded {
                ids: (0..length).map(|token| 5 + (token * 7 + length) % 60).collect(),
                type_ids: (0..length).map(|token| token * segments / length).collect(),
                pool_from: 0,
                route: 0,
                truncation: Truncation { seen: length as usize, used: length as usize },
            })
            .collect();
        Batch::new(&texts)
    }

    fn check_close(name: &str, found: &[f32], expected: &[f32]) {
        let norm = expected.iter().map(|value| value * value).sum::<f32>().sqrt();
        let off = found.iter().zip(expected).map(|(one, other)| (one - other).powi(2)).sum::<f32>().sqrt();
        assert_eq!(found.len(), expected.len());
        assert!(norm > 0.0 && off <= 1e-4 * norm, "{name}: {off} of {norm} off");
    }

    fn check_gradients(found: &Gradients, expected: &Gradients) {
        for (index, (found, expected)) in found.iter().zip(expected.iter()).enumerate() {
            // Nothing depends on the biases of keys, which are a third of the joined ones.
            check_close(&format!("gradient {index}"), found, expected);
        }
    }

    #[test]
    fn a_cross_encoder_has_the_logits_and_gradients_of_the_kernels() {
        for (name, segments) in [("bert_cross", 2), ("xlm_roberta_cross", 1)] {
            let network = CrossEncoder::load(&golden(name), Kernels::detect(), 1).unwrap();
            let run = |device| {
                let network = network.clone().on(device);
                let (logits, tape) = network.forward(batch(&[9, 1, 30, 17], segments)).unwrap();
                let mut gradients = network.parameters.zeros();
                network.backward(tape, &[3.0, -2.0, 5.0, 4.0], &mut gradients).unwrap();
                (logits, gradients)
            };
            let (expected, found) = (run(Device::Cpu), run(Device::Candle(candle_core::Device::Cpu)));
            check_close(name, &found.0, &expected.0);
            check_gradients(&found.1, &expected.1);
        }
    }

    #[test]
    fn a_bi_encoder_has_the_vectors_and_gradients_of_the_kernels() {
        for name in ["bert_minilm", "bert_bge", "xlm_roberta_e5"] {
            let network = BiEncoder::load(&golden(name), Kernels::detect()).unwrap();
            let run = |device| {
                let network = network.clone().on(device);
                let (vectors, tape) = network.forward(batch(&[4, 21, 12], 1)).unwrap();
                let weights = (0..vectors.len()).map(|index| (index as f32 * 0.7).sin() * 3.0).collect();
                let mut gradients = network.parameters.zeros();
                network.backward(tape, weights, &mut gradients).unwrap();
                (vectors, gradients)
            };
            let (expected, found) = (run(Device::Cpu), run(Device::Candle(candle_core::Device::Cpu)));
            check_close(name, &found.0, &expected.0);
            check_gradients(&found.1, &expected.1);
        }
    }
}

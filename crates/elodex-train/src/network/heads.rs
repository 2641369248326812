//! From token vectors to a logit or an embedding, and back.

use super::layers::{Context, Linear};
use super::parameters::{Gradients, Parameters};
use elodex_kernels::{Activation, Kernels};

/// A cross-encoder's head: `label(tanh(dense(x)))` of the first token's vector.
#[derive(Debug, Clone, Copy)]
pub(super) struct Classifier {
    pub(super) dense: Linear,
    pub(super) label: Linear,
}

/// What the way back through a [`Classifier`] needs.
#[derive(Debug)]
pub(super) struct ClassifierTape {
    /// Behind the tanh.
    pooled: Vec<f32>,
}

impl Classifier {
    /// One logit for each row of `first` `[sequences, hidden]`.
    pub(super) fn forward(
        self,
        kernels: Kernels,
        parameters: &Parameters,
        first: &[f32],
    ) -> (Vec<f32>, ClassifierTape) {
        let context = Context { kernels, parameters };
        let pooled = self.dense.forward(context, first, Activation::Tanh, None);
        let logits = self.label.forward(context, &pooled, Activation::Identity, None);
        (logits, ClassifierTape { pooled })
    }

    /// From the gradient by the logits, that by `first`.
    pub(super) fn backward(
        self,
        kernels: Kernels,
        parameters: &Parameters,
        first: &[f32],
        tape: &ClassifierTape,
        by_logits: &[f32],
        gradients: &mut Gradients,
    ) -> Vec<f32> {
        let context = Context { kernels, parameters };
        let mut by_pooled = self.label.backward(context, &tape.pooled, by_logits, None, gradients);
        for (gradient, tanh) in by_pooled.iter_mut().zip(&tape.pooled) {
            *gradient *= 1.0 - tanh * tanh;
        }
        self.dense.backward(context, first, &by_pooled, None, gradients)
    }
}

/// Means of each sequence's token vectors, `[sequences, hidden]`.
pub(super) fn mean(hidden: &[f32], offsets: &[usize], width: usize) -> Vec<f32> {
    let mut means = vec![0.0; (offsets.len() - 1) * width];
    for (pair, mean) in offsets.windows(2).zip(means.chunks_exact_mut(width)) {
        for row in hidden[pair[0] * width..pair[1] * width].chunks_exact(width) {
            for (sum, value) in mean.iter_mut().zip(row) {
                *sum += value;
            }
        }
        let length = (pair[1] - pair[0]) as f32;
        mean.iter_mut().for_each(|sum| *sum /= length);
    }
    means
}

/// From the gradient by [`mean`], that by the token vectors.
pub(super) fn mean_backward(by_mean: &[f32], offsets: &[usize], width: usize) -> Vec<f32> {
    let tokens = offsets[offsets.len() - 1];
    let mut by_hidden = Vec::with_capacity(tokens * width);
    for (pair, gradient) in offsets.windows(2).zip(by_mean.chunks_exact(width)) {
        let length = (pair[1] - pair[0]) as f32;
        for _ in pair[0]..pair[1] {
            by_hidden.extend(gradient.iter().map(|value| value / length));
        }
    }
    by_hidden
}

/// Turns the gradient by `x / ‖x‖`, of vectors of this width, into that by x: (g − (g·u)·u) / ‖x‖ with u = x / ‖x‖.
pub(crate) fn normalise_backward(x: &[f32], gradient: &mut [f32], width: usize) {
    for (x, gradient) in x.chunks_exact(width).zip(gradient.chunks_exact_mut(width)) {
        let norm = x.iter().map(|value| value * value).sum::<f32>().sqrt().max(1e-12);
        let along = x.iter().zip(&*gradient).map(|(x, g)| x * g).sum::<f32>() / norm;
        for (x, gradient) in x.iter().zip(gradient) {
            *gradient = (*gradient - along * x / norm) / norm;
        }
    }
}

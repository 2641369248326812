//! Linear layers and norms, forwards and backwards.

use super::parameters::{Gradients, Key, Parameters};
use elodex_kernels::{Activation, Epilogue, Kernels, Parallelism};
use rayon::prelude::*;

/// What every layer needs to run.
#[derive(Clone, Copy)]
pub(super) struct Context<'a> {
    pub(super) kernels: Kernels,
    pub(super) parameters: &'a Parameters,
}

/// `x·Wᵀ + b`
#[derive(Debug, Clone, Copy)]
pub(super) struct Linear {
    /// `[out, in]`
    pub(super) weight: Key,
    /// `[out]`
    pub(super) bias: Key,
}

impl Linear {
    /// `[rows, out]` of `input` `[rows, in]`, with `residual` `[rows, out]` added.
    pub(super) fn forward(
        self,
        context: Context<'_>,
        input: &[f32],
        activation: Activation,
        residual: Option<&[f32]>,
    ) -> Vec<f32> {
        let Context { kernels, parameters } = context;
        let bias = &parameters[self.bias];
        let outputs = bias.len();
        let inputs = parameters[self.weight].len() / outputs;
        let rows = input.len() / inputs;
        let packed = kernels.pack(&parameters[self.weight], outputs, inputs);
        let mut out = vec![0.0; rows * outputs];
        let epilogue = Epilogue { bias: Some(bias), activation, residual };
        kernels.linear(input, rows, &packed, epilogue, &mut out, Parallelism::Pool);
        out
    }

    /// From the `gradient` `[rows, out]` by its output, that by its input, with `residual` added, and those by weight
    /// and bias, which are added to `gradients`.
    pub(super) fn backward(
        self,
        context: Context<'_>,
        input: &[f32],
        gradient: &[f32],
        residual: Option<&[f32]>,
        gradients: &mut Gradients,
    ) -> Vec<f32> {
        let Context { kernels, parameters } = context;
        let outputs = parameters[self.bias].len();
        let inputs = parameters[self.weight].len() / outputs;
        let rows = input.len() / inputs;
        kernels.add_rows(gradient, &mut gradients[self.bias], Parallelism::Pool);

        // dW = dYᵀ·X
        let left = kernels.transposed(gradient, rows, outputs, Parallelism::Pool);
        let right = kernels.pack_transposed(input, inputs, rows, Parallelism::Pool);
        let mut by_weight = vec![0.0; outputs * inputs];
        kernels.linear(&left, outputs, &right, plain(None), &mut by_weight, Parallelism::Pool);
        let sums = gradients[self.weight].par_iter_mut().with_min_len(1 << 16);
        sums.zip(by_weight).for_each(|(sum, value)| *sum += value);

        // dX = dY·W
        let weight = kernels.pack_transposed(&parameters[self.weight], inputs, outputs, Parallelism::Pool);
        let mut by_input = vec![0.0; input.len()];
        kernels.linear(gradient, rows, &weight, plain(residual), &mut by_input, Parallelism::Pool);
        by_input
    }
}

/// No bias and no activation.
pub(super) fn plain(residual: Option<&[f32]>) -> Epilogue<'_> {
    Epilogue { bias: None, activation: Activation::Identity, residual }
}

/// LayerNorm.
#[derive(Debug, Clone, Copy)]
pub(super) struct Norm {
    pub(super) weight: Key,
    pub(super) bias: Key,
}

impl Norm {
    /// The normed copy of `x` `[rows, hidden]`.
    pub(super) fn forward(self, context: Context<'_>, x: &[f32], eps: f32) -> Vec<f32> {
        let Context { kernels, parameters } = context;
        let (weight, bias) = (&parameters[self.weight], &parameters[self.bias]);
        let mut out = x.to_vec();
        kernels.layer_norm(&mut out, Some(weight), Some(bias), eps, weight.len(), Parallelism::Pool);
        out
    }

    /// Turns the gradient by the output into that by the input `x`, and adds those by weight and bias to `gradients`.
    pub(super) fn backward(
        self,
        context: Context<'_>,
        x: &[f32],
        eps: f32,
        gradient: &mut [f32],
        gradients: &mut Gradients,
    ) {
        let weight = &context.parameters[self.weight];
        let [by_weight, by_bias] = gradients.pair(self.weight, self.bias);
        context.kernels.layer_norm_backward(x, weight, eps, gradient, by_weight, by_bias, Parallelism::Pool);
    }
}

//! Activations, alone and behind a gate.

use crate::dispatch::Operation;
use crate::isa::Kernels;
use crate::math;
use crate::parallel::{Parallelism, for_each_row_block};
use crate::simd::Simd;

/// Element-wise function behind a linear layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// x
    Identity,
    /// x·Φ(x) by the error function.
    Gelu,
    /// The tanh approximation of GELU.
    GeluTanh,
    /// x·σ(x)
    Silu,
    /// max(x, 0)
    Relu,
    /// tanh x
    Tanh,
    /// 1 / (1 + e⁻ˣ)
    Sigmoid,
}

/// One activation, so that loops are compiled per function and not branch per element.
pub(crate) trait Function {
    fn apply<S: Simd>(simd: S, x: S::Vector) -> S::Vector;
}

pub(crate) struct Identity;
pub(crate) struct Gelu;
/// [`Gelu`] within 2e-4.
pub(crate) struct CoarseGelu;
pub(crate) struct GeluTanh;
pub(crate) struct Silu;
pub(crate) struct Relu;
pub(crate) struct Tanh;
pub(crate) struct Sigmoid;

impl Function for Identity {
    #[inline(always)]
    fn apply<S: Simd>(_: S, x: S::Vector) -> S::Vector {
        x
    }
}

impl Function for Gelu {
    #[inline(always)]
    fn apply<S: Simd>(simd: S, x: S::Vector) -> S::Vector {
        math::gelu(simd, x)
    }
}

impl Function for CoarseGelu {
    #[inline(always)]
    fn apply<S: Simd>(simd: S, x: S::Vector) -> S::Vector {
        math::coarse_gelu(simd, x)
    }
}

impl Function for GeluTanh {
    /// ½x·(1 + tanh u) = x·σ(2u) with u = √(2/π)·(x + 0.044715·x³).
    #[inline(always)]
    fn apply<S: Simd>(simd: S, x: S::Vector) -> S::Vector {
        const TWICE_ROOT: f32 = 1.595_769;
        let cubic = simd.mul_add(simd.mul(x, x), simd.splat(0.044_715 * TWICE_ROOT), simd.splat(TWICE_ROOT));
        simd.mul(x, math::sigmoid(simd, simd.mul(x, cubic)))
    }
}

impl Function for Silu {
    #[inline(always)]
    fn apply<S: Simd>(simd: S, x: S::Vector) -> S::Vector {
        simd.mul(x, math::sigmoid(simd, x))
    }
}

impl Function for Relu {
    #[inline(always)]
    fn apply<S: Simd>(simd: S, x: S::Vector) -> S::Vector {
        simd.max(simd.splat(0.0), x)
    }
}

impl Function for Tanh {
    #[inline(always)]
    fn apply<S: Simd>(simd: S, x: S::Vector) -> S::Vector {
        math::tanh(simd, x)
    }
}

impl Function for Sigmoid {
    #[inline(always)]
    fn apply<S: Simd>(simd: S, x: S::Vector) -> S::Vector {
        math::sigmoid(simd, x)
    }
}

/// Evaluates an expression with a type name bound to the [`Function`] of an [`Activation`].
macro_rules! with_function {
    ($activation:expr, $function:ident => $body:expr) => {
        match $activation {
            $crate::activation::Activation::Identity => {
                type $function = $crate::activation::Identity;
                $body
            }
            $crate::activation::Activation::Gelu => {
                type $function = $crate::activation::Gelu;
                $body
            }
            $crate::activation::Activation::GeluTanh => {
                type $function = $crate::activation::GeluTanh;
                $body
            }
            $crate::activation::Activation::Silu => {
                type $function = $crate::activation::Silu;
                $body
            }
            $crate::activation::Activation::Relu => {
                type $function = $crate::activation::Relu;
                $body
            }
            $crate::activation::Activation::Tanh => {
                type $function = $crate::activation::Tanh;
                $body
            }
            $crate::activation::Activation::Sigmoid => {
                type $function = $crate::activation::Sigmoid;
                $body
            }
        }
    };
}
pub(crate) use with_function;

struct Gate<'a> {
    gate_up: &'a [f32],
    width: usize,
    activation: Activation,
    out: &'a mut [f32],
}

impl Operation for Gate<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        with_function!(self.activation, F => gate::<S, F>(simd, self.gate_up, self.width, self.out));
    }
}

#[inline(always)]
fn gate<S: Simd, F: Function>(simd: S, gate_up: &[f32], width: usize, out: &mut [f32]) {
    for (row, out) in gate_up.chunks_exact(2 * width).zip(out.chunks_exact_mut(width)) {
        let (gate, up) = row.split_at(width);
        let inputs = gate.chunks(S::LANES).zip(up.chunks(S::LANES));
        for ((gate, up), out) in inputs.zip(out.chunks_mut(S::LANES)) {
            let gate = F::apply(simd, simd.load_padded(gate));
            simd.store_cut(simd.mul(gate, simd.load_padded(up)), out);
        }
    }
}

impl Kernels {
    /// `out[m, i] = activation(gate_up[m, 0..i]) ⊙ gate_up[m, i..2i]` for i = `width`.
    ///
    /// # Panics
    /// If `out` is not `[m, width]` and `gate_up` not `[m, 2·width]`.
    pub fn gate(
        self,
        gate_up: &[f32],
        width: usize,
        activation: Activation,
        out: &mut [f32],
        parallelism: Parallelism,
    ) {
        assert!(width > 0 && out.len().is_multiple_of(width), "out is not [m, {width}]");
        assert_eq!(gate_up.len(), 2 * out.len(), "gate_up is not [m, 2·{width}]");
        for_each_row_block(out, width, parallelism, |first_row, out| {
            let from = 2 * width * first_row;
            let gate_up = &gate_up[from..from + 2 * out.len()];
            self.dispatch(Gate { gate_up, width, activation, out });
        });
    }
}

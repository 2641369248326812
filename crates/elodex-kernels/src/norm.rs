//! LayerNorm and RMSNorm over rows and over heads.

use crate::dispatch::Operation;
use crate::isa::Kernels;
use crate::parallel::{Parallelism, for_each_row_block};
use crate::simd::{LANE_INDEX, Simd};
use crate::vector::sum_of_squares;

struct LayerNorm<'a> {
    x: &'a mut [f32],
    weight: Option<&'a [f32]>,
    bias: Option<&'a [f32]>,
    eps: f32,
    hidden: usize,
}

impl Operation for LayerNorm<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        for row in self.x.chunks_exact_mut(self.hidden) {
            let mean = simd.splat(sum(simd, row) / self.hidden as f32);
            let variance = centred_square_sum(simd, row, mean) / self.hidden as f32;
            let factor = simd.splat(1.0 / (variance + self.eps).sqrt());
            let mut at = 0;
            while at < row.len() {
                let chunk = &mut row[at..];
                let mut value = simd.mul(simd.sub(simd.load_padded(chunk), mean), factor);
                if let Some(weight) = self.weight {
                    value = simd.mul(value, simd.load_padded(&weight[at..]));
                }
                if let Some(bias) = self.bias {
                    value = simd.add(value, simd.load_padded(&bias[at..]));
                }
                simd.store_cut(value, chunk);
                at += S::LANES;
            }
        }
    }
}

/// Σ x
#[inline(always)]
pub(crate) fn sum<S: Simd>(simd: S, row: &[f32]) -> f32 {
    let mut sums = [simd.splat(0.0); 2];
    for pair in row.chunks(2 * S::LANES) {
        for (chunk, sum) in pair.chunks(S::LANES).zip(&mut sums) {
            *sum = simd.add(*sum, simd.load_padded(chunk));
        }
    }
    simd.sum(simd.add(sums[0], sums[1]))
}

/// Σ (x − mean)²
#[inline(always)]
pub(crate) fn centred_square_sum<S: Simd>(simd: S, row: &[f32], mean: S::Vector) -> f32 {
    let mut sums = [simd.splat(0.0); 2];
    let mut whole = row.chunks_exact(2 * S::LANES);
    for pair in &mut whole {
        for (chunk, sum) in pair.chunks_exact(S::LANES).zip(&mut sums) {
            let difference = simd.sub(simd.load(chunk), mean);
            *sum = simd.mul_add(difference, difference, *sum);
        }
    }
    for (chunk, sum) in whole.remainder().chunks(S::LANES).zip(&mut sums) {
        let difference = simd.sub(simd.load_padded(chunk), mean);
        let length = simd.splat(chunk.len() as f32);
        let difference = simd.select_less(simd.load(&LANE_INDEX), length, difference, simd.splat(0.0));
        *sum = simd.mul_add(difference, difference, *sum);
    }
    simd.sum(simd.add(sums[0], sums[1]))
}

/// RMSNorm of some equally long vectors in every row.
struct RmsNorm<'a> {
    x: &'a mut [f32],
    row_width: usize,
    first: usize,
    vectors: usize,
    weight: &'a [f32],
    eps: f32,
}

impl Operation for RmsNorm<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let width = self.weight.len();
        for row in self.x.chunks_exact_mut(self.row_width) {
            for vector in row[self.first..self.first + self.vectors * width].chunks_exact_mut(width) {
                let mean_square = sum_of_squares(simd, vector) / width as f32;
                let factor = simd.splat(1.0 / (mean_square + self.eps).sqrt());
                for (chunk, weight) in vector.chunks_mut(S::LANES).zip(self.weight.chunks(S::LANES)) {
                    let value = simd.mul(simd.load_padded(chunk), factor);
                    simd.store_cut(simd.mul(value, simd.load_padded(weight)), chunk);
                }
            }
        }
    }
}

impl Kernels {
    /// LayerNorm of each row of `x[m, hidden]` in place: (x − mean) / √(var + eps) · weight + bias, biased variance.
    ///
    /// # Panics
    /// If a slice's length is not that of its shape.
    pub fn layer_norm(
        self,
        x: &mut [f32],
        weight: Option<&[f32]>,
        bias: Option<&[f32]>,
        eps: f32,
        hidden: usize,
        parallelism: Parallelism,
    ) {
        assert!(hidden > 0 && x.len().is_multiple_of(hidden), "x is not [m, {hidden}]");
        for parameter in [weight, bias].into_iter().flatten() {
            assert_eq!(parameter.len(), hidden, "weight or bias is not [{hidden}]");
        }
        for_each_row_block(x, hidden, parallelism, |_, x| {
            self.dispatch(LayerNorm { x, weight, bias, eps, hidden });
        });
    }

    /// RMSNorm of each row of `x[m, hidden]` in place: x / √(mean(x²) + eps) · weight.
    ///
    /// # Panics
    /// If a slice's length is not that of its shape.
    pub fn rms_norm(self, x: &mut [f32], weight: &[f32], eps: f32, hidden: usize, parallelism: Parallelism) {
        self.head_rms_norm(x, hidden, 0, 1, hidden, weight, eps, parallelism);
    }

    /// RMSNorm, in place, of the `heads` vectors of width `head_dim` from `first_head` on in every row of
    /// `qkv[m, row_width]`, each by the same `weight[head_dim]`: the q/k norm of a decoder.
    ///
    /// # Panics
    /// If a slice's length is not that of its shape or the heads do not fit in a row.
    #[expect(clippy::too_many_arguments, reason = "the layer's own parameters")]
    pub fn head_rms_norm(
        self,
        qkv: &mut [f32],
        row_width: usize,
        first_head: usize,
        heads: usize,
        head_dim: usize,
        weight: &[f32],
        eps: f32,
        parallelism: Parallelism,
    ) {
        assert!(row_width > 0 && qkv.len().is_multiple_of(row_width), "qkv is not [m, {row_width}]");
        assert!(head_dim > 0 && weight.len() == head_dim, "weight is not [{head_dim}]");
        assert!((first_head + heads) * head_dim <= row_width, "the heads do not fit in a row");
        for_each_row_block(qkv, row_width, parallelism, |_, x| {
            let first = first_head * head_dim;
            self.dispatch(RmsNorm { x, row_width, first, vectors: heads, weight, eps });
        });
    }
}

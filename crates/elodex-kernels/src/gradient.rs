//! What training needs beside inference: derivatives of a layer's parts, element-wise or row by row.
//!
//! Sums over rows (gradients of biases and norms) are taken in blocks of [`SUMMED_ROWS`] and then block after block, so
//! that their bits depend neither on the number of threads nor on how work was split.

use crate::dispatch::Operation;
use crate::isa::Kernels;
use crate::math;
use crate::norm::{centred_square_sum, sum};
use crate::parallel::{Parallelism, for_each_row_block};
use crate::simd::Simd;
use rayon::prelude::*;

/// Rows whose sum is taken by one thread.
const SUMMED_ROWS: usize = 128;

impl Kernels {
    /// GELU `x·Φ(x)` of `x` into `out`, equally long.
    ///
    /// # Panics
    /// If they are not.
    pub fn gelu(self, x: &[f32], out: &mut [f32], parallelism: Parallelism) {
        assert_eq!(x.len(), out.len(), "x and out are not equally long");
        for_each_row_block(out, 1, parallelism, |first, out| {
            self.dispatch(Gelu { x: &x[first..first + out.len()], out });
        });
    }

    /// `gradient ⊙ gelu′(x)` in place: gelu′(x) = Φ(x) + x·φ(x), within 1e-6.
    ///
    /// # Panics
    /// If they are not equally long.
    pub fn gelu_backward(self, x: &[f32], gradient: &mut [f32], parallelism: Parallelism) {
        assert_eq!(x.len(), gradient.len(), "x and gradient are not equally long");
        for_each_row_block(gradient, 1, parallelism, |first, gradient| {
            self.dispatch(GeluBackward { x: &x[first..first + gradient.len()], gradient });
        });
    }

    /// Through a LayerNorm of the rows of `x[m, hidden]`: `gradient[m, hidden]` by its output becomes that by its input,
    /// and those by weight and bias are added to `by_weight` and `by_bias`, `[hidden]` each.
    ///
    /// # Panics
    /// If a slice's length is not that of its shape.
    #[expect(clippy::too_many_arguments, reason = "the layer's own parameters")]
    pub fn layer_norm_backward(
        self,
        x: &[f32],
        weight: &[f32],
        eps: f32,
        gradient: &mut [f32],
        by_weight: &mut [f32],
        by_bias: &mut [f32],
        parallelism: Parallelism,
    ) {
        let hidden = weight.len();
        assert!(hidden > 0 && x.len().is_multiple_of(hidden), "x is not [m, {hidden}]");
        assert_eq!(x.len(), gradient.len(), "x and gradient are not equally long");
        assert!(by_weight.len() == hidden && by_bias.len() == hidden, "a sum is not [{hidden}]");
        let block = |(x, gradient): (&[f32], &mut [f32])| {
            let mut sums = vec![0.0; 2 * hidden];
            self.dispatch(LayerNormBackward { x, weight, eps, gradient, sums: &mut sums });
            sums
        };
        let length = SUMMED_ROWS * hidden;
        let sums: Vec<Vec<f32>> = match parallelism {
            Parallelism::Serial => x.chunks(length).zip(gradient.chunks_mut(length)).map(block).collect(),
            Parallelism::Pool => {
                x.par_chunks(length).zip(gradient.par_chunks_mut(length)).map(block).collect()
            }
        };
        for sums in sums {
            add(by_weight, &sums[..hidden]);
            add(by_bias, &sums[hidden..]);
        }
    }

    /// Adds the sum of the rows of `rows[m, width]` to `sums[width]`: the gradient by a bias.
    ///
    /// # Panics
    /// If `rows` does not hold whole rows.
    pub fn add_rows(self, rows: &[f32], sums: &mut [f32], parallelism: Parallelism) {
        let width = sums.len();
        assert!(width > 0 && rows.len().is_multiple_of(width), "rows are not [m, {width}]");
        let block = |rows: &[f32]| {
            let mut sums = vec![0.0; width];
            for row in rows.chunks_exact(width) {
                add(&mut sums, row);
            }
            sums
        };
        let blocks: Vec<Vec<f32>> = match parallelism {
            Parallelism::Serial => rows.chunks(SUMMED_ROWS * width).map(block).collect(),
            Parallelism::Pool => rows.par_chunks(SUMMED_ROWS * width).map(block).collect(),
        };
        for block in blocks {
            add(sums, &block);
        }
    }

    /// Each row of `scores[m, width]` becomes softmax(factor·row).
    ///
    /// # Panics
    /// If `scores` does not hold whole rows.
    pub fn softmax(self, scores: &mut [f32], width: usize, factor: f32) {
        assert!(width > 0 && scores.len().is_multiple_of(width), "scores are not [m, {width}]");
        self.dispatch(Softmax { scores, width, factor });
    }

    /// Through [`Self::softmax`], whose output `probabilities[m, width]` is: `gradient[m, width]` by its output becomes
    /// that by its input, factor·p·(g − Σ g·p).
    ///
    /// # Panics
    /// If a slice's length is not that of its shape.
    pub fn softmax_backward(self, probabilities: &[f32], gradient: &mut [f32], width: usize, factor: f32) {
        assert!(width > 0 && gradient.len().is_multiple_of(width), "gradient is not [m, {width}]");
        assert_eq!(probabilities.len(), gradient.len(), "probabilities and gradient are not equally long");
        self.dispatch(SoftmaxBackward { probabilities, gradient, width, factor });
    }

    /// `[columns, rows]` of `values[rows, columns]`.
    ///
    /// # Panics
    /// If `values` is of another length.
    pub fn transposed(
        self,
        values: &[f32],
        rows: usize,
        columns: usize,
        parallelism: Parallelism,
    ) -> Vec<f32> {
        assert_eq!(values.len(), rows * columns, "values are not [{rows}, {columns}]");
        let mut out = vec![0.0; values.len()];
        if out.is_empty() {
            return out;
        }
        // A block of output rows is whole cache lines of each input row.
        const COLUMNS: usize = 32;
        let block = |(index, out): (usize, &mut [f32])| {
            self.dispatch(Transpose { values, columns, first: index * COLUMNS, rows, out });
        };
        match parallelism {
            Parallelism::Serial => out.chunks_mut(COLUMNS * rows).enumerate().for_each(block),
            Parallelism::Pool => out.par_chunks_mut(COLUMNS * rows).enumerate().for_each(block),
        }
        out
    }
}

/// sums += row
fn add(sums: &mut [f32], row: &[f32]) {
    for (sum, value) in sums.iter_mut().zip(row) {
        *sum += value;
    }
}

struct Gelu<'a> {
    x: &'a [f32],
    out: &'a mut [f32],
}

impl Operation for Gelu<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        for (x, out) in self.x.chunks(S::LANES).zip(self.out.chunks_mut(S::LANES)) {
            simd.store_cut(math::gelu(simd, simd.load_padded(x)), out);
        }
    }
}

struct GeluBackward<'a> {
    x: &'a [f32],
    gradient: &'a mut [f32],
}

impl Operation for GeluBackward<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        for (x, gradient) in self.x.chunks(S::LANES).zip(self.gradient.chunks_mut(S::LANES)) {
            let slope = math::gelu_derivative(simd, simd.load_padded(x));
            simd.store_cut(simd.mul(simd.load_padded(gradient), slope), gradient);
        }
    }
}

struct LayerNormBackward<'a> {
    x: &'a [f32],
    weight: &'a [f32],
    eps: f32,
    gradient: &'a mut [f32],
    /// By weight, then by bias.
    sums: &'a mut [f32],
}

impl Operation for LayerNormBackward<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let hidden = self.weight.len();
        let (by_weight, by_bias) = self.sums.split_at_mut(hidden);
        for (x, gradient) in self.x.chunks_exact(hidden).zip(self.gradient.chunks_exact_mut(hidden)) {
            let mean = simd.splat(sum(simd, x) / hidden as f32);
            let variance = centred_square_sum(simd, x, mean) / hidden as f32;
            let factor = simd.splat(1.0 / (variance + self.eps).sqrt());
            let (mut total, mut projected) = (simd.splat(0.0), simd.splat(0.0));
            let mut at = 0;
            while at < hidden {
                // Lanes beyond the row have a weight of zero, and so no part in either sum.
                let slope = simd.load_padded(&gradient[at..]);
                let normed = simd.mul(simd.sub(simd.load_padded(&x[at..]), mean), factor);
                let sums = simd.mul_add(slope, normed, simd.load_padded(&by_weight[at..]));
                simd.store_cut(sums, &mut by_weight[at..]);
                simd.store_cut(simd.add(slope, simd.load_padded(&by_bias[at..])), &mut by_bias[at..]);
                let weighted = simd.mul(slope, simd.load_padded(&self.weight[at..]));
                total = simd.add(total, weighted);
                projected = simd.mul_add(weighted, normed, projected);
                at += S::LANES;
            }
            let total = simd.splat(simd.sum(total) / hidden as f32);
            let projected = simd.splat(simd.sum(projected) / hidden as f32);
            let mut at = 0;
            while at < hidden {
                let normed = simd.mul(simd.sub(simd.load_padded(&x[at..]), mean), factor);
                let chunk = &mut gradient[at..];
                let weighted = simd.mul(simd.load_padded(chunk), simd.load_padded(&self.weight[at..]));
                let centred = simd.neg_mul_add(normed, projected, simd.sub(weighted, total));
                simd.store_cut(simd.mul(centred, factor), chunk);
                at += S::LANES;
            }
        }
    }
}

struct Softmax<'a> {
    scores: &'a mut [f32],
    width: usize,
    factor: f32,
}

impl Operation for Softmax<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let factor = simd.splat(self.factor);
        for row in self.scores.chunks_exact_mut(self.width) {
            let largest = row.iter().fold(f32::NEG_INFINITY, |largest, score| largest.max(*score));
            let largest = simd.splat(largest * self.factor);
            let mut total = 0.0;
            for chunk in row.chunks_mut(S::LANES) {
                let scaled = simd.mul(simd.load_padded(chunk), factor);
                simd.store_cut(math::exp(simd, simd.sub(scaled, largest)), chunk);
            }
            for chunk in row.chunks(S::LANES) {
                total += simd.sum(simd.load_padded(chunk));
            }
            let inverse = simd.splat(1.0 / total);
            for chunk in row.chunks_mut(S::LANES) {
                simd.store_cut(simd.mul(simd.load_padded(chunk), inverse), chunk);
            }
        }
    }
}

struct SoftmaxBackward<'a> {
    probabilities: &'a [f32],
    gradient: &'a mut [f32],
    width: usize,
    factor: f32,
}

impl Operation for SoftmaxBackward<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let factor = simd.splat(self.factor);
        let rows = self.probabilities.chunks_exact(self.width);
        for (probabilities, gradient) in rows.zip(self.gradient.chunks_exact_mut(self.width)) {
            let mut total = simd.splat(0.0);
            for (p, g) in probabilities.chunks(S::LANES).zip(gradient.chunks(S::LANES)) {
                total = simd.mul_add(simd.load_padded(p), simd.load_padded(g), total);
            }
            let total = simd.splat(simd.sum(total));
            for (p, g) in probabilities.chunks(S::LANES).zip(gradient.chunks_mut(S::LANES)) {
                let scaled = simd.mul(simd.load_padded(p), factor);
                simd.store_cut(simd.mul(scaled, simd.sub(simd.load_padded(g), total)), g);
            }
        }
    }
}

/// Some columns of `values`, as rows.
struct Transpose<'a> {
    values: &'a [f32],
    columns: usize,
    first: usize,
    rows: usize,
    out: &'a mut [f32],
}

impl Operation for Transpose<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { values, columns, first, rows, out } = self;
        let wanted = out.len() / rows;
        let (whole_rows, whole_columns) = (rows - rows % S::LANES, wanted - wanted % S::LANES);
        for row in (0..whole_rows).step_by(S::LANES) {
            for column in (0..whole_columns).step_by(S::LANES) {
                let source = &values[row * columns + first + column..];
                let target = &mut out[column * rows + row..];
                assert!(source.len() > (S::LANES - 1) * columns + S::LANES - 1);
                assert!(target.len() > (S::LANES - 1) * rows + S::LANES - 1);
                // SAFETY: both hold LANES rows of LANES values that lie `columns` and `rows` apart, by the checks above.
                unsafe { simd.transpose(source.as_ptr(), columns, target.as_mut_ptr(), rows) };
            }
        }
        for row in 0..rows {
            let from = if row < whole_rows { whole_columns } else { 0 };
            for column in from..wanted {
                out[column * rows + row] = values[row * columns + first + column];
            }
        }
    }
}

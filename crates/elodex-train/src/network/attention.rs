//! Attention backwards. Its probabilities are computed again, head by head, so that no score matrix is kept.

use super::layers::plain;
use elodex_kernels::{Kernels, Parallelism};
use rayon::prelude::*;

/// Sizes of attention in which every query head has a key head of its own.
#[derive(Debug, Clone, Copy)]
pub(super) struct Heads {
    pub(super) heads: usize,
    pub(super) head_dim: usize,
    /// Factor on q·k.
    pub(super) scale: f32,
}

impl Heads {
    /// Width of queries, of keys, and of values.
    pub(super) fn width(self) -> usize {
        self.heads * self.head_dim
    }

    /// From the gradient by the output `[tokens, width]`, that by `qkv` `[tokens, 3·width]`.
    pub(super) fn backward(
        self,
        kernels: Kernels,
        qkv: &[f32],
        offsets: &[usize],
        by_output: &[f32],
    ) -> Vec<f32> {
        let width = self.width();
        let mut by_qkv = vec![0.0; qkv.len()];
        let mut sequences = Vec::with_capacity(offsets.len());
        let mut rest = by_qkv.as_mut_slice();
        for pair in offsets.windows(2) {
            let (part, others) = rest.split_at_mut((pair[1] - pair[0]) * 3 * width);
            rest = others;
            sequences.push((pair[0]..pair[1], part));
        }
        sequences.into_par_iter().for_each(|(tokens, by_qkv)| {
            let qkv = &qkv[tokens.start * 3 * width..tokens.end * 3 * width];
            let by_output = &by_output[tokens.start * width..tokens.end * width];
            for head in 0..self.heads {
                self.head_backward(kernels, qkv, by_output, head, by_qkv);
            }
        });
        by_qkv
    }

    /// One head of one sequence.
    fn head_backward(
        self,
        kernels: Kernels,
        qkv: &[f32],
        by_output: &[f32],
        head: usize,
        by_qkv: &mut [f32],
    ) {
        let (width, dim) = (self.width(), self.head_dim);
        let length = by_output.len() / width;
        let columns = |rows: &[f32], row_width: usize, first: usize| -> Vec<f32> {
            let mut values = Vec::with_capacity(length * dim);
            for row in rows.chunks_exact(row_width) {
                values.extend_from_slice(&row[first..first + dim]);
            }
            values
        };
        let place = [head * dim, width + head * dim, 2 * width + head * dim];
        let [queries, keys, values] = place.map(|first| columns(qkv, 3 * width, first));
        let by_output = columns(by_output, width, head * dim);
        // a[m, k] · b[n, k]ᵀ, and a[m, k] · b[k, n]
        let times_transpose = |a: &[f32], b: &[f32], m: usize, n: usize, k: usize| {
            let mut out = vec![0.0; m * n];
            kernels.linear(a, m, &kernels.pack(b, n, k), plain(None), &mut out, Parallelism::Serial);
            out
        };
        let times = |a: &[f32], b: &[f32], m: usize, n: usize, k: usize| {
            let mut out = vec![0.0; m * n];
            let packed = kernels.pack_transposed(b, n, k, Parallelism::Serial);
            kernels.linear(a, m, &packed, plain(None), &mut out, Parallelism::Serial);
            out
        };
        let transposed = |a: &[f32]| kernels.transposed(a, length, length, Parallelism::Serial);

        let mut probabilities = times_transpose(&queries, &keys, length, length, dim);
        kernels.softmax(&mut probabilities, length, self.scale);
        let by_values = times(&transposed(&probabilities), &by_output, length, dim, length);
        let mut by_scores = times_transpose(&by_output, &values, length, length, dim);
        kernels.softmax_backward(&probabilities, &mut by_scores, length, self.scale);
        let by_queries = times(&by_scores, &keys, length, dim, length);
        let by_keys = times(&transposed(&by_scores), &queries, length, dim, length);

        for (first, by_part) in place.into_iter().zip([by_queries, by_keys, by_values]) {
            for (row, values) in by_qkv.chunks_exact_mut(3 * width).zip(by_part.chunks_exact(dim)) {
                row[first..first + dim].copy_from_slice(values);
            }
        }
    }
}

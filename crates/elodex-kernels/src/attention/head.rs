//! What both precisions do with a head: reading it, transposing, biases and masks.

use std::ops::Range;

use super::Attention;
use crate::gemm::tile::columns;
use crate::parallel::SharedOutput;
use crate::simd::{LANE_INDEX, Simd};
use crate::vector::scale;

/// Some queries of one head of one sequence.
pub(super) struct HeadTask<'a> {
    pub(super) attention: &'a Attention<'a>,
    pub(super) out: SharedOutput<'a>,
    pub(super) head: usize,
    pub(super) first_token: usize,
    pub(super) length: usize,
    pub(super) queries: Range<usize>,
}

impl HeadTask<'_> {
    /// Length of what [`Self::spread_bias`] fills, for tiles of `columns` queries; 0 without a bias.
    pub(super) fn bias_length(&self, columns: usize) -> usize {
        match self.attention.relative_bias {
            Some(_) => 2 * self.length + columns,
            None => 0,
        }
    }

    /// Row of `qkv` of a token of this sequence, from the given head's first value on.
    #[inline(always)]
    pub(super) fn head_values(&self, token: usize, head: usize) -> &[f32] {
        &self.attention.qkv
            [(self.first_token + token) * self.attention.row_width() + head * self.attention.head_dim..]
    }

    /// Lays out the relative bias, times `factor`, so that the lanes of a tile read it at consecutive places.
    pub(super) fn spread_bias(&self, spread: &mut [f32], factor: f32) {
        let Some(bias) = self.attention.relative_bias else {
            return;
        };
        let columns = 2 * bias.radius + 1;
        let table = &bias.table[self.head * columns..(self.head + 1) * columns];
        for (place, value) in spread.iter_mut().enumerate() {
            // place = query − key + length − 1
            let column = (bias.radius + self.length - 1).saturating_sub(place);
            *value = factor * table[column.min(columns - 1)];
        }
    }

    /// Heads of the keys and the values in a row of `qkv`.
    pub(super) fn key_and_value_heads(&self) -> (usize, usize) {
        let Attention { heads, kv_heads, .. } = *self.attention;
        let kv_head = self.head / (heads / kv_heads);
        (heads + kv_head, heads + kv_heads + kv_head)
    }

    /// `transposed[value][query]` = scale · query; zero beyond the last query.
    #[inline(always)]
    pub(super) fn transpose_queries<S: Simd>(&self, simd: S, queries: &Range<usize>, transposed: &mut [f32]) {
        let head_dim = self.attention.head_dim;
        if queries.len() < columns::<S>() {
            transposed.fill(0.0);
        }
        let source = self.head_values(queries.start, self.head);
        let source_row = self.attention.row_width();
        assert!(source.len() >= (queries.len() - 1) * source_row + head_dim);
        assert!(transposed.len() >= head_dim * columns::<S>());
        // SAFETY: both reach as far as just checked, and one is borrowed mutably.
        unsafe {
            let target = transposed.as_mut_ptr();
            transpose(simd, source.as_ptr(), source_row, [queries.len(), head_dim], target, columns::<S>());
        }
        scale(simd, transposed, self.attention.scale);
    }

    #[inline(always)]
    pub(super) fn store_transposed<S: Simd>(&self, simd: S, queries: &Range<usize>, transposed: &[f32]) {
        let head_dim = self.attention.head_dim;
        let target_row = self.attention.heads * head_dim;
        let from = (self.first_token + queries.start) * target_row + self.head * head_dim;
        assert!(transposed.len() >= head_dim * columns::<S>());
        // SAFETY: each task owns its queries' values of its head; `transposed` reaches as far as just checked, and
        // the output as far as `pointer` checks.
        unsafe {
            let target = self.out.pointer(from, (queries.len() - 1) * target_row + head_dim);
            let shape = [head_dim, queries.len()];
            transpose(simd, transposed.as_ptr(), columns::<S>(), shape, target, target_row);
        }
    }

    #[inline(always)]
    pub(super) fn add_bias<S: Simd>(
        &self,
        simd: S,
        queries: &Range<usize>,
        keys: &Range<usize>,
        scores: &mut [f32],
        bias: &[f32],
    ) {
        for (key, row) in keys.clone().zip(scores.chunks_exact_mut(columns::<S>())) {
            let bias = &bias[queries.start + self.length - 1 - key..][..columns::<S>()];
            for (score, bias) in row.chunks_exact_mut(S::LANES).zip(bias.chunks_exact(S::LANES)) {
                simd.store(simd.add(simd.load(score), simd.load(bias)), score);
            }
        }
    }

    /// Sets the scores of unseen keys to −∞.
    #[inline(always)]
    pub(super) fn mask<S: Simd>(
        &self,
        simd: S,
        queries: &Range<usize>,
        keys: &Range<usize>,
        scores: &mut [f32],
    ) {
        let unseen = simd.splat(f32::NEG_INFINITY);
        // Positions are whole numbers far below 2²⁴, so f32 holds them and their differences exactly.
        let window = simd.splat(self.attention.window.map_or(f32::INFINITY, |window| window as f32));
        let ahead = if self.attention.causal { simd.splat(0.0) } else { window };
        for (key, row) in keys.clone().zip(scores.chunks_exact_mut(columns::<S>())) {
            for (half, score) in row.chunks_exact_mut(S::LANES).enumerate() {
                let first_query = queries.start + half * S::LANES;
                let query = simd.add(simd.load(&LANE_INDEX), simd.splat(first_query as f32));
                let distance = simd.sub(simd.splat(key as f32), query);
                let behind = simd.sub(simd.splat(0.0), distance);
                let value = simd.select_less(ahead, distance, unseen, simd.load(score));
                simd.store(simd.select_less(window, behind, unseen, value), score);
            }
        }
    }
}

/// Divides each query's `output[value][query]` by its sum of weights.
#[inline(always)]
pub(super) fn divide<S: Simd>(simd: S, sum: [S::Vector; 2], output: &mut [f32]) {
    let factors = sum.map(|sum| simd.div(simd.splat(1.0), sum));
    for row in output.chunks_exact_mut(columns::<S>()) {
        for (value, factor) in row.chunks_exact_mut(S::LANES).zip(factors) {
            simd.store(simd.mul(simd.load(value), factor), value);
        }
    }
}

/// Writes the transpose of `source[rows][columns]` to `target`, rows lying the given distances apart.
///
/// # Safety
/// `source` is valid for reading and `target` for writing that much, they do not overlap, and no other thread writes
/// those values of `target`.
#[inline(always)]
unsafe fn transpose<S: Simd>(
    simd: S,
    source: *const f32,
    source_row: usize,
    [rows, columns]: [usize; 2],
    target: *mut f32,
    target_row: usize,
) {
    for row in (0..rows).step_by(S::LANES) {
        for column in (0..columns).step_by(S::LANES) {
            // SAFETY: within what the caller promises.
            let (source, target) =
                unsafe { (source.add(row * source_row + column), target.add(column * target_row + row)) };
            let (rows, columns) = (rows - row, columns - column);
            if rows >= S::LANES && columns >= S::LANES {
                // SAFETY: a full block lies within what the caller promises.
                unsafe { simd.transpose(source, source_row, target, target_row) };
                continue;
            }
            for row in 0..rows.min(S::LANES) {
                for column in 0..columns.min(S::LANES) {
                    // SAFETY: within what the caller promises.
                    unsafe {
                        *target.add(column * target_row + row) = *source.add(row * source_row + column);
                    }
                }
            }
        }
    }
}

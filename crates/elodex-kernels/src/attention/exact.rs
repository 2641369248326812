//! Attention in f32.

use std::ops::Range;

use super::KEY_BLOCK;
use super::head::{HeadTask, divide};
use crate::dispatch::Operation;
use crate::gemm::tile::{self, Operands, columns};
use crate::math;
use crate::simd::Simd;

/// One tile's memory, all with lanes of queries.
struct TileScratch<'a> {
    /// `[head_dim][queries]`, scaled
    queries: &'a mut [f32],
    /// `[KEY_BLOCK][queries]`
    scores: &'a mut [f32],
    /// `[head_dim][queries]`
    output: &'a mut [f32],
    /// See [`HeadTask::spread_bias`].
    bias: &'a mut [f32],
}

/// A [`HeadTask`] and its scratch.
pub(super) struct ExactTask<'a> {
    pub(super) head_task: HeadTask<'a>,
    pub(super) scratch: &'a mut [f32],
}

impl ExactTask<'_> {
    /// Values of scratch for tiles of `columns` queries.
    pub(super) fn scratch_length(task: &HeadTask<'_>, columns: usize) -> usize {
        (2 * task.attention.head_dim + KEY_BLOCK) * columns + task.bias_length(columns)
    }
}

impl Operation for ExactTask<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let head_tile = self.head_task.attention.head_dim * columns::<S>();
        let (queries, scratch) = self.scratch.split_at_mut(head_tile);
        let (output, scratch) = scratch.split_at_mut(head_tile);
        let (scores, bias) = scratch.split_at_mut(KEY_BLOCK * columns::<S>());
        self.head_task.spread_bias(bias, 1.0);
        let mut scratch = TileScratch { queries, scores, output, bias };
        for first in self.head_task.queries.clone().step_by(columns::<S>()) {
            let last = self.head_task.queries.end.min(first + columns::<S>());
            tile(&self.head_task, simd, first..last, &mut scratch);
        }
    }
}

#[inline(always)]
fn tile<S: Simd>(task: &HeadTask<'_>, simd: S, queries: Range<usize>, scratch: &mut TileScratch<'_>) {
    let attention = task.attention;
    let head_dim = attention.head_dim;
    let (key_head, value_head) = task.key_and_value_heads();
    let keys = attention.visible_keys(&queries, task.length);
    task.transpose_queries(simd, &queries, scratch.queries);
    let mut softmax = RunningSoftmax::new(simd);
    for first_key in keys.clone().step_by(KEY_BLOCK) {
        let block = first_key..keys.end.min(first_key + KEY_BLOCK);
        let scores = &mut scratch.scores[..block.len() * columns::<S>()];
        let key_rows = Operands {
            left: task.head_values(block.start, key_head).as_ptr(),
            left_row: attention.row_width(),
            left_step: 1,
            right: scratch.queries.as_ptr(),
            right_step: columns::<S>(),
            depth: head_dim,
        };
        // SAFETY: the keys of the block are rows of `qkv` (its shape is checked), and `scores` has one per key.
        unsafe { accumulate_tall(simd, block.len(), key_rows, scores, false) };
        if attention.relative_bias.is_some() {
            task.add_bias(simd, &queries, &block, scores, scratch.bias);
        }
        if attention.needs_mask(&queries, &block) {
            task.mask(simd, &queries, &block, scores);
        }
        let is_first = first_key == keys.start;
        softmax.absorb(simd, scores, if is_first { &mut [] } else { scratch.output });
        let value_columns = Operands {
            left: task.head_values(block.start, value_head).as_ptr(),
            left_row: 1,
            left_step: attention.row_width(),
            right: scores.as_ptr(),
            right_step: columns::<S>(),
            depth: block.len(),
        };
        // SAFETY: the values of the block are rows of `qkv`, `head_dim` wide, and `output` has one row per
        // value of a head.
        unsafe { accumulate_tall(simd, head_dim, value_columns, scratch.output, !is_first) };
    }
    divide(simd, softmax.sum, scratch.output);
    task.store_transposed(simd, &queries, scratch.output);
}

/// [`tile::accumulate`] for any number of rows.
///
/// # Safety
/// As there, with `tile` checked.
#[inline(always)]
unsafe fn accumulate_tall<S: Simd>(simd: S, rows: usize, operands: Operands, tile: &mut [f32], resume: bool) {
    for (index, tile) in tile[..rows * columns::<S>()].chunks_mut(S::TILE_ROWS * columns::<S>()).enumerate() {
        let first_row = index * S::TILE_ROWS;
        // SAFETY: the row is one of those the caller promises.
        let left = unsafe { operands.left.add(first_row * operands.left_row) };
        let rows = tile.len() / columns::<S>();
        // SAFETY: as the caller promises; `tile` holds `rows` rows.
        unsafe { tile::accumulate(simd, rows, Operands { left, ..operands }, tile.as_mut_ptr(), resume) };
    }
}

/// The largest score and the sum of exponentials so far, per query.
struct RunningSoftmax<V> {
    largest: [V; 2],
    sum: [V; 2],
}

impl<V: Copy> RunningSoftmax<V> {
    #[inline(always)]
    fn new<S: Simd<Vector = V>>(simd: S) -> Self {
        // Finite, so that a block in which a query sees nothing subtracts it from −∞ without a NaN.
        Self { largest: [simd.splat(f32::MIN); 2], sum: [simd.splat(0.0); 2] }
    }

    /// Turns a block's scores into exponentials relative to the largest score so far, and rescales `output`, which
    /// was relative to the largest before.
    #[inline(always)]
    fn absorb<S: Simd<Vector = V>>(&mut self, simd: S, scores: &mut [f32], output: &mut [f32]) {
        let mut largest = self.largest;
        for row in scores.chunks_exact(columns::<S>()) {
            largest[0] = simd.max(largest[0], simd.load(row));
            largest[1] = simd.max(largest[1], simd.load(&row[S::LANES..]));
        }
        for half in 0..2 {
            let factor = math::exp(simd, simd.sub(self.largest[half], largest[half]));
            let mut sum = simd.mul(self.sum[half], factor);
            for row in scores.chunks_exact_mut(columns::<S>()) {
                let score = &mut row[half * S::LANES..];
                let power = math::exp(simd, simd.sub(simd.load(score), largest[half]));
                sum = simd.add(sum, power);
                simd.store(power, score);
            }
            self.sum[half] = sum;
            for row in output.chunks_exact_mut(columns::<S>()) {
                let value = &mut row[half * S::LANES..];
                simd.store(simd.mul(simd.load(value), factor), value);
            }
        }
        self.largest = largest;
    }
}

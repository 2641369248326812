//! Attention of one tile of queries at a time, its keys in blocks, with a running softmax.
//!
//! Everything is transposed: lanes are queries. Scores are `[keys][queries]`, so that the softmax over keys needs no
//! reduction across lanes, keys and values are read in place by the GEMM tile, and a query's operations do not depend
//! on which lane it is in. Tiles of queries and blocks of keys are counted from the sequence's start, so a row's bits
//! depend on its own sequence alone. Memory per thread is one tile, whatever the sequence's length.
//!
//! Running softmax: <https://arxiv.org/abs/1805.02867>; tiling: <https://arxiv.org/abs/2205.14135>.

use std::ops::Range;

use crate::dispatch::Operation;
use crate::gemm::tile::{self, Operands, columns};
use crate::isa::Kernels;
use crate::math;
use crate::memory::with_scratch;
use crate::parallel::{Parallelism, SharedOutput, for_each_task};
use crate::simd::{LANE_INDEX, Simd};
use crate::vector::scale;

/// Keys at a time: their scores against a tile of queries stay in the first-level cache.
const KEY_BLOCK: usize = 128;

/// Queries of one task: enough to share the loads of keys and values, few enough to spread over threads.
const QUERIES_PER_TASK: usize = 128;

/// Multiply-adds from which waking a second thread pays.
const PAYS_FROM: usize = 1 << 19;

/// Attention over a packed batch of sequences.
///
/// `qkv` is `[tokens, (heads + 2·kv_heads)·head_dim]`: each row holds all query heads, then all key heads, then all
/// value heads.
#[derive(Debug, Clone, Copy)]
pub struct Attention<'a> {
    /// See above.
    pub qkv: &'a [f32],
    /// `[sequences + 1]` cumulative token offsets, from 0 to `tokens`.
    pub offsets: &'a [usize],
    /// Query heads.
    pub heads: usize,
    /// Key and value heads; divides `heads`.
    pub kv_heads: usize,
    /// Width of one head.
    pub head_dim: usize,
    /// Factor on q·k, usually head_dim^-½.
    pub scale: f32,
    /// Token i sees only tokens j ≤ i.
    pub causal: bool,
    /// Token i sees only tokens with |i − j| ≤ window.
    pub window: Option<usize>,
    /// Added to the scaled score of (i, j): `[heads, 2·radius + 1]`, column clamp(j − i, −radius, radius) + radius.
    pub relative_bias: Option<RelativeBias<'a>>,
}

/// See [`Attention::relative_bias`].
#[derive(Debug, Clone, Copy)]
pub struct RelativeBias<'a> {
    /// `[heads, 2·radius + 1]`
    pub table: &'a [f32],
    /// Largest distance with a column of its own.
    pub radius: usize,
}

impl Attention<'_> {
    fn row_width(&self) -> usize {
        (self.heads + 2 * self.kv_heads) * self.head_dim
    }

    /// # Panics
    /// If a slice's length is not that of its shape or the offsets do not cover the tokens in order.
    fn check(&self, out: &[f32]) {
        assert!(self.head_dim > 0 && self.kv_heads > 0, "no heads");
        assert!(self.heads.is_multiple_of(self.kv_heads), "{} heads on {}", self.heads, self.kv_heads);
        let tokens = self.offsets.last().copied().unwrap_or(0);
        assert!(self.offsets.first().is_none_or(|&first| first == 0), "offsets do not start at 0");
        assert!(self.offsets.is_sorted(), "offsets are not in order");
        assert_eq!(self.qkv.len(), tokens * self.row_width(), "qkv is not [tokens, row width]");
        assert_eq!(out.len(), tokens * self.heads * self.head_dim, "out is not [tokens, heads·head_dim]");
        if let Some(bias) = self.relative_bias {
            let length = self.heads * (2 * bias.radius + 1);
            assert_eq!(bias.table.len(), length, "relative bias is not [heads, 2·radius + 1]");
        }
    }

    /// The keys that some query of `queries` sees.
    fn visible_keys(&self, queries: &Range<usize>, length: usize) -> Range<usize> {
        let mut keys = 0..length;
        if let Some(window) = self.window {
            keys.start = queries.start.saturating_sub(window);
            keys.end = keys.end.min((queries.end - 1).saturating_add(window).saturating_add(1));
        }
        if self.causal {
            keys.end = keys.end.min(queries.end);
        }
        keys
    }

    /// Whether some query of `queries` does not see some key of `keys`.
    fn needs_mask(&self, queries: &Range<usize>, keys: &Range<usize>) -> bool {
        if self.causal && keys.end - 1 > queries.start {
            return true;
        }
        let Some(window) = self.window else {
            return false;
        };
        let behind = (queries.end - 1).saturating_sub(keys.start);
        let ahead = (keys.end - 1).saturating_sub(queries.start);
        behind.max(ahead) > window
    }
}

impl Kernels {
    /// `out[tokens, heads·head_dim]` = softmax(scale·q·kᵀ + bias, masked)·v per sequence and head.
    ///
    /// # Panics
    /// If a slice's length is not that of its shape, `kv_heads` does not divide `heads`, or `offsets` do not rise from
    /// 0 to the number of tokens.
    pub fn attention(self, attention: &Attention<'_>, out: &mut [f32], parallelism: Parallelism) {
        attention.check(out);
        let mut pieces = Vec::new();
        let mut cost = 0;
        for pair in attention.offsets.windows(2) {
            let length = pair[1] - pair[0];
            cost += length * length * 2 * attention.heads * attention.head_dim;
            for first_query in (0..length).step_by(QUERIES_PER_TASK) {
                let queries = first_query..length.min(first_query + QUERIES_PER_TASK);
                pieces.push((pair[0], length, queries));
            }
        }
        let threads = parallelism.threads(cost, PAYS_FROM);
        let out = SharedOutput::new(out);
        for_each_task(threads, pieces.len() * attention.heads, |task| {
            let (first_token, length, queries) = pieces[task / attention.heads].clone();
            let head = task % attention.heads;
            let head_task = HeadTask { attention, out, head, first_token, length, queries };
            with_scratch(head_task.scratch_length(self.panel_width()), |scratch| {
                self.dispatch(TiledHeadTask { head_task, scratch });
            });
        });
    }
}

/// Some queries of one head of one sequence.
struct HeadTask<'a> {
    attention: &'a Attention<'a>,
    out: SharedOutput<'a>,
    head: usize,
    first_token: usize,
    length: usize,
    queries: Range<usize>,
}

/// One tile's memory, all with lanes of queries.
struct TileScratch<'a> {
    /// `[head_dim][queries]`, scaled
    queries: &'a mut [f32],
    /// `[KEY_BLOCK][queries]`
    scores: &'a mut [f32],
    /// `[head_dim][queries]`
    output: &'a mut [f32],
    /// The head's relative bias by query − key + length − 1, clamped; empty without one.
    bias: &'a mut [f32],
}

struct TiledHeadTask<'a> {
    head_task: HeadTask<'a>,
    scratch: &'a mut [f32],
}

impl Operation for TiledHeadTask<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let head_tile = self.head_task.attention.head_dim * columns::<S>();
        let (queries, scratch) = self.scratch.split_at_mut(head_tile);
        let (output, scratch) = scratch.split_at_mut(head_tile);
        let (scores, bias) = scratch.split_at_mut(KEY_BLOCK * columns::<S>());
        self.head_task.spread_bias(bias);
        let mut scratch = TileScratch { queries, scores, output, bias };
        for first in self.head_task.queries.clone().step_by(columns::<S>()) {
            let last = self.head_task.queries.end.min(first + columns::<S>());
            self.head_task.tile(simd, first..last, &mut scratch);
        }
    }
}

impl HeadTask<'_> {
    /// Length of [`TileScratch`] for tiles of `columns` queries.
    fn scratch_length(&self, columns: usize) -> usize {
        let bias = match self.attention.relative_bias {
            Some(_) => 2 * self.length + columns,
            None => 0,
        };
        (2 * self.attention.head_dim + KEY_BLOCK) * columns + bias
    }

    /// Row of `qkv` of a token of this sequence, from the given head's first value on.
    #[inline(always)]
    fn head_values(&self, token: usize, head: usize) -> &[f32] {
        &self.attention.qkv
            [(self.first_token + token) * self.attention.row_width() + head * self.attention.head_dim..]
    }

    /// Lays out the relative bias so that the lanes of a tile read it at consecutive places.
    fn spread_bias(&self, spread: &mut [f32]) {
        let Some(bias) = self.attention.relative_bias else {
            return;
        };
        let columns = 2 * bias.radius + 1;
        let table = &bias.table[self.head * columns..(self.head + 1) * columns];
        for (place, value) in spread.iter_mut().enumerate() {
            // place = query − key + length − 1
            let column = (bias.radius + self.length - 1).saturating_sub(place);
            *value = table[column.min(columns - 1)];
        }
    }

    #[inline(always)]
    fn tile<S: Simd>(&self, simd: S, queries: Range<usize>, scratch: &mut TileScratch<'_>) {
        let attention = self.attention;
        let (heads, kv_heads, head_dim) = (attention.heads, attention.kv_heads, attention.head_dim);
        let kv_head = self.head / (heads / kv_heads);
        let (key_head, value_head) = (heads + kv_head, heads + kv_heads + kv_head);
        let keys = attention.visible_keys(&queries, self.length);
        self.transpose_queries(simd, &queries, scratch.queries);
        let mut softmax = RunningSoftmax::new(simd);
        for first_key in keys.clone().step_by(KEY_BLOCK) {
            let block = first_key..keys.end.min(first_key + KEY_BLOCK);
            let scores = &mut scratch.scores[..block.len() * columns::<S>()];
            let key_rows = Operands {
                left: self.head_values(block.start, key_head).as_ptr(),
                left_row: attention.row_width(),
                left_step: 1,
                right: scratch.queries.as_ptr(),
                right_step: columns::<S>(),
                depth: head_dim,
            };
            // SAFETY: the keys of the block are rows of `qkv` (its shape is checked), and `scores` has one per key.
            unsafe { accumulate_tall(simd, block.len(), key_rows, scores, false) };
            if attention.relative_bias.is_some() {
                self.add_bias(simd, &queries, &block, scores, scratch.bias);
            }
            if attention.needs_mask(&queries, &block) {
                self.mask(simd, &queries, &block, scores);
            }
            let is_first = first_key == keys.start;
            softmax.absorb(simd, scores, if is_first { &mut [] } else { scratch.output });
            let value_columns = Operands {
                left: self.head_values(block.start, value_head).as_ptr(),
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
        softmax.divide(simd, scratch.output);
        self.store_transposed(simd, &queries, scratch.output);
    }

    /// `transposed[value][query]` = scale · query; zero beyond the last query.
    #[inline(always)]
    fn transpose_queries<S: Simd>(&self, simd: S, queries: &Range<usize>, transposed: &mut [f32]) {
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
    fn store_transposed<S: Simd>(&self, simd: S, queries: &Range<usize>, transposed: &[f32]) {
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
    fn add_bias<S: Simd>(
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
    fn mask<S: Simd>(&self, simd: S, queries: &Range<usize>, keys: &Range<usize>, scores: &mut [f32]) {
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

    #[inline(always)]
    fn divide<S: Simd<Vector = V>>(&self, simd: S, output: &mut [f32]) {
        let factors = self.sum.map(|sum| simd.div(simd.splat(1.0), sum));
        for row in output.chunks_exact_mut(columns::<S>()) {
            for (value, factor) in row.chunks_exact_mut(S::LANES).zip(factors) {
                simd.store(simd.mul(simd.load(value), factor), value);
            }
        }
    }
}

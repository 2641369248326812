//! Attention by 8-bit integers.
//!
//! Per head, queries get a scale per token, keys one per block, values one per block and channel; the weights of the sum are
//! powers of two of scores relative to the largest of their block, as bytes from 0 to 255: relative to the largest of
//! all, most weights would vanish beside the first or the last token, which often takes nearly everything. Every product
//! is exact, so what is lost is lost by rounding these. Blocks of keys start at multiples of [`KEY_BLOCK`], since a
//! block's scales must not depend on which queries look at it.

use std::f32::consts::LOG2_E;
use std::ops::Range;

use super::KEY_BLOCK;
use super::head::{HeadTask, divide};
use crate::dispatch::Operation;
use crate::gemm::byte_tile::{self, ByteOperands, Sink, Unsigned};
use crate::gemm::tile::columns;
use crate::math;
use crate::memory::bytes_of;
use crate::simd::{MAX_LANES, Simd};

/// log₂ 255: the largest weight becomes the largest byte.
const LOG2_TOP: f32 = 7.994_353_4;

/// Least divisor, so that zeros stay zeros.
const TINY: f32 = 1e-30;

/// A [`HeadTask`] and its scratch.
pub(super) struct QuantisedTask<'a> {
    pub(super) head_task: HeadTask<'a>,
    pub(super) scratch: &'a mut [f32],
}

/// What is made once for all tiles of a task, for the keys from `first_key` on.
struct Quantised<'a> {
    first_key: usize,
    /// Of this sequence, in whole blocks from `first_key` on, the last one cut at the sequence's end.
    keys: Range<usize>,
    /// `[keys][depth]` and spare ones, unsigned around 128
    key_bytes: &'a mut [u8],
    /// `[blocks]`
    key_scales: &'a mut [f32],
    /// `[blocks][head_dim][KEY_BLOCK]` and spare ones, signed
    value_bytes: &'a mut [u8],
    /// `[blocks][head_dim]`
    value_scales: &'a mut [f32],
}

/// One tile's memory, all with lanes of queries.
struct TileScratch<'a> {
    /// `[depth][queries]`
    queries: &'a mut [f32],
    /// `[⌈depth/64⌉·16][queries][4]`, signed, zeros beyond `depth`
    query_bytes: &'a mut [u8],
    /// `[KEY_BLOCK][queries]`
    scores: &'a mut [f32],
    /// `[KEY_BLOCK/4][queries][4]`, unsigned
    weights: &'a mut [u8],
    /// `[head_dim][queries]`
    output: &'a mut [f32],
    /// See [`HeadTask::spread_bias`].
    bias: &'a mut [f32],
}

impl QuantisedTask<'_> {
    /// Values of scratch for tiles of `columns` queries.
    pub(super) fn scratch_length(task: &HeadTask<'_>, columns: usize) -> usize {
        let (head_dim, depth) = (task.attention.head_dim, depth(task));
        let keys = block_keys(task).len();
        let blocks = keys.div_ceil(KEY_BLOCK);
        let shared =
            (key_bytes(keys, depth) + value_bytes(blocks, head_dim)) / 4 + blocks + blocks * head_dim;
        let tile = (depth + whole_depth(depth) / 4 + KEY_BLOCK + KEY_BLOCK / 4 + head_dim) * columns;
        shared + tile + task.bias_length(columns)
    }
}

/// A head's width, rounded up to whole steps of four.
fn depth(task: &HeadTask<'_>) -> usize {
    task.attention.head_dim.next_multiple_of(4)
}

/// As much of it as any instruction set multiplies at once.
fn whole_depth(depth: usize) -> usize {
    depth.next_multiple_of(4 * byte_tile::MOST_STEPS)
}

/// Bytes of this many keys and of what may be read beyond them.
fn key_bytes(keys: usize, depth: usize) -> usize {
    (keys + byte_tile::SPARE_ROWS) * depth + 4 * byte_tile::MOST_STEPS
}

/// Bytes of the values of this many blocks and of what may be read beyond them.
fn value_bytes(blocks: usize, head_dim: usize) -> usize {
    (blocks * head_dim + byte_tile::SPARE_ROWS) * KEY_BLOCK + 4 * byte_tile::MOST_STEPS
}

/// The keys in whole blocks that the task's queries may see.
fn block_keys(task: &HeadTask<'_>) -> Range<usize> {
    let seen = task.attention.visible_keys(&task.queries, task.length);
    seen.start / KEY_BLOCK * KEY_BLOCK..task.length.min(seen.end.next_multiple_of(KEY_BLOCK))
}

impl Operation for QuantisedTask<'_> {
    type Output = ();
    const MULTIPLIES_TILES: bool = true;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let task = &self.head_task;
        let (head_dim, depth, columns) = (task.attention.head_dim, depth(task), columns::<S>());
        let keys = block_keys(task);
        let blocks = keys.len().div_ceil(KEY_BLOCK);
        let mut rest = self.scratch;
        let mut take = |length: usize| {
            let (taken, left) = std::mem::take(&mut rest).split_at_mut(length);
            rest = left;
            taken
        };
        let mut quantised = Quantised {
            first_key: keys.start,
            key_bytes: bytes_of(take(key_bytes(keys.len(), depth) / 4)),
            key_scales: take(blocks),
            value_bytes: bytes_of(take(value_bytes(blocks, head_dim) / 4)),
            value_scales: take(blocks * head_dim),
            keys,
        };
        let mut scratch = TileScratch {
            queries: take(depth * columns),
            query_bytes: bytes_of(take(whole_depth(depth) / 4 * columns)),
            scores: take(KEY_BLOCK * columns),
            weights: bytes_of(take(KEY_BLOCK / 4 * columns)),
            output: take(head_dim * columns),
            bias: rest,
        };
        quantised.fill(simd, task);
        task.spread_bias(scratch.bias, LOG2_E);
        scratch.query_bytes[depth * columns..].fill(0);
        for first in task.queries.clone().step_by(columns) {
            let last = task.queries.end.min(first + columns);
            tile(task, simd, first..last, &quantised, &mut scratch);
        }
    }
}

impl Quantised<'_> {
    #[inline(always)]
    fn fill<S: Simd>(&mut self, simd: S, task: &HeadTask<'_>) {
        let (key_head, value_head) = task.key_and_value_heads();
        let (head_dim, depth) = (task.attention.head_dim, depth(task));
        for (block, first) in self.keys.clone().step_by(KEY_BLOCK).enumerate() {
            let count = KEY_BLOCK.min(self.keys.end - first);
            let rows = |head| Rows {
                values: task.head_values(first, head),
                row_width: task.attention.row_width(),
                head_dim,
                count,
            };
            let from = first - self.first_key;
            let bytes = &mut self.key_bytes[from * depth..(from + count) * depth];
            self.key_scales[block] = rows(key_head).write_keys(simd, bytes, depth);
            let bytes = &mut self.value_bytes[block * head_dim * KEY_BLOCK..];
            let scales = &mut self.value_scales[block * head_dim..(block + 1) * head_dim];
            for channel in (0..head_dim).step_by(S::LANES) {
                rows(value_head).write_values(simd, channel, bytes, scales);
            }
        }
    }

    /// The bytes of keys from `key` on.
    #[inline(always)]
    fn keys_from(&self, key: usize, depth: usize) -> &[u8] {
        &self.key_bytes[(key - self.first_key) * depth..]
    }
}

/// The keys or values of a head and a block, one per row.
struct Rows<'a> {
    /// From the first row's first value on.
    values: &'a [f32],
    row_width: usize,
    head_dim: usize,
    count: usize,
}

impl Rows<'_> {
    /// Up to a vector of a row's channels from `channel` on; 0 beyond the last.
    #[inline(always)]
    fn load<S: Simd>(&self, simd: S, row: usize, channel: usize) -> S::Vector {
        let from = row * self.row_width + channel;
        if channel + S::LANES <= self.head_dim {
            return simd.load(&self.values[from..]);
        }
        simd.load_padded(&self.values[from..][..self.head_dim - channel])
    }

    /// The largest magnitudes among all rows of the channels from `channel` on.
    #[inline(always)]
    fn largest<S: Simd>(&self, simd: S, channel: usize) -> S::Vector {
        let mut largest = simd.splat(TINY);
        for row in 0..self.count {
            largest = simd.max(simd.abs(self.load(simd, row, channel)), largest);
        }
        largest
    }

    /// Writes all rows as bytes around 128, `[count][depth]`, and returns their scale. What lies beyond a row's width
    /// may be anything, since queries are 0 there.
    #[inline(always)]
    fn write_keys<S: Simd>(&self, simd: S, bytes: &mut [u8], depth: usize) -> f32 {
        let mut largest = simd.splat(TINY);
        for channel in (0..self.head_dim).step_by(S::LANES) {
            largest = simd.max(self.largest(simd, channel), largest);
        }
        let largest = simd.largest(largest);
        let inverse = simd.splat(127.0 / largest);
        for channel in (0..self.head_dim).step_by(S::LANES) {
            for row in 0..self.count {
                let value = simd.mul_add(self.load(simd, row, channel), inverse, simd.splat(128.0));
                let rounded = simd.to_ints(value);
                let target = &mut bytes[row * depth + channel..(row + 1) * depth];
                if target.len() >= S::LANES {
                    // SAFETY: just checked to be LANES long.
                    unsafe { simd.store_bytes(rounded, target.as_mut_ptr()) };
                    continue;
                }
                let mut last = [0; MAX_LANES];
                // SAFETY: no instruction set has more lanes.
                unsafe { simd.store_bytes(rounded, last.as_mut_ptr()) };
                target.copy_from_slice(&last[..target.len()]);
            }
        }
        largest / 127.0
    }

    /// Writes some channels of all rows as signed bytes, `[head_dim][KEY_BLOCK]`, and their scales.
    #[inline(always)]
    fn write_values<S: Simd>(&self, simd: S, channel: usize, bytes: &mut [u8], scales: &mut [f32]) {
        let channels = (self.head_dim - channel).min(S::LANES);
        let largest = self.largest(simd, channel);
        simd.store_cut(simd.mul(largest, simd.splat(1.0 / 127.0)), &mut scales[channel..][..channels]);
        let inverse = simd.div(simd.splat(127.0), largest);
        let (mut by_quad, mut by_channel) = ([0.0; MAX_LANES * MAX_LANES], [0.0; MAX_LANES * MAX_LANES]);
        for first_row in (0..self.count).step_by(4 * S::LANES) {
            for (quad, joined) in by_quad.chunks_exact_mut(S::LANES).take(S::LANES).enumerate() {
                let first_row = first_row + 4 * quad;
                let mut four = [simd.splat_int(128); 4];
                for (row, rounded) in (first_row..self.count).zip(&mut four) {
                    let value = simd.mul_add(self.load(simd, row, channel), inverse, simd.splat(128.0));
                    *rounded = simd.to_ints(value);
                }
                // SAFETY: a chunk is LANES values long.
                unsafe {
                    simd.store_ints(simd.centre_bytes(simd.join_bytes(four)), joined.as_mut_ptr().cast())
                };
            }
            // SAFETY: both hold LANES rows of LANES values of four bytes.
            unsafe { simd.transpose(by_quad.as_ptr(), S::LANES, by_channel.as_mut_ptr(), S::LANES) };
            let rows = bytes_of(&mut by_channel).chunks_exact(4 * S::LANES).take(channels);
            for (row, target) in rows.zip(bytes[channel * KEY_BLOCK..].chunks_exact_mut(KEY_BLOCK)) {
                target[first_row..first_row + 4 * S::LANES].copy_from_slice(row);
            }
        }
    }
}

#[inline(always)]
fn tile<S: Simd>(
    task: &HeadTask<'_>,
    simd: S,
    queries: Range<usize>,
    quantised: &Quantised<'_>,
    scratch: &mut TileScratch<'_>,
) {
    let attention = task.attention;
    let (head_dim, depth) = (attention.head_dim, depth(task));
    let seen = attention.visible_keys(&queries, task.length);
    // Values lie in groups of four keys, counted from the sequence's start.
    let first_key = seen.start / 4 * 4;
    task.transpose_queries(simd, &queries, scratch.queries);
    let query_side = QuerySide::new(simd, scratch.queries, depth, head_dim, scratch.query_bytes);
    let mut softmax = Weights::new(simd);
    let mut from = first_key;
    while from < seen.end {
        let block = from / KEY_BLOCK * KEY_BLOCK;
        let keys = from..seen.end.min(block + KEY_BLOCK);
        from = keys.end;
        let scores = &mut scratch.scores[..keys.len() * columns::<S>()];
        let operands = ByteOperands {
            left: quantised.keys_from(keys.start, depth)[..key_bytes(keys.len(), depth)].as_ptr(),
            left_row: depth,
            left_step: 4,
            right: scratch.query_bytes.as_ptr(),
            right_step: 4 * columns::<S>(),
            steps: byte_tile::whole_steps::<S>(depth / 4),
        };
        let key_scale = simd.splat(quantised.key_scales[(block - quantised.first_key) / KEY_BLOCK]);
        let mut sink = Scores {
            scales: query_side.scales.map(|scale| simd.mul(scale, key_scale)),
            scores: scores.as_mut_ptr(),
            largest: [simd.splat(f32::MIN); 2],
        };
        // SAFETY: `left` and the scores have a row for each key and `left` spare ones; the queries' bytes are as deep as any
        // instruction set's steps, so that what `left` holds beyond `depth` meets zeros.
        unsafe {
            byte_tile::accumulate(
                simd,
                keys.len(),
                Unsigned::Left,
                operands,
                Some(query_side.start),
                &mut sink,
            );
        }
        let mut largest = sink.largest;
        let masked = attention.needs_mask(&queries, &keys);
        if attention.relative_bias.is_some() {
            task.add_bias(simd, &queries, &keys, scores, scratch.bias);
        }
        if masked {
            task.mask(simd, &queries, &keys, scores);
        }
        if masked || attention.relative_bias.is_some() {
            largest = largest_of(simd, scores);
        }
        let block_share = softmax.absorb(simd, scores, largest, scratch.weights);
        let quads = keys.len().div_ceil(4);
        let steps = byte_tile::whole_steps::<S>(quads);
        scratch.weights[4 * quads * columns::<S>()..4 * steps * columns::<S>()].fill(0);
        let block_index = (block - quantised.first_key) / KEY_BLOCK;
        let values = &quantised.value_bytes[block_index * head_dim * KEY_BLOCK..][..value_bytes(1, head_dim)];
        let operands = ByteOperands {
            left: values[keys.start - block..].as_ptr(),
            left_row: KEY_BLOCK,
            left_step: 4,
            right: scratch.weights.as_ptr(),
            right_step: 4 * columns::<S>(),
            steps,
        };
        let scales = &quantised.value_scales[block_index * head_dim..];
        let mut sink = WeightedSum {
            scales: scales[..head_dim].as_ptr(),
            block_share,
            is_first: keys.start == first_key,
            output: scratch.output[..head_dim * columns::<S>()].as_mut_ptr(),
        };
        // SAFETY: `left` holds the values of the block's keys and spare ones, there are as many weights as steps, zeros beyond
        // the last key, and the scales and the output have a row for each channel.
        unsafe {
            byte_tile::accumulate(simd, head_dim, Unsigned::Right, operands, None, &mut sink);
        }
    }
    divide(simd, softmax.sum, scratch.output);
    task.store_transposed(simd, &queries, scratch.output);
}

/// A tile's queries beside their bytes.
struct QuerySide<V, I> {
    /// Of each query, times log₂ e: scores are powers of two.
    scales: [V; 2],
    /// −128 · Σ bytes of each query, since keys are bytes around 128.
    start: [I; 2],
}

impl<V: Copy, I: Copy> QuerySide<V, I> {
    #[inline(always)]
    fn new<S: Simd<Vector = V, Ints = I>>(
        simd: S,
        queries: &mut [f32],
        depth: usize,
        head_dim: usize,
        bytes: &mut [u8],
    ) -> Self {
        queries[head_dim * columns::<S>()..].fill(0.0);
        let mut side = Self { scales: [simd.splat(0.0); 2], start: [simd.splat_int(0); 2] };
        for half in 0..2 {
            let row = |step: usize| &queries[step * columns::<S>() + half * S::LANES..][..S::LANES];
            let mut largest = simd.splat(TINY);
            for step in 0..head_dim {
                largest = simd.max(simd.abs(simd.load(row(step))), largest);
            }
            side.scales[half] = simd.mul(largest, simd.splat(LOG2_E / 127.0));
            let inverse = simd.div(simd.splat(127.0), largest);
            let ones = simd.splat_int(i32::from_ne_bytes([1; 4]));
            let mut sum = simd.splat_int(0);
            for quad in 0..depth / 4 {
                let mut four = [simd.splat_int(0); 4];
                for (step, rounded) in four.iter_mut().enumerate() {
                    let value = simd.mul_add(simd.load(row(4 * quad + step)), inverse, simd.splat(128.0));
                    *rounded = simd.to_ints(value);
                }
                let centred = simd.centre_bytes(simd.join_bytes(four));
                sum = simd.dot(ones, centred, sum);
                let target = &mut bytes[4 * (quad * columns::<S>() + half * S::LANES)..][..4 * S::LANES];
                // SAFETY: just taken to be 4·LANES bytes long.
                unsafe { simd.store_ints(centred, target.as_mut_ptr()) };
            }
            side.start[half] = simd.to_ints(simd.mul(simd.to_floats(sum), simd.splat(-128.0)));
        }
        side
    }
}

/// Scales the products of keys with queries.
struct Scores<V> {
    /// By query, times the block's scale.
    scales: [V; 2],
    /// `[keys][queries]`
    scores: *mut f32,
    /// Of each query, so far.
    largest: [V; 2],
}

impl<S: Simd> Sink<S> for Scores<S::Vector> {
    #[inline(always)]
    unsafe fn take(&mut self, simd: S, row: usize, sums: [S::Ints; 2]) {
        for (half, sum) in sums.into_iter().enumerate() {
            let score = simd.mul(simd.to_floats(sum), self.scales[half]);
            self.largest[half] = simd.max(score, self.largest[half]);
            // SAFETY: the caller promises the row.
            unsafe { simd.store_pointer(score, self.scores.add(row * columns::<S>() + half * S::LANES)) };
        }
    }
}

/// The largest of each query's scores `[keys][queries]`.
#[inline(always)]
fn largest_of<S: Simd>(simd: S, scores: &[f32]) -> [S::Vector; 2] {
    let mut largest = [simd.splat(f32::MIN); 2];
    for row in scores.chunks_exact(columns::<S>()) {
        largest[0] = simd.max(simd.load(row), largest[0]);
        largest[1] = simd.max(simd.load(&row[S::LANES..]), largest[1]);
    }
    largest
}

/// What the output so far and a block's own sum are to be multiplied by, per query.
struct BlockShare<V> {
    before: [V; 2],
    block: [V; 2],
}

/// Adds a block's weighted sum of values, channel by channel, to that of the blocks before.
struct WeightedSum<V> {
    /// By channel.
    scales: *const f32,
    block_share: BlockShare<V>,
    is_first: bool,
    /// `[head_dim][queries]`
    output: *mut f32,
}

impl<S: Simd> Sink<S> for WeightedSum<S::Vector> {
    #[inline(always)]
    unsafe fn take(&mut self, simd: S, row: usize, sums: [S::Ints; 2]) {
        // SAFETY: the caller promises the row.
        let scale = simd.splat(unsafe { *self.scales.add(row) });
        let BlockShare { before, block } = &self.block_share;
        for (half, sum) in sums.into_iter().enumerate() {
            let sum = simd.mul(simd.to_floats(sum), scale);
            // SAFETY: as above.
            unsafe {
                let output = self.output.add(row * columns::<S>() + half * S::LANES);
                let so_far = if self.is_first {
                    simd.splat(0.0)
                } else {
                    simd.mul(simd.load_pointer(output), before[half])
                };
                simd.store_pointer(simd.mul_add(sum, block[half], so_far), output);
            }
        }
    }
}

/// The largest score and the sum of weights so far, per query.
struct Weights<V> {
    largest: [V; 2],
    sum: [V; 2],
}

impl<V: Copy> Weights<V> {
    #[inline(always)]
    fn new<S: Simd<Vector = V>>(simd: S) -> Self {
        // Finite, so that a block in which a query sees nothing subtracts it from −∞ without a NaN.
        Self { largest: [simd.splat(f32::MIN); 2], sum: [simd.splat(0.0); 2] }
    }

    /// Writes a block's weights, `[⌈keys/4⌉][queries][4]`: 255 · 2^(score − largest of the block), 0 beyond the last key.
    #[inline(always)]
    fn absorb<S: Simd<Vector = V>>(
        &mut self,
        simd: S,
        scores: &[f32],
        largest: [V; 2],
        weights: &mut [u8],
    ) -> BlockShare<V> {
        let ones = simd.splat_int(i32::from_ne_bytes([1; 4]));
        let mut share = BlockShare { before: self.largest, block: largest };
        for half in 0..2 {
            let shift = simd.sub(largest[half], simd.splat(LOG2_TOP));
            let weight = |row: &[f32]| {
                let score = simd.load(&row[half * S::LANES..]);
                simd.to_ints(math::coarse_exp2(simd, simd.sub(score, shift)))
            };
            let mut sum = simd.splat_int(0);
            let quads = scores.chunks(4 * columns::<S>()).zip(weights.chunks_exact_mut(4 * columns::<S>()));
            for (rows, target) in quads {
                let mut four = [simd.splat_int(0); 4];
                for (row, place) in rows.chunks_exact(columns::<S>()).zip(&mut four) {
                    *place = weight(row);
                }
                let joined = simd.join_bytes(four);
                sum = simd.dot(joined, ones, sum);
                let target = &mut target[4 * half * S::LANES..][..4 * S::LANES];
                // SAFETY: just taken to be 4·LANES bytes long.
                unsafe { simd.store_ints(joined, target.as_mut_ptr()) };
            }
            let largest_of_all = simd.max(self.largest[half], largest[half]);
            let relative = |largest| math::coarse_exp2(simd, simd.sub(largest, largest_of_all));
            share.before[half] = relative(self.largest[half]);
            share.block[half] = relative(largest[half]);
            let before = simd.mul(self.sum[half], share.before[half]);
            self.sum[half] = simd.mul_add(simd.to_floats(sum), share.block[half], before);
            self.largest[half] = largest_of_all;
        }
        share
    }
}

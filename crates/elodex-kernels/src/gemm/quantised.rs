//! One task of a GEMM by 8-bit integers: its rows are quantised once, then multiplied panel by panel.
//!
//! Row r of `a` becomes unsigned bytes u with a scale s and a zero point z per group of inputs, a ≈ s·(u − z); weights
//! are signed bytes q with a scale t per output and group. A group's share of an output is
//! s·(t·Σ u·q − z·t·Σ q), whose first sum is exact, and the groups are added in their order.

use std::marker::PhantomData;
use std::ops::Range;

use super::byte_tile::{self, ByteOperands, Sink, Unsigned};
use super::epilogue::{TilePlace, WholeRows};
use super::tile::columns;
use super::{Block, MAX_TILE, Size, Tile};
use crate::activation::{Activation, CoarseGelu, Function, Identity};
use crate::dispatch::Operation;
use crate::memory::bytes_of;
use crate::pack::{BYTE_PANEL, BytePanels};
use crate::simd::{MAX_LANES, Simd};

/// Independent minima, maxima and sums, so that one need not wait for the last.
const CHAINS: usize = 4;

/// Least range of a row that is not all zeros.
const TINY: f32 = 1e-30;

/// Bytes of quantised rows at a time: they stay in the second-level cache beside a panel.
const ROWS_BYTES: usize = 256 * 1024;

/// Rows of `a` that one task takes at most.
pub(super) fn row_block(k: usize) -> usize {
    (ROWS_BYTES / row_stride(k)).clamp(MAX_TILE / (2 * MAX_LANES), super::ROW_BLOCK)
}

/// f32 values of scratch for `rows` rows.
pub(super) fn scratch_length(rows: usize, weight: &BytePanels, k: usize) -> usize {
    (rows + byte_tile::SPARE_ROWS) * row_stride(k) / 4 + rows * 2 * weight.groups(k)
}

/// Bytes from one quantised row to the next: an odd number of cache lines, so that the rows of a tile spread over the
/// sets of the first-level cache.
fn row_stride(k: usize) -> usize {
    64 * (k.div_ceil(64) | 1)
}

impl<F: Fn(usize) -> usize> Operation for Block<'_, BytePanels, F> {
    type Output = ();
    const MULTIPLIES_TILES: bool = true;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Size { k, n, rows, tiles, panels } = self.size;
        let (weight, first_row, row_count) = (self.weight, rows.start, rows.len());
        let (groups, stride) = (weight.groups(k), row_stride(k));
        let (scales, rest) = self.scratch.split_at_mut(row_count * groups);
        let (zeros, bytes) = rest.split_at_mut(row_count * groups);
        let bytes = bytes_of(bytes);
        for (index, bytes) in bytes.chunks_exact_mut(stride).take(row_count).enumerate() {
            let row = &self.a[(first_row + index) * k..][..k];
            for (group, (values, bytes)) in
                row.chunks(weight.group()).zip(bytes.chunks_mut(weight.group())).enumerate()
            {
                let (scale, zero) = match weight.input_factors() {
                    [] => quantise(simd, values, Unchanged, bytes),
                    factors => quantise(simd, values, Scaled(&factors[group * weight.group()..]), bytes),
                };
                scales[index * groups + group] = scale;
                zeros[index * groups + group] = zero;
            }
        }

        let mut tile = Tile([0.0; MAX_TILE]);
        for column in panels.flat_map(|panel| panel_columns::<S>(panel, n)) {
            let panel = weight.panel(column / BYTE_PANEL, k);
            for tile_index in tiles.clone() {
                let row = (self.tile_starts)(tile_index);
                let rows = (self.tile_starts)(tile_index + 1) - row;
                let first = row - first_row;
                let place = TilePlace { out: self.out, n, row, rows, column };
                for group in 0..groups {
                    let steps = weight.group_steps(group, k);
                    let from = 4 * steps.start;
                    let last = (rows + byte_tile::SPARE_ROWS - 1) * stride;
                    let left = &bytes[first * stride + from..][..last + 4 * steps.len()];
                    let right = &panel[from * BYTE_PANEL..][..4 * steps.len() * BYTE_PANEL];
                    let operands = ByteOperands {
                        left: left.as_ptr(),
                        left_row: stride,
                        left_step: 4,
                        right: right[4 * (column % BYTE_PANEL)..].as_ptr(),
                        right_step: 4 * BYTE_PANEL,
                        steps: steps.len(),
                    };
                    let sums = Dequantise {
                        scales: rows_of(scales, first, rows, group, groups),
                        zeros: rows_of(zeros, first, rows, group, groups),
                        groups,
                        weight_scales: load_two(simd, &weight.scales(group, n)[column..]),
                        weight_sums: load_two(simd, &weight.scaled_sums(group, n)[column..]),
                    };
                    macro_rules! accumulate_into {
                        ($sink:expr) => {
                            // SAFETY: `left` holds the group's bytes of `rows` rows and of spare ones, and `right`
                            // those of a panel, in which the tile's columns lie.
                            unsafe {
                                byte_tile::accumulate(simd, rows, Unsigned::Left, operands, None, &mut $sink)
                            }
                        };
                    }
                    // Complete sums of whole tiles go on from the registers they are in.
                    let whole = groups == 1 && column + columns::<S>() <= n;
                    match (self.epilogue.activation, self.epilogue.residual) {
                        (Activation::Identity, None) if whole => {
                            let rest = place.whole_rows::<S, false>(simd, &self.epilogue);
                            accumulate_into!(Finish::<_, Identity, _> { sums, rest, function: PhantomData });
                        }
                        (Activation::Identity, Some(_)) if whole => {
                            let rest = place.whole_rows::<S, true>(simd, &self.epilogue);
                            accumulate_into!(Finish::<_, Identity, _> { sums, rest, function: PhantomData });
                        }
                        (Activation::Gelu, None) if whole => {
                            let rest = place.whole_rows::<S, false>(simd, &self.epilogue);
                            accumulate_into!(Finish::<_, CoarseGelu, _> {
                                sums,
                                rest,
                                function: PhantomData
                            });
                        }
                        _ => {
                            accumulate_into!(AddToTile { sums, tile: &mut tile.0, resume: group > 0 });
                            if group + 1 == groups {
                                place.finish_coarse(simd, &tile.0, &self.epilogue);
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Where the tiles of a panel start, among `n` outputs.
#[inline(always)]
fn panel_columns<S: Simd>(panel: usize, n: usize) -> std::iter::StepBy<Range<usize>> {
    (panel * BYTE_PANEL..n.min((panel + 1) * BYTE_PANEL)).step_by(columns::<S>())
}

#[inline(always)]
fn load_two<S: Simd>(simd: S, values: &[f32]) -> [S::Vector; 2] {
    [simd.load(values), simd.load(&values[S::LANES..])]
}

/// Where the numbers of some rows start that lie `groups` apart.
#[inline(always)]
fn rows_of(values: &[f32], first: usize, rows: usize, group: usize, groups: usize) -> *const f32 {
    values[first * groups + group..][..(rows - 1) * groups + 1].as_ptr()
}

/// Turns sums into f32.
struct Dequantise<V> {
    /// One every `groups` values for each row of the tile.
    scales: *const f32,
    zeros: *const f32,
    groups: usize,
    weight_scales: [V; 2],
    weight_sums: [V; 2],
}

impl<V: Copy> Dequantise<V> {
    /// s·(t·Σ u·q − z·t·Σ q) + `before`
    ///
    /// # Safety
    /// `row` is one of the tile's.
    #[inline(always)]
    unsafe fn add<S: Simd<Vector = V>>(
        &self,
        simd: S,
        row: usize,
        half: usize,
        sum: S::Ints,
        before: V,
    ) -> V {
        // SAFETY: the caller promises the row, and there is a value for each.
        let (scale, zero) =
            unsafe { (*self.scales.add(row * self.groups), *self.zeros.add(row * self.groups)) };
        let sum = simd.mul(simd.to_floats(sum), self.weight_scales[half]);
        let centred = simd.neg_mul_add(simd.splat(zero), self.weight_sums[half], sum);
        simd.mul_add(centred, simd.splat(scale), before)
    }
}

/// Adds sums to a tile in memory.
struct AddToTile<'a, V> {
    sums: Dequantise<V>,
    tile: &'a mut [f32],
    /// Whether the tile holds the sum of earlier groups.
    resume: bool,
}

impl<S: Simd> Sink<S> for AddToTile<'_, S::Vector> {
    #[inline(always)]
    unsafe fn take(&mut self, simd: S, row: usize, sums: [S::Ints; 2]) {
        for (half, sum) in sums.into_iter().enumerate() {
            let tile = &mut self.tile[row * columns::<S>() + half * S::LANES..];
            let before = if self.resume { simd.load(tile) } else { simd.splat(0.0) };
            // SAFETY: passed on from the caller.
            simd.store(unsafe { self.sums.add(simd, row, half, sum, before) }, tile);
        }
    }
}

/// Makes outputs of complete sums.
struct Finish<V, F, R> {
    sums: Dequantise<V>,
    rest: R,
    function: PhantomData<F>,
}

impl<S: Simd, F: Function, const RESIDUAL: bool> Sink<S>
    for Finish<S::Vector, F, WholeRows<S::Vector, RESIDUAL>>
{
    #[inline(always)]
    unsafe fn take(&mut self, simd: S, row: usize, sums: [S::Ints; 2]) {
        for (half, sum) in sums.into_iter().enumerate() {
            // SAFETY: passed on from the caller.
            unsafe {
                let value = self.sums.add(simd, row, half, sum, self.rest.bias[half]);
                self.rest.store(simd, row, half, F::apply(simd, value));
            }
        }
    }
}

/// Writes `values`, times their factors where there are any, as bytes and returns their scale s and zero point z:
/// value ≈ s·(byte − z), exact for 0. Bytes beyond the values are left as they are. A value that is not finite makes
/// the scale NaN.
#[inline(always)]
fn quantise<S: Simd>(simd: S, values: &[f32], factors: impl Factors, bytes: &mut [u8]) -> (f32, f32) {
    let nothing = simd.splat(0.0);
    let (mut least, mut most, mut probe) = ([nothing; CHAINS], [nothing; CHAINS], [nothing; CHAINS]);
    let (whole, rest) = values.as_chunks::<{ CHAINS * MAX_LANES }>();
    for (index, chunk) in whole.iter().enumerate() {
        for (part, values) in chunk.chunks_exact(S::LANES).enumerate() {
            let at = index * CHAINS * MAX_LANES + part * S::LANES;
            let value = factors.apply(simd, simd.load(values), at);
            let chain = part % CHAINS;
            least[chain] = simd.min(value, least[chain]);
            most[chain] = simd.max(value, most[chain]);
            probe[chain] = simd.mul_add(value, nothing, probe[chain]);
        }
    }
    let done = values.len() - rest.len();
    for (part, values) in rest.chunks(S::LANES).enumerate() {
        let value = factors.apply(simd, simd.load_padded(values), done + part * S::LANES);
        least[0] = simd.min(value, least[0]);
        most[0] = simd.max(value, most[0]);
        probe[0] = simd.mul_add(value, nothing, probe[0]);
    }
    let least = simd.min(simd.min(least[0], least[1]), simd.min(least[2], least[3]));
    let most = simd.max(simd.max(most[0], most[1]), simd.max(most[2], most[3]));
    let probe = simd.add(simd.add(probe[0], probe[1]), simd.add(probe[2], probe[3]));
    let least = -simd.largest(simd.sub(nothing, least));
    let range = simd.largest(most) - least;
    // 254 steps and a zero point rounded up: no byte is rounded below 0 or above 255, so none needs to be clamped. A
    // row of zeros needs some scale; any will do.
    let scale = if range > TINY { range / 254.0 } else { 1.0 };
    let inverse = 1.0 / scale;
    let zero = (-least * inverse).ceil();
    let (inverse, offset) = (simd.splat(inverse), simd.splat(zero));
    let byte = |value| simd.to_ints(simd.mul_add(value, inverse, offset));
    for (at, values) in (0..).step_by(S::LANES).zip(values.chunks(S::LANES)) {
        if values.len() == S::LANES {
            let value = factors.apply(simd, simd.load(values), at);
            let bytes = &mut bytes[at..at + S::LANES];
            // SAFETY: just taken to be LANES long.
            unsafe { simd.store_bytes(byte(value), bytes.as_mut_ptr()) };
            continue;
        }
        let value = factors.apply(simd, simd.load_padded(values), at);
        let mut last = [0; MAX_LANES];
        // SAFETY: no instruction set has more lanes.
        unsafe { simd.store_bytes(byte(value), last.as_mut_ptr()) };
        bytes[at..at + values.len()].copy_from_slice(&last[..values.len()]);
    }
    (scale + simd.sum(probe), zero)
}

/// What values are multiplied by before they are rounded.
trait Factors {
    /// `value`, which holds the values from `at` on, times their factors.
    fn apply<S: Simd>(&self, simd: S, value: S::Vector, at: usize) -> S::Vector;
}

struct Unchanged;

/// By these.
struct Scaled<'a>(&'a [f32]);

impl Factors for Unchanged {
    #[inline(always)]
    fn apply<S: Simd>(&self, _: S, value: S::Vector, _: usize) -> S::Vector {
        value
    }
}

impl Factors for Scaled<'_> {
    #[inline(always)]
    fn apply<S: Simd>(&self, simd: S, value: S::Vector, at: usize) -> S::Vector {
        simd.mul(value, simd.load_padded(&self.0[at..]))
    }
}

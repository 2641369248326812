//! One task of a GEMM by 8-bit integers: its rows are quantised once, then multiplied panel by panel.
//!
//! Row r of `a` becomes unsigned bytes u with a scale s and a zero point z per group of inputs, a ≈ s·(u − z); weights
//! are signed bytes q with a scale t per output and group. A group's share of an output is
//! s·(t·Σ u·q − z·t·Σ q), whose first sum is exact, and the groups are added in their order.

use std::ops::Range;

use super::byte_tile::{self, ByteOperands, Sink, Unsigned};
use super::epilogue::{Epilogue, TilePlace};
use super::tile::columns;
use super::{MAX_TILE, Tile};
use crate::dispatch::Operation;
use crate::memory::bytes_of;
use crate::pack::{BYTE_PANEL, BytePanels};
use crate::parallel::SharedOutput;
use crate::simd::{MAX_LANES, Simd};

/// Bytes of quantised rows at a time: they stay in the second-level cache beside a panel.
const ROWS_BYTES: usize = 256 * 1024;

/// Rows of `a` that one task takes at most.
pub(super) fn row_block(k: usize) -> usize {
    (ROWS_BYTES / row_stride(k)).clamp(MAX_TILE / (2 * MAX_LANES), super::ROW_BLOCK)
}

/// f32 values of scratch for `rows` rows.
pub(super) fn scratch_length(rows: usize, weight: &BytePanels, k: usize) -> usize {
    rows * (row_stride(k) / 4 + 2 * weight.groups(k))
}

/// Bytes from one quantised row to the next: an odd number of cache lines, so that the rows of a tile spread over the
/// sets of the first-level cache.
fn row_stride(k: usize) -> usize {
    64 * (k.div_ceil(64) | 1)
}

/// One task: some tiles of rows by some panels.
pub(super) struct QuantisedBlock<'a, F> {
    pub(super) a: &'a [f32],
    pub(super) k: usize,
    pub(super) n: usize,
    pub(super) weight: &'a BytePanels,
    pub(super) epilogue: Epilogue<'a>,
    pub(super) out: SharedOutput<'a>,
    pub(super) rows: Range<usize>,
    pub(super) tile_starts: F,
    pub(super) tiles: Range<usize>,
    pub(super) panels: Range<usize>,
    /// See [`scratch_length`].
    pub(super) scratch: &'a mut [f32],
}

impl<F: Fn(usize) -> usize> Operation for QuantisedBlock<'_, F> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let (k, n, weight, first_row) = (self.k, self.n, self.weight, self.rows.start);
        let (groups, stride) = (weight.groups(k), row_stride(k));
        let (scales, rest) = self.scratch.split_at_mut(self.rows.len() * groups);
        let (zeros, bytes) = rest.split_at_mut(self.rows.len() * groups);
        let bytes = bytes_of(bytes);
        for (index, bytes) in bytes.chunks_exact_mut(stride).enumerate() {
            let row = &self.a[(first_row + index) * k..][..k];
            for (group, (values, bytes)) in
                row.chunks(weight.group()).zip(bytes.chunks_mut(weight.group())).enumerate()
            {
                let (scale, zero) = quantise(simd, values, bytes);
                scales[index * groups + group] = scale;
                zeros[index * groups + group] = zero;
            }
        }

        let mut tile = Tile([0.0; MAX_TILE]);
        for column in self.panels.flat_map(|panel| panel_columns::<S>(panel, n)) {
            let panel = weight.panel(column / BYTE_PANEL, k);
            for tile_index in self.tiles.clone() {
                let row = (self.tile_starts)(tile_index);
                let rows = (self.tile_starts)(tile_index + 1) - row;
                let first = row - first_row;
                for group in 0..groups {
                    let steps = weight.group_steps(group, k);
                    let from = 4 * steps.start;
                    let left = &bytes[first * stride + from..][..(rows - 1) * stride + 4 * steps.len()];
                    let right = &panel[from * BYTE_PANEL..][..4 * steps.len() * BYTE_PANEL];
                    let operands = ByteOperands {
                        left: left.as_ptr(),
                        left_row: stride,
                        left_step: 4,
                        right: right[4 * (column % BYTE_PANEL)..].as_ptr(),
                        right_step: 4 * BYTE_PANEL,
                        steps: steps.len(),
                    };
                    let mut sink = Dequantise {
                        tile: &mut tile.0,
                        scales: &scales[first * groups + group..],
                        zeros: &zeros[first * groups + group..],
                        groups,
                        weight_scales: load_two(simd, &weight.scales(group, n)[column..]),
                        weight_sums: load_two(simd, &weight.scaled_sums(group, n)[column..]),
                        resume: group > 0,
                    };
                    let start = [simd.splat_int(0); 2];
                    // SAFETY: `left` holds the group's bytes of `rows` rows and `right` those of a panel, in which
                    // the tile's columns lie.
                    unsafe { byte_tile::accumulate(simd, rows, Unsigned::Left, operands, start, &mut sink) };
                }
                let place = TilePlace { out: self.out, n, row, rows, column };
                place.finish_coarse(simd, &tile.0, &self.epilogue);
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

/// Turns sums into f32.
struct Dequantise<'a, V> {
    tile: &'a mut [f32],
    /// By row and group, from the tile's first row and the group at hand.
    scales: &'a [f32],
    zeros: &'a [f32],
    groups: usize,
    weight_scales: [V; 2],
    weight_sums: [V; 2],
    /// Whether the tile holds the sum of earlier groups.
    resume: bool,
}

impl<S: Simd> Sink<S> for Dequantise<'_, S::Vector> {
    #[inline(always)]
    fn take(&mut self, simd: S, row: usize, sums: [S::Ints; 2]) {
        let scale = simd.splat(self.scales[row * self.groups]);
        let zero = simd.splat(self.zeros[row * self.groups]);
        for half in 0..2 {
            let sum = simd.mul(simd.to_floats(sums[half]), self.weight_scales[half]);
            let centred = simd.neg_mul_add(zero, self.weight_sums[half], sum);
            let tile = &mut self.tile[row * columns::<S>() + half * S::LANES..];
            let before = if self.resume { simd.load(tile) } else { simd.splat(0.0) };
            simd.store(simd.mul_add(centred, scale, before), tile);
        }
    }
}

/// Writes `values` as bytes and returns their scale s and zero point z: value ≈ s·(byte − z), exact for 0. Bytes beyond
/// the values are left as they are. A value that is not finite makes the scale NaN.
#[inline(always)]
pub(crate) fn quantise<S: Simd>(simd: S, values: &[f32], bytes: &mut [u8]) -> (f32, f32) {
    let nothing = simd.splat(0.0);
    let (mut least, mut most, mut probe) = (nothing, nothing, nothing);
    for chunk in values.chunks(S::LANES) {
        let value = simd.load_padded(chunk);
        least = simd.min(value, least);
        most = simd.max(value, most);
        probe = simd.mul_add(value, nothing, probe);
    }
    let least = -simd.largest(simd.sub(nothing, least));
    let range = simd.largest(most) - least;
    // A row of zeros needs some scale; any will do.
    let scale = if range > 0.0 { range / 255.0 } else { 1.0 };
    let inverse = 1.0 / scale;
    let zero = (-least * inverse).round_ties_even();
    let (inverse, offset) = (simd.splat(inverse), simd.splat(zero));
    let top = simd.splat(255.0);
    let byte = |value| {
        let byte = simd.mul_add(value, inverse, offset);
        simd.to_ints(simd.min(simd.max(byte, nothing), top))
    };
    let mut whole = values.chunks_exact(S::LANES);
    for (chunk, bytes) in (&mut whole).zip(bytes.chunks_mut(S::LANES)) {
        let bytes = &mut bytes[..S::LANES];
        // SAFETY: just checked to be LANES long.
        unsafe { simd.store_bytes(byte(simd.load(chunk)), bytes.as_mut_ptr()) };
    }
    let rest = whole.remainder();
    if !rest.is_empty() {
        let mut last = [0; MAX_LANES];
        // SAFETY: no instruction set has more lanes.
        unsafe { simd.store_bytes(byte(simd.load_padded(rest)), last.as_mut_ptr()) };
        let from = values.len() - rest.len();
        bytes[from..values.len()].copy_from_slice(&last[..rest.len()]);
    }
    (scale + simd.sum(probe), zero)
}

//! One task of an f32 GEMM: the depth in blocks, panel by panel, tile by tile.
//!
//! A tile carries its partial sums through the output between blocks of the depth, so how an output is summed up depends on
//! k and the instruction set alone.

#[cfg(target_arch = "x86_64")]
use super::amx::floats::{self, Split};
use super::epilogue::TilePlace;
use super::tile::{self, Operands, columns};
use super::{Block, MAX_TILE, Size, Tile};
use crate::dispatch::Operation;
use crate::isa::Isa;
use crate::pack::{FloatPanels, Steps, widened};
use crate::parallel::part;
use crate::simd::Simd;

/// Steps of the depth at a time: a panel's block stays in the second-level cache beside the rows' block.
pub(super) const DEPTH_BLOCK: usize = 512;

/// Floats from one copied row to the next: an odd number of cache lines, so that the rows of a tile spread over the
/// sets of the first-level cache even where k is a power of two.
const ROW_STRIDE: usize = DEPTH_BLOCK + 16;

/// f32 values of scratch for `rows` rows.
pub(super) fn scratch_length(isa: Isa, rows: usize, weight: &FloatPanels) -> usize {
    match isa {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512Amx => floats::scratch_length(rows),
        _ => rows * ROW_STRIDE + weight.widened_length(DEPTH_BLOCK),
    }
}

/// Multiplies the tiles of a block for a block of the depth.
pub(super) trait Multiplier<S: Simd> {
    /// Takes the block's `row`th row.
    fn take_row(&mut self, simd: S, row: usize, values: &[f32]);

    /// Sets (or, if it resumes, adds to) `out[row·columns + column]` = Σ left·right over the depth.
    ///
    /// # Safety
    /// The tile's rows were taken, as long as its steps are many.
    unsafe fn multiply(&mut self, simd: S, tile: TileOperands<'_>);
}

/// What a tile is made of.
pub(super) struct TileOperands<'a> {
    /// The first of its rows among those of the block.
    pub(super) row: usize,
    pub(super) rows: usize,
    /// A panel's steps.
    pub(super) right: Steps<'a>,
    /// Whether the last tile was of another panel or depth.
    pub(super) is_new: bool,
    pub(super) out: &'a mut [f32; MAX_TILE],
    pub(super) resume: bool,
}

impl<F: Fn(usize) -> usize> Operation for Block<'_, FloatPanels, F> {
    type Output = ();
    const MULTIPLIES_TILES: bool = true;

    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        let scratch = std::mem::take(&mut self.scratch);
        #[cfg(target_arch = "x86_64")]
        if S::HAS_AMX {
            let split = Split::new(scratch, self.size.rows.len(), self.size.tiles.len());
            return self.multiply(simd, split);
        }
        let (rows, panel) = scratch.split_at_mut(self.size.rows.len() * ROW_STRIDE);
        self.multiply(simd, Copied { rows, panel });
    }
}

impl<F: Fn(usize) -> usize> Block<'_, FloatPanels, F> {
    #[inline(always)]
    fn multiply<S: Simd>(self, simd: S, mut multiplier: impl Multiplier<S>) {
        let Size { k, n, rows, tiles, panels } = self.size;
        let depth_blocks = k.div_ceil(DEPTH_BLOCK).max(1);
        let mut tile = Tile([0.0; MAX_TILE]);
        for depth_block in 0..depth_blocks {
            let depth = part(k, depth_blocks, depth_block);
            for (row, values) in self.a[rows.start * k..rows.end * k].chunks_exact(k.max(1)).enumerate() {
                multiplier.take_row(simd, row, &values[depth.clone()]);
            }
            for panel in panels.clone() {
                let right = self.weight.steps(panel, k, depth.clone());
                for tile_index in tiles.clone() {
                    let row = (self.tile_starts)(tile_index);
                    let tile_rows = (self.tile_starts)(tile_index + 1) - row;
                    let place =
                        TilePlace { out: self.out, n, row, rows: tile_rows, column: panel * columns::<S>() };
                    if depth_block > 0 {
                        place.read_back(simd, &mut tile.0);
                    }
                    let is_new = tile_index == tiles.start;
                    let operands = TileOperands {
                        row: row - rows.start,
                        rows: tile_rows,
                        right,
                        is_new,
                        out: &mut tile.0,
                        resume: depth_block > 0,
                    };
                    // SAFETY: all rows were taken for this block of the depth.
                    unsafe { multiplier.multiply(simd, operands) };
                    if depth_block + 1 < depth_blocks {
                        place.write_partial(simd, &tile.0);
                    } else {
                        place.finish(simd, &tile.0, &self.epilogue);
                    }
                }
            }
        }
    }
}

/// Rows copied next to each other: every output is one chain of multiply-adds over k.
struct Copied<'a> {
    rows: &'a mut [f32],
    /// The steps that are multiplied by, where they had to be widened.
    panel: &'a mut [f32],
}

impl<S: Simd> Multiplier<S> for Copied<'_> {
    #[inline(always)]
    fn take_row(&mut self, _: S, row: usize, values: &[f32]) {
        self.rows[row * ROW_STRIDE..][..values.len()].copy_from_slice(values);
    }

    #[inline(always)]
    unsafe fn multiply(&mut self, simd: S, tile: TileOperands<'_>) {
        let TileOperands { row, rows, right, is_new, out, resume } = tile;
        let right = match right {
            Steps::F32(right) => right,
            Steps::Bf16(bits) => {
                let panel = &mut self.panel[..bits.len()];
                if is_new {
                    for (value, bits) in panel.iter_mut().zip(bits) {
                        *value = widened(*bits);
                    }
                }
                panel
            }
        };
        let operands = Operands {
            left: self.rows[row * ROW_STRIDE..].as_ptr(),
            left_row: ROW_STRIDE,
            left_step: 1,
            right: right.as_ptr(),
            right_step: columns::<S>(),
            depth: right.len() / columns::<S>(),
        };
        // SAFETY: each row holds ROW_STRIDE values, at least as many as the depth, and a tile is as long as any.
        unsafe { tile::accumulate(simd, rows, operands, out.as_mut_ptr(), resume) };
    }
}

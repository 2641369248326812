//! One task of an f32 GEMM: the depth in blocks, panel by panel, tile by tile.
//!
//! A tile carries its partial sums through the output between blocks of the depth, so every output is one chain of
//! multiply-adds over k whatever the blocking.

use super::epilogue::TilePlace;
use super::tile::{self, Operands, columns};
use super::{Block, MAX_TILE, Size, Tile};
use crate::dispatch::Operation;
use crate::pack::FloatPanels;
use crate::parallel::part;
use crate::simd::Simd;

/// Steps of the depth at a time: a panel's block stays in the second-level cache beside the rows' block.
const DEPTH_BLOCK: usize = 512;

/// Floats from one copied row to the next: an odd number of cache lines, so that the rows of a tile spread over the
/// sets of the first-level cache even where k is a power of two.
const ROW_STRIDE: usize = DEPTH_BLOCK + 16;

/// f32 values of scratch for `rows` rows.
pub(super) fn scratch_length(rows: usize) -> usize {
    rows * ROW_STRIDE
}

impl<F: Fn(usize) -> usize> Operation for Block<'_, FloatPanels, F> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Size { k, n, rows, tiles, panels } = self.size;
        let first_row = rows.start;
        let depth_blocks = k.div_ceil(DEPTH_BLOCK).max(1);
        let mut tile = Tile([0.0; MAX_TILE]);
        for depth_block in 0..depth_blocks {
            let depth = part(k, depth_blocks, depth_block);
            for (row, copy) in self.scratch.chunks_exact_mut(ROW_STRIDE).enumerate() {
                let from = (first_row + row) * k;
                copy[..depth.len()].copy_from_slice(&self.a[from + depth.start..from + depth.end]);
            }
            for panel in panels.clone() {
                let right =
                    &self.weight.panel(panel, k)[depth.start * columns::<S>()..depth.end * columns::<S>()];
                for tile_index in tiles.clone() {
                    let row = (self.tile_starts)(tile_index);
                    let tile_rows = (self.tile_starts)(tile_index + 1) - row;
                    let left = &self.scratch[(row - first_row) * ROW_STRIDE..];
                    let place =
                        TilePlace { out: self.out, n, row, rows: tile_rows, column: panel * columns::<S>() };
                    if depth_block > 0 {
                        place.read_back(simd, &mut tile.0);
                    }
                    let operands = Operands {
                        left: left.as_ptr(),
                        left_row: ROW_STRIDE,
                        left_step: 1,
                        right: right.as_ptr(),
                        right_step: columns::<S>(),
                        depth: depth.len(),
                    };
                    // SAFETY: `left` holds `tile_rows` rows of ROW_STRIDE ≥ depth values, `right` holds `depth`
                    // steps of a panel, and the tile is as large as any instruction set's.
                    unsafe {
                        tile::accumulate(simd, tile_rows, operands, tile.0.as_mut_ptr(), depth_block > 0)
                    };
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

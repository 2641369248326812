//! f32 GEMM against packed weights: blocks of rows × ranges of panels, split over threads; inside, the depth in
//! blocks, panel by panel, tile by tile.
//!
//! The reduction dimension is never split over threads, and a tile carries its partial sums through the output
//! between blocks of the depth, so every output is one chain of multiply-adds over k whatever the blocking.

mod epilogue;
pub(crate) mod tile;

use std::ops::Range;

pub use self::epilogue::Epilogue;
use self::epilogue::TilePlace;
use self::tile::{Operands, columns};
use crate::dispatch::Operation;
use crate::isa::Kernels;
use crate::memory::with_scratch;
use crate::pack::PackedMatrix;
use crate::parallel::{Parallelism, SharedOutput, for_each_task, part};
use crate::simd::{MAX_LANES, Simd};

/// Steps of the depth at a time: a panel's block stays in the second-level cache beside the rows' block.
const DEPTH_BLOCK: usize = 512;

/// Floats from one copied row to the next: an odd number of cache lines, so that the rows of a tile spread over the
/// sets of the first-level cache even where k is a power of two.
const ROW_STRIDE: usize = DEPTH_BLOCK + 16;

/// Rows at a time, about: their copy takes 400 kB of the second-level cache.
const ROW_BLOCK: usize = 192;

/// Multiply-adds from which waking a second thread pays.
const PAYS_FROM: usize = 1 << 20;

/// Largest tile of any instruction set, in values.
const MAX_TILE: usize = 12 * 2 * MAX_LANES;

#[repr(align(64))]
struct Tile([f32; MAX_TILE]);

impl Kernels {
    /// Columns of a panel of packed weights.
    pub(crate) fn panel_width(self) -> usize {
        self.dispatch(TileShape).1
    }

    /// `out[m, n] = activation(a[m, k] · weightᵀ + bias) + residual`.
    ///
    /// # Panics
    /// If a slice's length is not that of its shape, or `weight` is packed for another instruction set.
    pub fn linear(
        self,
        a: &[f32],
        m: usize,
        weight: &PackedMatrix,
        epilogue: Epilogue<'_>,
        out: &mut [f32],
        parallelism: Parallelism,
    ) {
        let (n, k) = (weight.n(), weight.k());
        assert_eq!(weight.isa(), self.isa(), "weight is packed for another instruction set");
        assert_eq!(a.len(), m * k, "a is not [m, k] = [{m}, {k}]");
        assert_eq!(out.len(), m * n, "out is not [m, n] = [{m}, {n}]");
        epilogue.check(m, n);
        if m == 0 || n == 0 {
            return;
        }
        let threads = parallelism.threads(m * n * k, PAYS_FROM);
        let (row_blocks, column_blocks) = self.grid(m, weight.panels(), threads);
        let (tile_rows, _) = self.dispatch(TileShape);
        // Blocks of rows get equally many tiles, and tiles nearly equally many rows: a shorter one wastes loads.
        let tiles = m.div_ceil(tile_rows).next_multiple_of(row_blocks);
        let out = SharedOutput::new(out);
        for_each_task(threads, row_blocks * column_blocks, |task| {
            let block_tiles = part(tiles, row_blocks, task / column_blocks);
            let tile_starts = |tile| part(m, tiles, tile).start;
            let rows = tile_starts(block_tiles.start)..tile_starts(block_tiles.end);
            with_scratch(rows.len() * ROW_STRIDE, |scratch| {
                self.dispatch(Block {
                    a,
                    weight,
                    epilogue,
                    out,
                    rows,
                    tile_starts,
                    tiles: block_tiles,
                    panels: part(weight.panels(), column_blocks, task % column_blocks),
                    scratch,
                });
            });
        });
    }

    /// Blocks of rows and of panels to cut the output into, for this many threads.
    fn grid(self, m: usize, panels: usize, threads: usize) -> (usize, usize) {
        let row_blocks = m.div_ceil(ROW_BLOCK);
        if threads <= 1 {
            return (row_blocks, 1);
        }
        // A few tasks per thread even out what the threads lose to other work. Rows are cut first, since every block
        // of rows is copied once per block of columns.
        let wanted = 3 * threads;
        let (tile_rows, _) = self.dispatch(TileShape);
        let row_blocks = row_blocks.max(wanted.min(m / (4 * tile_rows)));
        let column_blocks = wanted.div_ceil(row_blocks).min(panels);
        (row_blocks, column_blocks)
    }
}

/// Rows and columns of a tile.
struct TileShape;

impl Operation for TileShape {
    type Output = (usize, usize);

    #[inline(always)]
    fn run<S: Simd>(self, _: S) -> (usize, usize) {
        (S::TILE_ROWS, columns::<S>())
    }
}

/// One task: some tiles of rows by some panels.
struct Block<'a, F> {
    a: &'a [f32],
    weight: &'a PackedMatrix,
    epilogue: Epilogue<'a>,
    out: SharedOutput<'a>,
    rows: Range<usize>,
    tile_starts: F,
    tiles: Range<usize>,
    panels: Range<usize>,
    /// `[rows][ROW_STRIDE]`
    scratch: &'a mut [f32],
}

impl<F: Fn(usize) -> usize> Operation for Block<'_, F> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let first_row = self.rows.start;
        let k = self.weight.k();
        let n = self.weight.n();
        let depth_blocks = k.div_ceil(DEPTH_BLOCK).max(1);
        let mut tile = Tile([0.0; MAX_TILE]);
        for depth_block in 0..depth_blocks {
            let depth = part(k, depth_blocks, depth_block);
            for (row, copy) in self.scratch.chunks_exact_mut(ROW_STRIDE).enumerate() {
                let from = (first_row + row) * k;
                copy[..depth.len()].copy_from_slice(&self.a[from + depth.start..from + depth.end]);
            }
            for panel in self.panels.clone() {
                let right =
                    &self.weight.panel(panel)[depth.start * columns::<S>()..depth.end * columns::<S>()];
                for tile_index in self.tiles.clone() {
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

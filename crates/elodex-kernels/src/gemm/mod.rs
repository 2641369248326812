//! GEMM against packed weights: blocks of rows × ranges of panels, split over threads; inside, panel by panel, tile by
//! tile, in f32 ([`exact`]) or by 8-bit integers ([`quantised`]). The reduction dimension is never split over threads.

#[cfg(target_arch = "x86_64")]
pub(crate) mod amx;
pub(crate) mod byte_tile;
mod epilogue;
mod exact;
mod quantised;
pub(crate) mod tile;

use std::ops::Range;

pub use self::epilogue::Epilogue;
use self::tile::columns;
use crate::dispatch::Operation;
use crate::isa::Kernels;
use crate::memory::with_scratch;
use crate::pack::{PackedMatrix, Panels};
use crate::parallel::{Parallelism, SharedOutput, for_each_task, part};
use crate::simd::{MAX_LANES, Simd};

/// Rows at a time, about: their copy takes 400 kB of the second-level cache.
const ROW_BLOCK: usize = 192;

/// Multiply-adds from which waking a second thread pays, in f32 and by 8-bit integers.
const PAYS_FROM: [usize; 2] = [1 << 20, 1 << 22];

/// Largest tile of any instruction set, in values.
const MAX_TILE: usize = byte_tile::MOST_ROWS * 2 * MAX_LANES;

/// A tile's sums on their way to the output.
#[repr(align(64))]
struct Tile([f32; MAX_TILE]);

impl Kernels {
    /// Columns of a tile.
    pub(crate) fn tile_columns(self) -> usize {
        self.dispatch(TileShape).columns
    }

    /// `out[m, n] = activation(a[m, k] · weightᵀ + bias) + residual`.
    ///
    /// With weights of 8-bit integers `a` is rounded to such, too: each row, and each group of the weight's, to 256
    /// steps between its least and its largest value. GELU is then within 2e-4.
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
        assert_eq!(a.len(), m * k, "a is not [m, k] = [{m}, {k}]");
        assert_eq!(out.len(), m * n, "out is not [m, n] = [{m}, {n}]");
        epilogue.check(m, n);
        if m == 0 || n == 0 {
            return;
        }
        let shape = self.dispatch(TileShape);
        let (tile_rows, row_block, pays_from) = match &weight.panels {
            Panels::F32(panels) => {
                assert_eq!(panels.isa(), self.isa(), "weight is packed for another instruction set");
                (shape.rows, ROW_BLOCK, PAYS_FROM[0])
            }
            Panels::Int8(_) => (shape.int_rows, quantised::row_block(k), PAYS_FROM[1]),
        };
        let threads = parallelism.threads(m * n * k, pays_from);
        let row_blocks = m.div_ceil(row_block);
        // Beside AMX rounding rows to bytes is half the work, so they are rather cut than rounded on every thread.
        let most_row_blocks = match &weight.panels {
            Panels::Int8(_) if shape.row_unit > 1 => (m / tile_rows).max(threads.min(m / shape.row_unit)),
            _ => m / (4 * tile_rows),
        };
        let (row_blocks, column_blocks) = grid(row_blocks, most_row_blocks, weight.panel_count(), threads);
        // Blocks of rows get equally many tiles, and tiles nearly equally many rows: a shorter one wastes loads.
        let units = m.div_ceil(shape.row_unit);
        let tiles = m.div_ceil(tile_rows).next_multiple_of(row_blocks).min(units);
        let out = SharedOutput::new(out);
        for_each_task(threads, row_blocks * column_blocks, |task| {
            let tiles_of_block = part(tiles, row_blocks, task / column_blocks);
            let tile_starts = |tile| (shape.row_unit * part(units, tiles, tile).start).min(m);
            let rows = tile_starts(tiles_of_block.start)..tile_starts(tiles_of_block.end);
            let panels = part(weight.panel_count(), column_blocks, task % column_blocks);
            let size = Size { k, n, rows, tiles: tiles_of_block, panels };
            match &weight.panels {
                Panels::F32(weight) => {
                    with_scratch(exact::scratch_length(self.isa(), size.rows.len(), weight), |scratch| {
                        self.dispatch(Block { a, weight, epilogue, out, size, tile_starts, scratch });
                    })
                }
                Panels::Int8(weight) => {
                    with_scratch(quantised::scratch_length(size.rows.len(), weight, k), |scratch| {
                        self.dispatch(Block { a, weight, epilogue, out, size, tile_starts, scratch });
                    });
                }
            }
        });
    }
}

/// One task: some tiles of rows by some panels of a weight `W`.
struct Block<'a, W, F> {
    a: &'a [f32],
    weight: &'a W,
    epilogue: Epilogue<'a>,
    out: SharedOutput<'a>,
    size: Size,
    /// The row each tile starts at.
    tile_starts: F,
    /// As long as the precision's `scratch_length`.
    scratch: &'a mut [f32],
}

/// Which part of a product a [`Block`] is.
struct Size {
    k: usize,
    n: usize,
    rows: Range<usize>,
    tiles: Range<usize>,
    panels: Range<usize>,
}

/// Blocks of rows and of panels to cut an output into for this many threads: at least `row_blocks` of rows, and more of
/// them, up to about `most_row_blocks`, before panels are cut.
fn grid(row_blocks: usize, most_row_blocks: usize, panels: usize, threads: usize) -> (usize, usize) {
    if threads <= 1 {
        return (row_blocks, 1);
    }
    // Two tasks per thread even out what the threads lose to other work.
    let wanted = 2 * threads;
    if most_row_blocks >= threads {
        // Every block of rows is copied once per block of columns, so where the rows are enough for all only they are cut.
        let shared = wanted.min(most_row_blocks / threads * threads);
        return (row_blocks.next_multiple_of(threads).max(shared), 1);
    }
    let row_blocks = row_blocks.max(most_row_blocks);
    (row_blocks, wanted.div_ceil(row_blocks).min(panels))
}

/// Rows and columns of the tiles of an instruction set.
struct TileShape;

struct Shape {
    rows: usize,
    int_rows: usize,
    /// Rows that are multiplied at once, be they there or not.
    row_unit: usize,
    columns: usize,
}

impl Operation for TileShape {
    type Output = Shape;

    #[inline(always)]
    fn run<S: Simd>(self, _: S) -> Shape {
        Shape {
            rows: if S::HAS_AMX { byte_tile::MOST_ROWS } else { S::TILE_ROWS },
            int_rows: byte_tile::most_rows::<S>(),
            row_unit: if S::HAS_AMX { byte_tile::SPARE_ROWS + 1 } else { 1 },
            columns: columns::<S>(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::grid;

    #[test]
    fn rows_are_cut_alone_where_they_are_enough_for_all_threads() {
        assert_eq!(grid(1, 2, 12, 2), (2, 1));
        assert_eq!(grid(2, 5, 12, 2), (4, 1));
        assert_eq!(grid(3, 10, 12, 2), (4, 1));
        assert_eq!(grid(9, 40, 12, 4), (12, 1));
        assert_eq!(grid(2, 5, 12, 4), (4, 1));
    }

    #[test]
    fn few_rows_share_out_columns() {
        assert_eq!(grid(1, 0, 12, 2), (1, 4));
        assert_eq!(grid(1, 2, 12, 8), (2, 8));
        assert_eq!(grid(1, 0, 3, 8), (1, 3));
        assert_eq!(grid(4, 9, 12, 1), (4, 1));
    }
}

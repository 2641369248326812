//! The register tile: a few rows by two vectors of columns, accumulated over the depth.

use crate::simd::Simd;

/// Where a tile's operands lie. Row r and step s of the left one is `left[r·left_row + s·left_step]`; step s and
/// column c of the right one is `right[s·right_step + c]`.
#[derive(Clone, Copy)]
pub(crate) struct Operands {
    pub(crate) left: *const f32,
    pub(crate) left_row: usize,
    pub(crate) left_step: usize,
    pub(crate) right: *const f32,
    pub(crate) right_step: usize,
    pub(crate) depth: usize,
}

/// How far ahead of the right operand to prefetch: some hundred cycles, the third-level cache's latency.
const PREFETCH_STEPS: usize = 32;

/// Columns of a tile.
#[inline(always)]
pub(crate) const fn columns<S: Simd>() -> usize {
    2 * S::LANES
}

/// Sets (or, if `resume`, adds to) `tile[row·columns + column]` = Σ left·right over the depth, for
/// `rows ≤ S::TILE_ROWS` rows.
///
/// Each element is one chain of multiply-adds over the depth, the same whatever `rows` is and wherever the depth is
/// cut in two calls.
///
/// # Safety
/// `operands` is valid for reading all that `rows`, `depth` and [`columns`] reach, and `tile` holds
/// `rows · columns` values.
#[inline(always)]
pub(crate) unsafe fn accumulate<S: Simd>(
    simd: S,
    rows: usize,
    operands: Operands,
    tile: *mut f32,
    resume: bool,
) {
    // Only heights up to TILE_ROWS are compiled: the guards are constants.
    macro_rules! by_height {
        ($($height:literal)*) => {
            match rows {
                // SAFETY: passed on from the caller.
                $($height if $height <= S::TILE_ROWS => unsafe {
                    accumulate_rows::<S, $height>(simd, operands, tile, resume)
                },)*
                _ => unreachable!("a tile of {rows} rows"),
            }
        };
    }
    by_height!(1 2 3 4 5 6 7 8 9 10 11 12);
}

/// See [`accumulate`].
#[inline(always)]
unsafe fn accumulate_rows<S: Simd, const ROWS: usize>(
    simd: S,
    operands: Operands,
    tile: *mut f32,
    resume: bool,
) {
    let Operands { left, left_row, left_step, right, right_step, depth } = operands;
    let mut sums = [[simd.splat(0.0); 2]; ROWS];
    // SAFETY: all offsets are of elements the caller promises.
    unsafe {
        if resume {
            for (row, sums) in sums.iter_mut().enumerate() {
                let tile = tile.add(row * columns::<S>());
                *sums = [simd.load_pointer(tile), simd.load_pointer(tile.add(S::LANES))];
            }
        }
        for step in 0..depth {
            let right = right.add(step * right_step);
            simd.prefetch(right.wrapping_add(PREFETCH_STEPS * right_step));
            let first = simd.load_pointer(right);
            let second = simd.load_pointer(right.add(S::LANES));
            let left = left.add(step * left_step);
            for (row, sums) in sums.iter_mut().enumerate() {
                let factor = simd.splat(*left.add(row * left_row));
                sums[0] = simd.mul_add(factor, first, sums[0]);
                sums[1] = simd.mul_add(factor, second, sums[1]);
            }
        }
        for (row, sums) in sums.iter().enumerate() {
            let tile = tile.add(row * columns::<S>());
            simd.store_pointer(sums[0], tile);
            simd.store_pointer(sums[1], tile.add(S::LANES));
        }
    }
}

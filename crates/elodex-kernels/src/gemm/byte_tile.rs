//! The register tile of 8-bit integers: a few rows by two vectors of columns, four steps of the depth at a time.
//!
//! Sums are exact, so their order does not matter; what is made of them is up to a [`Sink`], which sees them while they
//! are in registers.

#[cfg(target_arch = "x86_64")]
use super::amx;
use crate::gemm::tile::columns;
use crate::simd::Simd;

/// Where a tile's operands lie, in bytes. The four bytes of row r and step s of the left one are at
/// `left + r·left_row + s·left_step`; those of step s and column c of the right one at `right + s·right_step + 4·c`.
#[derive(Clone, Copy)]
pub(crate) struct ByteOperands {
    pub(crate) left: *const u8,
    pub(crate) left_row: usize,
    pub(crate) left_step: usize,
    pub(crate) right: *const u8,
    pub(crate) right_step: usize,
    pub(crate) steps: usize,
}

/// How far ahead of the right operand to prefetch: some hundred cycles, the third-level cache's latency.
const PREFETCH_STEPS: usize = 24;

/// Rows of a tile at most, of any instruction set.
pub(crate) const MOST_ROWS: usize = 32;

/// Steps that are multiplied at once at most, by any instruction set.
pub(crate) const MOST_STEPS: usize = 16;

/// Rows beyond the last one that must be readable in a left operand whose steps follow each other: AMX reads whole
/// registers of rows.
pub(crate) const SPARE_ROWS: usize = 15;

/// Rows of a tile at most.
#[inline(always)]
pub(crate) fn most_rows<S: Simd>() -> usize {
    if S::HAS_AMX { MOST_ROWS } else { S::INT_TILE_ROWS }
}

/// `steps`, rounded up to what is multiplied at once.
#[inline(always)]
pub(crate) fn whole_steps<S: Simd>(steps: usize) -> usize {
    if S::HAS_AMX { steps.next_multiple_of(MOST_STEPS) } else { steps }
}

/// Which operand's bytes are unsigned; the other one's are signed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unsigned {
    Left,
    Right,
}

/// Takes the sums of a tile.
pub(crate) trait Sink<S: Simd> {
    /// Row `row` of the tile, complete.
    ///
    /// # Safety
    /// `row` is one of those the sink was made for.
    unsafe fn take(&mut self, simd: S, row: usize, sums: [S::Ints; 2]);
}

/// Hands `start + Σ left·right` of every row to `sink`, for any number of rows; no start is 0.
///
/// # Safety
/// `operands` is valid for reading all that `rows`, `steps` and [`columns`] reach, and [`SPARE_ROWS`] where `left_step` is
/// 4; `sink` was made for as many rows, and this runs in an operation that multiplies tiles.
#[inline(always)]
pub(crate) unsafe fn accumulate<S: Simd, K: Sink<S>>(
    simd: S,
    rows: usize,
    unsigned: Unsigned,
    operands: ByteOperands,
    start: Option<[S::Ints; 2]>,
    sink: &mut K,
) {
    #[cfg(target_arch = "x86_64")]
    if S::HAS_AMX && rows >= amx::bytes::LEAST_ROWS && amx::bytes::takes(operands) {
        // SAFETY: passed on from the caller.
        return unsafe { amx::bytes::accumulate(simd, rows, unsigned, operands, start, sink) };
    }
    let start = start.unwrap_or([simd.splat_int(0); 2]);
    // Only heights up to INT_TILE_ROWS are compiled: the guards are constants.
    macro_rules! by_height {
        ($height:expr, $operands:expr, $first_row:expr; $($known:literal)*) => {
            match $height {
                // SAFETY: passed on from the caller.
                $($known if $known <= S::INT_TILE_ROWS => unsafe {
                    accumulate_rows::<S, K, $known>(simd, unsigned, $operands, start, $first_row, sink)
                },)*
                _ => unreachable!("a tile of {} rows", $height),
            }
        };
    }
    let mut first_row = 0;
    while first_row < rows {
        let height = (rows - first_row).min(S::INT_TILE_ROWS);
        // SAFETY: the row is one of those the caller promises.
        let left = unsafe { operands.left.add(first_row * operands.left_row) };
        let operands = ByteOperands { left, ..operands };
        by_height!(height, operands, first_row; 1 2 3 4 5 6 7 8 9 10 11 12);
        first_row += height;
    }
}

/// See [`accumulate`].
#[inline(always)]
unsafe fn accumulate_rows<S: Simd, K: Sink<S>, const ROWS: usize>(
    simd: S,
    unsigned: Unsigned,
    operands: ByteOperands,
    start: [S::Ints; 2],
    first_row: usize,
    sink: &mut K,
) {
    const { assert!(columns::<S>() == 2 * S::LANES) };
    let ByteOperands { left, left_row, left_step, right, right_step, steps } = operands;
    let mut sums = [start; ROWS];
    for step in 0..steps {
        // SAFETY: all offsets are of bytes the caller promises.
        unsafe {
            let right = right.add(step * right_step);
            let ahead = right.wrapping_add(PREFETCH_STEPS * right_step);
            simd.prefetch_bytes(ahead);
            simd.prefetch_bytes(ahead.wrapping_add(4 * S::LANES));
            let right = [simd.load_ints(right), simd.load_ints(right.add(4 * S::LANES))];
            let left = left.add(step * left_step);
            for (row, sums) in sums.iter_mut().enumerate() {
                let four = simd.splat_int(left.add(row * left_row).cast::<i32>().read_unaligned());
                for half in 0..2 {
                    sums[half] = match unsigned {
                        Unsigned::Left => simd.dot(four, right[half], sums[half]),
                        Unsigned::Right => simd.dot(right[half], four, sums[half]),
                    };
                }
            }
        }
    }
    for (row, sums) in sums.into_iter().enumerate() {
        // SAFETY: one of the rows the caller promises.
        unsafe { sink.take(simd, first_row + row, sums) };
    }
}

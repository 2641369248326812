//! Products of byte tiles.

use std::arch::asm;
use std::mem::MaybeUninit;
use std::ptr;

use super::ROWS;
use crate::gemm::byte_tile::{ByteOperands, MOST_STEPS, Sink, Unsigned};
use crate::simd::Simd;

/// Steps of four bytes in a row of a register.
const STEPS: usize = MOST_STEPS;

/// Bytes of a step of the columns of a tile.
const COLUMN_BYTES: usize = 8 * ROWS;

/// Rows from which it is faster than vectors of bytes.
pub(crate) const LEAST_ROWS: usize = 9;

/// Whether these operands are such as registers are loaded with.
#[inline(always)]
pub(crate) fn takes(operands: ByteOperands) -> bool {
    let ByteOperands { left_step, right_step, steps, .. } = operands;
    left_step == 4 && right_step == COLUMN_BYTES && steps > 0 && steps.is_multiple_of(STEPS)
}

/// Sums of two registers of rows by two of columns, `[32][32]`.
#[repr(C, align(64))]
struct Sums([i32; 4 * ROWS * ROWS]);

/// What every row of sums starts with.
#[repr(C, align(64))]
struct Start([i32; 2 * ROWS]);

/// Operands of one or two registers of rows.
#[derive(Clone, Copy)]
struct Product {
    operands: ByteOperands,
    /// Null for zeros.
    start: *const Start,
}

/// See [`crate::gemm::byte_tile::accumulate`].
///
/// # Safety
/// As there; [`Ready`] is held, and `operands` are such as [`takes`] says.
#[inline(always)]
pub(crate) unsafe fn accumulate<S: Simd, K: Sink<S>>(
    simd: S,
    rows: usize,
    unsigned: Unsigned,
    operands: ByteOperands,
    start: Option<[S::Ints; 2]>,
    sink: &mut K,
) {
    let mut row_start = MaybeUninit::<Start>::uninit();
    let start = start.map_or(ptr::null(), |start| {
        for (half, ints) in start.into_iter().enumerate() {
            // SAFETY: a row is two vectors long.
            unsafe { simd.store_ints(ints, row_start.as_mut_ptr().cast::<u8>().add(half * 4 * ROWS)) };
        }
        row_start.as_ptr()
    });
    let mut sums = MaybeUninit::<Sums>::uninit();
    for first_row in (0..rows).step_by(2 * ROWS) {
        let height = (rows - first_row).min(2 * ROWS);
        // SAFETY: the caller promises these rows and the spare ones of the last register. Rows of sums that are read were
        // written.
        unsafe {
            let left = operands.left.add(first_row * operands.left_row);
            let product = Product { operands: ByteOperands { left, ..operands }, start };
            let sums = sums.as_mut_ptr();
            if height > ROWS {
                product.write::<true>(unsigned, sums);
            } else {
                product.write::<false>(unsigned, sums);
            }
            for row in 0..height {
                let row_sums = sums.cast::<u8>().add(row * 8 * ROWS);
                let row_sums = [simd.load_ints(row_sums), simd.load_ints(row_sums.add(4 * ROWS))];
                sink.take(simd, first_row + row, row_sums);
            }
        }
    }
}

impl Product {
    /// Writes the sums of [`ROWS`] rows, or of twice as many.
    ///
    /// # Safety
    /// As of [`accumulate`].
    #[inline(always)]
    unsafe fn write<const TWICE: bool>(self, unsigned: Unsigned, sums: *mut Sums) {
        // tmm0 to tmm3 are sums, tmm4 and tmm5 rows, tmm6 and tmm7 columns.
        macro_rules! multiply {
            (
                start: [$($start:expr)*],
                zeros: [$($zero:expr)*],
                step: [$($step:expr)*],
                store: [$($store:expr)*]
            ) => {
                // SAFETY: the caller promises registers made ready, and that all rows and columns can be read.
                unsafe {
                    asm!(
                        "test {start}, {start}",
                        "jz 2f",
                        $($start,)*
                        "jmp 3f",
                        "2:",
                        $($zero,)*
                        "3:",
                        $($step,)*
                        "add {left}, 64",
                        "add {low}, 64",
                        "add {right}, 2048",
                        "dec {count}",
                        "jnz 3b",
                        $($store,)*
                        start = in(reg) self.start,
                        nothing = in(reg) 0_usize,
                        left = inout(reg) self.operands.left => _,
                        low = inout(reg) self.operands.left.wrapping_add(ROWS * self.operands.left_row) => _,
                        left_row = in(reg) self.operands.left_row,
                        right = inout(reg) self.operands.right => _,
                        line = in(reg) COLUMN_BYTES,
                        count = inout(reg) self.operands.steps / STEPS => _,
                        sums = in(reg) sums,
                        out("tmm0") _,
                        out("tmm1") _,
                        out("tmm2") _,
                        out("tmm3") _,
                        out("tmm4") _,
                        out("tmm5") _,
                        out("tmm6") _,
                        out("tmm7") _,
                        options(nostack),
                    );
                }
            };
        }
        macro_rules! multiply_by {
            ($dot:literal) => {
                if TWICE {
                    multiply!(
                        start: [
                            "tileloadd tmm0, [{start} + {nothing}*1]"
                            "tileloadd tmm1, [{start} + {nothing}*1 + 64]"
                            "tileloadd tmm2, [{start} + {nothing}*1]"
                            "tileloadd tmm3, [{start} + {nothing}*1 + 64]"
                        ],
                        zeros: ["tilezero tmm0" "tilezero tmm1" "tilezero tmm2" "tilezero tmm3"],
                        step: [
                            "tileloadd tmm4, [{left} + {left_row}*1]"
                            "tileloadd tmm6, [{right} + {line}*1]"
                            concat!($dot, " tmm0, tmm4, tmm6")
                            "tileloadd tmm7, [{right} + {line}*1 + 64]"
                            concat!($dot, " tmm1, tmm4, tmm7")
                            "tileloadd tmm5, [{low} + {left_row}*1]"
                            concat!($dot, " tmm2, tmm5, tmm6")
                            concat!($dot, " tmm3, tmm5, tmm7")
                        ],
                        store: [
                            "tilestored [{sums} + {line}*1], tmm0"
                            "tilestored [{sums} + {line}*1 + 64], tmm1"
                            "tilestored [{sums} + {line}*1 + 2048], tmm2"
                            "tilestored [{sums} + {line}*1 + 2112], tmm3"
                        ]
                    );
                } else {
                    multiply!(
                        start: [
                            "tileloadd tmm0, [{start} + {nothing}*1]"
                            "tileloadd tmm1, [{start} + {nothing}*1 + 64]"
                        ],
                        zeros: ["tilezero tmm0" "tilezero tmm1"],
                        step: [
                            "tileloadd tmm4, [{left} + {left_row}*1]"
                            "tileloadd tmm6, [{right} + {line}*1]"
                            concat!($dot, " tmm0, tmm4, tmm6")
                            "tileloadd tmm7, [{right} + {line}*1 + 64]"
                            concat!($dot, " tmm1, tmm4, tmm7")
                        ],
                        store: [
                            "tilestored [{sums} + {line}*1], tmm0"
                            "tilestored [{sums} + {line}*1 + 64], tmm1"
                        ]
                    );
                }
            };
        }
        match unsigned {
            Unsigned::Left => multiply_by!("tdpbusd"),
            Unsigned::Right => multiply_by!("tdpbsud"),
        }
    }
}

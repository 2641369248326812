//! Products of f32 tiles, each value as the sum of three bf16.
//!
//! The first part is the bf16 next to a value, the second the one next to what is left, and the third holds the rest: all
//! 24 bits. Of the nine products of two values' parts the six largest are added, the largest last within [`STEPS`] of the
//! depth; what is left out is less than 2⁻²⁴ of the product, which f32 would round away. A value that is not finite makes no
//! finite sum. Of a weight that is bf16 the first part is all there is: three products are left, and the same bits come out.

use std::arch::asm;
use std::arch::x86_64::*;

use super::ROWS;
use crate::gemm::exact::{DEPTH_BLOCK, Multiplier, TileOperands};
use crate::gemm::tile::columns;
use crate::pack::Steps;
use crate::simd::Simd;

/// Parts of a value.
const PARTS: usize = 3;

/// Steps of the depth in a row of a register.
const STEPS: usize = 32;

/// Columns of a tile: two registers of them.
const COLUMNS: usize = 2 * ROWS;

/// Values of 16 bits from one row's parts to the next row's: an odd number of cache lines, so that rows spread over the
/// sets of the first-level cache.
const ROW_STRIDE: usize = PARTS * DEPTH_BLOCK + STEPS;

/// Values of 16 bits from a part of columns to the next: its two registers.
const PART: usize = STEPS * COLUMNS;

/// Rows that registers reach beyond the last one.
const SPARE_ROWS: usize = ROWS - 1;

/// How far ahead to prefetch, in steps: some hundred cycles, the third-level cache's latency.
const PREFETCH_STEPS: usize = 32;

/// f32 values of scratch for `rows` rows.
pub(crate) fn scratch_length(rows: usize) -> usize {
    ((rows + SPARE_ROWS) * ROW_STRIDE + DEPTH_BLOCK / STEPS * PARTS * PART) / 2
}

/// A block's rows, and a panel, in parts.
pub(crate) struct Split<'a> {
    /// `[row][part][step]`, [`ROW_STRIDE`] apart, as bf16 two by two.
    rows: &'a mut [f32],
    /// `[step / STEPS][part][column / 16][step % STEPS / 2][column % 16][step % 2]`, as bf16 two by two. Of a block with one
    /// tile only the last two of the first index are kept, which fit the first-level cache.
    panel: &'a mut [f32],
    /// How many of the panel's first index are kept.
    kept: usize,
}

impl<'a> Split<'a> {
    /// For `rows` rows in so many tiles; `scratch` is as long as [`scratch_length`] says.
    #[inline(always)]
    pub(crate) fn new(scratch: &'a mut [f32], rows: usize, tiles: usize) -> Self {
        let (rows, panel) = scratch.split_at_mut((rows + SPARE_ROWS) * ROW_STRIDE / 2);
        Self { rows, panel, kept: if tiles > 1 { DEPTH_BLOCK / STEPS } else { 2 } }
    }

    /// Splits [`STEPS`] steps of a panel, or as many as there are left.
    #[inline(always)]
    fn split_steps(&mut self, right: Steps<'_>, block: usize) {
        let start = block * STEPS * COLUMNS;
        let parts = &mut self.panel[block % self.kept * PARTS * PART / 2..][..PARTS * PART / 2];
        let parts: *mut u16 = parts.as_mut_ptr().cast();
        // SAFETY: `parts` is as long as the parts of STEPS steps; this is compiled with AVX-512.
        unsafe {
            match right {
                Steps::F32(right) => match right[start..].first_chunk() {
                    Some(right) => split_steps(right, parts),
                    None => split_steps(&with_zeros(&right[start..]), parts),
                },
                Steps::Bf16(right) => match right[start..].first_chunk() {
                    Some(right) => split_steps(right, parts),
                    None => split_steps(&with_zeros(&right[start..]), parts),
                },
            }
        }
    }

    /// See [`Multiplier::multiply`]; `TWICE` says whether it takes two registers of rows, `BF16` whether the panel is that.
    #[inline(always)]
    unsafe fn multiply_rows<const TWICE: bool, const BF16: bool>(&mut self, tile: TileOperands<'_>) {
        let TileOperands { row, rows: _, right, is_new, out, resume } = tile;
        let blocks = right.len().div_ceil(STEPS * COLUMNS);
        let height = if TWICE { 2 * ROWS } else { ROWS };
        // SAFETY: the tile holds two registers of rows, `left` is so many rows and `panel` so many parts long, and the
        // caller promises that AMX is ready.
        unsafe {
            start::<TWICE>(out.as_ptr(), resume);
            if is_new && blocks > 0 {
                self.split_steps(right, 0);
            }
            for block in 0..blocks {
                if is_new && block + 1 < blocks {
                    self.split_steps(right, block + 1);
                }
                let left = &self.rows[row * ROW_STRIDE / 2..][..height * ROW_STRIDE / 2];
                let panel = &self.panel[block % self.kept * PARTS * PART / 2..][..PARTS * PART / 2];
                multiply_steps::<TWICE, BF16>(
                    left.as_ptr().cast::<u16>().add(block * STEPS),
                    panel.as_ptr().cast(),
                );
            }
            store::<TWICE>(out.as_mut_ptr());
        }
    }
}

impl<S: Simd> Multiplier<S> for Split<'_> {
    #[inline(always)]
    fn take_row(&mut self, _: S, row: usize, values: &[f32]) {
        const { assert!(!S::HAS_AMX || columns::<S>() == COLUMNS) };
        let parts = &mut self.rows[row * ROW_STRIDE / 2..][..ROW_STRIDE / 2];
        for (block, values) in values.chunks(STEPS).enumerate() {
            // SAFETY: `parts` has DEPTH_BLOCK values for each part, and `values` are no more; the masks are as long as
            // `values`.
            unsafe {
                let known = ((1_u64 << values.len()) - 1) as u32;
                let low = _mm512_maskz_loadu_ps(known as u16, values.as_ptr());
                let high = _mm512_maskz_loadu_ps((known >> 16) as u16, values.as_ptr().wrapping_add(16));
                let place = parts.as_mut_ptr().cast::<u16>().add(block * STEPS);
                for (part, bits) in split::<false>(low, high).into_iter().enumerate() {
                    _mm512_store_si512(place.add(part * DEPTH_BLOCK).cast(), bits);
                }
            }
        }
    }

    #[inline(always)]
    unsafe fn multiply(&mut self, _: S, tile: TileOperands<'_>) {
        // SAFETY: passed on from the caller.
        unsafe {
            match (tile.rows > ROWS, tile.right) {
                (true, Steps::F32(_)) => self.multiply_rows::<true, false>(tile),
                (false, Steps::F32(_)) => self.multiply_rows::<false, false>(tile),
                (true, Steps::Bf16(_)) => self.multiply_rows::<true, true>(tile),
                (false, Steps::Bf16(_)) => self.multiply_rows::<false, true>(tile),
            }
        }
    }
}

/// Where the upper halves of two vectors of 32 bits are, in their order.
static UPPER_HALVES: [u16; 2 * ROWS] = {
    let mut places = [0; 2 * ROWS];
    let mut place = 0;
    while place < places.len() {
        places[place] = 2 * place as u16 + 1;
        place += 1;
    }
    places
};

/// The parts of two vectors, most significant first: one vector's after the other's, or both in turns.
///
/// # Safety
/// This is compiled with AVX-512 F and BW.
#[inline(always)]
unsafe fn split<const IN_TURNS: bool>(mut one: __m512, mut other: __m512) -> [__m512i; PARTS] {
    // SAFETY: the caller promises the features, and there are 32 places.
    unsafe {
        let upper = _mm512_set1_epi32(0xffff_0000_u32.cast_signed());
        let half = _mm512_set1_epi32(0x8000);
        let largest = _mm512_set1_ps(f32::from_bits(0x7f00_0000));
        let places = _mm512_loadu_si512(UPPER_HALVES.as_ptr().cast());
        let mut parts = [_mm512_setzero_si512(); PARTS];
        for (index, part) in parts.iter_mut().enumerate() {
            let (mut bits, mut other_bits) = (_mm512_castps_si512(one), _mm512_castps_si512(other));
            if index == 0 {
                // What is next to the largest values is infinite: those are cut off.
                let small = _mm512_cmp_ps_mask::<_CMP_LT_OQ>(_mm512_abs_ps(one), largest);
                let other_small = _mm512_cmp_ps_mask::<_CMP_LT_OQ>(_mm512_abs_ps(other), largest);
                bits = _mm512_mask_add_epi32(bits, small, bits, half);
                other_bits = _mm512_mask_add_epi32(other_bits, other_small, other_bits, half);
            } else {
                bits = _mm512_add_epi32(bits, half);
                other_bits = _mm512_add_epi32(other_bits, half);
            }
            *part = if IN_TURNS {
                _mm512_mask_blend_epi16(0xaaaa_aaaa, _mm512_srli_epi32::<16>(bits), other_bits)
            } else {
                _mm512_permutex2var_epi16(bits, places, other_bits)
            };
            one = _mm512_sub_ps(one, _mm512_castsi512_ps(_mm512_and_si512(bits, upper)));
            other = _mm512_sub_ps(other, _mm512_castsi512_ps(_mm512_and_si512(other_bits, upper)));
        }
        parts
    }
}

/// Fewer than [`STEPS`] steps, with zeros behind them.
fn with_zeros<T: Copy + Default>(values: &[T]) -> [T; STEPS * COLUMNS] {
    let mut whole = [T::default(); STEPS * COLUMNS];
    whole[..values.len()].copy_from_slice(values);
    whole
}

/// A weight of so many parts.
trait Weight<const N: usize>: Copy {
    /// The parts of sixteen weights of one step and of the next, in turns.
    ///
    /// # Safety
    /// As of [`split`]; sixteen weights can be read from both.
    unsafe fn parts(one: *const Self, other: *const Self) -> [__m512i; N];
}

impl Weight<PARTS> for f32 {
    #[inline(always)]
    unsafe fn parts(one: *const Self, other: *const Self) -> [__m512i; PARTS] {
        // SAFETY: passed on from the caller.
        unsafe { split::<true>(_mm512_loadu_ps(one), _mm512_loadu_ps(other)) }
    }
}

/// bf16.
impl Weight<1> for u16 {
    #[inline(always)]
    unsafe fn parts(one: *const Self, other: *const Self) -> [__m512i; 1] {
        // SAFETY: passed on from the caller.
        unsafe {
            let one = _mm512_cvtepu16_epi32(_mm256_loadu_si256(one.cast()));
            let other = _mm512_cvtepu16_epi32(_mm256_loadu_si256(other.cast()));
            [_mm512_or_si512(one, _mm512_slli_epi32::<16>(other))]
        }
    }
}

/// Splits [`STEPS`] steps of a panel.
///
/// # Safety
/// As of [`split`]; `parts` starts a cache line and has room for [`PARTS`] · [`PART`] values.
#[inline(always)]
unsafe fn split_steps<const N: usize, W: Weight<N>>(right: &[W; STEPS * COLUMNS], parts: *mut u16) {
    for pair in 0..STEPS / 2 {
        for half in 0..2 {
            // SAFETY: two steps of sixteen columns are read, and written where the caller promises room.
            unsafe {
                let one = right.as_ptr().add(2 * pair * COLUMNS + half * ROWS);
                let other = one.add(COLUMNS);
                for next in [one, other] {
                    _mm_prefetch::<_MM_HINT_T0>(next.wrapping_add(PREFETCH_STEPS * COLUMNS).cast());
                }
                let place = parts.add((half * STEPS / 2 + pair) * 2 * ROWS);
                for (part, bits) in W::parts(one, other).into_iter().enumerate() {
                    _mm512_store_si512(place.add(part * PART).cast(), bits);
                }
            }
        }
    }
}

/// Assembly that keeps sums in tmm0 to tmm3: of the first sixteen rows with each half of the columns, then of the next
/// sixteen.
macro_rules! with_sums {
    ([$($line:expr)*] $($operands:tt)*) => {
        asm!(
            $($line,)*
            $($operands)*
            out("tmm0") _,
            out("tmm1") _,
            out("tmm2") _,
            out("tmm3") _,
            out("tmm4") _,
            out("tmm5") _,
            out("tmm6") _,
            out("tmm7") _,
            options(nostack),
        )
    };
}

/// Sums begin with 0, or with what the tile holds.
///
/// # Safety
/// [`super::Ready`] is held, and `tile` holds one or two registers of rows.
#[inline(always)]
unsafe fn start<const TWICE: bool>(tile: *const f32, resume: bool) {
    // SAFETY: passed on from the caller.
    unsafe {
        if !resume {
            with_sums!(["tilezero tmm0" "tilezero tmm1" "tilezero tmm2" "tilezero tmm3"]);
            return;
        }
        with_sums!(
            ["tileloadd tmm0, [{tile} + {line}*1]" "tileloadd tmm1, [{tile} + {line}*1 + 64]"]
            tile = in(reg) tile,
            line = in(reg) 4 * COLUMNS,
        );
        if TWICE {
            with_sums!(
                ["tileloadd tmm2, [{tile} + {line}*1 + 2048]" "tileloadd tmm3, [{tile} + {line}*1 + 2112]"]
                tile = in(reg) tile,
                line = in(reg) 4 * COLUMNS,
            );
        }
    }
}

/// Writes the sums to the tile.
///
/// # Safety
/// As of [`start`], since which nothing but [`multiply_steps`] was called.
#[inline(always)]
unsafe fn store<const TWICE: bool>(tile: *mut f32) {
    // SAFETY: passed on from the caller.
    unsafe {
        with_sums!(
            ["tilestored [{tile} + {line}*1], tmm0" "tilestored [{tile} + {line}*1 + 64], tmm1"]
            tile = in(reg) tile,
            line = in(reg) 4 * COLUMNS,
        );
        if TWICE {
            with_sums!(
                ["tilestored [{tile} + {line}*1 + 2048], tmm2" "tilestored [{tile} + {line}*1 + 2112], tmm3"]
                tile = in(reg) tile,
                line = in(reg) 4 * COLUMNS,
            );
        }
    }
}

/// Adds [`STEPS`] steps to the sums, the largest products last; of bf16 columns those with their first part.
///
/// # Safety
/// As of [`store`]; `left` starts the first parts of one or two registers of rows, and `right` a panel's steps.
#[inline(always)]
unsafe fn multiply_steps<const TWICE: bool, const BF16: bool>(left: *const u16, right: *const u16) {
    const { assert!(2 * DEPTH_BLOCK == 1024 && 2 * PART == 2048, "parts lie so far apart in bytes") };
    macro_rules! load_columns {
        ($place:literal, $next:literal) => {
            concat!(
                "tileloadd tmm6, [{right} + {line}*1 + ",
                $place,
                "]\n",
                "tileloadd tmm7, [{right} + {line}*1 + ",
                $next,
                "]"
            )
        };
    }
    // SAFETY: passed on from the caller.
    unsafe {
        if TWICE {
            macro_rules! load_rows {
                ($place:literal) => {
                    concat!(
                        "tileloadd tmm4, [{left} + {row}*1 + ",
                        $place,
                        "]\n",
                        "tileloadd tmm5, [{low} + {row}*1 + ",
                        $place,
                        "]"
                    )
                };
            }
            macro_rules! multiply {
                () => {
                    "tdpbf16ps tmm0, tmm4, tmm6
                    tdpbf16ps tmm1, tmm4, tmm7
                    tdpbf16ps tmm2, tmm5, tmm6
                    tdpbf16ps tmm3, tmm5, tmm7"
                };
            }
            macro_rules! add {
                ($($line:expr)*) => {
                    with_sums!(
                        [$($line)*]
                        left = in(reg) left,
                        low = in(reg) left.wrapping_add(ROWS * ROW_STRIDE),
                        row = in(reg) 2 * ROW_STRIDE,
                        right = in(reg) right,
                        line = in(reg) 2 * STEPS,
                    )
                };
            }
            if BF16 {
                add!(
                    load_rows!(1024) load_columns!(0, 1024) multiply!()
                    load_rows!(2048) multiply!()
                    load_rows!(0) multiply!()
                );
            } else {
                add!(
                    load_rows!(0) load_columns!(4096, 5120) multiply!()
                    load_columns!(2048, 3072) multiply!()
                    load_rows!(1024) multiply!()
                    load_columns!(0, 1024) multiply!()
                    load_rows!(2048) multiply!()
                    load_rows!(0) multiply!()
                );
            }
        } else {
            macro_rules! multiply {
                ($rows:literal) => {
                    concat!("tdpbf16ps tmm0, ", $rows, ", tmm6\n", "tdpbf16ps tmm1, ", $rows, ", tmm7")
                };
            }
            macro_rules! add {
                ($($line:expr)*) => {
                    with_sums!(
                        [
                            "tileloadd tmm3, [{left} + {row}*1]"
                            "tileloadd tmm4, [{left} + {row}*1 + 1024]"
                            "tileloadd tmm5, [{left} + {row}*1 + 2048]"
                            $($line)*
                        ]
                        left = in(reg) left,
                        row = in(reg) 2 * ROW_STRIDE,
                        right = in(reg) right,
                        line = in(reg) 2 * STEPS,
                    )
                };
            }
            if BF16 {
                add!(load_columns!(0, 1024) multiply!("tmm4") multiply!("tmm5") multiply!("tmm3"));
            } else {
                add!(
                    load_columns!(4096, 5120) multiply!("tmm3")
                    load_columns!(2048, 3072) multiply!("tmm3") multiply!("tmm4")
                    load_columns!(0, 1024) multiply!("tmm4") multiply!("tmm5") multiply!("tmm3")
                );
            }
        }
    }
}

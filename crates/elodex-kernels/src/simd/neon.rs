//! Arm NEON, plain, with dot products, or with those of unsigned with signed bytes: four lanes.
//!
//! The products are assembly: their intrinsics are not stable.

use std::arch::aarch64::*;
use std::arch::asm;

use super::{BYTE_SIGNS, Simd};

/// How [`Neon`] multiplies bytes.
pub(crate) const WIDENING: u8 = 0;
/// By FEAT_DotProd.
pub(crate) const DOT_PRODUCT: u8 = 1;
/// By FEAT_I8MM.
pub(crate) const MIXED_DOT_PRODUCT: u8 = 2;

/// Proof of NEON and of the extension that `PRODUCT` names.
#[derive(Clone, Copy)]
pub(crate) struct Neon<const PRODUCT: u8>(());

impl<const PRODUCT: u8> Neon<PRODUCT> {
    /// # Safety
    /// The CPU has NEON and the extension that `PRODUCT` names.
    #[inline(always)]
    pub(crate) unsafe fn assume() -> Self {
        Self(())
    }
}

const LANES: usize = 4;

impl<const PRODUCT: u8> Simd for Neon<PRODUCT> {
    type Vector = float32x4_t;
    type Ints = int32x4_t;
    const LANES: usize = LANES;
    const TILE_ROWS: usize = 12;
    const INT_TILE_ROWS: usize = if PRODUCT == MIXED_DOT_PRODUCT { 12 } else { 8 };

    #[inline(always)]
    fn splat(self, value: f32) -> float32x4_t {
        // SAFETY: `self` proves NEON.
        unsafe { vdupq_n_f32(value) }
    }

    #[inline(always)]
    unsafe fn load_pointer(self, source: *const f32) -> float32x4_t {
        // SAFETY: `self` proves NEON; the caller promises LANES readable values.
        unsafe { vld1q_f32(source) }
    }

    #[inline(always)]
    unsafe fn store_pointer(self, vector: float32x4_t, target: *mut f32) {
        // SAFETY: `self` proves NEON; the caller promises LANES writable values.
        unsafe { vst1q_f32(target, vector) }
    }

    #[inline(always)]
    unsafe fn load_first(self, source: *const f32, count: usize) -> float32x4_t {
        let mut lanes = [0.0; LANES];
        // SAFETY: the caller promises `count` readable values, fewer than LANES.
        unsafe { std::ptr::copy_nonoverlapping(source, lanes.as_mut_ptr(), count) };
        self.load(&lanes)
    }

    #[inline(always)]
    unsafe fn store_first(self, vector: float32x4_t, target: *mut f32, count: usize) {
        let mut lanes = [0.0; LANES];
        self.store(vector, &mut lanes);
        // SAFETY: the caller promises `count` writable values, fewer than LANES.
        unsafe { std::ptr::copy_nonoverlapping(lanes.as_ptr(), target, count) };
    }

    #[inline(always)]
    fn add(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        // SAFETY: `self` proves NEON.
        unsafe { vaddq_f32(a, b) }
    }

    #[inline(always)]
    fn sub(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        // SAFETY: `self` proves NEON.
        unsafe { vsubq_f32(a, b) }
    }

    #[inline(always)]
    fn mul(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        // SAFETY: `self` proves NEON.
        unsafe { vmulq_f32(a, b) }
    }

    #[inline(always)]
    fn div(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        // SAFETY: `self` proves NEON.
        unsafe { vdivq_f32(a, b) }
    }

    #[inline(always)]
    fn mul_add(self, a: float32x4_t, b: float32x4_t, c: float32x4_t) -> float32x4_t {
        // SAFETY: `self` proves NEON.
        unsafe { vfmaq_f32(c, a, b) }
    }

    #[inline(always)]
    fn neg_mul_add(self, a: float32x4_t, b: float32x4_t, c: float32x4_t) -> float32x4_t {
        // SAFETY: `self` proves NEON.
        unsafe { vfmsq_f32(c, a, b) }
    }

    #[inline(always)]
    fn min(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        self.select_less(a, b, a, b)
    }

    #[inline(always)]
    fn max(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        self.select_less(b, a, a, b)
    }

    #[inline(always)]
    fn abs(self, a: float32x4_t) -> float32x4_t {
        // SAFETY: `self` proves NEON.
        unsafe { vabsq_f32(a) }
    }

    #[inline(always)]
    fn select_less(self, a: float32x4_t, b: float32x4_t, yes: float32x4_t, no: float32x4_t) -> float32x4_t {
        // SAFETY: `self` proves NEON.
        unsafe { vbslq_f32(vcltq_f32(a, b), yes, no) }
    }

    #[inline(always)]
    fn round(self, a: float32x4_t) -> float32x4_t {
        // SAFETY: `self` proves NEON.
        unsafe { vrndnq_f32(a) }
    }

    #[inline(always)]
    fn scale_by_power_of_two(self, a: float32x4_t, n: float32x4_t) -> float32x4_t {
        // SAFETY: `self` proves NEON.
        unsafe {
            // Two factors, since 2ⁿ itself may leave the range of normal numbers where a·2ⁿ does not.
            let n = vcvtq_s32_f32(n);
            let half = vshrq_n_s32::<1>(n);
            let rest = vsubq_s32(n, half);
            let bias = vdupq_n_s32(127);
            let first = vreinterpretq_f32_s32(vshlq_n_s32::<23>(vaddq_s32(half, bias)));
            let second = vreinterpretq_f32_s32(vshlq_n_s32::<23>(vaddq_s32(rest, bias)));
            vmulq_f32(vmulq_f32(a, first), second)
        }
    }

    #[inline(always)]
    fn sum(self, a: float32x4_t) -> f32 {
        let mut lanes = [0.0; LANES];
        self.store(a, &mut lanes);
        super::sum_by_halves(lanes)
    }

    #[inline(always)]
    fn splat_int(self, value: i32) -> int32x4_t {
        // SAFETY: `self` proves NEON.
        unsafe { vdupq_n_s32(value) }
    }

    #[inline(always)]
    unsafe fn load_ints(self, source: *const u8) -> int32x4_t {
        // SAFETY: `self` proves NEON; the caller promises the bytes.
        unsafe { vreinterpretq_s32_u8(vld1q_u8(source)) }
    }

    #[inline(always)]
    unsafe fn store_ints(self, ints: int32x4_t, target: *mut u8) {
        // SAFETY: `self` proves NEON; the caller promises the bytes.
        unsafe { vst1q_u8(target, vreinterpretq_u8_s32(ints)) }
    }

    #[inline(always)]
    unsafe fn store_bytes(self, ints: int32x4_t, target: *mut u8) {
        // SAFETY: `self` proves NEON; the caller promises the bytes.
        unsafe {
            let halves = vmovn_s32(ints);
            let bytes = vmovn_s16(vcombine_s16(halves, halves));
            target.cast::<u32>().write_unaligned(vget_lane_u32::<0>(vreinterpret_u32_s8(bytes)));
        }
    }

    #[inline(always)]
    fn dot(self, unsigned: int32x4_t, signed: int32x4_t, sum: int32x4_t) -> int32x4_t {
        // SAFETY: `self` proves NEON and the extension that is used.
        unsafe {
            match PRODUCT {
                MIXED_DOT_PRODUCT => usdot(unsigned, signed, sum),
                DOT_PRODUCT => {
                    // u = 2·⌊u / 2⌋ + (u mod 2), and both parts are signed bytes as well.
                    let unsigned = vreinterpretq_u8_s32(unsigned);
                    let half = vreinterpretq_s32_u8(vshrq_n_u8::<1>(unsigned));
                    let odd = vreinterpretq_s32_u8(vandq_u8(unsigned, vdupq_n_u8(1)));
                    sdot(odd, signed, sdot(half, signed, sdot(half, signed, sum)))
                }
                _ => {
                    let unsigned = vreinterpretq_u8_s32(unsigned);
                    let signed = vreinterpretq_s8_s32(signed);
                    let product = |unsigned: uint8x8_t, signed: int8x8_t| {
                        let (a, b) = (vreinterpretq_s16_u16(vmovl_u8(unsigned)), vmovl_s8(signed));
                        let low = vmull_s16(vget_low_s16(a), vget_low_s16(b));
                        let high = vmull_high_s16(a, b);
                        vpaddq_s32(low, high)
                    };
                    let low = product(vget_low_u8(unsigned), vget_low_s8(signed));
                    let high = product(vget_high_u8(unsigned), vget_high_s8(signed));
                    vaddq_s32(sum, vpaddq_s32(low, high))
                }
            }
        }
    }

    #[inline(always)]
    fn to_floats(self, ints: int32x4_t) -> float32x4_t {
        // SAFETY: `self` proves NEON.
        unsafe { vcvtq_f32_s32(ints) }
    }

    #[inline(always)]
    fn to_ints(self, a: float32x4_t) -> int32x4_t {
        // SAFETY: `self` proves NEON.
        unsafe { vcvtnq_s32_f32(a) }
    }

    #[inline(always)]
    fn join_bytes(self, [a, b, c, d]: [int32x4_t; 4]) -> int32x4_t {
        // SAFETY: `self` proves NEON.
        unsafe {
            let low = vorrq_s32(a, vshlq_n_s32::<8>(b));
            let high = vorrq_s32(vshlq_n_s32::<16>(c), vshlq_n_s32::<24>(d));
            vorrq_s32(low, high)
        }
    }

    #[inline(always)]
    fn centre_bytes(self, ints: int32x4_t) -> int32x4_t {
        // SAFETY: `self` proves NEON.
        unsafe { veorq_s32(ints, vdupq_n_s32(BYTE_SIGNS)) }
    }
}

/// Adds the four products of signed bytes to each integer of `sum`.
///
/// # Safety
/// The CPU has FEAT_DotProd, and the caller is compiled for it.
#[inline(always)]
unsafe fn sdot(a: int32x4_t, b: int32x4_t, mut sum: int32x4_t) -> int32x4_t {
    // SAFETY: the caller promises the instruction, which touches its registers alone.
    unsafe {
        asm!("sdot {sum:v}.4s, {a:v}.16b, {b:v}.16b", sum = inout(vreg) sum, a = in(vreg) a, b = in(vreg) b,
             options(pure, nomem, nostack, preserves_flags));
    }
    sum
}

/// Adds the four products of an unsigned byte of `unsigned` with a signed one of `signed` to each integer of `sum`.
///
/// # Safety
/// The CPU has FEAT_I8MM, and the caller is compiled for it.
#[inline(always)]
unsafe fn usdot(unsigned: int32x4_t, signed: int32x4_t, mut sum: int32x4_t) -> int32x4_t {
    // SAFETY: the caller promises the instruction, which touches its registers alone.
    unsafe {
        asm!("usdot {sum:v}.4s, {a:v}.16b, {b:v}.16b", sum = inout(vreg) sum, a = in(vreg) unsigned, b = in(vreg) signed,
             options(pure, nomem, nostack, preserves_flags));
    }
    sum
}

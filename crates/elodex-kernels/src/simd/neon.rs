//! Arm NEON: four lanes.

use std::arch::aarch64::*;

use super::Simd;

/// Proof of NEON.
#[derive(Clone, Copy)]
pub(crate) struct Neon(());

impl Neon {
    /// # Safety
    /// The CPU has NEON.
    #[inline(always)]
    pub(crate) unsafe fn assume() -> Self {
        Self(())
    }
}

const LANES: usize = 4;

impl Simd for Neon {
    type Vector = float32x4_t;
    const LANES: usize = LANES;
    const TILE_ROWS: usize = 12;

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
}

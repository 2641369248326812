//! AVX-512: sixteen lanes.

use std::arch::x86_64::*;

use super::{Simd, sum_by_halves};

/// Proof of AVX-512 F, BW, DQ, VL.
#[derive(Clone, Copy)]
pub(crate) struct Avx512(());

impl Avx512 {
    /// # Safety
    /// The CPU has AVX-512 F, BW, DQ, VL.
    #[inline(always)]
    pub(crate) unsafe fn assume() -> Self {
        Self(())
    }
}

const LANES: usize = 16;

#[inline(always)]
fn first(count: usize) -> __mmask16 {
    ((1u32 << count) - 1) as __mmask16
}

impl Simd for Avx512 {
    type Vector = __m512;
    const LANES: usize = LANES;
    const TILE_ROWS: usize = 12;

    #[inline(always)]
    fn splat(self, value: f32) -> __m512 {
        // SAFETY: `self` proves AVX-512.
        unsafe { _mm512_set1_ps(value) }
    }

    #[inline(always)]
    unsafe fn load_pointer(self, source: *const f32) -> __m512 {
        // SAFETY: `self` proves AVX-512; the caller promises LANES readable values.
        unsafe { _mm512_loadu_ps(source) }
    }

    #[inline(always)]
    unsafe fn store_pointer(self, vector: __m512, target: *mut f32) {
        // SAFETY: `self` proves AVX-512; the caller promises LANES writable values.
        unsafe { _mm512_storeu_ps(target, vector) }
    }

    #[inline(always)]
    unsafe fn load_first(self, source: *const f32, count: usize) -> __m512 {
        // SAFETY: `self` proves AVX-512; masked lanes are not touched.
        unsafe { _mm512_maskz_loadu_ps(first(count), source) }
    }

    #[inline(always)]
    unsafe fn store_first(self, vector: __m512, target: *mut f32, count: usize) {
        // SAFETY: `self` proves AVX-512; masked lanes are not touched.
        unsafe { _mm512_mask_storeu_ps(target, first(count), vector) }
    }

    #[inline(always)]
    unsafe fn transpose(self, source: *const f32, source_row: usize, target: *mut f32, target_row: usize) {
        // SAFETY: `self` proves AVX-512; the caller promises the rows.
        unsafe {
            let zero = _mm512_setzero_ps();
            // quads[4g + c], 128-bit lane l: column 4l + c of rows 4g to 4g + 3.
            let mut quads = [zero; LANES];
            for group in (0..LANES).step_by(4) {
                let row = |index: usize| _mm512_loadu_ps(source.add((group + index) * source_row));
                let (a, b, c, d) = (row(0), row(1), row(2), row(3));
                let low_ab = _mm512_castps_pd(_mm512_unpacklo_ps(a, b));
                let high_ab = _mm512_castps_pd(_mm512_unpackhi_ps(a, b));
                let low_cd = _mm512_castps_pd(_mm512_unpacklo_ps(c, d));
                let high_cd = _mm512_castps_pd(_mm512_unpackhi_ps(c, d));
                quads[group] = _mm512_castpd_ps(_mm512_unpacklo_pd(low_ab, low_cd));
                quads[group + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(low_ab, low_cd));
                quads[group + 2] = _mm512_castpd_ps(_mm512_unpacklo_pd(high_ab, high_cd));
                quads[group + 3] = _mm512_castpd_ps(_mm512_unpackhi_pd(high_ab, high_cd));
            }
            const EVEN: i32 = 0b10_00_10_00;
            const ODD: i32 = 0b11_01_11_01;
            for column in 0..4 {
                let (a, b) = (quads[column], quads[4 + column]);
                let (c, d) = (quads[8 + column], quads[12 + column]);
                let even_ab = _mm512_shuffle_f32x4::<EVEN>(a, b);
                let odd_ab = _mm512_shuffle_f32x4::<ODD>(a, b);
                let even_cd = _mm512_shuffle_f32x4::<EVEN>(c, d);
                let odd_cd = _mm512_shuffle_f32x4::<ODD>(c, d);
                let put = |row: usize, value| _mm512_storeu_ps(target.add(row * target_row), value);
                put(column, _mm512_shuffle_f32x4::<EVEN>(even_ab, even_cd));
                put(4 + column, _mm512_shuffle_f32x4::<EVEN>(odd_ab, odd_cd));
                put(8 + column, _mm512_shuffle_f32x4::<ODD>(even_ab, even_cd));
                put(12 + column, _mm512_shuffle_f32x4::<ODD>(odd_ab, odd_cd));
            }
        }
    }

    #[inline(always)]
    fn add(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: `self` proves AVX-512.
        unsafe { _mm512_add_ps(a, b) }
    }

    #[inline(always)]
    fn sub(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: `self` proves AVX-512.
        unsafe { _mm512_sub_ps(a, b) }
    }

    #[inline(always)]
    fn mul(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: `self` proves AVX-512.
        unsafe { _mm512_mul_ps(a, b) }
    }

    #[inline(always)]
    fn div(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: `self` proves AVX-512.
        unsafe { _mm512_div_ps(a, b) }
    }

    #[inline(always)]
    fn mul_add(self, a: __m512, b: __m512, c: __m512) -> __m512 {
        // SAFETY: `self` proves AVX-512.
        unsafe { _mm512_fmadd_ps(a, b, c) }
    }

    #[inline(always)]
    fn neg_mul_add(self, a: __m512, b: __m512, c: __m512) -> __m512 {
        // SAFETY: `self` proves AVX-512.
        unsafe { _mm512_fnmadd_ps(a, b, c) }
    }

    #[inline(always)]
    fn min(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: `self` proves AVX-512.
        unsafe { _mm512_min_ps(a, b) }
    }

    #[inline(always)]
    fn max(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: `self` proves AVX-512.
        unsafe { _mm512_max_ps(a, b) }
    }

    #[inline(always)]
    fn abs(self, a: __m512) -> __m512 {
        // SAFETY: `self` proves AVX-512.
        unsafe { _mm512_abs_ps(a) }
    }

    #[inline(always)]
    fn select_less(self, a: __m512, b: __m512, yes: __m512, no: __m512) -> __m512 {
        // SAFETY: `self` proves AVX-512.
        unsafe { _mm512_mask_blend_ps(_mm512_cmp_ps_mask::<_CMP_LT_OQ>(a, b), no, yes) }
    }

    #[inline(always)]
    fn round(self, a: __m512) -> __m512 {
        // SAFETY: `self` proves AVX-512.
        unsafe { _mm512_roundscale_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(a) }
    }

    #[inline(always)]
    fn scale_by_power_of_two(self, a: __m512, n: __m512) -> __m512 {
        // SAFETY: `self` proves AVX-512.
        unsafe { _mm512_scalef_ps(a, n) }
    }

    #[inline(always)]
    fn sum(self, a: __m512) -> f32 {
        let mut lanes = [0.0; LANES];
        self.store(a, &mut lanes);
        sum_by_halves(lanes)
    }
}

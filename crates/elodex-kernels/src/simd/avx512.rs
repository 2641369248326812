//! AVX-512, plain, with VNNI, or with that and AMX: sixteen lanes.

use std::arch::x86_64::*;

use super::{BYTE_SIGNS, Simd, sum_by_halves};

/// How [`Avx512`] multiplies bytes.
pub(crate) const WIDENING: u8 = 0;
/// By VNNI.
pub(crate) const VNNI: u8 = 1;
/// By VNNI, and tiles of them by AMX.
pub(crate) const AMX: u8 = 2;

/// Proof of AVX-512 F, BW, DQ, VL, and of the extensions that `PRODUCT` names.
#[derive(Clone, Copy)]
pub(crate) struct Avx512<const PRODUCT: u8>(());

impl<const PRODUCT: u8> Avx512<PRODUCT> {
    /// # Safety
    /// The CPU has AVX-512 F, BW, DQ, VL, and the extensions that `PRODUCT` names.
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

impl<const PRODUCT: u8> Simd for Avx512<PRODUCT> {
    type Vector = __m512;
    type Ints = __m512i;
    const LANES: usize = LANES;
    const TILE_ROWS: usize = 12;
    // Widened bytes take more registers.
    const INT_TILE_ROWS: usize = if PRODUCT == WIDENING { 10 } else { 12 };
    const HAS_AMX: bool = PRODUCT == AMX;

    /// A step of a tile takes two lines.
    #[inline(always)]
    fn prefetch(self, address: *const f32) {
        self.prefetch_bytes(address.cast());
        self.prefetch_bytes(address.wrapping_add(LANES).cast());
    }

    #[inline(always)]
    fn prefetch_bytes(self, address: *const u8) {
        // SAFETY: a prefetch of an invalid address does nothing.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(address.cast()) }
    }

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

    #[inline(always)]
    fn largest(self, a: __m512) -> f32 {
        // SAFETY: `self` proves AVX-512.
        unsafe { _mm512_reduce_max_ps(a) }
    }

    #[inline(always)]
    fn splat_int(self, value: i32) -> __m512i {
        // SAFETY: `self` proves AVX-512.
        unsafe { _mm512_set1_epi32(value) }
    }

    #[inline(always)]
    unsafe fn load_ints(self, source: *const u8) -> __m512i {
        // SAFETY: `self` proves AVX-512; the caller promises the bytes.
        unsafe { _mm512_loadu_si512(source.cast()) }
    }

    #[inline(always)]
    unsafe fn store_ints(self, ints: __m512i, target: *mut u8) {
        // SAFETY: `self` proves AVX-512; the caller promises the bytes.
        unsafe { _mm512_storeu_si512(target.cast(), ints) }
    }

    #[inline(always)]
    unsafe fn store_bytes(self, ints: __m512i, target: *mut u8) {
        // SAFETY: `self` proves AVX-512; the caller promises the bytes.
        unsafe { _mm_storeu_si128(target.cast(), _mm512_cvtepi32_epi8(ints)) }
    }

    #[inline(always)]
    fn dot(self, unsigned: __m512i, signed: __m512i, sum: __m512i) -> __m512i {
        // SAFETY: `self` proves AVX-512, and VNNI where it is used.
        unsafe {
            if PRODUCT != WIDENING {
                return _mm512_dpbusd_epi32(sum, unsigned, signed);
            }
            // `maddubs` would saturate at 16 bits: every other byte is widened instead.
            let even = _mm512_madd_epi16(
                _mm512_and_si512(unsigned, _mm512_set1_epi16(255)),
                _mm512_srai_epi16::<8>(_mm512_slli_epi16::<8>(signed)),
            );
            let odd = _mm512_madd_epi16(_mm512_srli_epi16::<8>(unsigned), _mm512_srai_epi16::<8>(signed));
            _mm512_add_epi32(sum, _mm512_add_epi32(even, odd))
        }
    }

    #[inline(always)]
    fn to_floats(self, ints: __m512i) -> __m512 {
        // SAFETY: `self` proves AVX-512.
        unsafe { _mm512_cvtepi32_ps(ints) }
    }

    #[inline(always)]
    fn to_ints(self, a: __m512) -> __m512i {
        // SAFETY: `self` proves AVX-512.
        unsafe { _mm512_cvtps_epi32(a) }
    }

    #[inline(always)]
    fn join_bytes(self, [a, b, c, d]: [__m512i; 4]) -> __m512i {
        // SAFETY: `self` proves AVX-512.
        unsafe {
            let low = _mm512_or_si512(a, _mm512_slli_epi32::<8>(b));
            let high = _mm512_or_si512(_mm512_slli_epi32::<16>(c), _mm512_slli_epi32::<24>(d));
            _mm512_or_si512(low, high)
        }
    }

    #[inline(always)]
    fn centre_bytes(self, ints: __m512i) -> __m512i {
        // SAFETY: `self` proves AVX-512.
        unsafe { _mm512_xor_si512(ints, _mm512_set1_epi32(BYTE_SIGNS)) }
    }
}

//! AVX2 with FMA, with or without AVX-VNNI: eight lanes.

use std::arch::x86_64::*;

use super::{BYTE_SIGNS, Simd, sum_by_halves};

/// Proof of AVX2 and FMA, and of AVX-VNNI where `VNNI`.
#[derive(Clone, Copy)]
pub(crate) struct Avx2<const VNNI: bool>(());

impl<const VNNI: bool> Avx2<VNNI> {
    /// # Safety
    /// The CPU has AVX2 and FMA, and AVX-VNNI where `VNNI`.
    #[inline(always)]
    pub(crate) unsafe fn assume() -> Self {
        Self(())
    }

    /// All bits set in the first `count` lanes.
    #[inline(always)]
    fn first(self, count: usize) -> __m256i {
        // SAFETY: `self` proves AVX2.
        unsafe {
            let lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
            _mm256_cmpgt_epi32(_mm256_set1_epi32(count as i32), lane)
        }
    }
}

const LANES: usize = 8;

impl<const VNNI: bool> Simd for Avx2<VNNI> {
    type Vector = __m256;
    type Ints = __m256i;
    const LANES: usize = LANES;
    const TILE_ROWS: usize = 6;
    // Without VNNI bytes are widened, which takes more registers.
    const INT_TILE_ROWS: usize = if VNNI { 6 } else { 4 };

    #[inline(always)]
    fn prefetch(self, address: *const f32) {
        self.prefetch_bytes(address.cast());
    }

    #[inline(always)]
    fn prefetch_bytes(self, address: *const u8) {
        // SAFETY: a prefetch of an invalid address does nothing.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(address.cast()) }
    }

    #[inline(always)]
    fn splat(self, value: f32) -> __m256 {
        // SAFETY: `self` proves AVX2.
        unsafe { _mm256_set1_ps(value) }
    }

    #[inline(always)]
    unsafe fn load_pointer(self, source: *const f32) -> __m256 {
        // SAFETY: `self` proves AVX2; the caller promises LANES readable values.
        unsafe { _mm256_loadu_ps(source) }
    }

    #[inline(always)]
    unsafe fn store_pointer(self, vector: __m256, target: *mut f32) {
        // SAFETY: `self` proves AVX2; the caller promises LANES writable values.
        unsafe { _mm256_storeu_ps(target, vector) }
    }

    #[inline(always)]
    unsafe fn load_first(self, source: *const f32, count: usize) -> __m256 {
        // SAFETY: `self` proves AVX2; masked lanes are not touched.
        unsafe { _mm256_maskload_ps(source, self.first(count)) }
    }

    #[inline(always)]
    unsafe fn store_first(self, vector: __m256, target: *mut f32, count: usize) {
        // SAFETY: `self` proves AVX2; masked lanes are not touched.
        unsafe { _mm256_maskstore_ps(target, self.first(count), vector) }
    }

    #[inline(always)]
    unsafe fn transpose(self, source: *const f32, source_row: usize, target: *mut f32, target_row: usize) {
        // SAFETY: `self` proves AVX2; the caller promises the rows.
        unsafe {
            // quads[4g + c], 128-bit lane l: column 4l + c of rows 4g to 4g + 3.
            let mut quads = [_mm256_setzero_ps(); LANES];
            for group in (0..LANES).step_by(4) {
                let row = |index: usize| _mm256_loadu_ps(source.add((group + index) * source_row));
                let (a, b, c, d) = (row(0), row(1), row(2), row(3));
                let low_ab = _mm256_castps_pd(_mm256_unpacklo_ps(a, b));
                let high_ab = _mm256_castps_pd(_mm256_unpackhi_ps(a, b));
                let low_cd = _mm256_castps_pd(_mm256_unpacklo_ps(c, d));
                let high_cd = _mm256_castps_pd(_mm256_unpackhi_ps(c, d));
                quads[group] = _mm256_castpd_ps(_mm256_unpacklo_pd(low_ab, low_cd));
                quads[group + 1] = _mm256_castpd_ps(_mm256_unpackhi_pd(low_ab, low_cd));
                quads[group + 2] = _mm256_castpd_ps(_mm256_unpacklo_pd(high_ab, high_cd));
                quads[group + 3] = _mm256_castpd_ps(_mm256_unpackhi_pd(high_ab, high_cd));
            }
            for column in 0..4 {
                let (a, b) = (quads[column], quads[4 + column]);
                let put = |row: usize, value| _mm256_storeu_ps(target.add(row * target_row), value);
                put(column, _mm256_permute2f128_ps::<0x20>(a, b));
                put(4 + column, _mm256_permute2f128_ps::<0x31>(a, b));
            }
        }
    }

    #[inline(always)]
    fn add(self, a: __m256, b: __m256) -> __m256 {
        // SAFETY: `self` proves AVX2.
        unsafe { _mm256_add_ps(a, b) }
    }

    #[inline(always)]
    fn sub(self, a: __m256, b: __m256) -> __m256 {
        // SAFETY: `self` proves AVX2.
        unsafe { _mm256_sub_ps(a, b) }
    }

    #[inline(always)]
    fn mul(self, a: __m256, b: __m256) -> __m256 {
        // SAFETY: `self` proves AVX2.
        unsafe { _mm256_mul_ps(a, b) }
    }

    #[inline(always)]
    fn div(self, a: __m256, b: __m256) -> __m256 {
        // SAFETY: `self` proves AVX2.
        unsafe { _mm256_div_ps(a, b) }
    }

    #[inline(always)]
    fn mul_add(self, a: __m256, b: __m256, c: __m256) -> __m256 {
        // SAFETY: `self` proves FMA.
        unsafe { _mm256_fmadd_ps(a, b, c) }
    }

    #[inline(always)]
    fn neg_mul_add(self, a: __m256, b: __m256, c: __m256) -> __m256 {
        // SAFETY: `self` proves FMA.
        unsafe { _mm256_fnmadd_ps(a, b, c) }
    }

    #[inline(always)]
    fn min(self, a: __m256, b: __m256) -> __m256 {
        // SAFETY: `self` proves AVX2.
        unsafe { _mm256_min_ps(a, b) }
    }

    #[inline(always)]
    fn max(self, a: __m256, b: __m256) -> __m256 {
        // SAFETY: `self` proves AVX2.
        unsafe { _mm256_max_ps(a, b) }
    }

    #[inline(always)]
    fn abs(self, a: __m256) -> __m256 {
        // SAFETY: `self` proves AVX2.
        unsafe { _mm256_andnot_ps(_mm256_set1_ps(-0.0), a) }
    }

    #[inline(always)]
    fn select_less(self, a: __m256, b: __m256, yes: __m256, no: __m256) -> __m256 {
        // SAFETY: `self` proves AVX2.
        unsafe { _mm256_blendv_ps(no, yes, _mm256_cmp_ps::<_CMP_LT_OQ>(a, b)) }
    }

    #[inline(always)]
    fn round(self, a: __m256) -> __m256 {
        // SAFETY: `self` proves AVX2.
        unsafe { _mm256_round_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(a) }
    }

    #[inline(always)]
    fn scale_by_power_of_two(self, a: __m256, n: __m256) -> __m256 {
        // SAFETY: `self` proves AVX2.
        unsafe {
            // Two factors, since 2ⁿ itself may leave the range of normal numbers where a·2ⁿ does not.
            let n = _mm256_cvtps_epi32(n);
            let half = _mm256_srai_epi32::<1>(n);
            let rest = _mm256_sub_epi32(n, half);
            let bias = _mm256_set1_epi32(127);
            let first = _mm256_castsi256_ps(_mm256_slli_epi32::<23>(_mm256_add_epi32(half, bias)));
            let second = _mm256_castsi256_ps(_mm256_slli_epi32::<23>(_mm256_add_epi32(rest, bias)));
            _mm256_mul_ps(_mm256_mul_ps(a, first), second)
        }
    }

    #[inline(always)]
    fn sum(self, a: __m256) -> f32 {
        let mut lanes = [0.0; LANES];
        self.store(a, &mut lanes);
        sum_by_halves(lanes)
    }

    #[inline(always)]
    fn splat_int(self, value: i32) -> __m256i {
        // SAFETY: `self` proves AVX2.
        unsafe { _mm256_set1_epi32(value) }
    }

    #[inline(always)]
    unsafe fn load_ints(self, source: *const u8) -> __m256i {
        // SAFETY: `self` proves AVX2; the caller promises the bytes.
        unsafe { _mm256_loadu_si256(source.cast()) }
    }

    #[inline(always)]
    unsafe fn store_ints(self, ints: __m256i, target: *mut u8) {
        // SAFETY: `self` proves AVX2; the caller promises the bytes.
        unsafe { _mm256_storeu_si256(target.cast(), ints) }
    }

    #[inline(always)]
    unsafe fn store_bytes(self, ints: __m256i, target: *mut u8) {
        // SAFETY: `self` proves AVX2; the caller promises the bytes.
        unsafe {
            const LOWEST: [i8; 16] = [0, 4, 8, 12, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1];
            let picked = _mm256_shuffle_epi8(
                ints,
                _mm256_broadcastsi128_si256(_mm_loadu_si128(LOWEST.as_ptr().cast())),
            );
            let halves =
                _mm_unpacklo_epi32(_mm256_castsi256_si128(picked), _mm256_extracti128_si256::<1>(picked));
            _mm_storel_epi64(target.cast(), halves);
        }
    }

    #[inline(always)]
    fn dot(self, unsigned: __m256i, signed: __m256i, sum: __m256i) -> __m256i {
        // SAFETY: `self` proves AVX2, and AVX-VNNI where it is used.
        unsafe {
            if VNNI {
                return _mm256_dpbusd_avx_epi32(sum, unsigned, signed);
            }
            // `maddubs` would saturate at 16 bits: every other byte is widened instead.
            let even = _mm256_madd_epi16(
                _mm256_and_si256(unsigned, _mm256_set1_epi16(255)),
                _mm256_srai_epi16::<8>(_mm256_slli_epi16::<8>(signed)),
            );
            let odd = _mm256_madd_epi16(_mm256_srli_epi16::<8>(unsigned), _mm256_srai_epi16::<8>(signed));
            _mm256_add_epi32(sum, _mm256_add_epi32(even, odd))
        }
    }

    #[inline(always)]
    fn to_floats(self, ints: __m256i) -> __m256 {
        // SAFETY: `self` proves AVX2.
        unsafe { _mm256_cvtepi32_ps(ints) }
    }

    #[inline(always)]
    fn to_ints(self, a: __m256) -> __m256i {
        // SAFETY: `self` proves AVX2.
        unsafe { _mm256_cvtps_epi32(a) }
    }

    #[inline(always)]
    fn join_bytes(self, [a, b, c, d]: [__m256i; 4]) -> __m256i {
        // SAFETY: `self` proves AVX2.
        unsafe {
            let low = _mm256_or_si256(a, _mm256_slli_epi32::<8>(b));
            let high = _mm256_or_si256(_mm256_slli_epi32::<16>(c), _mm256_slli_epi32::<24>(d));
            _mm256_or_si256(low, high)
        }
    }

    #[inline(always)]
    fn centre_bytes(self, ints: __m256i) -> __m256i {
        // SAFETY: `self` proves AVX2.
        unsafe { _mm256_xor_si256(ints, _mm256_set1_epi32(BYTE_SIGNS)) }
    }
}

//! A vector of f32 lanes, written once per instruction set; every kernel is generic over it.
//!
//! A value of a type that implements [`Simd`] is the proof that the CPU has the instructions: only [`dispatch`]
//! makes one, inside a function compiled for them. Methods are `#[inline(always)]` so that whole kernels are compiled
//! with the features of that function.
//!
//! [`dispatch`]: crate::dispatch

#[cfg(target_arch = "x86_64")]
pub(crate) mod avx2;
#[cfg(target_arch = "x86_64")]
pub(crate) mod avx512;
#[cfg(target_arch = "aarch64")]
pub(crate) mod neon;
pub(crate) mod scalar;

/// Most lanes of any instruction set.
pub(crate) const MAX_LANES: usize = 16;

/// 0, 1, 2, … to tell lanes apart.
pub(crate) const LANE_INDEX: [f32; MAX_LANES] =
    [0., 1., 2., 3., 4., 5., 6., 7., 8., 9., 10., 11., 12., 13., 14., 15.];

/// The highest bit of each byte.
pub(crate) const BYTE_SIGNS: i32 = i32::from_ne_bytes([0x80; 4]);

/// The operations of a vector of [`Simd::LANES`] f32 values, and of one of as many integers.
///
/// Every lane-wise operation treats all lanes alike, so an element's result never depends on its position.
pub(crate) trait Simd: Copy {
    /// The vector.
    type Vector: Copy;

    /// As many i32 values, each also read as four bytes, the first of them lowest.
    type Ints: Copy;

    /// Values per vector.
    const LANES: usize;

    /// Most rows of an f32 GEMM tile that is two vectors wide and stays in registers.
    const TILE_ROWS: usize;

    /// Most rows of such a tile of integers.
    const INT_TILE_ROWS: usize;

    /// Whether whole tiles of bytes are multiplied by AMX, whose registers an [`Operation`] must have asked for.
    ///
    /// [`Operation`]: crate::dispatch::Operation
    const HAS_AMX: bool = false;

    /// Hints that `address`, which may be beyond what can be read, is read soon: where a tile uses up a cache line
    /// faster than the hardware fetches ahead by itself.
    #[inline(always)]
    fn prefetch(self, address: *const f32) {
        let _ = address;
    }

    /// As [`Simd::prefetch`], for tiles of integers, which are through a line four times as fast.
    #[inline(always)]
    fn prefetch_bytes(self, address: *const u8) {
        let _ = address;
    }

    fn splat(self, value: f32) -> Self::Vector;

    /// Reads `LANES` values.
    ///
    /// # Safety
    /// `source` is valid for reading `LANES` values.
    unsafe fn load_pointer(self, source: *const f32) -> Self::Vector;

    /// Writes `LANES` values.
    ///
    /// # Safety
    /// `target` is valid for writing `LANES` values.
    unsafe fn store_pointer(self, vector: Self::Vector, target: *mut f32);

    /// Reads `count < LANES` values; the other lanes are zero.
    ///
    /// # Safety
    /// `source` is valid for reading `count` values.
    unsafe fn load_first(self, source: *const f32, count: usize) -> Self::Vector;

    /// Writes the first `count < LANES` values.
    ///
    /// # Safety
    /// `target` is valid for writing `count` values.
    unsafe fn store_first(self, vector: Self::Vector, target: *mut f32, count: usize);

    /// Writes the transpose of `LANES` rows of `LANES` values, whose rows lie `source_row` apart, to rows
    /// `target_row` apart.
    ///
    /// # Safety
    /// `source` is valid for reading and `target` for writing these rows, and they do not overlap.
    #[inline(always)]
    unsafe fn transpose(self, source: *const f32, source_row: usize, target: *mut f32, target_row: usize) {
        for row in 0..Self::LANES {
            for column in 0..Self::LANES {
                // SAFETY: both are values of the rows the caller promises.
                unsafe { *target.add(column * target_row + row) = *source.add(row * source_row + column) };
            }
        }
    }

    fn add(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    fn sub(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    fn mul(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    fn div(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;

    /// a·b + c
    fn mul_add(self, a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector;

    /// c − a·b
    fn neg_mul_add(self, a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector;

    /// The smaller; `b` if either is NaN.
    fn min(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;

    /// The larger; `b` if either is NaN.
    fn max(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;

    fn abs(self, a: Self::Vector) -> Self::Vector;

    /// `yes` where a < b, else `no` (also where either is NaN).
    fn select_less(
        self,
        a: Self::Vector,
        b: Self::Vector,
        yes: Self::Vector,
        no: Self::Vector,
    ) -> Self::Vector;

    /// To the nearest integer, ties to even; |a| < 2²².
    fn round(self, a: Self::Vector) -> Self::Vector;

    /// a·2ⁿ with one rounding at most into the denormals, for an integral n with |n| ≤ 252.
    fn scale_by_power_of_two(self, a: Self::Vector, n: Self::Vector) -> Self::Vector;

    /// The sum of all lanes, in an order fixed per instruction set.
    fn sum(self, a: Self::Vector) -> f32;

    /// The largest of all lanes, none of them NaN.
    #[inline(always)]
    fn largest(self, a: Self::Vector) -> f32 {
        let mut lanes = [f32::NEG_INFINITY; MAX_LANES];
        self.store(a, &mut lanes);
        let mut width = MAX_LANES / 2;
        while width > 0 {
            for lane in 0..width {
                lanes[lane] =
                    if lanes[lane] < lanes[lane + width] { lanes[lane + width] } else { lanes[lane] };
            }
            width /= 2;
        }
        lanes[0]
    }

    fn splat_int(self, value: i32) -> Self::Ints;

    /// Reads `LANES` integers.
    ///
    /// # Safety
    /// `source` is valid for reading `4·LANES` bytes; it need not be aligned.
    unsafe fn load_ints(self, source: *const u8) -> Self::Ints;

    /// Writes `LANES` integers.
    ///
    /// # Safety
    /// `target` is valid for writing `4·LANES` bytes; it need not be aligned.
    unsafe fn store_ints(self, ints: Self::Ints, target: *mut u8);

    /// Writes the lowest byte of each integer.
    ///
    /// # Safety
    /// `target` is valid for writing `LANES` bytes.
    unsafe fn store_bytes(self, ints: Self::Ints, target: *mut u8);

    /// Adds to each integer of `sum` the four products of a byte of `unsigned` with a byte of `signed`, exactly.
    fn dot(self, unsigned: Self::Ints, signed: Self::Ints, sum: Self::Ints) -> Self::Ints;

    fn to_floats(self, ints: Self::Ints) -> Self::Vector;

    /// To the nearest integer, ties to even; |a| < 2³¹.
    fn to_ints(self, a: Self::Vector) -> Self::Ints;

    /// The lowest bytes of the same lane of four vectors of 0 to 255, the first one's lowest.
    fn join_bytes(self, ints: [Self::Ints; 4]) -> Self::Ints;

    /// b − 128 for every unsigned byte b, as signed bytes.
    fn centre_bytes(self, ints: Self::Ints) -> Self::Ints;

    /// Reads the first `LANES` values of `values`.
    ///
    /// # Panics
    /// If `values` is shorter.
    #[inline(always)]
    fn load(self, values: &[f32]) -> Self::Vector {
        assert!(values.len() >= Self::LANES);
        // SAFETY: the slice holds at least LANES values.
        unsafe { self.load_pointer(values.as_ptr()) }
    }

    /// Writes the first `LANES` values of `values`.
    ///
    /// # Panics
    /// If `values` is shorter.
    #[inline(always)]
    fn store(self, vector: Self::Vector, values: &mut [f32]) {
        assert!(values.len() >= Self::LANES);
        // SAFETY: the slice holds at least LANES values.
        unsafe { self.store_pointer(vector, values.as_mut_ptr()) }
    }

    /// Reads up to `LANES` values; the lanes beyond a shorter slice are zero.
    #[inline(always)]
    fn load_padded(self, values: &[f32]) -> Self::Vector {
        if values.len() >= Self::LANES {
            return self.load(values);
        }
        // SAFETY: the slice holds `len` values, fewer than LANES.
        unsafe { self.load_first(values.as_ptr(), values.len()) }
    }

    /// Writes up to `LANES` values; the lanes beyond a shorter slice are dropped.
    #[inline(always)]
    fn store_cut(self, vector: Self::Vector, values: &mut [f32]) {
        if values.len() >= Self::LANES {
            return self.store(vector, values);
        }
        // SAFETY: the slice holds `len` values, fewer than LANES.
        unsafe { self.store_first(vector, values.as_mut_ptr(), values.len()) }
    }
}

/// Sums `lanes` by halves: the order every instruction set's [`Simd::sum`] follows.
#[inline(always)]
pub(crate) fn sum_by_halves<const N: usize>(mut lanes: [f32; N]) -> f32 {
    let mut width = N / 2;
    while width > 0 {
        for lane in 0..width {
            lanes[lane] += lanes[lane + width];
        }
        width /= 2;
    }
    lanes[0]
}

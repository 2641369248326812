//! Portable Rust: the twin every other instruction set is tested against.

use super::{BYTE_SIGNS, Simd, sum_by_halves};

/// Four lanes of plain Rust. Products and sums round separately, since a fused one is a library call without FMA.
#[derive(Clone, Copy)]
pub(crate) struct Scalar;

const LANES: usize = 4;
type Lanes = [f32; LANES];
type IntLanes = [i32; LANES];

#[inline(always)]
fn zip(a: Lanes, b: Lanes, operation: impl Fn(f32, f32) -> f32) -> Lanes {
    let mut result = a;
    for lane in 0..LANES {
        result[lane] = operation(a[lane], b[lane]);
    }
    result
}

impl Simd for Scalar {
    type Vector = Lanes;
    type Ints = IntLanes;
    const LANES: usize = LANES;
    const TILE_ROWS: usize = 4;
    const INT_TILE_ROWS: usize = 4;

    #[inline(always)]
    fn splat(self, value: f32) -> Lanes {
        [value; LANES]
    }

    #[inline(always)]
    unsafe fn load_pointer(self, source: *const f32) -> Lanes {
        // SAFETY: the caller promises LANES readable values; no alignment is needed.
        unsafe { source.cast::<Lanes>().read_unaligned() }
    }

    #[inline(always)]
    unsafe fn store_pointer(self, vector: Lanes, target: *mut f32) {
        // SAFETY: the caller promises LANES writable values; no alignment is needed.
        unsafe { target.cast::<Lanes>().write_unaligned(vector) }
    }

    #[inline(always)]
    unsafe fn load_first(self, source: *const f32, count: usize) -> Lanes {
        let mut vector = [0.0; LANES];
        // SAFETY: the caller promises `count` readable values, fewer than LANES.
        unsafe { std::ptr::copy_nonoverlapping(source, vector.as_mut_ptr(), count) };
        vector
    }

    #[inline(always)]
    unsafe fn store_first(self, vector: Lanes, target: *mut f32, count: usize) {
        // SAFETY: the caller promises `count` writable values, fewer than LANES.
        unsafe { std::ptr::copy_nonoverlapping(vector.as_ptr(), target, count) };
    }

    #[inline(always)]
    fn add(self, a: Lanes, b: Lanes) -> Lanes {
        zip(a, b, |a, b| a + b)
    }

    #[inline(always)]
    fn sub(self, a: Lanes, b: Lanes) -> Lanes {
        zip(a, b, |a, b| a - b)
    }

    #[inline(always)]
    fn mul(self, a: Lanes, b: Lanes) -> Lanes {
        zip(a, b, |a, b| a * b)
    }

    #[inline(always)]
    fn div(self, a: Lanes, b: Lanes) -> Lanes {
        zip(a, b, |a, b| a / b)
    }

    #[inline(always)]
    fn mul_add(self, a: Lanes, b: Lanes, c: Lanes) -> Lanes {
        self.add(self.mul(a, b), c)
    }

    #[inline(always)]
    fn neg_mul_add(self, a: Lanes, b: Lanes, c: Lanes) -> Lanes {
        self.sub(c, self.mul(a, b))
    }

    #[inline(always)]
    fn min(self, a: Lanes, b: Lanes) -> Lanes {
        zip(a, b, |a, b| if a < b { a } else { b })
    }

    #[inline(always)]
    fn max(self, a: Lanes, b: Lanes) -> Lanes {
        zip(a, b, |a, b| if a > b { a } else { b })
    }

    #[inline(always)]
    fn abs(self, a: Lanes) -> Lanes {
        a.map(f32::abs)
    }

    #[inline(always)]
    fn select_less(self, a: Lanes, b: Lanes, yes: Lanes, no: Lanes) -> Lanes {
        let mut result = no;
        for lane in 0..LANES {
            if a[lane] < b[lane] {
                result[lane] = yes[lane];
            }
        }
        result
    }

    #[inline(always)]
    fn round(self, a: Lanes) -> Lanes {
        // Adding 1.5·2²³ leaves no fraction bits, so the addition itself rounds to nearest even.
        const NO_FRACTION: f32 = 12_582_912.0;
        a.map(|a| (a + NO_FRACTION) - NO_FRACTION)
    }

    #[inline(always)]
    fn scale_by_power_of_two(self, a: Lanes, n: Lanes) -> Lanes {
        zip(a, n, |a, n| {
            let n = n as i32;
            let half = n >> 1;
            let power = |n: i32| f32::from_bits(((n + 127) << 23) as u32);
            (a * power(half)) * power(n - half)
        })
    }

    #[inline(always)]
    fn sum(self, a: Lanes) -> f32 {
        sum_by_halves(a)
    }

    #[inline(always)]
    fn splat_int(self, value: i32) -> IntLanes {
        [value; LANES]
    }

    #[inline(always)]
    unsafe fn load_ints(self, source: *const u8) -> IntLanes {
        // SAFETY: the caller promises the bytes; no alignment is needed.
        unsafe { source.cast::<IntLanes>().read_unaligned() }
    }

    #[inline(always)]
    unsafe fn store_ints(self, ints: IntLanes, target: *mut u8) {
        // SAFETY: the caller promises the bytes; no alignment is needed.
        unsafe { target.cast::<IntLanes>().write_unaligned(ints) }
    }

    #[inline(always)]
    unsafe fn store_bytes(self, ints: IntLanes, target: *mut u8) {
        // SAFETY: the caller promises the bytes.
        unsafe { target.cast::<[u8; LANES]>().write_unaligned(ints.map(|int| int as u8)) }
    }

    #[inline(always)]
    fn dot(self, unsigned: IntLanes, signed: IntLanes, sum: IntLanes) -> IntLanes {
        let mut result = sum;
        for lane in 0..LANES {
            let bytes = unsigned[lane].to_le_bytes().into_iter().zip(signed[lane].to_le_bytes());
            result[lane] += bytes.map(|(a, b)| i32::from(a) * i32::from(b as i8)).sum::<i32>();
        }
        result
    }

    #[inline(always)]
    fn to_floats(self, ints: IntLanes) -> Lanes {
        ints.map(|int| int as f32)
    }

    #[inline(always)]
    fn to_ints(self, a: Lanes) -> IntLanes {
        a.map(|a| a.round_ties_even() as i32)
    }

    #[inline(always)]
    fn join_bytes(self, [a, b, c, d]: [IntLanes; 4]) -> IntLanes {
        std::array::from_fn(|lane| a[lane] | b[lane] << 8 | c[lane] << 16 | d[lane] << 24)
    }

    #[inline(always)]
    fn centre_bytes(self, ints: IntLanes) -> IntLanes {
        ints.map(|int| int ^ BYTE_SIGNS)
    }
}

//! Reductions of vectors, in an order fixed by their length.

use crate::dispatch::Operation;
use crate::isa::Kernels;
use crate::simd::Simd;

/// Independent sums, so that one addition need not wait for the last.
const CHAINS: usize = 4;

/// Σ x²
#[inline(always)]
pub(crate) fn sum_of_squares<S: Simd>(simd: S, x: &[f32]) -> f32 {
    let mut sums = [simd.splat(0.0); CHAINS];
    for chunk in x.chunks(CHAINS * S::LANES) {
        for (lanes, sum) in chunk.chunks(S::LANES).zip(&mut sums) {
            let value = simd.load_padded(lanes);
            *sum = simd.mul_add(value, value, *sum);
        }
    }
    simd.sum(simd.add(simd.add(sums[0], sums[1]), simd.add(sums[2], sums[3])))
}

/// x·factor in place.
#[inline(always)]
pub(crate) fn scale<S: Simd>(simd: S, x: &mut [f32], factor: f32) {
    let factor = simd.splat(factor);
    for chunk in x.chunks_mut(S::LANES) {
        simd.store_cut(simd.mul(simd.load_padded(chunk), factor), chunk);
    }
}

struct L2Normalize<'a> {
    x: &'a mut [f32],
}

impl Operation for L2Normalize<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let norm = sum_of_squares(simd, self.x).sqrt();
        scale(simd, self.x, 1.0 / norm.max(1e-12));
    }
}

impl Kernels {
    /// Divides by max(‖x‖₂, 1e-12).
    pub fn l2_normalize(self, x: &mut [f32]) {
        self.dispatch(L2Normalize { x });
    }
}

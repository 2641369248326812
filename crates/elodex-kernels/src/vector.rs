//! Reductions of vectors, in an order fixed by their length.

use crate::dispatch::Operation;
use crate::isa::Kernels;
use crate::simd::Simd;

/// Independent sums, so that one addition need not wait for the last.
const CHAINS: usize = 4;

/// Σ a·b
#[inline(always)]
pub(crate) fn dot<S: Simd>(simd: S, a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [simd.splat(0.0); CHAINS];
    let a = a.chunks(CHAINS * S::LANES);
    let b = b.chunks(CHAINS * S::LANES);
    for (a, b) in a.zip(b) {
        let lanes = a.chunks(S::LANES).zip(b.chunks(S::LANES));
        for ((a, b), sum) in lanes.zip(&mut sums) {
            *sum = simd.mul_add(simd.load_padded(a), simd.load_padded(b), *sum);
        }
    }
    add_chains(simd, sums)
}

#[inline(always)]
pub(crate) fn add_chains<S: Simd>(simd: S, sums: [S::Vector; CHAINS]) -> f32 {
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

struct Dot<'a> {
    a: &'a [f32],
    b: &'a [f32],
}

impl Operation for Dot<'_> {
    type Output = f32;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> f32 {
        dot(simd, self.a, self.b)
    }
}

struct L2Normalize<'a> {
    x: &'a mut [f32],
}

impl Operation for L2Normalize<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let norm = dot(simd, self.x, self.x).sqrt();
        scale(simd, self.x, 1.0 / norm.max(1e-12));
    }
}

impl Kernels {
    /// Divides by max(‖x‖₂, 1e-12).
    pub fn l2_normalize(self, x: &mut [f32]) {
        self.dispatch(L2Normalize { x });
    }

    /// Σ a·b.
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn dot(self, a: &[f32], b: &[f32]) -> f32 {
        assert_eq!(a.len(), b.len(), "vectors of unlike length");
        self.dispatch(Dot { a, b })
    }
}

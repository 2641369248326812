//! The exponential and its kin, lane by lane. Coefficients are our own minimax fits.

use crate::simd::Simd;

/// Σ coefficients\[i\]·xⁱ
#[inline(always)]
pub(crate) fn polynomial<S: Simd, const N: usize>(
    simd: S,
    x: S::Vector,
    coefficients: [f32; N],
) -> S::Vector {
    let mut value = simd.splat(coefficients[N - 1]);
    for power in (0..N - 1).rev() {
        value = simd.mul_add(value, x, simd.splat(coefficients[power]));
    }
    value
}

/// eˣ within 2 ULP where the result is a normal number and within one denormal step below; 0 from about −104 down,
/// ∞ from about 88.73 up.
#[inline(always)]
pub(crate) fn exp<S: Simd>(simd: S, x: S::Vector) -> S::Vector {
    // Beyond these the result is 0 or ∞ whatever x is. The operand order lets NaN through.
    let x = simd.max(simd.splat(-150.0), x);
    let x = simd.min(simd.splat(89.0), x);
    // x = n·ln 2 + r; ln 2 in two parts, the first short enough for n times it to be exact.
    let n = simd.round(simd.mul(x, simd.splat(std::f32::consts::LOG2_E)));
    let r = simd.neg_mul_add(n, simd.splat(0.693_359_4), x);
    let r = simd.neg_mul_add(n, simd.splat(-2.121_944_4e-4), r);
    // (eʳ − 1 − r) / r² on |r| ≤ ½·ln 2, relative error of eʳ 3.1e-9.
    const TAIL: [f32; 5] = [0.499_999_94, 0.166_665_21, 0.041_668_39, 8.368_717e-3, 1.381_459_9e-3];
    let tail = polynomial(simd, r, TAIL);
    let power = simd.add(simd.mul_add(tail, simd.mul(r, r), r), simd.splat(1.0));
    simd.scale_by_power_of_two(power, n)
}

/// 1 / (1 + e⁻ˣ), accurate relative to the result on both sides.
#[inline(always)]
pub(crate) fn sigmoid<S: Simd>(simd: S, x: S::Vector) -> S::Vector {
    let zero = simd.splat(0.0);
    let small = exp(simd, simd.sub(zero, simd.abs(x)));
    let one = simd.splat(1.0);
    let numerator = simd.select_less(x, zero, small, one);
    simd.div(numerator, simd.add(one, small))
}

/// tanh x
#[inline(always)]
pub(crate) fn tanh<S: Simd>(simd: S, x: S::Vector) -> S::Vector {
    let zero = simd.splat(0.0);
    let one = simd.splat(1.0);
    let magnitude = simd.abs(x);
    let power = exp(simd, simd.add(magnitude, magnitude));
    let large = simd.sub(one, simd.div(simd.splat(2.0), simd.add(power, one)));
    let large = simd.select_less(x, zero, simd.sub(zero, large), large);
    // (tanh x − x) / x³ by x² on |x| ≤ 0.65, relative error of tanh 6.4e-9: near zero the form above cancels.
    const TAIL: [f32; 5] = [-0.333_332_63, 0.133_308_99, -0.053_692_967, 0.020_483_317, -5.528_633_5e-3];
    let square = simd.mul(x, x);
    let small = simd.mul_add(simd.mul(polynomial(simd, square, TAIL), square), x, x);
    simd.select_less(magnitude, simd.splat(0.625), small, large)
}

/// x·Φ(x), the exact GELU, within 1e-6 of it plus half an ULP.
///
/// x·Φ(x) = max(x, 0) − t·Φ(−t) with t = |x|. The subtrahend is at most 0.17 and fades to 6e-8 at t = 5.6, so a
/// polynomial for Φ(−t) serves without an exponential or a division.
#[inline(always)]
pub(crate) fn gelu<S: Simd>(simd: S, x: S::Vector) -> S::Vector {
    let (zero, t) = (simd.splat(0.0), simd.abs(x));
    let below = simd.select_less(simd.splat(TAIL_END), t, zero, simd.mul(t, tail(simd, t)));
    simd.sub(simd.max(zero, x), below)
}

/// Φ(x) + x·φ(x), the derivative of [`gelu`], within 1e-6.
#[inline(always)]
pub(crate) fn gelu_derivative<S: Simd>(simd: S, x: S::Vector) -> S::Vector {
    const INVERSE_ROOT_TWO_PI: f32 = 0.398_942_3;
    let (zero, t) = (simd.splat(0.0), simd.abs(x));
    let tail = simd.select_less(simd.splat(TAIL_END), t, zero, tail(simd, t));
    let below = simd.select_less(x, zero, tail, simd.sub(simd.splat(1.0), tail));
    let density = exp(simd, simd.mul(simd.mul(t, t), simd.splat(-0.5)));
    simd.mul_add(simd.mul(x, density), simd.splat(INVERSE_ROOT_TWO_PI), below)
}

/// Where Φ(−t) counts as zero.
const TAIL_END: f32 = 5.6;

/// Φ(−t) for 0 ≤ t ≤ 5.6, and its value there beyond; error of t·Φ(−t) 1.6e-7.
#[inline(always)]
fn tail<S: Simd>(simd: S, t: S::Vector) -> S::Vector {
    // By t − 2.8: centred, or the evaluation would cancel.
    const TAIL: [f32; 17] = [
        0.002_555_134_5,
        -0.007_915_545,
        0.011_081_577,
        -0.009_022_93,
        0.004_469_644,
        -0.001_150_862_2,
        -5.939_794e-5,
        0.000_161_977_15,
        -5.011_702_5e-5,
        -7.454_654e-7,
        4.637_436_6e-6,
        -9.583_748e-7,
        -1.341_496_7e-7,
        7.166_816e-8,
        -3.043_802_8e-9,
        -1.860_303_1e-9,
        2.197_751e-10,
    ];
    let t = simd.min(simd.splat(TAIL_END), t);
    polynomial(simd, simd.sub(t, simd.splat(TAIL_END / 2.0)), TAIL)
}

/// [`gelu`] within 2e-4.
#[inline(always)]
pub(crate) fn coarse_gelu<S: Simd>(simd: S, x: S::Vector) -> S::Vector {
    // t·Φ(−t) on 0 ≤ t ≤ 4, where it is 1.3e-4; error 2e-4.
    const SUBTRAHEND: [f32; 8] = [
        -1.950_466_4e-4,
        0.501_767,
        -0.393_610_78,
        -0.039_917_998,
        0.138_372_66,
        -0.057_081_345,
        9.845_406e-3,
        -6.380_19e-4,
    ];
    let t = simd.min(simd.splat(4.0), simd.abs(x));
    simd.sub(simd.max(simd.splat(0.0), x), polynomial(simd, t, SUBTRAHEND))
}

/// 2ˣ within 8e-5 relative to it, for −30 ≤ x ≤ 30; x below that is read as −30.
#[inline(always)]
pub(crate) fn coarse_exp2<S: Simd>(simd: S, x: S::Vector) -> S::Vector {
    let x = simd.max(x, simd.splat(-30.0));
    let n = simd.round(x);
    // 2ʳ on |r| ≤ ½.
    const POWER: [f32; 4] = [0.999_928_06, 0.693_261, 0.242_611_17, 0.055_171_34];
    simd.scale_by_power_of_two(polynomial(simd, simd.sub(x, n), POWER), n)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dispatch::Operation;
    use crate::isa::{Isa, Kernels};

    struct Exp<'a>(&'a mut [f32]);

    impl Operation for Exp<'_> {
        type Output = ();

        #[inline(always)]
        fn run<S: Simd>(self, simd: S) {
            for chunk in self.0.chunks_mut(S::LANES) {
                simd.store_cut(exp(simd, simd.load_padded(chunk)), chunk);
            }
        }
    }

    /// Distance in representable numbers, for non-negative values.
    fn ulps(a: f32, b: f32) -> u32 {
        a.to_bits().abs_diff(b.to_bits())
    }

    #[test]
    fn exp_is_within_its_stated_error() {
        let steps = if cfg!(miri) { 500 } else { 500_000 };
        let mut inputs: Vec<f32> =
            (0..=steps).map(|step| -110.0 + 200.0 * step as f32 / steps as f32).collect();
        inputs.extend((-149..=0).flat_map(|exponent| [2f32.powi(exponent), -(2f32.powi(exponent))]));
        for kernels in Isa::available().into_iter().filter_map(Kernels::with_isa) {
            let mut values = inputs.clone();
            kernels.dispatch(Exp(&mut values));
            for (&x, &value) in inputs.iter().zip(&values) {
                let expected = f64::from(x).exp() as f32;
                let allowed = if expected < f32::MIN_POSITIVE { 1 } else { 2 };
                let distance = ulps(value, expected);
                assert!(distance <= allowed, "{} exp({x}) is {value:e}, not {expected:e}", kernels.isa());
            }
        }
    }

    #[test]
    fn exp_at_the_ends() {
        for kernels in Isa::available().into_iter().filter_map(Kernels::with_isa) {
            let mut values = [f32::NEG_INFINITY, f32::MIN, -104.0, 0.0, 89.0, f32::MAX, f32::INFINITY];
            kernels.dispatch(Exp(&mut values));
            assert_eq!(values, [0.0, 0.0, 0.0, 1.0, f32::INFINITY, f32::INFINITY, f32::INFINITY]);
            let mut nan = [f32::NAN];
            kernels.dispatch(Exp(&mut nan));
            assert!(nan[0].is_nan(), "{}", kernels.isa());
        }
    }
}

//! How a difference of scores becomes the probability of winning.

use libm::{erf, erfc};
use serde::{Deserialize, Serialize};
use std::f64::consts::PI;

/// From this margin on against a document, the normal tail is taken from its asymptotic series: the first term left
/// out is below 1e-12 of the sum there, and shrinks with the tenth power of the margin.
const FAR: f64 = 25.0;

/// The probability that a document wins, as a function of how far its score is ahead.
///
/// The scales differ: scores fitted by the one are about 0.4 times those of the other, so they must not be mixed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Link {
    /// σ(Δ), the logistic function: Bradley and Terry, *Biometrika* 39 (1952).
    BradleyTerry,
    /// (1 + erf Δ) / 2, the normal distribution with variance ½: Thurstone's law of comparative judgement, case V
    /// (*Psychological Review* 34, 1927), in the scaling of <https://arxiv.org/abs/2509.12541> §4.2.2.
    #[default]
    Thurstone,
}

/// ln F(Δ) with its derivatives.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct LogProbability {
    pub(super) value: f64,
    /// d ln F / dΔ, never negative.
    pub(super) slope: f64,
    /// −d² ln F / dΔ², never negative: both links are log-concave.
    pub(super) curvature: f64,
}

impl Link {
    /// The probability that a document wins whose score is `margin` above the other's.
    pub fn probability(self, margin: f64) -> f64 {
        match self {
            Link::BradleyTerry => logistic(margin),
            Link::Thurstone if margin < 0.0 => erfc(-margin) / 2.0,
            Link::Thurstone => (1.0 + erf(margin)) / 2.0,
        }
    }

    pub(super) fn log_probability(self, margin: f64) -> LogProbability {
        match self {
            Link::BradleyTerry => LogProbability {
                value: margin.min(0.0) - (-margin.abs()).exp().ln_1p(),
                slope: logistic(-margin),
                curvature: logistic(margin) * logistic(-margin),
            },
            Link::Thurstone => log_normal(margin),
        }
    }
}

/// σ(x), without overflow at either end.
pub(super) fn logistic(x: f64) -> f64 {
    if x >= 0.0 {
        return 1.0 / (1.0 + (-x).exp());
    }
    let odds = x.exp();
    odds / (1.0 + odds)
}

fn log_normal(margin: f64) -> LogProbability {
    if margin < -FAR {
        return log_normal_tail(-margin);
    }
    let value = if margin > 0.0 { (-erfc(margin) / 2.0).ln_1p() } else { (erfc(-margin) / 2.0).ln() };
    let slope = (-margin * margin - value).exp() / PI.sqrt();
    LogProbability { value, slope, curvature: slope * (slope + 2.0 * margin) }
}

/// [`log_normal`] at −`x`, far below 0, where `erfc` would underflow and the curvature would cancel.
///
/// √π·x·e^{x²}·erfc(x) = 1 − u + 3u² − 15u³ + 105u⁴ − …, u = 1/(2x²) (Abramowitz and Stegun 7.1.23).
fn log_normal_tail(x: f64) -> LogProbability {
    let u = 1.0 / (2.0 * x * x);
    let below_one = u * (1.0 - u * (3.0 - u * (15.0 - u * 105.0)));
    let series = 1.0 - below_one;
    // slope − 2x = 2x · (1 − series) / series, without the difference of two large numbers.
    let slope = 2.0 * x / series;
    LogProbability {
        value: -x * x - (2.0 * PI.sqrt() * x).ln() + (-below_one).ln_1p(),
        slope,
        curvature: slope * 2.0 * x * below_one / series,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_normal_tail_has_the_values_of_tables() {
        // ln(erfc(x) / 2), from 40-digit arithmetic.
        for (margin, expected) in [
            (-1.0, -2.542_752_690_493_193_6),
            (-5.0, -27.894_036_726_097_38),
            (-12.1, -150.172_103_966_236_97),
            (-24.9, -624.491_184_746_134_4),
            (-25.1, -634.499_172_039_295_1),
            (-30.0, -904.667_264_291_203_8),
        ] {
            let found = Link::Thurstone.log_probability(margin).value;
            assert!((found - expected).abs() < 1e-12 * f64::abs(expected), "{margin}: {found}");
        }
    }

    #[test]
    fn derivatives_are_those_of_the_value() {
        for link in [Link::BradleyTerry, Link::Thurstone] {
            for margin in [-40.0, -26.0, -25.0001, -24.9999, -13.0, -6.0, -2.0, -0.3, 0.0, 0.4, 3.0, 5.5] {
                let step = 1e-4;
                let [below, at, above] =
                    [margin - step, margin, margin + step].map(|x| link.log_probability(x));
                let slope = (above.value - below.value) / (2.0 * step);
                let curvature = -(above.slope - below.slope) / (2.0 * step);
                assert!(
                    (at.slope - slope).abs() < 1e-5 * (1.0 + slope.abs()),
                    "{link:?} {margin}: {at:?} {slope}"
                );
                assert!((at.curvature - curvature).abs() < 1e-4, "{link:?} {margin}: {at:?} {curvature}");
            }
        }
    }

    #[test]
    fn both_sides_of_a_battle_sum_to_one() {
        for link in [Link::BradleyTerry, Link::Thurstone] {
            for margin in [0.0, 0.1, 2.0, 7.0, 800.0] {
                let sum = link.probability(margin) + link.probability(-margin);
                assert!((sum - 1.0).abs() < 1e-15, "{link:?} {margin}");
                assert!(link.log_probability(margin).value.is_finite());
                assert!(link.log_probability(-margin).value.is_finite());
            }
        }
    }
}

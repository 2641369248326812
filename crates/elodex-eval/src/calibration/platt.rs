//! A logistic curve.

use serde::{Deserialize, Serialize};

/// Newton steps at most; it takes about ten.
const STEPS: usize = 100;

/// `probability = 1 / (1 + exp(−(slope · score + intercept)))`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Platt {
    pub(super) slope: f64,
    pub(super) intercept: f64,
}

fn logistic(logit: f64) -> f64 {
    1.0 / (1.0 + (-logit).exp())
}

impl Platt {
    /// Maximum likelihood with Platt's smoothed targets, (n₊ + 1) / (n₊ + 2) and 1 / (n₋ + 2) (Platt 1999), by
    /// Newton's method with backtracking (Lin, Lin and Weng, *Machine Learning* 2007). A slope below 0, which would
    /// turn the order of results round, becomes 0.
    pub(super) fn fit(samples: &[(f64, bool)]) -> Self {
        let count = samples.len() as f64;
        let positive = samples.iter().filter(|(_, relevant)| *relevant).count() as f64;
        let targets = [1.0 / (count - positive + 2.0), (positive + 1.0) / (positive + 2.0)];
        let target = |relevant: bool| targets[usize::from(relevant)];
        // On standardised scores one step size suits both numbers.
        let centre = samples.iter().map(|(score, _)| score).sum::<f64>() / count;
        let spread = (samples.iter().map(|(score, _)| (score - centre).powi(2)).sum::<f64>() / count).sqrt();
        let mean_target = samples.iter().map(|(_, relevant)| target(*relevant)).sum::<f64>() / count;
        let flat = Self { slope: 0.0, intercept: (mean_target / (1.0 - mean_target)).ln() };
        if spread == 0.0 {
            return flat;
        }
        let points: Vec<(f64, f64)> =
            samples.iter().map(|&(score, relevant)| ((score - centre) / spread, target(relevant))).collect();
        let (slope, intercept) = newton(&points, flat.intercept);
        if slope <= 0.0 {
            return flat;
        }
        Self { slope: slope / spread, intercept: intercept - slope * centre / spread }
    }

    pub(super) fn probability(&self, score: f64) -> f64 {
        // 0 · ∞ is no number, and a flat curve is flat everywhere.
        let rise = if self.slope == 0.0 { 0.0 } else { self.slope * score };
        logistic(rise + self.intercept)
    }

    pub(super) fn score_at(&self, probability: f64) -> Option<f64> {
        if probability <= 0.0 || (self.slope == 0.0 && logistic(self.intercept) >= probability) {
            return Some(f64::NEG_INFINITY);
        }
        if probability >= 1.0 || probability.is_nan() || self.slope == 0.0 {
            return None;
        }
        Some(((probability / (1.0 - probability)).ln() - self.intercept) / self.slope)
    }

    pub(super) fn is_sound(&self) -> bool {
        self.slope.is_finite() && self.slope >= 0.0 && self.intercept.is_finite()
    }
}

/// Cross-entropy of one point, without overflow for large logits.
fn cross_entropy(logit: f64, target: f64) -> f64 {
    logit.max(0.0) - logit * target + (-logit.abs()).exp().ln_1p()
}

fn newton(points: &[(f64, f64)], start: f64) -> (f64, f64) {
    let loss = |slope: f64, intercept: f64| -> f64 {
        points.iter().map(|&(score, target)| cross_entropy(slope * score + intercept, target)).sum()
    };
    let (mut slope, mut intercept) = (0.0, start);
    let mut current = loss(slope, intercept);
    for _ in 0..STEPS {
        let mut gradient = (0.0, 0.0);
        // A small ridge keeps the matrix invertible where all probabilities are near 0 or 1.
        let mut curvature = (1e-12, 0.0, 1e-12);
        for &(score, target) in points {
            let probability = logistic(slope * score + intercept);
            let error = probability - target;
            let weight = probability * (1.0 - probability);
            gradient = (gradient.0 + error * score, gradient.1 + error);
            curvature =
                (curvature.0 + weight * score * score, curvature.1 + weight * score, curvature.2 + weight);
        }
        if gradient.0.abs() < 1e-10 && gradient.1.abs() < 1e-10 {
            break;
        }
        let determinant = curvature.0 * curvature.2 - curvature.1 * curvature.1;
        let step = (
            (curvature.2 * gradient.0 - curvature.1 * gradient.1) / determinant,
            (curvature.0 * gradient.1 - curvature.1 * gradient.0) / determinant,
        );
        let slope_along = gradient.0 * step.0 + gradient.1 * step.1;
        let mut length = 1.0;
        loop {
            let tried = (slope - length * step.0, intercept - length * step.1);
            let reached = loss(tried.0, tried.1);
            if reached <= current - 1e-4 * length * slope_along {
                (slope, intercept, current) = (tried.0, tried.1, reached);
                break;
            }
            length /= 2.0;
            if length < 1e-10 {
                return (slope, intercept);
            }
        }
    }
    (slope, intercept)
}

#[cfg(test)]
mod tests {
    use super::*;
    use fastrand::Rng;
    use proptest::prelude::*;

    pub(super) fn drawn(slope: f64, intercept: f64, count: usize, seed: u64) -> Vec<(f64, bool)> {
        let mut random = Rng::with_seed(seed);
        (0..count)
            .map(|_| {
                let score = random.f64() * 8.0 - 4.0;
                (score, random.f64() < logistic(slope * score + intercept))
            })
            .collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn planted_numbers_are_found(slope in 0.3_f64..2.0, intercept in -1.5_f64..1.5, seed: u64) {
            let fit = Platt::fit(&drawn(slope, intercept, 20_000, seed));
            prop_assert!((fit.slope - slope).abs() < 0.12 * (1.0 + slope), "{:?}", fit);
            prop_assert!((fit.intercept - intercept).abs() < 0.2, "{:?}", fit);
        }

        #[test]
        fn a_scale_changes_nothing_but_the_slope(factor in 0.001_f64..1000.0, shift in -100.0_f64..100.0, seed: u64) {
            let samples = drawn(1.0, 0.3, 300, seed);
            let scaled: Vec<(f64, bool)> =
                samples.iter().map(|&(score, relevant)| (score * factor + shift, relevant)).collect();
            let (one, other) = (Platt::fit(&samples), Platt::fit(&scaled));
            for score in [-3.0, 0.0, 2.0] {
                prop_assert!((one.probability(score) - other.probability(score * factor + shift)).abs() < 1e-6);
            }
        }
    }

    #[test]
    fn separable_labels_stay_finite() {
        let samples: Vec<(f64, bool)> = (0..100).map(|at| (f64::from(at), at >= 50)).collect();
        let fit = Platt::fit(&samples);
        assert!(fit.is_sound() && fit.probability(90.0) > 0.95 && fit.probability(10.0) < 0.05, "{fit:?}");
    }

    #[test]
    fn a_falling_score_becomes_the_base_rate() {
        let falling: Vec<(f64, bool)> = (0..100).map(|at| (f64::from(at), at < 30)).collect();
        let same: Vec<(f64, bool)> = (0..100).map(|at| (1.0, at < 30)).collect();
        for samples in [falling, same] {
            let fit = Platt::fit(&samples);
            assert_eq!(fit.slope, 0.0);
            assert!((fit.probability(f64::INFINITY) - 0.3).abs() < 0.02, "{fit:?}");
            assert_eq!((fit.score_at(0.1), fit.score_at(0.9)), (Some(f64::NEG_INFINITY), None));
        }
    }
}

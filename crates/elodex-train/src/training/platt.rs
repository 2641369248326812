//! From logits to probabilities that can be taken at their word.

use super::loss::sigmoid;
use crate::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

/// Newton steps at most; a handful is enough where there is an optimum.
const MAX_STEPS: usize = 100;
/// A step this short is none.
const SHORTEST: f64 = 1e-10;
/// λ of the prior λ/2·((a − 1)² + b²), which keeps the fit finite where the logits separate the targets.
const PRIOR: f64 = 1e-3;

/// p = σ(a·logit + b): Platt's scaling (*Advances in Large Margin Classifiers*, 1999), fitted to targets between 0 and 1
/// as they are.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Platt {
    /// Above 0.
    pub a: f64,
    /// The logit of 0 becomes this.
    pub b: f64,
}

impl Platt {
    /// The scaling that changes nothing.
    pub const NONE: Self = Self { a: 1.0, b: 0.0 };

    /// The a and b with the least cross entropy of `targets` (0 to 1) and σ(a·logit + b).
    ///
    /// # Errors
    /// No logit, or one that is no finite number; logits that say the opposite of the targets, or nothing: a is not above 0.
    pub fn fit(logits: &[f32], targets: &[f32]) -> Result<Self> {
        if logits.is_empty() || logits.len() != targets.len() {
            let message = format!(
                "{} logits and {} targets cannot be calibrated; there must be as many of each, and some",
                logits.len(),
                targets.len()
            );
            return Err(Error::new(ErrorKind::Request, message));
        }
        if let Some(odd) = logits.iter().find(|logit| !logit.is_finite()) {
            return Err(Error::new(ErrorKind::Diverged, format!("logit `{odd}` is not a finite number")));
        }
        let samples = || logits.iter().zip(targets).map(|(z, y)| (f64::from(*z), f64::from(*y)));
        let loss = |a: f64, b: f64| {
            let entropy = |(z, y): (f64, f64)| {
                let score = a * z + b;
                score.max(0.0) + (-score.abs()).exp().ln_1p() - y * score
            };
            samples().map(entropy).sum::<f64>() + 0.5 * PRIOR * ((a - 1.0).powi(2) + b * b)
        };
        let (mut a, mut b) = (1.0, 0.0);
        for _ in 0..MAX_STEPS {
            let (mut by_a, mut by_b) = (PRIOR * (a - 1.0), PRIOR * b);
            let (mut aa, mut ab, mut bb) = (PRIOR, 0.0, PRIOR);
            for (z, y) in samples() {
                let p = 1.0 / (1.0 + (-(a * z + b)).exp());
                let (error, slope) = (p - y, p * (1.0 - p));
                by_a += error * z;
                by_b += error;
                aa += slope * z * z;
                ab += slope * z;
                bb += slope;
            }
            let determinant = aa * bb - ab * ab;
            let (mut step_a, mut step_b) =
                ((bb * by_a - ab * by_b) / determinant, (aa * by_b - ab * by_a) / determinant);
            // The loss is convex: a shorter step in Newton's direction is always down.
            let before = loss(a, b);
            while loss(a - step_a, b - step_b) > before && step_a.abs() + step_b.abs() > SHORTEST {
                step_a /= 2.0;
                step_b /= 2.0;
            }
            a -= step_a;
            b -= step_b;
            if step_a.abs() + step_b.abs() <= SHORTEST {
                break;
            }
        }
        if !(a > 0.0 && a.is_finite() && b.is_finite()) {
            let message = format!(
                "calibration came to a slope of {a:.4}, so that higher scores would mean less relevance: the model has not \
                 learned these targets; train it longer, or on more queries"
            );
            return Err(Error::new(ErrorKind::Undetermined, message));
        }
        Ok(Self { a, b })
    }

    /// The logit of the calibrated probability.
    pub fn logit(self, logit: f32) -> f32 {
        (self.a * f64::from(logit) + self.b) as f32
    }

    /// The calibrated probability.
    pub fn probability(self, logit: f32) -> f32 {
        sigmoid(self.logit(logit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_targets_were_made_with_is_found_again() {
        let logits: Vec<f32> = (-40..=40).map(|place| place as f32 / 10.0).collect();
        for (a, b) in [(0.4, -1.2), (2.5, 0.7), (1.0, 0.0)] {
            let targets: Vec<f32> = logits.iter().map(|z| Platt { a, b }.probability(*z)).collect();
            let found = Platt::fit(&logits, &targets).unwrap();
            assert!((found.a - a).abs() < 5e-3 && (found.b - b).abs() < 5e-3, "{found:?} for {a}, {b}");
        }
    }

    #[test]
    fn separated_targets_stay_finite_and_reversed_ones_are_refused() {
        let found = Platt::fit(&[-2.0, -1.0, 1.0, 2.0], &[0.0, 0.0, 1.0, 1.0]).unwrap();
        assert!(found.a > 1.0 && found.a < 100.0, "{found:?}");
        let error = Platt::fit(&[-2.0, -1.0, 1.0, 2.0], &[1.0, 1.0, 0.0, 0.0]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Undetermined);
        assert_eq!(Platt::fit(&[], &[]).unwrap_err().kind(), ErrorKind::Request);
        assert_eq!(Platt::fit(&[f32::NAN], &[1.0]).unwrap_err().kind(), ErrorKind::Diverged);
    }
}

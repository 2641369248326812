//! What a student is asked to come close to. Every loss comes with its gradient by the student's scores.

use serde::{Deserialize, Serialize};

/// Targets nearer to 0 and 1 than this count as this near, where their logits are compared.
const NEAREST: f32 = 0.005;

/// What a reranker's logits are compared with the targets by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Objective {
    /// Mean of (σ(logit) − y)²: the pointwise loss of zELO.
    Pointwise,
    /// Mean of the cross entropy of y and σ(logit): that of a pairwise student, whose y is a preference.
    Preference,
    /// Cross entropy of softmax(logit y) and softmax(logit) over a query's documents.
    Listwise,
    /// [`Self::Listwise`] for the order, [`Self::Preference`] for the scale, in equal parts.
    Both,
}

/// 1 / (1 + e⁻ˣ)
pub(crate) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

/// ln(y / (1 − y))
pub(super) fn logit(y: f32) -> f32 {
    let y = y.clamp(NEAREST, 1.0 - NEAREST);
    (y / (1.0 - y)).ln()
}

/// softmax of scores, in f64.
pub(super) fn softmax(scores: impl Iterator<Item = f32> + Clone) -> Vec<f64> {
    let largest = scores.clone().fold(f32::NEG_INFINITY, f32::max);
    let powers: Vec<f64> = scores.map(|score| f64::from(score - largest).exp()).collect();
    let total: f64 = powers.iter().sum();
    powers.into_iter().map(|power| power / total).collect()
}

impl Objective {
    /// The loss of one query's `logits` against their `targets` in 0..1, and its gradient by the logits.
    pub fn loss(self, logits: &[f32], targets: &[f32]) -> (f64, Vec<f32>) {
        match self {
            Objective::Pointwise => mean(logits, targets, |logit, target| {
                let relevance = sigmoid(logit);
                let error = relevance - target;
                (f64::from(error * error), 2.0 * error * relevance * (1.0 - relevance))
            }),
            Objective::Preference => mean(logits, targets, |logit, target| {
                // −y·ln σ(z) − (1 − y)·ln(1 − σ(z)) = ln(1 + eᶻ) − y·z
                let (z, y) = (f64::from(logit), f64::from(target));
                (z.max(0.0) + (-z.abs()).exp().ln_1p() - y * z, sigmoid(logit) - target)
            }),
            Objective::Listwise => listwise(logits, targets),
            Objective::Both => {
                let (first, mut gradient) = listwise(logits, targets);
                let (second, other) = Objective::Preference.loss(logits, targets);
                gradient.iter_mut().zip(other).for_each(|(sum, value)| *sum += value);
                (first + second, gradient)
            }
        }
    }
}

fn mean(logits: &[f32], targets: &[f32], loss: impl Fn(f32, f32) -> (f64, f32)) -> (f64, Vec<f32>) {
    let count = logits.len() as f32;
    let losses = logits.iter().zip(targets).map(|(logit, target)| loss(*logit, *target));
    let (losses, gradient): (Vec<f64>, Vec<f32>) =
        losses.map(|(loss, gradient)| (loss, gradient / count)).unzip();
    (losses.iter().sum::<f64>() / f64::from(count), gradient)
}

fn listwise(logits: &[f32], targets: &[f32]) -> (f64, Vec<f32>) {
    let wanted = softmax(targets.iter().map(|target| logit(*target)));
    let found = softmax(logits.iter().copied());
    let loss = wanted.iter().zip(&found).map(|(wanted, found)| -wanted * found.max(1e-300).ln()).sum();
    (loss, found.iter().zip(&wanted).map(|(found, wanted)| (found - wanted) as f32).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gradients_are_differences_of_the_loss() {
        let targets = [0.9, 0.2, 0.0, 0.55];
        let logits = [1.5, -0.7, 0.3, -4.0];
        let objectives = [Objective::Pointwise, Objective::Preference, Objective::Listwise, Objective::Both];
        for objective in objectives {
            let (_, gradient) = objective.loss(&logits, &targets);
            for (index, gradient) in gradient.into_iter().enumerate() {
                let at = |step: f32| {
                    let mut logits = logits;
                    logits[index] += step;
                    objective.loss(&logits, &targets).0
                };
                let difference = (at(1e-2) - at(-1e-2)) / 2e-2;
                assert!((difference - f64::from(gradient)).abs() < 1e-4, "{objective:?} {index}");
            }
        }
    }

    #[test]
    fn the_target_itself_is_the_minimum() {
        let targets = [0.9, 0.2, 0.55];
        let logits = targets.map(logit);
        for objective in [Objective::Pointwise, Objective::Preference, Objective::Listwise, Objective::Both] {
            let (_, gradient) = objective.loss(&logits, &targets);
            assert!(gradient.iter().all(|value| value.abs() < 1e-6), "{objective:?}: {gradient:?}");
        }
    }
}

//! A curve that never falls.

use serde::{Deserialize, Serialize};

/// Points of the curve, scores rising, probabilities not falling; straight between them and level outside.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Isotonic {
    pub(super) scores: Vec<f64>,
    pub(super) probabilities: Vec<f64>,
}

/// Samples whose probability is the same.
struct Block {
    lowest: f64,
    highest: f64,
    positive: f64,
    count: f64,
}

impl Block {
    fn probability(&self) -> f64 {
        self.positive / self.count
    }
}

impl Isotonic {
    /// The least-squares curve, by pooling adjacent violators (Barlow et al. 1972; for classifiers Zadrozny and
    /// Elkan, KDD 2002). A block of samples becomes a level piece from its lowest to its highest score.
    pub(super) fn fit(samples: &[(f64, bool)]) -> Self {
        let mut sorted = samples.to_vec();
        sorted.sort_by(|one, other| one.0.total_cmp(&other.0));
        let mut blocks: Vec<Block> = Vec::new();
        for tied in sorted.chunk_by(|one, other| one.0 == other.0) {
            let positive = tied.iter().filter(|(_, relevant)| *relevant).count() as f64;
            let mut block =
                Block { lowest: tied[0].0, highest: tied[0].0, positive, count: tied.len() as f64 };
            while let Some(below) = blocks.pop_if(|below| below.probability() >= block.probability()) {
                block = Block {
                    lowest: below.lowest,
                    highest: block.highest,
                    positive: below.positive + block.positive,
                    count: below.count + block.count,
                };
            }
            blocks.push(block);
        }
        let mut curve = Self { scores: Vec::new(), probabilities: Vec::new() };
        for block in &blocks {
            curve.push(block.lowest, block.probability());
            if block.highest > block.lowest {
                curve.push(block.highest, block.probability());
            }
        }
        curve
    }

    fn push(&mut self, score: f64, probability: f64) {
        self.scores.push(score);
        self.probabilities.push(probability);
    }

    pub(super) fn probability(&self, score: f64) -> f64 {
        let above = self.scores.partition_point(|&point| point < score);
        let Some(&next) = self.scores.get(above) else {
            return self.probabilities.last().copied().unwrap_or_default();
        };
        let Some(before) = above.checked_sub(1).filter(|_| next != score) else {
            return self.probabilities[above];
        };
        let (low, high) = (self.probabilities[before], self.probabilities[above]);
        low + (high - low) * (score - self.scores[before]) / (next - self.scores[before])
    }

    pub(super) fn score_at(&self, probability: f64) -> Option<f64> {
        if probability.is_nan() {
            return None;
        }
        let at = self.probabilities.partition_point(|&point| point < probability);
        let reached = self.probabilities.get(at)?;
        let Some(before) = at.checked_sub(1) else { return Some(f64::NEG_INFINITY) };
        let share = (probability - self.probabilities[before]) / (reached - self.probabilities[before]);
        Some(self.scores[before] + share * (self.scores[at] - self.scores[before]))
    }

    pub(super) fn is_sound(&self) -> bool {
        !self.scores.is_empty()
            && self.scores.len() == self.probabilities.len()
            && self.scores.iter().all(|score| score.is_finite())
            && self.scores.is_sorted()
            && self.probabilities.iter().all(|probability| (0.0..=1.0).contains(probability))
            && self.probabilities.is_sorted()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fastrand::Rng;
    use proptest::prelude::*;

    #[test]
    fn violators_are_pooled() {
        let samples = [(1.0, false), (2.0, true), (3.0, false), (3.0, false), (4.0, true), (5.0, true)];
        let fit = Isotonic::fit(&samples);
        let third = 1.0 / 3.0;
        assert_eq!(fit.scores, [1.0, 2.0, 3.0, 4.0, 5.0]);
        assert_eq!(fit.probabilities, [0.0, third, third, 1.0, 1.0]);
        assert_eq!(fit.probability(3.5), third + (1.0 - third) / 2.0);
        assert_eq!((fit.probability(2.0), fit.probability(4.0)), (third, 1.0));
    }

    /// Not logistic: level, steep, level.
    fn planted(score: f64) -> f64 {
        0.1 + 0.8 * ((score - 0.4) / 0.2).clamp(0.0, 1.0)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn a_planted_curve_is_found(seed: u64) {
            let mut random = Rng::with_seed(seed);
            let samples: Vec<(f64, bool)> = (0..20_000)
                .map(|_| {
                    let score = random.f64();
                    (score, random.f64() < planted(score))
                })
                .collect();
            let fit = Isotonic::fit(&samples);
            prop_assert!(fit.is_sound());
            // Where the curve is steep, such a fit's error falls with the cube root of the samples only.
            for (score, tolerance) in [(0.1, 0.05), (0.2, 0.05), (0.3, 0.05), (0.5, 0.15), (0.7, 0.05), (0.9, 0.05)] {
                let error = (fit.probability(score) - planted(score)).abs();
                prop_assert!(error < tolerance, "{} at {}", error, score);
            }
        }

        #[test]
        fn it_is_the_best_rising_curve(labels in prop::collection::vec((0_u8..6, any::<bool>()), 1..12)) {
            let samples: Vec<(f64, bool)> =
                labels.iter().map(|&(score, relevant)| (f64::from(score), relevant)).collect();
            let fit = Isotonic::fit(&samples);
            prop_assert!(fit.is_sound());
            let squares = |curve: &dyn Fn(f64) -> f64| -> f64 {
                samples.iter().map(|&(score, relevant)| (curve(score) - f64::from(u8::from(relevant))).powi(2)).sum()
            };
            let own = squares(&|score| fit.probability(score));
            // Every rising step curve of two levels on a grid.
            for step in 0..7 {
                for low in 0..=10 {
                    for high in low..=10 {
                        let other = |score: f64| f64::from(if score < f64::from(step) { low } else { high }) / 10.0;
                        prop_assert!(own <= squares(&other) + 1e-9);
                    }
                }
            }
            for probability in [0.2, 0.5, 0.9] {
                let Some(score) = fit.score_at(probability) else { continue };
                prop_assert!(fit.probability(score) >= probability - 1e-9);
            }
        }
    }
}

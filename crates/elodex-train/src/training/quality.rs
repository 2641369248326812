//! How well a student orders and scores groups.

use super::loss::sigmoid;
use serde::{Deserialize, Serialize};

/// Bins of reliability, equally wide.
const BINS: usize = 10;

/// Ranks that count.
const DEPTH: usize = 10;

/// Over groups that a student did not learn from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Quality {
    /// Mean loss of a group.
    pub loss: f64,
    /// Mean NDCG@10 of each group's documents, with its targets as gains. Groups without a target above 0 are left
    /// out.
    pub ndcg_at_10: f64,
    /// How far scores can be taken at their word; none where they are no logits.
    #[serde(flatten)]
    pub calibration: Option<Calibration>,
}

/// How near σ(score) comes to the targets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// Expected calibration error: Σ share of a bin · |mean relevance − mean target|.
    #[serde(rename = "calibration_error")]
    pub error: f64,
    /// By tenths of σ(score).
    pub reliability: Vec<Bin>,
}

/// Scores in one tenth of 0 to 1.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Bin {
    /// How many.
    pub count: u64,
    /// Mean of σ(score).
    pub relevance: f64,
    /// Mean of what it should be.
    pub target: f64,
}

impl Quality {
    /// Of each group's loss, scores and targets; without a calibration.
    pub(super) fn of<'a>(groups: impl Iterator<Item = (f64, &'a [f32], &'a [f32])>) -> Self {
        let (mut losses, mut count, mut gains, mut ranked) = (0.0, 0_u32, 0.0, 0_u32);
        for (loss, scores, targets) in groups {
            losses += loss;
            count += 1;
            if let Some(ndcg) = ndcg(scores, targets) {
                gains += ndcg;
                ranked += 1;
            }
        }
        Self {
            loss: losses / f64::from(count.max(1)),
            ndcg_at_10: gains / f64::from(ranked.max(1)),
            calibration: None,
        }
    }
}

impl Calibration {
    /// Of each group's scores, which are logits, and targets.
    pub fn of<'a>(groups: impl Iterator<Item = (&'a [f32], &'a [f32])>) -> Self {
        let mut bins = vec![Bin::default(); BINS];
        for (scores, targets) in groups {
            for (score, target) in scores.iter().zip(targets) {
                let relevance = f64::from(sigmoid(*score));
                let bin = &mut bins[((relevance * BINS as f64) as usize).min(BINS - 1)];
                bin.count += 1;
                bin.relevance += relevance;
                bin.target += f64::from(*target);
            }
        }
        let total: u64 = bins.iter().map(|bin| bin.count).sum();
        let mut error = 0.0;
        for bin in bins.iter_mut().filter(|bin| bin.count > 0) {
            error += (bin.relevance - bin.target).abs() / total as f64;
            bin.relevance /= bin.count as f64;
            bin.target /= bin.count as f64;
        }
        Self { error, reliability: bins }
    }
}

/// Σ target / log₂(rank + 1) over the best ten by score, by the same of the best ten by target. Equal scores keep the
/// worse document first, so that a student that tells nothing apart gains nothing.
fn ndcg(scores: &[f32], targets: &[f32]) -> Option<f64> {
    let discounted = |order: &[usize]| -> f64 {
        let ranks = order.iter().take(DEPTH).enumerate();
        ranks.map(|(rank, index)| f64::from(targets[*index]) / (rank as f64 + 2.0).log2()).sum()
    };
    let mut order: Vec<usize> = (0..targets.len()).collect();
    order.sort_by(|a, b| targets[*b].total_cmp(&targets[*a]));
    let ideal = discounted(&order);
    order.reverse();
    order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]));
    (ideal > 0.0).then(|| discounted(&order) / ideal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_and_scale_are_measured_apart() {
        let targets = [1.0, 0.0, 0.5];
        let perfect = [2.0, -2.0, 0.0];
        let reversed = [-2.0, 2.0, 0.0];
        let even = [0.0; 3];
        let ideal = 1.0 + 0.5 / 3f64.log2();
        let of = |scores: &[f32]| Quality::of([(0.25, scores, targets.as_slice())].into_iter());
        assert!((of(&perfect).ndcg_at_10 - 1.0).abs() < 1e-9);
        assert!((of(&reversed).ndcg_at_10 - (0.5 / 3f64.log2() + 0.5) / ideal).abs() < 1e-9);
        assert_eq!(of(&even).ndcg_at_10, of(&reversed).ndcg_at_10);
        // σ(2) = .8808: errors .1192, .1192 and 0 over three.
        let error = |scores: &[f32]| Calibration::of([(scores, targets.as_slice())].into_iter()).error;
        assert!((error(&perfect) - 2.0 * 0.119_203 / 3.0).abs() < 1e-5);
        assert_eq!(error(&even), 0.0);
        assert_eq!(of(&even).loss, 0.25);
    }
}

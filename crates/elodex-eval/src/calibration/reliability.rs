//! Whether probabilities keep their word.

use serde::Serialize;

/// Bins of equal width.
const BINS: usize = 10;

/// Samples whose probability lies between two bounds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Bin {
    /// The lower bound, included.
    pub from: f64,
    /// The upper bound, excluded but for 1.
    pub to: f64,
    /// How many samples lie between.
    pub samples: usize,
    /// Their mean probability; 0 where there are none.
    pub predicted: f64,
    /// The share of them that is relevant; 0 where there are none.
    pub observed: f64,
}

/// A reliability table (DeGroot and Fienberg 1983) with its summary.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Reliability {
    /// Ten bins of equal width.
    pub bins: Vec<Bin>,
    /// Expected calibration error: mean over the samples of their bin's |predicted − observed| (Guo et al., ICML 2017).
    pub ece: f64,
    /// Mean squared error of the probabilities (Brier 1950).
    pub brier: f64,
}

impl Reliability {
    /// The table of probabilities, 0 to 1, and whether each sample is relevant.
    pub fn of(predictions: &[(f64, bool)]) -> Self {
        let mut sums = [(0_usize, 0.0, 0.0); BINS];
        for &(probability, relevant) in predictions {
            let (samples, predicted, observed) =
                &mut sums[((probability * BINS as f64) as usize).min(BINS - 1)];
            *samples += 1;
            *predicted += probability;
            *observed += f64::from(u8::from(relevant));
        }
        let total = predictions.len().max(1) as f64;
        let bin = |(position, (samples, predicted, observed)): (usize, (usize, f64, f64))| {
            let count = samples.max(1) as f64;
            let edge = |position: usize| position as f64 / BINS as f64;
            Bin {
                from: edge(position),
                to: edge(position + 1),
                samples,
                predicted: predicted / count,
                observed: observed / count,
            }
        };
        let squares = predictions
            .iter()
            .map(|&(probability, relevant)| (probability - f64::from(u8::from(relevant))).powi(2));
        Self {
            ece: sums.iter().map(|(_, predicted, observed)| (predicted - observed).abs()).sum::<f64>()
                / total,
            brier: squares.sum::<f64>() / total,
            bins: sums.into_iter().enumerate().map(bin).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_by_hand() {
        let table = Reliability::of(&[(0.05, false), (0.0, true), (0.62, true), (0.68, false), (1.0, true)]);
        let close = |one: f64, other: f64| assert!((one - other).abs() < 1e-12, "{one} {other}");
        assert_eq!(
            table.bins.iter().map(|bin| bin.samples).collect::<Vec<_>>(),
            [2, 0, 0, 0, 0, 0, 2, 0, 0, 1]
        );
        close(table.bins[0].predicted, 0.025);
        close(table.bins[6].observed, 0.5);
        close(table.ece, (2.0 * 0.475 + 2.0 * 0.15 + 0.0) / 5.0);
        close(table.brier, (0.0025 + 1.0 + 0.1444 + 0.4624) / 5.0);
        assert_eq!((table.bins[9].to, Reliability::of(&[]).ece), (1.0, 0.0));
    }
}

//! Percentile bootstrap of a mean.

use crate::evaluation::mean;
use crate::{Error, ErrorKind, Result};
use fastrand::Rng;
use serde::{Deserialize, Serialize};

/// How a bootstrap is drawn. One build gives the same interval for the same seed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Bootstrap {
    /// How many samples are drawn, at least 100.
    pub resamples: usize,
    /// How often the interval should hold the true mean, between 0 and 1.
    pub confidence: f64,
    /// Of the random numbers.
    pub seed: u64,
}

impl Default for Bootstrap {
    fn default() -> Self {
        Self { resamples: 10_000, confidence: 0.95, seed: 0 }
    }
}

/// A mean and where the true one probably lies.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// The mean of the sample.
    pub mean: f64,
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
    /// How often such an interval should hold the true mean.
    pub confidence: f64,
    /// How many values the mean is of.
    pub queries: usize,
}

/// The percentile interval of a mean (Efron and Tibshirani, *An Introduction to the Bootstrap*, 1993, §13.3): the
/// quantiles, interpolated linearly, of the means of samples drawn with replacement. With fewer than about 20 values
/// it is somewhat too narrow.
///
/// # Errors
/// No values, or one that is no number; fewer than 100 resamples; a confidence outside 0..1.
pub fn mean_interval(values: &[f64], bootstrap: &Bootstrap) -> Result<Interval> {
    if values.is_empty() {
        return Err(Error::new(ErrorKind::Empty, "no values to take the mean of; give at least one query"));
    }
    if let Some(value) = values.iter().find(|value| !value.is_finite()) {
        return Err(Error::new(ErrorKind::Malformed, format!("value `{value}` is not a finite number")));
    }
    let Bootstrap { resamples, confidence, seed } = *bootstrap;
    if resamples < 100 {
        return Err(Error::new(
            ErrorKind::Settings,
            format!("{resamples} resamples do not make an interval; use 100 or more"),
        ));
    }
    if !(confidence > 0.0 && confidence < 1.0) {
        return Err(Error::new(
            ErrorKind::Settings,
            format!("confidence `{confidence}` is not between 0 and 1; use 0.95"),
        ));
    }
    let mut random = Rng::with_seed(seed);
    let mut means: Vec<f64> = (0..resamples)
        .map(|_| {
            let total: f64 = values.iter().map(|_| values[random.usize(..values.len())]).sum();
            total / values.len() as f64
        })
        .collect();
    means.sort_by(f64::total_cmp);
    let tail = (1.0 - confidence) / 2.0;
    Ok(Interval {
        mean: mean(values),
        low: quantile(&means, tail),
        high: quantile(&means, 1.0 - tail),
        confidence,
        queries: values.len(),
    })
}

/// A quantile of sorted values, interpolated linearly between them (definition 7 of Hyndman and Fan, 1996).
fn quantile(sorted: &[f64], at: f64) -> f64 {
    let position = at * (sorted.len() - 1) as f64;
    let below = position.floor() as usize;
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + (sorted[above] - sorted[below]) * (position - below as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use fastrand::Rng;
    use proptest::prelude::*;

    #[test]
    fn quantiles_lie_between_values() {
        let sorted = [0.0, 1.0, 4.0];
        assert_eq!([0.0, 0.25, 0.5, 0.75, 1.0].map(|at| quantile(&sorted, at)), [0.0, 0.5, 1.0, 2.5, 4.0]);
    }

    #[test]
    fn the_interval_is_the_normal_one_for_many_values() {
        // 400 values, half 0 and half 1: standard error 0.025.
        let values: Vec<f64> = (0..400).map(|at| f64::from(at % 2)).collect();
        let interval = mean_interval(&values, &Bootstrap::default()).unwrap();
        assert_eq!((interval.mean, interval.queries), (0.5, 400));
        assert!((interval.low - (0.5 - 1.96 * 0.025)).abs() < 0.003, "{interval:?}");
        assert!((interval.high - (0.5 + 1.96 * 0.025)).abs() < 0.003, "{interval:?}");
    }

    #[test]
    fn intervals_hold_the_true_mean_about_as_often_as_they_say() {
        let mut random = Rng::with_seed(7);
        let bootstrap = Bootstrap { resamples: 500, confidence: 0.9, ..Bootstrap::default() };
        let holds = |_: &usize| {
            let values: Vec<f64> = (0..60).map(|_| random.f64()).collect();
            let interval = mean_interval(&values, &bootstrap).unwrap();
            interval.low <= 0.5 && 0.5 <= interval.high
        };
        let held = (0..400).filter(holds).count();
        // 360 of 400 are expected, with a standard deviation of 6.
        assert!((335..=382).contains(&held), "{held}");
    }

    #[test]
    fn what_makes_no_interval_is_refused() {
        let default = Bootstrap::default();
        assert_eq!(mean_interval(&[], &default).unwrap_err().kind(), ErrorKind::Empty);
        assert_eq!(mean_interval(&[f64::NAN], &default).unwrap_err().kind(), ErrorKind::Malformed);
        for bootstrap in [
            Bootstrap { resamples: 10, ..default },
            Bootstrap { confidence: 1.0, ..default },
            Bootstrap { confidence: f64::NAN, ..default },
        ] {
            assert_eq!(mean_interval(&[1.0], &bootstrap).unwrap_err().kind(), ErrorKind::Settings);
        }
    }

    proptest! {
        #[test]
        fn a_seed_gives_one_interval_around_the_mean(values in prop::collection::vec(0.0_f64..1.0, 1..50), seed: u64) {
            let bootstrap = Bootstrap { resamples: 200, seed, ..Bootstrap::default() };
            let interval = mean_interval(&values, &bootstrap).unwrap();
            prop_assert_eq!(interval, mean_interval(&values, &bootstrap).unwrap());
            let lowest = values.iter().copied().fold(f64::INFINITY, f64::min);
            let highest = values.iter().copied().fold(0.0, f64::max);
            prop_assert!(lowest - 1e-12 <= interval.low && interval.low <= interval.high);
            prop_assert!(interval.high <= highest + 1e-12);
        }
    }
}

//! Numbers summed up in bounded memory.

use elodex_eval::percentile;
use fastrand::Rng;
use serde::Serialize;

/// Numbers kept for percentiles.
const KEPT: usize = 1_024;

/// Numbers as they come: their count and mean exactly, their percentiles from a uniform sample of 1,024 (reservoir
/// sampling: Vitter, "Random sampling with a reservoir", ACM TOMS 11(1), 1985, algorithm R), which up to then is all of
/// them.
#[derive(Debug)]
pub(super) struct Series {
    count: u64,
    sum: f64,
    kept: Vec<f64>,
    random: Rng,
}

impl Default for Series {
    fn default() -> Self {
        Self { count: 0, sum: 0.0, kept: Vec::new(), random: Rng::with_seed(0) }
    }
}

/// Numbers summed up; without any all is `None`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Summary {
    /// Numbers in all.
    pub count: u64,
    /// Their mean.
    pub mean: Option<f64>,
    /// The 5th percentile: the smallest number that at least 5 % do not exceed.
    pub p5: Option<f64>,
    /// The median.
    pub p50: Option<f64>,
    /// The 95th percentile.
    pub p95: Option<f64>,
    /// The 99th percentile.
    pub p99: Option<f64>,
}

impl Series {
    pub(super) fn add(&mut self, number: f64) {
        self.count += 1;
        self.sum += number;
        if self.kept.len() < KEPT {
            self.kept.push(number);
            return;
        }
        let place = self.random.u64(..self.count);
        if let Some(kept) = usize::try_from(place).ok().and_then(|place| self.kept.get_mut(place)) {
            *kept = number;
        }
    }

    pub(super) fn summary(&self) -> Summary {
        if self.count == 0 {
            return Summary::default();
        }
        let mut sorted = self.kept.clone();
        sorted.sort_by(f64::total_cmp);
        Summary {
            count: self.count,
            mean: Some(self.sum / self.count as f64),
            p5: percentile(&sorted, 0.05),
            p50: percentile(&sorted, 0.5),
            p95: percentile(&sorted, 0.95),
            p99: percentile(&sorted, 0.99),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_numbers_are_summed_up_exactly() {
        let mut series = Series::default();
        assert_eq!(series.summary(), Summary::default());
        (1..=100).rev().for_each(|number| series.add(f64::from(number)));
        let Summary { count, mean, p5, p50, p95, p99 } = series.summary();
        assert_eq!((count, mean), (100, Some(50.5)));
        assert_eq!([p5, p50, p95, p99], [5.0, 50.0, 95.0, 99.0].map(Some));
    }

    #[test]
    fn of_many_a_fair_sample_is_kept() {
        let mut series = Series::default();
        (0..100_000).for_each(|number| series.add(f64::from(number)));
        assert_eq!((series.kept.len(), series.count), (KEPT, 100_000));
        assert_eq!(series.summary().mean, Some(49_999.5));
        let median = series.summary().p50.unwrap();
        assert!((45_000.0..55_000.0).contains(&median), "{median}");
    }
}

//! When requests are to arrive.

use clap::ValueEnum;
use fastrand::Rng;
use serde::Serialize;
use std::time::Duration;

/// Most requests of one rate: their times and figures are held in memory.
const MOST: f64 = 20_000_000.0;

/// How requests are spread: evenly, or as a Poisson process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Arrivals {
    Fixed,
    Poisson,
}

impl Arrivals {
    /// Times from the beginning, rising, all before `duration`, `rate` a second.
    ///
    /// # Errors
    /// More requests than can be held.
    pub(crate) fn times(self, rate: f64, duration: Duration, seed: u64) -> anyhow::Result<Vec<Duration>> {
        let seconds = duration.as_secs_f64();
        if rate * seconds > MOST {
            anyhow::bail!(
                "{rate} requests/s for {seconds} s are more than {MOST}; take a shorter --duration"
            );
        }
        let mut random = Rng::with_seed(seed);
        let mut times = Vec::with_capacity((rate * seconds) as usize + 1);
        let mut at = 0.0;
        for request in 0_u64.. {
            at = match self {
                // Not added up, so that rounding does not.
                Arrivals::Fixed => request as f64 / rate,
                // Gaps between events of a Poisson process are exponential; 1 − u is never 0.
                Arrivals::Poisson => at - (1.0 - random.f64()).ln() / rate,
            };
            if at >= seconds {
                break;
            }
            times.push(Duration::from_secs_f64(at));
        }
        Ok(times)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn fixed_arrivals_are_evenly_spaced() {
        let times = Arrivals::Fixed.times(4.0, Duration::from_secs(2), 0).unwrap();
        let millis: Vec<u128> = times.iter().map(Duration::as_millis).collect();
        assert_eq!(millis, [0, 250, 500, 750, 1000, 1250, 1500, 1750]);
    }

    #[test]
    fn poisson_arrivals_are_as_many_and_as_spread_as_they_should_be() {
        let times = Arrivals::Poisson.times(100.0, MINUTE, 3).unwrap();
        // 6,000 ± 5 standard deviations.
        assert!((5613..=6387).contains(&times.len()), "{}", times.len());
        assert!(times.is_sorted() && times.last() < Some(&MINUTE));
        let gaps: Vec<f64> = times.windows(2).map(|pair| (pair[1] - pair[0]).as_secs_f64()).collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        let variance = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64;
        // Of an exponential distribution, the deviation is the mean.
        assert!((variance.sqrt() / mean - 1.0).abs() < 0.1, "{} {mean}", variance.sqrt());
    }

    #[test]
    fn a_seed_gives_the_same_times_again() {
        let times = |seed| Arrivals::Poisson.times(50.0, MINUTE, seed).unwrap();
        assert_eq!(times(1), times(1));
        assert_ne!(times(1), times(2));
    }

    #[test]
    fn more_than_can_be_held_is_refused() {
        assert!(Arrivals::Fixed.times(1e5, Duration::from_secs(3600), 0).is_err());
    }
}

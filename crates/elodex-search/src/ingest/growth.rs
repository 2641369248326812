//! When an index that points are written to is optimised.

use elodex_store::{ChunkIndex, Result};
use std::time::{Duration, Instant};

/// How much an index has grown. Writing a point beside others that are not optimised takes longer the more there are, by how
/// much their texts decide, and optimising takes longer the more there are in all. So it is done after some points, and then
/// once writing has taken as long as it took last, or after a third of all.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Growth {
    /// Points written since it was optimised, and how long that took.
    unoptimised: u64,
    writing: Duration,
    /// How many are to be before it is again, and how long it took last.
    next: u64,
    optimising: Duration,
}

impl Growth {
    /// Optimises `index`; its growth from then on.
    pub(super) fn after_optimising(index: &dyn ChunkIndex) -> Result<Self> {
        let started = Instant::now();
        index.optimise()?;
        let (points, took) = (index.len()?, started.elapsed());
        tracing::debug!(points, ?took, "an index was optimised while points come in");
        Ok(Self::of(points, took))
    }

    /// That of an index of so many points which was optimised just now, in that time.
    fn of(points: u64, optimising: Duration) -> Self {
        Self { next: points / 3, optimising, ..Self::default() }
    }

    /// Points were written.
    pub(super) fn add(&mut self, points: u64, writing: Duration) {
        self.unoptimised += points;
        self.writing += writing;
    }

    /// Nothing is left to optimise.
    pub(super) fn end(&mut self) {
        (self.unoptimised, self.writing) = (0, Duration::ZERO);
    }

    /// Whether it is to be optimised, which is not done before `least` points.
    pub(super) fn is_due(&self, least: u64) -> bool {
        let is_slow = self.writing >= self.optimising;
        self.unoptimised >= least && (is_slow || self.unoptimised >= self.next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAST: Duration = Duration::from_millis(1);

    #[test]
    fn it_is_due_after_some_points_and_then_after_a_third_of_all() {
        let mut growth = Growth::default();
        growth.add(99, FAST);
        assert!(!growth.is_due(100));
        growth.add(1, FAST);
        assert!(growth.is_due(100));
        growth = Growth::of(900, Duration::from_secs(1));
        growth.add(299, FAST);
        assert!(!growth.is_due(100));
        growth.add(1, FAST);
        assert!(growth.is_due(100));
        growth.end();
        assert!(!growth.is_due(100));
    }

    #[test]
    fn it_is_due_sooner_where_writing_takes_long() {
        let mut growth = Growth::of(900, Duration::from_secs(1));
        growth.add(99, Duration::from_secs(2));
        assert!(!growth.is_due(100));
        growth.add(1, FAST);
        assert!(growth.is_due(100));
        growth.end();
        growth.add(100, FAST);
        assert!(!growth.is_due(100));
    }
}

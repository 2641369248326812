//! When an index that points are written to is optimised.

/// How much an index has grown. Writing a point beside others that are not optimised takes longer the more there are, and
/// optimising takes longer the more there are in all: it is done after some points, and then after a third of all.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Growth {
    /// Points written since it was optimised.
    unoptimised: u64,
    /// How many are to be before it is again.
    next: u64,
}

impl Growth {
    /// That of an index which was optimised just now and has so many points.
    pub(super) fn of(points: u64) -> Self {
        Self { unoptimised: 0, next: points / 3 }
    }

    /// Points were written.
    pub(super) fn add(&mut self, points: u64) {
        self.unoptimised += points;
    }

    /// Nothing is left to optimise.
    pub(super) fn end(&mut self) {
        self.unoptimised = 0;
    }

    /// Whether it is to be optimised, which is not done before `least` points.
    pub(super) fn is_due(&self, least: u64) -> bool {
        self.unoptimised >= least.max(self.next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_due_after_some_points_and_then_after_a_third_of_all() {
        let mut growth = Growth::default();
        growth.add(99);
        assert!(!growth.is_due(100));
        growth.add(1);
        assert!(growth.is_due(100));
        growth = Growth::of(900);
        growth.add(299);
        assert!(!growth.is_due(100));
        growth.add(1);
        assert!(growth.is_due(100));
        growth.end();
        assert!(!growth.is_due(100));
    }
}

//! A share of time, spent on something that runs now and then.

use std::time::{Duration, Instant};

/// How far unspent time adds up.
const WINDOW: Duration = Duration::from_secs(60);

/// Time that comes in at a share of the clock's and goes out as it is spent. Spending may overdraw it, since how long
/// something takes is known afterwards; then nothing is left until that has come in again.
#[derive(Debug)]
pub(super) struct Budget {
    share: f64,
    /// Seconds; below 0 where it is overdrawn.
    left: f64,
    counted: Instant,
}

impl Budget {
    /// A share of time, with a minute's worth to begin with.
    pub(super) fn new(share: f64, now: Instant) -> Self {
        Self { share, left: share * WINDOW.as_secs_f64(), counted: now }
    }

    pub(super) fn is_left(&mut self, now: Instant) -> bool {
        let passed = now.saturating_duration_since(self.counted).as_secs_f64();
        self.counted = self.counted.max(now);
        self.left = (self.left + self.share * passed).min(self.share * WINDOW.as_secs_f64());
        self.left > 0.0
    }

    pub(super) fn spend(&mut self, time: Duration) {
        self.left -= time.as_secs_f64();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_than_the_share_is_spent() {
        let start = Instant::now();
        let after = |seconds: f64| start + Duration::from_secs_f64(seconds);
        let mut budget = Budget::new(0.1, start);
        assert!(budget.is_left(start));
        budget.spend(Duration::from_secs(5));
        assert!(budget.is_left(start), "a second of the first minute's six is left");
        budget.spend(Duration::from_secs(3));
        assert!(!budget.is_left(start), "two seconds too many");
        assert!(!budget.is_left(after(19.9)));
        assert!(budget.is_left(after(20.1)));
        // What was not spent for an hour is a minute's worth.
        assert!(budget.is_left(after(3_600.0)));
        budget.spend(Duration::from_secs(6));
        assert!(!budget.is_left(after(3_600.0)));
    }

    /// Whoever asks before each piece of work runs at most the share of any hour, a minute's worth and one piece more.
    #[test]
    fn over_a_long_time_the_share_holds() {
        let start = Instant::now();
        let mut budget = Budget::new(0.1, start);
        let (mut now, mut spent) = (0.0, 0.0);
        while now < 3_600.0 {
            if budget.is_left(start + Duration::from_secs_f64(now)) {
                budget.spend(Duration::from_secs_f64(0.7));
                spent += 0.7;
                now += 0.7;
            } else {
                now += 0.1;
            }
        }
        assert!((340.0..=360.0 + 6.0 + 0.7).contains(&spent), "{spent}");
    }
}

//! Per-key rates: token buckets over bytes and requests, one set per lane.
//!
//! A bucket holds one minute's worth and refills evenly, so a client may burst up to a minute's allowance and then
//! proceeds at the configured rate.

use elodex_dialects::Problem;
use elodex_types::{Fault, Latency};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What one key may ask for; `None` is unlimited.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RateLimits {
    /// Billed bytes a minute in the fast lane.
    pub fast_bytes: Option<u64>,
    /// Requests a minute in the fast lane.
    pub fast_requests: Option<u64>,
    /// Billed bytes a minute in the slow lane.
    pub slow_bytes: Option<u64>,
}

#[derive(Debug)]
struct Bucket {
    capacity: f64,
    level: f64,
    updated: Instant,
}

impl Bucket {
    fn full(capacity: u64, now: Instant) -> Self {
        Self { capacity: capacity as f64, level: capacity as f64, updated: now }
    }

    fn refill(&mut self, now: Instant) {
        let elapsed = now.saturating_duration_since(self.updated).as_secs_f64();
        self.level = (self.level + elapsed * self.capacity / 60.0).min(self.capacity);
        self.updated = now;
    }

    /// How long until `amount` is there: zero when it is there now, `None` when it never fits.
    fn wait(&mut self, amount: f64, now: Instant) -> Option<Duration> {
        self.refill(now);
        if amount > self.capacity {
            return None;
        }
        Some(Duration::from_secs_f64((amount - self.level).max(0.0) * 60.0 / self.capacity))
    }
}

/// `None`: never; zero: now; else later.
fn wait(bucket: &mut Option<Bucket>, amount: f64, now: Instant) -> Option<Duration> {
    bucket.as_mut().map_or(Some(Duration::ZERO), |bucket| bucket.wait(amount, now))
}

fn take(bucket: &mut Option<Bucket>, amount: f64) {
    if let Some(bucket) = bucket {
        bucket.level -= amount;
    }
}

#[derive(Debug)]
struct KeyBuckets {
    fast_bytes: Option<Bucket>,
    fast_requests: Option<Bucket>,
    slow_bytes: Option<Bucket>,
}

impl KeyBuckets {
    fn full(limits: &RateLimits, now: Instant) -> Self {
        let bucket = |limit: Option<u64>| limit.map(|limit| Bucket::full(limit, now));
        Self {
            fast_bytes: bucket(limits.fast_bytes),
            fast_requests: bucket(limits.fast_requests),
            slow_bytes: bucket(limits.slow_bytes),
        }
    }
}

/// The buckets of every key. Keys come from the key file, so their number is bounded.
#[derive(Debug)]
pub(crate) struct RateLimiter {
    limits: RateLimits,
    keys: Mutex<HashMap<Arc<str>, KeyBuckets>>,
}

impl RateLimiter {
    pub(crate) fn new(limits: RateLimits) -> Self {
        Self { limits, keys: Mutex::new(HashMap::new()) }
    }

    /// Charges a request of `bytes` billed bytes to `key` and says which lane it may ask the engine for: its own wish,
    /// or the slow lane where it was `Auto` and the fast lane's allowance is used up.
    pub(crate) fn admit(
        &self,
        key: &Arc<str>,
        latency: Latency,
        bytes: u64,
        now: Instant,
    ) -> Result<Latency, Problem> {
        if self.limits == RateLimits::default() {
            return Ok(latency);
        }
        let amount = bytes as f64;
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        let buckets = keys.entry(Arc::clone(key)).or_insert_with(|| KeyBuckets::full(&self.limits, now));

        let mut fast_wait = None;
        if latency != Latency::Slow {
            let bytes_wait = wait(&mut buckets.fast_bytes, amount, now);
            let requests_wait = wait(&mut buckets.fast_requests, 1.0, now);
            fast_wait = bytes_wait.zip(requests_wait).map(|(bytes, requests)| bytes.max(requests));
            if fast_wait == Some(Duration::ZERO) {
                take(&mut buckets.fast_bytes, amount);
                take(&mut buckets.fast_requests, 1.0);
                return Ok(latency);
            }
        }
        if latency == Latency::Fast {
            return Err(refusal("fast", bytes, fast_wait));
        }
        match wait(&mut buckets.slow_bytes, amount, now) {
            Some(Duration::ZERO) => {
                take(&mut buckets.slow_bytes, amount);
                Ok(Latency::Slow)
            }
            slow_wait => Err(refusal("slow", bytes, slow_wait)),
        }
    }

    /// Charges `key` bytes that a request turned out to need beyond what it was [admitted](Self::admit) with. Later
    /// requests in the lane that `admit` gave wait for them; a minute's worth is owed at most.
    pub(crate) fn owe(&self, key: &Arc<str>, lane: Latency, bytes: u64, now: Instant) {
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(buckets) = keys.get_mut(key) else { return };
        let bucket = match lane {
            Latency::Slow => &mut buckets.slow_bytes,
            Latency::Fast | Latency::Auto => &mut buckets.fast_bytes,
        };
        if let Some(bucket) = bucket {
            bucket.refill(now);
            bucket.level = (bucket.level - bytes as f64).max(-bucket.capacity);
        }
    }
}

fn refusal(lane: &str, bytes: u64, wait: Option<Duration>) -> Problem {
    match wait {
        Some(wait) => Problem {
            retry_after: Some(wait),
            ..Problem::new(
                Fault::Overload,
                format!(
                    "this key is over its {lane} limit; a request of {bytes} bytes fits in {:.1} s",
                    wait.as_secs_f64()
                ),
            )
        },
        None => Problem::new(
            Fault::TooLarge,
            format!(
                "{bytes} bytes are more than this key may send in a minute in the {lane} lane; split the request"
            ),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: RateLimits =
        RateLimits { fast_bytes: Some(600), fast_requests: Some(3), slow_bytes: Some(6_000) };

    #[test]
    fn auto_falls_back_to_slow_and_fast_does_not() {
        let limiter = RateLimiter::new(LIMITS);
        let key: Arc<str> = Arc::from("a");
        let start = Instant::now();
        assert_eq!(limiter.admit(&key, Latency::Auto, 500, start), Ok(Latency::Auto));
        assert_eq!(limiter.admit(&key, Latency::Auto, 500, start), Ok(Latency::Slow));
        let refused = limiter.admit(&key, Latency::Fast, 500, start).unwrap_err();
        assert_eq!(refused.fault, Fault::Overload);
        assert_eq!(
            refused.retry_after,
            Some(Duration::from_secs(40)),
            "400 of 600 bytes a minute are missing"
        );
        let later = start + Duration::from_secs(40);
        assert_eq!(limiter.admit(&key, Latency::Fast, 500, later), Ok(Latency::Fast));
    }

    #[test]
    fn keys_do_not_share_and_requests_count() {
        let limiter = RateLimiter::new(LIMITS);
        let (a, b): (Arc<str>, Arc<str>) = (Arc::from("a"), Arc::from("b"));
        let now = Instant::now();
        for _ in 0..3 {
            assert_eq!(limiter.admit(&a, Latency::Fast, 1, now), Ok(Latency::Fast));
        }
        assert_eq!(limiter.admit(&a, Latency::Fast, 1, now).unwrap_err().fault, Fault::Overload);
        assert_eq!(limiter.admit(&b, Latency::Fast, 1, now), Ok(Latency::Fast));
    }

    #[test]
    fn what_never_fits_is_too_large_not_later() {
        let limiter = RateLimiter::new(LIMITS);
        let key: Arc<str> = Arc::from("a");
        let refused = limiter.admit(&key, Latency::Auto, 6_001, Instant::now()).unwrap_err();
        assert_eq!((refused.fault, refused.retry_after), (Fault::TooLarge, None));
    }

    #[test]
    fn what_is_owed_is_waited_for_and_bounded() {
        let limiter = RateLimiter::new(LIMITS);
        let key: Arc<str> = Arc::from("a");
        let start = Instant::now();
        assert_eq!(limiter.admit(&key, Latency::Fast, 100, start), Ok(Latency::Fast));
        limiter.owe(&key, Latency::Fast, 700, start);
        let refused = limiter.admit(&key, Latency::Fast, 100, start).unwrap_err();
        assert_eq!(refused.retry_after, Some(Duration::from_secs(30)), "200 are owed and 100 are missing");
        assert_eq!(limiter.admit(&key, Latency::Slow, 100, start), Ok(Latency::Slow));
        limiter.owe(&key, Latency::Fast, u64::MAX, start);
        let refused = limiter.admit(&key, Latency::Fast, 600, start).unwrap_err();
        assert_eq!(refused.retry_after, Some(Duration::from_secs(120)));
        let later = start + Duration::from_secs(120);
        assert_eq!(limiter.admit(&key, Latency::Fast, 600, later), Ok(Latency::Fast));
        limiter.owe(&Arc::from("nobody"), Latency::Slow, 1, start);
    }

    #[test]
    fn no_limits_no_bookkeeping() {
        let limiter = RateLimiter::new(RateLimits::default());
        let key: Arc<str> = Arc::from("a");
        assert_eq!(limiter.admit(&key, Latency::Fast, u64::MAX, Instant::now()), Ok(Latency::Fast));
        assert!(limiter.keys.lock().unwrap().is_empty());
    }
}

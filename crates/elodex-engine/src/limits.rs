//! What one model's scheduler may hold and how large its batches may be.

use crate::{Error, ErrorKind, Result};
use elodex_types::TruncationPolicy;

/// Limits of one model's scheduler.
///
/// Together they bound memory: waiting text (`queue_bytes`, and the window being tokenised: at most 16 bytes per token
/// of a batch and one input), answers (`result_bytes`), activations (`memory_bytes`) and the cache (`cache_bytes`).
/// Token ids of tokenised text that waits for its batch come to a few bytes per byte of its text.
///
/// "Bytes" of text are [`elodex_types::Usage::bytes`] everywhere: 150 per input more than its UTF-8 length, and for
/// a rerank call the query once per document.
#[derive(Debug, Clone)]
pub struct EngineLimits {
    /// Tokens in one packed batch. An input with more runs alone.
    pub batch_tokens: usize,
    /// Bytes of text waiting in the queue; more is refused as unavailable (503).
    pub queue_bytes: u64,
    /// Share of `queue_bytes` one key may hold while others wait; more is refused as overload (429). A key that is
    /// alone may hold more, but leaves one such share free for whoever comes next.
    pub key_queue_bytes: u64,
    /// Bytes of one request's inputs, counted as [`elodex_types::Usage::bytes`]; more is refused as too large.
    pub request_bytes: u64,
    /// Bytes of activations a batch may need; a batch is cut to stay below, and an input that needs more on its own
    /// is refused as too large.
    pub memory_bytes: u64,
    /// Bytes of results kept in the cache; 0 switches it off.
    pub cache_bytes: u64,
    /// Bytes of answers, finished or still to be computed, that admitted requests may hold until their callers take
    /// them; more is refused as unavailable (503).
    pub result_bytes: u64,
    /// Largest request, in bytes to compute, that may use the fast lane.
    pub fast_bytes_per_request: u64,
    /// Bytes one key may have waiting in the fast lane.
    pub fast_bytes_per_key: u64,
    /// Applied where a request names none.
    pub truncation: TruncationPolicy,
}

impl Default for EngineLimits {
    fn default() -> Self {
        Self {
            batch_tokens: 8_192,
            queue_bytes: 256 << 20,
            key_queue_bytes: 64 << 20,
            request_bytes: 5_000_000,
            memory_bytes: 2 << 30,
            cache_bytes: 256 << 20,
            result_bytes: 1 << 30,
            fast_bytes_per_request: 500_000,
            fast_bytes_per_key: 2_000_000,
            truncation: TruncationPolicy::Truncate,
        }
    }
}

impl EngineLimits {
    /// The most tokens, up to `batch_tokens`, whose activations fit `memory_bytes`. `activation_bytes` must not fall
    /// as tokens grow. An error if not even one token fits.
    pub(crate) fn token_budget(&self, activation_bytes: impl Fn(usize) -> u64) -> Result<usize> {
        if self.batch_tokens == 0 {
            return Err(Error::new(
                ErrorKind::Request,
                "batch_tokens is 0; allow at least 1 token in a batch",
            ));
        }
        if activation_bytes(1) > self.memory_bytes {
            return Err(Error::new(
                ErrorKind::Request,
                format!(
                    "memory_bytes is {}, but one token of this model needs {} bytes of activations; raise memory_bytes",
                    self.memory_bytes,
                    activation_bytes(1)
                ),
            ));
        }
        let (mut fits, mut too_many) = (1, self.batch_tokens + 1);
        while fits + 1 < too_many {
            let middle = fits + (too_many - fits) / 2;
            if activation_bytes(middle) <= self.memory_bytes {
                fits = middle;
            } else {
                too_many = middle;
            }
        }
        Ok(fits)
    }

    /// The largest request that can ever be let in.
    pub(crate) fn largest_request(&self) -> u64 {
        self.request_bytes.min(self.queue_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_budget_is_the_largest_that_fits() {
        let limits = |memory_bytes| EngineLimits { batch_tokens: 1_000, memory_bytes, ..Default::default() };
        let per_token = |tokens: usize| 10 + 7 * tokens as u64;
        assert_eq!(limits(1 << 40).token_budget(per_token).unwrap(), 1_000);
        assert_eq!(limits(17).token_budget(per_token).unwrap(), 1);
        assert_eq!(limits(710).token_budget(per_token).unwrap(), 100);
        assert_eq!(limits(16).token_budget(per_token).unwrap_err().kind(), ErrorKind::Request);
        let none = EngineLimits { batch_tokens: 0, ..Default::default() };
        assert_eq!(none.token_budget(per_token).unwrap_err().kind(), ErrorKind::Request);
    }
}

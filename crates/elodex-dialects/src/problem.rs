//! What can go wrong, which status it has and what a client is told about trying again: one table each.

use elodex_types::{Failure, Fault, Kind};
use std::fmt;
use std::time::Duration;

/// The longest wait ever advised: longer ones are ignored by some clients and block others for good.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// The wait advised where nobody knows better.
const DEFAULT_WAIT: Duration = Duration::from_secs(1);

/// An error on its way to a client, before a dialect gives it a shape.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    /// Whose fault it is.
    pub fault: Fault,
    /// What is wrong with the request's shape; [`Reason::Other`] for everything that is not about a field.
    pub reason: Reason,
    /// For people: lower-case, names the offending value and the way out.
    pub message: String,
    /// Where in the request, from the body's root; empty when it is about no field.
    pub location: Vec<Segment>,
    /// How long to wait before trying again, where the thrower knows.
    pub retry_after: Option<Duration>,
}

/// What is wrong, for the dialects that have codes for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The body is not JSON.
    Json,
    /// A required field is absent.
    Missing,
    /// A field has the wrong type or a value that is none of the allowed ones.
    Invalid,
    /// A list that needs at least one entry has none.
    Empty,
    /// Well-formed, but not something Elodex does.
    Unsupported,
    /// Not about a field.
    Other,
}

/// One step of a [`Problem::location`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Segment {
    /// A field of an object.
    Field(String),
    /// A position in a list.
    Index(usize),
}

impl Problem {
    /// A problem that is about no field of the request.
    pub fn new(fault: Fault, message: impl Into<String>) -> Self {
        Self {
            fault,
            reason: Reason::Other,
            message: message.into(),
            location: Vec::new(),
            retry_after: None,
        }
    }

    /// A top-level field asks for something Elodex does not do.
    pub(crate) fn unsupported(field: &str, message: impl Into<String>) -> Self {
        Self {
            reason: Reason::Unsupported,
            location: vec![Segment::Field(field.into())],
            ..Self::new(Fault::User, message)
        }
    }

    /// The location as `documents[3].text`; `None` when it is about no field.
    pub fn path(&self) -> Option<String> {
        (!self.location.is_empty()).then(|| path(&self.location))
    }
}

/// Formats a location as `documents[3].text`.
pub(crate) fn path(location: &[Segment]) -> String {
    let mut path = String::new();
    for segment in location {
        match segment {
            Segment::Field(name) if path.is_empty() => path.push_str(name),
            Segment::Field(name) => {
                path.push('.');
                path.push_str(name);
            }
            Segment::Index(index) => path.push_str(&format!("[{index}]")),
        }
    }
    path
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for Problem {}

/// The causes are told to the client where the request is at fault, so that it can be corrected; the causes of a
/// [`Fault::Bug`] or [`Fault::Upstream`] belong in the log.
impl<K: Kind> From<&Failure<K>> for Problem {
    fn from(failure: &Failure<K>) -> Self {
        let message = match failure.fault() {
            Fault::Bug | Fault::Upstream => failure.to_string(),
            _ => failure.report(),
        };
        Self { retry_after: failure.wait(), ..Self::new(failure.fault(), message) }
    }
}

impl<K: Kind> From<Failure<K>> for Problem {
    fn from(failure: Failure<K>) -> Self {
        Self::from(&failure)
    }
}

/// The HTTP status of a fault. Dialects deviate only through [`Dialect::status`](crate::Dialect::status).
pub fn status(fault: Fault) -> u16 {
    match fault {
        Fault::User => 400,
        Fault::Unauthenticated => 401,
        Fault::Forbidden => 403,
        Fault::NotFound => 404,
        Fault::Conflict => 409,
        Fault::TooLarge => 413,
        Fault::Shape => 422,
        Fault::Overload => 429,
        Fault::Upstream => 502,
        Fault::Unavailable => 503,
        Fault::Deadline => 504,
        // `Fault` is non-exhaustive: whatever has no row here is ours to fix.
        _ => 500,
    }
}

/// What the headers of an error say about trying again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RetryAdvice {
    /// `x-should-retry`: overrides the rules that clients derive from the status.
    pub should_retry: Option<bool>,
    /// `retry-after-ms` and `retry-after`.
    pub wait: Option<Duration>,
}

impl RetryAdvice {
    /// The headers to send, names in lower case. Seconds are rounded up so that no client comes back early.
    pub fn headers(&self) -> Vec<(&'static str, String)> {
        let mut headers = Vec::new();
        if let Some(should_retry) = self.should_retry {
            headers.push(("x-should-retry", should_retry.to_string()));
        }
        if let Some(wait) = self.wait {
            let milliseconds = wait.as_millis();
            headers.push(("retry-after-ms", milliseconds.to_string()));
            headers.push(("retry-after", milliseconds.div_ceil(1000).to_string()));
        }
        headers
    }
}

/// Retry advice of a fault. Clients retry 409 and every 5xx on their own; a conflict and a bug answer the same again,
/// so they are told not to. Overload and unavailability tell how long to wait: `retry_after` within 1 ms..60 s, or 1 s.
pub fn retry_advice(fault: Fault, retry_after: Option<Duration>) -> RetryAdvice {
    match fault {
        Fault::Conflict | Fault::Bug => RetryAdvice { should_retry: Some(false), wait: None },
        Fault::Overload | Fault::Unavailable => {
            let wait = retry_after.unwrap_or(DEFAULT_WAIT).clamp(Duration::from_millis(1), LONGEST_WAIT);
            RetryAdvice { should_retry: None, wait: Some(wait) }
        }
        _ => RetryAdvice::default(),
    }
}

/// An error as a dialect answers it.
#[derive(Debug, Clone, PartialEq)]
pub struct ErrorReply {
    /// HTTP status.
    pub status: u16,
    /// JSON body.
    pub body: Vec<u8>,
    /// Retry headers.
    pub retry: RetryAdvice,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advice_follows_the_fault() {
        let headers = |fault, wait| retry_advice(fault, wait).headers();
        assert_eq!(headers(Fault::Conflict, None), [("x-should-retry", "false".into())]);
        assert_eq!(headers(Fault::Bug, None), [("x-should-retry", "false".into())]);
        assert_eq!(headers(Fault::Deadline, None), []);
        assert_eq!(
            headers(Fault::Overload, Some(Duration::from_millis(1_250))),
            [("retry-after-ms", "1250".into()), ("retry-after", "2".into())]
        );
        assert_eq!(
            headers(Fault::Unavailable, Some(Duration::from_secs(3600))),
            [("retry-after-ms", "60000".into()), ("retry-after", "60".into())]
        );
        assert_eq!(
            headers(Fault::Overload, Some(Duration::ZERO))[0].1,
            "1",
            "zero would be ignored by clients"
        );
    }

    #[derive(Debug, Clone, Copy)]
    struct Of(Fault);
    impl Kind for Of {
        fn fault(self) -> Fault {
            self.0
        }
    }

    #[test]
    fn causes_are_told_only_where_the_request_is_at_fault() {
        let failure = |fault| Failure::new(Of(fault), "outer").caused_by(Failure::new(Of(fault), "inner"));
        assert_eq!(Problem::from(failure(Fault::User)).message, "outer: inner");
        assert_eq!(Problem::from(failure(Fault::Bug)).message, "outer");
    }
}

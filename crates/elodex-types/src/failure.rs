//! One error shape for every crate: an opaque [`Failure`] with a crate-specific kind, and a [`Fault`] that decides
//! status codes and retry advice in one place.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

/// Whose fault an error is. The server maps each to a status and retry advice in one table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// The request is well-formed but asks for something that is not allowed.
    User,
    /// The request does not have the shape of the API: wrong type, missing field, malformed JSON.
    Shape,
    /// No key or an unknown key.
    Unauthenticated,
    /// The key does not permit this.
    Forbidden,
    /// The named thing does not exist.
    NotFound,
    /// It clashes with existing state.
    Conflict,
    /// The request is larger than a limit.
    TooLarge,
    /// This caller is over a limit; later is fine.
    Overload,
    /// The service as a whole cannot take work now.
    Unavailable,
    /// The deadline passed first.
    Deadline,
    /// A service we depend on failed.
    Upstream,
    /// Our fault.
    Bug,
}

/// The kinds of error of one crate.
pub trait Kind: Copy + fmt::Debug + Send + Sync + 'static {
    /// Whose fault an error of this kind is.
    fn fault(self) -> Fault;
}

/// An opaque error: a kind to match on, a message that names the offending value and the way out, and its cause.
///
/// Each crate names its own: `pub type Error = Failure<ErrorKind>`. Messages are lower-case without final
/// punctuation.
pub struct Failure<K> {
    kind: K,
    message: String,
    retry_after: Option<Duration>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl<K: Kind> Failure<K> {
    /// An error of `kind` that says `message`.
    pub fn new(kind: K, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), retry_after: None, source: None }
    }

    /// Attaches what caused it.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Attaches how long to wait before trying again.
    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// The crate-specific kind.
    pub fn kind(&self) -> K {
        self.kind
    }

    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        self.kind.fault()
    }

    /// How long to wait before trying again, where the thrower knows.
    pub fn wait(&self) -> Option<Duration> {
        self.retry_after
    }

    /// The message and every cause below it, joined with `: `.
    pub fn report(&self) -> String {
        let mut text = self.message.clone();
        let mut cause = self.source();
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        text
    }
}

impl<K> fmt::Display for Failure<K> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl<K: fmt::Debug> fmt::Debug for Failure<K> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Failure")
            .field("kind", &self.kind)
            .field("message", &self.message)
            .field("source", &self.source)
            .finish()
    }
}

impl<K: fmt::Debug> StdError for Failure<K> {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Clone, Copy, PartialEq)]
    struct Broken;
    impl Kind for Broken {
        fn fault(self) -> Fault {
            Fault::Bug
        }
    }

    #[test]
    fn report_joins_the_chain() {
        let inner = Failure::new(Broken, "disk full");
        let outer =
            Failure::new(Broken, "cannot write `a`").caused_by(inner).retry_after(Duration::from_secs(1));
        assert_eq!(outer.report(), "cannot write `a`: disk full");
        assert_eq!(outer.to_string(), "cannot write `a`");
        assert_eq!(
            (outer.kind(), outer.fault(), outer.wait()),
            (Broken, Fault::Bug, Some(Duration::from_secs(1)))
        );
    }
}

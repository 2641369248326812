//! Receipts for inputs longer than a model's window.

use serde::{Deserialize, Serialize};

/// What to do with an input that does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TruncationPolicy {
    /// Refuse the call.
    Error,
    /// Cut the content's end; never a prompt, a template or a query.
    Truncate,
    /// Rerank only: score overlapping windows and keep the best, with its span.
    Passages,
}

impl std::str::FromStr for TruncationPolicy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "error" => Ok(Self::Error),
            "truncate" => Ok(Self::Truncate),
            "passages" => Ok(Self::Passages),
            other => {
                Err(format!("unknown truncation policy `{other}`; use `error`, `truncate` or `passages`"))
            }
        }
    }
}

/// What happened to one input.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Truncation {
    /// Tokens of the whole input, with its prompt, template and special tokens.
    pub seen: usize,
    /// Tokens the model read.
    pub used: usize,
}

impl Truncation {
    /// Whether anything was cut.
    pub fn cut(self) -> bool {
        self.used < self.seen
    }
}

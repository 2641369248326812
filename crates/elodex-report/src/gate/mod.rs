//! Whether an evaluation is good enough to go on with: rules, against fixed bounds or an earlier evaluation.
//!
//! ```text
//! rule     = [system ":"] quantity ("<" | "<=" | ">" | ">=") bound ["absolute"] ["significant"]
//! quantity = a measure such as ndcg@10, or a stage's latency: stage "." ("p50" | "p95" | "p99"), in milliseconds
//! bound    = a number, or, for changes, a number with "%"
//! ```
//!
//! A rule says what must *not* be. Without `absolute` it is about the change against the baseline's system of the same
//! name, with `%` the change by the baseline's value; with `absolute`, about the value itself. Without a system it is
//! about all of them.
//!
//! | rule | fails where |
//! | --- | --- |
//! | `ndcg@10 < -0.01` | any system lost more than 0.01 |
//! | `ndcg@10 < 0 significant` | any system lost anything, and that is unlikely to be chance |
//! | `hybrid+rerank@50: ndcg@10 < -2%` | this system lost more than 2 % of what it had |
//! | `recall@100 < 0.9 absolute` | any system is below 0.9 |
//! | `recall@100 < 0.9 absolute significant` | any system's whole interval is below 0.9 |
//! | `total.p95 > 20%` | any system's slowest twentieth became slower by more than a fifth |
//!
//! `significant` adds a condition. On a change it is p < 0.05 in the paired randomisation test over the queries, which
//! only the main measure, whose values per query are kept, can have. On a value, the whole interval must be beyond the
//! bound. Latency has neither.

mod baseline;
mod rule;

pub use baseline::Baseline;
pub use rule::FailIf;

use crate::Report;
use crate::error::{Error, ErrorKind, Result};
use std::fmt;

/// What came of a gate.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Rules that failed, each with its system.
    pub failures: Vec<RuleFailure>,
    /// How many systems were held against rules, counted once per rule.
    pub checked: usize,
    /// What was not compared, and what makes a comparison doubtful.
    pub notes: Vec<String>,
}

impl Verdict {
    /// Whether no rule failed.
    pub fn passed(&self) -> bool {
        self.failures.is_empty()
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.failures.len() {
            0 => write!(formatter, "passed: {} checks", self.checked)?,
            failures => write!(formatter, "failed: {failures} of {} checks", self.checked)?,
        }
        for failure in &self.failures {
            write!(formatter, "\n  {failure}")?;
        }
        for note in &self.notes {
            write!(formatter, "\n  note: {note}")?;
        }
        Ok(())
    }
}

/// A rule that failed for a system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleFailure {
    /// The rule.
    pub rule: String,
    /// The system.
    pub system: String,
    /// The figures, in words.
    pub message: String,
}

impl fmt::Display for RuleFailure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {} (rule `{}`)", self.system, self.message, self.rule)
    }
}

/// Holds a report against rules.
///
/// # Errors
/// A rule about a change without a baseline; a baseline of another collection, other queries, judgements or another
/// protocol; a rule that names a system, measure or stage that is not there, or that fits nothing.
pub fn check(report: &Report, baseline: Option<&Baseline>, rules: &[FailIf]) -> Result<Verdict> {
    let mut verdict = Verdict::default();
    if let Some(baseline) = baseline {
        baseline.must_fit(report)?;
        verdict.notes = baseline.doubts(report, rules.iter().any(FailIf::is_of_latency));
    }
    for rule in rules {
        let before = match (rule.is_absolute(), baseline) {
            (true, _) => None,
            (false, Some(baseline)) => Some(baseline),
            (false, None) => {
                return Err(Error::new(
                    ErrorKind::Rule,
                    format!(
                        "rule `{rule}` is about a change, but there is no baseline; name one, or write `absolute`"
                    ),
                ));
            }
        };
        let outcomes = rule.check(report, before)?;
        if outcomes.is_empty() {
            return Err(Error::new(
                ErrorKind::Rule,
                format!("rule `{rule}` fits no system that both the report and the baseline have figures of"),
            ));
        }
        verdict.checked += outcomes.len();
        verdict.failures.extend(outcomes.into_iter().flatten());
    }
    Ok(verdict)
}

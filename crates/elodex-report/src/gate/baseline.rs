//! An earlier evaluation.

use crate::error::{Error, ErrorKind, Result};
use crate::words::count;
use crate::{Report, StageLatency};
use elodex_eval::Measure;
use elodex_eval::significance::Interval;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// What is needed of an earlier report's JSON; whatever else it holds is not looked at.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Baseline {
    machine: Machine,
    collection: Collection,
    protocol: Protocol,
    measures: Vec<Measure>,
    systems: Vec<System>,
    queries: Vec<Query>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Machine {
    processor: String,
    threads: usize,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Collection {
    name: String,
    documents: Option<u64>,
    judgements: usize,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Protocol {
    relevant_from: i32,
    queries: serde_json::Value,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
struct System {
    name: String,
    means: Vec<Interval>,
    #[serde(default)]
    latency: Vec<StageLatency>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
struct Query {
    id: String,
    values: Vec<Option<f64>>,
}

impl Baseline {
    /// Reads the JSON of an earlier report.
    ///
    /// # Errors
    /// No JSON, not a report, or one of another version.
    pub fn parse(json: &str) -> Result<Self> {
        let unreadable = |error: serde_json::Error| {
            Error::new(
                ErrorKind::Baseline,
                "the baseline is not the JSON of a report; write one with `elodex eval --json`",
            )
            .caused_by(error)
        };
        let value: serde_json::Value = serde_json::from_str(json).map_err(unreadable)?;
        let version = &value["version"];
        if version.as_u64() != Some(u64::from(Report::VERSION)) {
            let found =
                if version.is_null() { "no version".to_owned() } else { format!("version {version}") };
            return Err(Error::new(
                ErrorKind::Baseline,
                format!(
                    "the baseline has {found}, but only version {} is read; make it again with this release",
                    Report::VERSION
                ),
            ));
        }
        serde_json::from_value(value).map_err(unreadable)
    }

    /// Refuses a report that figures of this baseline say nothing about.
    pub(super) fn must_fit(&self, report: &Report) -> Result<()> {
        let mismatch = |message: String| Err(Error::new(ErrorKind::Mismatch, message));
        let (old, new) = (&self.collection, &report.collection);
        if old.name != new.name {
            return mismatch(format!(
                "the baseline is of collection `{}`, this evaluation of `{}`; use a baseline of the same one",
                old.name, new.name
            ));
        }
        let ours: BTreeSet<&str> = report.queries.iter().map(|query| query.id.as_str()).collect();
        let theirs: BTreeSet<&str> = self.queries.iter().map(|query| query.id.as_str()).collect();
        if let Some(odd) = ours.symmetric_difference(&theirs).next() {
            return mismatch(format!(
                "the baseline is over other queries: {} of this evaluation and {} of the baseline are in one of them \
                 only, such as `{odd}`; use a baseline over the same queries",
                count(ours.difference(&theirs).count()),
                count(theirs.difference(&ours).count())
            ));
        }
        if old.judgements != new.judgements {
            return mismatch(format!(
                "the baseline is over {} judgements, this evaluation over {}; make the baseline again",
                count(old.judgements),
                count(new.judgements)
            ));
        }
        let relevant_from = report.protocol.relevant_from;
        let counted = serde_json::to_value(report.protocol.queries).unwrap_or_default();
        if (self.protocol.relevant_from, &self.protocol.queries) != (relevant_from, &counted) {
            return mismatch(format!(
                "the baseline calls relevant from grade {} on and counts {} queries, this evaluation from {} on and \
                 {counted}; evaluate both the same way",
                self.protocol.relevant_from, self.protocol.queries, relevant_from
            ));
        }
        Ok(())
    }

    /// What makes the comparison doubtful without making it wrong.
    pub(super) fn doubts(&self, report: &Report, of_latency: bool) -> Vec<String> {
        let mut doubts = Vec::new();
        if let (Some(old), Some(new)) = (self.collection.documents, report.collection.documents)
            && old != new
        {
            doubts.push(format!("the baseline had {} documents, now there are {}", count(old), count(new)));
        }
        let machine = &report.machine;
        let other = self.machine.processor != machine.processor || self.machine.threads != machine.threads;
        if of_latency && other {
            doubts.push(format!(
                "the baseline's latency is that of {} with {} threads, this one's of {} with {}",
                self.machine.processor, self.machine.threads, machine.processor, machine.threads
            ));
        }
        let missing = |names: Vec<&str>| (!names.is_empty()).then(|| names.join(", "));
        let only_here = report.systems.iter().map(|system| system.name.as_str());
        if let Some(names) = missing(only_here.filter(|name| self.system(name).is_none()).collect()) {
            doubts.push(format!("the baseline lacks {names}"));
        }
        let here = |name: &str| report.systems.iter().any(|system| system.name == name);
        let only_there = self.systems.iter().map(|system| system.name.as_str());
        if let Some(names) = missing(only_there.filter(|name| !here(name)).collect()) {
            doubts.push(format!("this evaluation lacks {names} of the baseline"));
        }
        doubts
    }

    fn system(&self, name: &str) -> Option<&System> {
        self.systems.iter().find(|system| system.name == name)
    }

    pub(super) fn has_system(&self, name: &str) -> bool {
        self.system(name).is_some()
    }

    pub(super) fn has_measure(&self, measure: Measure) -> bool {
        self.measures.contains(&measure)
    }

    /// The mean that a system had.
    pub(super) fn mean(&self, system: &str, measure: Measure) -> Option<f64> {
        let place = self.measures.iter().position(|&other| other == measure)?;
        self.system(system)?.means.get(place).map(|interval| interval.mean)
    }

    /// A stage's times that a system had.
    pub(super) fn latency(&self, system: &str, stage: &str) -> Option<&StageLatency> {
        self.system(system)?.latency.iter().find(|latency| latency.stage == stage)
    }

    pub(super) fn main_measure(&self) -> Option<Measure> {
        self.measures.first().copied()
    }

    /// A system's values of the main measure by query.
    pub(super) fn values(&self, system: &str) -> Option<BTreeMap<&str, f64>> {
        let place = self.systems.iter().position(|other| other.name == system)?;
        let value = |query: &Query| query.values.get(place).copied().flatten();
        self.queries.iter().map(|query| Some((query.id.as_str(), value(query)?))).collect()
    }
}

//! One rule.

use super::{Baseline, RuleFailure};
use crate::error::{Error, ErrorKind, Result};
use crate::words::{chance, interval, milliseconds, number, signed};
use crate::{Report, StageLatency, SystemReport};
use elodex_eval::Measure;
use elodex_eval::significance::{Bootstrap, Interval, compare_values};
use std::fmt;
use std::str::FromStr;

/// Below this p, a change is significant.
const SIGNIFICANT: f64 = 0.05;

/// What must not be; the grammar is that of [the module](super).
#[derive(Debug, Clone, PartialEq)]
pub struct FailIf {
    text: String,
    system: Option<String>,
    quantity: Quantity,
    relation: Relation,
    bound: Bound,
    significant: bool,
}

#[derive(Debug, Clone, PartialEq)]
enum Quantity {
    Measure(Measure),
    Latency { stage: String, percentile: Percentile },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Percentile {
    P50,
    P95,
    P99,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Relation {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Bound {
    /// Of the value.
    Value(f64),
    /// Of the change.
    Change(f64),
    /// Of the change, in percent of the baseline's value.
    Percent(f64),
}

/// A system's failure, or that it passed.
type Outcome = Option<RuleFailure>;

impl FailIf {
    pub(super) fn is_absolute(&self) -> bool {
        matches!(self.bound, Bound::Value(_))
    }

    pub(super) fn is_of_latency(&self) -> bool {
        matches!(self.quantity, Quantity::Latency { .. })
    }

    /// Holds the systems that it is about against it.
    pub(super) fn check(&self, report: &Report, baseline: Option<&Baseline>) -> Result<Vec<Outcome>> {
        self.must_be_measured(report, baseline)?;
        let mut outcomes = Vec::new();
        for system in self.systems(report, baseline)? {
            if let Some(outcome) = self.check_system(report, baseline, system)? {
                outcomes.push(outcome);
            }
        }
        Ok(outcomes)
    }

    fn wrong(&self, message: impl fmt::Display) -> Error {
        Error::new(ErrorKind::Rule, format!("rule `{self}`: {message}"))
    }

    fn must_be_measured(&self, report: &Report, baseline: Option<&Baseline>) -> Result<()> {
        let Quantity::Measure(measure) = self.quantity else { return Ok(()) };
        if !report.measures.contains(&measure) {
            let measured: Vec<String> = report.measures.iter().map(ToString::to_string).collect();
            return Err(self.wrong(format_args!("{measure} was not measured, only {}", measured.join(", "))));
        }
        let Some(baseline) = baseline else { return Ok(()) };
        if !baseline.has_measure(measure) {
            return Err(self.wrong(format_args!("the baseline was not measured by {measure}")));
        }
        let main = [report.measures.first().copied(), baseline.main_measure()];
        if self.significant && main != [Some(measure), Some(measure)] {
            return Err(self.wrong(
                "significance of a change is known for the first measure of the report and of the baseline only",
            ));
        }
        Ok(())
    }

    /// The system named, or all that both have.
    fn systems<'a>(&self, report: &'a Report, baseline: Option<&Baseline>) -> Result<Vec<&'a SystemReport>> {
        let in_baseline = |name: &str| baseline.is_none_or(|baseline| baseline.has_system(name));
        let Some(wanted) = &self.system else {
            return Ok(report.systems.iter().filter(|system| in_baseline(&system.name)).collect());
        };
        let Some(system) = report.systems.iter().find(|system| &system.name == wanted) else {
            let names: Vec<&str> = report.systems.iter().map(|system| system.name.as_str()).collect();
            return Err(
                self.wrong(format_args!("there is no system `{wanted}`; there are {}", names.join(", ")))
            );
        };
        if !in_baseline(wanted) {
            return Err(self.wrong(format_args!("the baseline has no system `{wanted}`")));
        }
        Ok(vec![system])
    }

    /// `None`: it has no such figure, and the rule does not name it.
    fn check_system(
        &self,
        report: &Report,
        baseline: Option<&Baseline>,
        system: &SystemReport,
    ) -> Result<Option<Outcome>> {
        let Some(value) = self.value(report, system) else { return self.without(system, "it") };
        let (compared, mut message) = match self.bound {
            Bound::Value(_) => (value, format!("{} is {}", self.name(), self.figure(value))),
            Bound::Change(_) | Bound::Percent(_) => {
                let before = baseline.and_then(|baseline| self.value_before(baseline, system));
                let Some(before) = before else { return self.without(system, "the baseline") };
                let change = self.change(before, value, system)?;
                (change, self.change_in_words(change, before, value))
            }
        };
        if !self.relation.holds(compared, self.bound.number()) {
            return Ok(Some(None));
        }
        if self.significant {
            match self.evidence(report, baseline, system)? {
                None => return Ok(Some(None)),
                Some(evidence) => message.push_str(&evidence),
            }
        }
        Ok(Some(Some(RuleFailure { rule: self.text.clone(), system: system.name.clone(), message })))
    }

    fn without(&self, system: &SystemReport, whose: &str) -> Result<Option<Outcome>> {
        match &self.system {
            None => Ok(None),
            Some(_) => {
                let name = &system.name;
                Err(self.wrong(format_args!("{whose} has no figure of {} for `{name}`", self.name())))
            }
        }
    }

    fn value(&self, report: &Report, system: &SystemReport) -> Option<f64> {
        match &self.quantity {
            Quantity::Measure(measure) => mean(report, system, *measure).map(|interval| interval.mean),
            Quantity::Latency { stage, percentile } => {
                system.latency.iter().find(|latency| &latency.stage == stage).map(|at| percentile.of(at))
            }
        }
    }

    fn value_before(&self, baseline: &Baseline, system: &SystemReport) -> Option<f64> {
        match &self.quantity {
            Quantity::Measure(measure) => baseline.mean(&system.name, *measure),
            Quantity::Latency { stage, percentile } => {
                baseline.latency(&system.name, stage).map(|at| percentile.of(at))
            }
        }
    }

    /// In the bound's unit.
    fn change(&self, before: f64, value: f64, system: &SystemReport) -> Result<f64> {
        match self.bound {
            Bound::Percent(_) if before == 0.0 => Err(self.wrong(format_args!(
                "the baseline has 0 for `{}`, and a change from 0 has no percentage; write the change itself",
                system.name
            ))),
            Bound::Percent(_) => Ok((value - before) / before * 100.0),
            Bound::Change(_) | Bound::Value(_) => Ok(value - before),
        }
    }

    fn change_in_words(&self, change: f64, before: f64, value: f64) -> String {
        let change = match self.bound {
            Bound::Percent(_) => format!("{} %", signed(change, 2)),
            _ => signed(change, 4),
        };
        format!("{} changed by {change}, from {} to {}", self.name(), self.figure(before), self.figure(value))
    }

    /// Why it is unlikely to be chance; `None`: it may be.
    fn evidence(
        &self,
        report: &Report,
        baseline: Option<&Baseline>,
        system: &SystemReport,
    ) -> Result<Option<String>> {
        let Quantity::Measure(measure) = self.quantity else { return Ok(None) };
        if let Bound::Value(bound) = self.bound {
            let Some(around) = mean(report, system, measure) else { return Ok(None) };
            let beyond = self.relation.holds(around.low, bound) && self.relation.holds(around.high, bound);
            return Ok(beyond.then(|| format!(", its interval {}", interval(around))));
        }
        let before = baseline.and_then(|baseline| baseline.values(&system.name));
        let place = report.systems.iter().position(|other| other.name == system.name);
        let (Some(before), Some(place)) = (before, place) else {
            return Err(self.wrong(format_args!("the baseline has no values per query of `{}`", system.name)));
        };
        let mut pairs = (Vec::new(), Vec::new());
        for query in &report.queries {
            let (old, new) = (before.get(query.id.as_str()), query.values.get(place));
            let (Some(old), Some(new)) = (old, new) else { continue };
            pairs.0.push(*old);
            pairs.1.push(*new);
        }
        let found = compare_values(&pairs.0, &pairs.1, &Bootstrap::default())
            .map_err(|error| self.wrong("significance cannot be computed").caused_by(error))?;
        let p = found.randomisation.p;
        Ok((p < SIGNIFICANT).then(|| format!(", p = {}", chance(p)).replace("p = <", "p <")))
    }

    fn name(&self) -> String {
        match &self.quantity {
            Quantity::Measure(measure) => measure.to_string(),
            Quantity::Latency { stage, percentile } => format!("{stage}.{percentile}"),
        }
    }

    fn figure(&self, value: f64) -> String {
        match self.quantity {
            Quantity::Measure(_) => number(value, 4),
            Quantity::Latency { .. } => format!("{} ms", milliseconds(value)),
        }
    }
}

fn mean<'a>(report: &Report, system: &'a SystemReport, measure: Measure) -> Option<&'a Interval> {
    let place = report.measures.iter().position(|&other| other == measure)?;
    system.means.get(place)
}

impl Bound {
    fn number(self) -> f64 {
        match self {
            Bound::Value(number) | Bound::Change(number) | Bound::Percent(number) => number,
        }
    }
}

impl Relation {
    fn holds(self, value: f64, bound: f64) -> bool {
        match self {
            Relation::Less => value < bound,
            Relation::LessOrEqual => value <= bound,
            Relation::Greater => value > bound,
            Relation::GreaterOrEqual => value >= bound,
        }
    }
}

impl Percentile {
    fn of(self, latency: &StageLatency) -> f64 {
        match self {
            Percentile::P50 => latency.p50,
            Percentile::P95 => latency.p95,
            Percentile::P99 => latency.p99,
        }
    }
}

impl fmt::Display for Percentile {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Percentile::P50 => "p50",
            Percentile::P95 => "p95",
            Percentile::P99 => "p99",
        })
    }
}

impl fmt::Display for FailIf {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

impl FromStr for FailIf {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong =
            |message: String| Error::new(ErrorKind::Rule, format!("rule `{}`: {message}", text.trim()));
        let Some(at) = text.rfind(['<', '>']) else {
            return Err(wrong("it has neither `<` nor `>`; write one such as `ndcg@10 < -0.01`".to_owned()));
        };
        let (left, right) = (text[..at].trim(), text[at + 1..].trim());
        let (or_equal, right) = right.strip_prefix('=').map_or((false, right), |rest| (true, rest.trim()));
        let relation = match (text.as_bytes()[at], or_equal) {
            (b'<', false) => Relation::Less,
            (b'<', true) => Relation::LessOrEqual,
            (_, false) => Relation::Greater,
            (_, true) => Relation::GreaterOrEqual,
        };
        let (system, quantity) = match left.rsplit_once(':') {
            Some((system, quantity)) => (Some(system.trim()), quantity.trim()),
            None => (None, left),
        };
        if system.is_some_and(str::is_empty) {
            return Err(wrong("no system stands before the colon; leave it out to mean all".to_owned()));
        }
        let quantity = quantity.parse().map_err(&wrong)?;
        let (bound, words) = right.split_once(' ').unwrap_or((right, ""));
        let (mut absolute, mut significant) = (false, false);
        for word in words.split_whitespace() {
            match word {
                "absolute" if !absolute => absolute = true,
                "significant" if !significant => significant = true,
                other => {
                    return Err(wrong(format!(
                        "`{other}` is not understood; what may follow the bound is `absolute` and `significant`, once"
                    )));
                }
            }
        }
        let bound = read_bound(bound, absolute).map_err(&wrong)?;
        if significant && matches!(quantity, Quantity::Latency { .. }) {
            return Err(wrong("latency has no significance; leave out `significant`".to_owned()));
        }
        Ok(Self {
            text: text.trim().to_owned(),
            system: system.map(str::to_owned),
            quantity,
            relation,
            bound,
            significant,
        })
    }
}

impl FromStr for Quantity {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let Some((stage, percentile)) = text.rsplit_once('.') else {
            return text.parse().map(Quantity::Measure).map_err(|error| error.report());
        };
        let percentile = match percentile {
            "p50" => Percentile::P50,
            "p95" => Percentile::P95,
            "p99" => Percentile::P99,
            other => return Err(format!("unknown percentile `{other}`; use p50, p95 or p99")),
        };
        if stage.is_empty() {
            return Err("no stage stands before the percentile; use one such as `total.p95`".to_owned());
        }
        Ok(Quantity::Latency { stage: stage.to_owned(), percentile })
    }
}

fn read_bound(text: &str, absolute: bool) -> Result<Bound, String> {
    let (digits, percent) = text.strip_suffix('%').map_or((text, false), |digits| (digits, true));
    let number = digits.parse::<f64>().ok().filter(|number| number.is_finite());
    let Some(number) = number else {
        return Err(format!("`{text}` is no number; write a bound such as `-0.01` or `-2%`"));
    };
    match (percent, absolute) {
        (true, true) => {
            Err("a percentage is one of a change, not of a value; leave out `absolute`".to_owned())
        }
        (true, false) => Ok(Bound::Percent(number)),
        (false, true) => Ok(Bound::Value(number)),
        (false, false) => Ok(Bound::Change(number)),
    }
}

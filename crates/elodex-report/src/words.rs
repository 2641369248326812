//! What a report says, in words and figures that the terminal and the page share.

use crate::{PairComparison, QueryRow, Report, SystemReport};
use elodex_eval::significance::{Comparison, Interval};
use std::fmt;

/// Stands where there is no figure.
pub(crate) const NOTHING: &str = "–";

/// With a fixed number of digits, and never as `NaN` or `inf`.
pub(crate) fn number(value: f64, digits: usize) -> String {
    if !value.is_finite() {
        return NOTHING.to_owned();
    }
    let text = format!("{value:.digits$}");
    // A difference that rounds to nothing has no sign.
    if text.trim_start_matches(['-', '0', '.']).is_empty() {
        return text.trim_start_matches('-').to_owned();
    }
    text
}

/// A number with its sign.
pub(crate) fn signed(value: f64, digits: usize) -> String {
    let text = number(value, digits);
    let is_positive = text.contains(|digit: char| ('1'..='9').contains(&digit)) && !text.starts_with('-');
    match (is_positive, text.strip_prefix('-')) {
        (true, _) => format!("+{text}"),
        (false, Some(size)) => format!("−{size}"),
        (false, None) => text,
    }
}

/// Where the true mean probably lies.
pub(crate) fn interval(interval: &Interval) -> String {
    format!("[{}, {}]", number(interval.low, 3), number(interval.high, 3))
}

/// Where the true difference probably lies.
pub(crate) fn signed_interval(interval: &Interval) -> String {
    format!("[{}, {}]", signed(interval.low, 3), signed(interval.high, 3))
}

/// Milliseconds, to three figures.
pub(crate) fn milliseconds(value: f64) -> String {
    let digits = match value {
        value if value < 1.0 => 2,
        value if value < 100.0 => 1,
        _ => 0,
    };
    number(value, digits)
}

/// US dollars; small amounts to two figures.
pub(crate) fn dollars(value: f64) -> String {
    if !value.is_finite() {
        return NOTHING.to_owned();
    }
    if value == 0.0 || value >= 0.1 {
        return format!("${value:.2}");
    }
    let digits = (1.0 - value.abs().log10().floor()).clamp(2.0, 8.0) as usize;
    format!("${value:.digits$}")
}

/// How often something as large comes about by chance.
pub(crate) fn chance(p: f64) -> String {
    if p < 0.0001 { "< 0.0001".to_owned() } else { number(p, 4) }
}

/// A count, thousands apart.
pub(crate) fn count(value: impl fmt::Display) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 query`, `2 queries`.
pub(crate) fn counted(value: usize, one: &str, many: &str) -> String {
    format!("{} {}", count(value), if value == 1 { one } else { many })
}

/// On one line, at most `length` characters, with an ellipsis where something is left out.
pub fn shorten(text: &str, length: usize) -> String {
    let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if flat.chars().count() <= length {
        return flat;
    }
    let mut short: String = flat.chars().take(length.saturating_sub(1)).collect();
    short.push('…');
    short
}

/// Whether a difference is unlikely to be chance: the randomisation test's p below one minus the confidence of the
/// interval.
pub(crate) fn is_significant(comparison: &Comparison) -> bool {
    comparison.randomisation.p < 1.0 - comparison.difference.confidence
}

/// A verdict on a difference, in words.
pub(crate) fn verdict(comparison: &Comparison) -> &'static str {
    match (is_significant(comparison), comparison.difference.mean > 0.0) {
        (false, _) => "may be chance",
        (true, true) => "better",
        (true, false) => "worse",
    }
}

impl Report {
    /// The mean of the main measure that a system reached.
    pub(crate) fn main_mean(&self, system: &SystemReport) -> Option<f64> {
        system.means.first().map(|interval| interval.mean).filter(|mean| mean.is_finite())
    }

    /// The main measure's name.
    pub(crate) fn main_measure(&self) -> String {
        self.measures.first().map_or_else(|| NOTHING.to_owned(), ToString::to_string)
    }

    /// Whether a comparison is of a second stage with its own first stage.
    pub(crate) fn is_lift(&self, pair: &PairComparison) -> bool {
        self.systems.iter().any(|system| {
            system.name == pair.candidate && system.first_stage.as_deref() == Some(&pair.baseline)
        })
    }

    /// The system with the highest mean; the first of equals.
    pub(crate) fn best(&self) -> Option<&SystemReport> {
        let mut best: Option<(&SystemReport, f64)> = None;
        for system in &self.systems {
            let Some(mean) = self.main_mean(system) else { continue };
            if best.is_none_or(|(_, highest)| mean > highest) {
                best = Some((system, mean));
            }
        }
        best.map(|(system, _)| system)
    }

    /// The highest means first; without one last.
    pub(crate) fn best_first(&self, systems: &mut [&SystemReport]) {
        let mean = |system: &SystemReport| self.main_mean(system).unwrap_or(f64::NEG_INFINITY);
        systems.sort_by(|one, other| mean(other).total_cmp(&mean(one)));
    }

    /// The comparison the report is about: the best second stage with its own first stage, else the best system with
    /// another.
    pub(crate) fn focus(&self) -> Option<&PairComparison> {
        let highest = |one: &&PairComparison, other: &&PairComparison| {
            one.comparison.candidate.total_cmp(&other.comparison.candidate)
        };
        let lifts = self.comparisons.iter().filter(|pair| self.is_lift(pair));
        lifts.max_by(highest).or_else(|| self.comparisons.iter().max_by(highest))
    }

    /// The names of all prices, as the systems list them.
    pub(crate) fn price_names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for cost in self.systems.iter().flat_map(|system| &system.costs) {
            if !names.contains(&cost.name.as_str()) {
                names.push(&cost.name);
            }
        }
        names
    }

    /// The finding in sentences.
    pub(crate) fn headline(&self) -> Vec<String> {
        let Some(best) = self.best() else {
            return vec!["No system was measured.".to_owned()];
        };
        let mut sentences = Vec::new();
        let measure = self.main_measure();
        if let Some(mean) = best.means.first() {
            let among = match self.systems.len() {
                1 => format!("{} reaches", best.name),
                systems => format!("{} is the best of {systems} systems:", best.name),
            };
            let queries = counted(mean.queries, "query", "queries");
            let (value, around) = (number(mean.mean, 4), interval(mean));
            sentences.push(format!("{among} {measure} {value} {around} over {queries}."));
        }
        if let Some(pair) = self.focus() {
            sentences.push(self.comparison_in_words(pair));
        }
        if best.means.first().is_some_and(|mean| mean.queries < 25) {
            sentences
                .push("With so few queries, intervals are too narrow and chance plays a large part.".into());
        }
        sentences
    }

    fn comparison_in_words(&self, pair: &PairComparison) -> String {
        let PairComparison { baseline, candidate, comparison } = pair;
        let difference = &comparison.difference;
        let what = if self.is_lift(pair) {
            format!("The second stage of {candidate} changes its first stage, {baseline},")
        } else {
            format!("{candidate} differs from {baseline}")
        };
        let sure = if is_significant(comparison) { "unlikely to be chance" } else { "this may be chance" };
        let effect = comparison.effect_size.filter(|effect| effect.is_finite());
        let effect =
            effect.map_or(String::new(), |effect| format!(", effect size d = {}", number(effect, 2)));
        format!(
            "{what} by {} {} from {} to {}: {sure} (p = {}{effect}); {} better, {} equal, {} worse.",
            signed(difference.mean, 4),
            signed_interval(difference),
            number(comparison.baseline, 4),
            number(comparison.candidate, 4),
            chance(comparison.randomisation.p),
            counted(comparison.wins, "query", "queries"),
            count(comparison.ties),
            count(comparison.losses),
        )
        .replace("p = <", "p <")
    }

    /// Queries by how much the focus's candidate changed them, worst first, with that change; without a comparison, by
    /// the first system's value. What has no value comes last.
    pub(crate) fn queries_by_change(&self) -> Vec<(&QueryRow, f64)> {
        let place = |name: &str| self.systems.iter().position(|system| system.name == name);
        let pair = self.focus().and_then(|pair| Some((place(&pair.baseline)?, place(&pair.candidate)?)));
        let value = |row: &QueryRow, at: usize| row.values.get(at).copied().unwrap_or(f64::NAN);
        let change = |row: &QueryRow| match pair {
            Some((before, after)) => value(row, after) - value(row, before),
            None => value(row, 0),
        };
        let mut rows: Vec<(&QueryRow, f64)> = self.queries.iter().map(|row| (row, change(row))).collect();
        rows.sort_by(|one, other| {
            let last = |value: f64| !value.is_finite();
            last(one.1).cmp(&last(other.1)).then(one.1.total_cmp(&other.1))
        });
        rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_never_show_what_is_no_number() {
        assert_eq!(number(f64::NAN, 3), "–");
        assert_eq!(signed(f64::NEG_INFINITY, 3), "–");
        assert_eq!(milliseconds(f64::INFINITY), "–");
        assert_eq!(dollars(f64::NAN), "–");
        assert_eq!(chance(f64::NAN), "–");
    }

    #[test]
    fn signs_are_those_of_the_shown_figure() {
        assert_eq!(number(-0.00001, 3), "0.000");
        assert_eq!(signed(0.00001, 3), "0.000");
        assert_eq!(signed(-0.00001, 3), "0.000");
        assert_eq!(signed(0.05, 3), "+0.050");
        assert_eq!(signed(-0.05, 3), "−0.050");
    }

    #[test]
    fn amounts_keep_their_first_figures() {
        assert_eq!(dollars(0.0), "$0.00");
        assert_eq!(dollars(2.5), "$2.50");
        assert_eq!(dollars(0.00312), "$0.0031");
        assert_eq!(milliseconds(0.314), "0.31");
        assert_eq!(milliseconds(1234.5), "1234");
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(count(123), "123");
        assert_eq!(chance(0.00001), "< 0.0001");
    }

    #[test]
    fn shortening_counts_characters() {
        assert_eq!(shorten("äöü\n xyz", 7), "äöü xyz");
        assert_eq!(shorten("äöü xyz!", 7), "äöü xy…");
    }
}

//! What users did with results as judge.

use super::{Judge, Question, Verdict, short_hash};
use crate::battle::Pair;
use crate::{Error, ErrorKind, Result};
use serde::Deserialize;
use std::collections::HashMap;
use std::path::Path;

/// Defects of a file that are spelled out; the others are counted.
const SHOWN: usize = 5;

/// Prefers the document that users found useful more often.
///
/// Of a document with u useful among n reports, the rate is r = (u + 1) / (n + 2) (Laplace's rule of succession), and
/// p = r_a(1 − r_b) / (r_a(1 − r_b) + r_b(1 − r_a)), which is σ of the difference of the rates' logits. Documents without
/// a report are not judged: nobody knows whether they were seen.
#[derive(Debug)]
pub struct FeedbackJudge {
    reports: HashMap<(String, String), Reports>,
    identity: String,
}

#[derive(Debug, Clone, Copy, Default)]
struct Reports {
    useful: u64,
    all: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Click {
    query: String,
    document: String,
    clicked: bool,
}

impl FeedbackJudge {
    /// Reads a table of query id, document id and 1 or 0 between tabs, with or without a header `query`, `document`, …; or
    /// JSON objects `{"query": …, "document": …, "clicked": true}`, one a line. A pair may have many lines.
    ///
    /// # Errors
    /// A file that cannot be read, or without a report; lines of another form, named by number.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            Error::new(ErrorKind::Io, format!("cannot read `{}`: {error}", path.display())).caused_by(error)
        })?;
        Self::parse(&path.display().to_string(), &text)
    }

    /// [`FeedbackJudge::read`] on a text; `file` is its name in messages.
    ///
    /// # Errors
    /// Those of [`FeedbackJudge::read`].
    pub fn parse(file: &str, text: &str) -> Result<Self> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let json = text.trim_start().starts_with('{');
        let mut reports: HashMap<(String, String), Reports> = HashMap::new();
        let mut defects = Vec::new();
        for (number, line) in (1..).zip(text.lines()) {
            if line.trim().is_empty() || !json && number == 1 && line.starts_with("query\tdocument\t") {
                continue;
            }
            let report = if json { click(line) } else { row(line) };
            match report {
                Ok(Click { query, document, clicked }) => {
                    let reports = reports.entry((query, document)).or_default();
                    reports.all += 1;
                    reports.useful += u64::from(clicked);
                }
                Err(what) => defects.push(format!("{file}:{number}: {what}")),
            }
        }
        if !defects.is_empty() {
            let hidden = defects.len().saturating_sub(SHOWN);
            defects.truncate(SHOWN);
            if hidden > 0 {
                defects.push(format!("and {hidden} more"));
            }
            return Err(Error::new(ErrorKind::Corrupt, defects.join("; ")));
        }
        if reports.is_empty() {
            let message = format!("{file}: no feedback; give at least one line");
            return Err(Error::new(ErrorKind::Corrupt, message));
        }
        let identity = format!("feedback {}", short_hash([text]));
        Ok(Self { reports, identity })
    }

    fn rate(&self, query: &str, document: &str) -> Option<f64> {
        let reports = self.reports.get(&(query.to_owned(), document.to_owned()))?;
        Some((reports.useful + 1) as f64 / (reports.all + 2) as f64)
    }

    fn rates(&self, pair: &Pair) -> Option<(f64, f64)> {
        self.rate(&pair.query, &pair.a).zip(self.rate(pair.query_of_b(), &pair.b))
    }
}

fn click(line: &str) -> Result<Click, String> {
    serde_json::from_str(line)
        .map_err(|error| format!("no object with `query`, `document` and `clicked`: {error}"))
}

fn row(line: &str) -> Result<Click, String> {
    let columns: Vec<&str> = line.split('\t').map(str::trim).collect();
    let [query, document, useful] = columns[..] else {
        return Err(format!("{} columns between tabs; write query, document and 1 or 0", columns.len()));
    };
    if query.is_empty() || document.is_empty() {
        return Err("an id is empty".to_owned());
    }
    let clicked = match useful {
        "1" => true,
        "0" => false,
        other => return Err(format!("`{other}` is neither 1 nor 0")),
    };
    Ok(Click { query: query.to_owned(), document: document.to_owned(), clicked })
}

impl Judge for FeedbackJudge {
    fn identity(&self) -> String {
        self.identity.clone()
    }

    fn judge(&self, question: &Question<'_>) -> Result<Verdict> {
        let Some((a, b)) = self.rates(question.pair) else {
            return Ok(Verdict::failure("there is no feedback on one of the two", Default::default()));
        };
        let (a_wins, b_wins) = (a * (1.0 - b), b * (1.0 - a));
        Ok(Verdict::of_probability(self.identity.clone(), a_wins / (a_wins + b_wins)))
    }

    fn knows(&self, pair: &Pair) -> bool {
        self.rates(pair).is_some()
    }
}

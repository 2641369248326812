//! What a system returned: a ranking of documents per query.

use crate::lines::{Defects, numbered, read_text};
use crate::{Error, ErrorKind, Result};
use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::path::Path;

/// A returned document.
#[derive(Debug, Clone, PartialEq)]
pub struct Scored {
    /// Its id.
    pub document: String,
    /// Finite. Single precision, as `trec_eval` keeps scores: what differs beyond that is a tie.
    pub score: f32,
}

/// The rankings of one system, in `trec_eval`'s order: by score descending, ties by document id descending.
///
/// The rank written in a run file plays no part, as in `trec_eval`.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    tag: String,
    queries: BTreeMap<String, Vec<Scored>>,
}

impl Run {
    /// A run without rankings; `tag` is its name.
    pub fn new(tag: impl Into<String>) -> Self {
        Self { tag: tag.into(), queries: BTreeMap::new() }
    }

    /// Reads a TREC run: query, `Q0`, document, rank, score and tag between white space.
    ///
    /// # Errors
    /// A line with other columns, a score that is no finite number, a document listed twice for a query: named by file
    /// and line. A file without results.
    pub fn read(path: &Path) -> Result<Self> {
        Self::parse(&path.display().to_string(), &read_text(path)?)
    }

    /// [`Run::read`] on a text; `file` is its name in messages.
    pub fn parse(file: &str, text: &str) -> Result<Self> {
        let mut tag = None;
        let mut queries: BTreeMap<String, Vec<Scored>> = BTreeMap::new();
        let mut lines: HashMap<(&str, &str), usize> = HashMap::new();
        let mut defects = Defects::of(file);
        for (line, row) in numbered(text) {
            let columns: Vec<&str> = row.split_whitespace().collect();
            let [query, _, document, _, score, its_tag] = columns[..] else {
                let what = "columns; write query, Q0, document, rank, score and tag";
                defects.add(line, format!("{} {what}", columns.len()));
                continue;
            };
            // Read as f64 and rounded, as C does.
            let Some(score) =
                score.parse::<f64>().ok().map(|score| score as f32).filter(|score| score.is_finite())
            else {
                defects.add(line, format!("score `{score}` is not a finite number"));
                continue;
            };
            if let Some(earlier) = lines.insert((query, document), line) {
                defects.add(
                    line,
                    format!("document `{document}` of query `{query}` stands in line {earlier} too"),
                );
                continue;
            }
            tag.get_or_insert(its_tag);
            queries
                .entry(query.to_owned())
                .or_default()
                .push(Scored { document: document.to_owned(), score });
        }
        defects.check()?;
        let Some(tag) = tag else {
            return Err(Error::new(
                ErrorKind::Empty,
                format!("{file}: no results; give a run with at least one"),
            ));
        };
        queries.values_mut().for_each(|ranking| sort(ranking));
        Ok(Self { tag: tag.to_owned(), queries })
    }

    /// Adds what was returned for a query, in any order; nothing, if nothing was.
    ///
    /// # Errors
    /// A score that is no finite number, a document or a query twice.
    pub fn insert(&mut self, query: impl Into<String>, mut results: Vec<Scored>) -> Result<()> {
        let query = query.into();
        let mut seen = std::collections::HashSet::new();
        for Scored { document, score } in &results {
            if !score.is_finite() {
                return Err(Error::new(
                    ErrorKind::Malformed,
                    format!(
                        "score `{score}` of document `{document}` for query `{query}` is not a finite number"
                    ),
                ));
            }
            if !seen.insert(document.as_str()) {
                return Err(Error::new(
                    ErrorKind::Malformed,
                    format!(
                        "document `{document}` is returned twice for query `{query}`; collapse duplicates first"
                    ),
                ));
            }
        }
        if self.queries.contains_key(&query) {
            return Err(Error::new(ErrorKind::Malformed, format!("query `{query}` has results already")));
        }
        sort(&mut results);
        self.queries.insert(query, results);
        Ok(())
    }

    /// Adds a ranking, best first, with scores that keep its order.
    ///
    /// # Errors
    /// As [`Run::insert`].
    pub fn insert_order<'a>(
        &mut self,
        query: impl Into<String>,
        documents: impl IntoIterator<Item = &'a str>,
    ) -> Result<()> {
        let documents: Vec<&str> = documents.into_iter().collect();
        let results = documents
            .iter()
            .enumerate()
            .map(|(position, &document)| Scored {
                document: document.to_owned(),
                score: (documents.len() - position) as f32,
            })
            .collect();
        self.insert(query, results)
    }

    /// The run under another name.
    #[must_use]
    pub fn with_tag(mut self, tag: impl Into<String>) -> Self {
        self.tag = tag.into();
        self
    }

    /// The system's name.
    pub fn tag(&self) -> &str {
        &self.tag
    }

    /// Every query with its results, ascending by id; the results best first.
    pub fn queries(&self) -> impl ExactSizeIterator<Item = (&str, &[Scored])> {
        self.queries.iter().map(|(query, ranking)| (query.as_str(), ranking.as_slice()))
    }

    /// What was returned for a query, best first; `None` if the query is not in the run.
    pub fn results(&self, query: &str) -> Option<&[Scored]> {
        self.queries.get(query).map(Vec::as_slice)
    }

    /// The ids of [`Run::results`]; nothing for a query that is not in the run.
    pub fn order(&self, query: &str) -> Vec<&str> {
        self.results(query).unwrap_or_default().iter().map(|scored| scored.document.as_str()).collect()
    }

    /// The run without results that are the query itself, by id: how BEIR evaluates ArguAna and Quora, whose queries are
    /// documents too. Retrieve one document more than is to be looked at.
    #[must_use]
    pub fn without_self_matches(mut self) -> Self {
        for (query, ranking) in &mut self.queries {
            ranking.retain(|scored| scored.document != *query);
        }
        self
    }

    /// The run as a TREC file, ranks from 1.
    ///
    /// # Errors
    /// An id or a tag with white space or without a character: the format cannot hold it.
    pub fn to_trec(&self) -> Result<String> {
        let tag = word(&self.tag)?;
        let mut text = String::new();
        for (query, ranking) in &self.queries {
            let query = word(query)?;
            for (position, Scored { document, score }) in ranking.iter().enumerate() {
                let document = word(document)?;
                // Writing to a string cannot fail.
                let _ = writeln!(text, "{query} Q0 {document} {} {score} {tag}", position + 1);
            }
        }
        Ok(text)
    }

    /// Writes [`Run::to_trec`] to a file.
    ///
    /// # Errors
    /// Those of [`Run::to_trec`], and what the file system says.
    pub fn write(&self, path: &Path) -> Result<()> {
        std::fs::write(path, self.to_trec()?).map_err(|error| {
            Error::new(ErrorKind::Io, format!("cannot write `{}`", path.display())).caused_by(error)
        })
    }
}

/// `trec_eval`'s order: score descending, then document id descending, byte by byte.
pub(crate) fn trec_order(one: (f32, &str), other: (f32, &str)) -> Ordering {
    // Scores are finite, so they compare; and -0 equals 0, as in C.
    other.0.partial_cmp(&one.0).unwrap_or(Ordering::Equal).then_with(|| other.1.cmp(one.1))
}

fn sort(ranking: &mut [Scored]) {
    ranking.sort_by(|one, other| trec_order((one.score, &one.document), (other.score, &other.document)));
}

fn word(id: &str) -> Result<&str> {
    if id.is_empty() || id.contains(char::is_whitespace) {
        return Err(Error::new(
            ErrorKind::Malformed,
            format!("`{id}` cannot stand in a TREC run: its columns are words; rename it"),
        ));
    }
    Ok(id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn scored(document: &str, score: f32) -> Scored {
        Scored { document: document.to_owned(), score }
    }

    #[test]
    fn ties_go_to_the_higher_id_and_scores_are_single_precision() {
        let text =
            "q Q0 a 1 1.0 t\nq Q0 b 2 1.0 t\nq Q0 B 3 1.0000000000001 t\nq Q0 z 4 -0.0 t\nq Q0 y 5 0 t\n";
        let run = Run::parse("r", text).unwrap();
        assert_eq!(run.order("q"), ["b", "a", "B", "z", "y"]);
        assert_eq!((run.tag(), run.clone().with_tag("u").tag()), ("t", "u"));
        assert_eq!(run.order("absent"), Vec::<&str>::new());
    }

    #[test]
    fn defects_are_named_and_counted() {
        let text = "q Q0 a 1 NaN t\nq Q0 b 2 1 t\nq Q0 b 3 2 t\nq Q0 c 4 t\nq Q0 d 5 1e99 t\nq Q0 e 6 x t\n";
        let message = Run::parse("r.trec", text).unwrap_err().to_string();
        assert!(message.contains("r.trec:1: score `NaN` is not a finite number"), "{message}");
        assert!(message.contains("r.trec:3: document `b` of query `q` stands in line 2 too"), "{message}");
        assert!(message.contains("r.trec:4: 5 columns"), "{message}");
        assert!(message.contains("r.trec:5: score `1e99`"), "{message}");
        assert_eq!(Run::parse("r", "\n").unwrap_err().kind(), ErrorKind::Empty);
    }

    #[test]
    fn results_are_checked_however_they_come() {
        let mut run = Run::new("t");
        assert!(run.insert("q", vec![scored("a", f32::NAN)]).is_err());
        assert!(run.insert("q", vec![scored("a", 1.0), scored("a", 2.0)]).is_err());
        run.insert("q", vec![]).unwrap();
        assert!(run.insert("q", vec![]).unwrap_err().to_string().contains("query `q` has results already"));
        run.insert_order("p", ["c", "a", "b"]).unwrap();
        assert_eq!(run.order("p"), ["c", "a", "b"]);
        assert_eq!(run.clone().without_self_matches(), run);
        run.insert_order("a", ["b", "a"]).unwrap();
        assert_eq!(run.clone().without_self_matches().order("a"), ["b"]);
        run.insert_order("r", ["two words"]).unwrap();
        assert!(run.to_trec().unwrap_err().to_string().contains("`two words` cannot stand"));
    }

    proptest! {
        #[test]
        fn a_written_run_reads_back(
            lists in prop::collection::btree_map("[a-z0-9:]{1,4}", prop::collection::btree_map("[a-zé0-9_]{1,5}",
                prop::num::f32::NORMAL | prop::num::f32::ZERO, 1..6), 1..6),
        ) {
            let mut run = Run::new("system");
            for (query, results) in lists {
                let results = results.into_iter().map(|(document, score)| Scored { document, score }).collect();
                run.insert(query, results).unwrap();
            }
            prop_assert_eq!(Run::parse("r", &run.to_trec().unwrap()).unwrap(), run);
        }
    }
}

//! Judgements of documents for queries.

use crate::lines::{Defects, numbered, read_text};
use crate::{Error, ErrorKind, Result};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::Path;

/// Grades beyond this are taken for a mistake: `2^grade` would leave the range of numbers.
const GRADE_LIMIT: i32 = 1000;

/// How relevant one document is to one query, and where that is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Judgement {
    /// 0 or less: not relevant; above: relevant, the more the higher.
    pub grade: i32,
    /// Its line, from 1.
    pub line: usize,
}

/// The judged documents of one query by id.
pub type Judged = BTreeMap<String, Judgement>;

/// Relevance judgements ("qrels") of a collection.
#[derive(Debug, Clone, PartialEq)]
pub struct Qrels {
    file: String,
    queries: BTreeMap<String, Judged>,
    repeated: Vec<usize>,
}

enum Layout {
    /// A header, then query, document and grade between tabs.
    Beir,
    /// Query, iteration, document and grade between white space.
    Trec,
}

impl Qrels {
    /// Reads a BEIR table (`query-id`, `corpus-id` and `score` between tabs, with a header) or a TREC file (query,
    /// iteration, document, grade); which of them it is, is told from its first line.
    ///
    /// # Errors
    /// A line with other columns, a grade that is not a whole number, one document with two grades for a query: named
    /// by file and line. A file without judgements.
    pub fn read(path: &Path) -> Result<Self> {
        Self::parse(&path.display().to_string(), &read_text(path)?)
    }

    /// [`Qrels::read`] on a text; `file` is its name in messages.
    pub fn parse(file: &str, text: &str) -> Result<Self> {
        let mut rows = numbered(text).peekable();
        let Some(&(first_line, first)) = rows.peek() else { return Err(empty(file)) };
        let layout = layout(file, first_line, first)?;
        if matches!(layout, Layout::Beir) {
            rows.next();
        }
        let judgement = |row| {
            let (query, document, grade) = columns(&layout, row)?;
            Ok((query, document, parse_grade(grade)?))
        };
        Self::collect(file, rows.map(|(line, row)| (line, judgement(row))))
    }

    /// Judgements made in memory: query, document, grade. Their "lines" are their places in `judgements`, from 1.
    ///
    /// # Errors
    /// As [`Qrels::read`].
    pub fn from_judgements<'a>(
        judgements: impl IntoIterator<Item = (&'a str, &'a str, i32)>,
    ) -> Result<Self> {
        let checked =
            judgements.into_iter().map(|(query, document, grade)| Ok((query, document, check_grade(grade)?)));
        Self::collect("judgements", (1..).zip(checked))
    }

    /// Judgements with their lines, or what is wrong with a line.
    fn collect<'a>(
        file: &str,
        rows: impl Iterator<Item = (usize, Result<(&'a str, &'a str, i32), String>)>,
    ) -> Result<Self> {
        let mut qrels = Self { file: file.to_owned(), queries: BTreeMap::new(), repeated: Vec::new() };
        let mut defects = Defects::of(file);
        for (line, row) in rows {
            match row {
                Ok((query, document, grade)) => {
                    qrels.add(query, document, Judgement { grade, line }, &mut defects);
                }
                Err(what) => defects.add(line, what),
            }
        }
        defects.check()?;
        if qrels.queries.is_empty() {
            return Err(empty(file));
        }
        Ok(qrels)
    }

    fn add(&mut self, query: &str, document: &str, judgement: Judgement, defects: &mut Defects<'_>) {
        match self.queries.entry(query.to_owned()).or_default().entry(document.to_owned()) {
            Entry::Vacant(place) => {
                place.insert(judgement);
            }
            Entry::Occupied(place) if place.get().grade == judgement.grade => {
                self.repeated.push(judgement.line);
            }
            Entry::Occupied(place) => defects.add(
                judgement.line,
                format!(
                    "document `{document}` of query `{query}` has grade {} here and {} in line {}; keep one",
                    judgement.grade,
                    place.get().grade,
                    place.get().line
                ),
            ),
        }
    }

    /// Where they were read from, for messages.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// Every judged query with its judged documents, ascending by id. No query is without a judgement.
    pub fn queries(&self) -> impl ExactSizeIterator<Item = (&str, &Judged)> {
        self.queries.iter().map(|(query, judged)| (query.as_str(), judged))
    }

    /// The judged documents of a query.
    pub fn judged(&self, query: &str) -> Option<&Judged> {
        self.queries.get(query)
    }

    /// The judgements of some queries, with their file and lines.
    ///
    /// # Errors
    /// None of the queries is judged.
    pub fn of_queries(&self, keep: impl Fn(&str) -> bool) -> Result<Self> {
        let kept = self.queries.iter().filter(|(query, _)| keep(query));
        let queries: BTreeMap<String, Judged> =
            kept.map(|(query, judged)| (query.clone(), judged.clone())).collect();
        if queries.is_empty() {
            return Err(empty(&self.file));
        }
        Ok(Self { file: self.file.clone(), queries, repeated: Vec::new() })
    }

    /// Judgements of all queries.
    pub fn judgements(&self) -> usize {
        self.queries.values().map(BTreeMap::len).sum()
    }

    /// Lines that say again what another line has said; each judgement counts once.
    pub fn repeated(&self) -> &[usize] {
        &self.repeated
    }
}

fn empty(file: &str) -> Error {
    Error::new(ErrorKind::Empty, format!("{file}: no judgements; give at least one judged query"))
}

fn layout(file: &str, line: usize, first: &str) -> Result<Layout> {
    let tabbed: Vec<&str> = first.split('\t').collect();
    if let [_, _, grade] = tabbed[..] {
        if grade.trim().eq_ignore_ascii_case("score") {
            return Ok(Layout::Beir);
        }
        return Err(Error::new(
            ErrorKind::Malformed,
            format!(
                "{file}:{line}: three columns without a header; put `query-id`, `corpus-id` and `score` between tabs \
                 into the first line"
            ),
        ));
    }
    let columns = first.split_whitespace().count();
    if columns == 4 {
        return Ok(Layout::Trec);
    }
    Err(Error::new(
        ErrorKind::Malformed,
        format!(
            "{file}:{line}: {columns} columns are neither BEIR's three between tabs nor TREC's four (query, iteration, \
             document, grade)"
        ),
    ))
}

fn columns<'a>(layout: &Layout, row: &'a str) -> Result<(&'a str, &'a str, &'a str), String> {
    match layout {
        Layout::Beir => match row.split('\t').map(str::trim).collect::<Vec<_>>()[..] {
            [query, document, grade] if !query.is_empty() && !document.is_empty() => {
                Ok((query, document, grade))
            }
            [_, _, _] => Err("an id is empty".to_owned()),
            ref other => Err(format!("{} columns between tabs, but the header has 3", other.len())),
        },
        Layout::Trec => match row.split_whitespace().collect::<Vec<_>>()[..] {
            [query, _, document, grade] => Ok((query, document, grade)),
            ref other => Err(format!("{} columns; write query, iteration, document and grade", other.len())),
        },
    }
}

fn parse_grade(text: &str) -> Result<i32, String> {
    let grade = text.parse().map_err(|_| format!("grade `{text}` is not a whole number"))?;
    check_grade(grade)
}

fn check_grade(grade: i32) -> Result<i32, String> {
    if grade.abs() > GRADE_LIMIT {
        return Err(format!(
            "grade `{grade}` is beyond {GRADE_LIMIT}; use small whole numbers such as 0 to 3"
        ));
    }
    Ok(grade)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str) -> String {
        Qrels::parse("q.tsv", text).unwrap_err().to_string()
    }

    #[test]
    fn some_queries_keep_their_lines() {
        let all = Qrels::parse("q.qrels", "p 0 a 1\nq 0 b 2\n").unwrap();
        let some = all.of_queries(|query| query == "q").unwrap();
        assert_eq!((some.judgements(), some.file()), (1, "q.qrels"));
        assert_eq!(some.judged("q").unwrap()["b"].line, 2);
        assert_eq!(all.of_queries(|_| false).unwrap_err().kind(), ErrorKind::Empty);
    }

    #[test]
    fn both_layouts_say_the_same() {
        let beir = Qrels::parse("q", "query-id\tcorpus-id\tscore\nq 1\td 1\t2\r\nq 1\td2\t0\n").unwrap();
        assert_eq!(beir.judged("q 1").unwrap()["d 1"], Judgement { grade: 2, line: 2 });
        assert_eq!((beir.judgements(), beir.queries().len()), (2, 1));
        let trec = Qrels::parse("q", "\nq1 0 d1 2\nq1\tQ0\td2\t-1\n").unwrap();
        assert_eq!(trec.judged("q1").unwrap()["d1"], Judgement { grade: 2, line: 2 });
        assert_eq!(trec.judged("q1").unwrap()["d2"].grade, -1);
    }

    #[test]
    fn defects_are_named_and_counted() {
        let all = message("q1 0 d1 1\nq1 0 d2 1.5\nq1 0 d1 3\nq1 d3 1\nq1 0 d4 4000\n");
        assert!(all.contains("q.tsv:2: grade `1.5` is not a whole number"), "{all}");
        assert!(
            all.contains("q.tsv:3: document `d1` of query `q1` has grade 3 here and 1 in line 1"),
            "{all}"
        );
        assert!(all.contains("q.tsv:4: 3 columns; write query"), "{all}");
        assert!(all.contains("q.tsv:5: grade `4000` is beyond 1000"), "{all}");
        assert!(message("query-id\tcorpus-id\tscore\nq\t\t1").contains("q.tsv:2: an id is empty"));
        assert!(message("query-id\tcorpus-id\tscore\nq\td").contains("q.tsv:2: 2 columns between tabs"));
    }

    #[test]
    fn a_first_line_is_never_taken_for_a_header() {
        assert!(message("q1\td1\t1\n").contains("q.tsv:1: three columns without a header"));
        assert!(message("q1\td1\t1.5\n").contains("without a header"));
        assert!(message("q1 d1\n").contains("q.tsv:1: 2 columns are neither"));
    }

    #[test]
    fn nothing_is_not_evaluated() {
        for text in ["", "\n\n", "query-id\tcorpus-id\tscore\n"] {
            assert_eq!(Qrels::parse("q", text).unwrap_err().kind(), ErrorKind::Empty);
        }
        assert_eq!(Qrels::from_judgements([]).unwrap_err().kind(), ErrorKind::Empty);
    }

    #[test]
    fn a_repeated_line_counts_once_and_is_reported() {
        let qrels = Qrels::parse("q", "q1 0 d1 1\nq1 0 d1 1\n").unwrap();
        assert_eq!((qrels.judgements(), qrels.repeated()), (1, [2].as_slice()));
    }
}

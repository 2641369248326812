//! What does not fit together in judgements, runs and collections, counted and named.

use crate::{Protocol, Qrels, Run};
use serde::Serialize;
use std::fmt;

/// How many findings of a kind are spelled out.
const SHOWN: usize = 5;

/// What kind of thing does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FindingKind {
    /// A judged document is not in the collection. It stays in the ideal ranking, as in `trec_eval`, so no system can
    /// reach 1.
    JudgedDocumentUnknown,
    /// A judged query has no text.
    JudgedQueryUnknown,
    /// A judged query has no relevant document: 0 whatever is returned.
    QueryWithoutRelevant,
    /// A line of the judgements says again what another has said.
    JudgementRepeated,
    /// A returned document is not in the collection: the run is of another one, or of another version.
    ReturnedDocumentUnknown,
    /// A query of the run has no judgements; it does not count.
    ReturnedQueryUnjudged,
    /// The run lacks a judged query.
    JudgedQueryMissing,
}

impl FindingKind {
    /// What it is, in words that follow a count.
    pub fn describe(self) -> &'static str {
        match self {
            FindingKind::JudgedDocumentUnknown => "judged documents that are not in the collection",
            FindingKind::JudgedQueryUnknown => "judged queries without a text",
            FindingKind::QueryWithoutRelevant => "queries without a relevant document",
            FindingKind::JudgementRepeated => "judgements that repeat another",
            FindingKind::ReturnedDocumentUnknown => "returned documents that are not in the collection",
            FindingKind::ReturnedQueryUnjudged => "returned queries without judgements",
            FindingKind::JudgedQueryMissing => "judged queries that the run lacks",
        }
    }
}

/// Findings of one kind: how many, and the first of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What does not fit.
    pub kind: FindingKind,
    /// How often.
    pub count: usize,
    /// The first places, each with its file, and its line where it has one.
    pub places: Vec<String>,
}

/// What was found; nothing is left out of an evaluation because of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Audit {
    findings: Vec<Finding>,
}

impl Audit {
    /// Looks through the judgements. `knows_document` and `knows_query` say whether the collection has an id.
    pub fn of_qrels(
        qrels: &Qrels,
        knows_document: impl Fn(&str) -> bool,
        knows_query: impl Fn(&str) -> bool,
        protocol: &Protocol,
    ) -> Self {
        let mut audit = Self::default();
        let file = qrels.file();
        for (query, judged) in qrels.queries() {
            let line = judged.values().map(|found| found.line).min().unwrap_or_default();
            if !knows_query(query) {
                audit.add(FindingKind::JudgedQueryUnknown, || format!("{file}:{line}: `{query}`"));
            }
            if !judged.values().any(|found| found.grade >= protocol.relevant_from) {
                audit.add(FindingKind::QueryWithoutRelevant, || format!("{file}:{line}: `{query}`"));
            }
            for (document, found) in judged {
                if !knows_document(document) {
                    audit.add(FindingKind::JudgedDocumentUnknown, || {
                        format!("{file}:{}: `{document}` of query `{query}`", found.line)
                    });
                }
            }
        }
        for line in qrels.repeated() {
            audit.add(FindingKind::JudgementRepeated, || format!("{file}:{line}"));
        }
        audit
    }

    /// Looks through a run.
    pub fn of_run(qrels: &Qrels, run: &Run, knows_document: impl Fn(&str) -> bool) -> Self {
        let mut audit = Self::default();
        let tag = run.tag();
        for (query, results) in run.queries() {
            if qrels.judged(query).is_none() {
                audit.add(FindingKind::ReturnedQueryUnjudged, || format!("{tag}: `{query}`"));
            }
            for found in results.iter().filter(|found| !knows_document(&found.document)) {
                audit.add(FindingKind::ReturnedDocumentUnknown, || {
                    format!("{tag}: `{}` of query `{query}`", found.document)
                });
            }
        }
        for (query, _) in qrels.queries().filter(|(query, _)| run.results(query).is_none()) {
            audit.add(FindingKind::JudgedQueryMissing, || format!("{tag}: `{query}`"));
        }
        audit
    }

    fn add(&mut self, kind: FindingKind, place: impl FnOnce() -> String) {
        let position = self.findings.iter().position(|finding| finding.kind == kind).unwrap_or_else(|| {
            self.findings.push(Finding { kind, count: 0, places: Vec::new() });
            self.findings.len() - 1
        });
        let finding = &mut self.findings[position];
        finding.count += 1;
        if finding.places.len() < SHOWN {
            finding.places.push(place());
        }
    }

    /// What was found, by kind.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// How often something of this kind was found.
    pub fn count(&self, kind: FindingKind) -> usize {
        self.findings.iter().find(|finding| finding.kind == kind).map_or(0, |finding| finding.count)
    }
}

impl fmt::Display for Audit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, Finding { kind, count, places }) in self.findings.iter().enumerate() {
            let newline = if position == 0 { "" } else { "\n" };
            let more = if *count > places.len() { ", …" } else { "" };
            write!(formatter, "{newline}{count} {}: {}{more}", kind.describe(), places.join(", "))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_odd_is_counted_and_named() {
        let text = "p 0 a 1\np 0 gone 2\nq 0 a 0\nq 0 a 0\n";
        let qrels = Qrels::parse("test.qrels", text).unwrap();
        let audit = Audit::of_qrels(&qrels, |id| id != "gone", |id| id == "p", &Protocol::default());
        assert_eq!(
            audit.to_string(),
            "1 judged documents that are not in the collection: test.qrels:2: `gone` of query `p`\n\
             1 judged queries without a text: test.qrels:3: `q`\n\
             1 queries without a relevant document: test.qrels:3: `q`\n\
             1 judgements that repeat another: test.qrels:4"
        );
        let mut run = Run::new("bm25");
        run.insert_order("p", ["a", "gone"]).unwrap();
        run.insert_order("r", ["a"]).unwrap();
        let audit = Audit::of_run(&qrels, &run, |id| id != "gone");
        assert_eq!(audit.count(FindingKind::ReturnedDocumentUnknown), 1);
        assert_eq!(audit.count(FindingKind::ReturnedQueryUnjudged), 1);
        assert_eq!(audit.count(FindingKind::JudgedQueryMissing), 1);
        assert_eq!(audit.count(FindingKind::QueryWithoutRelevant), 0);
    }

    #[test]
    fn many_findings_are_counted_and_some_shown() {
        let ids: Vec<String> = (0..9).map(|id| format!("d{id}")).collect();
        let qrels = Qrels::from_judgements(ids.iter().map(|id| ("q", id.as_str(), 1))).unwrap();
        let audit = Audit::of_qrels(&qrels, |_| false, |_| true, &Protocol::default());
        let [finding] = audit.findings() else { panic!("{audit}") };
        assert_eq!((finding.count, finding.places.len()), (9, 5));
        assert!(audit.to_string().ends_with(", …"), "{audit}");
    }
}

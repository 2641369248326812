//! What is asked: judged queries with their texts, and what does not fit together in them.

use anyhow::bail;
use elodex_eval::{Audit, Finding, Protocol, Qrels};
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// Of the sample that `--limit` takes.
const SEED: u64 = 0;

/// The queries of an evaluation.
#[derive(Debug)]
pub(crate) struct Questions {
    /// Of the queries that count.
    pub(crate) qrels: Qrels,
    /// The texts of the judged queries, by id; one that has none is not asked, and counts 0.
    pub(crate) texts: BTreeMap<String, String>,
    /// Over all judgements, whatever the sample.
    pub(crate) findings: Vec<Finding>,
    /// What is to be known of the choice of queries.
    pub(crate) notes: Vec<String>,
}

impl Questions {
    /// Of the judged queries of `qrels` those with a text are asked, `limit` at most. `knows_document` says whether the
    /// collection has an id.
    pub(crate) fn gather(
        qrels: Qrels,
        texts: BTreeMap<String, String>,
        limit: Option<usize>,
        protocol: &Protocol,
        knows_document: impl Fn(&str) -> bool,
    ) -> anyhow::Result<Self> {
        let audit = Audit::of_qrels(&qrels, knows_document, |query| texts.contains_key(query), protocol);
        let mut notes = Vec::new();
        let unjudged = texts.keys().filter(|query| qrels.judged(query).is_none()).count();
        if unjudged > 0 {
            notes.push(format!("{unjudged} of {} queries are not asked: no judgements of them", texts.len()));
        }
        let judged = qrels.queries().len();
        let qrels = match limit {
            Some(limit) if limit < judged => {
                let chosen = sample(qrels.queries().map(|(query, _)| query), limit);
                notes.push(format!("{limit} of {judged} judged queries, drawn at random with seed {SEED}"));
                qrels.of_queries(|query| chosen.contains(query))?
            }
            _ => qrels,
        };
        let first_text = texts.keys().next().cloned().unwrap_or_default();
        let texts: BTreeMap<String, String> =
            texts.into_iter().filter(|(query, _)| qrels.judged(query).is_some()).collect();
        if texts.is_empty() {
            let first = qrels.queries().next().map(|(query, _)| query).unwrap_or_default();
            bail!(
                "no judged query has a text: the first query that {} judges is `{first}`, the first of the queries is \
                 `{first_text}`; give the queries of these judgements",
                qrels.file()
            );
        }
        Ok(Self { qrels, texts, findings: audit.findings().to_vec(), notes })
    }

    /// Whether a query is a document too, as in ArguAna: then it finds itself.
    pub(crate) fn find_themselves(&self, documents: &HashSet<String>) -> usize {
        self.texts.keys().filter(|query| documents.contains(*query)).count()
    }
}

fn sample<'a>(queries: impl Iterator<Item = &'a str>, limit: usize) -> BTreeSet<String> {
    let all: Vec<&str> = queries.collect();
    fastrand::Rng::with_seed(SEED).choose_multiple(all, limit).into_iter().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use elodex_eval::FindingKind;

    fn texts(ids: &[&str]) -> BTreeMap<String, String> {
        ids.iter().map(|id| ((*id).to_owned(), format!("text of {id}"))).collect()
    }

    fn qrels() -> Qrels {
        Qrels::parse("q.qrels", "a 0 d1 1\nb 0 d2 1\nc 0 gone 1\n").unwrap()
    }

    fn gather(ids: &[&str], limit: Option<usize>) -> anyhow::Result<Questions> {
        Questions::gather(qrels(), texts(ids), limit, &Protocol::default(), |document| document != "gone")
    }

    #[test]
    fn judged_queries_with_a_text_are_asked_and_the_others_are_told() {
        let found = gather(&["a", "b", "x"], None).unwrap();
        assert_eq!(found.texts.keys().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(found.qrels.queries().len(), 3, "one without a text counts 0");
        let kinds: Vec<FindingKind> = found.findings.iter().map(|finding| finding.kind).collect();
        assert_eq!(kinds, [FindingKind::JudgedQueryUnknown, FindingKind::JudgedDocumentUnknown]);
        assert_eq!(found.notes, ["1 of 3 queries are not asked: no judgements of them"]);
        assert_eq!(found.find_themselves(&HashSet::from(["b".to_owned()])), 1);
    }

    #[test]
    fn a_sample_is_the_same_again_and_says_so() {
        let one = gather(&["a", "b", "c"], Some(2)).unwrap();
        assert_eq!(one.texts.len(), 2);
        assert_eq!(one.texts, gather(&["a", "b", "c"], Some(2)).unwrap().texts);
        assert_eq!(one.notes[0], "2 of 3 judged queries, drawn at random with seed 0");
        assert_eq!(gather(&["a", "b", "c"], Some(9)).unwrap().texts.len(), 3);
    }

    #[test]
    fn queries_of_other_judgements_are_an_error() {
        let error = gather(&["x"], None).unwrap_err().to_string();
        assert!(error.contains("judges is `a`, the first of the queries is `x`"), "{error}");
    }
}

//! What battles are about: queries, documents, and which documents stand for which query.

use super::Pair;
use crate::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashSet};

/// Queries, documents and candidates of a tournament.
#[derive(Debug, Clone)]
pub struct Arena {
    queries: BTreeMap<String, String>,
    documents: BTreeMap<String, String>,
    candidates: BTreeMap<String, Vec<String>>,
    binding: Binding,
}

/// What a log of battles belongs to, as hashes (BLAKE3, hexadecimal).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Binding {
    /// Of the queries' ids and texts.
    pub queries: String,
    /// Of the documents' ids and texts.
    pub corpus: String,
    /// Of each query's candidates in their order.
    pub candidates: String,
}

impl Arena {
    /// Texts of queries and documents by id, and the ids of each query's candidates, best first.
    ///
    /// # Errors
    /// A candidate or a query of candidates that has no text, a document that stands twice for a query, no candidates at
    /// all.
    pub fn new(
        queries: BTreeMap<String, String>,
        documents: BTreeMap<String, String>,
        candidates: BTreeMap<String, Vec<String>>,
    ) -> Result<Self> {
        let refuse = |message: String| Err(Error::new(ErrorKind::Request, message));
        if candidates.is_empty() {
            return refuse("no query has candidates; give at least one".to_owned());
        }
        for (query, ranking) in &candidates {
            if !queries.contains_key(query) {
                return refuse(format!("query `{query}` has candidates, but no text; add it to the queries"));
            }
            let mut seen = HashSet::new();
            for document in ranking {
                if !documents.contains_key(document) {
                    return refuse(format!(
                        "candidate `{document}` of query `{query}` is not in the corpus; give the corpus that the candidates \
                         were retrieved from"
                    ));
                }
                if !seen.insert(document) {
                    return refuse(format!(
                        "candidate `{document}` stands twice for query `{query}`; keep one"
                    ));
                }
            }
        }
        let binding = Binding {
            queries: hash(queries.iter().map(|(id, text)| [id, text])),
            corpus: hash(documents.iter().map(|(id, text)| [id, text])),
            candidates: hash(candidates.iter().map(|(query, ranking)| std::iter::once(query).chain(ranking))),
        };
        Ok(Self { queries, documents, candidates, binding })
    }

    /// What a log of its battles is bound to.
    pub fn binding(&self) -> &Binding {
        &self.binding
    }

    /// Every query with its candidates, ascending by id; candidates best first.
    pub fn candidates(&self) -> impl ExactSizeIterator<Item = (&str, &[String])> {
        self.candidates.iter().map(|(query, ranking)| (query.as_str(), ranking.as_slice()))
    }

    /// The text of a query.
    pub fn query(&self, id: &str) -> Option<&str> {
        self.queries.get(id).map(String::as_str)
    }

    /// The text of a document.
    pub fn document(&self, id: &str) -> Option<&str> {
        self.documents.get(id).map(String::as_str)
    }

    /// The texts of a pair: a's query, b's query, a, b.
    ///
    /// # Errors
    /// One of them has none here.
    pub fn texts(&self, pair: &Pair) -> Result<[&str; 4]> {
        let missing = |what: &str, id: &str| {
            Error::new(
                ErrorKind::Request,
                format!("{what} `{id}` has no text here; draw pairs from this arena"),
            )
        };
        let query = |id: &str| self.query(id).ok_or_else(|| missing("query", id));
        let document = |id: &str| self.document(id).ok_or_else(|| missing("document", id));
        Ok([query(&pair.query)?, query(pair.query_of_b())?, document(&pair.a)?, document(&pair.b)?])
    }
}

/// Over groups of texts; every text and every group is delimited, so that no two inputs run together.
fn hash<'a, G: IntoIterator<Item = &'a String>>(groups: impl Iterator<Item = G>) -> String {
    let mut hasher = blake3::Hasher::new();
    for group in groups {
        for text in group {
            hasher.update(&(text.len() as u64).to_le_bytes());
            hasher.update(text.as_bytes());
        }
        hasher.update(&u64::MAX.to_le_bytes());
    }
    hasher.finalize().to_hex().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(texts: &[(&str, &str)]) -> BTreeMap<String, String> {
        texts.iter().map(|&(id, text)| (id.to_owned(), text.to_owned())).collect()
    }

    fn candidates(ranking: &[&str]) -> BTreeMap<String, Vec<String>> {
        [("q".to_owned(), ranking.iter().map(|&id| id.to_owned()).collect())].into()
    }

    #[test]
    fn the_binding_changes_with_what_changed() {
        let of = |query: &str, document: &str, ranking: &[&str]| {
            let documents = texts(&[("a", document), ("b", "")]);
            Arena::new(texts(&[("q", query)]), documents, candidates(ranking)).unwrap().binding().clone()
        };
        let first = of("x", "y", &["a", "b"]);
        assert_eq!(first, of("x", "y", &["a", "b"]));
        assert_eq!(
            Binding { queries: of("z", "y", &["a", "b"]).queries, ..first.clone() },
            of("z", "y", &["a", "b"])
        );
        assert_ne!(first.corpus, of("x", "z", &["a", "b"]).corpus);
        assert_eq!(first.corpus, of("x", "y", &["b", "a"]).corpus);
        assert_ne!(first.candidates, of("x", "y", &["b", "a"]).candidates);
    }

    #[test]
    fn what_has_no_text_is_named() {
        let documents = || texts(&[("a", "y")]);
        for (queries, ranking, expected) in [
            (texts(&[("q", "x")]), vec!["a", "c"], "candidate `c` of query `q` is not in the corpus"),
            (texts(&[("p", "x")]), vec!["a"], "query `q` has candidates, but no text"),
            (texts(&[("q", "x")]), vec!["a", "a"], "candidate `a` stands twice for query `q`"),
        ] {
            let error = Arena::new(queries, documents(), candidates(&ranking)).unwrap_err();
            assert!(error.to_string().starts_with(expected), "{error}");
        }
        let error = Arena::new(texts(&[]), documents(), BTreeMap::new()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Request);
    }
}

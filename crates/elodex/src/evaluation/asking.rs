//! One query of one system: the same call that users make.

use super::places::Place;
use super::systems::{Lists, System};
use crate::library::Library;
use anyhow::Context as _;
use elodex_eval::{Run, Scored};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What is the same for every system.
#[derive(Debug, Clone)]
pub(crate) struct Conditions {
    /// Candidates of each first-stage list.
    pub(crate) depth: usize,
    /// What is ranked.
    pub(crate) unit: Ranked,
    /// Results that are looked at.
    pub(crate) results: usize,
    /// Queries that have the id of a document, which is left out of their results.
    pub(crate) own_documents: usize,
    /// Whether every vector is compared instead of asking the graph.
    pub(crate) exact: bool,
    /// The reranker of second stages that name none.
    pub(crate) reranker: Option<String>,
    /// Queries under way at once.
    pub(crate) concurrency: usize,
}

impl Conditions {
    /// The first `depth` documents, one query at a time; `own_documents` queries have the id of a document.
    pub(crate) fn of_documents(depth: usize, own_documents: usize) -> Self {
        Self {
            depth,
            unit: Ranked::Documents,
            results: depth + usize::from(own_documents > 0),
            own_documents,
            exact: false,
            reranker: None,
            concurrency: 1,
        }
    }
}

/// What is ranked, and by what name it stands in a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ranked {
    /// Documents, by their paths.
    Documents,
    /// Their chunks, by [`chunk_id`].
    Chunks,
}

/// The name of a chunk: its document's path and where it lies there, in code points. Runs part their columns at white
/// space, which is written as in addresses.
pub(crate) fn chunk_id(path: &str, start: usize, end: usize) -> String {
    let mut id = String::with_capacity(path.len());
    for character in path.chars() {
        if character.is_whitespace() || character == '%' {
            let mut bytes = [0; 4];
            let encoded = character.encode_utf8(&mut bytes).bytes().map(|byte| format!("%{byte:02X}"));
            id.extend(encoded);
        } else {
            id.push(character);
        }
    }
    format!("{id}#{start}-{end}")
}

/// A result.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Hit {
    /// The name of what was found.
    pub(crate) document: String,
    /// Its score, of the stage that ordered it.
    pub(crate) score: f32,
    /// Its rank in the first stage, from 1.
    pub(crate) fused_rank: usize,
    /// Its score in the first stage.
    pub(crate) fused_score: f32,
    /// Its rank in the dense list.
    pub(crate) dense_rank: Option<usize>,
    /// Its rank in the BM25 list.
    pub(crate) lexical_rank: Option<usize>,
    /// The second stage's, where it saw it.
    pub(crate) logit: Option<f32>,
}

/// Milliseconds by stage.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
pub(crate) struct Times {
    pub(crate) embed: f64,
    pub(crate) dense: f64,
    pub(crate) lexical: f64,
    pub(crate) fuse: f64,
    pub(crate) rerank: f64,
    pub(crate) total: f64,
}

/// What an answer took.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Effort {
    pub(crate) times: Times,
    /// Read by both models.
    pub(crate) tokens: u64,
    /// Candidates that the second stage scored.
    pub(crate) pairs: usize,
}

/// An answer, best first.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Answer {
    pub(crate) hits: Vec<Hit>,
    pub(crate) effort: Effort,
    /// The reranker that ran.
    pub(crate) reranker: Option<String>,
    /// Why the second stage did not do all that was asked of it: then users get the order that it left, too.
    pub(crate) unranked: Option<String>,
}

/// Asks a query.
pub(crate) fn ask(
    library: &dyn Library,
    place: &Place,
    system: &System,
    conditions: &Conditions,
    text: &str,
) -> anyhow::Result<Answer> {
    let rerank = system.second.as_ref().map(|second| {
        json!({ "model": second.model.as_ref().or(conditions.reranker.as_ref()), "depth": second.depth })
    });
    let unit = match conditions.unit {
        Ranked::Documents => "documents",
        Ranked::Chunks => "chunks",
    };
    let mut body = json!({
        "collection": place.collection, "query": text, "unit": unit, "k": conditions.results,
        "depth": conditions.depth, "exact": conditions.exact, "rerank": rerank.unwrap_or(json!(false)),
        "include_content": false, "explain": true,
    });
    match system.first.lists {
        Lists::Bm25 => body["list"] = json!("lexical"),
        Lists::Dense => body["list"] = json!("dense"),
        // Left out, the weights of the collection's policy hold, else its own.
        Lists::Hybrid(None) => {}
        Lists::Hybrid(Some(weights)) => body["weights"] = json!(weights),
    }
    read(&library.call("/v1/search", &body)?, conditions.unit, system.second.is_some())
}

fn read(answer: &Value, unit: Ranked, reranked: bool) -> anyhow::Result<Answer> {
    let status = &answer["rerank_status"];
    let unranked = (reranked && status["status"] != "full").then(|| {
        let word = |field: &str, otherwise: &str| status[field].as_str().unwrap_or(otherwise).to_owned();
        format!("{}: {}", word("status", "no status"), word("reason", "no reason given"))
    });
    let results = answer["results"].as_array().context("the answer has no results")?;
    let hits = results.iter().map(|result| hit(result, unit)).collect::<Option<Vec<Hit>>>();
    let hits = hits.context("a result has no path or no explanation; is the server of this release?")?;
    let times = Times::deserialize(&answer["timings_ms"]).context("the answer has no timings")?;
    let tokens = answer["usage"]["tokens"].as_u64().unwrap_or_default();
    let pairs = hits.iter().filter(|hit| hit.logit.is_some()).count();
    let reranker = answer["reranker"].as_str().map(str::to_owned);
    Ok(Answer { hits, effort: Effort { times, tokens, pairs }, reranker, unranked })
}

fn hit(result: &Value, unit: Ranked) -> Option<Hit> {
    let explanation = &result["explanation"];
    let path = result["path"].as_str()?;
    let index = |field: &str| usize::try_from(result[field].as_u64()?).ok();
    let rank = |list: &str| usize::try_from(explanation[list]["rank"].as_u64()?).ok();
    Some(Hit {
        document: match unit {
            Ranked::Documents => path.to_owned(),
            Ranked::Chunks => chunk_id(path, index("start_index")?, index("end_index")?),
        },
        score: result["score"].as_f64()? as f32,
        fused_rank: rank("fused")?,
        fused_score: explanation["fused"]["score"].as_f64()? as f32,
        dense_rank: rank("dense"),
        lexical_rank: rank("lexical"),
        logit: explanation["logit"].as_f64().map(|logit| logit as f32),
    })
}

/// The answer that a second stage of `depth` candidates gives, from one that saw more. Scores do not depend on what else
/// is scored, so nothing is run again. Only where a document is one candidate: else it is not known which of its chunks
/// would have been seen.
pub(crate) fn at_depth(hits: &[Hit], depth: usize) -> Vec<Hit> {
    let (mut seen, mut behind): (Vec<Hit>, Vec<Hit>) =
        hits.iter().cloned().partition(|hit| hit.fused_rank <= depth);
    let logit = |hit: &Hit| hit.logit.unwrap_or(f32::NEG_INFINITY);
    seen.sort_by(|one, other| {
        logit(other).total_cmp(&logit(one)).then_with(|| one.fused_rank.cmp(&other.fused_rank))
    });
    behind.sort_by_key(|hit| hit.fused_rank);
    for hit in &mut behind {
        (hit.score, hit.logit) = (hit.fused_score, None);
    }
    seen.append(&mut behind);
    seen
}

/// Rankings as a run under `name`, without documents that are their own query. Where only a first stage ordered, scores
/// are its own, else they count ranks: the scales of both stages have nothing in common.
pub(crate) fn run(name: &str, answers: &BTreeMap<String, Vec<Hit>>) -> anyhow::Result<Run> {
    let mut run = Run::new(name);
    for (query, hits) in answers {
        if hits.iter().any(|hit| hit.logit.is_some()) {
            run.insert_order(query, hits.iter().map(|hit| hit.document.as_str()))?;
        } else {
            run.insert(query, by_first_stage(hits.iter()))?;
        }
    }
    Ok(run.without_self_matches())
}

/// Documents with the first stage's scores in its order: of equal scores each is made the least bit smaller than the one
/// before, since runs order equal ones by their names.
pub(crate) fn by_first_stage<'a>(hits: impl Iterator<Item = &'a Hit>) -> Vec<Scored> {
    let mut ranked: Vec<&Hit> = hits.collect();
    ranked.sort_by_key(|hit| hit.fused_rank);
    let mut least = f32::MAX;
    let scored = ranked.into_iter().map(|hit| {
        least = hit.fused_score.min(least.next_down());
        Scored { document: hit.document.clone(), score: least }
    });
    scored.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hit(document: &str, fused_rank: usize, logit: Option<f32>) -> Hit {
        let fused_score = 1.0 / fused_rank as f32;
        let score = logit.unwrap_or(fused_score);
        let (dense_rank, lexical_rank) = (Some(fused_rank), None);
        Hit { document: document.to_owned(), score, fused_rank, fused_score, dense_rank, lexical_rank, logit }
    }

    fn names(hits: &[Hit]) -> Vec<&str> {
        hits.iter().map(|hit| hit.document.as_str()).collect()
    }

    #[test]
    fn a_shallower_second_stage_is_contained_in_a_deeper_one() {
        let deep = [
            hit("d", 4, Some(3.0)),
            hit("b", 2, Some(2.0)),
            hit("c", 3, Some(2.0)),
            hit("a", 1, Some(-1.0)),
            hit("e", 5, None),
        ];
        assert_eq!(names(&at_depth(&deep, 4)), ["d", "b", "c", "a", "e"]);
        let shallow = at_depth(&deep, 2);
        assert_eq!(names(&shallow), ["b", "a", "c", "d", "e"]);
        assert_eq!(shallow.iter().filter(|hit| hit.logit.is_some()).count(), 2);
        assert_eq!(names(&at_depth(&deep, 1)), ["a", "b", "c", "d", "e"]);
    }

    #[test]
    fn runs_keep_the_order_that_was_served() {
        let mut tied = vec![hit("a", 1, None), hit("b", 2, None), hit("q", 3, None)];
        tied.iter_mut().for_each(|hit| hit.fused_score = 0.5);
        let answers = BTreeMap::from([("q".to_owned(), tied)]);
        let served = run("bm25", &answers).unwrap();
        assert_eq!(served.order("q"), ["a", "b"], "and its own document is left out");
        assert_eq!(served.results("q").unwrap()[0].score, 0.5);
        let answers =
            BTreeMap::from([("p".to_owned(), vec![hit("b", 2, Some(1.0)), hit("a", 1, Some(0.5))])]);
        assert_eq!(run("reranked", &answers).unwrap().order("p"), ["b", "a"]);
    }

    #[test]
    fn an_answer_that_was_not_reranked_as_asked_says_so() {
        let times = json!({"embed": 1, "dense": 1, "lexical": 1, "fuse": 1, "rerank": 1, "total": 5});
        let answer = |status: &str| {
            json!({
                "results": [{"path": "a", "score": 0.9, "explanation": {"fused": {"rank": 1, "score": 0.1}, "logit": 2.0}}],
                "rerank_status": {"status": status, "reason": "out of time"}, "timings_ms": times,
                "usage": {"tokens": 7},
            })
        };
        let read = |status, reranked| super::read(&answer(status), Ranked::Documents, reranked);
        let whole = read("full", true).unwrap();
        assert_eq!((whole.effort.tokens, whole.effort.pairs), (7, 1));
        assert_eq!(whole.unranked, None);
        assert_eq!(read("skipped", false).unwrap().unranked, None);
        assert_eq!(read("partial", true).unwrap().unranked.as_deref(), Some("partial: out of time"));
    }
}

//! What each list and each stage makes of a query, chunk by chunk.

use super::passage::Passage;
use crate::library::Library;
use anyhow::{Context as _, bail};
use elodex_eval::fusion::RRF_K;
use elodex_types::Weights;
use serde_json::{Value, json};
use std::collections::{HashMap, HashSet};

/// Candidates of a list that are looked at to see how deep an answer lies.
pub(crate) const DEEPEST: usize = 1000;

/// A chunk: its document and the characters it has of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Chunk {
    pub(crate) document: String,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// What should be found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) document: String,
    /// The chunks that have it; `None`: any chunk of the document.
    pub(crate) chunks: Option<HashSet<Chunk>>,
}

impl Answer {
    /// Its rank in an order of chunks, from 1: among documents where the document answers, else among chunks.
    pub(crate) fn rank(&self, order: &[Chunk]) -> Option<usize> {
        match &self.chunks {
            Some(chunks) => Some(order.iter().position(|chunk| chunks.contains(chunk))? + 1),
            None => {
                let place = order.iter().position(|chunk| chunk.document == self.document)?;
                let before: HashSet<&str> =
                    order[..place].iter().map(|chunk| chunk.document.as_str()).collect();
                Some(before.len() + 1)
            }
        }
    }
}

/// How candidates are ordered.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Setup {
    pub(crate) weights: Weights,
    /// Candidates of each list.
    pub(crate) depth: usize,
    /// Candidates that are reranked.
    pub(crate) rerank: Option<usize>,
}

/// A query's lists, from which the order of every setup follows.
#[derive(Debug, Clone, Default)]
pub(crate) struct Lists {
    pub(crate) dense: Vec<Chunk>,
    pub(crate) lexical: Vec<Chunk>,
    /// As it was served, before any second stage.
    pub(crate) fused: Vec<Chunk>,
    /// The second stage's, of every candidate of both lists at the usual depth.
    pub(crate) logits: HashMap<Chunk, f32>,
    /// Of everything that was found.
    pub(crate) texts: HashMap<Chunk, String>,
}

/// Where and how is searched.
#[derive(Clone, Copy)]
pub(crate) struct Searching<'a> {
    pub(crate) library: &'a dyn Library,
    pub(crate) collection: &'a str,
    /// Candidates of each list.
    pub(crate) depth: usize,
    /// `None`: there is no second stage.
    pub(crate) rerank: Option<Option<&'a str>>,
}

impl Searching<'_> {
    /// Asks each list, both together, and the second stage.
    pub(crate) fn lists(&self, query: &str) -> anyhow::Result<Lists> {
        let mut lists = Lists::default();
        lists.dense = self.chunks(query, "dense", &mut lists.texts)?;
        lists.lexical = self.chunks(query, "lexical", &mut lists.texts)?;
        let everything = 2 * self.depth;
        let served = self.ask(query, json!({ "k": everything, "depth": self.depth, "rerank": false }))?;
        lists.fused = found(&served)?.into_iter().map(|(chunk, _)| chunk).collect();
        if let Some(model) = self.rerank {
            // Whatever weights leave out of what is served, a change of them may bring in.
            let answer = self.ask(
                query,
                json!({
                    "k": everything, "depth": self.depth, "weights": Weights::default(),
                    "rerank": { "model": model, "depth": everything },
                }),
            )?;
            let status = &answer["rerank_status"];
            if status["status"] != "full" {
                bail!(
                    "the second stage was {}: {}",
                    status["status"].as_str().unwrap_or("silent"),
                    status["reason"].as_str().unwrap_or("no reason given")
                );
            }
            for (chunk, result) in found(&answer)? {
                let logit = result["explanation"]["logit"].as_f64();
                lists.logits.insert(chunk, logit.context("a result has no explanation")? as f32);
            }
        }
        Ok(lists)
    }

    /// The chunks that hold the answer, and whether it is split over several. Every chunk that the lists have, and those
    /// that its own words find, are looked at.
    pub(crate) fn locate(
        &self,
        document: &str,
        passage: &Passage,
        text: Option<&str>,
        lists: &mut Lists,
    ) -> anyhow::Result<Located> {
        let (Passage::Span(span), Some(text)) = (passage, text) else {
            return Ok(Located { answer: Answer { document: document.to_owned(), chunks: None }, pieces: 1 });
        };
        for list in ["lexical", "dense"] {
            self.chunks(text, list, &mut lists.texts)?;
        }
        let of_document = || lists.texts.keys().filter(|chunk| chunk.document == document);
        let whole: HashSet<Chunk> = of_document()
            .filter(|chunk| chunk.start <= span.start && span.end <= chunk.end)
            .cloned()
            .collect();
        let pieces: HashSet<Chunk> =
            of_document().filter(|chunk| chunk.start < span.end && span.start < chunk.end).cloned().collect();
        let (chunks, pieces) = if whole.is_empty() { (pieces.clone(), pieces.len()) } else { (whole, 1) };
        Ok(Located { answer: Answer { document: document.to_owned(), chunks: Some(chunks) }, pieces })
    }

    fn chunks(
        &self,
        query: &str,
        list: &str,
        texts: &mut HashMap<Chunk, String>,
    ) -> anyhow::Result<Vec<Chunk>> {
        let answer =
            self.ask(query, json!({ "k": DEEPEST, "depth": DEEPEST, "list": list, "rerank": false }))?;
        let mut chunks = Vec::new();
        for (chunk, result) in found(&answer)? {
            texts.insert(chunk.clone(), result["content"].as_str().unwrap_or_default().to_owned());
            chunks.push(chunk);
        }
        Ok(chunks)
    }

    fn ask(&self, query: &str, mut body: Value) -> anyhow::Result<Value> {
        body["collection"] = json!(self.collection);
        body["query"] = json!(query);
        body["unit"] = json!("chunks");
        body["explain"] = json!(true);
        self.library.call("/v1/search", &body)
    }
}

/// Where an answer is in the index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Located {
    pub(crate) answer: Answer,
    /// Over how many chunks it is split; 1: not at all, 0: no chunk with it was found.
    pub(crate) pieces: usize,
}

fn found(answer: &Value) -> anyhow::Result<Vec<(Chunk, &Value)>> {
    let results = answer["results"].as_array().context("the answer has no results")?;
    let number = |value: &Value| value.as_u64().and_then(|number| usize::try_from(number).ok());
    let chunk = |result: &Value| {
        let (start, end) = (number(&result["start_index"])?, number(&result["end_index"])?);
        Some(Chunk { document: result["path"].as_str()?.to_owned(), start, end })
    };
    let pairs = results.iter().map(|result| Some((chunk(result)?, result))).collect::<Option<Vec<_>>>();
    pairs.context("a result has no path or no place in its document")
}

impl Lists {
    /// The order of a setup. Equal scores go by the best rank in a list, then as they were served.
    pub(crate) fn order(&self, setup: &Setup) -> Vec<Chunk> {
        let served: HashMap<&Chunk, usize> =
            self.fused.iter().enumerate().map(|(place, chunk)| (chunk, place)).collect();
        let mut scores: HashMap<&Chunk, (f64, usize)> = HashMap::new();
        for (list, weight) in [(&self.dense, setup.weights.dense), (&self.lexical, setup.weights.lexical)] {
            if weight == 0.0 {
                continue;
            }
            for (place, chunk) in list.iter().take(setup.depth).enumerate() {
                let (score, best) = scores.entry(chunk).or_insert((0.0, usize::MAX));
                *score += f64::from(weight) / (RRF_K + (place + 1) as f64);
                *best = (*best).min(place);
            }
        }
        let place = |chunk: &Chunk| served.get(chunk).copied().unwrap_or(usize::MAX);
        let mut order: Vec<(&Chunk, (f64, usize))> = scores.into_iter().collect();
        order.sort_by(|(one, (score, best)), (other, (other_score, other_best))| {
            other_score
                .total_cmp(score)
                .then_with(|| best.cmp(other_best))
                .then_with(|| place(one).cmp(&place(other)))
                .then_with(|| (&one.document, one.start).cmp(&(&other.document, other.start)))
        });
        let mut order: Vec<Chunk> = order.into_iter().map(|(chunk, _)| chunk.clone()).collect();
        if let Some(depth) = setup.rerank {
            let seen = depth.min(order.len());
            let logit = |chunk: &Chunk| self.logits.get(chunk).copied().unwrap_or(f32::NEG_INFINITY);
            order[..seen].sort_by(|one, other| logit(other).total_cmp(&logit(one)));
        }
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(document: &str, start: usize) -> Chunk {
        Chunk { document: document.to_owned(), start, end: start + 10 }
    }

    #[test]
    fn ranks_count_documents_or_chunks() {
        let order = [chunk("a", 0), chunk("a", 10), chunk("b", 0), chunk("b", 10)];
        let any = Answer { document: "b".to_owned(), chunks: None };
        assert_eq!(any.rank(&order), Some(2));
        let second = Answer { document: "b".to_owned(), chunks: Some(HashSet::from([chunk("b", 10)])) };
        assert_eq!(second.rank(&order), Some(4));
        assert_eq!(Answer { document: "c".to_owned(), chunks: None }.rank(&order), None);
    }

    #[test]
    fn setups_order_candidates_as_searches_do() {
        let lists = Lists {
            dense: vec![chunk("a", 0), chunk("b", 0), chunk("c", 0)],
            lexical: vec![chunk("c", 0), chunk("d", 0)],
            fused: vec![chunk("c", 0), chunk("a", 0), chunk("d", 0), chunk("b", 0)],
            logits: HashMap::from([(chunk("b", 0), 2.0), (chunk("c", 0), 1.0), (chunk("a", 0), -1.0)]),
            texts: HashMap::new(),
        };
        let names = |dense, lexical, depth, rerank| {
            let setup = Setup { weights: Weights { dense, lexical }, depth, rerank };
            lists.order(&setup).iter().map(|chunk| chunk.document.clone()).collect::<String>()
        };
        assert_eq!(names(1.0, 1.0, 100, None), "cadb", "b and d are tied, and stay as they were served");
        assert_eq!(names(1.0, 0.0, 100, None), "abc");
        assert_eq!(names(1.0, 1.0, 1, None), "ca");
        assert_eq!(names(1.0, 0.0, 100, Some(2)), "bac");
        assert_eq!(names(1.0, 0.0, 100, Some(9)), "bca");
    }
}

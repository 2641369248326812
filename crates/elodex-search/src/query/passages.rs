//! The best fine passage of each chunk: by the reranker where there is one, else by the query's words.

use super::candidate::Candidate;
use super::rerank::{Outcome, Reranking, Scored, sum};
use crate::lexical::{analyzer_of, chunk_text};
use crate::{Error, ErrorKind, Result};
use elodex_store::{LiveChunk, Passage};
use elodex_types::{RerankStatus, Score};
use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};

/// Passages that a reranker reads for one request.
const MOST_PAIRS: usize = 512;

/// A chunk's best passage.
#[derive(Debug)]
pub(super) struct Chosen {
    pub(super) candidate: Candidate,
    pub(super) passage: Passage,
    pub(super) score: Score,
}

/// A chunk's passages; the whole chunk where it has none.
fn passages_of(live: &LiveChunk) -> Vec<Passage> {
    if live.chunk.passages.is_empty() {
        return vec![Passage { bytes: live.chunk.bytes.clone(), chars: live.chunk.chars.clone() }];
    }
    live.chunk.passages.clone()
}

/// A passage's text, out of its chunk's.
pub(super) fn text_of<'a>(live: &'a LiveChunk, passage: &Passage) -> Result<&'a str> {
    let start = live.chunk.bytes.start;
    let range = passage.bytes.start.checked_sub(start).zip(passage.bytes.end.checked_sub(start));
    range.and_then(|(from, to)| live.text.get(from..to)).ok_or_else(|| {
        let message = format!("a passage of `{:.200}` lies outside its chunk", live.document.path);
        Error::new(ErrorKind::Bug, message)
    })
}

/// For each candidate the passage that shares the most of the query's words, each weighed by `ln(1 + N / n)` where `n` of
/// the `N` passages compared have it; the first of equals.
pub(super) fn by_words(candidates: Vec<Candidate>, query: &str) -> Result<Vec<Chosen>> {
    let mut wanted: HashMap<Option<String>, HashSet<String>> = HashMap::new();
    let mut shared: Vec<Vec<HashSet<String>>> = Vec::with_capacity(candidates.len());
    for Candidate { live, .. } in &candidates {
        let language = live.document.parsed.as_ref().and_then(|parsed| parsed.language.clone());
        let analyzer = analyzer_of(language.as_deref());
        let wanted = wanted.entry(language).or_insert_with(|| analyzer.terms(query).into_iter().collect());
        let words = |passage: &Passage| {
            let terms = analyzer.terms(text_of(live, passage)?);
            Ok(terms.into_iter().filter(|term| wanted.contains(term)).collect())
        };
        shared.push(passages_of(live).iter().map(words).collect::<Result<_>>()?);
    }
    let mut holders: HashMap<&str, usize> = HashMap::new();
    for word in shared.iter().flatten().flatten() {
        *holders.entry(word).or_default() += 1;
    }
    let total = shared.iter().map(Vec::len).sum::<usize>() as f64;
    let weight = |word: &String| (1.0 + total / holders.get(word.as_str()).map_or(1.0, |&n| n as f64)).ln();
    let best: Vec<usize> = shared
        .iter()
        .map(|passages| {
            let weights = passages.iter().map(|words| {
                // Sets have no order, and sums of floats do.
                let mut weights: Vec<f64> = words.iter().map(weight).collect();
                weights.sort_by(f64::total_cmp);
                weights.iter().sum()
            });
            first_best(weights, f64::total_cmp)
        })
        .collect();
    Ok(candidates.into_iter().zip(best).map(|(candidate, best)| chosen(candidate, best, None)).collect())
}

/// For each candidate the passage that the reranker likes best, ordered by that; its score is the passage's. Of
/// candidates that the reranker has not seen, or has no time or room for, the passage is chosen [by words](by_words), and
/// they stand behind.
pub(super) fn by_reranker(
    candidates: Vec<Candidate>,
    reranking: &Reranking<'_>,
    second: &mut Outcome,
) -> Result<Vec<Chosen>> {
    let seen = candidates.iter().take_while(|candidate| candidate.second.is_some()).count();
    let mut texts: Vec<String> = Vec::new();
    let mut counts: Vec<usize> = Vec::new();
    for candidate in &candidates[..seen] {
        let passages = passages_of(&candidate.live);
        if texts.len() + passages.len() > MOST_PAIRS {
            break;
        }
        for passage in &passages {
            let content = text_of(&candidate.live, passage)?;
            texts.push(chunk_text(candidate.title(), &candidate.live.chunk.headings, content));
        }
        counts.push(passages.len());
    }
    let scores = reranking.score(&texts);
    second.usage = sum(second.usage, scores.usage);
    let mut waiting = candidates.into_iter();
    let mut compared: Vec<(f32, Chosen)> = Vec::new();
    let mut scored = scores.scored.as_slice();
    for &count in &counts {
        let Some((of_candidate, others)) = scored.split_at_checked(count) else { break };
        let Some(candidate) = waiting.next() else { break };
        scored = others;
        let best = first_best(of_candidate.iter().map(|scored| scored.logit), f32::total_cmp);
        let Scored { score, logit } = reranking.beside(of_candidate[best], &candidate);
        compared.push((logit, chosen(candidate, best, Some(score))));
    }
    let why = match scores.stopped {
        Some(error) => Some(error.report()),
        None if counts.len() < seen => {
            Some(format!("a search has {MOST_PAIRS} compared at most; ask for fewer results"))
        }
        None => None,
    };
    if let Some(why) = why {
        let reason = format!("the passages of {} of {seen} chunks: {why}", compared.len());
        second.status = RerankStatus::Partial { scored: compared.len(), reason };
    }
    compared.sort_by(|(one, _), (other, _)| other.total_cmp(one));
    let mut all: Vec<Chosen> = compared.into_iter().map(|(_, chosen)| chosen).collect();
    all.extend(by_words(waiting.collect(), reranking.query)?);
    Ok(all)
}

fn chosen(candidate: Candidate, best: usize, score: Option<Score>) -> Chosen {
    let passage = passages_of(&candidate.live).swap_remove(best);
    let score = score.unwrap_or_else(|| candidate.score());
    Chosen { candidate, passage, score }
}

/// The position of the largest value, the first of equals; 0 for none.
fn first_best<T: Copy>(values: impl Iterator<Item = T>, order: impl Fn(&T, &T) -> Ordering) -> usize {
    let mut best: Option<(usize, T)> = None;
    for (position, value) in values.enumerate() {
        if best.is_none_or(|(_, other)| order(&value, &other) == Ordering::Greater) {
            best = Some((position, value));
        }
    }
    best.map_or(0, |(position, _)| position)
}

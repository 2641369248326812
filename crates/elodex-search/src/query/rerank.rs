//! The second stage: a reranker scores the best candidates in slices, best first, so that what is scored when time runs
//! out is a prefix.

use super::Caller;
use super::candidate::{Candidate, Second};
use super::deadline::{Clock, too_late, wait};
use crate::lexical::chunk_text;
use crate::{Error, ErrorKind, error};
use elodex_engine::RerankService;
use elodex_eval::calibration::Calibration;
use elodex_types::{CallContext, RerankRequest, RerankStatus, Score, ScoreKind, TruncationPolicy, Usage};
use std::cmp::Ordering;
use std::time::Instant;

/// Texts of the first slice where there is a deadline.
const FIRST_SLICE: usize = 16;
/// Texts of a slice at most.
const SLICE: usize = 128;
/// Bytes of a slice's texts, about, the query with each.
const SLICE_BYTES: usize = 1 << 20;

/// A reranker at work for one request.
#[derive(Debug)]
pub(super) struct Reranking<'a> {
    pub(super) name: &'a str,
    pub(super) service: &'a RerankService,
    pub(super) query: &'a str,
    pub(super) caller: Caller<'a>,
    pub(super) clock: &'a Clock,
    /// What makes its logits probabilities; `None`: scores are the model's own.
    pub(super) calibration: Option<&'a Calibration>,
}

/// A text's score.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scored {
    pub(super) score: Score,
    pub(super) logit: f32,
}

/// The scores of a prefix of some texts.
#[derive(Debug, Default)]
pub(super) struct Scores {
    pub(super) scored: Vec<Scored>,
    pub(super) usage: Usage,
    /// Why it is not all of them.
    pub(super) stopped: Option<Error>,
}

impl Reranking<'_> {
    /// Scores texts in their order until all are scored, one is refused, or time runs out.
    pub(super) fn score(&self, texts: &[String]) -> Scores {
        let deadline = self.clock.reserved();
        let mut scores = Scores { scored: Vec::with_capacity(texts.len()), ..Scores::default() };
        let mut most = if deadline.is_some() { FIRST_SLICE } else { SLICE };
        while scores.scored.len() < texts.len() {
            let slice = self.slice(&texts[scores.scored.len()..], most);
            let started = Instant::now();
            if let Err(error) = self.score_slice(slice, deadline, &mut scores) {
                scores.stopped = Some(error);
                break;
            }
            // Larger slices pack better; smaller ones lose less when time runs out.
            let in_time = |deadline: Instant| {
                started.elapsed() * 8 < deadline.saturating_duration_since(Instant::now())
            };
            if deadline.is_none_or(in_time) {
                most = (2 * most).min(SLICE);
            }
        }
        scores
    }

    /// As many texts as make a slice: one at least, `most` at most.
    fn slice<'t>(&self, texts: &'t [String], most: usize) -> &'t [String] {
        let mut bytes = 0;
        let fits = |text: &&String| {
            bytes += text.len() + self.query.len();
            bytes <= SLICE_BYTES
        };
        let count = texts.iter().take(most).take_while(fits).count();
        &texts[..count.max(1)]
    }

    fn score_slice(
        &self,
        texts: &[String],
        deadline: Option<Instant>,
        scores: &mut Scores,
    ) -> Result<(), Error> {
        let request = RerankRequest {
            model: self.name.to_owned(),
            query: self.query.to_owned(),
            documents: texts.to_vec(),
            top_n: None,
            truncation: Some(TruncationPolicy::Passages),
            latency: self.caller.latency,
        };
        let context = CallContext { key: self.caller.context.key.clone(), deadline };
        let pending = self.service.submit(request, context).map_err(error::of)?;
        let answer = wait(pending, deadline).ok_or_else(|| too_late("reranking"))?.map_err(error::of)?;
        let mut slice: Vec<Option<Scored>> = vec![None; texts.len()];
        for ranked in answer.results {
            if let Some(place) = slice.get_mut(ranked.index) {
                *place = Some(Scored { score: ranked.score, logit: ranked.logit });
            }
        }
        let slice: Option<Vec<Scored>> = slice.into_iter().collect();
        let slice = slice.ok_or_else(|| Error::new(ErrorKind::Bug, "the reranker left out a text"))?;
        scores.scored.extend(slice);
        scores.usage = sum(scores.usage, answer.usage);
        Ok(())
    }

    /// A text's score together with what the first stage says of its candidate: the logit decides the order.
    pub(super) fn beside(&self, own: Scored, candidate: &Candidate) -> Scored {
        let first_stage = self.service.model().info().first_stage;
        let logit = own.logit + first_stage.map_or(0.0, |weights| candidate.standing.logit(weights));
        let score = match self.calibration {
            Some(calibration) => {
                let probability = calibration.probability(f64::from(logit)) as f32;
                Score { value: probability, kind: ScoreKind::Calibrated }
            }
            None if first_stage.is_none() => own.score,
            None => Score { value: 1.0 / (1.0 + (-logit).exp()), kind: ScoreKind::Relevance },
        };
        Scored { score, logit }
    }

    /// What scores mean where nothing was found to score.
    pub(super) fn kind(&self) -> ScoreKind {
        if self.calibration.is_some() { ScoreKind::Calibrated } else { ScoreKind::Relevance }
    }
}

/// What the second stage did.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) status: RerankStatus,
    pub(super) usage: Usage,
    /// What stopped it before anything was scored.
    pub(super) failure: Option<Error>,
}

impl Outcome {
    /// Nothing, for this reason.
    pub(super) fn none(reason: impl Into<String>) -> Self {
        let status = RerankStatus::Skipped { reason: reason.into() };
        Self { status, usage: Usage::default(), failure: None }
    }
}

/// Puts the first `depth` candidates into the reranker's order: highest logit first, since two logits may round to one
/// score; equal ones as they were. The others stay behind them.
pub(super) fn rerank(reranking: &Reranking<'_>, candidates: &mut [Candidate], depth: usize) -> Outcome {
    let seen = &candidates[..depth.min(candidates.len())];
    let texts: Vec<String> = seen
        .iter()
        .map(|candidate| chunk_text(candidate.title(), &candidate.live.chunk.headings, &candidate.live.text))
        .collect();
    let Scores { scored, usage, stopped } = reranking.score(&texts);
    for (candidate, &own) in candidates.iter_mut().zip(&scored) {
        let Scored { score, logit } = reranking.beside(own, candidate);
        candidate.second = Some(Second { rank: 0, score, logit });
    }
    let first = &mut candidates[..scored.len()];
    first.sort_by(|one, other| by_logit(other.second.as_ref(), one.second.as_ref()));
    for (position, candidate) in first.iter_mut().enumerate() {
        if let Some(second) = &mut candidate.second {
            second.rank = position + 1;
        }
    }
    match stopped {
        None => Outcome { status: RerankStatus::Full, usage, failure: None },
        Some(error) if scored.is_empty() => {
            tracing::warn!(reranker = reranking.name, error = error.report(), "a search was not reranked");
            let skipped = Outcome::none(error.report());
            Outcome { usage, failure: Some(error), ..skipped }
        }
        Some(error) => {
            let reason = format!("{} of {} candidates: {}", scored.len(), texts.len(), error.report());
            let status = RerankStatus::Partial { scored: scored.len(), reason };
            Outcome { status, usage, failure: None }
        }
    }
}

fn by_logit(one: Option<&Second>, other: Option<&Second>) -> Ordering {
    let logit = |second: Option<&Second>| second.map_or(f32::NEG_INFINITY, |second| second.logit);
    logit(one).total_cmp(&logit(other))
}

pub(super) fn sum(one: Usage, other: Usage) -> Usage {
    Usage { bytes: one.bytes + other.bytes, tokens: one.tokens + other.tokens }
}

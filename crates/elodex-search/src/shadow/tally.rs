//! What experiments count.

use super::compare::{Agreement, Ranking};
use super::report::{ArmReport, ShadowReport, SplitReport};
use super::series::Series;
use crate::Result;
use elodex_types::{Arm, RerankStatus, SearchResponse};
use std::time::Duration;

/// What an arm's queries became.
#[derive(Debug, Default)]
struct ArmTally {
    queries: u64,
    failed: u64,
    without_results: u64,
    reranked: u64,
    answer_ms: Series,
}

/// What a split found.
#[derive(Debug, Default)]
pub(super) struct SplitTally {
    control: ArmTally,
    treatment: ArmTally,
}

impl SplitTally {
    pub(super) fn count(&mut self, arm: Arm, outcome: &Result<SearchResponse>) {
        let tally = match arm {
            Arm::Control => &mut self.control,
            Arm::Treatment => &mut self.treatment,
        };
        tally.queries += 1;
        let Ok(response) = outcome else {
            tally.failed += 1;
            return;
        };
        tally.without_results += u64::from(response.hits.is_empty());
        tally.reranked += u64::from(!matches!(response.rerank, RerankStatus::Skipped { .. }));
        tally.answer_ms.add(milliseconds(response.timing.total));
    }

    pub(super) fn report(&self) -> SplitReport {
        let report = |tally: &ArmTally| ArmReport {
            queries: tally.queries,
            failed: tally.failed,
            without_results: tally.without_results,
            reranked: tally.reranked,
            answer_ms: tally.answer_ms.summary(),
        };
        SplitReport { control: report(&self.control), treatment: report(&self.treatment) }
    }
}

/// What a shadow found.
#[derive(Debug, Default)]
pub(super) struct ShadowTally {
    pub(super) queries: u64,
    pub(super) sampled: u64,
    compared: u64,
    failed: u64,
    last_failure: Option<String>,
    pub(super) queue_full: u64,
    pub(super) over_budget: u64,
    seconds: f64,
    overlap: Series,
    rank_biased_overlap: Series,
    score_shift: Series,
    answer_ms: Series,
    shadow_ms: Series,
}

impl ShadowTally {
    /// Counts a second answer that took `took`, and what it shares with the `given` one.
    pub(super) fn count(&mut self, given: &Ranking, second: Result<Ranking>, took: Duration) {
        self.seconds += took.as_secs_f64();
        let second = match second {
            Ok(second) => second,
            Err(error) => {
                self.failed += 1;
                self.last_failure = Some(error.report());
                return;
            }
        };
        self.compared += 1;
        let Agreement { overlap, rank_biased_overlap, score_shift } = given.compare(&second);
        self.overlap.add(overlap);
        self.rank_biased_overlap.add(rank_biased_overlap);
        score_shift.into_iter().for_each(|shift| self.score_shift.add(shift));
        self.answer_ms.add(milliseconds(given.took));
        self.shadow_ms.add(milliseconds(second.took));
    }

    pub(super) fn report(&self) -> ShadowReport {
        ShadowReport {
            queries: self.queries,
            sampled: self.sampled,
            compared: self.compared,
            failed: self.failed,
            last_failure: self.last_failure.clone(),
            queue_full: self.queue_full,
            over_budget: self.over_budget,
            seconds: self.seconds,
            overlap: self.overlap.summary(),
            rank_biased_overlap: self.rank_biased_overlap.summary(),
            score_shift: self.score_shift.summary(),
            answer_ms: self.answer_ms.summary(),
            shadow_ms: self.shadow_ms.summary(),
        }
    }
}

fn milliseconds(took: Duration) -> f64 {
    took.as_secs_f64() * 1_000.0
}

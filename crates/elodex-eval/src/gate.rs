//! Fitting when a second stage can be skipped, and how deep it needs to look.

use crate::cross_validation::{Chosen, CrossValidation, choose_held_out, mean_of};
use crate::evaluation::mean;
use crate::run::trec_order;
use crate::significance::{Comparison, compare_values};
use crate::{Error, ErrorKind, Measure, Objective, Result, Run, Scored};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// The candidate that the first one's lead is measured against.
pub const RIVAL: usize = 3;

/// When and how deep to rerank.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct GateSetting {
    /// The second stage is skipped where the first candidate's score leads the third's by at least this, on the first
    /// stage's scale; `None`: it never is.
    pub skip_margin: Option<f64>,
    /// How many of the first candidates are reranked otherwise.
    pub depth: usize,
}

impl GateSetting {
    /// Whether the second stage is skipped where the first candidate leads by `lead`, as [`lead`] gives it.
    pub fn skips(&self, lead: Option<f64>) -> bool {
        match (lead, self.skip_margin) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(lead), Some(least)) => lead >= least,
        }
    }
}

/// By how much the first of the candidates' scores, best first, leads the third, or the last of two; `None` where there
/// is nothing to rerank. No more than the first [`RIVAL`] scores are read.
pub fn lead(scores: impl IntoIterator<Item = f32>) -> Option<f64> {
    let mut scores = scores.into_iter().take(RIVAL).map(f64::from);
    let first = scores.next()?;
    scores.last().map(|rival| first - rival)
}

/// The settings a fit chooses from.
#[derive(Debug, Clone, PartialEq)]
pub struct GateGrid {
    /// The depths; the largest is today's, which savings and losses are counted from.
    pub depths: Vec<usize>,
    /// How many margins are tried: quantiles of the queries' own.
    pub margins: usize,
}

impl Default for GateGrid {
    fn default() -> Self {
        Self { depths: vec![5, 10, 20, 30, 50, 75, 100], margins: 20 }
    }
}

/// A fitted gate: what it saves and what it loses.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GateFit {
    /// What was fitted by.
    pub measure: Measure,
    /// Chosen on all queries.
    pub setting: GateSetting,
    /// Chosen without each fold.
    pub by_fold: Vec<GateSetting>,
    /// The mean loss that was to be tolerated.
    pub tolerated_loss: f64,
    /// The measure's mean without a second stage.
    pub first_stage: f64,
    /// Share of queries whose second stage is skipped, each gated without having been fitted on.
    pub skipped: f64,
    /// Share of scored pairs of query and document that is saved, likewise.
    pub saved: f64,
    /// Reranking everything against the gate, likewise; its `difference` is negative where the gate loses.
    pub held_out: Comparison,
}

impl GateFit {
    /// Whether the loss on queries that were not fitted stays within what is tolerated, with the interval's confidence.
    pub fn is_safe(&self) -> bool {
        self.held_out.difference.low >= -self.tolerated_loss
    }
}

/// Fits a gate: of the settings whose mean loss is at most `tolerated_loss`, the one that scores the fewest
/// pairs, and of equal ones the one that loses least.
///
/// `first` is the first stage's run with its scores; `second` has the reranker's scores for at least the deepest
/// first candidates of each query. Reranked candidates come first, by the second stage's score; the others follow in
/// the first stage's order. A query with fewer than three candidates has the margin to its last; with fewer than two,
/// nothing to rerank.
///
/// # Errors
/// A candidate that `second` lacks; no query of `first` judged; a grid without depths; a tolerated loss below 0; more
/// folds than queries.
pub fn fit_gate(
    objective: &Objective<'_>,
    first: &Run,
    second: &Run,
    grid: &GateGrid,
    tolerated_loss: f64,
    validation: &CrossValidation,
) -> Result<GateFit> {
    let Some(&deepest) = grid.depths.iter().max().filter(|_| !grid.depths.contains(&0)) else {
        return Err(Error::new(ErrorKind::Settings, "a gate needs depths to choose from, each at least 1"));
    };
    if !(tolerated_loss >= 0.0 && tolerated_loss.is_finite()) {
        return Err(Error::new(
            ErrorKind::Settings,
            format!("tolerated loss `{tolerated_loss}` is not a number of at least 0; use 0.005"),
        ));
    }
    let names = objective.protocol.counted(objective.qrels, &[first])?;
    let folds = validation.assign(names.len())?;
    let query = |name: &&str| Query::of(objective, first, second, name, &grid.depths);
    let queries: Vec<Query> = names.iter().map(query).collect::<Result<_>>()?;
    let settings = settings(&queries, grid, deepest);
    let outcomes: Vec<Vec<Outcome>> =
        settings.iter().map(|setting| queries.iter().map(|query| query.outcome(setting)).collect()).collect();
    let column = |pick: fn(&Outcome) -> f64| -> Vec<Vec<f64>> {
        outcomes.iter().map(|outcomes| outcomes.iter().map(pick).collect()).collect()
    };
    let (values, pairs) = (column(|outcome| outcome.value), column(|outcome| outcome.pairs));
    let Chosen { setting, by_fold, held_out } = choose_held_out(&folds, |seen| {
        let full = mean_of(&values[0], seen);
        let mut best = 0;
        for candidate in 1..settings.len() {
            let reached = mean_of(&values[candidate], seen);
            let cost = |setting: usize| mean_of(&pairs[setting], seen);
            let better = cost(candidate)
                .total_cmp(&cost(best))
                .then_with(|| mean_of(&values[best], seen).total_cmp(&reached));
            if full - reached <= tolerated_loss && better.is_lt() {
                best = candidate;
            }
        }
        best
    });
    let gated: Vec<Outcome> =
        held_out.iter().enumerate().map(|(query, &setting)| outcomes[setting][query]).collect();
    let gated_values: Vec<f64> = gated.iter().map(|outcome| outcome.value).collect();
    let scored: f64 = gated.iter().map(|outcome| outcome.pairs).sum();
    let all: f64 = pairs[0].iter().sum();
    Ok(GateFit {
        measure: objective.measure,
        setting: settings[setting],
        by_fold: by_fold.into_iter().map(|setting| settings[setting]).collect(),
        tolerated_loss,
        first_stage: mean(&queries.iter().map(|query| query.unranked).collect::<Vec<_>>()),
        skipped: gated.iter().filter(|outcome| outcome.pairs == 0.0).count() as f64 / gated.len() as f64,
        saved: if all == 0.0 { 0.0 } else { 1.0 - scored / all },
        held_out: compare_values(&values[0], &gated_values, &validation.bootstrap)?,
    })
}

/// What a setting makes of a query.
#[derive(Debug, Clone, Copy)]
struct Outcome {
    value: f64,
    /// How many pairs the second stage scores.
    pairs: f64,
}

/// A query, with the measure for everything that can be done with it.
struct Query {
    /// `None`: nothing to rerank.
    margin: Option<f64>,
    candidates: usize,
    /// The first stage's value.
    unranked: f64,
    /// The value of reranking to a depth.
    reranked: Vec<(usize, f64)>,
}

impl Query {
    fn of(
        objective: &Objective<'_>,
        first: &Run,
        second: &Run,
        name: &str,
        depths: &[usize],
    ) -> Result<Self> {
        let deepest = depths.iter().copied().max().unwrap_or_default();
        let candidates = first.results(name).unwrap_or_default();
        let rescored: HashMap<&str, f32> = second
            .results(name)
            .unwrap_or_default()
            .iter()
            .map(|scored| (scored.document.as_str(), scored.score))
            .collect();
        let mut scores = Vec::new();
        for Scored { document, .. } in candidates.iter().take(deepest) {
            let Some(&score) = rescored.get(document.as_str()) else {
                return Err(Error::new(
                    ErrorKind::Mismatch,
                    format!(
                        "run `{}` has no score for document `{document}` of query `{name}`, one of the first \
                         {deepest} of `{}`; rerank to that depth",
                        second.tag(),
                        first.tag()
                    ),
                ));
            };
            scores.push((score, document.as_str()));
        }
        let order = first.order(name);
        let reranked = |&depth: &usize| {
            let depth_here = depth.min(scores.len());
            let mut head = scores[..depth_here].to_vec();
            head.sort_by(|one, other| trec_order(*one, *other));
            let mut order = order.clone();
            for (place, (_, document)) in order.iter_mut().zip(head) {
                *place = document;
            }
            (depth, objective.value(name, &order))
        };
        Ok(Self {
            margin: lead(candidates.iter().map(|candidate| candidate.score)),
            candidates: candidates.len(),
            unranked: objective.value(name, &order),
            reranked: depths.iter().map(reranked).collect(),
        })
    }

    fn outcome(&self, setting: &GateSetting) -> Outcome {
        let skips = setting.skips(self.margin);
        let reranked = self.reranked.iter().find(|(depth, _)| *depth == setting.depth).filter(|_| !skips);
        match reranked {
            Some(&(depth, value)) => Outcome { value, pairs: depth.min(self.candidates) as f64 },
            None => Outcome { value: self.unranked, pairs: 0.0 },
        }
    }
}

/// Every pair of depth and margin, today's way first.
fn settings(queries: &[Query], grid: &GateGrid, deepest: usize) -> Vec<GateSetting> {
    let mut seen: Vec<f64> = queries.iter().filter_map(|query| query.margin).collect();
    seen.sort_by(f64::total_cmp);
    let mut margins = vec![None];
    for step in 0..grid.margins.min(seen.len()) {
        let margin = Some(seen[step * seen.len() / grid.margins.min(seen.len())]);
        if !margins.contains(&margin) {
            margins.push(margin);
        }
    }
    let mut depths = grid.depths.clone();
    depths.sort_unstable_by(|one, other| other.cmp(one));
    depths.dedup();
    let mut settings = vec![GateSetting { skip_margin: None, depth: deepest }];
    for skip_margin in margins {
        settings.extend(depths.iter().map(|&depth| GateSetting { skip_margin, depth }));
    }
    settings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Qrels;
    use fastrand::Rng;
    use proptest::prelude::*;

    const DEPTH: usize = 20;

    /// 100 queries of 20 candidates. The planted rule: where the first leads the third by 1 or more it is the
    /// relevant one, otherwise the relevant one lies elsewhere among the first `reach`. The second stage always finds
    /// it.
    fn planted(easy: usize, reach: usize, seed: u64) -> (Qrels, Run, Run) {
        let mut random = Rng::with_seed(seed);
        let (mut first, mut second) = (Run::new("first"), Run::new("second"));
        let mut judgements = Vec::new();
        for query in 0..100 {
            let name = format!("q{query:03}");
            let is_easy = query < easy;
            let lead = if is_easy { 1.0 + random.f32() } else { 0.9 * random.f32() };
            let relevant = if is_easy { 0 } else { 1 + random.usize(..reach - 1) };
            let scored = |score: &dyn Fn(usize) -> f32| {
                (0..DEPTH).map(|at| Scored { document: format!("d{at:02}"), score: score(at) }).collect()
            };
            first
                .insert(
                    &name,
                    scored(&|at| {
                        if at == 0 { 10.0 + lead } else { 10.0 - at.saturating_sub(2) as f32 / 100.0 }
                    }),
                )
                .unwrap();
            second.insert(&name, scored(&|at| if at == relevant { 5.0 } else { -(at as f32) })).unwrap();
            judgements.push((name, format!("d{relevant:02}")));
        }
        let rows = judgements.iter().map(|(query, document)| (query.as_str(), document.as_str(), 1));
        (Qrels::from_judgements(rows).unwrap(), first, second)
    }

    fn fitted(planted: &(Qrels, Run, Run), tolerated_loss: f64) -> GateFit {
        let (qrels, first, second) = planted;
        let grid = GateGrid { depths: vec![2, 5, 10, 20], margins: 100 };
        let objective = Objective::new(qrels, Measure::MRR_10);
        fit_gate(&objective, first, second, &grid, tolerated_loss, &CrossValidation::default()).unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn the_planted_rule_is_found(easy in 30_usize..70, seed: u64) {
            let data = planted(easy, 9, seed);
            let fit = fitted(&data, 0.0);
            let lead_of = |candidates: &[Scored]| lead(candidates.iter().map(|candidate| candidate.score));
            let margins = data.1.queries().filter_map(|(_, candidates)| lead_of(candidates));
            let least_easy = margins.take(easy).min_by(f64::total_cmp);
            prop_assert_eq!(fit.setting, GateSetting { skip_margin: least_easy, depth: 10 });
            // Every easy query is skipped, and beyond them only what shows as a loss: the hard ones with the largest
            // leads, if one fold has them all.
            let skipped = (100.0 * fit.skipped).round() as usize;
            prop_assert_eq!((fit.held_out.wins, fit.held_out.losses), (0, skipped - easy));
            prop_assert!(fit.held_out.losses <= 20, "{:?}", fit);
            // Half of the depth of every query, and the rest of the skipped ones.
            prop_assert!((fit.saved - (0.5 + 0.5 * fit.skipped)).abs() < 1e-9, "{:?}", fit);
            prop_assert!(fit.first_stage < fit.held_out.baseline);
        }
    }

    #[test]
    fn nothing_is_saved_where_everything_is_needed() {
        // The relevant candidate lies anywhere, and leads say nothing of it.
        let mut data = planted(0, DEPTH, 4);
        data.0 = {
            let mut random = Rng::with_seed(9);
            let rows: Vec<(String, String)> = (0..100)
                .map(|query| (format!("q{query:03}"), format!("d{:02}", random.usize(12..DEPTH))))
                .collect();
            Qrels::from_judgements(
                rows.iter().map(|(query, document)| (query.as_str(), document.as_str(), 1)),
            )
            .unwrap()
        };
        let mut second = Run::new("second");
        for (query, judged) in data.0.queries() {
            let scores = (0..DEPTH).map(|at| {
                let document = format!("d{at:02}");
                let score = if judged.contains_key(&document) { 1.0 } else { 0.0 };
                Scored { document, score }
            });
            second.insert(query, scores.collect()).unwrap();
        }
        data.2 = second;
        let fit = fitted(&data, 0.0);
        assert_eq!(fit.setting, GateSetting { skip_margin: None, depth: DEPTH });
        assert_eq!((fit.skipped, fit.saved, fit.held_out.difference.mean), (0.0, 0.0, 0.0));
        assert!(fit.is_safe());
    }

    #[test]
    fn a_larger_loss_buys_more() {
        let data = planted(50, 9, 1);
        let (strict, loose) = (fitted(&data, 0.0), fitted(&data, 0.2));
        assert!(loose.saved > strict.saved, "{loose:?}");
        assert!(loose.held_out.difference.mean < strict.held_out.difference.mean, "{loose:?}");
        assert!(fitted(&data, 1.0).saved == 1.0);
    }

    #[test]
    fn margins_of_short_lists() {
        assert_eq!(lead([4.0, 3.0, 1.5, 0.0]), Some(2.5));
        assert_eq!(lead([4.0, 3.0]), Some(1.0));
        assert_eq!((lead([4.0]), lead([])), (None, None));
    }

    #[test]
    fn a_gate_skips_from_its_margin_on_and_where_there_is_nothing_to_order() {
        let gate = |skip_margin| GateSetting { skip_margin, depth: 10 };
        assert!(gate(Some(0.5)).skips(Some(0.5)) && !gate(Some(0.5)).skips(Some(0.49)));
        assert!(!gate(None).skips(Some(9.0)));
        assert!(gate(None).skips(None) && gate(Some(0.5)).skips(None));
    }

    #[test]
    fn unscored_candidates_and_odd_settings_are_refused() {
        let (qrels, first, _) = planted(50, 9, 1);
        let objective = Objective::new(&qrels, Measure::MRR_10);
        let refused = |grid: &GateGrid, loss, second: &Run| {
            fit_gate(&objective, &first, second, grid, loss, &CrossValidation::default()).unwrap_err()
        };
        let error = refused(&GateGrid::default(), 0.0, &Run::new("second"));
        assert!(
            error.to_string().contains("run `second` has no score for document `d00` of query `q000`"),
            "{error}"
        );
        assert_eq!(refused(&GateGrid::default(), -1.0, &first).kind(), ErrorKind::Settings);
        assert_eq!(
            refused(&GateGrid { depths: vec![], margins: 5 }, 0.0, &first).kind(),
            ErrorKind::Settings
        );
    }
}

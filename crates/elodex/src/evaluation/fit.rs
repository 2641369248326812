//! What labels say about weights, gate and calibration: the policy that a server loads, and in words what it is worth.

use super::asking::{Conditions, Hit, by_first_stage};
use super::places::Places;
use super::results::Yardstick;
use super::runner::{Ran, run_all};
use super::systems::{Lists, SecondStage, System};
use crate::library::Library;
use anyhow::Context as _;
use clap::ValueEnum;
use elodex_eval::calibration::{CalibrationFit, Samples, Separability, fit_calibration};
use elodex_eval::fusion::{FusionFit, FusionGrid, RRF_K, fit_fusion};
use elodex_eval::gate::{GateFit, GateGrid, fit_gate};
use elodex_eval::significance::Interval;
use elodex_eval::{
    CalibrationPolicy, CrossValidation, FusionPolicy, Measure, Objective, Policy, RerankPolicy, Run, Scored,
};
use elodex_types::Weights;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;

/// Shares of the lists' depth that are tried as depths.
const DEPTH_SHARES: [f64; 3] = [0.2, 0.5, 1.0];
/// Candidates of the second stage where no system has one.
const POOL: usize = 100;

/// What can be fitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum FitKind {
    /// Weights and depths of the two lists.
    Fusion,
    /// When reranking can be skipped, and how deep it has to look.
    Gate,
    /// What a reranker's score means as a probability.
    Calibration,
}

impl FitKind {
    pub(crate) fn needs_reranker(self) -> bool {
        self != Self::Fusion
    }
}

impl fmt::Display for FitKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Fusion => "fusion",
            Self::Gate => "gate",
            Self::Calibration => "calibration",
        })
    }
}

/// What was fitted, whether or not the labels support it.
#[derive(Debug, Serialize)]
pub(crate) struct Fits {
    pub(crate) fusion: Option<FusionFit>,
    pub(crate) gate: Option<GateFit>,
    pub(crate) calibration: Option<CalibrationFit>,
    /// What the labels support.
    pub(crate) policy: Policy,
    /// The outcome in words.
    pub(crate) words: Vec<String>,
    /// The reranker whose scores were calibrated.
    #[serde(skip)]
    pub(crate) calibrated: Option<String>,
}

/// What a fit works with.
pub(crate) struct Fitting<'a> {
    pub(crate) library: &'a dyn Library,
    pub(crate) places: &'a Places,
    pub(crate) texts: &'a BTreeMap<String, String>,
    pub(crate) conditions: &'a Conditions,
    pub(crate) yardstick: &'a Yardstick<'a>,
    pub(crate) ran: &'a [Ran],
    /// Mean loss that skipping may cost.
    pub(crate) tolerated_loss: f64,
}

impl Fitting<'_> {
    /// Fits what is asked for. What cannot be fitted is told, and left out of the policy.
    pub(crate) fn fit(&self, kinds: &[FitKind]) -> anyhow::Result<Fits> {
        let objective = self.objective();
        let policy = Policy::new(objective.measure, self.yardstick.qrels.queries().len());
        let mut fits =
            Fits { fusion: None, gate: None, calibration: None, policy, words: Vec::new(), calibrated: None };
        if kinds.contains(&FitKind::Fusion) {
            self.fusion(&mut fits)?;
        }
        if !kinds.contains(&FitKind::Gate) && !kinds.contains(&FitKind::Calibration) {
            return Ok(fits);
        }
        let pool = self.pool(&fits)?;
        if kinds.contains(&FitKind::Gate) {
            pool.gate(&objective, self.tolerated_loss, &mut fits)?;
        }
        if kinds.contains(&FitKind::Calibration) {
            pool.calibration(self.yardstick, &mut fits)?;
        }
        Ok(fits)
    }

    fn objective(&self) -> Objective<'_> {
        Objective {
            qrels: self.yardstick.qrels,
            measure: self.yardstick.measures.first().copied().unwrap_or(Measure::NDCG_10),
            protocol: self.yardstick.protocol,
        }
    }

    fn fusion(&self, fits: &mut Fits) -> anyhow::Result<()> {
        let lists = [self.list(Lists::Dense)?, self.list(Lists::Bm25)?];
        let deepest = self.conditions.depth;
        let mut depths: Vec<usize> =
            DEPTH_SHARES.iter().map(|share| (share * deepest as f64).ceil() as usize).collect();
        depths.dedup();
        let grid = FusionGrid { depths, ..FusionGrid::default() };
        let fit = match fit_fusion(&self.objective(), &lists, &grid, &CrossValidation::default()) {
            Ok(fit) => fit,
            Err(error) => {
                fits.words.push(format!("fusion: not fitted: {}", error.report()));
                return Ok(());
            }
        };
        let gain = fit.held_out.difference;
        if let ([dense_weight, lexical_weight], [dense_depth, lexical_depth], true) =
            (&fit.setting.weights[..], &fit.setting.depths[..], fit.is_worthwhile())
        {
            fits.words.push(format!(
                "fusion: weights {dense_weight:.2} (vectors) and {lexical_weight:.2} (BM25), the first {dense_depth} and \
                 {lexical_depth} of each list; expected gain in {} {}",
                fit.measure,
                change(&gain)
            ));
            fits.policy.fusion = Some(FusionPolicy {
                dense_weight: *dense_weight,
                lexical_weight: *lexical_weight,
                dense_depth: *dense_depth,
                lexical_depth: *lexical_depth,
                gain,
            });
        } else {
            fits.words.push(format!(
                "fusion: the labels do not support other weights than equal ones; expected change in {} {}",
                fit.measure,
                change(&gain)
            ));
        }
        fits.fusion = Some(fit);
        Ok(())
    }

    /// One of the lists as it was run, or run now.
    fn list(&self, lists: Lists) -> anyhow::Result<Run> {
        let system = System::of(lists);
        let name = system.to_string();
        if let Some(ran) = self.ran.iter().find(|ran| ran.system == system) {
            return super::asking::run(&name, &ran.answers);
        }
        let ran = run_all(self.library, self.places, &[system], self.texts, self.conditions)?;
        super::asking::run(&name, &ran.first().context("a system was not run")?.answers)
    }

    /// Candidates with the second stage's scores, in the order of the first stage that the new policy will have: with
    /// fitted weights, of all candidates of both lists, and else with the collection's own, whatever a policy of today says.
    fn pool(&self, fits: &Fits) -> anyhow::Result<Pool> {
        let hybrid = System::of(Lists::Hybrid(None));
        let second = |ran: &Ran| ran.system.second.as_ref().map_or(0, |second| second.depth);
        let deepest = self
            .ran
            .iter()
            .filter(|ran| ran.system.first == hybrid.first && ran.system.second.is_some())
            .max_by_key(|ran| second(ran));
        let depth = deepest.map_or(POOL, second);
        let model = deepest.and_then(|ran| ran.system.second.as_ref()?.model.clone());
        let usual = &self.places.usual;
        let lists = match (&fits.policy.fusion, usual.policy_weights) {
            (Some(_), _) => Lists::Hybrid(Some(Weights::default())),
            (None, Some(_)) => Lists::Hybrid(Some(usual.weights)),
            (None, None) => Lists::Hybrid(None),
        };
        if let (Some(ran), Lists::Hybrid(None)) = (deepest, lists) {
            return Pool::of(ran, depth, None);
        }
        let mut conditions = self.conditions.clone();
        let mut seen = depth;
        if fits.policy.fusion.is_some() {
            seen = 2 * conditions.depth.max(depth);
        }
        conditions.results = conditions.results.max(seen);
        let system = System { second: Some(SecondStage { depth: seen, model }), ..System::of(lists) };
        let ran = run_all(self.library, self.places, &[system], self.texts, &conditions)?;
        let ran = ran.first().context("a system was not run")?;
        Pool::of(ran, depth, fits.policy.fusion.as_ref())
    }
}

/// Candidates of every query with the scores of both stages.
struct Pool {
    reranker: String,
    first: Run,
    second: Run,
    depth: usize,
}

impl Pool {
    /// The first `depth` candidates of each query.
    fn of(ran: &Ran, depth: usize, fusion: Option<&FusionPolicy>) -> anyhow::Result<Self> {
        let mut first = Run::new("first stage");
        let mut second = Run::new("second stage");
        for (query, hits) in &ran.answers {
            let scored: Vec<Hit> = hits.iter().filter(|hit| hit.logit.is_some()).cloned().collect();
            let mut ordered = match fusion {
                None => by_first_stage(scored.iter()),
                Some(fusion) => by_first_stage(fused_again(&scored, fusion).iter()),
            };
            ordered.truncate(depth);
            first.insert(query, ordered)?;
            let logits = scored.into_iter().filter_map(|hit| Some((hit.document, hit.logit?)));
            second.insert(query, logits.map(|(document, score)| Scored { document, score }).collect())?;
        }
        let reranker = ran.reranker.clone().context("the answers do not name their reranker")?;
        Ok(Self { reranker, first: first.without_self_matches(), second, depth })
    }

    fn gate(&self, objective: &Objective<'_>, tolerated_loss: f64, fits: &mut Fits) -> anyhow::Result<()> {
        let mut grid = GateGrid::default();
        grid.depths.retain(|depth| *depth < self.depth);
        grid.depths.push(self.depth);
        let validation = CrossValidation::default();
        let fit = match fit_gate(objective, &self.first, &self.second, &grid, tolerated_loss, &validation) {
            Ok(fit) => fit,
            Err(error) => {
                fits.words.push(format!("gate: not fitted: {}", error.report()));
                return Ok(());
            }
        };
        let effect = change(&fit.held_out.difference);
        let when = match fit.setting.skip_margin {
            None => String::new(),
            Some(margin) => {
                format!("skip it where the first candidate leads the third by {margin:.5}, else ")
            }
        };
        let saves = fit.setting.skip_margin.is_some() || fit.setting.depth < self.depth;
        fits.words.push(if !saves {
            format!("gate: nothing to save: every query needs the first {} candidates reranked", self.depth)
        } else if fit.is_safe() {
            format!(
                "gate: {when}rerank the first {}: saves {:.0} % of the pairs and changes {} by {effect}",
                fit.setting.depth,
                100.0 * fit.saved,
                fit.measure
            )
        } else {
            format!(
                "gate: the labels do not show that a gate costs at most {tolerated_loss}: {when}rerank the first {} would \
                 save {:.0} % of the pairs and change {} by {effect}",
                fit.setting.depth,
                100.0 * fit.saved,
                fit.measure
            )
        });
        if saves && fit.is_safe() {
            fits.policy.rerank = Some(RerankPolicy {
                model: self.reranker.clone(),
                gate: fit.setting,
                saved: fit.saved,
                change: fit.held_out.difference,
            });
        }
        fits.gate = Some(fit);
        Ok(())
    }

    fn calibration(&self, yardstick: &Yardstick<'_>, fits: &mut Fits) -> anyhow::Result<()> {
        let samples = Samples::of(yardstick.qrels, &self.second, &yardstick.protocol)?;
        let fit = match fit_calibration(&samples, None, &CrossValidation::default()) {
            Ok(fit) => fit,
            Err(error) => {
                fits.words.push(format!("calibration: not fitted: {}", error.report()));
                return Ok(());
            }
        };
        fits.words.push(format!(
            "calibration: {} on {} judged pairs, expected calibration error {:.3}; {}",
            fit.calibration.version(),
            fit.samples,
            fit.held_out.ece,
            fit.separation
        ));
        if fit.separation.separability != Separability::None {
            fits.policy.calibration = Some(CalibrationPolicy {
                model: self.reranker.clone(),
                curve: fit.calibration.clone(),
                ece: fit.held_out.ece,
            });
        }
        fits.calibrated = Some(self.reranker.clone());
        fits.calibration = Some(fit);
        Ok(())
    }
}

/// Candidates of both lists with the ranks and scores that fitted weights and depths give them.
fn fused_again(hits: &[Hit], fusion: &FusionPolicy) -> Vec<Hit> {
    let share = |rank: Option<usize>, weight: f64, depth: usize| match rank {
        Some(rank) if rank <= depth => weight / (RRF_K + rank as f64),
        _ => 0.0,
    };
    let mut scored: Vec<(f64, usize, Hit)> = hits
        .iter()
        .map(|hit| {
            let score = share(hit.dense_rank, fusion.dense_weight, fusion.dense_depth)
                + share(hit.lexical_rank, fusion.lexical_weight, fusion.lexical_depth);
            let best = [hit.dense_rank, hit.lexical_rank].into_iter().flatten().min();
            (score, best.unwrap_or(usize::MAX), hit.clone())
        })
        .filter(|(score, ..)| *score > 0.0)
        .collect();
    scored.sort_by(|one, other| other.0.total_cmp(&one.0).then_with(|| one.1.cmp(&other.1)));
    let ranked = scored.into_iter().enumerate();
    ranked
        .map(|(place, (score, _, hit))| {
            let score = score as f32;
            Hit { score, fused_rank: place + 1, fused_score: score, ..hit }
        })
        .collect()
}

/// A change with its interval.
fn change(interval: &Interval) -> String {
    format!(
        "{:+.4} [{:+.4}, {:+.4}] on queries that were not fitted",
        interval.mean, interval.low, interval.high
    )
}

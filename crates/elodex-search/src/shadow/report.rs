//! What experiments counted, summed up for a report.

use super::experiment::{Experiment, Mode, Pipeline};
use super::series::Summary;
use elodex_types::{Arm, Rerank, Weights};
use serde::Serialize;

/// What an experiment found since the process started.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ExperimentReport {
    /// Its name.
    pub name: String,
    /// `shadow` or `split`.
    pub mode: &'static str,
    /// Whose queries take part; `None`: every collection's.
    pub collection: Option<String>,
    /// Share of the queries, or of the keys.
    pub share: f64,
    /// What the second pipeline does differently.
    pub pipeline: PipelineReport,
    /// Unix seconds since when it has been counted.
    pub since: u64,
    /// What a shadow found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shadow: Option<ShadowReport>,
    /// What a split found, by arm.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub split: Option<SplitReport>,
}

/// What a second pipeline does differently; what is `None` is as in the first.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct PipelineReport {
    /// Fusion weights.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weights: Option<Weights>,
    /// Candidates of each list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub depth: Option<usize>,
    /// `off`, `on` or `auto`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rerank: Option<&'static str>,
    /// The reranker; `None`: the deployment's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reranker: Option<String>,
    /// Candidates it sees; `None`: the deployment's number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rerank_depth: Option<usize>,
}

/// What a shadow found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ShadowReport {
    /// Queries that could have been in the sample.
    pub queries: u64,
    /// Queries in the sample: compared, failed, dropped, or still under way.
    pub sampled: u64,
    /// Queries answered a second time.
    pub compared: u64,
    /// Queries whose second answer failed.
    pub failed: u64,
    /// Why the last one did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_failure: Option<String>,
    /// Queries dropped because as many waited as may.
    pub queue_full: u64,
    /// Queries dropped because the share of time was used up.
    pub over_budget: u64,
    /// Seconds that its searches ran.
    pub seconds: f64,
    /// Share of the longer ranking's results that both have.
    pub overlap: Summary,
    /// Rank-biased overlap, p = 0.9.
    pub rank_biased_overlap: Summary,
    /// Mean difference of scores of one kind, the shadow's less the given ones.
    pub score_shift: Summary,
    /// Milliseconds of the answers that were given.
    pub answer_ms: Summary,
    /// Milliseconds of the shadow's. It runs later, in the slow lane, and finds in the caches what the answer left there.
    pub shadow_ms: Summary,
}

/// What a split found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SplitReport {
    /// What was answered as ever.
    pub control: ArmReport,
    /// What the second pipeline answered.
    pub treatment: ArmReport,
}

impl SplitReport {
    /// Both arms.
    pub fn arms(&self) -> [(Arm, &ArmReport); 2] {
        [(Arm::Control, &self.control), (Arm::Treatment, &self.treatment)]
    }
}

/// What an arm's queries became.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ArmReport {
    /// Queries it got.
    pub queries: u64,
    /// Queries that ended in an error.
    pub failed: u64,
    /// Answers without a result.
    pub without_results: u64,
    /// Answers that a reranker ordered, in whole or in part.
    pub reranked: u64,
    /// Milliseconds of the answers.
    pub answer_ms: Summary,
}

impl PipelineReport {
    pub(super) fn of(pipeline: &Pipeline) -> Self {
        let (rerank, reranker, rerank_depth) = match &pipeline.rerank {
            None => (None, None, None),
            Some(Rerank::Off) => (Some("off"), None, None),
            Some(Rerank::On { model, depth }) => (Some("on"), model.clone(), *depth),
            Some(Rerank::Auto { model }) => (Some("auto"), model.clone(), None),
        };
        Self { weights: pipeline.weights, depth: pipeline.depth, rerank, reranker, rerank_depth }
    }
}

impl ExperimentReport {
    pub(super) fn of(experiment: &Experiment, since: u64) -> Self {
        Self {
            name: experiment.name.clone(),
            mode: match experiment.mode {
                Mode::Shadow(_) => "shadow",
                Mode::Split => "split",
            },
            collection: experiment.collection.clone(),
            share: experiment.share,
            pipeline: PipelineReport::of(&experiment.pipeline),
            since,
            shadow: None,
            split: None,
        }
    }
}

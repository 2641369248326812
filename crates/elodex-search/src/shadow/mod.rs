//! A second pipeline on live queries: behind the answers without touching them, or instead of the first one for a part
//! of the callers.
//!
//! A shadow runs on a sample of the queries, after their answers are made: with the query that those were made for, in
//! the slow lane, under the experiment's own name where callers are told apart, not billed, and not at all where its
//! queue is full or its share of the time is used up. A caller waits for nothing but for his results to be copied.
//!
//! A split gives each key one pipeline for as long as the experiment has its name and share. A request that several
//! splits would take is in the first one; what a split treats is not shadowed, so that a shadow compares with one
//! pipeline only.

mod budget;
mod compare;
mod experiment;
mod report;
mod series;
mod split;
mod tally;
mod worker;

pub use experiment::{Experiment, Mode, Pipeline, ShadowLimits};
pub use report::{ArmReport, ExperimentReport, PipelineReport, ShadowReport, SplitReport};
pub use series::Summary;

use crate::engine::Shared;
use crate::query::Caller;
use crate::{Result, SearchEngine};
use compare::Ranking;
use elodex_types::{Arm, Assignment, CallContext, Latency, SearchRequest, SearchResponse};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tally::SplitTally;
use worker::{Task, Worker};

/// How long a shadow's search may take: nobody waits for it.
const SHADOW_PATIENCE: Duration = Duration::from_secs(10);

/// The experiments of a process.
#[derive(Debug)]
pub(crate) struct Experiments {
    running: Vec<Running>,
    /// Unix seconds.
    since: u64,
}

#[derive(Debug)]
struct Running {
    experiment: Experiment,
    findings: Findings,
}

#[derive(Debug)]
enum Findings {
    Shadow(Worker),
    Split(Mutex<SplitTally>),
}

/// A split that takes a request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Assigned<'e> {
    running: &'e Running,
    arm: Arm,
}

impl Experiments {
    /// Starts the experiments of the deployment.
    pub(crate) fn start(shared: &Arc<Shared>) -> Result<Self> {
        let experiments = &shared.options.experiments;
        experiment::check(experiments, &*shared.models)?;
        let mut running = Vec::with_capacity(experiments.len());
        for experiment in experiments {
            let findings = match experiment.mode {
                Mode::Split => Findings::Split(Mutex::default()),
                Mode::Shadow(limits) => {
                    let name = &experiment.name;
                    Findings::Shadow(Worker::start(name, limits, shadow_search(shared, name))?)
                }
            };
            running.push(Running { experiment: experiment.clone(), findings });
        }
        let since = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        Ok(Self { running, since })
    }

    /// The split that takes a request, and the arm of its key.
    pub(crate) fn assign(&self, request: &SearchRequest, context: &CallContext) -> Option<Assigned<'_>> {
        let is_split = |running: &&Running| matches!(running.findings, Findings::Split(_));
        let running =
            self.running.iter().filter(is_split).find(|running| running.experiment.takes(request))?;
        let key = request.experiment_key.as_deref().unwrap_or(&context.key);
        let arm = split::arm(&running.experiment.name, key, running.experiment.share);
        Some(Assigned { running, arm })
    }

    /// Gives shadows their part of what was asked and answered.
    pub(crate) fn follow(&self, request: &SearchRequest, response: &SearchResponse) {
        for Running { experiment, findings } in &self.running {
            let Findings::Shadow(worker) = findings else { continue };
            if !experiment.takes(request) {
                continue;
            }
            worker.tally().queries += 1;
            if fastrand::f64() >= experiment.share {
                continue;
            }
            let mut second = experiment.pipeline.applied_to(request);
            // A conversation is folded once: the shadow is asked what the answer was made for.
            second.query = Some(response.query.clone());
            second.messages = Vec::new();
            worker.offer(Task { request: second, given: Ranking::of(request.unit, response) });
        }
    }

    /// Ends what runs and forgets what waits.
    pub(crate) fn stop(&self) {
        for running in &self.running {
            if let Findings::Shadow(worker) = &running.findings {
                worker.stop();
            }
        }
    }
}

impl Assigned<'_> {
    /// The request as the arm answers it; `None` where it stays as it is.
    pub(crate) fn changed(&self, request: &SearchRequest) -> Option<SearchRequest> {
        (self.arm == Arm::Treatment).then(|| self.running.experiment.pipeline.applied_to(request))
    }

    pub(crate) fn is_treated(&self) -> bool {
        self.arm == Arm::Treatment
    }

    pub(crate) fn count(&self, outcome: &Result<SearchResponse>) {
        if let Findings::Split(tally) = &self.running.findings {
            tally.lock().unwrap_or_else(PoisonError::into_inner).count(self.arm, outcome);
        }
    }

    pub(crate) fn assignment(&self) -> Assignment {
        Assignment { experiment: self.running.experiment.name.clone(), arm: self.arm }
    }
}

/// How a shadow's thread searches.
fn shadow_search(shared: &Arc<Shared>, name: &str) -> Arc<worker::Answer> {
    let shared = Arc::clone(shared);
    let key: Arc<str> = Arc::from(format!("experiment {name}"));
    Arc::new(move |request: &SearchRequest| {
        let context = CallContext { key: Arc::clone(&key), deadline: Some(Instant::now() + SHADOW_PATIENCE) };
        let caller = Caller { context: &context, latency: Latency::Slow };
        Ok(Ranking::of(request.unit, &shared.search(request, caller)?))
    })
}

impl SearchEngine {
    /// What the experiments of this process found since it started, in the order they are configured in.
    pub fn experiments(&self) -> Vec<ExperimentReport> {
        let report = |running: &Running| {
            let mut report = ExperimentReport::of(&running.experiment, self.experiments.since);
            match &running.findings {
                Findings::Shadow(worker) => report.shadow = Some(worker.tally().report()),
                Findings::Split(tally) => {
                    report.split = Some(tally.lock().unwrap_or_else(PoisonError::into_inner).report());
                }
            }
            report
        };
        self.experiments.running.iter().map(report).collect()
    }
}

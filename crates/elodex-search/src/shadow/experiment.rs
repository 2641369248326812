//! What an experiment is, as the deployment configures it.

use crate::collections::check_weights;
use crate::query::{MOST_DEPTH, MOST_RERANKED};
use crate::{Error, ErrorKind, Models, Result};
use elodex_types::{Rerank, SearchRequest, Weights};

/// Characters a name may have: it stands in headers and labels.
const NAME_LENGTH: usize = 64;
/// Experiments at once.
const MOST_EXPERIMENTS: usize = 16;
/// Searches that may wait or run behind one shadow.
const MOST_WAITING: usize = 1_024;
const MOST_AT_ONCE: usize = 16;

/// A second pipeline, and how it meets live queries.
#[derive(Debug, Clone, PartialEq)]
pub struct Experiment {
    /// Unique; lower-case letters, digits, `-` and `_`.
    pub name: String,
    /// Whose queries take part; `None`: every collection's.
    pub collection: Option<String>,
    /// Share of the queries that are shadowed, or of the keys that get the second pipeline; above 0, at most 1.
    pub share: f64,
    /// Whether callers notice.
    pub mode: Mode,
    /// What it does differently.
    pub pipeline: Pipeline,
}

/// Whether callers notice an experiment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Mode {
    /// No: the second pipeline runs behind an answer that was given, and is only compared with it.
    Shadow(ShadowLimits),
    /// Yes: it answers the keys of its share.
    Split,
}

/// What a shadow costs at most.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ShadowLimits {
    /// Share of the time that its searches may run, in the mean of a minute; above 0, at most 1.
    pub time_share: f64,
    /// Searches that wait; more are dropped and counted.
    pub queue: usize,
    /// Searches that run at the same time.
    pub at_once: usize,
}

impl Default for ShadowLimits {
    fn default() -> Self {
        Self { time_share: 0.1, queue: 16, at_once: 1 }
    }
}

/// What a second pipeline does differently. What is `None` stays as the request, the collection and the deployment have
/// it; what is not replaces what the request asks for.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Pipeline {
    /// Fusion weights.
    pub weights: Option<Weights>,
    /// Candidates of each list.
    pub depth: Option<usize>,
    /// The second stage.
    pub rerank: Option<Rerank>,
}

impl Pipeline {
    /// The request as this pipeline answers it.
    pub(super) fn applied_to(&self, request: &SearchRequest) -> SearchRequest {
        let mut changed = request.clone();
        changed.weights = self.weights.or(request.weights);
        changed.depth = self.depth.or(request.depth);
        if let Some(rerank) = &self.rerank {
            changed.rerank = rerank.clone();
        }
        changed
    }
}

impl Experiment {
    /// Whether a request's answer may be of this pipeline: it ranks, and its threshold keeps a reranker.
    pub(super) fn takes(&self, request: &SearchRequest) -> bool {
        let ranks = request.query.is_some() || !request.messages.is_empty();
        let keeps_scores = request.threshold.is_none() || self.pipeline.rerank != Some(Rerank::Off);
        let meant = self.collection.as_ref().is_none_or(|collection| *collection == request.collection);
        ranks && keeps_scores && meant
    }

    fn check(&self, models: &dyn Models) -> Result<()> {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
        if self.name.is_empty() || self.name.len() > NAME_LENGTH || !self.name.bytes().all(allowed) {
            return refuse(format!(
                "a name has 1 to {NAME_LENGTH} lower-case letters, digits, `-` and `_`; `{:.64}` has not",
                self.name
            ));
        }
        share("share", self.share)?;
        if let Mode::Shadow(limits) = self.mode {
            share("time_share", limits.time_share)?;
            within("queue", limits.queue, MOST_WAITING)?;
            within("at_once", limits.at_once, MOST_AT_ONCE)?;
        }
        let Pipeline { weights, depth, rerank } = &self.pipeline;
        if self.pipeline == Pipeline::default() {
            return refuse("it does nothing differently; give it weights, a depth or a rerank mode");
        }
        if let Some(weights) = weights {
            check_weights(*weights)?;
        }
        if let Some(depth) = depth {
            within("depth", *depth, MOST_DEPTH)?;
        }
        match rerank {
            None | Some(Rerank::Off) => Ok(()),
            Some(Rerank::On { model, depth }) => {
                if let Some(depth) = depth {
                    within("rerank_depth", *depth, MOST_RERANKED)?;
                }
                models.reranker(model.as_deref()).map(drop)
            }
            Some(Rerank::Auto { model }) => models.reranker(model.as_deref()).map(drop),
        }
    }
}

/// Refuses experiments that could not run, by name.
pub(super) fn check(experiments: &[Experiment], models: &dyn Models) -> Result<()> {
    if experiments.len() > MOST_EXPERIMENTS {
        return refuse(format!(
            "there are {} experiments, at most {MOST_EXPERIMENTS} run at once; end some",
            experiments.len()
        ));
    }
    for (position, experiment) in experiments.iter().enumerate() {
        let named = |error: Error| {
            let message = format!("experiment `{:.64}` cannot run", experiment.name);
            Error::new(error.kind(), message).caused_by(error)
        };
        experiment.check(models).map_err(named)?;
        if experiments[..position].iter().any(|earlier| earlier.name == experiment.name) {
            return refuse(format!("two experiments are called `{}`; rename one", experiment.name));
        }
    }
    Ok(())
}

fn share(what: &str, share: f64) -> Result<()> {
    if share > 0.0 && share <= 1.0 {
        return Ok(());
    }
    refuse(format!("{what} is {share}; it must be above 0 and at most 1"))
}

fn within(what: &str, value: usize, most: usize) -> Result<()> {
    if (1..=most).contains(&value) {
        return Ok(());
    }
    refuse(format!("{what} is {value}; it must be between 1 and {most}"))
}

fn refuse<T>(message: impl Into<String>) -> Result<T> {
    Err(Error::new(ErrorKind::Request, message))
}

//! What of a search its request leaves open: settled by the collection's policy, else by the collection's settings, else
//! by the deployment.

use super::request::MOST_RERANKED;
use super::retrieve::DEEPEST;
use super::{candidate::Candidate, units};
use crate::engine::Shared;
use crate::policy;
use crate::{ErrorKind, Result};
use elodex_engine::RerankService;
use elodex_eval::calibration::Calibration;
use elodex_eval::gate::{GateSetting, RIVAL, lead};
use elodex_eval::{FusionPolicy, Policy};
use elodex_store::Collection;
use elodex_types::{Rerank, SearchRequest, Unit, Weights};

/// How both stages work.
#[derive(Debug)]
pub(super) struct Plan<'a> {
    pub(super) weights: Weights,
    /// Candidates of the dense and of the BM25 list to begin with.
    pub(super) depths: [usize; 2],
    /// Candidates that the reranker is to see; 0 where there is none.
    pub(super) rerank_depth: usize,
    /// Results that the first stage has to find: `k`, and as many as the gate compares.
    pub(super) enough: usize,
    /// When the reranker is spared.
    gate: Option<GateSetting>,
    /// What makes the reranker's scores probabilities.
    pub(super) calibration: Option<&'a Calibration>,
    unit: Unit,
}

impl Shared {
    /// The reranker that a request asks for; `None` where none is, or where none has to be.
    pub(super) fn reranker_of(&self, request: &SearchRequest) -> Result<Option<(String, RerankService)>> {
        match &request.rerank {
            Rerank::Off => Ok(None),
            Rerank::On { model, .. } => self.models.reranker(model.as_deref()).map(Some),
            Rerank::Auto { model } => match self.models.reranker(model.as_deref()) {
                // None is named and none is the default one: there is none. A threshold cannot do without.
                Err(error)
                    if error.kind() == ErrorKind::NotFound
                        && model.is_none()
                        && request.threshold.is_none() =>
                {
                    Ok(None)
                }
                found => found.map(Some),
            },
        }
    }

    /// How a request is answered by the reranker of that name.
    pub(super) fn plan<'a>(
        &self,
        request: &SearchRequest,
        collection: &Collection,
        policy: Option<&'a Policy>,
        reranker: Option<&str>,
    ) -> Plan<'a> {
        let fitted_for = |model: &str| reranker.is_some_and(|name| self.is_reranker(model, name));
        let fusion = policy.and_then(|policy| policy.fusion.as_ref());
        let rerank = policy.and_then(|policy| policy.rerank.as_ref());
        let gate = match request.rerank {
            Rerank::Auto { .. } => {
                rerank.filter(|rerank| fitted_for(&rerank.model)).map(|rerank| rerank.gate)
            }
            Rerank::Off | Rerank::On { .. } => None,
        };
        let named_depth = match request.rerank {
            Rerank::On { depth, .. } => depth,
            Rerank::Off | Rerank::Auto { .. } => gate.map(|gate| gate.depth),
        };
        let rerank_depth = match reranker {
            None => 0,
            // Results beyond it would have scores of another kind, so only who names a depth gets such.
            Some(_) => {
                let depth = named_depth.unwrap_or_else(|| self.options.rerank_depth.max(request.k));
                depth.clamp(1, MOST_RERANKED)
            }
        };
        // The margin is on the scale of the policy's fusion, and a threshold needs scores.
        let comparable = request.weights.is_none() && request.depth.is_none();
        let gate = gate.filter(|_| comparable && request.threshold.is_none());
        let calibration = policy.and_then(|policy| policy.calibration.as_ref());
        Plan {
            weights: request.weights.or(fusion.map(policy::weights)).unwrap_or(collection.settings.weights),
            depths: match (request.depth, fusion) {
                (Some(depth), _) => [depth; 2],
                (None, Some(fusion)) => fitted_depths(fusion, request.k.max(named_depth.unwrap_or(0))),
                (None, None) => [self.options.depth.max(request.k).max(rerank_depth).min(DEEPEST); 2],
            },
            rerank_depth,
            enough: if gate.is_some() { request.k.max(RIVAL) } else { request.k },
            gate,
            calibration: calibration
                .filter(|calibration| fitted_for(&calibration.model))
                .map(|calibration| &calibration.curve),
            unit: request.unit,
        }
    }
}

/// Why a request for which no reranker was found or looked for has no second stage.
pub(super) fn none_asked_for(request: &SearchRequest) -> &'static str {
    match request.rerank {
        Rerank::Off => "not asked for",
        Rerank::On { .. } | Rerank::Auto { .. } => {
            "no reranker is served here, so the first stage's order stands"
        }
    }
}

/// The policy's depths where they bring `needed` candidates, else so many of both lists.
fn fitted_depths(fusion: &FusionPolicy, needed: usize) -> [usize; 2] {
    let fitted = [fusion.dense_depth, fusion.lexical_depth];
    if fitted.iter().any(|&depth| depth >= needed) { fitted } else { [needed.min(DEEPEST); 2] }
}

impl Plan<'_> {
    /// Why the reranker is spared, where the gate says so.
    pub(super) fn spared(&self, candidates: &[Candidate]) -> Option<String> {
        let gate = self.gate?;
        let lead = lead(units::fused_scores(candidates, self.unit));
        if !gate.skips(lead) {
            return None;
        }
        Some(match (lead, gate.skip_margin) {
            (Some(lead), Some(margin)) => format!(
                "the first result leads the third by a margin of {lead:.6}, and from {margin:.6} on the collection's \
                 policy trusts the first stage"
            ),
            _ => "there are fewer than two results to order".to_owned(),
        })
    }
}

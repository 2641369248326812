//! What labels said about a collection's pipeline, in the file that a server loads.

use crate::calibration::Calibration;
use crate::gate::GateSetting;
use crate::significance::Interval;
use crate::{Error, ErrorKind, Measure, Result};
use serde::{Deserialize, Serialize};

/// The version of the file's shape.
const VERSION: u32 = 1;

/// How a collection is searched where a request leaves it open: fitted from labels by `elodex eval --write-policy`.
///
/// A part that the labels do not support is `None`, and what is usual holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Of the shape; 1.
    pub version: u32,
    /// What it was fitted by.
    pub measure: Measure,
    /// How many labelled queries it was fitted on.
    pub queries: usize,
    /// Weights and depths of the two lists.
    pub fusion: Option<FusionPolicy>,
    /// When and how deep `rerank: auto` reranks.
    pub rerank: Option<RerankPolicy>,
    /// What a score of the reranker means.
    pub calibration: Option<CalibrationPolicy>,
}

/// Weights and depths of the two lists in reciprocal-rank fusion.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FusionPolicy {
    /// Of the dense list; the larger of the two is 1, a list with 0 is not asked.
    pub dense_weight: f64,
    /// Of the BM25 list.
    pub lexical_weight: f64,
    /// Candidates of the dense list.
    pub dense_depth: usize,
    /// Candidates of the BM25 list.
    pub lexical_depth: usize,
    /// What it gains on queries that were not fitted.
    pub gain: Interval,
}

/// When and how deep to rerank.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RerankPolicy {
    /// The reranker it was fitted for; another one is run as usual.
    pub model: String,
    /// The gate, on the scale of the fused scores that this policy's fusion gives.
    pub gate: GateSetting,
    /// Share of pairs saved on queries that were not fitted.
    pub saved: f64,
    /// What it changes on queries that were not fitted; below 0 where it loses.
    pub change: Interval,
}

/// What a score of the reranker means.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CalibrationPolicy {
    /// The reranker it was fitted for; scores of another one stay what they are.
    pub model: String,
    /// From the reranker's logit to a probability.
    pub curve: Calibration,
    /// Expected calibration error on queries that were not fitted.
    pub ece: f64,
}

impl Policy {
    /// One that decides nothing yet.
    pub fn new(measure: Measure, queries: usize) -> Self {
        Self { version: VERSION, measure, queries, fusion: None, rerank: None, calibration: None }
    }

    /// Reads and checks a policy.
    ///
    /// # Errors
    /// What is no JSON of this shape; another version; weights, depths, margins or shares that mean nothing; a
    /// calibration that was changed after the fit.
    pub fn parse(text: &str) -> Result<Self> {
        let policy: Self = serde_json::from_str(text).map_err(|error| {
            Error::new(ErrorKind::Malformed, "this is no policy; write one with `elodex eval --write-policy`")
                .caused_by(error)
        })?;
        policy.check()?;
        Ok(policy)
    }

    fn check(&self) -> Result<()> {
        if self.version != VERSION {
            return refuse(format!(
                "it has version {}, this release reads {VERSION}; fit it again with this release",
                self.version
            ));
        }
        if let Some(fusion) = &self.fusion {
            let weights = [fusion.dense_weight, fusion.lexical_weight];
            if weights.iter().any(|weight| !weight.is_finite() || *weight < 0.0) || weights == [0.0, 0.0] {
                return refuse(format!(
                    "the weights {weights:?} are not finite, not negative and not both 0"
                ));
            }
            if fusion.dense_depth == 0 || fusion.lexical_depth == 0 {
                return refuse("a list's depth is 0; take a list out by its weight".to_owned());
            }
        }
        if let Some(rerank) = &self.rerank {
            if rerank.gate.depth == 0 {
                return refuse("the rerank depth is 0; leave `rerank` out instead".to_owned());
            }
            if rerank.gate.skip_margin.is_some_and(|margin| !margin.is_finite() || margin < 0.0) {
                return refuse(
                    "the margin from which reranking is skipped is no number of 0 or more".to_owned(),
                );
            }
        }
        Ok(())
    }
}

fn refuse<T>(what: String) -> Result<T> {
    Err(Error::new(ErrorKind::Malformed, format!("this policy cannot be used: {what}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy() -> Policy {
        let gain = Interval { mean: 0.02, low: 0.01, high: 0.03, confidence: 0.95, queries: 50 };
        let fusion = FusionPolicy {
            dense_weight: 1.0,
            lexical_weight: 0.4,
            dense_depth: 100,
            lexical_depth: 50,
            gain,
        };
        let gate = GateSetting { skip_margin: Some(0.002), depth: 30 };
        let rerank = RerankPolicy { model: "mini".into(), gate, saved: 0.6, change: gain };
        let mut policy = Policy::new(Measure::NDCG_10, 50);
        (policy.fusion, policy.rerank) = (Some(fusion), Some(rerank));
        policy
    }

    #[test]
    fn written_and_read_it_is_the_same() {
        let text = serde_json::to_string_pretty(&policy()).unwrap();
        assert!(text.contains("\"measure\": \"ndcg@10\""), "{text}");
        assert_eq!(Policy::parse(&text).unwrap(), policy());
    }

    #[test]
    fn what_means_nothing_is_refused() {
        let text = serde_json::to_string(&policy()).unwrap();
        let changes = [
            ("\"version\":1", "\"version\":2", "fit it again with this release"),
            (
                "\"dense_weight\":1.0,\"lexical_weight\":0.4",
                "\"dense_weight\":0,\"lexical_weight\":0",
                "both 0",
            ),
            ("\"lexical_depth\":50", "\"lexical_depth\":0", "depth is 0"),
            ("\"depth\":30", "\"depth\":0", "rerank depth is 0"),
            ("\"skip_margin\":0.002", "\"skip_margin\":-1", "margin"),
            ("\"saved\"", "\"safed\"", "this is no policy"),
        ];
        for (from, to, expected) in changes {
            let changed = text.replace(from, to);
            assert_ne!(changed, text, "{from}");
            let error = Policy::parse(&changed).unwrap_err().report();
            assert!(error.contains(expected), "{error}");
        }
    }
}

//! From scores to training targets between 0 and 1.

use super::link::logistic;
use crate::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

/// The mean distance from ½ of numbers spread evenly over 0..1.
pub const DEFAULT_SPREAD: f64 = 0.25;
/// Halvings of a bracket that leave nothing of it in double precision.
const HALVINGS: usize = 200;

/// y = σ(slope · (e + b)): the target of a document with score e, of a query whose scores are off by b.
///
/// One slope for all queries: a slope per query would give the best document of a hopeless query the target of a perfect
/// one.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Mapping {
    /// Above 0.
    pub slope: f64,
}

impl Mapping {
    /// The mapping under which the mean of |y − ½| over `scores` (e + b of every document of every query) is `spread`.
    ///
    /// That mean rises with the slope, so there is one such mapping. [`DEFAULT_SPREAD`] is what targets spread evenly over
    /// 0..1 have; more pushes targets to the ends, less gathers them in the middle.
    ///
    /// # Errors
    /// A spread that is not between 0 and ½, or that no slope reaches because too many scores are 0 or there are none; a
    /// score that is not finite.
    pub fn spread_over(scores: &[f64], spread: f64) -> Result<Self> {
        let refuse = |message: String| Err(Error::new(ErrorKind::Request, message));
        if !(spread > 0.0 && spread < 0.5) {
            return refuse(format!("spread `{spread}` is not between 0 and 0.5; use {DEFAULT_SPREAD}"));
        }
        if let Some(score) = scores.iter().find(|score| !score.is_finite()) {
            return refuse(format!("score `{score}` is not a finite number"));
        }
        let apart = scores.iter().filter(|&&score| score != 0.0).count() as f64 / 2.0;
        if apart <= spread * scores.len() as f64 {
            return refuse(format!(
                "{} of {} scores are 0, so that no slope spreads the targets by {spread}; hold more battles, or ask for less",
                scores.iter().filter(|&&score| score == 0.0).count(),
                scores.len()
            ));
        }
        let reached = |slope: f64| {
            let distance: f64 = scores.iter().map(|score| logistic(slope * score.abs()) - 0.5).sum();
            distance / scores.len() as f64
        };
        // Slopes are found on a logarithmic scale.
        let exponent = bisect(-600.0, 600.0, |exponent| reached(exponent.exp()) - spread);
        Ok(Self { slope: exponent.exp() })
    }

    /// The target of a score e + b.
    pub fn target(&self, score: f64) -> f64 {
        logistic(self.slope * score)
    }
}

/// A document's score and how relevant an anchor says it is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Anchor {
    /// Its fitted score e.
    pub score: f64,
    /// Absolute relevance from 0 to 1, such as a calibrated reranker's.
    pub relevance: f64,
}

/// What one query's scores are off by, taken from absolute relevances instead of battles across queries: the b that makes
/// them likeliest, Σ (σ(slope·(e + b)) − relevance) + prior·b = 0.
///
/// Unlike fitted biases, these need not sum to 0 over queries: the anchor says where 0 lies. The anchor is taken at its
/// word; calibrate it first.
///
/// # Errors
/// A slope or a prior that is not above 0 (the prior keeps b finite where the anchor finds everything, or nothing,
/// relevant), a relevance outside 0..1, a score that is not finite.
pub fn anchored_bias(anchors: &[Anchor], slope: f64, prior: f64) -> Result<f64> {
    let refuse = |message: String| Err(Error::new(ErrorKind::Request, message));
    for (what, value) in [("slope", slope), ("prior", prior)] {
        if !(value > 0.0 && value.is_finite()) {
            return refuse(format!("{what} `{value}` is not above 0"));
        }
    }
    for Anchor { score, relevance } in anchors {
        if !score.is_finite() {
            return refuse(format!("score `{score}` is not a finite number"));
        }
        if !(0.0..=1.0).contains(relevance) {
            return refuse(format!("relevance `{relevance}` is not between 0 and 1; calibrate the anchor"));
        }
    }
    let excess = |bias: f64| {
        let over = anchors.iter().map(|anchor| logistic(slope * (anchor.score + bias)) - anchor.relevance);
        over.sum::<f64>() + prior * bias
    };
    // Beyond this the prior alone outweighs every document.
    let most = anchors.len() as f64 / prior + 1.0;
    Ok(bisect(-most, most, excess))
}

/// Where a rising function crosses 0.
fn bisect(mut low: f64, mut high: f64, rising: impl Fn(f64) -> f64) -> f64 {
    for _ in 0..HALVINGS {
        let middle = low + (high - low) / 2.0;
        if rising(middle) < 0.0 {
            low = middle;
        } else {
            high = middle;
        }
    }
    low + (high - low) / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn even_logits_get_the_slope_that_made_them() {
        let slope = 0.7;
        let logit = |y: f64| (y / (1.0 - y)).ln() / slope;
        let scores: Vec<f64> = (0..1000).map(|at| logit((f64::from(at) + 0.5) / 1000.0)).collect();
        let mapping = Mapping::spread_over(&scores, DEFAULT_SPREAD).unwrap();
        assert!((mapping.slope - slope).abs() < 1e-3, "{mapping:?}");
        assert!((mapping.target(logit(0.9)) - 0.9).abs() < 1e-3);
    }

    #[test]
    fn what_cannot_be_spread_is_refused() {
        for (scores, spread) in [
            (&[][..], 0.25),
            (&[0.0, 0.0, 1.0], 0.25),
            (&[1.0, -1.0], 0.5),
            (&[1.0, f64::NAN], 0.25),
            (&[1.0, -1.0], f64::NAN),
        ] {
            assert_eq!(
                Mapping::spread_over(scores, spread).unwrap_err().kind(),
                ErrorKind::Request,
                "{scores:?}"
            );
        }
    }

    #[test]
    fn an_anchor_moves_the_scores_to_where_it_says() {
        let slope = 2.0;
        let anchors: Vec<Anchor> =
            [-1.0, 0.1, 0.9].map(|score| Anchor { score, relevance: logistic(slope * (score + 0.6)) }).into();
        let bias = anchored_bias(&anchors, slope, 1e-9).unwrap();
        assert!((bias - 0.6).abs() < 1e-6, "{bias}");
        let hopeless: Vec<Anchor> = [-1.0, 1.0].map(|score| Anchor { score, relevance: 0.0 }).into();
        let bias = anchored_bias(&hopeless, slope, 1e-2).unwrap();
        assert!(bias < -1.0 && bias.is_finite(), "{bias}");
        assert!(anchored_bias(&[Anchor { score: 0.0, relevance: 1.2 }], slope, 1e-2).is_err());
    }

    proptest! {
        #[test]
        fn targets_have_the_spread_asked_for(
            scores in prop::collection::vec(prop_oneof![-5.0..-0.01, 0.01..5.0], 1..60),
            spread in 0.01_f64..0.49,
        ) {
            let mapping = Mapping::spread_over(&scores, spread).unwrap();
            let distance = scores.iter().map(|&score| (mapping.target(score) - 0.5).abs()).sum::<f64>();
            prop_assert!((distance / scores.len() as f64 - spread).abs() < 1e-9);
        }
    }
}

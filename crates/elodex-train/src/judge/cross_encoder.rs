//! A reranker of our own as judge.

use super::{Judge, Question, Verdict, logistic};
use crate::{Error, ErrorKind, Result};
use elodex_kernels::Parallelism;
use elodex_models::Reranker;
use elodex_types::TruncationPolicy;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// Prefers the document that a cross-encoder scores higher: p = σ(scale·(logit of a − logit of b)).
///
/// A document longer than the model reads counts by its best window. Every query and document is scored once, however many
/// battles they have.
#[derive(Debug)]
pub struct CrossEncoderJudge {
    reranker: Reranker,
    scale: f64,
    identity: String,
    /// By ids of query and document.
    logits: Mutex<HashMap<(String, String), f32>>,
}

impl CrossEncoderJudge {
    /// A judge by a loaded model; `scale` is 1 for logits of relevance, and the inverse of the temperature for a model that
    /// has one. It must be asked about one arena only: scores are kept by ids.
    ///
    /// # Errors
    /// A scale that is not above 0.
    pub fn new(reranker: Reranker, scale: f64) -> Result<Self> {
        if !(scale > 0.0 && scale.is_finite()) {
            let message = format!("scale `{scale}` of logits is not above 0; use 1");
            return Err(Error::new(ErrorKind::Request, message));
        }
        let info = reranker.info();
        let identity = format!("cross-encoder {} {} scale {scale}", info.id, info.fingerprint);
        Ok(Self { reranker, scale, identity, logits: Mutex::default() })
    }

    fn logit(
        &self,
        [query, document]: [&str; 2],
        [query_text, text]: [&str; 2],
    ) -> elodex_models::Result<f32> {
        let key = (query.to_owned(), document.to_owned());
        let known = self.logits.lock().unwrap_or_else(PoisonError::into_inner).get(&key).copied();
        if let Some(logit) = known {
            return Ok(logit);
        }
        let query = self.reranker.prepare_query(query_text)?;
        let windows = self.reranker.prepare_document(&query, text, TruncationPolicy::Passages)?;
        let mut best = f32::NEG_INFINITY;
        // One at a time: what a long document needs in memory is what its longest window needs.
        for window in &windows {
            let logits = self.reranker.logits(&[&window.encoded], Parallelism::Serial)?;
            best = logits.into_iter().fold(best, f32::max);
        }
        self.logits.lock().unwrap_or_else(PoisonError::into_inner).insert(key, best);
        Ok(best)
    }
}

impl Judge for CrossEncoderJudge {
    fn identity(&self) -> String {
        self.identity.clone()
    }

    fn judge(&self, question: &Question<'_>) -> Result<Verdict> {
        let pair = question.pair;
        let a = self.logit([&pair.query, &pair.a], [question.query, question.a]);
        let b = self.logit([pair.query_of_b(), &pair.b], [question.query_of_b, question.b]);
        match a.and_then(|a| b.map(|b| f64::from(a) - f64::from(b))) {
            Ok(ahead) if ahead.is_finite() => {
                Ok(Verdict::of_probability(self.identity.clone(), logistic(self.scale * ahead)))
            }
            Ok(ahead) => Ok(Verdict::failure(format!("the logits differ by `{ahead}`"), Default::default())),
            Err(error) => Ok(Verdict::failure(error.report(), Default::default())),
        }
    }
}

//! A trained pairwise model as judge.

use super::{Judge, Question, Verdict};
use crate::battle::Pair;
use crate::training::side_by_side;
use crate::{Error, ErrorKind, Result};
use elodex_kernels::Parallelism;
use elodex_models::Reranker;
use elodex_types::TruncationPolicy;

/// A cross-encoder that reads a query with both documents, as [`side_by_side`] puts them, and whose σ(logit) is the
/// probability that the first is better. Asked in both orders: p = (σ(a, b) + 1 − σ(b, a)) / 2, so that the order
/// decides nothing.
#[derive(Debug)]
pub struct PairwiseJudge {
    reranker: Reranker,
    max_tokens: usize,
    identity: String,
}

impl PairwiseJudge {
    /// A judge by a loaded model that reads `max_tokens`; give those it was trained with.
    ///
    /// # Errors
    /// More tokens than the model reads.
    pub fn new(reranker: Reranker, max_tokens: Option<usize>) -> Result<Self> {
        let info = reranker.info();
        let most = info.max_tokens;
        let max_tokens = max_tokens.unwrap_or(most);
        if max_tokens > most {
            let message = format!("`{}` reads {most} tokens, not {max_tokens}; give fewer", info.id);
            return Err(Error::new(ErrorKind::Request, message));
        }
        let identity = format!("pairwise {} {} tokens {max_tokens}", info.id, info.fingerprint);
        Ok(Self { reranker, max_tokens, identity })
    }

    fn probability(&self, query: &str, a: &str, b: &str) -> Result<f64> {
        let both = side_by_side(self.reranker.tokenizer(), query, a, b, self.max_tokens)?;
        let failed = |error: elodex_models::Error| {
            Error::new(
                ErrorKind::Judge,
                format!("`{}` cannot compare two documents", self.reranker.info().id),
            )
            .caused_by(error)
        };
        let query = self.reranker.prepare_query(query).map_err(failed)?;
        let windows = self.reranker.prepare_document(&query, &both.text, TruncationPolicy::Truncate);
        let windows = windows.map_err(failed)?;
        let batch: Vec<_> = windows.iter().map(|window| &window.encoded).collect();
        let logits = self.reranker.logits(&batch, Parallelism::Serial).map_err(failed)?;
        Ok(logits.first().map_or(f64::NAN, |logit| super::logistic(f64::from(*logit))))
    }
}

impl Judge for PairwiseJudge {
    fn identity(&self) -> String {
        self.identity.clone()
    }

    fn judge(&self, question: &Question<'_>) -> Result<Verdict> {
        let there = self.probability(question.query, question.a, question.b);
        let back = self.probability(question.query, question.b, question.a);
        Ok(match there.and_then(|there| back.map(|back| f64::midpoint(there, 1.0 - back))) {
            Ok(p) if p.is_finite() => Verdict::of_probability(self.identity.clone(), p),
            Ok(p) => Verdict::failure(format!("its probability is `{p}`"), Default::default()),
            Err(error) => Verdict::failure(error.report(), Default::default()),
        })
    }

    /// Of one query: it has not learned to compare answers to two.
    fn knows(&self, pair: &Pair) -> bool {
        pair.other_query.is_none()
    }
}

//! Graded relevance judgements as judge.

use super::{Judge, Question, Verdict, logistic, short_hash};
use crate::battle::Pair;
use crate::{Error, ErrorKind, Result};
use elodex_eval::Qrels;
use std::fmt::Write as _;

/// Prefers the document with the higher grade: p = σ(scale·(grade of a − grade of b)).
///
/// A document without a judgement counts as not relevant, as everywhere in evaluation, and so do grades below 0. With a
/// scale of 1 one grade ahead wins 73 of 100 times; larger scales come nearer to hard votes.
#[derive(Debug)]
pub struct QrelsJudge {
    qrels: Qrels,
    scale: f64,
    identity: String,
}

impl QrelsJudge {
    /// A judge by these judgements.
    ///
    /// # Errors
    /// A scale that is not above 0.
    pub fn new(qrels: Qrels, scale: f64) -> Result<Self> {
        if !(scale > 0.0 && scale.is_finite()) {
            let message = format!("scale `{scale}` of grades is not above 0; use 1");
            return Err(Error::new(ErrorKind::Request, message));
        }
        let mut content = String::new();
        for (query, judged) in qrels.queries() {
            for (document, judgement) in judged {
                let _ = writeln!(content, "{query}\t{document}\t{}", judgement.grade);
            }
        }
        let identity = format!("qrels {} scale {scale}", short_hash([content.as_str()]));
        Ok(Self { qrels, scale, identity })
    }

    fn grade(&self, query: &str, document: &str) -> f64 {
        let judged = self.qrels.judged(query).and_then(|judged| judged.get(document));
        judged.map_or(0.0, |judgement| f64::from(judgement.grade.max(0)))
    }
}

impl Judge for QrelsJudge {
    fn identity(&self) -> String {
        self.identity.clone()
    }

    fn judge(&self, question: &Question<'_>) -> Result<Verdict> {
        let Pair { query, a, b, .. } = question.pair;
        let ahead = self.grade(query, a) - self.grade(question.pair.query_of_b(), b);
        Ok(Verdict::of_probability(self.identity.clone(), logistic(self.scale * ahead)))
    }

    /// Of judged queries only.
    fn knows(&self, pair: &Pair) -> bool {
        [&*pair.query, pair.query_of_b()].iter().all(|query| self.qrels.judged(query).is_some())
    }
}

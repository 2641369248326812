//! Scores that say what they are.

use serde::{Deserialize, Serialize};

/// What a score's number means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ScoreKind {
    /// Cosine similarity of two embeddings, -1..1.
    Cosine,
    /// BM25, unbounded above.
    Bm25,
    /// Reciprocal-rank fusion; comparable only within one result list.
    RankFused,
    /// A reranker's raw output.
    Logit,
    /// 0..1: the logistic function on the model's own scale (zerank: σ(ℓ/5)).
    Relevance,
    /// 0..1: fitted on labels, versioned.
    Calibrated,
}

impl ScoreKind {
    /// Whether one threshold means the same for every query.
    pub fn accepts_threshold(self) -> bool {
        matches!(self, ScoreKind::Relevance | ScoreKind::Calibrated)
    }
}

/// A number and its meaning.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// The number.
    pub value: f32,
    /// What it means.
    pub kind: ScoreKind,
}

#[cfg(test)]
mod tests {
    use super::ScoreKind;

    #[test]
    fn thresholds_only_on_absolute_scales() {
        let accepted = [ScoreKind::Relevance, ScoreKind::Calibrated];
        let refused = [ScoreKind::Cosine, ScoreKind::Bm25, ScoreKind::RankFused, ScoreKind::Logit];
        assert!(accepted.iter().all(|kind| kind.accepts_threshold()));
        assert!(refused.iter().all(|kind| !kind.accepts_threshold()));
    }
}

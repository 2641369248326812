//! A chunk on its way to the answer.

use elodex_store::LiveChunk;
use elodex_types::{Explanation, Place, Score, ScoreKind};

/// A live chunk that was found, and how.
#[derive(Debug)]
pub(super) struct Candidate {
    pub(super) live: LiveChunk,
    /// Its main page, where pages are asked for; else 0.
    pub(super) page: u32,
    pub(super) dense: Option<Place>,
    pub(super) lexical: Option<Place>,
    /// Among the live candidates that are kept.
    pub(super) fused: Place,
    pub(super) second: Option<Second>,
    /// Paths of the candidates that say the same.
    pub(super) duplicates: Vec<String>,
}

/// What the second stage says of a candidate.
#[derive(Debug, Clone, Copy)]
pub(super) struct Second {
    pub(super) rank: usize,
    pub(super) score: Score,
    pub(super) logit: f32,
}

impl Candidate {
    /// The score that its place in the order comes from.
    pub(super) fn score(&self) -> Score {
        match &self.second {
            Some(second) => second.score,
            None => Score { value: self.fused.score, kind: ScoreKind::RankFused },
        }
    }

    pub(super) fn title(&self) -> Option<&str> {
        self.live.document.parsed.as_ref().and_then(|parsed| parsed.title.as_deref())
    }

    pub(super) fn explanation(&self) -> Explanation {
        let reranked = self.second.map(|second| Place { rank: second.rank, score: second.score.value });
        // Both are numbers of candidates.
        let moved = reranked.map_or(0, |place| self.fused.rank as i64 - place.rank as i64);
        Explanation {
            dense: self.dense,
            lexical: self.lexical,
            fused: self.fused,
            reranked,
            logit: self.second.map(|second| second.logit),
            moved,
            duplicates: self.duplicates.clone(),
        }
    }
}

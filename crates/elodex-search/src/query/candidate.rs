//! A chunk on its way to the answer.

use elodex_store::{Found, LiveChunk};
use elodex_types::{Explanation, Place, Score, ScoreKind, Weights};

/// A live chunk that was found, and how.
#[derive(Debug)]
pub(super) struct Candidate {
    pub(super) live: LiveChunk,
    /// Its main page, where pages are asked for; else 0.
    pub(super) page: u32,
    pub(super) dense: Option<Place>,
    pub(super) lexical: Option<Place>,
    pub(super) standing: Standing,
    /// Among the live candidates that are kept.
    pub(super) fused: Place,
    pub(super) second: Option<Second>,
    /// Paths of the candidates that say the same.
    pub(super) duplicates: Vec<String>,
}

/// How a candidate stands in the lists that were asked, by their scores.
#[derive(Debug, Clone, Copy)]
pub(super) struct Standing {
    dense: Option<f32>,
    lexical: Option<f32>,
}

impl Standing {
    /// Of a candidate at these places; `None` is a list that was not asked.
    pub(super) fn of(lists: [Option<&[Found]>; 2], places: [Option<Place>; 2]) -> Self {
        let [dense, lexical] = [0, 1].map(|list| lists[list].map(|found| between(found, places[list])));
        Self { dense, lexical }
    }

    /// What it counts beside a reranker's logit: of each list the weight · (standing − ½).
    pub(super) fn logit(self, weights: Weights) -> f32 {
        let count = |weight: f32, standing: Option<f32>| standing.map_or(0.0, |part| weight * (part - 0.5));
        count(weights.dense, self.dense) + count(weights.lexical, self.lexical)
    }
}

/// Which part of the way from a list's last score to its first a place is, 0 to 1; 0 for what the list lacks.
fn between(found: &[Found], place: Option<Place>) -> f32 {
    let (Some(place), Some(first), Some(last)) = (place, found.first(), found.last()) else { return 0.0 };
    let way = first.score - last.score;
    if way > 0.0 { (place.score - last.score) / way } else { 1.0 }
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

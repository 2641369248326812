//! How far two answers to one query agree.

use elodex_eval::{PERSISTENCE, overlap, rank_biased_overlap};
use elodex_types::{Score, SearchResponse, Unit};
use std::collections::{HashMap, HashSet};
use std::time::Duration;

/// What a result is to a comparison: the document, and which part of it where parts were asked for.
type Identity = (String, u32, usize);

/// What of an answer is compared.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Ranking {
    results: Vec<(Identity, Score)>,
    pub(super) took: Duration,
}

/// How far a shadow's answer agrees with the one that was given.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Agreement {
    pub(super) overlap: f64,
    pub(super) rank_biased_overlap: f64,
    /// Mean of the shadow's score less the given one, over the results in both whose scores are of one kind; `None` where
    /// there are none.
    pub(super) score_shift: Option<f64>,
}

impl Ranking {
    pub(super) fn of(unit: Unit, response: &SearchResponse) -> Self {
        // Neighbouring chunks may share their best passage: a ranking names an item once.
        let mut seen: HashSet<Identity> = HashSet::new();
        let results = response.hits.iter().filter_map(|hit| {
            let (page, start) = match unit {
                // Another chunk of the document may be its best one.
                Unit::Documents => (0, 0),
                Unit::Pages => (hit.page.unwrap_or_default(), 0),
                Unit::Chunks | Unit::Passages => (0, hit.span.0),
            };
            let identity = (hit.path.clone(), page, start);
            seen.insert(identity.clone()).then_some((identity, hit.score))
        });
        Self { results: results.collect(), took: response.timing.total }
    }

    #[cfg(test)]
    pub(super) fn empty(took: Duration) -> Self {
        Self { results: Vec::new(), took }
    }

    pub(super) fn compare(&self, shadow: &Self) -> Agreement {
        let identities = |ranking: &Self| -> Vec<Identity> {
            ranking.results.iter().map(|(identity, _)| identity.clone()).collect()
        };
        let (given, second) = (identities(self), identities(shadow));
        let scores: HashMap<&Identity, Score> =
            self.results.iter().map(|(identity, score)| (identity, *score)).collect();
        let shifts: Vec<f64> = shadow
            .results
            .iter()
            .filter_map(|(identity, score)| {
                let given = scores.get(identity).filter(|given| given.kind == score.kind)?;
                Some(f64::from(score.value) - f64::from(given.value))
            })
            .collect();
        Agreement {
            overlap: overlap(&given, &second),
            rank_biased_overlap: rank_biased_overlap(&given, &second, PERSISTENCE),
            score_shift: (!shifts.is_empty()).then(|| shifts.iter().sum::<f64>() / shifts.len() as f64),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use elodex_types::ScoreKind;

    fn ranking(results: &[(&str, f32, ScoreKind)]) -> Ranking {
        let result =
            |&(path, value, kind): &(&str, f32, ScoreKind)| ((path.to_owned(), 0, 0), Score { value, kind });
        Ranking { results: results.iter().map(result).collect(), took: Duration::ZERO }
    }

    #[test]
    fn order_membership_and_scores_are_compared() {
        use ScoreKind::{RankFused, Relevance};
        let given = ranking(&[("a", 0.5, Relevance), ("b", 0.25, Relevance), ("c", 0.01, RankFused)]);
        let shadow = ranking(&[("a", 0.75, Relevance), ("c", 0.5, Relevance), ("b", 0.25, Relevance)]);
        let agreement = given.compare(&shadow);
        assert_eq!(agreement.overlap, 1.0);
        assert!((agreement.rank_biased_overlap - 0.955).abs() < 1e-12);
        // `c` has scores of two kinds.
        assert_eq!(agreement.score_shift, Some(0.125));
        let other = ranking(&[("x", 1.0, Relevance)]);
        let agreement = given.compare(&other);
        assert_eq!((agreement.overlap, agreement.score_shift), (0.0, None));
    }
}

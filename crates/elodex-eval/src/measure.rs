//! Measures of one ranking.

use crate::Judged;
use crate::error::{Error, ErrorKind};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;
use std::num::NonZeroUsize;
use std::str::FromStr;

/// What a grade is worth in NDCG.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Gain {
    /// The grade itself: `trec_eval`'s, and the one published figures of BEIR and MTEB use.
    Linear,
    /// `2^grade − 1` (Burges et al., ICML 2005).
    Exponential,
}

/// A measure of a ranking, 0 to 1, higher is better. `k` is how many of the first documents it looks at.
///
/// With `rel` the grades of the ranking (0 where unjudged or negative), and "relevant" meaning a grade of at least
/// `relevant_from`:
///
/// | name | definition | in `trec_eval` |
/// | --- | --- | --- |
/// | `ndcg@k` | `DCG / ideal DCG`, `DCG = Σ_{i≤k} gain(rel_i) / log2(i + 1)`, the ideal of all judged | `ndcg_cut.k` |
/// | `ndcg` | the same over the whole ranking | `ndcg` |
/// | `ndcg_exp@k` | `ndcg@k` with the gain `2^rel − 1` | – |
/// | `mrr@k` | 1 / rank of the first relevant document, 0 beyond `k` | `recip_rank` of a run cut at `k` |
/// | `precision@k` | relevant among the first `k`, divided by `k` | `P.k` |
/// | `recall@k` | relevant among the first `k`, divided by all relevant ones | `recall.k` |
/// | `map` | `Σ precision@i` over the ranks `i` of relevant documents, divided by all relevant ones | `map` |
/// | `success@k` | 1 if a relevant document is among the first `k` | `success.k` |
/// | `judged@k` | judged documents among the first `k`, divided by `k` (`ir_measures`' definition) | – |
///
/// A query without a relevant document has 0 everywhere but in `judged@k`. `mrr` without a cutoff is the whole
/// ranking's; `p@k`, `rr@k` and `hit_rate@k` are read as other names of `precision@k`, `mrr@k` and `success@k`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Measure {
    /// Normalised discounted cumulative gain (Järvelin and Kekäläinen, TOIS 2002).
    Ndcg {
        /// `None`: the whole ranking.
        cutoff: Option<NonZeroUsize>,
        /// What a grade is worth.
        gain: Gain,
    },
    /// Reciprocal rank of the first relevant document; its mean is MRR.
    ReciprocalRank {
        /// `None`: the whole ranking.
        cutoff: Option<NonZeroUsize>,
    },
    /// Share of relevant documents among the first `k`.
    Precision(NonZeroUsize),
    /// Share of the relevant documents that are among the first `k`.
    Recall(NonZeroUsize),
    /// Average precision over the whole ranking; its mean is MAP.
    AveragePrecision,
    /// Whether a relevant document is among the first `k`: the hit rate.
    Success(NonZeroUsize),
    /// Share of judged documents among the first `k`: what is missing to 1, the other measures do not know.
    Judged(NonZeroUsize),
}

const fn cutoff(at: usize) -> NonZeroUsize {
    match NonZeroUsize::new(at) {
        Some(cutoff) => cutoff,
        None => NonZeroUsize::MIN,
    }
}

impl Measure {
    /// `ndcg@10`, the measure of BEIR.
    pub const NDCG_10: Self = Self::Ndcg { cutoff: Some(cutoff(10)), gain: Gain::Linear };
    /// `mrr@10`.
    pub const MRR_10: Self = Self::ReciprocalRank { cutoff: Some(cutoff(10)) };
    /// `recall@100`: what the first stage leaves for the second.
    pub const RECALL_100: Self = Self::Recall(cutoff(100));
    /// `success@3`: the hit rate in the top three.
    pub const HIT_RATE_3: Self = Self::Success(cutoff(3));
    /// `judged@10`.
    pub const JUDGED_10: Self = Self::Judged(cutoff(10));

    /// How many documents of a ranking it looks at; `None`: all.
    pub fn cutoff(self) -> Option<usize> {
        match self {
            Measure::Ndcg { cutoff, .. } | Measure::ReciprocalRank { cutoff } => {
                cutoff.map(NonZeroUsize::get)
            }
            Measure::Precision(cutoff)
            | Measure::Recall(cutoff)
            | Measure::Success(cutoff)
            | Measure::Judged(cutoff) => Some(cutoff.get()),
            Measure::AveragePrecision => None,
        }
    }

    /// The value of one ranking: document ids, best first, none twice. A document is relevant from the grade
    /// `relevant_from` on; NDCG takes the grades themselves.
    pub fn value(self, judged: &Judged, ranking: &[&str], relevant_from: i32) -> f64 {
        let seen = &ranking[..self.cutoff().unwrap_or(usize::MAX).min(ranking.len())];
        let is_relevant =
            |document: &&&str| judged.get(**document).is_some_and(|found| found.grade >= relevant_from);
        let relevant_seen = || seen.iter().filter(is_relevant).count() as f64;
        let relevant = || judged.values().filter(|found| found.grade >= relevant_from).count() as f64;
        match self {
            Measure::Ndcg { gain, .. } => ndcg(judged, seen, self.cutoff(), gain),
            Measure::ReciprocalRank { .. } => seen
                .iter()
                .position(|document| is_relevant(&document))
                .map_or(0.0, |position| 1.0 / (position + 1) as f64),
            Measure::Precision(cutoff) => relevant_seen() / cutoff.get() as f64,
            Measure::Recall(_) => ratio(relevant_seen(), relevant()),
            Measure::AveragePrecision => {
                let ranks = seen.iter().enumerate().filter(|(_, document)| is_relevant(document));
                let precisions = ranks
                    .enumerate()
                    .map(|(before, (position, _))| (before + 1) as f64 / (position + 1) as f64);
                ratio(precisions.sum(), relevant())
            }
            Measure::Success(_) => f64::from(u8::from(seen.iter().any(|document| is_relevant(&document)))),
            Measure::Judged(cutoff) => {
                seen.iter().filter(|document| judged.contains_key(**document)).count() as f64
                    / cutoff.get() as f64
            }
        }
    }
}

fn ratio(part: f64, whole: f64) -> f64 {
    if whole == 0.0 { 0.0 } else { part / whole }
}

fn ndcg(judged: &Judged, seen: &[&str], cutoff: Option<usize>, gain: Gain) -> f64 {
    let gain_of = |grade: i32| match gain {
        _ if grade <= 0 => 0.0,
        Gain::Linear => f64::from(grade),
        Gain::Exponential => f64::from(grade).exp2() - 1.0,
    };
    let discounted = |gains: &mut dyn Iterator<Item = f64>| -> f64 {
        gains.enumerate().map(|(position, gain)| gain / ((position + 2) as f64).log2()).sum()
    };
    let mut ideal: Vec<f64> = judged.values().map(|found| gain_of(found.grade)).collect();
    ideal.sort_by(|one, other| other.total_cmp(one));
    let best = discounted(&mut ideal.into_iter().take(cutoff.unwrap_or(usize::MAX)));
    let grades = seen.iter().map(|document| judged.get(*document).map_or(0, |found| found.grade));
    ratio(discounted(&mut grades.map(gain_of)), best)
}

impl fmt::Display for Measure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Measure::Ndcg { gain: Gain::Linear, .. } => "ndcg",
            Measure::Ndcg { gain: Gain::Exponential, .. } => "ndcg_exp",
            Measure::ReciprocalRank { .. } => "mrr",
            Measure::Precision(_) => "precision",
            Measure::Recall(_) => "recall",
            Measure::AveragePrecision => "map",
            Measure::Success(_) => "success",
            Measure::Judged(_) => "judged",
        })?;
        match self.cutoff() {
            Some(cutoff) => write!(formatter, "@{cutoff}"),
            None => Ok(()),
        }
    }
}

impl FromStr for Measure {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let unknown = || {
            Error::new(
                ErrorKind::Settings,
                format!(
                    "unknown measure `{text}`; use ndcg@10, ndcg_exp@10, mrr@10, precision@5, recall@100, map, \
                     success@3 or judged@10, with a cutoff of at least 1"
                ),
            )
        };
        let (name, cutoff) = match text.split_once('@') {
            Some((name, cutoff)) => (name, Some(cutoff.parse::<NonZeroUsize>().map_err(|_| unknown())?)),
            None => (text, None),
        };
        Ok(match (name.to_ascii_lowercase().as_str(), cutoff) {
            ("ndcg", cutoff) => Measure::Ndcg { cutoff, gain: Gain::Linear },
            ("ndcg_exp", cutoff) => Measure::Ndcg { cutoff, gain: Gain::Exponential },
            ("mrr" | "rr", cutoff) => Measure::ReciprocalRank { cutoff },
            ("precision" | "p", Some(cutoff)) => Measure::Precision(cutoff),
            ("recall", Some(cutoff)) => Measure::Recall(cutoff),
            ("map", None) => Measure::AveragePrecision,
            ("success" | "hit_rate", Some(cutoff)) => Measure::Success(cutoff),
            ("judged", Some(cutoff)) => Measure::Judged(cutoff),
            _ => return Err(unknown()),
        })
    }
}

impl Serialize for Measure {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Measure {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        name.parse().map_err(|error: Error| de::Error::custom(error.report()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Qrels;
    use proptest::prelude::*;

    const NAMES: [&str; 10] = [
        "ndcg@10",
        "ndcg",
        "ndcg_exp@3",
        "mrr@10",
        "mrr",
        "precision@5",
        "recall@100",
        "map",
        "success@3",
        "judged@10",
    ];

    #[test]
    fn names_read_back() {
        for name in NAMES {
            assert_eq!(name.parse::<Measure>().unwrap().to_string(), name);
        }
        assert_eq!("Hit_Rate@3".parse::<Measure>().unwrap(), Measure::HIT_RATE_3);
        assert_eq!("p@1".parse::<Measure>().unwrap().to_string(), "precision@1");
        for name in ["ndcg@0", "recall", "map@10", "ndcg@", "auc", "precision@-1"] {
            let error = name.parse::<Measure>().unwrap_err();
            assert!(error.to_string().contains(&format!("unknown measure `{name}`")), "{error}");
        }
    }

    #[test]
    fn a_ranking_by_hand() {
        let qrels =
            Qrels::from_judgements([("q", "a", 3), ("q", "b", 1), ("q", "c", 0), ("q", "d", 2)]).unwrap();
        let judged = qrels.judged("q").unwrap();
        let ranking = ["x", "b", "a", "c", "y"];
        let value = |name: &str, level| name.parse::<Measure>().unwrap().value(judged, &ranking, level);
        let close = |one: f64, other: f64| assert!((one - other).abs() < 1e-12, "{one} {other}");
        let third = 3_f64.log2();
        close(value("ndcg@2", 1), (1.0 / third) / (3.0 + 2.0 / third));
        close(value("ndcg_exp@3", 1), (1.0 / third + 7.0 / 2.0) / (7.0 + 3.0 / third + 1.0 / 2.0));
        close(value("mrr@10", 1), 0.5);
        close(value("mrr@10", 2), 1.0 / 3.0);
        close(value("mrr@2", 2), 0.0);
        close(value("precision@10", 1), 0.2);
        close(value("recall@3", 1), 2.0 / 3.0);
        close(value("map", 1), (1.0 / 2.0 + 2.0 / 3.0) / 3.0);
        close(value("success@1", 1), 0.0);
        close(value("success@2", 1), 1.0);
        close(value("judged@4", 1), 0.75);
        close(value("recall@3", 4), 0.0);
        close(value("map", 4), 0.0);
    }

    fn judgements() -> impl Strategy<Value = Vec<i32>> {
        prop::collection::vec(-1_i32..4, 1..30)
    }

    proptest! {
        #[test]
        fn values_lie_between_none_and_all(
            grades in judgements(), order in Just((0..40).collect::<Vec<u32>>()).prop_shuffle(),
        ) {
            let ids: Vec<String> = (0..40).map(|id| format!("d{id}")).collect();
            let rows = grades.iter().enumerate().map(|(at, &grade)| ("q", ids[at].as_str(), grade));
            let qrels = Qrels::from_judgements(rows).unwrap();
            let ranking: Vec<&str> = order.iter().map(|&at| ids[at as usize].as_str()).collect();
            for name in NAMES {
                let value = name.parse::<Measure>().unwrap().value(qrels.judged("q").unwrap(), &ranking, 1);
                prop_assert!((0.0..=1.0 + 1e-12).contains(&value), "{} is {}", name, value);
            }
        }

        #[test]
        fn the_best_order_has_all_of_it(grades in judgements()) {
            let ids: Vec<String> = (0..grades.len()).map(|id| format!("d{id}")).collect();
            let rows = grades.iter().enumerate().map(|(at, &grade)| ("q", ids[at].as_str(), grade));
            let qrels = Qrels::from_judgements(rows).unwrap();
            let mut order: Vec<usize> = (0..grades.len()).collect();
            order.sort_by_key(|&at| -grades[at]);
            let ranking: Vec<&str> = order.iter().map(|&at| ids[at].as_str()).collect();
            let expected = f64::from(u8::from(grades.iter().any(|&grade| grade > 0)));
            for name in ["ndcg@10", "ndcg_exp@5", "map", "mrr@1", "success@1"] {
                let value = name.parse::<Measure>().unwrap().value(qrels.judged("q").unwrap(), &ranking, 1);
                prop_assert!((value - expected).abs() < 1e-12, "{} is {}", name, value);
            }
        }
    }
}

//! Whether a score tells relevant from irrelevant at all.

use super::Sample;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;

/// From which balanced accuracy of the best cut on separation is called clean.
const CLEAN: f64 = 0.9;

/// Two-sided 95 % quantile of the normal distribution.
const QUANTILE: f64 = 1.959_963_984_540_054;

/// What a threshold on the score can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Separability {
    /// One cut classifies relevant and irrelevant samples to 90 % on average, or better.
    Clean,
    /// Relevant samples score higher, but no cut comes near to that: every threshold loses relevant results or lets
    /// irrelevant ones pass.
    Overlapping,
    /// It is not shown that relevant samples score higher: no threshold means anything.
    None,
}

/// How far relevant and irrelevant samples lie apart.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Separation {
    /// What a threshold can do.
    pub separability: Separability,
    /// Area under the ROC curve: how often a relevant sample scores higher than an irrelevant one; ties count half.
    pub auc: f64,
    /// The lower end of its 95 % interval, over queries.
    pub auc_low: f64,
    /// The upper end.
    pub auc_high: f64,
    /// The score that, as the lowest to be kept, classifies best.
    pub best_cut: f64,
    /// The share of relevant samples that this cut keeps.
    pub kept_relevant: f64,
    /// The share of irrelevant samples that it drops.
    pub dropped_irrelevant: f64,
}

impl fmt::Display for Separation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { auc, auc_low, auc_high, best_cut, .. } = self;
        match self.separability {
            Separability::Clean => write!(formatter, "clean separation")?,
            Separability::Overlapping => {
                write!(
                    formatter,
                    "no clean separation: every threshold loses relevant results or lets others pass"
                )?;
            }
            Separability::None => {
                write!(
                    formatter,
                    "no separation: relevant results do not score higher, and no threshold means anything"
                )?;
            }
        }
        write!(
            formatter,
            "; AUC {auc:.3} [{auc_low:.3}, {auc_high:.3}], the best cut at {best_cut:.4} keeps {:.0} % of the relevant \
             and drops {:.0} % of the others",
            100.0 * self.kept_relevant,
            100.0 * self.dropped_irrelevant
        )
    }
}

/// Of at least one relevant and one irrelevant sample. The AUC's variance counts samples of a query as dependent
/// (Obuchowski, *Biometrics* 1997).
pub(super) fn separation(samples: &[Sample]) -> Separation {
    let mut sorted: Vec<&Sample> = samples.iter().collect();
    sorted.sort_by(|one, other| one.score.total_cmp(&other.score));
    let relevant = samples.iter().filter(|sample| sample.relevant).count() as f64;
    let others = samples.len() as f64 - relevant;
    // Per query: relevant and other samples, and how much of the other kind theirs exceed (or stay below).
    let mut queries: BTreeMap<&str, (f64, f64, f64, f64)> = BTreeMap::new();
    let (mut relevant_below, mut others_below) = (0.0, 0.0);
    let mut best = (f64::NEG_INFINITY, 0.0, 1.0, 0.0);
    for tied in sorted.chunk_by(|one, other| one.score == other.score) {
        // The sum of both shares times both counts: a whole number, so that equal cuts are equal.
        let quality = (relevant - relevant_below) * others + others_below * relevant;
        if quality > best.0 {
            best = (quality, tied[0].score, 1.0 - relevant_below / relevant, others_below / others);
        }
        let tied_relevant = tied.iter().filter(|sample| sample.relevant).count() as f64;
        let tied_others = tied.len() as f64 - tied_relevant;
        for sample in tied {
            let query = queries.entry(sample.query.as_str()).or_default();
            if sample.relevant {
                query.0 += 1.0;
                query.2 += (others_below + tied_others / 2.0) / others;
            } else {
                query.1 += 1.0;
                query.3 += 1.0 - (relevant_below + tied_relevant / 2.0) / relevant;
            }
        }
        relevant_below += tied_relevant;
        others_below += tied_others;
    }
    let auc = queries.values().map(|query| query.2).sum::<f64>() / relevant;
    // A query's share in the deviation of the mean, from both kinds of samples together.
    let deviation = |query: &(f64, f64, f64, f64)| {
        (query.2 - query.0 * auc) / relevant + (query.3 - query.1 * auc) / others
    };
    let count = queries.len() as f64;
    let squares = queries.values().map(|query| deviation(query).powi(2)).sum::<f64>();
    // One query says nothing of others.
    let error = if queries.len() < 2 { f64::INFINITY } else { (squares * count / (count - 1.0)).sqrt() };
    let (_, best_cut, kept_relevant, dropped_irrelevant) = best;
    let auc_low = (auc - QUANTILE * error).max(0.0);
    let separability = if auc_low <= 0.5 {
        Separability::None
    } else if (kept_relevant + dropped_irrelevant) / 2.0 >= CLEAN {
        Separability::Clean
    } else {
        Separability::Overlapping
    };
    let auc_high = (auc + QUANTILE * error).min(1.0);
    Separation { separability, auc, auc_low, auc_high, best_cut, kept_relevant, dropped_irrelevant }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fastrand::Rng;
    use proptest::prelude::*;

    fn samples(rows: &[(usize, f64, bool)]) -> Vec<Sample> {
        let sample = |&(query, score, relevant): &(usize, f64, bool)| Sample {
            query: format!("q{query}"),
            score,
            relevant,
        };
        rows.iter().map(sample).collect()
    }

    /// Relevant samples lie `shift` standard deviations of about 0.41 higher, in 100 queries of ten samples.
    fn drawn(shift: f64, seed: u64) -> Separation {
        let mut random = Rng::with_seed(seed);
        let rows: Vec<(usize, f64, bool)> = (0..1000)
            .map(|at| {
                let relevant = random.usize(..4) == 0;
                let noise = random.f64() + random.f64();
                (at / 10, noise + if relevant { shift } else { 0.0 }, relevant)
            })
            .collect();
        separation(&samples(&rows))
    }

    #[test]
    fn planted_separations_are_named() {
        for seed in 0..5 {
            assert_eq!(drawn(2.5, seed).separability, Separability::Clean);
            assert_eq!(drawn(0.5, seed).separability, Separability::Overlapping);
        }
        let alarms = (0..40).filter(|&seed| drawn(0.0, seed).separability != Separability::None).count();
        assert!(alarms <= 4, "{alarms} of 40");
        assert!(drawn(0.5, 0).to_string().starts_with("no clean separation"), "{}", drawn(0.5, 0));
    }

    #[test]
    fn the_best_cut_by_hand() {
        let rows = [
            (0, 1.0, false),
            (1, 2.0, true),
            (2, 2.0, false),
            (3, 3.0, true),
            (4, 4.0, true),
            (5, 0.0, false),
        ];
        let found = separation(&samples(&rows));
        assert!((found.auc - 8.5 / 9.0).abs() < 1e-12, "{found:?}");
        // Cutting at 2 and at 3 classify equally well; the lower comes first.
        assert_eq!((found.best_cut, found.kept_relevant), (2.0, 1.0));
        assert!((found.dropped_irrelevant - 2.0 / 3.0).abs() < 1e-12);
    }

    #[test]
    fn one_query_shows_nothing() {
        let found = separation(&samples(&[(0, 1.0, false), (0, 2.0, true)]));
        assert_eq!((found.auc, found.auc_low, found.auc_high), (1.0, 0.0, 1.0));
        assert_eq!(found.separability, Separability::None);
    }

    proptest! {
        #[test]
        fn the_area_counts_pairs(rows in prop::collection::vec((0_usize..5, 0_u8..6, any::<bool>()), 2..30)) {
            let rows: Vec<(usize, f64, bool)> =
                rows.into_iter().map(|(query, score, relevant)| (query, f64::from(score), relevant)).collect();
            let pairs: Vec<f64> = rows
                .iter()
                .filter(|row| row.2)
                .flat_map(|one| rows.iter().filter(|row| !row.2).map(move |other| (one.1, other.1)))
                .map(|(one, other)| if one > other { 1.0 } else if one < other { 0.0 } else { 0.5 })
                .collect();
            prop_assume!(!pairs.is_empty());
            let expected = pairs.iter().sum::<f64>() / pairs.len() as f64;
            prop_assert!((separation(&samples(&rows)).auc - expected).abs() < 1e-12);
        }
    }
}

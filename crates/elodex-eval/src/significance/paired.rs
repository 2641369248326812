//! Two systems on the same queries.

use super::{Bootstrap, Interval, mean_interval};
use crate::evaluation::mean;
use crate::{Error, ErrorKind, Evaluation, Measure, Result};
use fastrand::Rng;
use serde::Serialize;
use statrs::distribution::{ContinuousCDF, StudentsT};

/// Up to how many queries that differ the randomisation test looks at every assignment of signs.
const EXACT_QUERIES: usize = 20;

/// How many assignments it draws beyond that.
const DRAWN: usize = 100_000;

/// Differences up to this are rounding, not a win of either system.
const TIE: f64 = 1e-12;

/// The paired two-sided randomisation test (Fisher; Smucker, Allan and Carterette, CIKM 2007): how often a mean
/// difference as large comes about when it is chance which of the two systems a query's values belong to.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Randomisation {
    /// How often.
    pub p: f64,
    /// Over every assignment, and not over drawn ones.
    pub exact: bool,
    /// How many assignments were looked at.
    pub assignments: usize,
}

/// The paired two-sided t-test of Student.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct StudentTest {
    /// The statistic, mean difference by its standard error.
    pub t: f64,
    /// One less than the number of queries.
    pub degrees_of_freedom: usize,
    /// How often a statistic as far from 0 comes about by chance.
    pub p: f64,
}

/// A candidate against a baseline.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// How many queries both answered.
    pub queries: usize,
    /// The baseline's mean.
    pub baseline: f64,
    /// The candidate's mean.
    pub candidate: f64,
    /// The mean of candidate − baseline, with its bootstrap interval over queries.
    pub difference: Interval,
    /// Cohen's d of paired values: mean difference by the standard deviation of the differences; 0.2 is called small,
    /// 0.5 medium, 0.8 large (Cohen 1988). `None` where all differences are equal, or there is one query.
    pub effect_size: Option<f64>,
    /// The randomisation test: it assumes nothing about how values are spread.
    pub randomisation: Randomisation,
    /// The t-test; `None` where the effect size is.
    pub student: Option<StudentTest>,
    /// Queries on which the candidate is better.
    pub wins: usize,
    /// Queries on which both are as good.
    pub ties: usize,
    /// Queries on which it is worse.
    pub losses: usize,
}

/// Compares two evaluations by a measure; `bootstrap.seed` is the randomisation test's too.
///
/// # Errors
/// A measure that one of them lacks; evaluations of other queries or by another protocol; those of [`mean_interval`].
pub fn compare(
    baseline: &Evaluation,
    candidate: &Evaluation,
    measure: Measure,
    bootstrap: &Bootstrap,
) -> Result<Comparison> {
    let values = |evaluation: &Evaluation| {
        evaluation.values(measure).map(<[f64]>::to_vec).ok_or_else(|| {
            let run = evaluation.run();
            Error::new(
                ErrorKind::Mismatch,
                format!("run `{run}` was not evaluated by {measure}; evaluate it first"),
            )
        })
    };
    if baseline.queries() != candidate.queries() || baseline.protocol() != candidate.protocol() {
        let only = |one: &Evaluation, other: &Evaluation| {
            one.queries().iter().find(|&query| !other.queries().contains(query)).cloned()
        };
        let odd = only(baseline, candidate).or_else(|| only(candidate, baseline));
        let what = odd
            .map_or("by different protocols".to_owned(), |query| format!("`{query}` is in one of them only"));
        return Err(Error::new(
            ErrorKind::Mismatch,
            format!(
                "runs `{}` and `{}` are not evaluated on the same queries: {what}; count every judged query",
                baseline.run(),
                candidate.run()
            ),
        ));
    }
    compare_values(&values(baseline)?, &values(candidate)?, bootstrap)
}

/// [`compare`] on values, one per query.
///
/// # Errors
/// Lists of different lengths; those of [`mean_interval`].
pub fn compare_values(baseline: &[f64], candidate: &[f64], bootstrap: &Bootstrap) -> Result<Comparison> {
    if baseline.len() != candidate.len() {
        return Err(Error::new(
            ErrorKind::Mismatch,
            format!(
                "{} values of the baseline and {} of the candidate are not pairs",
                baseline.len(),
                candidate.len()
            ),
        ));
    }
    let differences: Vec<f64> =
        baseline.iter().zip(candidate).map(|(baseline, candidate)| candidate - baseline).collect();
    let difference = mean_interval(&differences, bootstrap)?;
    let deviation = standard_deviation(&differences).filter(|&deviation| deviation > TIE);
    let wins = differences.iter().filter(|&&difference| difference > TIE).count();
    let losses = differences.iter().filter(|&&difference| difference < -TIE).count();
    Ok(Comparison {
        queries: differences.len(),
        baseline: mean(baseline),
        candidate: mean(candidate),
        difference,
        effect_size: deviation.map(|deviation| difference.mean / deviation),
        randomisation: randomisation(&differences, bootstrap.seed),
        student: deviation.and_then(|deviation| student(difference.mean, deviation, differences.len())),
        wins,
        ties: differences.len() - wins - losses,
        losses,
    })
}

/// Of a sample, with n − 1.
fn standard_deviation(values: &[f64]) -> Option<f64> {
    if values.len() < 2 {
        return None;
    }
    let centre = mean(values);
    let squares: f64 = values.iter().map(|value| (value - centre).powi(2)).sum();
    Some((squares / (values.len() - 1) as f64).sqrt())
}

fn student(mean: f64, deviation: f64, queries: usize) -> Option<StudentTest> {
    let degrees_of_freedom = queries.checked_sub(1)?;
    let t = mean / (deviation / (queries as f64).sqrt());
    let distribution = StudentsT::new(0.0, 1.0, degrees_of_freedom as f64).ok()?;
    Some(StudentTest { t, degrees_of_freedom, p: (2.0 * distribution.sf(t.abs())).min(1.0) })
}

fn randomisation(differences: &[f64], seed: u64) -> Randomisation {
    // A difference of 0 is the same under either sign.
    let differing: Vec<f64> = differences
        .iter()
        .map(|difference| difference.abs())
        .filter(|&difference| difference > TIE)
        .collect();
    let observed = differences.iter().sum::<f64>().abs();
    // Sums of the same numbers in another order differ by rounding.
    let reached = observed - differing.iter().sum::<f64>() * 1e-12;
    if differing.len() <= EXACT_QUERIES {
        let assignments = 1_usize << differing.len();
        let as_large = count_as_large(&differing, 0.0, reached);
        return Randomisation { p: as_large as f64 / assignments as f64, exact: true, assignments };
    }
    let mut random = Rng::with_seed(seed);
    let drawn_sum = |_| -> f64 {
        differing.iter().map(|&difference| if random.bool() { difference } else { -difference }).sum()
    };
    let as_large = (0..DRAWN).map(drawn_sum).filter(|sum| sum.abs() >= reached).count();
    // The observed assignment is one of them, so p is never 0 (Phipson and Smyth 2010).
    Randomisation { p: (as_large + 1) as f64 / (DRAWN + 1) as f64, exact: false, assignments: DRAWN }
}

/// How many assignments of signs to `rest` bring `sum` to `reached` or beyond, on either side.
fn count_as_large(rest: &[f64], sum: f64, reached: f64) -> usize {
    match rest {
        [] => usize::from(sum.abs() >= reached),
        [first, rest @ ..] => {
            count_as_large(rest, sum + first, reached) + count_as_large(rest, sum - first, reached)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Protocol, Qrels, Run};
    use fastrand::Rng;
    use proptest::prelude::*;

    fn compared(baseline: &[f64], candidate: &[f64]) -> Comparison {
        compare_values(baseline, candidate, &Bootstrap::default()).unwrap()
    }

    fn close(one: f64, other: f64) {
        assert!((one - other).abs() < 1e-9 * other.abs().max(1.0), "{one} is not {other}");
    }

    /// Checked with `scipy.stats.ttest_rel` and `scipy.stats.permutation_test(permutation_type="samples")`.
    #[test]
    fn ten_queries_as_scipy_has_them() {
        let baseline = [0.42, 0.31, 0.77, 0.50, 0.12, 0.93, 0.64, 0.28, 0.55, 0.70];
        let candidate = [0.55, 0.29, 0.80, 0.61, 0.32, 0.90, 0.72, 0.45, 0.55, 0.81];
        let found = compared(&baseline, &candidate);
        close(found.difference.mean, 0.078);
        close(found.effect_size.unwrap(), 0.973_648_647_999_211_5);
        let student = found.student.unwrap();
        close(student.t, 3.078_947_368_421_052);
        close(student.p, 0.013_162_327_421_549_87);
        assert_eq!(student.degrees_of_freedom, 9);
        close(found.randomisation.p, 0.023_437_5);
        assert_eq!((found.randomisation.exact, found.randomisation.assignments), (true, 512));
        assert_eq!((found.queries, found.wins, found.ties, found.losses), (10, 7, 1, 2));
    }

    #[test]
    fn equal_systems_do_not_differ() {
        let found = compared(&[0.5, 0.25, 1.0], &[0.5, 0.25, 1.0]);
        assert_eq!((found.effect_size, found.student), (None, None));
        assert_eq!((found.randomisation.p, found.ties), (1.0, 3));
        // Better by the same everywhere: no spread, but every sign but one pair of assignments is smaller.
        let found = compared(&[0.0; 4], &[0.25; 4]);
        assert_eq!((found.effect_size, found.randomisation.p), (None, 2.0 / 16.0));
        assert_eq!(compared(&[0.0], &[1.0]).randomisation.p, 1.0);
    }

    #[test]
    fn drawn_assignments_come_near_to_all_of_them() {
        // Both sides of the limit have the same differences; the 21st is tiny.
        let mut random = Rng::with_seed(3);
        let differences: Vec<f64> = (0..20).map(|_| random.f64() - 0.35).collect();
        let exact = randomisation(&differences, 0);
        let mut longer = differences.clone();
        longer.push(1e-6);
        let drawn = randomisation(&longer, 0);
        assert!(exact.exact && !drawn.exact);
        assert!((exact.p - drawn.p).abs() < 0.005, "{exact:?} {drawn:?}");
        assert_eq!(drawn, randomisation(&longer, 0));
    }

    #[test]
    fn chance_is_rarely_called_a_difference() {
        let mut random = Rng::with_seed(11);
        let mut found = |shift: f64| {
            let baseline: Vec<f64> = (0..15).map(|_| random.f64()).collect();
            let candidate: Vec<f64> =
                baseline.iter().map(|value| value + shift + 0.4 * (random.f64() - 0.5)).collect();
            let differences: Vec<f64> =
                baseline.iter().zip(&candidate).map(|(one, other)| other - one).collect();
            randomisation(&differences, 0).p < 0.05
        };
        let false_alarms = (0..200).filter(|_| found(0.0)).count();
        let detected = (0..50).filter(|_| found(0.2)).count();
        // 10 of 200 are expected, with a standard deviation of 3.
        assert!(false_alarms <= 22, "{false_alarms}");
        assert!(detected >= 48, "{detected}");
    }

    #[test]
    fn only_pairs_are_compared() {
        let error = compare_values(&[1.0], &[1.0, 2.0], &Bootstrap::default()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Mismatch);
        let qrels = Qrels::from_judgements([("p", "a", 1), ("q", "b", 1)]).unwrap();
        let returned = Protocol { queries: crate::CountedQueries::Returned, ..Protocol::default() };
        let evaluated = |queries: &[&str], protocol| {
            let mut run = Run::new("system");
            for &query in queries {
                run.insert_order(query, ["a"]).unwrap();
            }
            Evaluation::of(&qrels, &run, &[Measure::NDCG_10], protocol).unwrap()
        };
        let (both, one) = (evaluated(&["p", "q"], &returned), evaluated(&["p"], &returned));
        let error = compare(&both, &one, Measure::NDCG_10, &Bootstrap::default()).unwrap_err();
        assert!(error.to_string().contains("`q` is in one of them only"), "{error}");
        let error = compare(&both, &both, Measure::MRR_10, &Bootstrap::default()).unwrap_err();
        assert!(error.to_string().contains("not evaluated by mrr@10"), "{error}");
        let all = evaluated(&["p"], &Protocol::default());
        assert!(compare(&both, &all, Measure::NDCG_10, &Bootstrap::default()).is_err());
        assert_eq!(compare(&both, &both, Measure::NDCG_10, &Bootstrap::default()).unwrap().ties, 2);
    }

    proptest! {
        #[test]
        fn exchanging_the_systems_exchanges_the_sides(
            values in prop::collection::vec((0.0_f64..1.0, 0.0_f64..1.0), 2..15),
        ) {
            let (one, other): (Vec<f64>, Vec<f64>) = values.into_iter().unzip();
            let (forth, back) = (compared(&one, &other), compared(&other, &one));
            prop_assert!((forth.difference.mean + back.difference.mean).abs() < 1e-12);
            prop_assert_eq!((forth.wins, forth.losses), (back.losses, back.wins));
            prop_assert_eq!(forth.randomisation, back.randomisation);
            let p = |found: &Comparison| found.student.map_or(-1.0, |student| student.p);
            prop_assert!((p(&forth) - p(&back)).abs() < 1e-9);
        }
    }
}

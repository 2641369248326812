//! Fitting a curve, and trying it on queries it has not seen.

use super::curve::{Calibration, Curve, Method};
use super::isotonic::Isotonic;
use super::platt::Platt;
use super::reliability::Reliability;
use super::separation::{Separation, separation};
use crate::cross_validation::CrossValidation;
use crate::{Error, ErrorKind, Protocol, Qrels, Result, Run};
use serde::Serialize;
use std::collections::BTreeSet;

/// A scored document with a label.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Whose result it is: samples of one query are held out together.
    pub query: String,
    /// What is calibrated.
    pub score: f64,
    /// The label.
    pub relevant: bool,
}

/// Samples to fit on.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Samples {
    /// The labelled ones.
    pub samples: Vec<Sample>,
    /// Scored documents without a judgement: not known to be irrelevant, so not fitted on.
    pub unjudged: usize,
}

impl Samples {
    /// The judged results of a run; relevant from the protocol's grade on.
    ///
    /// # Errors
    /// No query of the run is judged.
    pub fn of(qrels: &Qrels, run: &Run, protocol: &Protocol) -> Result<Self> {
        let mut samples = Self::default();
        for query in protocol.counted(qrels, &[run])? {
            let Some(judged) = qrels.judged(query) else { continue };
            for scored in run.results(query).unwrap_or_default() {
                let Some(judgement) = judged.get(&scored.document) else {
                    samples.unjudged += 1;
                    continue;
                };
                samples.samples.push(Sample {
                    query: query.to_owned(),
                    score: f64::from(scored.score),
                    relevant: judgement.grade >= protocol.relevant_from,
                });
            }
        }
        Ok(samples)
    }
}

/// A calibration, and how far it is to be trusted.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CalibrationFit {
    /// Fitted on all samples.
    pub calibration: Calibration,
    /// How many samples were fitted on.
    pub samples: usize,
    /// How many of them are relevant.
    pub relevant: usize,
    /// Of how many queries.
    pub queries: usize,
    /// Results without a judgement, left out.
    pub unjudged: usize,
    /// Of probabilities by curves that were fitted without the query's fold: what to expect of other queries.
    pub held_out: Reliability,
    /// The held-out Brier score of the other method, if the method was to be found.
    pub other_brier: Option<f64>,
    /// Whether a threshold can mean anything. Say it with the threshold.
    pub separation: Separation,
}

/// Fits a calibration; without a `method`, the one with the lower held-out Brier score, Platt's if they are equal.
///
/// # Errors
/// Samples of one kind only, as a whole or without a fold; fewer queries than folds; a score that is no finite number.
pub fn fit_calibration(
    samples: &Samples,
    method: Option<Method>,
    validation: &CrossValidation,
) -> Result<CalibrationFit> {
    let all = &samples.samples;
    if let Some(odd) = all.iter().find(|sample| !sample.score.is_finite()) {
        return Err(Error::new(
            ErrorKind::Malformed,
            format!("score `{}` of query `{}` is not a finite number", odd.score, odd.query),
        ));
    }
    let relevant = all.iter().filter(|sample| sample.relevant).count();
    if relevant == 0 || relevant == all.len() {
        return Err(Error::new(
            ErrorKind::Empty,
            format!(
                "{relevant} of {} labelled results are relevant; a calibration needs both kinds, so judge more results",
                all.len()
            ),
        ));
    }
    let queries: Vec<&str> =
        all.iter().map(|sample| sample.query.as_str()).collect::<BTreeSet<_>>().into_iter().collect();
    let folds = folds_of(all, &queries, validation)?;
    let methods = method.map_or(vec![Method::Platt, Method::Isotonic], |method| vec![method]);
    let mut tried = Vec::new();
    for method in methods {
        tried.push((method, Reliability::of(&held_out(all, &folds, validation.folds, method)?)));
    }
    tried.sort_by(|one, other| one.1.brier.total_cmp(&other.1.brier));
    let other_brier = tried.get(1).map(|(_, reliability)| reliability.brier);
    let (method, held_out) = tried.swap_remove(0);
    let points: Vec<(f64, bool)> = all.iter().map(|sample| (sample.score, sample.relevant)).collect();
    Ok(CalibrationFit {
        calibration: fit(&points, method),
        samples: all.len(),
        relevant,
        queries: queries.len(),
        unjudged: samples.unjudged,
        held_out,
        other_brier,
        separation: separation(all),
    })
}

fn fit(points: &[(f64, bool)], method: Method) -> Calibration {
    Calibration::of(match method {
        Method::Platt => Curve::Platt(Platt::fit(points)),
        Method::Isotonic => Curve::Isotonic(Isotonic::fit(points)),
    })
}

/// The fold of each sample: its query's.
fn folds_of(samples: &[Sample], queries: &[&str], validation: &CrossValidation) -> Result<Vec<usize>> {
    let folds = validation.assign(queries.len())?;
    // Every query is among them.
    let place = |sample: &Sample| queries.binary_search(&sample.query.as_str()).unwrap_or_default();
    Ok(samples.iter().map(|sample| folds[place(sample)]).collect())
}

/// Each sample's probability by a curve fitted without its fold, and its label.
fn held_out(samples: &[Sample], folds: &[usize], count: usize, method: Method) -> Result<Vec<(f64, bool)>> {
    let mut predictions = Vec::with_capacity(samples.len());
    for fold in 0..count {
        let of_fold = |wanted: bool| {
            samples
                .iter()
                .zip(folds)
                .filter(move |&(_, &of)| (of == fold) == wanted)
                .map(|(sample, _)| sample)
        };
        let others: Vec<(f64, bool)> = of_fold(false).map(|sample| (sample.score, sample.relevant)).collect();
        if others.iter().all(|(_, relevant)| *relevant) || !others.iter().any(|(_, relevant)| *relevant) {
            return Err(Error::new(
                ErrorKind::Empty,
                format!(
                    "without one of {count} folds the {} labelled results left are of one kind; judge more queries",
                    others.len()
                ),
            ));
        }
        let curve = fit(&others, method);
        predictions.extend(of_fold(true).map(|sample| (curve.probability(sample.score), sample.relevant)));
    }
    Ok(predictions)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calibration::Separability;
    use fastrand::Rng;

    /// 200 queries of ten results, relevant with the planted probability of the score.
    fn drawn(planted: impl Fn(f64) -> f64, seed: u64) -> Samples {
        let mut random = Rng::with_seed(seed);
        let samples = (0..2000)
            .map(|at| {
                let score = random.f64() * 8.0 - 4.0;
                Sample { query: format!("q{}", at / 10), score, relevant: random.f64() < planted(score) }
            })
            .collect();
        Samples { samples, unjudged: 0 }
    }

    fn logistic(score: f64) -> f64 {
        1.0 / (1.0 + (-1.5 * score + 1.0).exp())
    }

    fn step(score: f64) -> f64 {
        if score < -2.0 { 0.02 } else { 0.45 }
    }

    fn fitted(samples: &Samples) -> CalibrationFit {
        fit_calibration(samples, None, &CrossValidation::default()).unwrap()
    }

    #[test]
    fn the_planted_shape_is_chosen_and_its_probabilities_hold() {
        for seed in 0..3 {
            let smooth = fitted(&drawn(logistic, seed));
            assert_eq!(smooth.calibration.method(), Method::Platt);
            let stepped = fitted(&drawn(step, seed));
            assert_eq!(stepped.calibration.method(), Method::Isotonic);
            for fit in [&smooth, &stepped] {
                assert!(fit.held_out.ece < 0.04, "{:?}", fit.held_out);
                assert!(fit.held_out.brier < fit.other_brier.unwrap(), "{fit:?}");
                assert_eq!((fit.samples, fit.queries), (2000, 200));
            }
            for score in [-3.0, 0.0, 0.7, 3.0] {
                assert!((smooth.calibration.probability(score) - logistic(score)).abs() < 0.06, "{smooth:?}");
            }
            assert_eq!(stepped.separation.separability, Separability::Overlapping);
        }
    }

    #[test]
    fn labels_without_a_pattern_are_called_that() {
        let fit = fitted(&drawn(|_| 0.3, 5));
        assert_eq!(fit.separation.separability, Separability::None);
        assert!((fit.calibration.probability(0.0) - 0.3).abs() < 0.05);
        assert!(fit.separation.to_string().starts_with("no separation"), "{}", fit.separation);
    }

    #[test]
    fn the_reported_error_is_that_of_unseen_queries() {
        // All of a query's samples have one label and one score: a curve that saw the query would know its label.
        let mut random = Rng::with_seed(2);
        let samples = (0..60)
            .flat_map(|query| {
                let (score, relevant) = (random.f64(), random.bool());
                (0..20).map(move |_| Sample { query: format!("q{query}"), score, relevant })
            })
            .collect();
        let samples = Samples { samples, unjudged: 0 };
        let fit = fit_calibration(&samples, Some(Method::Isotonic), &CrossValidation::default()).unwrap();
        assert!(fit.held_out.brier > 0.2, "{:?}", fit.held_out);
        assert_eq!(fit.other_brier, None);
    }

    #[test]
    fn samples_are_the_judged_results() {
        let qrels = Qrels::from_judgements([("p", "a", 2), ("p", "b", 1), ("q", "a", 2)]).unwrap();
        let mut run = Run::new("reranker");
        run.insert_order("p", ["b", "x", "a"]).unwrap();
        run.insert_order("r", ["b"]).unwrap();
        let protocol = Protocol { relevant_from: 2, ..Protocol::default() };
        let found = Samples::of(&qrels, &run, &protocol).unwrap();
        let labels: Vec<(f64, bool)> =
            found.samples.iter().map(|sample| (sample.score, sample.relevant)).collect();
        assert_eq!((labels, found.unjudged), (vec![(3.0, false), (1.0, true)], 1));
    }

    #[test]
    fn what_cannot_be_fitted_is_refused() {
        let refused =
            |samples: Samples| fit_calibration(&samples, None, &CrossValidation::default()).unwrap_err();
        assert!(refused(drawn(|_| 0.0, 1)).to_string().contains("0 of 2000 labelled results are relevant"));
        assert!(refused(drawn(|_| 1.0, 1)).to_string().contains("needs both kinds"));
        let mut few = drawn(logistic, 1);
        few.samples.truncate(30);
        assert_eq!(refused(few).kind(), ErrorKind::Settings);
        let mut one_relevant = drawn(|_| 0.0, 1);
        one_relevant.samples[7].relevant = true;
        assert!(refused(one_relevant).to_string().contains("judge more queries"));
        let mut odd = drawn(logistic, 1);
        odd.samples[3].score = f64::NAN;
        assert!(refused(odd).to_string().contains("score `NaN` of query `q0`"));
    }
}

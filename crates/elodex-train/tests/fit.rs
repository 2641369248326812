//! Scores from battles: published values, planted scores, and what has no answer.

use elodex_train::ErrorKind;
use elodex_train::fit::{Fit, FitOptions, Link, Outcome, fit};
use fastrand::Rng;
use proptest::prelude::*;

const EXACT: FitOptions = FitOptions { link: Link::BradleyTerry, prior: 0.0 };
const LINKS: [Link; 2] = [Link::BradleyTerry, Link::Thurstone];

fn outcome(first: usize, second: usize, preference: f64) -> Outcome {
    Outcome { first, second, preference, weight: 1.0, head_start: 0.0 }
}

fn names(count: usize) -> Vec<String> {
    (0..count).map(|item| format!("d{item}")).collect()
}

fn golden() -> Vec<Outcome> {
    [(0, 1, 0.9), (1, 2, 0.7), (2, 3, 0.8), (3, 0, 0.05), (0, 2, 0.95), (1, 3, 0.6)]
        .map(|(first, second, preference)| outcome(first, second, preference))
        .into()
}

fn assert_close(found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() <= tolerance, "{found} is not {expected}");
    }
}

/// Draws a normal number by Box and Muller.
fn normal(random: &mut Rng) -> f64 {
    (-2.0 * (1.0 - random.f64()).ln()).sqrt() * (std::f64::consts::TAU * random.f64()).cos()
}

/// A judge that sees the difference of two latent scores through its noise.
fn noisy_judge(margin: f64, random: &mut Rng) -> f64 {
    let seen = margin + 0.2 * normal(random);
    0.98 / (1.0 + (-seen).exp()) + 0.02 * random.f64()
}

/// Neighbours in random orders of all items, closed to cycles.
fn cycles(items: usize, count: usize, random: &mut Rng) -> Vec<(usize, usize)> {
    let mut pairs = Vec::new();
    let mut order: Vec<usize> = (0..items).collect();
    for _ in 0..count {
        random.shuffle(&mut order);
        pairs.extend((0..items).map(|at| (order[at], order[(at + 1) % items])));
    }
    pairs
}

fn planted(seed: u64) -> (Vec<f64>, Vec<Outcome>) {
    let mut random = Rng::with_seed(seed);
    let latent: Vec<f64> = (0..100).map(|_| 1.4 * normal(&mut random)).collect();
    let outcomes = cycles(100, 4, &mut random)
        .into_iter()
        .map(|(first, second)| {
            outcome(first, second, noisy_judge(latent[first] - latent[second], &mut random))
        })
        .collect();
    (latent, outcomes)
}

fn pearson(left: &[f64], right: &[f64]) -> f64 {
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let (left_mean, right_mean) = (mean(left), mean(right));
    let mut sums = [0.0; 3];
    for (left, right) in left.iter().zip(right) {
        let (left, right) = (left - left_mean, right - right_mean);
        sums[0] += left * right;
        sums[1] += left * left;
        sums[2] += right * right;
    }
    sums[0] / (sums[1] * sums[2]).sqrt()
}

fn spearman(left: &[f64], right: &[f64]) -> f64 {
    let ranks = |values: &[f64]| {
        let mut order: Vec<usize> = (0..values.len()).collect();
        order.sort_by(|&one, &other| values[one].total_cmp(&values[other]));
        let mut ranks = vec![0.0; values.len()];
        order.iter().enumerate().for_each(|(rank, &item)| ranks[item] = rank as f64);
        ranks
    };
    pearson(&ranks(left), &ranks(right))
}

#[test]
fn exact_maxima_are_those_computed_elsewhere() {
    let bradley_terry = fit(&names(4), &golden(), &EXACT).unwrap();
    assert_close(&bradley_terry.scores, &[2.030_710, -0.243_121, -0.562_824, -1.224_765], 1e-6);
    assert_close(&[bradley_terry.negative_log_likelihood], &[2.628_905], 1e-6);
    let thurstone = fit(&names(4), &golden(), &FitOptions { link: Link::Thurstone, prior: 0.0 }).unwrap();
    assert_close(&thurstone.scores, &[0.815_092, -0.089_954, -0.224_932, -0.500_206], 1e-6);
    assert_close(&[thurstone.negative_log_likelihood], &[2.633_630], 1e-6);
    assert!(thurstone.is_connected() && thurstone.pairs == 6);
}

#[test]
fn two_items_have_the_closed_form() {
    // logit(0.8), shared between the two; information n·p·(1 − p) of the difference, whose half each score is.
    let battles = vec![outcome(0, 1, 0.8); 25];
    let Fit { scores, standard_errors, pairs, .. } = fit(&names(2), &battles, &EXACT).unwrap();
    let half = 0.5 * 4.0_f64.ln();
    assert_close(&scores, &[half, -half], 1e-9);
    assert_close(&standard_errors, &[0.25, 0.25], 1e-9);
    assert_eq!(pairs, 1);
    let once = Outcome { weight: 25.0, ..outcome(1, 0, 0.2) };
    assert_close(&fit(&names(2), &[once], &EXACT).unwrap().scores, &scores, 1e-9);
}

#[test]
fn standard_errors_hold_the_true_scores_about_as_often_as_they_say() {
    // Hard votes drawn from the model itself.
    let mut random = Rng::with_seed(11);
    let (mut held, mut all) = (0, 0);
    for _ in 0..30 {
        let mut latent: Vec<f64> = (0..20).map(|_| 0.4 * normal(&mut random)).collect();
        let mean = latent.iter().sum::<f64>() / 20.0;
        latent.iter_mut().for_each(|score| *score -= mean);
        let battles: Vec<Outcome> = cycles(20, 20, &mut random)
            .into_iter()
            .map(|(first, second)| {
                let wins = random.f64() < Link::Thurstone.probability(latent[first] - latent[second]);
                outcome(first, second, f64::from(u8::from(wins)))
            })
            .collect();
        let found = fit(&names(20), &battles, &FitOptions::default()).unwrap();
        for ((score, error), latent) in found.scores.iter().zip(&found.standard_errors).zip(&latent) {
            held += usize::from((score - latent).abs() < 1.96 * error);
            all += 1;
        }
    }
    // 570 of 600 are expected.
    assert!((545..=592).contains(&held), "{held} of {all}");
}

#[test]
fn separable_battles_are_refused_without_a_prior_and_finite_with_one() {
    let battles: Vec<Outcome> =
        (0..6).flat_map(|low| (low + 1..6).map(move |high| outcome(high, low, 1.0))).collect();
    for link in LINKS {
        let error = fit(&names(6), &battles, &FitOptions { link, prior: 0.0 }).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Undetermined);
        assert!(error.to_string().contains("fit with a prior such as 0.01"), "{error}");
        for prior in [1e-2, 1e-6, 1e-9] {
            let found = fit(&names(6), &battles, &FitOptions { link, prior }).unwrap();
            assert!(
                found.scores.is_sorted() && found.scores.iter().all(|score| score.is_finite()),
                "{found:?}"
            );
            assert!(found.standard_errors.iter().all(|error| error.is_finite() && *error > 0.0), "{found:?}");
        }
    }
    // One that wins everything, among others that are tied both ways.
    let mut battles = golden();
    battles.push(outcome(4, 0, 1.0));
    let error = fit(&names(5), &battles, &EXACT).unwrap_err();
    assert!(error.to_string().starts_with("`d4` lost nothing to the 4 others"), "{error}");
}

#[test]
fn groups_that_never_met_are_named() {
    let battles = [outcome(0, 1, 0.6), outcome(2, 3, 0.9), outcome(3, 4, 0.6)];
    let error = fit(&names(6), &battles, &EXACT).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Undetermined);
    assert!(
        error.to_string().starts_with(
            "battles fall into 3 groups that never met: (`d2`, `d3`, `d4`), (`d0`, `d1`), (`d5`)"
        ),
        "{error}"
    );
    let found = fit(&names(6), &battles, &FitOptions::default()).unwrap();
    assert!(!found.is_connected());
    assert_eq!(found.components, [vec![2, 3, 4], vec![0, 1], vec![5]]);
    assert_close(&[found.scores[0] + found.scores[1], found.scores[5]], &[0.0, 0.0], 1e-9);
    // What nothing is known of is as unsure as the prior.
    let prior = (5.0 / 6.0 / 1e-2_f64).sqrt();
    assert_close(&[found.standard_errors[5]], &[prior], 1e-6);
}

#[test]
fn what_cannot_be_meant_is_refused() {
    let fine = outcome(0, 1, 0.5);
    for bad in [
        Outcome { second: 0, ..fine },
        Outcome { second: 2, ..fine },
        Outcome { preference: 1.1, ..fine },
        Outcome { preference: f64::NAN, ..fine },
        Outcome { weight: 0.0, ..fine },
        Outcome { weight: f64::INFINITY, ..fine },
        Outcome { head_start: f64::NAN, ..fine },
    ] {
        assert_eq!(fit(&names(2), &[bad], &EXACT).unwrap_err().kind(), ErrorKind::Request, "{bad:?}");
    }
    for prior in [-1.0, 1e-12, f64::NAN, f64::INFINITY] {
        let options = FitOptions { prior, ..EXACT };
        assert_eq!(fit(&names(2), &[fine], &options).unwrap_err().kind(), ErrorKind::Request, "{prior}");
    }
    assert!(fit::<String>(&[], &[], &EXACT).is_err());
    assert_eq!(fit(&names(1), &[], &EXACT).unwrap().scores, [0.0]);
}

#[test]
fn biases_between_queries_are_recovered() {
    let mut random = Rng::with_seed(3);
    let queries = 60;
    let mut bias: Vec<f64> = (0..queries).map(|_| 0.5 * normal(&mut random)).collect();
    let mean = bias.iter().sum::<f64>() / f64::from(queries);
    bias.iter_mut().for_each(|bias| *bias -= mean);
    for link in LINKS {
        let battles: Vec<Outcome> = cycles(queries as usize, 6, &mut random)
            .into_iter()
            .map(|(first, second)| {
                let head_start = 1.5 * (random.f64() - random.f64());
                let preference = link.probability(head_start + bias[first] - bias[second]);
                let preference = 0.98 * preference + 0.02 * random.f64();
                Outcome { head_start, ..outcome(first, second, preference) }
            })
            .collect();
        let found = fit(&names(queries as usize), &battles, &FitOptions { link, prior: 1e-2 }).unwrap();
        assert!(pearson(&found.scores, &bias) > 0.98, "{link:?}: {}", pearson(&found.scores, &bias));
        let worst =
            found.scores.iter().zip(&bias).map(|(found, bias)| (found - bias).abs()).fold(0.0, f64::max);
        assert!(worst < 0.25, "{link:?}: {worst}");
        assert!(found.scores.iter().sum::<f64>().abs() < 1e-9);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn planted_scores_are_recovered_from_eight_battles_each(seed: u64) {
        let (latent, battles) = planted(seed);
        for link in LINKS {
            let found = fit(&names(100), &battles, &FitOptions { link, prior: 1e-2 }).unwrap();
            let agreement = spearman(&found.scores, &latent);
            prop_assert!(agreement >= 0.95, "{:?}: {}", link, agreement);
            prop_assert!(found.scores.iter().sum::<f64>().abs() < 1e-9);
        }
    }

    #[test]
    fn neither_the_order_of_battles_nor_of_items_matters(seed: u64) {
        let (_, battles) = planted(seed);
        let mut random = Rng::with_seed(seed);
        let mut shuffled = battles.clone();
        random.shuffle(&mut shuffled);
        let mut places: Vec<usize> = (0..100).collect();
        random.shuffle(&mut places);
        let moved: Vec<Outcome> = shuffled
            .iter()
            .map(|battle| outcome(places[battle.second], places[battle.first], 1.0 - battle.preference))
            .collect();
        let options = FitOptions::default();
        let found = fit(&names(100), &battles, &options).unwrap();
        prop_assert_eq!(&found, &fit(&names(100), &shuffled, &options).unwrap());
        let other = fit(&names(100), &moved, &options).unwrap();
        for (item, &place) in places.iter().enumerate() {
            prop_assert!((found.scores[item] - other.scores[place]).abs() < 1e-9);
            prop_assert!((found.standard_errors[item] - other.standard_errors[place]).abs() < 1e-9);
        }
    }

    #[test]
    fn hard_votes_stay_finite_with_the_prior(seed: u64, items in 2_usize..40) {
        let mut random = Rng::with_seed(seed);
        let battles: Vec<Outcome> = cycles(items, 2, &mut random)
            .into_iter()
            .map(|(first, second)| outcome(first, second, f64::from(u8::from(first > second))))
            .collect();
        for link in LINKS {
            let found = fit(&names(items), &battles, &FitOptions { link, prior: 1e-2 }).unwrap();
            prop_assert!(found.scores.iter().chain(&found.standard_errors).all(|value| value.is_finite()));
            prop_assert!(found.scores[items - 1] > found.scores[0]);
        }
    }
}

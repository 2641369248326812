//! Fitting the weights and depths of reciprocal-rank fusion to a collection's labels.

use crate::cross_validation::{Chosen, CrossValidation, choose_held_out, mean_of};
use crate::evaluation::mean;
use crate::significance::{Comparison, compare_values};
use crate::{Error, ErrorKind, Measure, Objective, Result, Run};
use serde::Serialize;
use std::collections::HashMap;

/// More settings than this are refused: the best of so many is mostly luck.
const MOST_SETTINGS: usize = 10_000;

/// Means closer than this are the same.
const SAME: f64 = 1e-12;

/// How much a first rank counts over a later one, as in the paper (Cormack, Clarke and Büttcher, SIGIR 2009).
pub const RRF_K: f64 = 60.0;

/// One way to fuse lists.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FusionSetting {
    /// A weight per list, the largest 1; a list with weight 0 takes no part.
    pub weights: Vec<f64>,
    /// How many of its first documents each list contributes.
    pub depths: Vec<usize>,
}

/// The settings a fit chooses from.
#[derive(Debug, Clone, PartialEq)]
pub struct FusionGrid {
    /// Weights are multiples of 1 / `steps` that sum to 1, then scaled; 10 gives eleven pairs of weights for two lists.
    pub steps: usize,
    /// The depths each list may have. The largest, for every list, is the default that the fit is compared with.
    pub depths: Vec<usize>,
    /// The constant of reciprocal-rank fusion.
    pub k: f64,
}

impl Default for FusionGrid {
    fn default() -> Self {
        Self { steps: 10, depths: vec![100], k: RRF_K }
    }
}

/// Fitted weights and depths, and what they are worth.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FusionFit {
    /// What was fitted by.
    pub measure: Measure,
    /// The lists' names.
    pub lists: Vec<String>,
    /// Chosen on all queries.
    pub setting: FusionSetting,
    /// Chosen without each fold: if these differ much, the labels do not decide.
    pub by_fold: Vec<FusionSetting>,
    /// The measure's mean by each list alone, at the largest depth.
    pub alone: Vec<f64>,
    /// The measure's mean with [`FusionFit::setting`], on the queries it was chosen on: too good.
    pub fitted: f64,
    /// Equal weights and the largest depth against the fit, every query fused with the setting chosen without it. Its
    /// `difference` is the gain to expect.
    pub held_out: Comparison,
}

impl FusionFit {
    /// Whether the gain on queries that were not fitted is above 0 with the interval's confidence. If not, equal
    /// weights are as well supported by the labels.
    pub fn is_worthwhile(&self) -> bool {
        self.held_out.difference.low > 0.0
    }
}

/// Fits weights and depths of `lists` to an objective.
///
/// Of settings with the same mean the one nearest to equal weights is taken, then the shallowest.
///
/// # Errors
/// Fewer than two lists, or none with a judged query; a grid without depths, or of more than 10,000 settings; more
/// folds than queries.
pub fn fit_fusion(
    objective: &Objective<'_>,
    lists: &[Run],
    grid: &FusionGrid,
    validation: &CrossValidation,
) -> Result<FusionFit> {
    let settings = grid.settings(lists.len())?;
    let runs: Vec<&Run> = lists.iter().collect();
    let queries = objective.protocol.counted(objective.qrels, &runs)?;
    let folds = validation.assign(queries.len())?;
    let pools: Vec<Pool<'_>> = queries.iter().map(|query| Pool::of(lists, query)).collect();
    let evaluate = |setting: &FusionSetting| -> Vec<f64> {
        let value = |(query, pool): (&&str, &Pool<'_>)| objective.value(query, &pool.fuse(setting, grid.k));
        queries.iter().zip(&pools).map(value).collect()
    };
    let values: Vec<Vec<f64>> = settings.iter().map(evaluate).collect();
    let Chosen { setting, by_fold, held_out } = choose_held_out(&folds, |seen| {
        let mut best = (0, mean_of(&values[0], seen));
        for (setting, values) in values.iter().enumerate().skip(1) {
            let reached = mean_of(values, seen);
            if reached > best.1 + SAME {
                best = (setting, reached);
            }
        }
        best.0
    });
    let fitted: Vec<f64> =
        held_out.iter().enumerate().map(|(query, &setting)| values[setting][query]).collect();
    let deepest = &settings[0].depths;
    let alone = (0..lists.len()).map(|list| {
        let weights = (0..lists.len()).map(|other| f64::from(u8::from(other == list))).collect();
        mean(&evaluate(&FusionSetting { weights, depths: deepest.clone() }))
    });
    Ok(FusionFit {
        measure: objective.measure,
        lists: lists.iter().map(|list| list.tag().to_owned()).collect(),
        alone: alone.collect(),
        by_fold: by_fold.into_iter().map(|setting| settings[setting].clone()).collect(),
        fitted: mean(&values[setting]),
        setting: settings[setting].clone(),
        held_out: compare_values(&values[0], &fitted, &validation.bootstrap)?,
    })
}

impl FusionGrid {
    /// Every setting for `lists` lists: the default first, then the nearer to it the earlier.
    fn settings(&self, lists: usize) -> Result<Vec<FusionSetting>> {
        let refuse = |message: String| Err(Error::new(ErrorKind::Settings, message));
        if lists < 2 {
            return refuse(format!("{lists} lists leave nothing to fuse; give at least two"));
        }
        let mut choices = self.depths.clone();
        choices.sort_unstable();
        choices.dedup();
        let Some(&deepest) = choices.last() else {
            return refuse("no depths to choose from; give at least one".to_owned());
        };
        if self.steps == 0 || self.depths.contains(&0) || !(self.k.is_finite() && self.k >= 0.0) {
            return refuse("steps and depths must be at least 1, and k a number of at least 0".to_owned());
        }
        let weights = compositions(self.steps, lists).saturating_add(1);
        let depths = choices.len().saturating_pow(u32::try_from(lists).unwrap_or(u32::MAX));
        let count = weights.saturating_mul(depths);
        if count > MOST_SETTINGS {
            return refuse(format!(
                "the grid has {count} settings for {lists} lists, more than {MOST_SETTINGS}; use fewer steps or depths"
            ));
        }
        let equal = vec![1.0; lists];
        let mut weightings = simplex(self.steps, lists);
        if !weightings.contains(&equal) {
            weightings.push(equal.clone());
        }
        let mut settings = Vec::with_capacity(count);
        for weights in weightings {
            for depths in product(&choices, lists) {
                // The depth of a list without weight says nothing: one will do.
                let repeated = (0..lists).any(|list| weights[list] == 0.0 && depths[list] != deepest);
                if !repeated {
                    settings.push(FusionSetting { weights: weights.clone(), depths });
                }
            }
        }
        let default = FusionSetting { weights: equal, depths: vec![deepest; lists] };
        let distance =
            |setting: &FusionSetting| setting.weights.iter().map(|weight| 1.0 - weight).sum::<f64>();
        settings.sort_by(|one, other| {
            (*other == default)
                .cmp(&(*one == default))
                .then_with(|| distance(one).total_cmp(&distance(other)))
                .then_with(|| one.depths.iter().sum::<usize>().cmp(&other.depths.iter().sum()))
        });
        Ok(settings)
    }
}

/// Ways to write `total` as an ordered sum of `parts` numbers from 0.
fn compositions(total: usize, parts: usize) -> usize {
    // Binomial of (total + parts − 1) over (parts − 1), built so that every step is a whole number.
    (1..parts).fold(1_usize, |count, part| count.saturating_mul(total + part) / part)
}

/// Weights in multiples of 1 / `steps` that sum to 1, scaled so that the largest is 1.
fn simplex(steps: usize, lists: usize) -> Vec<Vec<f64>> {
    let mut shares: Vec<Vec<usize>> = vec![Vec::new()];
    for _ in 1..lists {
        shares = shares
            .into_iter()
            .flat_map(|taken| {
                let left = steps - taken.iter().sum::<usize>();
                (0..=left).map(move |share| [taken.as_slice(), &[share]].concat())
            })
            .collect();
    }
    shares
        .into_iter()
        .map(|mut taken| {
            taken.push(steps - taken.iter().sum::<usize>());
            let largest = taken.iter().copied().max().unwrap_or(1).max(1) as f64;
            taken.into_iter().map(|share| share as f64 / largest).collect()
        })
        .collect()
}

fn product(depths: &[usize], lists: usize) -> Vec<Vec<usize>> {
    (0..lists).fold(vec![Vec::new()], |chosen: Vec<Vec<usize>>, _| {
        let extend =
            |taken: Vec<usize>| depths.iter().map(move |&depth| [taken.as_slice(), &[depth]].concat());
        chosen.into_iter().flat_map(extend).collect()
    })
}

/// The lists of one query, with documents as numbers.
struct Pool<'a> {
    documents: Vec<&'a str>,
    lists: Vec<Vec<usize>>,
}

impl<'a> Pool<'a> {
    fn of(lists: &'a [Run], query: &str) -> Self {
        let mut documents = Vec::new();
        let mut numbers: HashMap<&str, usize> = HashMap::new();
        let mut number = |document: &'a str| {
            *numbers.entry(document).or_insert_with(|| {
                documents.push(document);
                documents.len() - 1
            })
        };
        let lists =
            lists.iter().map(|list| list.order(query).into_iter().map(&mut number).collect()).collect();
        Self { documents, lists }
    }

    /// Documents by `Σ weight / (k + rank)`, best first; equal ones by the best rank in any list, then by id, as the
    /// engine orders them.
    fn fuse(&self, setting: &FusionSetting, k: f64) -> Vec<&'a str> {
        let mut scores = vec![(0.0, usize::MAX); self.documents.len()];
        for ((list, &weight), &depth) in self.lists.iter().zip(&setting.weights).zip(&setting.depths) {
            if weight == 0.0 {
                continue;
            }
            for (position, &document) in list.iter().take(depth).enumerate() {
                let (score, best) = &mut scores[document];
                *score += weight / (k + (position + 1) as f64);
                *best = (*best).min(position);
            }
        }
        let mut order: Vec<usize> =
            (0..scores.len()).filter(|&document| scores[document].1 != usize::MAX).collect();
        order.sort_by(|&one, &other| {
            scores[other]
                .0
                .total_cmp(&scores[one].0)
                .then_with(|| scores[one].1.cmp(&scores[other].1))
                .then_with(|| self.documents[one].cmp(self.documents[other]))
        });
        order.into_iter().map(|document| self.documents[document]).collect()
    }
}

/// Fuses `lists` with a setting into a run of the fused orders.
///
/// # Errors
/// A setting of another number of lists.
pub fn fuse(lists: &[Run], setting: &FusionSetting, k: f64) -> Result<Run> {
    if setting.weights.len() != lists.len() || setting.depths.len() != lists.len() {
        return Err(Error::new(
            ErrorKind::Mismatch,
            format!("a setting of {} lists cannot fuse {}", setting.weights.len(), lists.len()),
        ));
    }
    let tags: Vec<&str> = lists.iter().map(Run::tag).collect();
    let mut fused = Run::new(tags.join("+"));
    let queries: std::collections::BTreeSet<&str> =
        lists.iter().flat_map(|list| list.queries().map(|(query, _)| query)).collect();
    for query in queries {
        fused.insert_order(query, Pool::of(lists, query).fuse(setting, k))?;
    }
    Ok(fused)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Qrels;
    use fastrand::Rng;

    const QUERIES: usize = 80;
    const DOCUMENTS: usize = 40;

    /// Lists that rank one relevant document of 40 by its planted signal and noise, per list, queries in step.
    fn planted(signals: &[f64], seed: u64) -> (Qrels, Vec<Run>) {
        let mut random = Rng::with_seed(seed);
        let mut judgements = Vec::new();
        let mut lists: Vec<Run> = (0..signals.len()).map(|list| Run::new(format!("list{list}"))).collect();
        for query in 0..QUERIES {
            let query = format!("q{query:03}");
            let relevant = random.usize(..DOCUMENTS);
            judgements.push((query.clone(), format!("d{relevant:02}")));
            for (list, signal) in lists.iter_mut().zip(signals) {
                let mut scored: Vec<(f64, usize)> = (0..DOCUMENTS)
                    .map(|document| {
                        (random.f64() + if document == relevant { *signal } else { 0.0 }, document)
                    })
                    .collect();
                scored.sort_by(|one, other| other.0.total_cmp(&one.0));
                let ids: Vec<String> = scored.iter().map(|(_, document)| format!("d{document:02}")).collect();
                list.insert_order(query.clone(), ids.iter().map(String::as_str)).unwrap();
            }
        }
        let rows = judgements.iter().map(|(query, document)| (query.as_str(), document.as_str(), 1));
        (Qrels::from_judgements(rows).unwrap(), lists)
    }

    fn fitted(signals: &[f64], seed: u64, grid: &FusionGrid) -> FusionFit {
        let (qrels, lists) = planted(signals, seed);
        let objective = Objective::new(&qrels, Measure::NDCG_10);
        fit_fusion(&objective, &lists, grid, &CrossValidation::default()).unwrap()
    }

    #[test]
    fn the_better_list_gets_the_weight() {
        for seed in 0..5 {
            let fit = fitted(&[0.7, 0.0], seed, &FusionGrid::default());
            assert!(fit.setting.weights[0] == 1.0 && fit.setting.weights[1] <= 0.5, "{fit:?}");
            assert!(fit.is_worthwhile(), "{fit:?}");
            assert!(fit.held_out.candidate <= fit.fitted + 0.05, "{fit:?}");
            let back = fitted(&[0.0, 0.7], seed, &FusionGrid::default());
            assert!(back.setting.weights[1] == 1.0 && back.setting.weights[0] <= 0.5, "{back:?}");
        }
    }

    #[test]
    fn equal_lists_promise_nothing() {
        let promised =
            (0..10).filter(|&seed| fitted(&[0.5, 0.5], seed, &FusionGrid::default()).is_worthwhile()).count();
        assert!(promised <= 1, "{promised} of 10");
    }

    #[test]
    fn a_list_that_is_noise_below_some_rank_is_cut_there() {
        // Behind the first five documents, the second list's order contradicts the first's.
        let (qrels, lists) = planted(&[0.5], 5);
        let mut misleading = Run::new("misleading");
        for (query, _) in lists[0].queries() {
            let mut order = lists[0].order(query);
            order[5..].reverse();
            misleading.insert_order(query, order).unwrap();
        }
        let lists = [lists[0].clone(), misleading];
        let grid = FusionGrid { steps: 2, depths: vec![5, 40], k: 1.0 };
        let objective = Objective::new(&qrels, "recall@10".parse().unwrap());
        let fit = fit_fusion(&objective, &lists, &grid, &CrossValidation::default()).unwrap();
        assert!(fit.setting.weights[1] == 0.0 || fit.setting.depths[1] == 5, "{fit:?}");
        assert!(fit.fitted > fit.held_out.baseline, "{fit:?}");
    }

    #[test]
    fn three_lists_are_fitted_too() {
        let fit = fitted(&[0.6, 0.0, 0.6], 1, &FusionGrid { steps: 4, ..FusionGrid::default() });
        assert!(fit.setting.weights[1] < fit.setting.weights[0].min(fit.setting.weights[2]), "{fit:?}");
        assert_eq!((fit.alone.len(), fit.by_fold.len()), (3, 5));
        assert!(fit.alone[1] < fit.alone[0], "{fit:?}");
    }

    #[test]
    fn the_default_comes_first_and_nothing_twice() {
        let grid = FusionGrid { steps: 10, depths: vec![10, 50], k: 60.0 };
        let settings = grid.settings(2).unwrap();
        assert_eq!(settings[0], FusionSetting { weights: vec![1.0, 1.0], depths: vec![50, 50] });
        // Nine pairs of weights above 0 with four pairs of depths each, and either list alone with two.
        assert_eq!(settings.len(), 9 * 4 + 2 * 2);
        assert_eq!(FusionGrid::default().settings(3).unwrap().len(), 66 + 1);
        assert_eq!((compositions(10, 2), compositions(10, 3), simplex(10, 3).len()), (11, 66, 66));
    }

    #[test]
    fn the_order_is_the_formula_s() {
        let mut one = Run::new("one");
        one.insert_order("q", ["g", "h"]).unwrap();
        let mut two = Run::new("two");
        two.insert_order("q", ["h", "i", "j"]).unwrap();
        let setting = FusionSetting { weights: vec![1.0, 0.5], depths: vec![2, 2] };
        let fused = fuse(&[one.clone(), two], &setting, 60.0).unwrap();
        // h: 1/62 + 0.5/61, g: 1/61, i: 0.5/62; j lies too deep.
        assert_eq!(fused.order("q"), ["h", "g", "i"]);
        assert_eq!(fused.tag(), "one+two");
        assert_eq!(fuse(&[one], &setting, 60.0).unwrap_err().kind(), ErrorKind::Mismatch);
    }

    #[test]
    fn grids_without_sense_are_refused() {
        let default = FusionGrid::default;
        for (grid, lists) in [
            (default(), 1),
            (FusionGrid { depths: vec![], ..default() }, 2),
            (FusionGrid { depths: vec![0], ..default() }, 2),
            (FusionGrid { steps: 0, ..default() }, 2),
            (FusionGrid { k: f64::NAN, ..default() }, 2),
            (FusionGrid { depths: vec![1, 2, 3, 4], ..default() }, 6),
        ] {
            assert_eq!(grid.settings(lists).unwrap_err().kind(), ErrorKind::Settings, "{grid:?}");
        }
    }
}

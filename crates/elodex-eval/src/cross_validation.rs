//! Choosing a setting on some queries and trying it on others.

use crate::evaluation::mean;
use crate::significance::Bootstrap;
use crate::{Error, ErrorKind, Result};
use fastrand::Rng;
use serde::Serialize;

/// How a fit is checked on queries it has not seen.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct CrossValidation {
    /// Into how many parts the queries are cut, at least 2; each is held out once.
    pub folds: usize,
    /// Of the cut. One build cuts the same for the same seed.
    pub seed: u64,
    /// Of the interval of what was held out.
    pub bootstrap: Bootstrap,
}

impl Default for CrossValidation {
    fn default() -> Self {
        Self { folds: 5, seed: 0, bootstrap: Bootstrap::default() }
    }
}

impl CrossValidation {
    /// The fold of each of `queries`, at random, the folds as equal in size as they can be.
    pub(crate) fn assign(&self, queries: usize) -> Result<Vec<usize>> {
        if self.folds < 2 || self.folds > queries {
            return Err(Error::new(
                ErrorKind::Settings,
                format!(
                    "{queries} queries cannot be cut into {} folds; use 2 or more folds and a judged query for each",
                    self.folds
                ),
            ));
        }
        let mut folds: Vec<usize> = (0..queries).map(|query| query % self.folds).collect();
        Rng::with_seed(self.seed).shuffle(&mut folds);
        Ok(folds)
    }
}

/// Settings chosen by cross-validation, by their places in a list.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Chosen {
    /// The setting chosen on all queries: the one to use.
    pub(crate) setting: usize,
    /// The setting chosen without each fold.
    pub(crate) by_fold: Vec<usize>,
    /// For each query the setting chosen without its fold: what it says of the query is not fitted to it.
    pub(crate) held_out: Vec<usize>,
}

/// Lets `choose` pick a setting from the queries it is given: without each fold, and from all.
pub(crate) fn choose_held_out(folds: &[usize], mut choose: impl FnMut(&[usize]) -> usize) -> Chosen {
    let count = folds.iter().max().map_or(0, |last| last + 1);
    let all: Vec<usize> = (0..folds.len()).collect();
    let by_fold: Vec<usize> = (0..count)
        .map(|fold| {
            let others: Vec<usize> = all.iter().copied().filter(|&query| folds[query] != fold).collect();
            choose(&others)
        })
        .collect();
    let held_out = folds.iter().map(|&fold| by_fold[fold]).collect();
    Chosen { setting: choose(&all), by_fold, held_out }
}

/// The mean of some of the values.
pub(crate) fn mean_of(values: &[f64], queries: &[usize]) -> f64 {
    mean(&queries.iter().map(|&query| values[query]).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn folds_are_equal_in_size_and_the_same_again(queries in 2_usize..60, folds in 2_usize..10, seed: u64) {
            let cut = CrossValidation { folds, seed, ..CrossValidation::default() };
            let Ok(assigned) = cut.assign(queries) else {
                prop_assert!(folds > queries);
                return Ok(());
            };
            prop_assert_eq!(&assigned, &cut.assign(queries).unwrap());
            for fold in 0..folds {
                let size = assigned.iter().filter(|&&other| other == fold).count();
                prop_assert!(size == queries / folds || size == queries.div_ceil(folds));
            }
        }

        #[test]
        fn no_query_helps_to_choose_its_own_setting(folds in prop::collection::vec(0_usize..4, 4..30)) {
            let mut seen = Vec::new();
            let chosen = choose_held_out(&folds, |queries| {
                seen.push(queries.to_vec());
                seen.len() - 1
            });
            for (query, &setting) in chosen.held_out.iter().enumerate() {
                prop_assert!(!seen[setting].contains(&query));
            }
            prop_assert_eq!(seen[chosen.setting].len(), folds.len());
        }
    }

    #[test]
    fn one_fold_holds_nothing_out() {
        let one = CrossValidation { folds: 1, ..CrossValidation::default() };
        assert_eq!(one.assign(10).unwrap_err().kind(), ErrorKind::Settings);
    }
}

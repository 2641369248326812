//! What the first stage leaves possible.

use crate::{Error, ErrorKind, Evaluation, Measure, Protocol, Qrels, Result, Run};
use serde::Serialize;
use std::num::NonZeroUsize;

/// What reranking the first candidates of a run could reach at most.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Ceiling {
    /// How many candidates are reranked.
    pub depth: usize,
    /// The measure.
    pub measure: Measure,
    /// Its mean over the run as it is.
    pub first_stage: f64,
    /// Its mean after a perfect reranker.
    pub ceiling: f64,
    /// Mean recall of the candidates.
    pub pool_recall: f64,
    /// Share of judged documents among the candidates: unjudged ones count as irrelevant, so the true ceiling may be
    /// higher.
    pub pool_judged: f64,
    /// Queries that count without a relevant candidate.
    pub hopeless: usize,
}

impl Ceiling {
    /// The ceiling of reranking the first `depth` candidates of `run`.
    ///
    /// # Errors
    /// Those of [`Evaluation::of`]; a depth of 0.
    pub fn of(qrels: &Qrels, run: &Run, depth: usize, measure: Measure, protocol: &Protocol) -> Result<Self> {
        let Some(cutoff) = NonZeroUsize::new(depth) else {
            return Err(Error::new(
                ErrorKind::Settings,
                "a reranker of 0 candidates has no ceiling; use 1 or more",
            ));
        };
        let recall = Measure::Recall(cutoff);
        let success = Measure::Success(cutoff);
        let first = Evaluation::of(qrels, run, &[measure, recall, success], protocol)?;
        let best = Evaluation::of(qrels, &perfect_rerank(qrels, run, depth)?, &[measure], protocol)?;
        let hits = first.values(success).unwrap_or_default();
        Ok(Self {
            depth,
            measure,
            first_stage: first.mean(measure).unwrap_or_default(),
            ceiling: best.mean(measure).unwrap_or_default(),
            pool_recall: first.mean(recall).unwrap_or_default(),
            pool_judged: pool_judged(qrels, run, depth),
            hopeless: hits.iter().filter(|&&hit| hit == 0.0).count(),
        })
    }
}

/// The run with its first `depth` documents ordered by their grades; equal grades keep their order, and what lies
/// deeper stays where it is. Documents without a judgement, and queries without one, count as not relevant.
///
/// # Errors
/// None in practice: the results of a run are valid in another.
pub fn perfect_rerank(qrels: &Qrels, run: &Run, depth: usize) -> Result<Run> {
    let mut reranked = Run::new(format!("{}+perfect", run.tag()));
    for (query, _) in run.queries() {
        let mut order = run.order(query);
        let candidates = depth.min(order.len());
        let grade = |document: &str| {
            qrels.judged(query).and_then(|judged| judged.get(document)).map_or(0, |found| found.grade.max(0))
        };
        order[..candidates].sort_by_key(|document| -grade(document));
        reranked.insert_order(query, order)?;
    }
    Ok(reranked)
}

fn pool_judged(qrels: &Qrels, run: &Run, depth: usize) -> f64 {
    let mut candidates = 0_usize;
    let mut known = 0_usize;
    for (query, judged) in qrels.queries() {
        let order = run.order(query);
        let pool = &order[..depth.min(order.len())];
        candidates += pool.len();
        known += pool.iter().filter(|document| judged.contains_key(**document)).count();
    }
    known as f64 / candidates.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_ceiling_by_hand() {
        let qrels =
            Qrels::from_judgements([("p", "a", 1), ("p", "b", 2), ("p", "c", 1), ("q", "z", 1)]).unwrap();
        let mut run = Run::new("bm25");
        run.insert_order("p", ["x", "a", "b", "c"]).unwrap();
        run.insert_order("q", ["x", "y"]).unwrap();
        let perfect = perfect_rerank(&qrels, &run, 3).unwrap();
        assert_eq!(perfect.order("p"), ["b", "a", "x", "c"]);
        let ceiling = Ceiling::of(&qrels, &run, 3, Measure::MRR_10, &Protocol::default()).unwrap();
        assert_eq!((ceiling.first_stage, ceiling.ceiling), (0.25, 0.5));
        assert_eq!((ceiling.pool_recall, ceiling.hopeless), (1.0 / 3.0, 1));
        assert_eq!(ceiling.pool_judged, 0.4);
        assert!(Ceiling::of(&qrels, &run, 0, Measure::MRR_10, &Protocol::default()).is_err());
    }

    proptest! {
        #[test]
        fn no_order_of_the_candidates_is_better(
            grades in prop::collection::vec(0_i32..3, 12),
            order in Just((0..12).collect::<Vec<usize>>()).prop_shuffle(),
            other in Just((0..8).collect::<Vec<usize>>()).prop_shuffle(),
        ) {
            let ids: Vec<String> = (0..12).map(|id| format!("d{id:02}")).collect();
            let rows = grades.iter().enumerate().map(|(at, &grade)| ("q", ids[at].as_str(), grade));
            let qrels = Qrels::from_judgements(rows).unwrap();
            let first: Vec<&str> = order.iter().map(|&at| ids[at].as_str()).collect();
            let mut run = Run::new("first");
            run.insert_order("q", first.iter().copied()).unwrap();
            let mut reranked: Vec<&str> = other.iter().map(|&at| first[at]).collect();
            reranked.extend(&first[8..]);
            let ceiling = Ceiling::of(&qrels, &run, 8, Measure::NDCG_10, &Protocol::default()).unwrap();
            let reached = Measure::NDCG_10.value(qrels.judged("q").unwrap(), &reranked, 1);
            prop_assert!(reached <= ceiling.ceiling + 1e-12);
            prop_assert!(ceiling.first_stage <= ceiling.ceiling + 1e-12);
        }
    }
}

//! What other settings would do to the answers' ranks.

use super::lists::{Answer, DEEPEST, Lists, Setup};
use elodex_types::Weights;
use serde::Serialize;

/// Steps of the weights that are tried.
const STEPS: u8 = 10;
/// Depths of the second stage that are tried.
const RERANKED: [usize; 4] = [10, 20, 50, 100];
/// Means closer than this are the same.
const SAME: f64 = 1e-9;

/// A setting and what it does.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Change {
    /// What is to be done.
    pub(crate) what: String,
    /// The systems of an `elodex eval` that tries it on many queries, with what else that command needs.
    pub(crate) proof: String,
    /// Mean reciprocal rank with it.
    pub(crate) after: f64,
    /// Ranks with it, by query.
    pub(crate) ranks: Vec<Option<usize>>,
}

/// A query's lists and what should be in them; `None`: the answer is nowhere.
pub(crate) type Looked = (Lists, Option<Answer>);

/// The mean of 1 / rank, 0 where there is none.
pub(crate) fn mean_reciprocal_rank(ranks: &[Option<usize>]) -> f64 {
    let sum: f64 = ranks.iter().flatten().map(|rank| 1.0 / *rank as f64).sum();
    sum / ranks.len().max(1) as f64
}

fn ranks(looked: &[Looked], setup: &Setup) -> Vec<Option<usize>> {
    looked.iter().map(|(lists, answer)| answer.as_ref()?.rank(&lists.order(setup))).collect()
}

/// Everything that can be tried without searching again, best first. `now` is how the collection is searched.
pub(crate) fn tried(looked: &[Looked], now: &Setup, has_reranker: bool) -> Vec<Change> {
    let mut changes = Vec::new();
    let mut add = |what: String, proof: String, setup: Setup| {
        let ranks = ranks(looked, &setup);
        changes.push(Change { what, proof, after: mean_reciprocal_rank(&ranks), ranks });
    };
    let rerank = now.rerank.map(|depth| format!("+rerank@{depth}")).unwrap_or_default();
    let alone = |dense, lexical| Setup { weights: Weights { dense, lexical }, ..*now };
    add(
        "ask the vectors alone".to_owned(),
        format!("--systems hybrid{rerank},dense{rerank}"),
        alone(1.0, 0.0),
    );
    add("ask BM25 alone".to_owned(), format!("--systems hybrid{rerank},bm25{rerank}"), alone(0.0, 1.0));
    if let Some(weights) = best_weights(looked, now) {
        let Weights { dense, lexical } = weights;
        add(
            format!("weigh the vectors {dense} and BM25 {lexical}"),
            format!("--systems hybrid{rerank},hybrid:weights={dense}/{lexical}{rerank}"),
            Setup { weights, ..*now },
        );
    }
    if now.rerank.is_none() && now.depth < DEEPEST {
        add(
            format!("take {DEEPEST} candidates of each list instead of {}", now.depth),
            format!("--systems hybrid --depth {DEEPEST}"),
            Setup { depth: DEEPEST, ..*now },
        );
    }
    if has_reranker {
        for depth in RERANKED.into_iter().chain([2 * now.depth]) {
            if now.rerank != Some(depth) && depth <= 2 * now.depth {
                add(
                    format!("rerank the first {depth}"),
                    format!("--systems hybrid{rerank},hybrid+rerank@{depth}"),
                    Setup { rerank: Some(depth), ..*now },
                );
            }
        }
        if now.rerank.is_some() {
            let proof = format!("--systems hybrid,hybrid{rerank}");
            add("do not rerank".to_owned(), proof, Setup { rerank: None, ..*now });
        }
    }
    changes.sort_by(|one, other| other.after.total_cmp(&one.after));
    changes
}

/// The best of weights with both lists, the nearest to today's of equal ones; `None` where that is today's.
fn best_weights(looked: &[Looked], now: &Setup) -> Option<Weights> {
    let mut grid: Vec<Weights> = Vec::new();
    for step in 1..STEPS {
        let share = f32::from(step) / f32::from(STEPS);
        grid.push(Weights { dense: 1.0, lexical: share });
        grid.push(Weights { dense: share, lexical: 1.0 });
    }
    grid.push(Weights { dense: 1.0, lexical: 1.0 });
    let share = |weights: &Weights| weights.dense / (weights.dense + weights.lexical);
    let far = |weights: &Weights| (share(weights) - share(&now.weights)).abs();
    grid.sort_by(|one, other| far(one).total_cmp(&far(other)));
    let value = |weights: Weights| mean_reciprocal_rank(&ranks(looked, &Setup { weights, ..*now }));
    let mut best = (value(now.weights), None);
    for weights in grid {
        let reached = value(weights);
        if reached > best.0 + SAME {
            best = (reached, Some(weights));
        }
    }
    best.1
}

/// The change to propose: the best, if it is better than today's mean.
pub(crate) fn proposal(changes: &[Change], before: f64) -> Option<&Change> {
    changes.first().filter(|change| change.after > before + SAME)
}

#[cfg(test)]
mod tests {
    use super::super::lists::Chunk;
    use super::*;
    use std::collections::HashMap;

    fn chunks(names: &str) -> Vec<Chunk> {
        names.chars().map(|name| Chunk { document: name.to_string(), start: 0, end: 1 }).collect()
    }

    fn looked(dense: &str, lexical: &str, answer: &str, logits: &[(&str, f32)]) -> Looked {
        let (dense, lexical) = (chunks(dense), chunks(lexical));
        let setup = Setup { weights: Weights::default(), depth: 100, rerank: None };
        let logits: HashMap<Chunk, f32> = logits
            .iter()
            .flat_map(|(name, logit)| chunks(name).into_iter().map(|chunk| (chunk, *logit)))
            .collect();
        let mut lists = Lists { dense, lexical, logits, ..Lists::default() };
        lists.fused = lists.order(&setup);
        (lists, Some(Answer { document: answer.to_owned(), chunks: None }))
    }

    fn now(rerank: Option<usize>) -> Setup {
        Setup { weights: Weights::default(), depth: 100, rerank }
    }

    #[test]
    fn the_list_that_knows_is_proposed() {
        let cases = [looked("ax", "xybza", "a", &[]), looked("bx", "xyzab", "b", &[])];
        let before = mean_reciprocal_rank(&ranks(&cases, &now(None)));
        let changes = tried(&cases, &now(None), false);
        let best = proposal(&changes, before).unwrap();
        assert_eq!((best.what.as_str(), best.after), ("ask the vectors alone", 1.0));
        assert_eq!(best.proof, "--systems hybrid,dense");
        assert!(changes.iter().all(|change| !change.what.contains("rerank")));
    }

    #[test]
    fn a_second_stage_that_helps_is_proposed_and_one_that_harms_is_taken_away() {
        let scores = [("a", 9.0), ("x", 1.0), ("y", 0.0)];
        let cases = [looked("xya", "xya", "a", &scores)];
        let changes = tried(&cases, &now(None), true);
        assert_eq!(proposal(&changes, 1.0 / 3.0).unwrap().what, "rerank the first 10");
        let cases = [looked("axy", "axy", "a", &[("a", -9.0), ("x", 1.0), ("y", 0.0)])];
        let changes = tried(&cases, &now(Some(100)), true);
        let best = proposal(&changes, 1.0 / 3.0).unwrap();
        assert_eq!(
            (best.what.as_str(), best.proof.as_str()),
            ("do not rerank", "--systems hybrid,hybrid+rerank@100")
        );
    }

    #[test]
    fn nothing_is_proposed_where_nothing_is_better() {
        let cases = [looked("ax", "ay", "a", &[])];
        assert_eq!(proposal(&tried(&cases, &now(None), false), 1.0), None);
        assert_eq!(mean_reciprocal_rank(&[Some(2), None]), 0.25);
        let absent = [(cases[0].0.clone(), None)];
        assert_eq!(proposal(&tried(&absent, &now(None), false), 0.0), None);
    }

    #[test]
    fn weights_between_the_lists_are_found() {
        // Each list puts the answer behind one other; the vectors' rival is far down in the other list.
        let cases = [looked("xab", "yzwvuax", "a", &[]), looked("baz", "bza", "b", &[])];
        let best = best_weights(&cases, &now(None));
        assert!(best.is_none_or(|weights| weights.dense > 0.0 && weights.lexical > 0.0));
        let only_top = [looked("ba", "ab", "b", &[])];
        let weights = best_weights(&only_top, &now(None)).unwrap();
        assert!(weights.dense > weights.lexical && weights.lexical >= 0.9, "the nearest: {weights:?}");
    }
}

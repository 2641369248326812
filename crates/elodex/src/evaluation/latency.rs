//! Where the time of queries went.

use super::asking::{Effort, Times};
use super::runner::Ran;
use super::systems::Lists;
use elodex_eval::percentile;
use elodex_report::StageLatency;

type TimeOf = fn(&Times) -> f64;

/// Percentiles of every stage that a system has, the whole last.
pub(crate) fn stages(ran: &Ran) -> Vec<StageLatency> {
    let dense = ran.system.first.lists != Lists::Bm25;
    let lexical = ran.system.first.lists != Lists::Dense;
    let stages: [(&str, bool, TimeOf); 6] = [
        ("embed", dense, |times| times.embed),
        ("dense", dense, |times| times.dense),
        ("lexical", lexical, |times| times.lexical),
        ("fuse", true, |times| times.fuse),
        ("rerank", ran.system.second.is_some(), |times| times.rerank),
        ("total", true, |times| times.total),
    ];
    let there = stages.into_iter().filter(|(_, there, _)| *there && !ran.efforts.is_empty());
    there
        .map(|(stage, _, time)| {
            let mut times: Vec<f64> = ran.efforts.values().map(|effort| time(&effort.times)).collect();
            times.sort_by(f64::total_cmp);
            let at = |share| percentile(&times, share).unwrap_or_default();
            StageLatency { stage: stage.to_owned(), p50: at(0.5), p95: at(0.95), p99: at(0.99) }
        })
        .collect()
}

/// Pairs of query and passage that the second stage scores in a second.
pub(crate) fn pairs_per_second(ran: &Ran) -> Option<f64> {
    ran.system.second.as_ref()?;
    let pairs: usize = ran.efforts.values().map(|effort| effort.pairs).sum();
    let seconds = ran.efforts.values().map(|effort| effort.times.rerank).sum::<f64>() / 1000.0;
    (seconds > 0.0).then(|| pairs as f64 / seconds)
}

/// A whole query on average.
pub(crate) fn mean_seconds(ran: &Ran) -> f64 {
    let total = |effort: &Effort| effort.times.total / 1000.0;
    ran.efforts.values().map(total).sum::<f64>() / ran.efforts.len().max(1) as f64
}

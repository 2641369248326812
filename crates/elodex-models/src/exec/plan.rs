//! How a batch is cut into micro-batches.

use crate::Encoded;
use std::cmp::Reverse;

/// Tokens of a micro-batch: few enough that its widest activation stays in a core's second-level cache, enough that
/// each weight fetched from memory is used many times.
pub(super) const MICRO_BATCH_TOKENS: usize = 128;

/// A sequence of more than this part of a thread's share of a batch runs with every thread: two threads that meet behind
/// every product do 1.4 to 1.8 times the work of one, by 8-bit integers and in f32.
const LONG: f32 = 1.25;

/// Which sequences run together.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Plan {
    /// Run one after the other with every thread.
    pub(super) alone: Vec<usize>,
    /// Run side by side, one thread each.
    pub(super) together: Vec<Vec<usize>>,
}

impl Plan {
    pub(super) fn new(batch: &[&Encoded], threads: usize) -> Self {
        let length = |index: &usize| batch[*index].ids.len();
        let mut order: Vec<usize> = (0..batch.len()).collect();
        order.sort_by_key(|index| Reverse(length(index)));
        let total: usize = order.iter().map(length).sum();
        let longest = if threads == 1 { f32::INFINITY } else { LONG * total as f32 / threads as f32 };
        let long = order.iter().take_while(|index| length(index) as f32 > longest).count();
        // A thread that has nothing may as well help with what is left.
        let rest = if order.len() - long < threads { vec![] } else { order.split_off(long) };
        let tokens: usize = rest.iter().map(length).sum();
        let together = if tokens <= threads * MICRO_BATCH_TOKENS {
            equal_parts(&rest, threads, length)
        } else {
            filled(&rest, length)
        };
        Self { alone: order, together }
    }
}

/// As many parts as there are threads, or sequences, if fewer: each of `order`, longest first, to the shortest part.
fn equal_parts(order: &[usize], threads: usize, length: impl Fn(&usize) -> usize) -> Vec<Vec<usize>> {
    let mut parts = vec![(0, Vec::new()); threads.min(order.len())];
    for index in order {
        if let Some((tokens, members)) = parts.iter_mut().min_by_key(|(tokens, _)| *tokens) {
            *tokens += length(index);
            members.push(*index);
        }
    }
    parts.into_iter().map(|(_, members)| members).collect()
}

/// Neighbours of `order`, longest first, up to [`MICRO_BATCH_TOKENS`].
fn filled(order: &[usize], length: impl Fn(&usize) -> usize) -> Vec<Vec<usize>> {
    let mut parts = Vec::new();
    let mut members = Vec::new();
    let mut tokens = 0;
    for index in order {
        if tokens + length(index) > MICRO_BATCH_TOKENS && !members.is_empty() {
            parts.push(std::mem::take(&mut members));
            tokens = 0;
        }
        members.push(*index);
        tokens += length(index);
    }
    if !members.is_empty() {
        parts.push(members);
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use elodex_types::Truncation;

    fn plan(lengths: &[usize], threads: usize) -> Plan {
        let of_length = |length: &usize| Encoded {
            ids: vec![1; *length],
            type_ids: vec![],
            pool_from: 0,
            route: 0,
            truncation: Truncation { seen: *length, used: *length },
        };
        let batch: Vec<Encoded> = lengths.iter().map(of_length).collect();
        Plan::new(&batch.iter().collect::<Vec<_>>(), threads)
    }

    #[test]
    fn what_cannot_be_shared_out_gets_every_thread() {
        assert_eq!(plan(&[16], 2), Plan { alone: vec![0], together: vec![] });
        assert_eq!(plan(&[500, 16, 16], 2), Plan { alone: vec![0], together: vec![vec![1], vec![2]] });
        assert_eq!(plan(&[16, 100], 2), Plan { alone: vec![1, 0], together: vec![] });
    }

    #[test]
    fn a_small_batch_is_halved() {
        assert_eq!(plan(&[60, 100, 40], 2), Plan { alone: vec![], together: vec![vec![1], vec![0, 2]] });
        assert_eq!(plan(&[140, 110], 2), Plan { alone: vec![], together: vec![vec![0], vec![1]] });
    }

    #[test]
    fn a_large_batch_is_cut_into_micro_batches() {
        let plan = plan(&[64; 32], 2);
        assert!(plan.alone.is_empty());
        assert_eq!(plan.together, (0..16).map(|part| vec![2 * part, 2 * part + 1]).collect::<Vec<_>>());
    }

    #[test]
    fn one_thread_runs_everything_in_turn() {
        assert_eq!(plan(&[300, 20], 1), Plan { alone: vec![], together: vec![vec![0], vec![1]] });
        assert_eq!(plan(&[30, 20], 1), Plan { alone: vec![], together: vec![vec![0, 1]] });
        assert_eq!(plan(&[], 2), Plan { alone: vec![], together: vec![] });
    }
}

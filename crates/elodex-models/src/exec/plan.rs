//! How a batch is cut into micro-batches.

use crate::Encoded;

/// Tokens of a micro-batch: few enough that its widest activation stays in a core's second-level cache, enough that
/// each weight fetched from memory is used many times.
pub(super) const MICRO_BATCH_TOKENS: usize = 128;

/// Below this a batch is not worth cutting into pieces.
const MIN_MICRO_BATCH_TOKENS: usize = 128;

/// Micro-batches per thread, so that a thread which ends early finds more to do.
const MICRO_BATCHES_PER_THREAD: usize = 3;

/// Which sequences run together.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Plan {
    /// Run one after the other with every thread: too long to share out, or too little to be worth it.
    pub(super) alone: Vec<Vec<usize>>,
    /// Run side by side, one thread each, longest first.
    pub(super) together: Vec<Vec<usize>>,
}

impl Plan {
    pub(super) fn new(batch: &[&Encoded], threads: usize) -> Self {
        let mut order: Vec<usize> = (0..batch.len()).collect();
        order.sort_by_key(|&index| std::cmp::Reverse(batch[index].ids.len()));
        let total: usize = batch.iter().map(|sequence| sequence.ids.len()).sum();
        if total <= MIN_MICRO_BATCH_TOKENS * threads || batch.len() < threads {
            let alone = if threads == 1 || total <= MICRO_BATCH_TOKENS {
                if order.is_empty() { vec![] } else { vec![order] }
            } else {
                order.into_iter().map(|index| vec![index]).collect()
            };
            return Self { alone, together: vec![] };
        }

        let share = total.div_ceil(threads);
        let target =
            (total / (threads * MICRO_BATCHES_PER_THREAD)).clamp(MIN_MICRO_BATCH_TOKENS, MICRO_BATCH_TOKENS);
        let mut plan = Self { alone: vec![], together: vec![] };
        let mut members: Vec<usize> = vec![];
        let mut tokens = 0;
        for index in order {
            let length = batch[index].ids.len();
            if threads > 1 && length > share {
                plan.alone.push(vec![index]);
                continue;
            }
            if tokens + length > target && !members.is_empty() {
                plan.together.push(std::mem::take(&mut members));
                tokens = 0;
            }
            members.push(index);
            tokens += length;
        }
        if !members.is_empty() {
            plan.together.push(members);
        }
        plan
    }
}

//! What a fit makes as large as it can.

use crate::{Measure, Protocol, Qrels};

/// The mean of a measure over judged queries.
#[derive(Debug, Clone, Copy)]
pub struct Objective<'a> {
    /// The labels.
    pub qrels: &'a Qrels,
    /// The measure.
    pub measure: Measure,
    /// Which queries count, and what is relevant.
    pub protocol: Protocol,
}

impl<'a> Objective<'a> {
    /// The mean of `measure` over every judged query, relevant from grade 1 on.
    pub fn new(qrels: &'a Qrels, measure: Measure) -> Self {
        Self { qrels, measure, protocol: Protocol::default() }
    }

    /// Of one query's ranking; 0 for a query without judgements.
    pub(crate) fn value(&self, query: &str, ranking: &[&str]) -> f64 {
        let Some(judged) = self.qrels.judged(query) else { return 0.0 };
        self.measure.value(judged, ranking, self.protocol.relevant_from)
    }
}

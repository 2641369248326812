//! Measures of a run over all queries.

use crate::{Error, ErrorKind, Measure, Qrels, Result, Run};
use serde::Serialize;

/// Over which queries a mean is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CountedQueries {
    /// Every judged query; one that the run lacks counts 0. BEIR's way, and `trec_eval -c`.
    #[default]
    Judged,
    /// Judged queries that are in the run: `trec_eval` without `-c`. A system that fails on hard queries gains by it.
    Returned,
}

/// How a run is evaluated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Protocol {
    /// The lowest grade that the measures without grades call relevant, at least 1 (`trec_eval -l`). TREC's deep
    /// learning tracks use 2 for passages.
    pub relevant_from: i32,
    /// Over which queries means are taken.
    pub queries: CountedQueries,
}

impl Default for Protocol {
    fn default() -> Self {
        Self { relevant_from: 1, queries: CountedQueries::Judged }
    }
}

impl Protocol {
    /// The queries that count when `runs` are evaluated, ascending.
    pub(crate) fn counted<'a>(&self, qrels: &'a Qrels, runs: &[&Run]) -> Result<Vec<&'a str>> {
        if self.relevant_from < 1 {
            return Err(Error::new(
                ErrorKind::Settings,
                format!("grade {} cannot mean relevant; use 1 or more", self.relevant_from),
            ));
        }
        let returned = |query: &str| runs.iter().any(|run| run.results(query).is_some());
        if !qrels.queries().any(|(query, _)| returned(query)) {
            let name = |query: Option<&str>| query.map_or("none".to_owned(), |query| format!("`{query}`"));
            let judged = name(qrels.queries().next().map(|(query, _)| query));
            let ran = name(runs.iter().find_map(|run| run.queries().next()).map(|(query, _)| query));
            return Err(Error::new(
                ErrorKind::Mismatch,
                format!(
                    "no query of the run is judged in {}: the first judged query is {judged}, the first of the run \
                     {ran}; use the ids of the judgements",
                    qrels.file()
                ),
            ));
        }
        let counts = |query: &&str| self.queries == CountedQueries::Judged || returned(query);
        Ok(qrels.queries().map(|(query, _)| query).filter(counts).collect())
    }
}

/// The values of a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Evaluation {
    run: String,
    protocol: Protocol,
    measures: Vec<Measure>,
    queries: Vec<String>,
    /// Per measure and query.
    values: Vec<Vec<f64>>,
    missing: Vec<String>,
    unjudged: usize,
    without_relevant: usize,
}

impl Evaluation {
    /// Evaluates `run` by `measures`.
    ///
    /// # Errors
    /// No query of the run is judged; a protocol that calls everything relevant.
    pub fn of(qrels: &Qrels, run: &Run, measures: &[Measure], protocol: &Protocol) -> Result<Self> {
        let counted = protocol.counted(qrels, &[run])?;
        let mut values = vec![Vec::with_capacity(counted.len()); measures.len()];
        let mut without_relevant = 0;
        for query in &counted {
            let Some(judged) = qrels.judged(query) else { continue };
            let ranking = run.order(query);
            for (measure, values) in measures.iter().zip(&mut values) {
                values.push(measure.value(judged, &ranking, protocol.relevant_from));
            }
            let has_relevant = judged.values().any(|found| found.grade >= protocol.relevant_from);
            without_relevant += usize::from(!has_relevant);
        }
        let missing = qrels.queries().map(|(query, _)| query).filter(|query| run.results(query).is_none());
        Ok(Self {
            run: run.tag().to_owned(),
            protocol: *protocol,
            measures: measures.to_vec(),
            queries: counted.into_iter().map(str::to_owned).collect(),
            values,
            missing: missing.map(str::to_owned).collect(),
            unjudged: run.queries().filter(|(query, _)| qrels.judged(query).is_none()).count(),
            without_relevant,
        })
    }

    /// The run's name.
    pub fn run(&self) -> &str {
        &self.run
    }

    /// How it was evaluated.
    pub fn protocol(&self) -> &Protocol {
        &self.protocol
    }

    /// By what it was evaluated.
    pub fn measures(&self) -> &[Measure] {
        &self.measures
    }

    /// The queries that count, ascending.
    pub fn queries(&self) -> &[String] {
        &self.queries
    }

    /// The values of a measure by query, as [`Evaluation::queries`] lists them; `None` if it was not asked for.
    pub fn values(&self, measure: Measure) -> Option<&[f64]> {
        let position = self.measures.iter().position(|&other| other == measure)?;
        self.values.get(position).map(Vec::as_slice)
    }

    /// The mean of a measure; `None` if it was not asked for.
    pub fn mean(&self, measure: Measure) -> Option<f64> {
        self.values(measure).map(mean)
    }

    /// Judged queries that the run lacks: counted as 0, or not at all, as the protocol says.
    pub fn missing(&self) -> &[String] {
        &self.missing
    }

    /// Queries of the run without judgements; they do not count.
    pub fn unjudged(&self) -> usize {
        self.unjudged
    }

    /// Queries that count but have no relevant document: 0 whatever is returned.
    pub fn without_relevant(&self) -> usize {
        self.without_relevant
    }
}

/// The arithmetic mean; 0 of nothing.
pub(crate) fn mean(values: &[f64]) -> f64 {
    if values.is_empty() {
        return 0.0;
    }
    values.iter().sum::<f64>() / values.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn qrels() -> Qrels {
        Qrels::from_judgements([("one", "a", 1), ("two", "b", 1), ("three", "c", 0)]).unwrap()
    }

    #[test]
    fn a_missing_query_counts_nothing_unless_asked_otherwise() {
        let mut run = Run::new("system");
        run.insert_order("one", ["a"]).unwrap();
        run.insert_order("other", ["a"]).unwrap();
        let all = Evaluation::of(&qrels(), &run, &[Measure::NDCG_10], &Protocol::default()).unwrap();
        assert_eq!(all.queries(), ["one", "three", "two"]);
        assert_eq!(all.values(Measure::NDCG_10).unwrap(), [1.0, 0.0, 0.0]);
        assert_eq!(all.missing(), ["three", "two"]);
        assert_eq!((all.unjudged(), all.without_relevant()), (1, 1));
        assert_eq!(all.mean(Measure::MRR_10), None);
        let protocol = Protocol { queries: CountedQueries::Returned, ..Protocol::default() };
        let some = Evaluation::of(&qrels(), &run, &[Measure::NDCG_10], &protocol).unwrap();
        assert_eq!((some.mean(Measure::NDCG_10), some.missing().len()), (Some(1.0), 2));
    }

    #[test]
    fn foreign_ids_are_an_error_and_not_zero() {
        let mut run = Run::new("system");
        run.insert_order("1", ["a"]).unwrap();
        let error = Evaluation::of(&qrels(), &run, &[Measure::NDCG_10], &Protocol::default()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Mismatch);
        assert!(
            error.to_string().contains("the first judged query is `one`, the first of the run `1`"),
            "{error}"
        );
    }

    #[test]
    fn not_everything_is_relevant() {
        let mut run = Run::new("system");
        run.insert_order("one", ["a"]).unwrap();
        let protocol = Protocol { relevant_from: 0, ..Protocol::default() };
        let error = Evaluation::of(&qrels(), &run, &[Measure::NDCG_10], &protocol).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Settings);
    }
}

//! Measures against `trec_eval`'s, as `tools/golden/measures.py` wrote them.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use elodex_eval::{CountedQueries, Evaluation, Measure, Protocol, Qrels, Run};
use serde::Deserialize;
use std::collections::BTreeMap;

const TOLERANCE: f64 = 1e-9;

#[derive(Deserialize)]
struct Golden {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    relevant_from: i32,
    qrels: String,
    run: String,
    /// From measure to query to value.
    values: BTreeMap<String, BTreeMap<String, f64>>,
}

fn cases() -> Vec<Case> {
    serde_json::from_str::<Golden>(include_str!("golden/measures.json")).unwrap().cases
}

fn evaluated(case: &Case, queries: CountedQueries) -> Evaluation {
    let measures: Vec<Measure> = case.values.keys().map(|name| name.parse().unwrap()).collect();
    let protocol = Protocol { relevant_from: case.relevant_from, queries };
    let qrels = Qrels::parse("golden.qrels", &case.qrels).unwrap();
    Evaluation::of(&qrels, &Run::parse("golden.trec", &case.run).unwrap(), &measures, &protocol).unwrap()
}

#[test]
fn every_value_is_trec_eval_s() {
    let mut compared = 0;
    for case in cases() {
        let evaluation = evaluated(&case, CountedQueries::Returned);
        for (name, expected) in &case.values {
            let values = evaluation.values(name.parse().unwrap()).unwrap();
            let found: BTreeMap<&str, f64> =
                evaluation.queries().iter().map(String::as_str).zip(values.iter().copied()).collect();
            assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
            for (query, value) in expected {
                let found = found[query.as_str()];
                assert!((found - value).abs() <= TOLERANCE, "{name} of {query} is {found} and not {value}");
                compared += 1;
            }
        }
    }
    println!("{compared} values");
    assert!(compared > 1000, "{compared}");
}

#[test]
fn means_are_over_the_queries_the_protocol_counts() {
    for case in cases() {
        let all = evaluated(&case, CountedQueries::Judged);
        let returned = evaluated(&case, CountedQueries::Returned);
        for (name, expected) in &case.values {
            let measure = name.parse().unwrap();
            let total: f64 = expected.values().sum();
            let mean = |evaluation: &Evaluation| evaluation.mean(measure).unwrap();
            assert!((mean(&returned) - total / expected.len() as f64).abs() <= TOLERANCE, "{name}");
            assert!((mean(&all) - total / all.queries().len() as f64).abs() <= TOLERANCE, "{name}");
        }
        assert_eq!(all.queries().len(), returned.queries().len() + all.missing().len());
    }
}

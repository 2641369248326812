//! Conditions.

use super::data::{Random, assert_same, id, ids};
use super::{Setting, with_oracle};
use crate::{ChunkIndex, Condition, Point, SparseVector};
use elodex_types::{LIST_PREFIX, Metadata, MetadataValue};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

fn text(value: &str) -> MetadataValue {
    MetadataValue::Text(value.into())
}

fn list(values: &[&str]) -> MetadataValue {
    MetadataValue::List(values.iter().map(|&value| value.into()).collect())
}

fn point(revision: u64, metadata: Metadata) -> Point {
    let terms = SparseVector { ids: vec![1], weights: vec![1.0 + revision as f32] };
    Point { id: id(revision), dense: vec![1.0, revision as f32], terms, metadata }
}

fn any_of(attribute: &str, values: &[&str]) -> Condition {
    let values = values.iter().map(|&value| value.into()).collect();
    Condition::AnyOf { attribute: attribute.into(), values }
}

fn none_of(attribute: &str, values: &[&str]) -> Condition {
    let values = values.iter().map(|&value| value.into()).collect();
    Condition::NoneOf { attribute: attribute.into(), values }
}

fn has(attribute: &str) -> Condition {
    Condition::Has { attribute: attribute.into() }
}

pub(super) fn filters_mean_what_they_say(setting: &Setting) {
    with_oracle(setting, 2, |index, _| {
        let metadata = |pairs: &[(&str, MetadataValue)]| {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect::<Metadata>()
        };
        let long = "x".repeat(60_000);
        index
            .upsert(&[
                point(1, metadata(&[("a", text("x"))])),
                point(2, metadata(&[("a", text("")), ("list:a", list(&["x", "y"]))])),
                point(3, metadata(&[("list:a", list(&[])), ("list-a", text("x"))])),
                point(4, metadata(&[])),
                point(5, metadata(&[("a", text(&long)), ("m", text("x")), ("0", text("1"))])),
            ])
            .unwrap();
        let cases = [
            (any_of("a", &["x"]), vec![1]),
            (any_of("a", &["x", "x", ""]), vec![1, 2]),
            (any_of("a", &["X"]), vec![]),
            (any_of("a", &[&long]), vec![5]),
            (any_of("a", &[]), vec![]),
            (none_of("a", &[]), vec![1, 2, 3, 4, 5]),
            (none_of("a", &["x"]), vec![2, 3, 4, 5]),
            (any_of("list:a", &["y", "z"]), vec![2]),
            (none_of("list:a", &["y", "z"]), vec![1, 3, 4, 5]),
            (has("a"), vec![1, 2, 5]),
            (has("list:a"), vec![2]),
            (has("list-a"), vec![3]),
            (has("never-seen"), vec![]),
            (none_of("never-seen", &["x"]), vec![1, 2, 3, 4, 5]),
            (any_of("m", &["x"]), vec![5]),
            (any_of("0", &["1"]), vec![5]),
            (Condition::All(vec![]), vec![1, 2, 3, 4, 5]),
            (Condition::Any(vec![]), vec![]),
            (Condition::All(vec![has("a"), has("list:a")]), vec![2]),
            (Condition::Any(vec![has("m"), any_of("list-a", &["x"])]), vec![3, 5]),
            (Condition::All(vec![Condition::Any(vec![]), has("a")]), vec![]),
            (Condition::Any(vec![Condition::All(vec![]), has("m")]), vec![1, 2, 3, 4, 5]),
        ];
        for (condition, expected) in cases {
            assert_finds(index, &condition, &expected);
        }
        // Replacing a point replaces its attributes.
        index.upsert(&[point(1, metadata(&[("b", text("x"))]))]).unwrap();
        assert_finds(index, &has("a"), &[2, 5]);
        assert_finds(index, &has("b"), &[1]);
    });
}

fn assert_finds(index: &dyn ChunkIndex, condition: &Condition, expected: &[u64]) {
    let query = SparseVector { ids: vec![1], weights: vec![1.0] };
    let expected: Vec<_> = expected.iter().map(|&revision| id(revision)).collect();
    let searches = [
        index.dense(&[1.0, 0.5], Some(condition), 100, true),
        index.dense(&[1.0, 0.5], Some(condition), 100, false),
        index.lexical(&query, Some(condition), 100),
    ];
    for found in searches {
        let mut found = ids(&found.unwrap());
        found.sort();
        assert_eq!(found, expected, "{condition:?}");
    }
}

fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        5 => "[a-c]",
        1 => Just(String::new()),
        1 => Just("1".to_owned()),
        1 => Just("true".to_owned()),
        1 => Just("2026-11-21T10:00:00Z".to_owned()),
        1 => Just("6f1a3b52-9f8e-4c1d-8d0a-0123456789ab".to_owned()),
        2 => any::<String>(),
    ]
}

/// Names that are close to each other, or to the syntax of paths.
fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[a-c]",
        1 => "[a-b]-[0-1]",
        1 => "[0-2]",
        1 => "_?é",
        2 => "list:[a-b]",
    ]
}

fn metadata() -> impl Strategy<Value = Metadata> {
    btree_map(name(), vec(value(), 0..3), 0..5).prop_map(|attributes| {
        let value = |name: &str, mut items: Vec<String>| match name.starts_with(LIST_PREFIX) {
            true => MetadataValue::List(items),
            false => MetadataValue::Text(items.pop().unwrap_or_default()),
        };
        attributes.into_iter().map(|(name, items)| (name.clone(), value(&name, items))).collect()
    })
}

fn condition() -> impl Strategy<Value = Condition> {
    let leaf = prop_oneof![
        (name(), vec(value(), 0..4)).prop_map(|(attribute, values)| Condition::AnyOf { attribute, values }),
        (name(), vec(value(), 0..4)).prop_map(|(attribute, values)| Condition::NoneOf { attribute, values }),
        name().prop_map(|attribute| Condition::Has { attribute }),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Condition::All),
            vec(inner, 0..4).prop_map(Condition::Any),
        ]
    })
}

pub(super) fn filters_hold_on_any_metadata(setting: &Setting) {
    let cases = (vec(metadata(), 1..60), vec(condition(), 1..30));
    let config = Config { cases: 24, failure_persistence: None, ..Config::default() };
    let run = TestRunner::new(config).run(&cases, |(documents, conditions)| {
        with_oracle(setting, 2, |index, oracle| {
            let points: Vec<Point> =
                (0..).zip(&documents).map(|(revision, metadata)| point(revision, metadata.clone())).collect();
            let query = SparseVector { ids: vec![1], weights: vec![1.0] };
            for each in [index, oracle] {
                each.upsert(&points).unwrap();
            }
            for condition in &conditions {
                let condition = Some(condition);
                let expected = oracle.dense(&[0.5, 1.0], condition, 100, true).unwrap();
                assert_same(&index.dense(&[0.5, 1.0], condition, 100, true).unwrap(), &expected, 1e-5);
                let expected = oracle.lexical(&query, condition, 100).unwrap();
                assert_same(&index.lexical(&query, condition, 100).unwrap(), &expected, 1e-4);
            }
        });
        Ok(())
    });
    run.unwrap();
}

pub(super) fn long_lists_of_values_work(setting: &Setting) {
    with_oracle(setting, 2, |index, oracle| {
        let points: Vec<Point> = (0..500)
            .map(|revision| {
                let value = format!("value {}", revision * 400);
                point(revision, Metadata::from([("a".to_owned(), MetadataValue::Text(value))]))
            })
            .collect();
        let values: Vec<String> = (0..100_000).map(|number| format!("value {number}")).collect();
        for each in [index, oracle] {
            each.upsert(&points).unwrap();
        }
        let long = Condition::AnyOf { attribute: "a".into(), values: values.clone() };
        assert_eq!(index.dense(&[1.0, 1.0], Some(&long), 1000, true).unwrap().len(), 250);
        let long = Condition::NoneOf { attribute: "a".into(), values };
        assert_eq!(index.dense(&[1.0, 1.0], Some(&long), 1000, true).unwrap().len(), 250);
    });
}

pub(super) fn many_attributes_work(setting: &Setting) {
    with_oracle(setting, 2, |index, oracle| {
        let mut random = Random(7);
        let points: Vec<Point> = (0..300)
            .map(|revision| {
                let name = format!("attribute-{revision}");
                let value = MetadataValue::Text(format!("{}", random.below(3)));
                point(revision, Metadata::from([(name, value)]))
            })
            .collect();
        for each in [index, oracle] {
            each.upsert(&points).unwrap();
        }
        for attribute in [0, 100, 200, 299] {
            let attribute = format!("attribute-{attribute}");
            for condition in [any_of(&attribute, &["0", "1"]), none_of(&attribute, &["2"]), has(&attribute)] {
                let condition = Some(&condition);
                let expected = oracle.dense(&[0.5, 1.0], condition, 400, true).unwrap();
                assert_same(&index.dense(&[0.5, 1.0], condition, 400, true).unwrap(), &expected, 1e-5);
            }
        }
    });
}

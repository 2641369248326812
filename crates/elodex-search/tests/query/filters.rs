//! Filters answer through the index as [`Filter::matches`] does.

use crate::support::{Ground, paths};
use elodex_search::ErrorKind;
use elodex_types::{Content, Filter, Metadata, MetadataValue, NewDocument, SearchRequest, Test, Unit};
use proptest::prelude::*;

fn value() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["", "a", "b", "bb", "c", "é", "2024-05-01", "2024-06-01", "z"])
        .prop_map(str::to_owned)
}

fn metadata() -> impl Strategy<Value = Metadata> {
    let text = value().prop_map(MetadataValue::Text);
    let list = prop::collection::vec(value(), 0..4).prop_map(MetadataValue::List);
    let plain = prop::collection::btree_map(prop::sample::select(vec!["p", "q"]), text, 0..3);
    let lists = prop::collection::btree_map(prop::sample::select(vec!["list:l"]), list, 0..2);
    (plain, lists).prop_map(|(plain, lists)| {
        plain.into_iter().chain(lists).map(|(name, value)| (name.to_owned(), value)).collect()
    })
}

fn test() -> impl Strategy<Value = Test> {
    let values = || prop::collection::vec(value(), 0..4);
    prop_oneof![
        value().prop_map(Test::Equals),
        value().prop_map(Test::Differs),
        value().prop_map(Test::Above),
        value().prop_map(Test::AtLeast),
        value().prop_map(Test::Below),
        value().prop_map(Test::AtMost),
        values().prop_map(Test::In),
        values().prop_map(Test::NotIn),
    ]
}

fn filter() -> impl Strategy<Value = Filter> {
    let names = prop::sample::select(vec!["p", "q", "list:l", "nobody"]);
    let leaf = (names, test()).prop_map(|(name, test)| Filter::Attribute { name: name.to_owned(), test });
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Filter::All),
            prop::collection::vec(inner, 0..4).prop_map(Filter::Any),
        ]
    })
}

fn sorted(mut paths: Vec<&str>) -> Vec<&str> {
    paths.sort_unstable();
    paths
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn a_search_finds_what_matches_and_nothing_else(
        documents in prop::collection::vec(metadata(), 1..25),
        filters in prop::collection::vec(filter(), 40),
    ) {
        let document = |(path, metadata): (usize, &Metadata)| NewDocument {
            path: format!("{path:02}"),
            metadata: metadata.clone(),
            content: Content::Text("coffee".into()),
        };
        let all: Vec<NewDocument> = documents.iter().enumerate().map(document).collect();
        let ground = Ground::of(all.clone());
        for filter in filters {
            let matching = all.iter().filter(|document| filter.matches(&document.metadata));
            let expected: Vec<&str> = matching.map(|document| document.path.as_str()).collect();
            let mut request = SearchRequest::new("c", "coffee", Unit::Documents, 100);
            request.filter = Some(filter.clone());
            let found = ground.search(&request);
            prop_assert_eq!(&sorted(paths(&found)), &expected, "{:?}", filter);
            request.query = None;
            let listed = ground.search(&request);
            prop_assert_eq!(&paths(&listed), &expected, "{:?}", filter);
        }
    }
}

/// So many that bounds are turned into those outside them where these are fewer.
#[test]
fn bounds_over_many_values_are_those_outside() {
    let document = |number: usize| {
        let name = |name: &str| name.to_owned();
        let mut metadata = Metadata::new();
        if !number.is_multiple_of(10) {
            metadata.insert(name("n"), MetadataValue::Text(format!("{number:04}")));
        }
        metadata.insert(name("list:n"), MetadataValue::List(vec![format!("{number:04}"), "9999".to_owned()]));
        NewDocument { path: format!("{number:04}"), metadata, content: Content::Text("coffee".into()) }
    };
    let all: Vec<NewDocument> = (0..700).map(document).collect();
    let ground = Ground::of(all.clone());
    let bound = |name: &str, test| Filter::Attribute { name: name.to_owned(), test };
    let at = |number: usize| format!("{number:04}");
    let filters = [
        bound("n", Test::AtLeast(at(101))),
        bound("n", Test::Above(at(101))),
        bound("n", Test::Below(at(601))),
        bound("n", Test::AtMost(at(601))),
        Filter::All(vec![bound("n", Test::Above(at(51))), bound("n", Test::AtMost(at(651)))]),
        Filter::All(vec![bound("n", Test::Above(at(300))), bound("n", Test::Below(at(310)))]),
        Filter::All(vec![bound("n", Test::Above(at(310))), bound("n", Test::Below(at(300)))]),
        bound("list:n", Test::AtLeast(at(101))),
        bound("list:n", Test::Below(at(601))),
        Filter::All(vec![bound("list:n", Test::Above(at(310))), bound("list:n", Test::Below(at(300)))]),
    ];
    for filter in filters {
        let expected: Vec<&str> = all
            .iter()
            .filter(|document| filter.matches(&document.metadata))
            .map(|document| document.path.as_str())
            .collect();
        let mut request = SearchRequest::new("c", "coffee", Unit::Documents, 1_000);
        request.filter = Some(filter.clone());
        assert_eq!(sorted(paths(&ground.search(&request))), expected, "{filter:?}");
    }
}

#[test]
fn impossible_and_boundless_filters_are_refused() {
    let ground = Ground::new();
    let mut request = SearchRequest::new("c", "coffee", Unit::Documents, 1);
    let refusal = |request: &SearchRequest| {
        let error = ground.refusal(request);
        assert_eq!(error.kind(), ErrorKind::Request);
        error.to_string()
    };
    let attribute = |name: &str| Filter::Attribute { name: name.into(), test: Test::Equals("x".into()) };
    request.filter = Some(attribute("a b"));
    assert!(refusal(&request).contains("`a b`"));
    request.filter = Some((0..200).fold(attribute("a"), |inner, _| Filter::All(vec![inner])));
    assert!(refusal(&request).contains("nested"));
    request.filter = Some(Filter::Any(vec![attribute("a"); 2_000]));
    assert!(refusal(&request).contains("1024 parts"));
}

#[test]
fn bounds_with_more_values_than_an_index_is_asked_for_are_refused() {
    // Nobody has so many documents in a test, but a list may be long.
    let document = |number: usize| {
        let items = (0..6_600).map(|item| format!("{:06}", number * 6_600 + item)).collect();
        let metadata = Metadata::from([("list:n".to_owned(), MetadataValue::List(items))]);
        NewDocument { path: format!("{number}"), metadata, content: Content::Text("coffee".into()) }
    };
    let ground = Ground::of((0..10).map(document).collect());
    let mut request = SearchRequest::new("c", "coffee", Unit::Documents, 20);
    let above = |bound: &str| Filter::Attribute { name: "list:n".into(), test: Test::Above(bound.into()) };
    request.filter = Some(above("000000"));
    let error = ground.refusal(&request);
    assert_eq!(error.kind(), ErrorKind::Request);
    let message = error.to_string();
    assert!(message.contains("filter on `list:n`: more than 65536 values"), "{message}");
    assert!(message.contains("narrow the bounds"), "{message}");
    request.filter = Some(above("065900"));
    assert_eq!(paths(&ground.search(&request)), ["9"]);
}

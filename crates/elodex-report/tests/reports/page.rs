//! The page: whole, without anything from elsewhere, and with nothing in it that data could do.

use crate::sample;

use elodex_eval::Finding;
use elodex_report::{Report, html};
use html5gum::{Token, Tokenizer};
use proptest::prelude::*;

/// Elements that have no end tag.
const VOID: [&str; 2] = ["meta", "br"];

/// What a page consists of.
#[derive(Default)]
struct Read {
    /// Names with their attributes.
    tags: Vec<(String, Vec<(String, String)>)>,
    /// Text outside of scripts and styles.
    text: String,
    scripts: String,
    styles: String,
}

/// Reads a page; fails where a tag is not closed, in the wrong order, or not well-formed.
fn read(page: &str) -> Read {
    let mut read = Read::default();
    let mut open: Vec<String> = Vec::new();
    for token in Tokenizer::new(page) {
        let Ok(token) = token;
        match token {
            Token::StartTag(tag) => {
                let name = String::from_utf8(tag.name.to_vec()).unwrap();
                let attributes = tag.attributes.into_iter().map(|(name, value)| {
                    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
                    (text(&name), text(&value))
                });
                read.tags.push((name.clone(), attributes.collect()));
                if !tag.self_closing && !VOID.contains(&name.as_str()) {
                    open.push(name);
                }
            }
            Token::EndTag(tag) => {
                let name = String::from_utf8(tag.name.to_vec()).unwrap();
                assert_eq!(open.pop(), Some(name), "an end tag without its beginning");
            }
            Token::String(text) => {
                let text = String::from_utf8(text.to_vec()).unwrap();
                match open.last().map(String::as_str) {
                    Some("script") => read.scripts.push_str(&text),
                    Some("style") => read.styles.push_str(&text),
                    _ => read.text.push_str(&text),
                }
            }
            Token::Error(error) => panic!("the page is malformed: {error:?}"),
            Token::Doctype(_) => {}
            Token::Comment(comment) => panic!("a comment nobody wrote: {comment:?}"),
        }
    }
    assert_eq!(open, Vec::<String>::new(), "tags that are not closed");
    read
}

fn page(report: &Report) -> Read {
    let page = html(report);
    assert!(page.starts_with("<!DOCTYPE html>"), "{}", &page[..60]);
    let read = read(&page);
    for figure in ["NaN", "inf"] {
        let shown = read.text.split(|char: char| !char.is_alphabetic()).any(|word| word == figure);
        assert!(!shown, "{figure} is shown");
        assert!(read.tags.iter().all(|(_, attributes)| attributes.iter().all(|(_, value)| value != figure)));
    }
    read
}

fn count(read: &Read, tag: &str) -> usize {
    read.tags.iter().filter(|(name, _)| name == tag).count()
}

fn attribute<'a>(attributes: &'a [(String, String)], wanted: &str) -> Option<&'a str> {
    attributes.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str())
}

#[test]
fn a_usual_report_has_every_part() {
    let read = page(&sample::usual());
    for heading in [
        "Systems",
        "Comparisons",
        "Rank moves",
        "Rerank depth",
        "Latency against quality",
        "Latency by stage",
        "Cost",
        "Reliability",
        "Findings about the input",
        "Queries",
        "How this was made",
    ] {
        assert!(read.text.contains(heading), "{heading} is missing");
    }
    for words in [
        "hybrid+rerank@100 is the best of 6 systems",
        "unlikely to be chance",
        "elodex eval --beir data/helpdesk",
        "Example CPU 9000 @ 3.20GHz, 8 threads, avx512-vnni",
        "120 of 400 judged queries",
        "`gone` of query `q2`",
        "expected calibration error",
        "hosted: Example Rerank",
    ] {
        assert!(read.text.contains(words), "{words} is missing");
    }
    // Three second stages with moves, depths and probabilities; two plots of all systems.
    let plots = read.tags.iter().filter(|(_, attributes)| attribute(attributes, "role") == Some("img"));
    assert_eq!(plots.count(), 3 * 3 + 2);
}

#[test]
fn nothing_comes_from_elsewhere() {
    let report = sample::usual();
    let text = html(&report);
    assert!(!text.contains("http"), "something is fetched or linked");
    let read = page(&report);
    for (name, attributes) in &read.tags {
        assert!(!["link", "img", "iframe", "object", "use", "image"].contains(&name.as_str()), "{name}");
        assert_eq!(attribute(attributes, "src"), None, "{name}");
        let target = attribute(attributes, "href");
        assert!(target.is_none_or(|target| target.starts_with('#')), "{target:?}");
        assert!(
            attributes.iter().all(|(attribute, _)| !attribute.starts_with("on")),
            "{name} runs something"
        );
    }
    for words in ["@import", "url(", "@font-face"] {
        assert!(!read.styles.contains(words), "{words}");
    }
}

#[test]
fn people_who_cannot_see_the_plots_are_told() {
    let read = page(&sample::usual());
    let ids: Vec<&str> = read.tags.iter().filter_map(|(_, of)| attribute(of, "id")).collect();
    let mut unique = ids.clone();
    unique.sort_unstable();
    unique.dedup();
    assert_eq!(unique.len(), ids.len(), "an id is used twice");
    for (name, attributes) in &read.tags {
        match (name.as_str(), attribute(attributes, "aria-hidden")) {
            ("svg", None) => {
                let named = attribute(attributes, "aria-labelledby").unwrap();
                assert!(named.split(' ').all(|id| ids.contains(&id)), "{named}");
            }
            ("th", _) => assert!(matches!(attribute(attributes, "scope"), Some("col" | "row"))),
            _ => {}
        }
    }
}

#[test]
fn colours_of_plots_are_those_of_the_theme() {
    let read = page(&sample::usual());
    let mut coloured = 0;
    for (name, attributes) in &read.tags {
        for colour in ["fill", "stroke"].iter().filter_map(|kind| attribute(attributes, kind)) {
            if colour == "none" {
                continue;
            }
            coloured += 1;
            assert!(read.styles.contains(&format!("[fill=\"{colour}\"]")), "{name} has colour {colour}");
        }
    }
    assert!(coloured > 100);
    assert!(read.styles.contains("prefers-color-scheme: dark") && read.styles.contains("@media print"));
}

/// What somebody who wants to run a script in the reader's browser would name things.
const HOSTILE: &str = "</script></style></title><script>alert(1)</script>\"' onload='x' <img src=http://x/ onerror=x> &lt; \u{0} \u{1b}";

fn hostile() -> Report {
    let mut report = sample::usual();
    let name = |name: &str| format!("{name}{HOSTILE}");
    report.collection.name = HOSTILE.to_owned();
    report.collection.qrels = HOSTILE.to_owned();
    report.command = HOSTILE.to_owned();
    report.made = HOSTILE.to_owned();
    report.elodex = HOSTILE.to_owned();
    report.machine.processor = HOSTILE.to_owned();
    report.machine.isa = HOSTILE.to_owned();
    report.notes = vec![HOSTILE.to_owned()];
    for system in &mut report.systems {
        system.name = name(&system.name);
        system.description = HOSTILE.to_owned();
        system.first_stage = system.first_stage.as_deref().map(name);
        system.latency.iter_mut().for_each(|stage| stage.stage = name(&stage.stage));
        system.costs.iter_mut().for_each(|cost| cost.name = name(&cost.name));
    }
    for pair in &mut report.comparisons {
        pair.baseline = name(&pair.baseline);
        pair.candidate = name(&pair.candidate);
    }
    for query in &mut report.queries {
        query.id = name(&query.id);
        query.text = Some(HOSTILE.to_owned());
    }
    let places = vec![HOSTILE.to_owned()];
    report.findings =
        report.findings.into_iter().map(|of| Finding { places: places.clone(), ..of }).collect();
    report
}

#[test]
fn hostile_names_and_texts_stay_text() {
    let plain = page(&sample::usual());
    let hostile = page(&hostile());
    assert_eq!(hostile.scripts, plain.scripts);
    assert_eq!(hostile.styles, plain.styles);
    for tag in ["script", "style", "img", "title"] {
        assert_eq!(count(&hostile, tag), count(&plain, tag), "{tag}");
    }
    assert!(
        hostile
            .tags
            .iter()
            .all(|(_, of)| attribute(of, "onload").is_none() && attribute(of, "onerror").is_none())
    );
    assert!(hostile.text.contains("<script>alert(1)</script>"), "the text is shown as it is");
}

#[test]
fn one_system_and_one_query_are_enough() {
    let report = sample::least();
    let read = page(&report);
    assert!(read.text.contains("bm25 reaches ndcg@10"), "{}", read.text);
    assert!(read.text.contains("With so few queries"));
    for part in ["Rank moves", "Comparisons", "Reliability"] {
        assert!(!read.text.contains(part), "{part} has nothing to show");
    }
}

#[test]
fn an_empty_report_is_a_page_too() {
    let mut report = sample::least();
    report.systems.clear();
    report.measures.clear();
    report.queries.clear();
    assert!(page(&report).text.contains("No system was measured"));
}

#[test]
fn thousands_of_queries_are_cut_and_that_is_said() {
    let read = page(&sample::most(3_000));
    assert!(read.text.contains("Shown: the first 500 of 3,000"));
    assert!(read.text.contains("Drawn for the best 6 of 15 systems with a second stage."));
    assert!(read.text.contains("the best 12 of 30 systems"));
    assert!(read.text.contains("different moves, the commonest in each direction"));
    let sorted = read.tags.iter().filter(|(name, of)| name == "th" && attribute(of, "aria-sort").is_some());
    assert_eq!(sorted.count(), 1);
    let rows = read.tags.iter().filter(|(name, of)| name == "th" && attribute(of, "data-value").is_some());
    assert_eq!(rows.count(), 500);
}

#[test]
fn the_worst_losses_come_first() {
    let report = sample::usual();
    let read = page(&report);
    let changes: Vec<f64> = read
        .tags
        .iter()
        .filter(|(name, of)| name == "td" && matches!(attribute(of, "class"), Some("up" | "down")))
        .filter_map(|(_, of)| attribute(of, "data-value")?.parse().ok())
        .collect();
    assert!(changes.len() > 200 && changes.is_sorted(), "{changes:?}");
    assert!(changes[0] < 0.0);
}

fn odd_number() -> impl Strategy<Value = f64> {
    prop_oneof![
        Just(f64::NAN),
        Just(f64::INFINITY),
        Just(f64::NEG_INFINITY),
        Just(0.0),
        Just(-1.0),
        Just(1e300),
        Just(5e-324),
        0.0..1.0,
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn no_number_breaks_the_page(numbers in prop::collection::vec(odd_number(), 24), systems in 1_usize..6) {
        let mut report = sample::usual();
        report.systems.truncate(systems);
        let mut next = numbers.iter().copied().cycle();
        let mut number = || next.next().unwrap_or_default();
        for system in &mut report.systems {
            for mean in &mut system.means {
                (mean.mean, mean.low, mean.high) = (number(), number(), number());
            }
            for stage in &mut system.latency {
                (stage.p50, stage.p95, stage.p99) = (number(), number(), number());
            }
            for depth in &mut system.depths {
                (depth.ceiling, depth.pool_recall, depth.reranked) = (number(), number(), Some(number()));
            }
            if let Some(reliability) = &mut system.reliability {
                (reliability.ece, reliability.brier) = (number(), number());
                for bin in &mut reliability.bins {
                    (bin.predicted, bin.observed) = (number(), number());
                }
            }
            system.costs.iter_mut().for_each(|cost| cost.usd_per_1000_queries = number());
            system.pairs_per_second = Some(number());
        }
        for pair in &mut report.comparisons {
            pair.comparison.difference.mean = number();
            pair.comparison.difference.low = number();
            pair.comparison.effect_size = Some(number());
            pair.comparison.randomisation.p = number();
        }
        report.queries.truncate(20);
        for query in &mut report.queries {
            query.values.iter_mut().for_each(|value| *value = number());
        }
        let read = page(&report);
        prop_assert!(read.text.contains("Systems"));
        prop_assert!(!elodex_report::terminal(&report, 80, false).contains("NaN"));
    }
}

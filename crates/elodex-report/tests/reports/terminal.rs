//! The tables for a terminal.

use crate::sample;

use elodex_report::terminal;
use proptest::prelude::*;

#[test]
fn six_systems_on_a_wide_terminal() {
    insta::assert_snapshot!(terminal(&sample::usual(), 120, false));
}

#[test]
fn six_systems_on_a_narrow_terminal() {
    insta::assert_snapshot!(terminal(&sample::usual(), 72, false));
}

#[test]
fn one_system_and_one_query() {
    insta::assert_snapshot!(terminal(&sample::least(), 100, false));
}

#[test]
fn colours_only_where_they_are_wanted() {
    let report = sample::usual();
    let (plain, coloured) = (terminal(&report, 100, false), terminal(&report, 100, true));
    assert!(!plain.contains('\u{1b}'));
    assert!(coloured.contains("\u{1b}[1mSystems\u{1b}[0m"), "{coloured}");
    let stripped = coloured.replace("\u{1b}[1;36m", "").replace("\u{1b}[1m", "").replace("\u{1b}[0m", "");
    assert_eq!(stripped, plain);
}

#[test]
fn a_text_cannot_steer_the_terminal() {
    let mut report = sample::usual();
    for query in &mut report.queries {
        query.text = Some("\u{1b}]0;gotcha\u{7} \u{9b}2J and the rest".to_owned());
        query.id = "\u{1b}[31m".to_owned();
    }
    report.collection.name = "\u{1b}c".to_owned();
    report.command = "elodex\u{1b}c".to_owned();
    report.systems[0].name = "bm25\r\u{8}".to_owned();
    let text = terminal(&report, 100, false);
    assert!(text.chars().all(|char| char == '\n' || !char.is_control()), "{text:?}");
    assert!(text.contains("and the rest"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn no_table_is_wider_than_the_terminal(width in 0_usize..160, many in any::<bool>()) {
        let mut report = if many { sample::most(10) } else { sample::usual() };
        report.command = "elodex eval".to_owned();
        for line in terminal(&report, width, false).lines() {
            prop_assert!(line.chars().count() <= width.max(40), "{} columns: {}", line.chars().count(), line);
        }
    }
}

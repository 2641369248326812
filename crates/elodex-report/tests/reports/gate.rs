//! Rules and baselines.

use crate::sample;

use elodex_report::gate::{Baseline, FailIf, Verdict, check};
use elodex_report::{Error, ErrorKind, Report};
use proptest::prelude::*;

fn rule(text: &str) -> FailIf {
    text.parse().unwrap_or_else(|error: Error| panic!("{text}: {error}"))
}

fn refused(text: &str) -> String {
    let error = text.parse::<FailIf>().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Rule, "{text}");
    error.to_string()
}

fn baseline(report: &Report) -> Baseline {
    Baseline::parse(&serde_json::to_string(report).unwrap()).unwrap()
}

fn gate(before: &Report, after: &Report, text: &str) -> Result<Verdict, Error> {
    check(after, Some(&baseline(before)), &[rule(text)])
}

fn failed(verdict: &Verdict) -> Vec<&str> {
    verdict.failures.iter().map(|failure| failure.system.as_str()).collect()
}

/// `system` loses `loss` on every query, so that its main mean does.
fn worse(report: &Report, system: &str, loss: f64) -> Report {
    let mut report = report.clone();
    let at = report.systems.iter().position(|other| other.name == system).unwrap();
    for query in &mut report.queries {
        query.values[at] -= loss;
    }
    let mean = &mut report.systems[at].means[0];
    (mean.mean, mean.low, mean.high) = (mean.mean - loss, mean.low - loss, mean.high - loss);
    report
}

#[test]
fn rules_read_back_as_written() {
    for text in [
        "ndcg@10 < -0.01",
        "ndcg@10<-0.01",
        "recall@100 < 0.9 absolute",
        "hybrid+rerank@50: ndcg@10 <= -2% significant",
        "mrr@10 >= 0 significant",
        "total.p95 > 20%",
        "hybrid: rerank.p99 > 500 absolute",
        "recall@100 < 0.9 significant absolute",
        "namespace:system: map < 0",
    ] {
        assert_eq!(rule(text).to_string(), text);
    }
}

#[test]
fn what_is_no_rule_is_refused_with_the_way_out() {
    assert!(refused("ndcg@10").contains("neither `<` nor `>`"));
    assert!(refused("").contains("neither"));
    assert!(refused("quality < 0.1").contains("unknown measure `quality`"));
    assert!(refused("ndcg@0 < 0.1").contains("unknown measure `ndcg@0`"));
    assert!(refused("ndcg@10 < much").contains("`much` is no number"));
    assert!(refused("ndcg@10 <").contains("`` is no number"));
    assert!(refused("ndcg@10 < NaN").contains("`NaN` is no number"));
    assert!(refused("ndcg@10 < inf").contains("`inf` is no number"));
    assert!(refused("ndcg@10 < 0.1 perhaps").contains("`perhaps` is not understood"));
    assert!(refused("ndcg@10 < 0.1 absolute absolute").contains("once"));
    assert!(refused("ndcg@10 < 90% absolute").contains("percentage"));
    assert!(refused("total.p90 > 3").contains("use p50, p95 or p99"));
    assert!(refused(".p95 > 3").contains("no stage"));
    assert!(refused("total.p95 > 3 significant").contains("latency has no significance"));
    assert!(refused(" : ndcg@10 < 0").contains("no system"));
}

#[test]
fn a_change_is_held_against_the_same_system() {
    let before = sample::usual();
    let after = worse(&before, "hybrid", 0.02);
    let verdict = gate(&before, &after, "ndcg@10 < -0.01").unwrap();
    assert_eq!(failed(&verdict), ["hybrid"]);
    assert_eq!(verdict.checked, 6);
    let message = verdict.failures[0].to_string();
    assert!(message.starts_with("hybrid: ndcg@10 changed by −0.0200, from 0.6415 to 0.6215"), "{message}");
    assert!(verdict.to_string().starts_with("failed: 1 of 6 checks\n  hybrid: "), "{verdict}");
    for passing in ["ndcg@10 < -0.03", "ndcg@10 < -5%", "dense: ndcg@10 < -0.01", "mrr@10 < 0", "ndcg@10 > 0"]
    {
        let verdict = gate(&before, &after, passing).unwrap();
        assert!(verdict.passed(), "{passing}: {verdict}");
    }
    assert_eq!(failed(&gate(&before, &after, "ndcg@10 < -3%").unwrap()), ["hybrid"]);
    assert_eq!(failed(&gate(&before, &after, "hybrid: ndcg@10 <= -0.01").unwrap()), ["hybrid"]);
}

#[test]
fn a_value_needs_no_baseline() {
    let report = sample::usual();
    let verdict = check(&report, None, &[rule("ndcg@10 < 0.6 absolute")]).unwrap();
    assert_eq!(failed(&verdict), ["bm25", "dense"]);
    assert_eq!(verdict.failures[0].message, "ndcg@10 is 0.5413");
    // The interval of dense reaches beyond 0.6.
    let sure = check(&report, None, &[rule("ndcg@10 < 0.6 absolute significant")]).unwrap();
    assert_eq!(failed(&sure), ["bm25"]);
    let error = check(&report, None, &[rule("ndcg@10 < -0.01")]).unwrap_err();
    assert!(error.to_string().contains("there is no baseline"), "{error}");
}

#[test]
fn significance_is_that_of_the_paired_values() {
    let before = sample::usual();
    let evenly = worse(&before, "hybrid", 0.005);
    let verdict = gate(&before, &evenly, "ndcg@10 < 0 significant").unwrap();
    assert_eq!(failed(&verdict), ["hybrid"]);
    assert!(verdict.failures[0].message.contains("p < 0.0001"), "{verdict}");
    // The same mean lost on a single query is chance.
    let mut once = evenly.clone();
    let at = once.systems.iter().position(|system| system.name == "hybrid").unwrap();
    for (query, original) in once.queries.iter_mut().zip(&before.queries) {
        query.values[at] = original.values[at];
    }
    once.queries[0].values[at] -= 0.005 * before.queries.len() as f64;
    assert!(gate(&before, &once, "ndcg@10 < 0 significant").unwrap().passed());
    assert_eq!(failed(&gate(&before, &once, "ndcg@10 < 0").unwrap()), ["hybrid"]);
    let error = gate(&before, &evenly, "mrr@10 < 0 significant").unwrap_err();
    assert!(error.to_string().contains("known for the first measure"), "{error}");
}

#[test]
fn latency_is_gated_and_another_machine_noted() {
    let before = sample::usual();
    let mut after = before.clone();
    for stage in &mut after.systems[4].latency {
        stage.p95 *= 1.5;
    }
    assert_eq!(failed(&gate(&before, &after, "total.p95 > 20%").unwrap()), ["hybrid+rerank@50"]);
    assert_eq!(gate(&before, &after, "rerank.p50 > 20%").unwrap().checked, 3);
    assert_eq!(failed(&gate(&before, &after, "rerank.p99 > 1000 absolute").unwrap()), ["hybrid+rerank@100"]);
    after.machine.processor = "another".to_owned();
    let verdict = gate(&before, &after, "total.p95 > 20%").unwrap();
    assert!(verdict.notes[0].contains("Example CPU 9000"), "{verdict}");
    assert_eq!(gate(&before, &after, "ndcg@10 < 0").unwrap().notes, Vec::<String>::new());
    let error = gate(&before, &after, "sleep.p95 > 20%").unwrap_err();
    assert!(error.to_string().contains("fits no system"), "{error}");
    let error = gate(&before, &after, "bm25: rerank.p95 > 20%").unwrap_err();
    assert!(error.to_string().contains("no figure of rerank.p95 for `bm25`"), "{error}");
}

#[test]
fn what_a_rule_names_must_be_there() {
    let report = sample::usual();
    let message = |text: &str| {
        let error = gate(&report, &report, text).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Rule);
        error.to_string()
    };
    assert!(message("map < 0").contains("map was not measured, only ndcg@10, mrr@10"));
    assert!(message("hybird: ndcg@10 < 0").contains("there is no system `hybird`; there are bm25, dense"));
    let mut fewer = report.clone();
    fewer.systems.remove(1);
    fewer.queries.iter_mut().for_each(|query| {
        query.values.remove(1);
    });
    let error = gate(&fewer, &report, "dense: ndcg@10 < 0").unwrap_err();
    assert!(error.to_string().contains("the baseline has no system `dense`"), "{error}");
    assert_eq!(gate(&fewer, &report, "ndcg@10 < 0").unwrap().notes, ["the baseline lacks dense"]);
    let verdict = gate(&report, &fewer, "ndcg@10 < 0").unwrap();
    assert_eq!(
        (verdict.notes[0].as_str(), verdict.checked),
        ("this evaluation lacks dense of the baseline", 5)
    );
}

#[test]
fn a_baseline_of_something_else_is_refused() {
    let report = sample::usual();
    let mismatch = |change: fn(&mut Report)| {
        let mut other = report.clone();
        change(&mut other);
        let error = gate(&other, &report, "ndcg@10 < 0").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Mismatch);
        error.to_string()
    };
    assert!(
        mismatch(|other| other.collection.name = "wiki".into())
            .contains("`wiki`, this evaluation of `helpdesk`")
    );
    let queries = mismatch(|other| other.queries[3].id = "strange".into());
    assert!(queries.contains("other queries: 1 of this evaluation and 1 of the baseline"), "{queries}");
    assert!(mismatch(|other| other.collection.judgements += 1).contains("1,201 judgements"));
    assert!(mismatch(|other| other.protocol.relevant_from = 2).contains("from grade 2 on"));
    let mut grown = report.clone();
    grown.collection.documents = Some(20_000);
    let verdict = gate(&grown, &report, "ndcg@10 < 0").unwrap();
    assert_eq!(verdict.notes, ["the baseline had 20,000 documents, now there are 18,204"]);
}

#[test]
fn a_baseline_says_what_it_is() {
    let mut value = serde_json::to_value(sample::usual()).unwrap();
    value["added_by_a_later_release"] = serde_json::json!({"deep": [1, 2]});
    value["systems"][0]["added"] = serde_json::json!(null);
    assert!(Baseline::parse(&value.to_string()).is_ok());
    let refused = |text: &str| {
        let error = Baseline::parse(text).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Baseline);
        error.to_string()
    };
    value["version"] = serde_json::json!(2);
    assert!(refused(&value.to_string()).contains("has version 2, but only version 1 is read"));
    assert!(refused("{}").contains("has no version"));
    assert!(refused("[]").contains("has no version"));
    assert!(refused("not json").contains("not the JSON of a report"));
    assert!(refused("{\"version\": 1}").contains("not the JSON of a report"));
}

proptest! {
    #[test]
    fn no_text_makes_a_rule_panic(text in ".{0,40}", operator in "[<>]=?", bound in "[-0-9.%a-z ]{0,12}") {
        let _ = text.parse::<FailIf>();
        let written = format!("{text}{operator}{bound}");
        if let Ok(rule) = written.parse::<FailIf>() {
            prop_assert_eq!(rule.to_string(), written.trim());
        }
    }

    #[test]
    fn the_gate_agrees_with_arithmetic(loss in -0.2_f64..0.2, bound in -0.2_f64..0.2) {
        let before = sample::usual();
        let after = worse(&before, "dense", loss);
        let verdict = gate(&before, &after, &format!("dense: ndcg@10 < {bound}")).unwrap();
        let change = after.systems[1].means[0].mean - before.systems[1].means[0].mean;
        prop_assert_eq!(verdict.passed(), change >= bound);
    }
}

//! Second pipelines on live queries.

use crate::support::{Ground, caller, judged, paths, text_document};
use elodex_engine::EngineLimits;
use elodex_search::{
    ErrorKind, Experiment, ExperimentReport, Mode, Pipeline, SearchEngine, SearchOptions, ShadowLimits,
    ShadowReport,
};
use elodex_store::UsageKind;
use elodex_types::{Arm, CallContext, Rerank, ScoreKind, SearchRequest, SearchResponse, Unit, Weights};
use std::time::Duration;

const TEXTS: [&str; 5] = [
    "Coffee is ground and brewed.",
    "Tea is steeped in hot water, coffee is not.",
    "A coffee grinder needs cleaning.",
    "Coffee beans come from Ethiopia.",
    "The coffee house closes at six.",
];

fn experiment(name: &str, mode: Mode, share: f64, pipeline: Pipeline) -> Experiment {
    Experiment { name: name.into(), collection: None, share, mode, pipeline }
}

/// A shadow of every query that has all the time there is.
fn shadow(pipeline: Pipeline) -> Experiment {
    experiment("second", Mode::Shadow(ShadowLimits { time_share: 1.0, queue: 64, at_once: 1 }), 1.0, pipeline)
}

fn reranked() -> Pipeline {
    Pipeline { rerank: Some(judged()), ..Pipeline::default() }
}

fn lexical() -> Pipeline {
    Pipeline { weights: Some(Weights { dense: 0.0, lexical: 1.0 }), ..Pipeline::default() }
}

fn ground(experiments: Vec<Experiment>) -> Ground {
    let options = SearchOptions { experiments, ..SearchOptions::default() };
    let ground = Ground::with(options, EngineLimits::default());
    let document = |(path, text): (usize, &&str)| text_document(&path.to_string(), text);
    ground.add(TEXTS.iter().enumerate().map(document).collect());
    ground
}

fn request(query: &str) -> SearchRequest {
    SearchRequest::new("c", query, Unit::Documents, 5)
}

fn report(engine: &SearchEngine) -> ExperimentReport {
    engine.experiments().remove(0)
}

/// The report once every sampled query has an end.
fn settled(ground: &Ground) -> ShadowReport {
    for _ in 0..12_000 {
        let report = report(&ground.engine).shadow.unwrap();
        if report.compared + report.failed + report.queue_full + report.over_budget == report.sampled {
            return report;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("shadows were not done within two minutes");
}

/// An answer without what differs from one time to the next.
fn timeless(mut response: SearchResponse) -> SearchResponse {
    response.timing = Default::default();
    response
}

#[test]
fn a_shadow_changes_no_answer_and_is_not_billed() {
    let plain = ground(vec![]);
    let shadowed = ground(vec![shadow(reranked())]);
    for query in ["coffee", "tea in water", "who closes at six"] {
        let (one, other) = (plain.search(&request(query)), shadowed.search(&request(query)));
        assert_eq!(other.experiment, None);
        assert_eq!(paths(&one), paths(&other));
        let scores =
            |response: &SearchResponse| response.hits.iter().map(|hit| hit.score).collect::<Vec<_>>();
        assert_eq!((scores(&one), one.rerank), (scores(&other), other.rerank.clone()));
        assert_eq!(timeless(other).usage, one.usage);
    }
    let found = settled(&shadowed);
    assert_eq!((found.queries, found.sampled, found.compared, found.failed), (3, 3, 3, 0));
    let billed = |ground: &Ground| -> u64 {
        let rows = ground.engine.usage(UsageKind::Queries, 0, u64::MAX).unwrap();
        rows.iter().map(|row| row.count).sum()
    };
    assert_eq!((billed(&plain), billed(&shadowed)), (3, 3));
}

#[test]
fn a_shadow_of_the_same_pipeline_agrees_and_of_another_does_not() {
    let same = ground(vec![shadow(Pipeline { depth: Some(100), ..Pipeline::default() })]);
    let other = ground(vec![shadow(lexical())]);
    for ground in [&same, &other] {
        for query in ["tea", "house", "ethiopia"] {
            ground.search(&request(query));
        }
    }
    let found = settled(&same);
    assert_eq!((found.overlap.mean, found.score_shift.mean), (Some(1.0), Some(0.0)));
    assert!((found.rank_biased_overlap.p5.unwrap() - 1.0).abs() < 1e-9, "{found:?}");
    assert_eq!((found.answer_ms.count, found.shadow_ms.count), (3, 3));
    // Each word is in one document of five, which both lists have.
    let found = settled(&other);
    assert!((found.overlap.mean.unwrap() - 0.2).abs() < 1e-9, "{found:?}");
    assert!(found.score_shift.mean.unwrap() < 0.0, "one list gives less than two: {found:?}");
}

#[test]
fn the_report_has_the_numbers_of_what_was_asked() {
    let ground = ground(vec![shadow(lexical())]);
    let queries = ["coffee house", "tea and coffee", "who is ground", "beans of ethiopia", "nothing at all"];
    let mut expected = [0.0; 2];
    for query in queries {
        let given = ground.search(&request(query));
        let second = SearchRequest { weights: lexical().weights, collection: "c".into(), ..request(query) };
        let second = ground.search(&second);
        expected[0] += elodex_eval::overlap(&paths(&given), &paths(&second)) / queries.len() as f64;
        expected[1] +=
            elodex_eval::rank_biased_overlap(&paths(&given), &paths(&second), 0.9) / queries.len() as f64;
    }
    let found = settled(&ground);
    assert_eq!((found.queries, found.compared), (10, 10));
    // The second half was asked as the shadow is: it agrees with itself.
    let mean = |of_half: f64| (of_half + 1.0) / 2.0;
    assert!((found.overlap.mean.unwrap() - mean(expected[0])).abs() < 1e-9, "{found:?} {expected:?}");
    let rbo = found.rank_biased_overlap.mean.unwrap();
    assert!((rbo - mean(expected[1])).abs() < 1e-9, "{found:?} {expected:?}");
    assert!(expected[1] < 1.0, "{expected:?}");
    assert!(found.seconds > 0.0);
}

#[test]
fn only_what_can_be_compared_is_shadowed() {
    let mut of_another = shadow(reranked());
    of_another.collection = Some("d".into());
    let ground_of_another = ground(vec![of_another]);
    ground_of_another.search(&request("coffee"));
    assert_eq!(settled(&ground_of_another).queries, 0);

    let off = Pipeline { rerank: Some(Rerank::Off), ..Pipeline::default() };
    let ground = ground(vec![shadow(off)]);
    let mut with_threshold = request("coffee");
    (with_threshold.rerank, with_threshold.threshold) = (judged(), Some(0.0));
    ground.search(&with_threshold);
    let listing = SearchRequest { query: None, ..request("") };
    ground.search(&listing);
    assert_eq!(settled(&ground).queries, 0);
    with_threshold.threshold = None;
    ground.search(&with_threshold);
    let found = settled(&ground);
    assert_eq!((found.queries, found.compared), (1, 1));
    assert_eq!(found.score_shift.count, 0, "scores of two kinds are not compared");
}

#[test]
fn what_was_not_answered_is_not_shadowed() {
    // The judge lets nothing in.
    let limits = EngineLimits { request_bytes: 10, ..EngineLimits::default() };
    let mut experiment = shadow(Pipeline { depth: Some(3), ..Pipeline::default() });
    experiment.pipeline.rerank = Some(judged());
    let ground = Ground::with(SearchOptions { experiments: vec![experiment], ..Default::default() }, limits);
    ground.add(vec![text_document("0", TEXTS[0])]);
    ground.search(&request("coffee"));
    let found = settled(&ground);
    // The shadow is answered without the second stage, which is no failure.
    assert_eq!((found.compared, found.failed), (1, 0));
    ground.engine.delete_collection("c").unwrap();
    assert_eq!(ground.refusal(&request("coffee")).kind(), ErrorKind::NotFound);
    assert_eq!(settled(&ground).queries, 1, "what was not answered has nothing to compare with");
}

#[test]
fn shutting_down_ends_shadows() {
    let ground = ground(vec![shadow(reranked())]);
    for _ in 0..20 {
        ground.search(&request("coffee"));
    }
    ground.engine.shutdown();
    let found = report(&ground.engine).shadow.unwrap();
    assert!(found.compared <= found.sampled, "{found:?}");
    ground.search(&request("coffee"));
    assert_eq!(report(&ground.engine).shadow.unwrap().compared, found.compared);
}

#[test]
fn a_split_answers_each_key_with_its_pipeline_and_counts_both() {
    let ground = ground(vec![experiment("ab", Mode::Split, 0.5, reranked())]);
    let mut arms = [0_u64; 2];
    let mut keys = Vec::new();
    for key in 0..40 {
        let mut asked = request("coffee beans");
        asked.experiment_key = Some(format!("user {key}"));
        let response = ground.search(&asked);
        let assignment = response.experiment.clone().unwrap();
        assert_eq!(assignment.experiment, "ab");
        let treated = assignment.arm == Arm::Treatment;
        arms[usize::from(treated)] += 1;
        keys.push((key, assignment));
        let kind = if treated { ScoreKind::Relevance } else { ScoreKind::RankFused };
        assert_eq!(response.score_kind, Some(kind));
    }
    assert!(arms.iter().all(|&count| count >= 10), "{arms:?}");
    for (key, assignment) in keys.into_iter().take(5) {
        let asked = SearchRequest { experiment_key: Some(format!("user {key}")), ..request("tea") };
        assert_eq!(ground.search(&asked).experiment, Some(assignment), "whatever is asked");
    }
    let report = report(&ground.engine);
    assert_eq!((report.mode, report.pipeline.rerank), ("split", Some("on")));
    let split = report.split.unwrap();
    assert_eq!(split.control.queries + split.treatment.queries, 45);
    assert_eq!((split.control.reranked, split.treatment.reranked), (0, split.treatment.queries));
    assert_eq!((split.control.failed, split.control.without_results), (0, 0));
    assert_eq!(split.treatment.answer_ms.count, split.treatment.queries);
    assert!(split.control.answer_ms.p50 <= split.control.answer_ms.p99);
}

#[test]
fn without_a_key_of_its_own_a_request_has_its_caller_s() {
    let ground = ground(vec![experiment("ab", Mode::Split, 0.5, reranked())]);
    let arm = |key: &str| {
        let context = CallContext { key: key.into(), deadline: None };
        ground.engine.search(&request("tea"), &context).unwrap().experiment.unwrap().arm
    };
    let callers: Vec<String> = (0..20).map(|number| format!("key {number}")).collect();
    let arms: Vec<Arm> = callers.iter().map(|key| arm(key)).collect();
    assert!(arms.contains(&Arm::Control) && arms.contains(&Arm::Treatment));
    assert_eq!(arms, callers.iter().map(|key| arm(key)).collect::<Vec<_>>());
}

#[test]
fn zero_results_and_failures_are_counted_by_arm() {
    let ground = ground(vec![experiment("all", Mode::Split, 1.0, lexical())]);
    assert!(ground.search(&request("xylophone")).hits.is_empty());
    ground.search(&request("coffee"));
    let mut wrong = request("coffee");
    wrong.k = 0;
    assert!(ground.engine.search(&wrong, &caller()).is_err());
    let split = report(&ground.engine).split.unwrap();
    let treated = split.treatment;
    assert_eq!((treated.queries, treated.without_results, treated.failed), (3, 1, 1));
    assert_eq!(treated.answer_ms.count, 2);
    assert_eq!(split.control.queries, 0);
}

#[test]
fn what_a_split_treats_is_not_shadowed() {
    let split = experiment("ab", Mode::Split, 0.5, lexical());
    let ground = ground(vec![shadow(reranked()), split]);
    for key in 0..20 {
        let asked = SearchRequest { experiment_key: Some(key.to_string()), ..request("tea") };
        ground.search(&asked);
    }
    let shadowed = settled(&ground);
    let split = ground.engine.experiments()[1].split.clone().unwrap();
    assert!(split.treatment.queries > 0 && split.control.queries > 0);
    assert_eq!(shadowed.sampled, split.control.queries);
}

#[test]
fn experiments_that_cannot_run_are_refused_by_name() {
    let refusal = |experiments: Vec<Experiment>| {
        let options = SearchOptions { experiments, ..SearchOptions::default() };
        let error = Ground::refused(options);
        (error.kind(), error.report())
    };
    let split = |name: &str, share, pipeline| vec![experiment(name, Mode::Split, share, pipeline)];
    assert!(refusal(split("Two Words", 0.5, lexical())).1.contains("lower-case letters"));
    assert!(refusal(split("a", 0.0, lexical())).1.contains("share is 0"));
    assert!(refusal(split("a", f64::NAN, lexical())).1.contains("share is NaN"));
    assert!(refusal(split("a", 0.5, Pipeline::default())).1.contains("nothing differently"));
    let twice = [split("a", 0.5, lexical()), split("a", 0.5, reranked())].concat();
    assert!(refusal(twice).1.contains("two experiments are called `a`"));
    let nobody = Rerank::Auto { model: Some("nobody".into()) };
    let (kind, message) = refusal(split("a", 0.5, Pipeline { rerank: Some(nobody), ..Pipeline::default() }));
    assert_eq!(kind, ErrorKind::NotFound);
    assert!(message.contains("experiment `a`") && message.contains("`nobody`"), "{message}");
    let limits = ShadowLimits { queue: 0, ..ShadowLimits::default() };
    assert!(refusal(vec![experiment("a", Mode::Shadow(limits), 0.5, lexical())]).1.contains("queue is 0"));
    let limits = ShadowLimits { time_share: 1.5, ..ShadowLimits::default() };
    let (_, message) = refusal(vec![experiment("a", Mode::Shadow(limits), 0.5, lexical())]);
    assert!(message.contains("time_share is 1.5"), "{message}");
    let depth = Pipeline { depth: Some(0), ..Pipeline::default() };
    assert!(refusal(split("a", 0.5, depth)).1.contains("depth is 0"));
}

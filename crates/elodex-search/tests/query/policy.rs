//! What a collection's policy settles, and what a request settles before it.

use crate::support::{COFFEE, Ground, judged, paths, text_document};
use elodex_eval::calibration::{Calibration, Method, Sample, Samples, fit_calibration};
use elodex_eval::gate::GateSetting;
use elodex_eval::significance::Interval;
use elodex_eval::{CalibrationPolicy, CrossValidation, FusionPolicy, Measure, Policy, RerankPolicy};
use elodex_search::{ErrorKind, SearchOptions};
use elodex_store::{Catalog, RedbCatalog};
use elodex_types::{
    Rerank, RerankStatus, ScoreKind, SearchHit, SearchRequest, SearchResponse, Unit, Weights,
};

const NOTHING: Interval = Interval { mean: 0.0, low: 0.0, high: 0.0, confidence: 0.95, queries: 9 };

fn request(rerank: Rerank) -> SearchRequest {
    let mut request = SearchRequest::new("c", "where does coffee come from", Unit::Documents, 6);
    request.rerank = rerank;
    request.explain = true;
    request
}

fn auto() -> Rerank {
    Rerank::Auto { model: None }
}

fn of_fusion(dense_weight: f64, lexical_weight: f64, dense_depth: usize, lexical_depth: usize) -> Policy {
    let fusion = FusionPolicy { dense_weight, lexical_weight, dense_depth, lexical_depth, gain: NOTHING };
    Policy { fusion: Some(fusion), ..Policy::new(Measure::NDCG_10, 9) }
}

fn of_gate(model: &str, skip_margin: Option<f64>, depth: usize) -> Policy {
    let gate = GateSetting { skip_margin, depth };
    let rerank = RerankPolicy { model: model.into(), gate, saved: 0.5, change: NOTHING };
    Policy { rerank: Some(rerank), ..Policy::new(Measure::NDCG_10, 9) }
}

fn set(ground: &Ground, policy: &Policy) {
    ground.engine.set_policy("c", Some(&serde_json::to_string(policy).unwrap())).unwrap();
}

fn refusal(ground: &Ground, policy: &Policy) -> (ErrorKind, String) {
    let error = ground.engine.set_policy("c", Some(&serde_json::to_string(policy).unwrap())).unwrap_err();
    (error.kind(), error.report())
}

/// The lead of the first over the third fused score.
fn lead(response: &SearchResponse) -> f64 {
    let score = |rank: usize| f64::from(response.hits[rank - 1].explanation.as_ref().unwrap().fused.score);
    score(1) - score(3)
}

fn skipped(response: &SearchResponse) -> &str {
    match &response.rerank {
        RerankStatus::Skipped { reason } => reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_policy_is_kept_shown_backed_up_and_taken_away() {
    let mut ground = Ground::of_texts(&COFFEE);
    assert_eq!(ground.engine.collection_info("c").unwrap().policy, None);
    let policy = of_fusion(0.0, 1.0, 50, 60);
    set(&ground, &policy);
    let kept = ground.engine.collection_info("c").unwrap().policy.unwrap();
    assert_eq!(Policy::parse(&kept).unwrap(), policy);

    let mut backup = Vec::new();
    ground.catalog.backup(&mut backup, &mut |_| {}).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let restored = folder.path().join("data");
    RedbCatalog::restore(&mut backup.as_slice(), &restored, &mut |_| {}).unwrap();
    let restored = RedbCatalog::open(&restored, &Default::default()).unwrap();
    let settings = restored.view().unwrap().collection("c").unwrap().settings;
    assert_eq!(settings.policy.as_ref(), Some(&kept));

    ground.reopen(|_| ());
    let asked_dense = |ground: &Ground| {
        let hits = ground.search(&request(Rerank::Off)).hits;
        hits.iter().any(|hit: &SearchHit| hit.explanation.as_ref().unwrap().dense.is_some())
    };
    assert!(!asked_dense(&ground), "the policy holds after a restart");
    ground.engine.set_policy("c", None).unwrap();
    assert_eq!(ground.engine.collection_info("c").unwrap().policy, None);
    assert!(asked_dense(&ground), "and not once it is taken away");
}

#[test]
fn what_is_no_policy_is_refused_and_leaves_the_one_there_is() {
    let ground = Ground::of_texts(&COFFEE);
    let policy = of_gate("judge", None, 3);
    set(&ground, &policy);
    let error = ground.engine.set_policy("c", Some("{}")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Request);
    assert!(error.report().contains("elodex eval --write-policy"), "{}", error.report());
    let (kind, message) = refusal(&ground, &of_gate("nobody", None, 3));
    assert_eq!(kind, ErrorKind::NotFound);
    assert!(message.contains("`nobody`") && message.contains("serve it under that name"), "{message}");
    assert!(refusal(&ground, &of_gate("judge", None, 2_049)).1.contains("2048"));
    assert!(refusal(&ground, &of_fusion(1.0, 1.0, 10_001, 5)).1.contains("dense_depth is 10001"));
    // As f32 nothing is left of it.
    assert!(refusal(&ground, &of_fusion(1e-60, 0.0, 5, 5)).1.contains("not both 0"));
    assert_eq!(ground.engine.set_policy("d", None).unwrap_err().kind(), ErrorKind::NotFound);
    let kept = ground.engine.collection_info("c").unwrap().policy.unwrap();
    assert_eq!(Policy::parse(&kept).unwrap(), policy);
}

#[test]
fn a_policy_that_another_release_wrote_is_named_not_passed_over() {
    let ground = Ground::of_texts(&COFFEE);
    let id = ground.catalog.view().unwrap().collection("c").unwrap().id;
    ground.catalog.set_policy(id, Some(r#"{"version": 99}"#.into())).unwrap();
    let error = ground.refusal(&request(Rerank::Off));
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.to_string().contains("`elodex collections policy c --clear`"), "{error}");
}

#[test]
fn weights_and_depths_are_the_request_s_then_the_policy_s_then_the_collection_s() {
    let many: Vec<String> = (0..30).map(|number| format!("Coffee number {number} is brewed.")).collect();
    let document = |(path, text): (usize, &String)| text_document(&path.to_string(), text);
    let ground = Ground::of(many.iter().enumerate().map(document).collect());
    ground.engine.set_weights("c", Weights { dense: 1.0, lexical: 0.0 }).unwrap();
    // Results that the dense and the BM25 list have.
    let listed = |request: &SearchRequest| {
        let hits = ground.search(request).hits;
        let explained = |hit: &SearchHit| hit.explanation.clone().unwrap();
        let dense = hits.iter().filter(|hit| explained(hit).dense.is_some()).count();
        let lexical = hits.iter().filter(|hit| explained(hit).lexical.is_some()).count();
        (dense, lexical)
    };
    let mut asked = SearchRequest::new("c", "coffee", Unit::Chunks, 3);
    asked.explain = true;
    assert_eq!(listed(&asked), (3, 0), "the collection's");
    set(&ground, &of_fusion(0.0, 0.5, 9, 4));
    assert_eq!(listed(&asked), (0, 3), "the policy's");
    let response = ground.search(&asked);
    assert_eq!(response.candidates, 4, "of its depth");
    assert!((response.hits[0].score.value - 0.5 / 61.0).abs() < 1e-6, "by its weight");
    asked.weights = Some(Weights { dense: 1.0, lexical: 0.0 });
    assert_eq!(listed(&asked), (3, 0), "the request's");
    assert_eq!(ground.search(&asked).candidates, 9, "with the policy's depth");
    asked.depth = Some(5);
    assert_eq!(ground.search(&asked).candidates, 5, "the request's");
    // More is asked for than the policy's lists bring.
    (asked.weights, asked.depth, asked.k) = (None, None, 20);
    assert_eq!(ground.search(&asked).hits.len(), 20);
    (asked.k, asked.rerank) = (3, Rerank::On { model: None, depth: Some(15) });
    assert_eq!(ground.search(&asked).candidates, 15);
}

#[test]
fn auto_spares_the_reranker_where_the_first_stage_is_clear() {
    let ground = Ground::of_texts(&COFFEE);
    let first = ground.search(&request(Rerank::Off));
    let lead = lead(&first);
    assert!(lead > 0.0);

    set(&ground, &of_gate("judge", Some(lead), 2));
    let response = ground.search(&request(auto()));
    let reason = skipped(&response);
    assert!(reason.contains(&format!("margin of {lead:.6}, and from {lead:.6} on")), "{reason}");
    assert_eq!(paths(&response), paths(&first));
    assert_eq!((response.score_kind, &response.reranker), (Some(ScoreKind::RankFused), &None));
    assert_eq!(response.usage, first.usage);
    // Fewer results do not change what is compared.
    let mut one = request(auto());
    one.k = 1;
    assert_eq!(skipped(&ground.search(&one)), reason);

    set(&ground, &of_gate("judge", Some(lead * 1.01), 2));
    let response = ground.search(&request(auto()));
    assert_eq!((&response.rerank, response.reranker.as_deref()), (&RerankStatus::Full, Some("judge")));
    let kinds = response.hits.iter().filter(|hit| hit.score.kind == ScoreKind::Relevance);
    assert_eq!(kinds.count(), 2, "to the policy's depth");
    set(&ground, &of_gate("judge", None, 2));
    assert_eq!(ground.search(&request(auto())).rerank, RerankStatus::Full, "no margin is enough");
}

#[test]
fn auto_does_not_skip_what_a_margin_does_not_speak_of() {
    let ground = Ground::of_texts(&COFFEE);
    let clear = |request: &SearchRequest| !matches!(ground.search(request).rerank, RerankStatus::Full);
    set(&ground, &of_gate("judge", Some(0.0), 6));
    assert!(clear(&request(auto())));
    let mut asked = request(auto());
    asked.threshold = Some(0.0);
    assert!(!clear(&asked), "a threshold needs scores");
    asked = request(auto());
    asked.weights = Some(Weights { dense: 1.0, lexical: 0.5 });
    assert!(!clear(&asked), "weights of its own put the margin on another scale");
    asked = request(auto());
    asked.depth = Some(4);
    assert!(!clear(&asked));
    assert!(!clear(&request(judged())), "who asks for a reranker gets it");
    // Without a policy, or one for the reranker, it is as usual.
    set(&ground, &of_fusion(1.0, 1.0, 100, 100));
    let response = ground.search(&request(auto()));
    assert!(response.hits.iter().all(|hit| hit.score.kind == ScoreKind::Relevance), "{:?}", response.rerank);
    ground.engine.set_policy("c", None).unwrap();
    assert_eq!(paths(&ground.search(&request(auto()))), paths(&ground.search(&request(judged()))));
}

#[test]
fn nothing_to_order_is_not_reranked() {
    let ground = Ground::of_texts(&COFFEE[..1]);
    set(&ground, &of_gate("judge", None, 5));
    let response = ground.search(&request(auto()));
    assert_eq!(skipped(&response), "there are fewer than two results to order");
    assert_eq!(response.hits.len(), 1);
}

#[test]
fn auto_without_any_reranker_is_the_first_stage_and_says_so() {
    let ground = Ground::without_reranker(SearchOptions::default());
    ground.add(vec![text_document("0", COFFEE[0]), text_document("1", COFFEE[1])]);
    let response = ground.search(&request(auto()));
    assert!(skipped(&response).contains("no reranker is served here"));
    assert_eq!(paths(&response), paths(&ground.search(&request(Rerank::Off))));
    let mut asked = request(auto());
    asked.threshold = Some(0.5);
    assert_eq!(ground.refusal(&asked).kind(), ErrorKind::NotFound);
    assert_eq!(ground.refusal(&request(judged())).kind(), ErrorKind::NotFound);
    let named = Rerank::Auto { model: Some("judge".into()) };
    assert_eq!(ground.refusal(&request(named)).kind(), ErrorKind::NotFound);
}

/// A curve through the middle of some logits.
fn curve(logits: &[f32]) -> Calibration {
    let middle = f64::from(logits[logits.len() / 2]);
    let spread = f64::from(logits[0] - logits[logits.len() - 1]).max(1e-3);
    let mut samples = Samples::default();
    for query in 0..20 {
        for step in -5_i32..=5 {
            let score = middle + f64::from(step) * spread / 5.0;
            // What is right more often the higher the score is.
            let relevant = (query * 7 + step * 3).rem_euclid(11) < 5 + step;
            samples.samples.push(Sample { query: format!("q{query}"), score, relevant });
        }
    }
    fit_calibration(&samples, Some(Method::Platt), &CrossValidation::default()).unwrap().calibration
}

#[test]
fn calibrated_scores_are_probabilities_and_a_threshold_is_one() {
    let ground = Ground::of_texts(&COFFEE);
    let plain = ground.search(&request(judged()));
    let logits: Vec<f32> =
        plain.hits.iter().map(|hit| hit.explanation.as_ref().unwrap().logit.unwrap()).collect();
    let curve = curve(&logits);
    let calibration = CalibrationPolicy { model: "judge".into(), curve: curve.clone(), ece: 0.02 };
    set(&ground, &Policy { calibration: Some(calibration), ..Policy::new(Measure::NDCG_10, 20) });

    let response = ground.search(&request(judged()));
    assert_eq!(paths(&response), paths(&plain), "the order is the reranker's");
    assert_eq!(response.score_kind, Some(ScoreKind::Calibrated));
    assert_eq!((plain.calibration, response.calibration.as_deref()), (None, Some(curve.version())));
    for (hit, &logit) in response.hits.iter().zip(&logits) {
        assert_eq!(hit.score.kind, ScoreKind::Calibrated);
        assert_eq!(hit.score.value, curve.probability(f64::from(logit)) as f32);
    }
    let probability = |rank: usize| response.hits[rank - 1].score.value;
    assert!(probability(2) > probability(3), "{:?}", response.hits);
    let mut above = request(judged());
    above.threshold = Some((probability(2) + probability(3)) / 2.0);
    assert_eq!(paths(&ground.search(&above)), paths(&response)[..2]);

    let passages = SearchRequest { unit: Unit::Passages, ..request(judged()) };
    assert!(ground.search(&passages).hits.iter().all(|hit| hit.score.kind == ScoreKind::Calibrated));
    // Beyond what it scored there is nothing to calibrate, and without a reranker nothing either.
    let response = ground.search(&request(Rerank::On { model: None, depth: Some(2) }));
    let kinds: Vec<ScoreKind> = response.hits.iter().map(|hit| hit.score.kind).collect();
    assert_eq!((kinds[1], kinds[2]), (ScoreKind::Calibrated, ScoreKind::RankFused));
    let response = ground.search(&request(Rerank::Off));
    assert_eq!((response.score_kind, response.calibration), (Some(ScoreKind::RankFused), None));
    // A threshold that nothing reaches leaves no result, and says what its scale was.
    above.threshold = Some(1.0);
    assert_eq!(ground.search(&above).score_kind, Some(ScoreKind::Calibrated));
}

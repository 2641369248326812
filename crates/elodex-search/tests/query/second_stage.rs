//! The reranker's order, and what is said where it is not there.

use crate::support::{COFFEE, Ground, judged, paths};
use elodex_engine::EngineLimits;
use elodex_search::{ErrorKind, SearchOptions};
use elodex_types::{
    CallContext, Explanation, Place, Rerank, RerankStatus, ScoreKind, SearchHit, SearchRequest,
    SearchResponse, Unit, Weights,
};
use std::collections::HashMap;
use std::time::{Duration, Instant};

fn request(unit: Unit, k: usize) -> SearchRequest {
    let mut request = SearchRequest::new("c", "where does coffee come from", unit, k);
    request.rerank = judged();
    request.explain = true;
    request
}

fn logits(response: &SearchResponse) -> Vec<Option<f32>> {
    response.hits.iter().map(|hit| hit.explanation.as_ref().unwrap().logit).collect()
}

/// Many short texts that have the word.
fn many() -> Vec<String> {
    (0..40)
        .map(|number| format!("Coffee number {number} tastes of {}.", "nuts ".repeat(number % 7)))
        .collect()
}

fn ground_of_many(limits: EngineLimits) -> Ground {
    let ground = Ground::with(SearchOptions::default(), limits);
    let texts = many();
    let document = |(path, text): (usize, &String)| crate::support::text_document(&path.to_string(), text);
    ground.add(texts.iter().enumerate().map(document).collect());
    ground
}

/// Under these a slice of 16 of [`many`] is let in, the 24 others are not.
fn tight() -> EngineLimits {
    EngineLimits { request_bytes: 4_500, ..EngineLimits::default() }
}

fn in_an_hour() -> CallContext {
    CallContext { key: "test".into(), deadline: Some(Instant::now() + Duration::from_secs(3_600)) }
}

#[test]
fn every_candidate_is_scored_before_any_cut() {
    let ground = Ground::of_texts(&COFFEE);
    let all = ground.search(&request(Unit::Documents, 6));
    assert_eq!((&all.rerank, all.score_kind), (&RerankStatus::Full, Some(ScoreKind::Relevance)));
    assert_eq!(all.reranker.as_deref(), Some("judge"));
    let order: Vec<f32> = logits(&all).into_iter().map(Option::unwrap).collect();
    assert!(order.is_sorted_by(|one, other| one >= other), "{order:?}");
    for k in 1..6 {
        assert_eq!(paths(&ground.search(&request(Unit::Documents, k))), paths(&all)[..k], "k = {k}");
    }
    let mut fused_ranks: Vec<usize> = Vec::new();
    for (position, hit) in all.hits.iter().enumerate() {
        let explanation = hit.explanation.as_ref().unwrap();
        let reranked = explanation.reranked.unwrap();
        assert_eq!(reranked.rank, position + 1);
        assert_eq!(reranked.score, hit.score.value);
        assert_eq!(explanation.moved, explanation.fused.rank as i64 - reranked.rank as i64);
        fused_ranks.push(explanation.fused.rank);
    }
    fused_ranks.sort_unstable();
    assert_eq!(fused_ranks, [1, 2, 3, 4, 5, 6]);
}

#[test]
fn the_first_stage_counts_as_much_as_the_reranker_says() {
    let alone = Ground::of_texts(&COFFEE).search(&request(Unit::Documents, 6));
    let own: HashMap<&str, f32> =
        paths(&alone).into_iter().zip(logits(&alone).into_iter().map(Option::unwrap)).collect();
    for (weights, asked) in [((0.5, 1.0), (1.0, 1.0)), ((2.0, 3.0), (1.0, 0.0)), ((3.0, 2.0), (1.0, 0.25))] {
        let weights = Weights { dense: weights.0, lexical: weights.1 };
        let ground = Ground::of_texts_with_first_stage(&COFFEE, weights);
        for unit in [Unit::Documents, Unit::Passages] {
            let mut request = request(unit, 6);
            request.weights = Some(Weights { dense: asked.0, lexical: asked.1 });
            let both = ground.search(&request);
            assert_eq!(both.score_kind, Some(ScoreKind::Relevance));
            assert!(both.hits.is_sorted_by(|one, other| one.score.value >= other.score.value));
            let explained: Vec<&Explanation> =
                both.hits.iter().map(|hit| hit.explanation.as_ref().unwrap()).collect();
            // All documents are among the hits, so the ends of the lists are, too.
            let part = |place: fn(&Explanation) -> Option<Place>, of: &Explanation| {
                let scores = || explained.iter().filter_map(|one| place(one)).map(|place| place.score);
                let (last, first) = (scores().fold(f32::MAX, f32::min), scores().fold(f32::MIN, f32::max));
                let at = |score: f32| if first > last { (score - last) / (first - last) } else { 1.0 };
                place(of).map_or(0.0, |place| at(place.score))
            };
            for hit in &both.hits {
                let explanation = hit.explanation.as_ref().unwrap();
                let mut expected = own[hit.path.as_str()];
                expected += weights.dense * (part(|one| one.dense, explanation) - 0.5);
                if asked.1 > 0.0 {
                    expected += weights.lexical * (part(|one| one.lexical, explanation) - 0.5);
                }
                let logit = explanation.logit.unwrap();
                assert!((logit - expected).abs() < 1e-4, "{weights:?} {unit:?}: {logit} for {expected}");
                assert!((hit.score.value - 1.0 / (1.0 + (-expected).exp())).abs() < 1e-5);
            }
        }
    }
    let weights = Weights { dense: 100.0, lexical: 0.0 };
    let decides = Ground::of_texts_with_first_stage(&COFFEE, weights).search(&request(Unit::Documents, 6));
    let by_cosine = |hit: &SearchHit| hit.explanation.as_ref().unwrap().dense.unwrap().rank;
    assert!(decides.hits.is_sorted_by_key(by_cosine));
}

#[test]
fn slices_make_the_order_of_one_call() {
    let ground = ground_of_many(EngineLimits::default());
    let request = request(Unit::Documents, 40);
    let whole = ground.search(&request);
    let sliced = ground.engine.search(&request, &in_an_hour()).unwrap();
    assert_eq!(sliced.rerank, RerankStatus::Full);
    assert_eq!(paths(&sliced), paths(&whole));
    assert_eq!(sliced.usage, whole.usage);
}

#[test]
fn beyond_the_rerank_depth_the_fused_order_stands() {
    let ground = Ground::of_texts(&COFFEE);
    let mut request = request(Unit::Documents, 6);
    request.rerank = Rerank::On { model: Some("judge".into()), depth: Some(2) };
    let response = ground.search(&request);
    assert_eq!(response.rerank, RerankStatus::Full);
    let kinds: Vec<ScoreKind> = response.hits.iter().map(|hit| hit.score.kind).collect();
    assert_eq!(kinds[..2], [ScoreKind::Relevance; 2]);
    assert_eq!(kinds[2..], [ScoreKind::RankFused; 4]);
    let ranks = response.hits.iter().map(|hit| hit.explanation.as_ref().unwrap().fused.rank);
    assert_eq!(ranks.skip(2).collect::<Vec<_>>(), [3, 4, 5, 6]);
}

#[test]
fn as_many_are_scored_as_are_asked_for() {
    let options = SearchOptions { rerank_depth: 2, ..SearchOptions::default() };
    let ground = Ground::with(options, EngineLimits::default());
    let texts = COFFEE.iter().enumerate();
    ground.add(texts.map(|(path, text)| crate::support::text_document(&path.to_string(), text)).collect());
    let response = ground.search(&request(Unit::Documents, 6));
    assert!(response.hits.iter().all(|hit| hit.score.kind == ScoreKind::Relevance), "{:?}", response.hits);
    assert!(logits(&response).is_sorted_by(|one, other| one.unwrap() >= other.unwrap()));
}

#[test]
fn what_is_scored_when_it_stops_comes_first() {
    let ground = ground_of_many(tight());
    let response = ground.engine.search(&request(Unit::Documents, 40), &in_an_hour()).unwrap();
    let RerankStatus::Partial { scored: 16, reason } = &response.rerank else {
        panic!("{:?}", response.rerank)
    };
    assert!(reason.contains("16 of 40"), "{reason}");
    assert_eq!(response.score_kind, Some(ScoreKind::Relevance));
    let logits = logits(&response);
    assert!(logits[..16].is_sorted_by(|one, other| one.unwrap() >= other.unwrap()));
    assert!(logits[16..].iter().all(Option::is_none));
    let ranks: Vec<usize> =
        response.hits.iter().map(|hit| hit.explanation.as_ref().unwrap().fused.rank).collect();
    assert!(ranks[..16].iter().all(|&rank| rank <= 16));
    assert_eq!(ranks[16..], (17..=40).collect::<Vec<_>>());
    let kinds = response.hits.iter().map(|hit| hit.score.kind);
    assert!(kinds.skip(16).all(|kind| kind == ScoreKind::RankFused));
}

#[test]
fn a_reranker_that_fails_leaves_the_fused_order_and_says_so() {
    let ground = ground_of_many(tight());
    let mut request = request(Unit::Documents, 40);
    let response = ground.search(&request);
    let RerankStatus::Skipped { reason } = &response.rerank else { panic!("{:?}", response.rerank) };
    assert!(reason.contains("4500"), "{reason}");
    assert_eq!((response.score_kind, &response.reranker), (Some(ScoreKind::RankFused), &None));
    request.rerank = Rerank::Off;
    assert_eq!(paths(&response), paths(&ground.search(&request)));

    request.rerank = judged();
    request.threshold = Some(0.0);
    let error = ground.refusal(&request);
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert!(error.to_string().contains("threshold"), "{error}");
}

#[test]
fn a_threshold_keeps_what_was_scored_above_it() {
    let ground = Ground::of_texts(&COFFEE);
    let mut request = request(Unit::Documents, 6);
    let all = ground.search(&request);
    let middle = all.hits[2].score.value;
    request.threshold = Some(middle);
    let above = ground.search(&request);
    let expected: Vec<&str> =
        all.hits.iter().filter(|hit| hit.score.value >= middle).map(|hit| hit.path.as_str()).collect();
    assert_eq!(paths(&above), expected);
    assert!(above.hits.len() >= 3);
    request.threshold = Some(1.0);
    assert!(ground.search(&request).hits.iter().all(|hit| hit.score.value >= 1.0));
    // What the reranker has not seen cannot be compared.
    request.threshold = Some(0.0);
    request.rerank = Rerank::On { model: None, depth: Some(2) };
    assert_eq!(ground.search(&request).hits.len(), 2);
}

#[test]
fn a_passage_has_its_own_score() {
    let long = "Coffee comes from Ethiopia. ".to_owned()
        + &"Nobody knows why the sky was so blue in those days, and nobody asked. ".repeat(20);
    let ground = Ground::of_texts(&[&long, COFFEE[0], COFFEE[1]]);
    let response = ground.search(&request(Unit::Passages, 10));
    assert_eq!(response.rerank, RerankStatus::Full);
    let scores: Vec<f32> = response.hits.iter().map(|hit| hit.score.value).collect();
    assert!(scores.is_sorted_by(|one, other| one >= other), "{scores:?}");
    assert!(response.hits.iter().all(|hit| hit.score.kind == ScoreKind::Relevance));
    assert!(response.hits.iter().all(|hit| hit.content.as_ref().unwrap().chars().count() < 400));
}

#[test]
fn without_a_reranker_a_passage_is_chosen_by_the_query_s_words() {
    let filler = "Nobody knows why the sky was so blue in those days, and nobody asked. ".repeat(5);
    let text = format!("{filler}\n\nThe first coffee came to Vienna in sacks of camel fodder.\n\n{filler}");
    let ground = Ground::of_texts(&[&text]);
    let mut request = SearchRequest::new("c", "coffee in Vienna", Unit::Passages, 1);
    request.weights = Some(Weights { dense: 0.0, lexical: 1.0 });
    let response = ground.search(&request);
    assert!(response.hits[0].content.as_ref().unwrap().contains("Vienna"), "{:?}", response.hits[0]);
}

#[test]
fn the_reranker_compares_a_bounded_number_of_passages_and_says_so() {
    let options = SearchOptions { chunk_tokens: 64, passage_chars: 20, ..SearchOptions::default() };
    let ground = Ground::with(options, EngineLimits::default());
    let text = |number: usize| -> String {
        (0..60).map(|line| format!("Coffee {number} has line {line}. ")).collect()
    };
    let document = |number: usize| crate::support::text_document(&number.to_string(), &text(number));
    ground.add((0..30).map(document).collect());
    let k = 300;
    let mut all = request(Unit::Passages, k);
    all.depth = Some(k);
    all.rerank = Rerank::On { model: None, depth: Some(k) };
    let response = ground.search(&all);
    let RerankStatus::Partial { scored, reason } = &response.rerank else { panic!("{:?}", response.rerank) };
    assert!((1..k).contains(scored), "{reason}");
    assert!(reason.contains(&format!("the passages of {scored} of {k} chunks")), "{reason}");
    assert!(reason.contains("512"), "{reason}");
    assert_eq!(response.hits.len(), k, "the others are there as well");
    assert!(response.hits.iter().all(|hit| hit.score.kind == ScoreKind::Relevance));
    let scores: Vec<f32> = response.hits.iter().map(|hit| hit.score.value).collect();
    assert!(scores[..*scored].is_sorted_by(|one, other| one >= other), "{scores:?}");
    assert_eq!(ground.search(&request(Unit::Passages, 3)).rerank, RerankStatus::Full);
}

/// Looks for a deadline that passes while the reranker is at work; whatever happens before it is found must be in order.
#[test]
fn when_time_runs_out_what_is_scored_comes_first() {
    const CANDIDATES: usize = 400;
    // Without a cache every search does all the work.
    let ground =
        Ground::with(SearchOptions::default(), EngineLimits { cache_bytes: 0, ..EngineLimits::default() });
    let text = |number: usize| format!("Coffee {number} tastes of {}.", "nuts and of ".repeat(20));
    let document = |number: usize| crate::support::text_document(&number.to_string(), &text(number));
    ground.add((0..CANDIDATES).map(document).collect());
    let mut request = request(Unit::Documents, CANDIDATES);
    request.rerank = Rerank::On { model: None, depth: Some(CANDIDATES) };
    let fused_order = |response: &SearchResponse| -> Vec<usize> {
        response.hits.iter().map(|hit| hit.explanation.as_ref().unwrap().fused.rank).collect()
    };
    let (mut too_short, mut enough) = (Duration::ZERO, None);
    for _ in 0..200 {
        let budget = match enough {
            None => (2 * too_short).max(Duration::from_millis(1)),
            Some(enough) => (too_short + enough) / 2,
        };
        let context = CallContext { key: "test".into(), deadline: Some(Instant::now() + budget) };
        let response = match ground.engine.search(&request, &context) {
            Ok(response) => response,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Deadline, "{error}");
                too_short = budget;
                continue;
            }
        };
        match &response.rerank {
            RerankStatus::Full => {
                assert_eq!(response.score_kind, Some(ScoreKind::Relevance));
                enough = Some(budget);
            }
            RerankStatus::Skipped { reason } => {
                assert!(reason.contains("deadline"), "{reason}");
                assert_eq!((response.score_kind, &response.reranker), (Some(ScoreKind::RankFused), &None));
                assert!(fused_order(&response).is_sorted(), "the fused order stands");
                too_short = budget;
            }
            RerankStatus::Partial { scored, reason } => {
                assert!(reason.contains(&format!("{scored} of {CANDIDATES} candidates")), "{reason}");
                assert!(reason.contains("deadline"), "{reason}");
                assert_eq!(response.hits.len(), CANDIDATES, "nothing is lost");
                let (first, rest) = response.hits.split_at(*scored);
                assert!(first.iter().all(|hit| hit.score.kind == ScoreKind::Relevance));
                assert!(rest.iter().all(|hit| hit.score.kind == ScoreKind::RankFused));
                assert!(fused_order(&response)[*scored..].is_sorted(), "the fused order stands behind");
                assert!(!rest.is_empty());
                return;
            }
        }
    }
    panic!("no deadline passed while the reranker was at work");
}

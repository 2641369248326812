//! The first stage.

use crate::support::{Ground, caller, judged, paths, text_document};
use elodex_search::ErrorKind;
use elodex_store::UsageKind;
use elodex_types::{
    CallContext, Content, Message, Metadata, NewDocument, RerankStatus, ScoreKind, SearchHit, SearchRequest,
    Unit, Weights,
};
use std::time::Instant;

fn lexical_only() -> Option<Weights> {
    Some(Weights { dense: 0.0, lexical: 1.0 })
}

#[test]
fn an_empty_collection_has_no_hits() {
    let ground = Ground::new();
    for unit in [Unit::Documents, Unit::Pages, Unit::Chunks, Unit::Passages] {
        let mut request = SearchRequest::new("c", "green tea", unit, 10);
        let response = ground.search(&request);
        assert_eq!((response.hits.len(), response.score_kind), (0, Some(ScoreKind::RankFused)));
        request.rerank = judged();
        assert_eq!(ground.search(&request).rerank, RerankStatus::Full);
    }
}

#[test]
fn a_word_finds_its_document_and_says_how() {
    let ground = Ground::of_texts(&["steep green tea for two minutes", "grind coffee beans", "boil an egg"]);
    let mut request = SearchRequest::new("c", "coffee", Unit::Documents, 10);
    request.explain = true;
    request.weights = lexical_only();
    let response = ground.search(&request);
    assert_eq!(paths(&response), ["1"]);
    let hit = &response.hits[0];
    assert_eq!(hit.score.kind, ScoreKind::RankFused);
    assert!((hit.score.value - 1.0 / 61.0).abs() < 1e-6);
    let explanation = hit.explanation.as_ref().unwrap();
    assert_eq!((explanation.dense, explanation.reranked, explanation.moved), (None, None, 0));
    assert_eq!((explanation.lexical.unwrap().rank, explanation.fused.rank), (1, 1));
    assert_eq!(response.usage.tokens, 0, "nothing was embedded");
    assert_eq!(response.rerank, RerankStatus::Skipped { reason: "not asked for".into() });

    request.weights = None;
    let response = ground.search(&request);
    assert_eq!(response.hits.len(), 3, "the dense list has every document");
    assert!(response.usage.tokens > 0);
    let explanation = response.hits.iter().find(|hit| hit.path == "1").unwrap().explanation.as_ref().unwrap();
    let (dense, lexical) = (explanation.dense.unwrap(), explanation.lexical.unwrap());
    let fused = 1.0 / (60.0 + dense.rank as f32) + 1.0 / (60.0 + lexical.rank as f32);
    assert!((explanation.fused.score - fused).abs() < 1e-6);
}

#[test]
fn a_list_without_weight_is_not_asked() {
    let ground = Ground::of_texts(&["green tea", "coffee", "egg"]);
    let mut request = SearchRequest::new("c", "coffee", Unit::Documents, 10);
    request.weights = Some(Weights { dense: 2.0, lexical: 0.0 });
    request.explain = true;
    for hit in ground.search(&request).hits {
        assert!(hit.explanation.unwrap().lexical.is_none());
    }
}

#[test]
fn one_long_document_does_not_hide_the_others() {
    let long: Vec<String> =
        (0..400).map(|line| format!("Coffee coffee number {line} is coffee.\n\n")).collect();
    let mut documents = vec![text_document("long", &long.concat())];
    for path in 0..5 {
        documents
            .push(text_document(&path.to_string(), &format!("A short text {path} that has coffee once.")));
    }
    let ground = Ground::of(documents);
    let mut request = SearchRequest::new("c", "coffee", Unit::Documents, 6);
    request.weights = lexical_only();
    request.depth = Some(3);
    let shallow = ground.search(&request);
    assert!(shallow.candidates <= 3 && shallow.hits.len() <= 3, "{}", shallow.candidates);
    request.depth = None;
    let response = ground.search(&request);
    assert_eq!(response.hits.len(), 6);
    let chunks = ground.engine.collection_info("c").unwrap().status.num_chunks;
    assert!(chunks > 10, "{chunks}");
}

#[test]
fn depth_grows_until_there_are_enough_documents() {
    // A word that every language's stemmer leaves as it is: one term, and as rare in one document as in another.
    let long: Vec<String> = (0..3_000).map(|line| format!("Tea tea {line} tea tea.\n\n")).collect();
    let mut documents = vec![text_document("long", &long.concat())];
    for path in 0..3 {
        let text = format!("A rather long text {path} which mentions many things and, just once, tea.");
        documents.push(text_document(&path.to_string(), &text));
    }
    let ground = Ground::of(documents);
    let chunks = ground.engine.collection_info("c").unwrap().status.num_chunks;
    let options = elodex_search::SearchOptions::default();
    assert!(chunks > options.depth as u64, "{chunks} chunks do not fill a list");
    let mut request = SearchRequest::new("c", "tea", Unit::Documents, 4);
    request.weights = lexical_only();
    request.explain = true;
    let response = ground.search(&request);
    let rank = |hit: &SearchHit| hit.explanation.as_ref().unwrap().lexical.unwrap().rank;
    let ranks: Vec<usize> = response.hits.iter().map(rank).collect();
    assert_eq!((ranks.len(), ranks[0]), (4, 1));
    assert!(ranks[1..].iter().all(|&rank| rank > options.depth), "{ranks:?}");
}

#[test]
fn without_a_query_documents_are_listed_by_path() {
    let ground = Ground::of_texts(&["green tea", "coffee", "egg"]);
    let mut request = SearchRequest::new("c", "", Unit::Documents, 2);
    request.query = None;
    let response = ground.search(&request);
    assert_eq!(paths(&response), ["0", "1"]);
    assert_eq!((response.score_kind, response.hits[0].score.value), (None, 0.0));
    assert_eq!(response.hits[0].content.as_deref(), Some("green tea"));
    request.unit = Unit::Passages;
    assert_eq!(ground.refusal(&request).kind(), ErrorKind::Request);
}

#[test]
fn what_says_the_same_is_folded_into_the_best() {
    let text = "The museum opens at nine and closes at five on every day of the week but Monday.";
    let ground =
        Ground::of_texts(&[text, "The museum is closed.", &text.replace(' ', "  "), "Trams stop here."]);
    let mut request = SearchRequest::new("c", "when does the museum open", Unit::Documents, 10);
    request.explain = true;
    let all = ground.search(&request);
    assert_eq!(all.hits.len(), 4);
    request.collapse = true;
    let response = ground.search(&request);
    assert_eq!(response.hits.len(), 3);
    assert_eq!(response.candidates, all.candidates);
    let folded: Vec<(&str, &[String])> = response
        .hits
        .iter()
        .map(|hit| (hit.path.as_str(), hit.explanation.as_ref().unwrap().duplicates.as_slice()))
        .filter(|(_, duplicates)| !duplicates.is_empty())
        .collect();
    let [(kept, duplicates)] = folded[..] else { panic!("{folded:?}") };
    let mut both = vec![kept, duplicates[0].as_str()];
    both.sort_unstable();
    assert_eq!(both, ["0", "2"]);
}

#[test]
fn documents_of_other_languages_are_found_by_their_own_stems() {
    let ground = Ground::of_texts(&[
        "Die Katzen schlafen am liebsten den ganzen Tag auf dem warmen Ofen in der Küche.",
        "The committee will publish its findings on the railways before the end of the year.",
        "京都の庭園は秋に訪れるのが一番美しいと言われています。",
    ]);
    for (query, path) in [("Katze", "0"), ("publishing", "1"), ("庭園", "2")] {
        let mut request = SearchRequest::new("c", query, Unit::Documents, 10);
        request.weights = lexical_only();
        assert_eq!(paths(&ground.search(&request)), [path], "{query}");
    }
}

#[test]
fn a_passed_deadline_and_unknown_names_are_errors() {
    let ground = Ground::of_texts(&["green tea"]);
    let mut request = SearchRequest::new("c", "tea", Unit::Documents, 1);
    let late = CallContext { key: "test".into(), deadline: Some(Instant::now()) };
    assert_eq!(ground.engine.search(&request, &late).unwrap_err().kind(), ErrorKind::Deadline);
    request.rerank = elodex_types::Rerank::On { model: Some("nobody".into()), depth: None };
    assert_eq!(ground.refusal(&request).kind(), ErrorKind::NotFound);
    let elsewhere = SearchRequest::new("nowhere", "tea", Unit::Documents, 1);
    assert_eq!(ground.refusal(&elsewhere).kind(), ErrorKind::NotFound);
}

#[test]
fn a_query_beyond_the_embedders_window_is_cut_aloud() {
    let ground = Ground::of_texts(&["green tea"]);
    let mut request = SearchRequest::new("c", "tea ".repeat(2_000), Unit::Documents, 1);
    let cut = ground.search(&request).query_truncation.unwrap();
    assert!(cut.cut(), "{cut:?}");
    request.query = Some("tea".into());
    request.messages = vec![Message { role: "user".into(), content: "word ".repeat(390) }];
    let response = ground.search(&request);
    assert_eq!(response.query_truncation, None, "older turns give way");
    assert!(response.query.ends_with("tea"));
}

#[test]
fn queries_are_counted_and_read_back() {
    let ground = Ground::of_texts(&["green tea"]);
    let request = SearchRequest::new("c", "tea", Unit::Documents, 1);
    let bytes: u64 = (0..3).map(|_| ground.search(&request).usage.bytes).sum();
    assert!(bytes > 0);
    let rows = ground.engine.usage(UsageKind::Queries, 0, u64::MAX).unwrap();
    assert_eq!(rows.iter().map(|row| row.count).sum::<u64>(), 3);
    assert_eq!(rows.iter().map(|row| row.bytes).sum::<u64>(), bytes);
    assert!(rows.iter().all(|row| row.subject == "c" && row.minute % 60 == 0));
    ground.engine.record_usage(UsageKind::Rerank, "judge", 7);
    assert_eq!(ground.engine.usage(UsageKind::Rerank, 0, u64::MAX).unwrap()[0].bytes, 7);
}

#[test]
fn metadata_and_texts_come_where_asked_for() {
    let metadata: Metadata =
        [("kind".to_owned(), elodex_types::MetadataValue::Text("drink".into()))].into_iter().collect();
    let content = Content::Text("green tea".into());
    let document = NewDocument { path: "a".into(), metadata: metadata.clone(), content };
    let ground = Ground::of(vec![document]);
    let mut request = SearchRequest::new("c", "tea", Unit::Chunks, 1);
    let plain = ground.engine.search(&request, &caller()).unwrap().hits.remove(0);
    assert_eq!((plain.metadata, plain.explanation), (None, None));
    (request.include_metadata, request.include_content) = (true, false);
    let hit = ground.search(&request).hits.remove(0);
    assert_eq!((hit.metadata, hit.content), (Some(metadata), None));
}

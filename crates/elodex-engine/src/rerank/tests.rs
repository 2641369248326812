use super::*;
use crate::fake::{FakeReranker, MAX_TOKENS, Probe, caller, runtime};
use elodex_types::{Lane, Latency, ScoreKind};

fn start(probe: &Arc<Probe>) -> Core<FakeReranker> {
    let limits = EngineLimits {
        batch_tokens: 2_000,
        fast_bytes_per_request: 1 << 30,
        fast_bytes_per_key: 1 << 30,
        ..EngineLimits::default()
    };
    Core::start(FakeReranker { probe: Arc::clone(probe) }, runtime(), limits).unwrap()
}

fn request<T: ToString>(query: &str, documents: impl IntoIterator<Item = T>) -> RerankRequest {
    RerankRequest {
        model: "fake-reranker".into(),
        query: query.into(),
        documents: documents.into_iter().map(|text| text.to_string()).collect(),
        top_n: None,
        truncation: None,
        latency: Latency::Auto,
    }
}

fn run(service: &Core<FakeReranker>, request: RerankRequest) -> Result<RerankResponse> {
    service.submit(request, caller("a"))?.wait()
}

fn order(response: &RerankResponse) -> Vec<usize> {
    response.results.iter().map(|ranked| ranked.index).collect()
}

#[test]
fn best_first_with_ties_in_request_order() {
    let probe = Arc::new(Probe::default());
    let service = start(&probe);
    // σ(60/5) and σ(600/5) differ only as logits.
    let documents = ["d=1", "d=-inf", "d=600", "c=1", "d=0", "d=-0", "d=inf", "", "d=1", "d=500"];
    let response = run(&service, request("q", documents)).unwrap();
    assert_eq!(order(&response), [6, 2, 9, 0, 3, 8, 4, 5, 7, 1]);
    let best = &response.results[1];
    assert_eq!((best.logit, best.score), (600.0, Score { value: 1.0, kind: ScoreKind::Relevance }));
    assert_eq!(response.results[3].score.value, 1.0 / (1.0 + (-0.2_f32).exp()));
    assert_eq!(probe.seen().tokenised.len(), 9, "the repeated document is read once");
    assert_eq!(response.lane, Lane::Fast);
}

#[test]
fn the_cut_comes_after_the_count() {
    let service = start(&Arc::new(Probe::default()));
    for (top_n, kept) in [(Some(0), 0), (Some(2), 2), (Some(9), 3), (None, 3)] {
        let request = RerankRequest { top_n, ..request("query", ["x", "xx", ""]) };
        let response = run(&service, request).unwrap();
        assert_eq!(order(&response), [1, 0, 2][..kept]);
        assert_eq!(response.usage, Usage { bytes: 3 * (150 + 5) + 3, tokens: 3 * 6 + 3 });
    }
}

#[test]
fn no_documents_are_answered_at_once() {
    let service = start(&Probe::held());
    let response = run(&service, request("query", [""; 0])).unwrap();
    assert!(response.results.is_empty());
    assert_eq!(response.usage, Usage::default());
}

#[test]
fn a_logit_that_is_not_a_number_is_a_fault() {
    let service = start(&Arc::new(Probe::default()));
    let error = run(&service, request("q", ["x", "d=NaN", "xx"])).unwrap_err();
    assert_eq!((error.kind(), error.report().split(':').next()), (ErrorKind::Bug, Some("document 1")));
    run(&service, request("q", ["x"])).unwrap();
}

#[test]
fn refusals_name_the_document_or_the_query() {
    let service = start(&Arc::new(Probe::default()));
    let strict = |query: &str, documents: &[&str]| RerankRequest {
        truncation: Some(TruncationPolicy::Error),
        ..request(query, documents)
    };
    let long = "z".repeat(MAX_TOKENS);
    let error = run(&service, strict("q", &["a", "b", &long])).unwrap_err();
    assert_eq!(
        (error.kind(), error.report()),
        (ErrorKind::Request, "document 2: 402 tokens, at most 400".into())
    );
    let error = run(&service, request(&long, ["a", "b"])).unwrap_err();
    assert_eq!((error.kind(), error.report()), (ErrorKind::Request, "query: 400 tokens, at most 400".into()));
    assert_eq!(run(&service, request("panic in query", ["a"])).unwrap_err().kind(), ErrorKind::Bug);
    run(&service, request("q", ["a"])).unwrap();
    let stats = service.0.stats();
    assert_eq!((stats.queued_bytes, stats.in_flight, stats.result_bytes), (0, 0, 0));
}

#[test]
fn passages_keep_the_best_window_and_its_span() {
    let probe = Arc::new(Probe::default());
    let service = start(&probe);
    let passages = |documents: &[&str]| RerankRequest {
        truncation: Some(TruncationPolicy::Passages),
        ..request("q", documents)
    };
    let long = format!("{}x{}xx{}", "a".repeat(100), "b".repeat(600), "c".repeat(500));
    let response = run(&service, passages(&["x", &long, "xxx"])).unwrap();
    assert_eq!(order(&response), [2, 1, 0]);
    let best = &response.results[1];
    // Windows of 398 characters every 199: the first with both x at 701 and 702 starts at 398.
    assert_eq!((best.logit, best.span), (2.0, Some((398, 796))));
    let receipt = response.truncations[best.index];
    assert!(!receipt.cut(), "all windows together read everything");
    assert_eq!(receipt.seen, long.len() + 2);
    assert_eq!(response.results[0].span, None);

    let cut = run(&service, request("q", [&long])).unwrap();
    assert!(cut.truncations[0].cut());
    assert_eq!((cut.results[0].logit, cut.results[0].span), (1.0, None));
    let again = run(&service, passages(&[&long])).unwrap();
    assert_eq!(again.results[0], Ranked { index: 0, ..best.clone() });
    assert_eq!(service.0.stats().cache_hits, 1);
}

#[test]
fn a_thousand_long_documents_do_not_block_a_short_query() {
    let probe = Probe::held();
    let service = start(&probe);
    let documents: Vec<String> = (0..1_000).map(|index| format!("{index:0>350}")).collect();
    let bulk = service.submit(request("bulk", &documents), caller("a")).unwrap();
    probe.wait_for_batch(1);
    let quick = service.submit(request("quick", ["x"]), caller("a")).unwrap();
    probe.open();
    assert_eq!(order(&quick.wait().unwrap()), [0]);
    assert_eq!(probe.batch_of("quick|x"), Some(1));
    let response = bulk.wait().unwrap();
    assert_eq!(order(&response), (0..1_000).collect::<Vec<_>>());
    assert_eq!(response.usage.tokens, 1_000 * 355);
    let seen = probe.seen();
    assert_eq!(seen.batches.len(), 200, "five pairs of 355 tokens a batch, the short one beside them");
    assert_eq!(seen.queries.iter().filter(|query| *query == "bulk").count(), 1);
}

#[test]
fn a_document_of_many_windows_is_split_over_batches() {
    let probe = Arc::new(Probe::default());
    let service = start(&probe);
    let long = "x".repeat(20_000);
    let request = RerankRequest { truncation: Some(TruncationPolicy::Passages), ..request("q", [&long]) };
    let response = run(&service, request).unwrap();
    assert_eq!((response.results[0].logit, response.results[0].span), (398.0, Some((0, 398))));
    let seen = probe.seen();
    assert!(seen.batches.len() >= 20);
    assert!(seen.batches.iter().all(|batch| batch.iter().map(String::len).sum::<usize>() <= 2_000));
}

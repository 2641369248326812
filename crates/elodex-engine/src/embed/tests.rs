mod properties;
mod side_by_side;

use super::*;
use crate::fake::{BYTES_PER_TOKEN, FakeEmbedder, MAX_TOKENS, Probe, SMALL_TOKENS, caller, runtime};
use elodex_types::{Lane, Latency};
use std::time::{Duration, Instant};

type Fake = Core<FakeEmbedder>;

/// Room for everything, batches of 1,000 tokens.
fn roomy() -> EngineLimits {
    EngineLimits {
        batch_tokens: 1_000,
        fast_bytes_per_request: 1 << 30,
        fast_bytes_per_key: 1 << 30,
        ..EngineLimits::default()
    }
}

fn start(probe: &Arc<Probe>, limits: EngineLimits) -> Fake {
    Core::start(FakeEmbedder::new(probe), runtime(), limits).unwrap()
}

fn request<T: ToString>(texts: impl IntoIterator<Item = T>) -> EmbedRequest {
    EmbedRequest {
        model: "fake-embedder".into(),
        role: Some(Role::Document),
        inputs: texts.into_iter().map(|text| text.to_string()).collect(),
        dimensions: None,
        truncation: None,
        latency: Latency::Auto,
    }
}

fn slow<T: ToString>(texts: impl IntoIterator<Item = T>) -> EmbedRequest {
    EmbedRequest { latency: Latency::Slow, ..request(texts) }
}

/// `count` different texts of `bytes` bytes that begin with `name`.
fn many(name: &str, count: usize, bytes: usize) -> Vec<String> {
    (0..count).map(|index| format!("{:-<bytes$}", format!("{name} {index} "))).collect()
}

/// Too long for a small batch.
const FIRST: &str = "first of all, and as long as it takes to be a batch that no other runs beside";

/// Fills the scheduler's hands: from here on what is submitted meets a busy model.
fn occupy(service: &Fake, probe: &Probe) -> Pending<EmbedResponse> {
    let pending = service.submit(request([FIRST]), caller("early")).unwrap();
    probe.wait_for_batch(1);
    pending
}

fn assert_idle(service: &Fake) {
    let stats = service.0.stats();
    assert_eq!((stats.queued_bytes, stats.in_flight, stats.result_bytes), (0, 0, 0), "{stats:?}");
}

/// What the model says of one text by itself.
fn direct(text: &str, role: Option<Role>, policy: TruncationPolicy, width: usize) -> (Vec<f32>, Truncation) {
    let model = FakeEmbedder::new(&Arc::new(Probe::default()));
    let encoded = model.prepare(text, role, policy).unwrap();
    let vector = model.embed(&[&encoded], width, Parallelism::Serial).unwrap().remove(0);
    (vector, encoded.truncation)
}

#[test]
fn answers_in_request_order_with_receipts_and_usage() {
    let probe = Arc::new(Probe::default());
    let service = start(&probe, roomy());
    let long = "z".repeat(MAX_TOKENS + 100);
    let texts = ["b", "", &long, "a"];
    let response = service.submit(request(texts), caller("k")).unwrap().wait().unwrap();
    for (index, text) in texts.iter().enumerate() {
        let (vector, truncation) = direct(text, Some(Role::Document), TruncationPolicy::Truncate, 8);
        assert_eq!(&*response.embeddings[index], vector);
        assert_eq!(response.truncations[index], truncation);
    }
    assert!(response.truncations[2].cut());
    assert_eq!(response.usage, Usage { bytes: 4 * 150 + 502, tokens: 2 + 1 + 400 + 2 });
    assert_eq!((response.lane, response.role), (Lane::Fast, Some(Role::Document)));
    assert_idle(&service);
}

#[test]
fn no_inputs_are_answered_at_once() {
    let probe = Probe::held();
    let service = start(&probe, roomy());
    let response = service.submit(request([""; 0]), caller("k")).unwrap().wait().unwrap();
    assert!(response.embeddings.is_empty());
    assert_eq!(response.usage, Usage::default());
}

#[test]
fn a_flood_of_one_key_does_not_delay_another() {
    let probe = Probe::held();
    let service = start(&probe, roomy());
    let first = occupy(&service, &probe);
    let flood = service.submit(request(many("flood", 10_000, 20)), caller("a")).unwrap();
    let single = service.submit(request(["single"]), caller("b")).unwrap();
    let own_single = service.submit(request(["own single"]), caller("a")).unwrap();
    probe.open();
    single.wait().unwrap();
    own_single.wait().unwrap();
    assert_eq!(probe.batch_of("single."), Some(1));
    assert_eq!(probe.batch_of("own single."), Some(1), "within a key requests take turns as well");
    assert_eq!(flood.wait().unwrap().embeddings.len(), 10_000);
    first.wait().unwrap();
    assert!(probe.seen().batches.len() >= 210);
    assert_idle(&service);
}

#[test]
fn keys_share_by_tokens_not_by_inputs() {
    let probe = Probe::held();
    let service = start(&probe, roomy());
    let first = occupy(&service, &probe);
    let long = service.submit(request(many("long", 100, 300)), caller("a")).unwrap();
    let short = service.submit(request(many("short", 1_000, 30)), caller("b")).unwrap();
    probe.let_pass(21);
    probe.wait_for_batch(22);
    let tokens = |name: &str| -> usize {
        let seen = probe.seen();
        seen.batches[..21].iter().flatten().filter(|text| text.starts_with(name)).map(String::len).sum()
    };
    let (of_long, of_short) = (tokens("long"), tokens("short"));
    assert!(of_long.abs_diff(of_short) <= 1_500, "{of_long} and {of_short} tokens of 20,000");
    probe.open();
    for pending in [first, long, short] {
        pending.wait().unwrap();
    }
}

#[test]
fn fast_work_overtakes_slow_work_which_is_never_starved() {
    let probe = Probe::held();
    let service = start(&probe, roomy());
    let first = occupy(&service, &probe);
    let bulk = service.submit(slow(many("bulk", 100, 100)), caller("a")).unwrap();
    let quick = service.submit(request(["quick"]), caller("a")).unwrap();
    let stream = service.submit(request(many("stream", 500, 100)), caller("b")).unwrap();
    probe.open();
    assert_eq!(quick.wait().unwrap().lane, Lane::Fast);
    assert_eq!(bulk.wait().unwrap().lane, Lane::Slow);
    for pending in [first, stream] {
        pending.wait().unwrap();
    }
    let seen = probe.seen();
    let is_slow: Vec<bool> = seen.batches[1..].iter().map(|batch| batch[0].starts_with("bulk")).collect();
    assert!(!is_slow[0], "fast goes first");
    let both_wait = is_slow.iter().rposition(|slow| !slow).unwrap();
    let slow_turns: Vec<usize> = (0..both_wait).filter(|&batch| is_slow[batch]).collect();
    assert_eq!(&slow_turns[..3], [7, 15, 23], "one batch in eight is slow");
    for batch in &seen.batches {
        assert!(
            batch.iter().all(|text| text.starts_with("bulk") == batch[0].starts_with("bulk")),
            "mixed lanes"
        );
    }
}

#[test]
fn a_dropped_request_costs_nothing() {
    let probe = Probe::held();
    let service = start(&probe, roomy());
    let first = occupy(&service, &probe);
    let unwanted = service.submit(request(many("unwanted", 50, 100)), caller("a")).unwrap();
    let wanted = service.submit(request(["wanted"]), caller("a")).unwrap();
    drop(unwanted);
    assert_eq!(
        service.0.stats().queued_bytes,
        (2 * 150 + FIRST.len() + 6) as u64,
        "the bytes are free at once"
    );
    probe.open();
    wanted.wait().unwrap();
    first.wait().unwrap();
    assert_eq!(probe.seen().tokenised, [FIRST, "wanted"]);
    assert_eq!(service.0.stats().cancelled, 50);
    assert_idle(&service);
}

#[test]
fn a_request_dropped_half_way_runs_no_further() {
    let probe = Probe::held();
    let service = start(&probe, roomy());
    let pending = service.submit(request(many("half", 100, 99)), caller("a")).unwrap();
    probe.let_pass(1);
    probe.wait_for_batch(2);
    drop(pending);
    probe.open();
    service.0.shutdown();
    let seen = probe.seen();
    assert_eq!(seen.batches.len(), 2);
    drop(seen);
    assert_idle(&service);
}

#[test]
fn what_is_late_before_it_starts_is_dropped() {
    let probe = Probe::held();
    let service = start(&probe, roomy());
    let first = occupy(&service, &probe);
    let late = CallContext { deadline: Some(Instant::now()), ..caller("a") };
    let late = service.submit(request(many("late", 30, 10)), late).unwrap();
    probe.open();
    let error = late.wait().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Deadline);
    assert!(error.report().contains("30 inputs"), "{}", error.report());
    first.wait().unwrap();
    assert_eq!(probe.seen().tokenised, [FIRST]);
    assert_eq!(service.0.stats().expired, 30);
    assert_idle(&service);
}

#[test]
fn a_deadline_half_way_ends_the_rest() {
    let probe = Probe::held();
    let service = start(&probe, roomy());
    let deadline = Instant::now() + Duration::from_secs(2);
    let context = CallContext { deadline: Some(deadline), ..caller("a") };
    let pending = service.submit(request(many("half", 100, 99)), context).unwrap();
    probe.wait_for_batch(1);
    while Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(50));
    }
    probe.open();
    assert_eq!(pending.wait().unwrap_err().kind(), ErrorKind::Deadline);
    assert_eq!(probe.seen().batches.len(), 1);
    let computed = probe.seen().batches[0].len();
    assert_eq!(service.0.stats().expired as usize, 100 - computed);
    assert_idle(&service);
}

#[test]
fn overload_is_refused_by_name() {
    let probe = Probe::held();
    let limits = EngineLimits {
        queue_bytes: 10_000,
        key_queue_bytes: 3_000,
        request_bytes: 4_000,
        fast_bytes_per_request: 1_200,
        fast_bytes_per_key: 2_000,
        ..roomy()
    };
    let service = start(&probe, limits);
    let first = occupy(&service, &probe);
    let submit = |key: &str, latency, name: &str, kilobytes: usize| {
        let request = EmbedRequest { latency, ..request(many(name, kilobytes, 850)) };
        service.submit(request, caller(key))
    };
    let refusal = |outcome: Result<Pending<EmbedResponse>>| {
        let error = outcome.unwrap_err();
        (error.kind(), error.wait().is_some())
    };

    assert_eq!(refusal(submit("a", Latency::Auto, "large", 5)), (ErrorKind::TooLarge, false));
    assert_eq!(refusal(submit("a", Latency::Fast, "wide", 2)), (ErrorKind::KeyLimit, false));
    let mut waiting = vec![first];
    waiting.push(submit("a", Latency::Fast, "fast", 1).unwrap());
    waiting.push(submit("a", Latency::Fast, "fast too", 1).unwrap());
    assert_eq!(refusal(submit("a", Latency::Fast, "no more", 1)), (ErrorKind::KeyLimit, true));
    waiting.push(submit("a", Latency::Auto, "falls back", 1).unwrap());
    // "early" waits too, so 3,000 bytes are the share of "a".
    assert_eq!(refusal(submit("a", Latency::Slow, "over its share", 1)), (ErrorKind::KeyLimit, true));
    waiting.push(submit("b", Latency::Slow, "a first request is never over its share", 4).unwrap());
    waiting.push(submit("c", Latency::Slow, "c", 2).unwrap());
    assert_eq!(refusal(submit("d", Latency::Slow, "d", 1)), (ErrorKind::QueueFull, true));
    assert_eq!(service.0.stats().refused, 5);

    probe.open();
    let lanes: Vec<Lane> = waiting.into_iter().map(|pending| pending.wait().unwrap().lane).collect();
    assert_eq!(lanes, [Lane::Fast, Lane::Fast, Lane::Fast, Lane::Slow, Lane::Slow, Lane::Slow]);
    assert_idle(&service);
}

#[test]
fn a_lone_key_leaves_a_share_for_the_next() {
    let probe = Probe::held();
    let service = start(&probe, EngineLimits { queue_bytes: 10_000, key_queue_bytes: 3_000, ..roomy() });
    let mut waiting = vec![];
    let refusal = loop {
        match service.submit(request(many(&format!("request {}", waiting.len()), 1, 850)), caller("a")) {
            Ok(pending) => waiting.push(pending),
            Err(error) => break error,
        }
    };
    assert_eq!((waiting.len(), refusal.kind()), (7, ErrorKind::KeyLimit));
    waiting.push(service.submit(request(many("other", 3, 850)), caller("b")).unwrap());
    probe.open();
    waiting.into_iter().for_each(|pending| drop(pending.wait().unwrap()));
}

#[test]
fn answers_not_taken_hold_their_bytes() {
    let probe = Arc::new(Probe::default());
    let one = RESULT_OVERHEAD + 8 * 4;
    let service = start(&probe, EngineLimits { result_bytes: 10 * one, ..roomy() });
    let too_many = service.submit(request(many("many", 11, 20)), caller("a")).unwrap_err();
    assert_eq!(too_many.kind(), ErrorKind::TooLarge);
    let held = service.submit(request(many("held", 9, 20)), caller("a")).unwrap();
    let refused = service.submit(request(many("more", 2, 20)), caller("b")).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::QueueFull);
    service.submit(request(["fits"]), caller("b")).unwrap().wait().unwrap();
    held.wait().unwrap();
    service.submit(request(many("more", 2, 20)), caller("b")).unwrap().wait().unwrap();
    assert_idle(&service);
}

#[test]
fn a_bad_input_fails_its_own_request_only() {
    let probe = Probe::held();
    let service = start(&probe, roomy());
    let first = occupy(&service, &probe);
    let long = "z".repeat(MAX_TOKENS);
    let strict =
        |texts: &[&str]| EmbedRequest { truncation: Some(TruncationPolicy::Error), ..request(texts) };
    let bad = service.submit(strict(&["one", "two", "one", &long, "four"]), caller("a")).unwrap();
    let broken = service.submit(request(["panic in tokenise"]), caller("a")).unwrap();
    let good = service.submit(strict(&["one", "two"]), caller("a")).unwrap();
    probe.open();
    let error = bad.wait().unwrap_err();
    assert_eq!(
        (error.kind(), error.report().as_str()),
        (ErrorKind::Request, "input 3: 401 tokens, at most 400")
    );
    let error = broken.wait().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Bug);
    assert!(error.report().starts_with("input 0: "), "{}", error.report());
    good.wait().unwrap();
    first.wait().unwrap();
    assert_idle(&service);
}

#[test]
fn a_broken_batch_fails_its_requests_and_the_scheduler_lives_on() {
    for fault in ["panic in batch", "error in batch"] {
        let probe = Probe::held();
        let service = start(&probe, roomy());
        let first = occupy(&service, &probe);
        // Too much for small batches, which would part them.
        let unlucky = service.submit(request(many("innocent", 1, 2 * SMALL_TOKENS)), caller("a")).unwrap();
        let broken = service.submit(request([fault]), caller("b")).unwrap();
        let later = service.submit(slow(["later"]), caller("a")).unwrap();
        probe.open();
        for pending in [unlucky, broken] {
            assert_eq!(pending.wait().unwrap_err().kind(), ErrorKind::Bug, "{fault}");
        }
        later.wait().unwrap();
        first.wait().unwrap();
        assert_idle(&service);
    }
}

#[test]
fn a_vector_that_is_not_a_number_is_a_fault() {
    let service = start(&Arc::new(Probe::default()), roomy());
    let error = service.submit(request(["fine", "not a number"]), caller("a")).unwrap().wait().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Bug);
    assert!(error.report().starts_with("input 1: "), "{}", error.report());
}

#[test]
fn equal_inputs_are_computed_once_and_then_remembered() {
    let probe = Arc::new(Probe::default());
    let service = start(&probe, roomy());
    let submit = |request| service.submit(request, caller("a")).unwrap().wait().unwrap();
    let first = submit(request(["one", "two", "one"]));
    assert_eq!(first.embeddings[0], first.embeddings[2]);
    let again = submit(request(["two", "one", "three"]));
    assert_eq!((&again.embeddings[0], &again.embeddings[1]), (&first.embeddings[1], &first.embeddings[0]));
    assert_eq!(again.usage.tokens, 4 + 4 + 6, "usage does not depend on the cache");
    assert_eq!(probe.seen().tokenised.len(), 3);
    let stats = service.0.stats();
    assert_eq!((stats.cache_hits, stats.cache_misses), (3, 3));

    let query = submit(EmbedRequest { role: Some(Role::Query), ..request(["one"]) });
    assert_eq!(&*query.embeddings[0], direct("one", Some(Role::Query), TruncationPolicy::Truncate, 8).0);
    let narrow = submit(EmbedRequest { dimensions: Some(2), ..request(["one"]) });
    assert_eq!(&*narrow.embeddings[0], direct("one", Some(Role::Document), TruncationPolicy::Truncate, 2).0);
    submit(EmbedRequest { truncation: Some(TruncationPolicy::Error), ..request(["one"]) });
    assert_eq!(service.0.stats().cache_misses, 6, "role, width and policy are part of the key");
}

#[test]
fn the_cache_stays_within_its_bytes() {
    let probe = Arc::new(Probe::default());
    let service = start(&probe, EngineLimits { cache_bytes: 20_000, ..roomy() });
    for round in 0..20 {
        service
            .submit(request(many(&format!("round {round}"), 50, 20)), caller("a"))
            .unwrap()
            .wait()
            .unwrap();
    }
    service.0.shutdown();
    let cached = service.0.stats().cached_bytes;
    assert!((10_000..=20_000).contains(&cached), "{cached}");
}

#[test]
fn what_no_model_call_can_answer_is_refused_at_once() {
    let probe = Arc::new(Probe::default());
    let model = FakeEmbedder { asymmetric: true, ..FakeEmbedder::new(&probe) };
    let service = Core::start(model, runtime(), roomy()).unwrap();
    let wrong = [
        EmbedRequest { role: None, ..request(["a"]) },
        EmbedRequest { dimensions: Some(3), ..request(["a"]) },
        EmbedRequest { truncation: Some(TruncationPolicy::Passages), ..request(["a"]) },
    ];
    for request in wrong {
        assert_eq!(service.submit(request, caller("a")).unwrap_err().kind(), ErrorKind::Request);
    }
    assert_eq!(service.0.stats().refused, 3);
    let passages = EngineLimits { truncation: TruncationPolicy::Passages, ..roomy() };
    assert!(Core::start(FakeEmbedder::new(&probe), runtime(), passages).is_err());
}

#[test]
fn a_long_input_runs_alone_or_not_at_all() {
    let probe = Arc::new(Probe::default());
    let service = start(&probe, EngineLimits { batch_tokens: 100, ..roomy() });
    let texts = ["a".repeat(300), "b".repeat(20), "c".repeat(99), "d".repeat(20)];
    service.submit(request(&texts), caller("a")).unwrap().wait().unwrap();
    for batch in &probe.seen().batches {
        assert!(batch.len() == 1 || batch.iter().map(String::len).sum::<usize>() <= 100, "{batch:?}");
    }

    let service = start(&probe, EngineLimits { memory_bytes: 200 * BYTES_PER_TOKEN, ..roomy() });
    let error = service.submit(request(&texts), caller("a")).unwrap().wait().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert!(error.report().starts_with("input 0: 301 tokens need 3010 bytes"), "{}", error.report());
    service.submit(request(&texts[1..]), caller("a")).unwrap().wait().unwrap();
}

#[test]
fn stopping_finishes_what_was_accepted() {
    let probe = Probe::held();
    let service = start(&probe, roomy());
    let accepted = service.submit(request(many("accepted", 100, 99)), caller("a")).unwrap();
    probe.wait_for_batch(1);
    std::thread::scope(|scope| {
        let stopping = scope.spawn(|| service.0.shutdown());
        let refusal = loop {
            match service.submit(request([""; 0]), caller("a")) {
                Ok(answer) => drop(answer),
                Err(error) => break error,
            }
            std::thread::yield_now();
        };
        assert_eq!(refusal.kind(), ErrorKind::Stopping);
        probe.open();
        stopping.join().unwrap();
    });
    assert_eq!(accepted.wait().unwrap().embeddings.len(), 100);
    drop(service);

    let probe = Probe::held();
    let service = start(&probe, roomy());
    let accepted = service.submit(request(["accepted"]), caller("a")).unwrap();
    probe.open();
    drop(service);
    accepted.wait().unwrap();
}

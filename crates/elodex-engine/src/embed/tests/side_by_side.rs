//! Small batches run side by side, one thread each; a large one runs alone, with all.

use super::*;
use crate::fake::runtime_of;
use std::task::{Context, Wake, Waker};

fn start_with(threads: usize, probe: &Arc<Probe>, limits: EngineLimits) -> Arc<Fake> {
    Arc::new(Core::start(FakeEmbedder::new(probe), runtime_of(threads), limits).unwrap())
}

/// Submits a request of one text and waits until its batch, the `nth`, stands before the gate.
fn hold(service: &Fake, probe: &Probe, text: &str, nth: usize) -> Pending<EmbedResponse> {
    let pending = service.submit(request([text]), caller(text)).unwrap();
    probe.wait_for_batch(nth);
    pending
}

/// Returns after the scheduler has decided what to do about all that was submitted before: it answers late requests
/// whenever it looks at the queue, before it picks anything.
fn look_around(service: &Fake) {
    for _ in 0..2 {
        let late = CallContext { deadline: Some(Instant::now()), ..caller("late") };
        let error = service.submit(request(["look around"]), late).unwrap().wait().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Deadline);
    }
}

fn wait_for_all(answers: impl IntoIterator<Item = Pending<EmbedResponse>>) {
    answers.into_iter().for_each(|pending| drop(pending.wait().unwrap()));
}

#[test]
fn small_batches_run_beside_each_other_up_to_the_number_of_threads() {
    for threads in [1, 2, 3] {
        let probe = Probe::held();
        let service = start_with(threads, &probe, roomy());
        let mut answers: Vec<_> =
            (1..=threads).map(|nth| hold(&service, &probe, &format!("text {nth}"), nth)).collect();
        // No thread is left: these wait for the first to end, and run together.
        for text in ["late", "later"] {
            answers.push(service.submit(request([text]), caller(text)).unwrap());
        }
        probe.let_pass(1);
        probe.wait_for_batch(threads + 1);
        probe.open();
        wait_for_all(answers);
        let seen = probe.seen();
        let mut last = seen.batches[threads].clone();
        last.sort_unstable();
        assert_eq!(last, ["late.", "later."], "{threads} threads");
        // The first found no other running, so the other threads may help.
        let way = |beside| (if beside == 0 { Parallelism::Pool } else { Parallelism::Serial }, beside);
        let ways: Vec<_> = (0..threads).chain([threads - 1]).map(way).collect();
        assert_eq!(seen.ways, ways, "{threads} threads");
        drop(seen);
        assert_idle(&service);
    }
}

#[test]
fn a_large_batch_runs_alone_with_all_threads() {
    let probe = Probe::held();
    let service = start_with(2, &probe, roomy());
    let mut answers = vec![hold(&service, &probe, "small", 1)];
    answers.push(service.submit(request(["x".repeat(SMALL_TOKENS)]), caller("large")).unwrap());
    probe.let_pass(1);
    probe.wait_for_batch(2);
    for text in ["late", "later"] {
        answers.push(service.submit(request([text]), caller(text)).unwrap());
    }
    look_around(&service);
    assert_eq!(probe.seen().tokenised.len(), 2, "nothing is picked while a large batch runs");
    probe.let_pass(1);
    probe.wait_for_batch(4);
    probe.open();
    wait_for_all(answers);
    let seen = probe.seen();
    let (pool, serial) = (Parallelism::Pool, Parallelism::Serial);
    // What came during the large batch waited for its end, and was spread over the threads then.
    assert_eq!(seen.ways, [(pool, 0), (pool, 0), (serial, 0), (serial, 1)], "{:?}", seen.batches);
    assert_eq!(seen.batches[1][0].len(), SMALL_TOKENS + 1);
}

#[test]
fn small_is_a_matter_of_tokens() {
    let tight = EngineLimits { batch_tokens: 60, ..roomy() };
    // The fake ends every text with a token of its own.
    let cases = [
        (roomy(), SMALL_TOKENS - 1, false),
        (roomy(), SMALL_TOKENS, true),
        (tight.clone(), 29, false),
        (tight, 30, true),
    ];
    for (limits, bytes, large) in cases {
        let probe = Probe::held();
        let service = start_with(2, &probe, limits);
        let first = hold(&service, &probe, "small", 1);
        let second = service.submit(request(["x".repeat(bytes)]), caller("a")).unwrap();
        if large {
            probe.let_pass(1);
        }
        probe.wait_for_batch(2);
        let way = if large { (Parallelism::Pool, 0) } else { (Parallelism::Serial, 1) };
        assert_eq!(probe.seen().ways[1], way, "{bytes} bytes");
        probe.open();
        wait_for_all([first, second]);
    }
}

#[test]
fn what_waits_is_spread_over_the_threads() {
    let probe = Probe::held();
    let service = start_with(2, &probe, roomy());
    let lengths = [40, 30, 20, 10];
    let texts = lengths.map(|length| "x".repeat(length - 1));
    let pending = service.submit(request(&texts), caller("a")).unwrap();
    probe.wait_for_batch(2);
    probe.open();
    wait_for_all([pending]);
    let seen = probe.seen();
    let mut batches: Vec<Vec<usize>> =
        seen.batches.iter().map(|batch| batch.iter().map(String::len).collect()).collect();
    batches.sort_unstable();
    assert_eq!(batches, [vec![30, 20], vec![40, 10]]);
    assert_eq!(seen.ways, [(Parallelism::Serial, 0), (Parallelism::Serial, 1)]);
}

#[test]
fn a_broken_small_batch_leaves_the_one_beside_it_alone() {
    let probe = Probe::held();
    let service = start_with(2, &probe, roomy());
    let broken = hold(&service, &probe, "panic in batch", 1);
    let innocent = hold(&service, &probe, "innocent", 2);
    probe.open();
    assert_eq!(broken.wait().unwrap_err().kind(), ErrorKind::Bug);
    wait_for_all([innocent, service.submit(request(["later"]), caller("a")).unwrap()]);
    assert_idle(&service);
}

#[test]
fn a_deadline_that_passes_beside_a_running_part_lets_it_finish_and_begins_no_other() {
    let probe = Probe::held();
    // Short texts turn out shorter than estimated, so few of them are taken at a time.
    let service = start_with(2, &probe, EngineLimits { batch_tokens: 40, ..roomy() });
    let deadline = Instant::now() + Duration::from_secs(2);
    let context = CallContext { deadline: Some(deadline), ..caller("a") };
    let texts: Vec<String> = ('!'..='~').map(String::from).collect();
    let pending = service.submit(request(&texts), context).unwrap();
    probe.wait_for_batch(2);
    while Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(50));
    }
    let waker_of_the_scheduler = service.submit(request(["another"]), caller("b")).unwrap();
    probe.let_pass(1);
    probe.wait_for_batch(3);
    probe.open();
    wait_for_all([waker_of_the_scheduler]);
    assert_eq!(pending.wait().unwrap_err().kind(), ErrorKind::Deadline);
    let batches = probe.seen().batches.clone();
    assert_eq!((batches.len(), batches[2].as_slice()), (3, ["another.".to_owned()].as_slice()));
    let computed = batches[0].len() + batches[1].len();
    assert_eq!(service.0.stats().expired as usize, texts.len() - computed);
    assert_idle(&service);
    let again = service.submit(request(&texts[..1]), caller("a")).unwrap().wait().unwrap();
    assert_eq!(again.usage.tokens, 2);
    assert_eq!(service.0.stats().cache_hits, 1, "what was computed stays in the cache");
}

/// Closes the service when it is woken.
struct Closes(Arc<Fake>);

impl Wake for Closes {
    fn wake(self: Arc<Self>) {
        self.0.0.shutdown();
    }
}

#[test]
fn a_waker_may_close_the_service_on_the_only_worker() {
    let probe = Probe::held();
    let service = start_with(1, &probe, roomy());
    let mut first = Box::pin(hold(&service, &probe, "first", 1));
    let waker = Waker::from(Arc::new(Closes(Arc::clone(&service))));
    assert!(first.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    let second = service.submit(request(["second"]), caller("a")).unwrap();
    probe.open();
    wait_for_all([second]);
    service.0.shutdown();
    assert_eq!(service.submit(request(["third"]), caller("a")).unwrap_err().kind(), ErrorKind::Stopping);
}

/// Panics when it is woken.
struct Panics;

impl Wake for Panics {
    fn wake(self: Arc<Self>) {
        panic!("asked to panic when woken");
    }
}

#[test]
fn a_waker_that_panics_leaves_nobody_without_an_answer() {
    let probe = Probe::held();
    let service = start_with(2, &probe, roomy());
    let mut first = Box::pin(hold(&service, &probe, "first", 1));
    let waker = Waker::from(Arc::new(Panics));
    assert!(first.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    let beside = hold(&service, &probe, "beside", 2);
    let waiting = service.submit(request(["waiting"]), caller("a")).unwrap();
    probe.let_pass(2);
    probe.open();
    assert_eq!(beside.wait().unwrap().embeddings.len(), 1);
    // Begun before or ended by the panic, it is answered.
    if let Err(error) = waiting.wait() {
        assert_eq!(error.kind(), ErrorKind::Bug);
    }
    service.0.shutdown();
    assert_eq!(service.submit(request(["later"]), caller("a")).unwrap_err().kind(), ErrorKind::Stopping);
    drop(first);
    assert_idle(&service);
}

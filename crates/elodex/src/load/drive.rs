//! Requests at their times.

use super::client::{Client, Outcome};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Time for connections' threads to start before the first request is due.
const LEAD: Duration = Duration::from_millis(50);

/// One request.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sample {
    /// When it was to arrive, from the beginning.
    pub(crate) intended: Duration,
    /// When it was sent.
    pub(crate) sent: Duration,
    /// When its answer had been read.
    pub(crate) done: Duration,
    /// Its time had passed before a connection was free.
    pub(crate) late: bool,
    pub(crate) outcome: Outcome,
}

/// Sends a request at each of `times`, over at most `connections` at once, and waits for all answers. `body` makes a
/// request's body from its number; `done` hears of each answer.
pub(crate) fn drive(
    client: &Client,
    times: &[Duration],
    connections: usize,
    body: &(dyn Fn(usize) -> serde_json::Value + Sync),
    done: &(dyn Fn() + Sync),
) -> Vec<Sample> {
    let next = AtomicUsize::new(0);
    let samples = Mutex::new(Vec::with_capacity(times.len()));
    let start = Instant::now() + LEAD;
    let elapsed = || Instant::now().saturating_duration_since(start);
    // Whoever is free takes the next request and waits for its time.
    let work = || {
        loop {
            let request = next.fetch_add(1, Ordering::Relaxed);
            let Some(&intended) = times.get(request) else { return };
            let body = body(request);
            let late = elapsed() > intended;
            std::thread::sleep((start + intended).saturating_duration_since(Instant::now()));
            let sent = elapsed();
            let outcome = client.search(&body);
            let sample = Sample { intended, sent, done: elapsed(), late, outcome };
            // A panic elsewhere leaves the list as it was.
            samples.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).push(sample);
            done();
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..connections.min(times.len()) {
            scope.spawn(work);
        }
    });
    let mut samples = samples.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
    samples.sort_by_key(|sample| sample.intended);
    samples
}

#[cfg(test)]
mod tests {
    use super::super::scripted::{Reply, Scripted};
    use super::*;
    use crate::load::arrivals::Arrivals;
    use serde_json::json;

    fn run(server: &Scripted, times: &[Duration], connections: usize, timeout: Duration) -> Vec<Sample> {
        let client = Client::new(&server.url(), None, connections, timeout).unwrap();
        drive(&client, times, connections, &|request| json!({"query": format!("q{request}")}), &|| {})
    }

    fn every(milliseconds: u64, requests: u64) -> Vec<Duration> {
        (0..requests).map(|request| Duration::from_millis(request * milliseconds)).collect()
    }

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn a_stall_lengthens_every_request_that_falls_into_it() {
        // The first answer takes 600 ms, and there is one connection: what was to arrive meanwhile waits.
        let stall = Duration::from_millis(600);
        let server = Scripted::start(move |request| match request {
            0 => Reply::after(stall),
            _ => Reply::ok(),
        });
        let samples = run(&server, &every(50, 8), 1, LONG);
        assert_eq!(samples.len(), 8);
        assert!(!samples[0].late);
        for sample in &samples[1..] {
            assert!(sample.late, "{sample:?}");
            // None of them can be answered before the stall is over.
            assert!(sample.done - sample.intended >= stall - sample.intended, "{sample:?}");
            assert!(sample.sent >= stall, "{sample:?}");
        }
    }

    #[test]
    fn with_connections_to_spare_a_slow_answer_does_not_hold_up_the_next() {
        // Answers come when all six requests have arrived: a closed loop would wait for ever.
        let server = Scripted::start(|_| Reply::when_arrived(6));
        let samples = run(&server, &every(20, 6), 6, LONG);
        assert_eq!(samples.len(), 6);
        assert!(samples.iter().all(|sample| matches!(sample.outcome, Outcome::Answered(_))), "{samples:?}");
        let last = samples[5].sent;
        assert!(samples.iter().all(|sample| sample.done >= last), "{samples:?}");
    }

    #[test]
    fn no_request_goes_out_before_its_time_and_none_is_left_out() {
        let server = Scripted::start(|_| Reply::ok());
        let times = Arrivals::Poisson.times(80.0, Duration::from_millis(500), 4).unwrap();
        let samples = run(&server, &times, 4, LONG);
        let intended: Vec<Duration> = samples.iter().map(|sample| sample.intended).collect();
        assert_eq!(intended, times);
        assert!(samples.iter().all(|sample| sample.sent >= sample.intended && sample.done >= sample.sent));
        assert_eq!(server.requests(), times.len());
    }

    #[test]
    fn what_a_server_does_is_told_apart() {
        let server = Scripted::start(|request| match request {
            0 => Reply::ok(),
            1 => Reply::status(503, "12 requests wait and the queue holds 12"),
            2 => Reply::status(429, "this key is over its fast limit"),
            3 => Reply::status(400, "there is no collection `docs`"),
            4 => Reply::hang_up(),
            _ => Reply::after(Duration::from_secs(20)),
        });
        let samples = run(&server, &every(1, 6), 1, Duration::from_secs(2));
        let outcomes: Vec<Outcome> = samples.into_iter().map(|sample| sample.outcome).collect();
        assert!(
            matches!(&outcomes[0], Outcome::Answered(answer) if answer.rerank.as_deref() == Some("full"))
        );
        let shed = |status, words: &str| Outcome::Shed { status, words: words.to_owned() };
        assert_eq!(outcomes[1], shed(503, "N requests wait and the queue holds N"));
        assert_eq!(outcomes[2], shed(429, "this key is over its fast limit"));
        assert!(matches!(&outcomes[3], Outcome::Refused { status: 400, .. }));
        assert!(matches!(&outcomes[4], Outcome::Broken(_)), "{:?}", outcomes[4]);
        assert_eq!(outcomes[5], Outcome::TimedOut);
    }

    #[test]
    fn nobody_listening_is_an_outcome() {
        let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let client = Client::new(&format!("http://{closed}"), None, 2, LONG).unwrap();
        let samples = drive(&client, &every(1, 3), 2, &|_| json!({}), &|| {});
        assert!(samples.iter().all(|sample| matches!(sample.outcome, Outcome::Broken(_))), "{samples:?}");
    }
}

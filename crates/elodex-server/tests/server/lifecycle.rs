//! Starting, stopping, and clients that go away.

use crate::support::{Options, Server, embed, long_embed, wait_for};
use elodex_server::Stopped;
use std::cell::RefCell;
use std::io::Write as _;
use std::net::TcpStream;

/// Texts that take the tiny model far longer than a test needs to act.
const MANY: usize = 20_000;

fn begin_long_call(server: &Server) -> TcpStream {
    let body = long_embed(MANY).to_string();
    let mut stream = TcpStream::connect(server.address).unwrap();
    write!(
        stream,
        "POST /v1/models/embed HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    server.wait_until("the long call starts", |stats| stats.batches > 1);
    stream
}

#[test]
fn not_ready_before_the_models_are_there() {
    let mut server = Server::start(Options { install: false, ..Options::default() });
    assert_eq!(server.get("/live").status, 200);
    let early = server.get("/ready");
    assert_eq!(early.status, 503);
    let call = server.post("/v1/models/embed", &embed(&["x"]));
    assert_eq!(call.status, 503);
    assert!(call.header("retry-after-ms").is_some());
    assert!(server.get("/metrics").text.contains("elodex_ready 0"));

    server.install();
    assert_eq!(server.get("/ready").status, 200);
    assert!(server.stats().batches > 0, "every model has run once");
    server.post("/v1/models/embed", &embed(&["x"])).ok();
}

#[test]
fn the_work_of_a_client_that_went_away_is_dropped() {
    let server = Server::start(Options::default());
    let stream = begin_long_call(&server);
    drop(stream);
    server.wait_until("the work is cancelled", |stats| stats.cancelled > 0 && stats.in_flight == 0);
    assert!(server.stats().cancelled > MANY as u64 / 2, "{:?}", server.stats());
    server.post("/v1/models/embed", &embed(&["x"])).ok();
}

#[test]
fn no_more_calls_at_once_than_allowed() {
    let server = Server::start(Options { max_concurrent_requests: 1, ..Options::default() });
    let stream = begin_long_call(&server);
    let refused = server.post("/v1/models/embed", &embed(&["x"]));
    assert_eq!(refused.status, 503);
    assert!(refused.header("retry-after-ms").is_some());
    assert_eq!(server.get("/live").status, 200, "probes are not counted");
    drop(stream);
    server.wait_until("the work is cancelled", |stats| stats.in_flight == 0);
}

#[test]
fn bodies_under_way_share_their_memory() {
    let options =
        Options { body_bytes: 300_000, bodies_bytes: 300_000, document_bytes: 0, ..Options::default() };
    let server = Server::start(options);
    let status = || server.post("/v1/models/embed", &embed(&["x"])).status;
    assert_eq!(status(), 200);
    let head = "POST /v1/models/embed HTTP/1.1\r\nhost: x\r\ncontent-length: 299999\r\n\r\n";
    let announced = RefCell::new(None);
    wait_for("the announced body takes all room", || {
        // Announced anew each time: whoever comes while another call has a body under way is refused for good.
        let mut stream = TcpStream::connect(server.address).unwrap();
        stream.write_all(head.as_bytes()).unwrap();
        announced.replace(Some(stream));
        status() == 503
    });
    announced.replace(None);
    wait_for("its room is free again", || status() == 200);
}

#[test]
fn stopping_finishes_what_was_accepted() {
    let mut server = Server::start(Options::default());
    let count = 2_000;
    let body = long_embed(count).to_string();
    let url = format!("http://{}/v1/models/embed", server.address);
    let before = server.stats().batches;
    let call = std::thread::spawn(move || {
        let mut answer = ureq::post(url).header("content-type", "application/json").send(body).unwrap();
        let text = answer.body_mut().with_config().limit(200_000_000).read_to_string().unwrap();
        serde_json::from_str::<serde_json::Value>(&text).unwrap()
    });
    server.wait_until("the call starts", |stats| stats.batches > before);
    server.begin_to_stop();
    assert_eq!(server.stopped(), Stopped::Clean);
    // The server has ended and the call was answered whole: it was waited for.
    let answer = call.join().unwrap();
    assert_eq!(answer["results"].as_array().unwrap().len(), count);
    assert!(TcpStream::connect(server.address).is_err(), "nobody listens any more");
}

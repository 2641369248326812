//! A server for tests that does what a script says.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

const ANSWER: &str = r#"{"results": [], "rerank_status": {"status": "full"}, "timings_ms": {"embed": 2.0, "rerank": 8.0, "total": 10.0}}"#;

/// What a request gets.
pub(super) struct Reply {
    delay: Duration,
    /// Wait until so many requests have arrived.
    arrived: usize,
    /// `None`: the connection is closed instead.
    answer: Option<(u16, String)>,
}

impl Reply {
    pub(super) fn ok() -> Self {
        Self { delay: Duration::ZERO, arrived: 0, answer: Some((200, ANSWER.to_owned())) }
    }

    pub(super) fn after(delay: Duration) -> Self {
        Self { delay, ..Self::ok() }
    }

    pub(super) fn when_arrived(arrived: usize) -> Self {
        Self { arrived, ..Self::ok() }
    }

    pub(super) fn status(status: u16, detail: &str) -> Self {
        let body = serde_json::json!({ "detail": detail }).to_string();
        Self { answer: Some((status, body)), ..Self::ok() }
    }

    pub(super) fn hang_up() -> Self {
        Self { answer: None, ..Self::ok() }
    }
}

type Script = dyn Fn(usize) -> Reply + Send + Sync;

struct State {
    script: Box<Script>,
    next: AtomicUsize,
    arrived: Mutex<usize>,
    changed: Condvar,
    stopped: AtomicBool,
}

/// Listens until it is dropped.
pub(super) struct Scripted {
    address: std::net::SocketAddr,
    state: Arc<State>,
}

impl Scripted {
    /// `script` says what the request of a number gets, counted from 0 as they arrive.
    pub(super) fn start(script: impl Fn(usize) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State {
            script: Box::new(script),
            next: AtomicUsize::new(0),
            arrived: Mutex::new(0),
            changed: Condvar::new(),
            stopped: AtomicBool::new(false),
        });
        let shared = state.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if shared.stopped.load(Ordering::SeqCst) {
                    return;
                }
                let state = shared.clone();
                // A client that leaves ends its connection's thread.
                std::thread::spawn(move || stream.and_then(|stream| serve(stream, &state)));
            }
        });
        Self { address, state }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(super) fn requests(&self) -> usize {
        self.state.next.load(Ordering::SeqCst)
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.state.stopped.store(true, Ordering::SeqCst);
        // Wakes the thread that waits for connections.
        let _ = TcpStream::connect(self.address);
    }
}

fn serve(mut stream: TcpStream, state: &State) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    loop {
        let mut length = 0;
        let mut line = String::new();
        loop {
            line.clear();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            if line.trim_end().is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let reply = (state.script)(state.next.fetch_add(1, Ordering::SeqCst));
        {
            let mut arrived = state.arrived.lock().unwrap();
            *arrived += 1;
            state.changed.notify_all();
            while *arrived < reply.arrived {
                arrived = state.changed.wait(arrived).unwrap();
            }
        }
        std::thread::sleep(reply.delay);
        let Some((status, body)) = reply.answer else { return Ok(()) };
        write!(
            stream,
            "HTTP/1.1 {status} Scripted\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )?;
    }
}

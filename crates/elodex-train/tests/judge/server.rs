//! A chat endpoint of our own on the loopback.

use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A call: head and body.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) head: String,
    pub(crate) body: Value,
}

impl Call {
    /// The two documents in the order shown.
    pub(crate) fn shown(&self) -> [String; 2] {
        let material: Value =
            serde_json::from_str(self.body["messages"][1]["content"].as_str().unwrap()).unwrap();
        ["document_a", "document_b"].map(|place| material[place].as_str().unwrap().to_owned())
    }
}

pub(crate) struct Answer {
    pub(crate) status: &'static str,
    pub(crate) headers: &'static str,
    pub(crate) body: String,
    pub(crate) delay: Duration,
}

impl Answer {
    /// A reply with this content, for 100 tokens read and 20 written.
    pub(crate) fn content(content: &str) -> Self {
        let body = json!({
            "choices": [{"message": {"role": "assistant", "content": content}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120},
        });
        Self { status: "200 OK", headers: "", body: body.to_string(), delay: Duration::ZERO }
    }

    pub(crate) fn score(score: f64) -> Self {
        Self::content(&json!({"thoughts": "A is so, B is so.", "score": score}).to_string())
    }

    pub(crate) fn status(status: &'static str) -> Self {
        Self { status, headers: "", body: String::new(), delay: Duration::ZERO }
    }
}

/// Answers calls until the test ends.
pub(crate) struct Server {
    pub(crate) url: String,
    calls: Arc<Mutex<Vec<Call>>>,
}

impl Server {
    /// `answer` gets the call's number, from 0, and the call.
    pub(crate) fn start(answer: impl Fn(usize, &Call) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        let calls = Arc::new(Mutex::new(Vec::new()));
        let (answer, number, kept) = (Arc::new(answer), Arc::new(AtomicUsize::new(0)), calls.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (answer, number, kept) = (answer.clone(), number.clone(), kept.clone());
                std::thread::spawn(move || {
                    let Ok(stream) = stream else { return };
                    let mut reader = BufReader::new(stream);
                    let Some(call) = read(&mut reader) else { return };
                    let answer = answer(number.fetch_add(1, Ordering::SeqCst), &call);
                    kept.lock().unwrap().push(call);
                    std::thread::sleep(answer.delay);
                    let Answer { status, headers, body, .. } = answer;
                    let length = body.len();
                    let head = format!(
                        "HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n"
                    );
                    // A caller that lost patience is gone.
                    let _ = reader.get_mut().write_all((head + &body).as_bytes());
                });
            }
        });
        Self { url, calls }
    }

    pub(crate) fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap().clone()
    }
}

fn read(reader: &mut BufReader<TcpStream>) -> Option<Call> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let head = head.to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok())?;
    let mut content = vec![0; length];
    reader.read_exact(&mut content).ok()?;
    Some(Call { head, body: serde_json::from_slice(&content).ok()? })
}

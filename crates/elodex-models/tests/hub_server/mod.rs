//! A hub on this machine: listing, description and content of one model's files, large ones on a storage host.

use sha1::{Digest, Sha1};
use sha2::Sha256;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// How a request is to fail.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fault {
    /// A status with an `X-Error-Code`.
    Status(u16, &'static str),
    /// The connection closes after so many bytes of content.
    CutAfter(usize),
    /// Content of the right length, but other bytes.
    WrongBytes,
    /// Another etag.
    Etag(&'static str),
}

#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    /// Whether it went to the storage host.
    pub(crate) storage: bool,
    headers: Vec<(String, String)>,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

#[derive(Debug, Default)]
struct State {
    commit: String,
    files: BTreeMap<String, (Vec<u8>, bool)>,
    extra: Vec<String>,
    faults: Vec<(String, Fault, usize)>,
    ignore_ranges: bool,
    requests: Vec<Request>,
}

#[derive(Debug)]
pub(crate) struct Server {
    port: u16,
    state: Arc<Mutex<State>>,
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn git_hash(bytes: &[u8]) -> String {
    let mut hasher = Sha1::new_with_prefix(format!("blob {}\0", bytes.len()));
    hasher.update(bytes);
    hex(&hasher.finalize())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Server {
    pub(crate) fn start() -> Self {
        let state = Arc::new(Mutex::new(State { commit: "a".repeat(40), ..State::default() }));
        let hub = TcpListener::bind("127.0.0.1:0").unwrap();
        let storage = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = hub.local_addr().unwrap().port();
        let storage_port = storage.local_addr().unwrap().port();
        for (listener, is_storage) in [(hub, false), (storage, true)] {
            let state = state.clone();
            std::thread::spawn(move || {
                for stream in listener.incoming() {
                    let (Ok(stream), state) = (stream, state.clone()) else { continue };
                    std::thread::spawn(move || {
                        let _ = answer(stream, &state, is_storage, storage_port);
                    });
                }
            });
        }
        Self { port, state }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(crate) fn commit(&self) -> String {
        self.state.lock().unwrap().commit.clone()
    }

    pub(crate) fn set_commit(&self, commit: &str) {
        self.state.lock().unwrap().commit = commit.to_owned();
    }

    /// Adds a file; a large one is kept on the storage host.
    pub(crate) fn add(&self, name: &str, bytes: &[u8], large: bool) {
        self.state.lock().unwrap().files.insert(name.to_owned(), (bytes.to_vec(), large));
    }

    pub(crate) fn list_also(&self, name: &str) {
        self.state.lock().unwrap().extra.push(name.to_owned());
    }

    /// The next `times` contents whose path contains `part` fail so.
    pub(crate) fn fail(&self, part: &str, fault: Fault, times: usize) {
        self.state.lock().unwrap().faults.push((part.to_owned(), fault, times));
    }

    pub(crate) fn ignore_ranges(&self) {
        self.state.lock().unwrap().ignore_ranges = true;
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.state.lock().unwrap().requests.clone()
    }

    /// Values of a header over the requests for a file's content on the storage host.
    pub(crate) fn header_of(&self, file: &str, header: &str) -> Vec<String> {
        let requests = self.requests();
        let content = requests.iter().filter(|request| request.storage && request.path.contains(file));
        content.filter_map(|request| request.header(header).map(str::to_owned)).collect()
    }

    /// How often a file's content was sent by the storage host.
    pub(crate) fn downloads(&self, file: &str) -> usize {
        self.requests().iter().filter(|request| request.storage && request.path.contains(file)).count()
    }
}

fn answer(stream: TcpStream, state: &Mutex<State>, storage: bool, storage_port: u16) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split_whitespace();
    let method = words.next().unwrap_or_default().to_owned();
    let path = words.next().unwrap_or_default().to_owned();
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 || line.trim().is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':') {
            headers.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
        }
    }
    let request = Request { method, path, storage, headers };
    let reply = {
        let mut state = state.lock().unwrap();
        state.requests.push(request.clone());
        reply(&mut state, &request, storage_port)
    };
    let mut stream = stream;
    write!(stream, "HTTP/1.1 {} X\r\nConnection: close\r\n", reply.status)?;
    for (name, value) in &reply.headers {
        write!(stream, "{name}: {value}\r\n")?;
    }
    write!(stream, "Content-Length: {}\r\n\r\n", reply.body.len())?;
    if request.method != "HEAD" {
        let sent = reply.cut.unwrap_or(reply.body.len()).min(reply.body.len());
        stream.write_all(&reply.body[..sent])?;
    }
    stream.flush()
}

#[derive(Default)]
struct Reply {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
    cut: Option<usize>,
}

fn reply(state: &mut State, request: &Request, storage_port: u16) -> Reply {
    let mut reply = Reply { status: 200, ..Reply::default() };
    let path = request.path.split('?').next().unwrap_or_default();
    let content = request.storage || request.path.starts_with("/cache/");
    let fault = take_fault(state, request, content);
    match fault {
        Some(Fault::Status(status, code)) => {
            reply.status = status;
            reply.headers.push(("X-Error-Code", code.to_owned()));
            reply.body = b"not this time".to_vec();
            return reply;
        }
        Some(Fault::CutAfter(bytes)) => reply.cut = Some(bytes),
        _ => {}
    }
    if request.path.starts_with("/api/models/") {
        let names = state.files.keys().chain(&state.extra);
        let siblings: Vec<_> = names.map(|name| serde_json::json!({"rfilename": name})).collect();
        reply.body = serde_json::json!({"sha": state.commit, "siblings": siblings}).to_string().into_bytes();
        return reply;
    }
    let Some((name, (bytes, large))) = state
        .files
        .iter()
        .filter(|(name, _)| path.ends_with(&format!("/{name}")))
        .max_by_key(|(name, _)| name.len())
    else {
        reply.status = 404;
        return reply;
    };
    let etag = match fault {
        Some(Fault::Etag(etag)) => etag.to_owned(),
        _ if *large => sha256(bytes),
        _ => git_hash(bytes),
    };
    if !content {
        if *large {
            reply.status = 302;
            reply
                .headers
                .push(("Location", format!("http://127.0.0.1:{storage_port}/blob/{name}?signature=1")));
            reply.headers.push(("X-Linked-Etag", format!("\"{etag}\"")));
            reply.headers.push(("X-Linked-Size", bytes.len().to_string()));
            reply.headers.push(("ETag", "\"of-the-redirect\"".to_owned()));
        } else {
            reply.status = 307;
            reply.headers.push(("Location", format!("/cache/{name}")));
        }
        reply.headers.push(("X-Repo-Commit", state.commit.clone()));
        reply.body = b"over there".to_vec();
        return reply;
    }
    reply.headers.push(("ETag", format!("W/\"{etag}\"")));
    reply.body = bytes.clone();
    if matches!(fault, Some(Fault::WrongBytes)) {
        reply.body.iter_mut().for_each(|byte| *byte ^= 1);
    }
    let from = request
        .header("range")
        .and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse::<usize>().ok());
    if let Some(from) = from.filter(|_| !state.ignore_ranges) {
        if from >= bytes.len() {
            reply.status = 416;
            reply.body.clear();
        } else {
            reply.status = 206;
            reply
                .headers
                .push(("Content-Range", format!("bytes {from}-{}/{}", bytes.len() - 1, bytes.len())));
            reply.body.drain(..from);
        }
    }
    reply
}

/// Faults hit the listing, and the content of files; of descriptions only the etag.
fn take_fault(state: &mut State, request: &Request, content: bool) -> Option<Fault> {
    let path = request.path.split('?').next().unwrap_or_default();
    let hit = state.faults.iter_mut().find(|(part, fault, times)| {
        let applies = match fault {
            Fault::Etag(_) => true,
            _ => path.starts_with("/api/") || (content && request.method == "GET"),
        };
        *times > 0 && applies && path.contains(part.as_str())
    })?;
    if !matches!(hit.1, Fault::Etag(_)) {
        hit.2 -= 1;
    }
    Some(hit.1)
}

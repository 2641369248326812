//! The calls to the hub: listing, description and content of files, with retries, redirects and the token.

use super::cache::{self, RepoId};
use super::download::{self, RemoteFile};
use crate::files::read;
use crate::{Error, ErrorKind, Result};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use std::fmt;
use std::io::Read;
use std::path::Path;
use std::time::Duration;
use ureq::http::header::{AUTHORIZATION, CONTENT_LENGTH, ETAG, LOCATION, RANGE, RETRY_AFTER};
use ureq::http::{HeaderMap, Method, Response, StatusCode, Uri};
use ureq::{Agent, Body};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// For the head of a response.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(30);
/// For each read of a body: a stalled transfer fails, a slow one goes on.
const READ_TIMEOUT: Duration = Duration::from_secs(30);
/// How often a call is made before its failure is final.
pub(super) const TRIES: u32 = 5;
const MAX_REDIRECTS: usize = 8;
/// Longest wait that a `Retry-After` is obeyed for.
const MAX_WAIT: Duration = Duration::from_secs(60);
/// Cap on the listing of a repository.
const MAX_LISTING_BYTES: u64 = 16 << 20;
/// Hash and size of a file that the hub keeps elsewhere.
const LINKED_ETAG: &str = "x-linked-etag";
const LINKED_SIZE: &str = "x-linked-size";
/// What may stand in a segment of a path as it is.
const SEGMENT: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// A token of the hub. Never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// A token, without the white space around it.
    pub fn new(token: &str) -> Result<Self> {
        let token = token.trim();
        if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Error::new(
                ErrorKind::Access,
                "the hub's token is empty or has characters that no token has; check HF_TOKEN and the token file",
            ));
        }
        Ok(Self(token.to_owned()))
    }

    pub(super) fn read(path: &Path) -> Result<Self> {
        Self::new(&String::from_utf8_lossy(&read::bytes(path, read::MAX_CONFIG_BYTES)?))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Token(…)")
    }
}

/// What the hub says of a revision.
#[derive(Debug)]
pub(super) struct Listing {
    pub(super) commit: String,
    pub(super) files: Vec<String>,
}

#[derive(Debug)]
pub(super) struct Client {
    agent: Agent,
    endpoint: String,
    origin: Origin,
    token: Option<Token>,
    backoff: Duration,
}

/// Who may see the token.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Origin {
    scheme: String,
    host: String,
    port: u16,
}

impl Client {
    pub(super) fn new(endpoint: &str, token: Option<Token>, backoff: Duration) -> Result<Self> {
        let origin = endpoint.parse::<Uri>().ok().and_then(|uri| Origin::of(&uri));
        let Some(origin) = origin else {
            return Err(Error::new(
                ErrorKind::Network,
                format!("the hub's address `{endpoint}` is not one; set HF_ENDPOINT to `https://host`"),
            ));
        };
        let config = Agent::config_builder()
            .http_status_as_error(false)
            // Followed by hand: the first answer carries headers that are needed, and the token must not travel on.
            .max_redirects(0)
            .timeout_resolve(Some(CONNECT_TIMEOUT))
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .timeout_recv_response(Some(RESPONSE_TIMEOUT))
            .timeout_per_read(Some(READ_TIMEOUT))
            .timeout_per_write(Some(READ_TIMEOUT))
            .user_agent(concat!("elodex/", env!("CARGO_PKG_VERSION")))
            // Sizes and hashes are those of the plain bytes.
            .accept_encoding("identity")
            .build();
        Ok(Self { agent: config.new_agent(), endpoint: endpoint.to_owned(), origin, token, backoff })
    }

    /// The commit of a revision and its files.
    pub(super) fn list(&self, repo: &RepoId, revision: &str) -> Result<Listing> {
        #[derive(Deserialize)]
        struct Answer {
            sha: String,
            siblings: Vec<Sibling>,
        }
        #[derive(Deserialize)]
        struct Sibling {
            rfilename: String,
        }
        let url = format!("{}/api/models/{}/revision/{}", self.endpoint, repo.as_str(), encoded(revision));
        let answer = self.retried(|client| {
            let response = client.follow(&Method::GET, &url, None)?.last;
            client.check(&response, repo, revision, None)?;
            let mut bytes = Vec::new();
            let body = response.into_body().into_reader();
            let read = body.take(MAX_LISTING_BYTES + 1).read_to_end(&mut bytes);
            read.map_err(|error| Attempt::Again(unreachable(&url).caused_by(error), None))?;
            if bytes.len() as u64 > MAX_LISTING_BYTES {
                return Err(Attempt::Final(nonsense(&url, "a listing of more than 16 MiB")));
            }
            let answer: Answer = serde_json::from_slice(&bytes)
                .map_err(|error| Attempt::Final(nonsense(&url, "no listing of a model").caused_by(error)))?;
            Ok(answer)
        })?;
        if !cache::is_commit(&answer.sha) {
            return Err(nonsense(&url, "no commit"));
        }
        let files = answer.siblings.into_iter().map(|file| file.rfilename).collect();
        Ok(Listing { commit: answer.sha, files })
    }

    /// Hash and size of a file.
    pub(super) fn describe(&self, repo: &RepoId, commit: &str, name: &str) -> Result<RemoteFile> {
        let url = self.file_url(repo, commit, name);
        let Followed { last, linked } = self.retried(|client| {
            let followed = client.follow(&Method::HEAD, &url, None)?;
            // A redirect to another host is a success: what counts stands in the hub's own headers.
            if !followed.last.status().is_redirection() {
                client.check(&followed.last, repo, commit, Some(name))?;
            }
            Ok(followed)
        })?;
        fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
            headers.get(name)?.to_str().ok()
        }
        let etag =
            text(&linked, LINKED_ETAG).or_else(|| text(last.headers(), ETAG.as_str())).unwrap_or_default();
        let etag = etag.trim_start_matches("W/").trim_matches('"').to_ascii_lowercase();
        if !download::is_hash(&etag) {
            return Err(nonsense(&url, "no hash of its content, so that it could not be checked"));
        }
        // The length of a redirect is not the file's.
        let length = last.headers().get(CONTENT_LENGTH).filter(|_| last.status().is_success());
        let size = text(&linked, LINKED_SIZE).or_else(|| length.and_then(|length| length.to_str().ok()));
        let Some(size) = size.and_then(|size| size.parse().ok()) else {
            return Err(nonsense(&url, "no size"));
        };
        Ok(RemoteFile { name: name.to_owned(), etag, size })
    }

    /// The content of a file from byte `from` on, in one try.
    pub(super) fn content(
        &self,
        repo: &RepoId,
        commit: &str,
        name: &str,
        from: u64,
    ) -> std::result::Result<Response<Body>, Attempt> {
        let url = self.file_url(repo, commit, name);
        let response = self.follow(&Method::GET, &url, (from > 0).then_some(from))?.last;
        if from == 0 || response.status() != StatusCode::RANGE_NOT_SATISFIABLE {
            self.check(&response, repo, commit, Some(name))?;
        }
        Ok(response)
    }

    pub(super) fn file_url(&self, repo: &RepoId, commit: &str, name: &str) -> String {
        let path: Vec<String> = name.split('/').map(encoded).collect();
        format!("{}/{}/resolve/{}/{}", self.endpoint, repo.as_str(), encoded(commit), path.join("/"))
    }

    /// Waits before try number `tried` + 1.
    pub(super) fn wait(&self, tried: u32, asked: Option<Duration>) {
        std::thread::sleep(asked.unwrap_or(self.backoff * 2_u32.saturating_pow(tried)).min(MAX_WAIT));
    }

    /// Makes a call until it succeeds, fails for good, or has been tried often enough.
    fn retried<T>(&self, call: impl Fn(&Self) -> std::result::Result<T, Attempt>) -> Result<T> {
        for tried in 0..TRIES {
            match call(self) {
                Ok(value) => return Ok(value),
                Err(Attempt::Again(_, asked)) if tried + 1 < TRIES => self.wait(tried, asked),
                Err(Attempt::Again(error, _) | Attempt::Final(error)) => return Err(error),
            }
        }
        Err(Error::new(ErrorKind::Bug, "a call to the hub was never made"))
    }

    /// One call and its redirects. A `HEAD` stays with the hub: it does not follow to another host.
    fn follow(
        &self,
        method: &Method,
        url: &str,
        from: Option<u64>,
    ) -> std::result::Result<Followed, Attempt> {
        let mut url = url.to_owned();
        let mut linked = HeaderMap::new();
        for _ in 0..=MAX_REDIRECTS {
            let uri: Uri =
                url.parse().map_err(|_| Attempt::Final(nonsense(&url, "a redirect to no address")))?;
            let ours = Origin::of(&uri).as_ref() == Some(&self.origin);
            let mut request = match *method {
                Method::HEAD => self.agent.head(&url),
                _ => self.agent.get(&url),
            };
            if let Some(token) = self.token.as_ref().filter(|_| ours) {
                request = request.header(AUTHORIZATION, format!("Bearer {}", token.0));
            }
            if let Some(from) = from {
                request = request.header(RANGE, format!("bytes={from}-"));
            }
            let response = request.call().map_err(|error| Attempt::of(&url, error))?;
            if ours {
                for name in [LINKED_ETAG, LINKED_SIZE] {
                    if let Some(value) = response.headers().get(name) {
                        linked.insert(name, value.clone());
                    }
                }
            }
            if !response.status().is_redirection() {
                return Ok(Followed { last: response, linked });
            }
            let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
            let Some(next) = location.and_then(|location| joined(&uri, location)) else {
                return Err(Attempt::Final(nonsense(&url, "a redirect to no address")));
            };
            let leaves =
                next.parse::<Uri>().ok().and_then(|uri| Origin::of(&uri)).as_ref() != Some(&self.origin);
            if *method == Method::HEAD && leaves {
                return Ok(Followed { last: response, linked });
            }
            url = next;
        }
        Err(Attempt::Final(nonsense(&url, "one redirect after another")))
    }

    /// Turns a bad status into an error that says what to do.
    fn check(
        &self,
        response: &Response<Body>,
        repo: &RepoId,
        revision: &str,
        file: Option<&str>,
    ) -> std::result::Result<(), Attempt> {
        let status = response.status();
        if status.is_success() {
            return Ok(());
        }
        let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
        let code = header("x-error-code").unwrap_or_default();
        let id = repo.as_str();
        let what = match file {
            Some(file) => format!("`{file}` of `{id}` at revision `{revision}`"),
            None => format!("`{id}` at revision `{revision}`"),
        };
        let (kind, message) = match (status.as_u16(), code) {
            (_, "GatedRepo") => (
                ErrorKind::Access,
                format!(
                    "`{id}` is gated; accept its terms on its page, and set HF_TOKEN to a token of that account"
                ),
            ),
            (404, "RevisionNotFound") => (
                ErrorKind::NotFound,
                format!("`{id}` has no revision `{revision}`; give a branch, a tag or a commit"),
            ),
            (401, _) if self.token.is_none() => (
                ErrorKind::Access,
                format!(
                    "the hub does not show {what}: check the spelling; a private repository needs HF_TOKEN"
                ),
            ),
            (401, _) => (
                ErrorKind::Access,
                format!("the hub does not show {what} to this token: check the spelling and HF_TOKEN"),
            ),
            (403, _) => (ErrorKind::Access, format!("the hub forbids {what}; check what the token may read")),
            (404, _) => (ErrorKind::NotFound, format!("the hub has no {what}; check the spelling")),
            (status, _) => {
                (ErrorKind::Network, format!("the hub answered {status} for {what}; try again later"))
            }
        };
        let error = Error::new(kind, message);
        if status.is_server_error() || matches!(status.as_u16(), 408 | 429) {
            let seconds = header(RETRY_AFTER.as_str()).and_then(|value| value.parse().ok());
            return Err(Attempt::Again(error, seconds.map(Duration::from_secs)));
        }
        Err(Attempt::Final(error))
    }
}

/// The last answer, and what the hub's own answers on the way said of the file behind the redirects.
struct Followed {
    last: Response<Body>,
    linked: HeaderMap,
}

/// How one try failed.
#[derive(Debug)]
pub(super) enum Attempt {
    /// It may succeed later; the hub may have asked for a wait.
    Again(Error, Option<Duration>),
    /// It would fail again.
    Final(Error),
}

impl Attempt {
    fn of(url: &str, error: ureq::Error) -> Self {
        match error {
            ureq::Error::BadUri(_) | ureq::Error::Http(_) | ureq::Error::Tls(_) | ureq::Error::Rustls(_) => {
                Attempt::Final(unreachable(url).caused_by(error))
            }
            error => Attempt::Again(unreachable(url).caused_by(error), None),
        }
    }
}

impl Origin {
    fn of(uri: &Uri) -> Option<Self> {
        let scheme = uri.scheme_str()?.to_ascii_lowercase();
        let default = match scheme.as_str() {
            "https" => 443,
            "http" => 80,
            _ => return None,
        };
        let host = uri.host()?.to_ascii_lowercase();
        Some(Self { scheme, host, port: uri.port_u16().unwrap_or(default) })
    }
}

/// An absolute address from a `Location`.
fn joined(base: &Uri, location: &str) -> Option<String> {
    if location.starts_with("http://") || location.starts_with("https://") {
        return Some(location.to_owned());
    }
    let path = location.strip_prefix('/').filter(|rest| !rest.starts_with('/'))?;
    Some(format!("{}://{}/{path}", base.scheme_str()?, base.authority()?))
}

fn encoded(segment: &str) -> String {
    utf8_percent_encode(segment, &SEGMENT).to_string()
}

/// The address without its query, which may hold a signature.
fn shown(url: &str) -> &str {
    url.split('?').next().unwrap_or(url)
}

pub(super) fn unreachable(url: &str) -> Error {
    let message = format!(
        "cannot reach `{}`; check the network and HF_ENDPOINT, or use what is cached with HF_HUB_OFFLINE=1",
        shown(url)
    );
    Error::new(ErrorKind::Network, message)
}

pub(super) fn nonsense(url: &str, what: &str) -> Error {
    Error::new(ErrorKind::Network, format!("`{}` answered with {what}", shown(url)))
}

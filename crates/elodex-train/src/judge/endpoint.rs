//! One call of an OpenAI-compatible chat endpoint: patience, limits, and what it costs.

use crate::battle::Spent;
use crate::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use ureq::http::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};

/// Bytes of an answer that are read.
const ANSWER_BYTES: u64 = 1 << 20;
/// Characters of an endpoint's own words that are passed on.
const SHOWN: usize = 200;
/// How often a wait looks whether it is to end.
const GLANCE: Duration = Duration::from_millis(50);

/// A key of an endpoint. Never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey(String);

impl ApiKey {
    /// A key, without the white space around it.
    ///
    /// # Errors
    /// No key, or characters that no key has.
    pub fn new(key: &str) -> Result<Self> {
        let key = key.trim();
        if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            let message =
                "the endpoint's key is empty or has characters that no key has; check where it is read from";
            return Err(Error::new(ErrorKind::Request, message));
        }
        Ok(Self(key.to_owned()))
    }
}

impl std::fmt::Debug for ApiKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("ApiKey(…)")
    }
}

/// What a model's tokens cost, in any currency.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Prices {
    /// Of a million tokens read.
    pub input_per_million: f64,
    /// Of a million tokens written.
    pub output_per_million: f64,
}

impl Prices {
    pub(super) fn spent(&self, input_tokens: u64, output_tokens: u64) -> Spent {
        let cost =
            input_tokens as f64 * self.input_per_million + output_tokens as f64 * self.output_per_million;
        Spent { calls: 1, estimated_calls: 0, input_tokens, output_tokens, cost: cost / 1e6 }
    }
}

/// Where to ask, and how patiently.
#[derive(Debug)]
pub(super) struct Endpoint {
    pub(super) url: String,
    pub(super) key: Option<ApiKey>,
    pub(super) agent: ureq::Agent,
    pub(super) timeout: Duration,
    pub(super) tries: u32,
    pub(super) backoff: Duration,
    pub(super) longest_wait: Duration,
}

/// What came back with a status of success.
#[derive(Debug)]
pub(super) struct Answer {
    /// The model's reply, or why there is none.
    pub(super) reply: Result<String, String>,
    /// Tokens read and written, where the endpoint says so.
    pub(super) usage: Option<(u64, u64)>,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Refusal {
    /// Another question may be answered.
    ThisOne(String),
    /// No other one would be, or nobody waits for it any more.
    All(Error),
}

enum Trouble {
    Passing { reason: String, wait: Option<Duration> },
    Lasting(Refusal),
}

impl Endpoint {
    pub(super) fn agent() -> ureq::Agent {
        // A redirect would carry documents to a host that nobody named.
        ureq::Agent::config_builder().http_status_as_error(false).max_redirects(0).build().new_agent()
    }

    /// Asks until there is an answer, trouble that lasts, or no try left.
    pub(super) fn ask(&self, call: &Value, stop: &AtomicBool) -> Result<Answer, Refusal> {
        let call = call.to_string();
        let mut tried = 0;
        loop {
            if stop.load(Ordering::Relaxed) {
                return Err(cancelled());
            }
            let (reason, wait) = match self.try_once(&call) {
                Ok(answer) => return Ok(answer),
                Err(Trouble::Lasting(refusal)) => return Err(refusal),
                Err(Trouble::Passing { reason, wait }) => (reason, wait),
            };
            tried += 1;
            if tried >= self.tries {
                return Err(Refusal::ThisOne(format!("{reason} ({tried} tries)")));
            }
            // Threads that were refused together should not come back together.
            let backoff =
                self.backoff.saturating_mul(1 << (tried - 1).min(16)).mul_f64(0.75 + 0.5 * fastrand::f64());
            let wait = wait.unwrap_or(backoff.min(self.longest_wait));
            if wait > self.longest_wait {
                return Err(Refusal::ThisOne(format!(
                    "{reason} and asks to wait {} s, more than {} s",
                    wait.as_secs(),
                    self.longest_wait.as_secs()
                )));
            }
            let until = Instant::now() + wait;
            while let Some(left) = until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
            {
                if stop.load(Ordering::Relaxed) {
                    return Err(cancelled());
                }
                std::thread::sleep(left.min(GLANCE));
            }
        }
    }

    fn try_once(&self, call: &str) -> Result<Answer, Trouble> {
        let url = format!("{}/chat/completions", self.url.trim_end_matches('/'));
        let mut request = self.agent.post(&url).header(CONTENT_TYPE, "application/json");
        if let Some(key) = &self.key {
            request = request.header(AUTHORIZATION, format!("Bearer {}", key.0));
        }
        let request = request.config().timeout_global(Some(self.timeout)).build();
        let mut response = request.send(call.as_bytes()).map_err(|error| self.unreached(error))?;
        let status = response.status();
        if !status.is_success() {
            let header = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
            let wait = header.and_then(|value| value.trim().parse().ok()).map(Duration::from_secs);
            let said =
                response.body_mut().with_config().limit(ANSWER_BYTES).read_to_vec().unwrap_or_default();
            return Err(self.refused(status.as_u16(), wait, &said));
        }
        let body = response.body_mut().with_config().limit(ANSWER_BYTES).read_to_vec();
        match body {
            Ok(body) => Ok(Answer::of(&body)),
            // It was answered and is paid for; asking again would be answered as long.
            Err(ureq::Error::BodyExceedsLimit(_)) => {
                Ok(Answer { reply: Err("an answer of more than 1 MiB".to_owned()), usage: None })
            }
            Err(error) => Err(self.unreached(error)),
        }
    }

    fn unreached(&self, error: ureq::Error) -> Trouble {
        match error {
            ureq::Error::BadUri(_) | ureq::Error::Http(_) => Trouble::Lasting(Refusal::All(
                Error::new(
                    ErrorKind::Judge,
                    format!(
                        "the endpoint `{}` cannot be called; give an address such as `https://host/v1`",
                        self.url
                    ),
                )
                .caused_by(error),
            )),
            ureq::Error::Timeout(_) => {
                let reason = format!("no answer within {:.1} s", self.timeout.as_secs_f64());
                Trouble::Passing { reason, wait: None }
            }
            error => {
                Trouble::Passing { reason: format!("the endpoint cannot be reached: {error}"), wait: None }
            }
        }
    }

    fn refused(&self, status: u16, wait: Option<Duration>, body: &[u8]) -> Trouble {
        let reason = format!("the endpoint answered {status}");
        if String::from_utf8_lossy(body).contains("response_format") {
            let message = format!(
                "the endpoint `{}` answered {status} and does not take the form of reply it was asked for \
                 (`response_format`); ask for another one, `json-object` or `text`",
                self.url
            );
            return Trouble::Lasting(Refusal::All(Error::new(ErrorKind::Judge, message)));
        }
        // What it says of a key may hold the key.
        let advice = match status {
            401 | 403 => "check the key and what it may use",
            402 => "its account has nothing left",
            404 | 405 => "check the address, which ends before `/chat/completions`, and the model's name",
            300..=399 => "it redirects elsewhere; give the address it redirects to",
            _ => {
                let said = said_in(body).map(|said| format!(": {said}")).unwrap_or_default();
                let reason = format!("{reason}{said}");
                return match status {
                    408 | 425 | 429 | 500..=599 => Trouble::Passing { reason, wait },
                    _ => Trouble::Lasting(Refusal::ThisOne(reason)),
                };
            }
        };
        let message = format!("the endpoint `{}` answered {status}; {advice}", self.url);
        Trouble::Lasting(Refusal::All(Error::new(ErrorKind::Judge, message)))
    }
}

impl Answer {
    fn of(body: &[u8]) -> Self {
        let answer: Value = match serde_json::from_slice(body) {
            Ok(answer) => answer,
            Err(error) => return Self { reply: Err(format!("no json: {error}")), usage: None },
        };
        let tokens = |name: &str| answer["usage"][name].as_u64();
        let usage = tokens("prompt_tokens").zip(tokens("completion_tokens"));
        let choice = &answer["choices"][0];
        let reply = match (choice["message"]["content"].as_str(), choice["finish_reason"].as_str()) {
            (_, Some("length")) => Err("a reply that was cut off at its greatest length".to_owned()),
            (Some(content), _) => Ok(content.to_owned()),
            (None, _) => Err("no `choices[0].message.content`".to_owned()),
        };
        Self { reply, usage }
    }
}

fn said_in(body: &[u8]) -> Option<String> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let said = body["error"]["message"].as_str().or_else(|| body["message"].as_str())?;
    Some(said.chars().filter(|character| !character.is_control()).take(SHOWN).collect())
}

fn cancelled() -> Refusal {
    Refusal::All(Error::new(ErrorKind::Cancelled, "stopped while waiting for an answer"))
}

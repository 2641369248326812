//! One request.

use anyhow::bail;
use serde_json::Value;
use std::time::Duration;

/// Largest answer that is read.
const ANSWER_BYTES: u64 = 64 << 20;

/// What became of a request.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Outcome {
    Answered(Answer),
    /// The server had no room or no time for it: 429, 503 or 504, with its own words, figures left out.
    Shed {
        status: u16,
        words: String,
    },
    /// Another status.
    Refused {
        status: u16,
        words: String,
    },
    /// No answer in the time allowed.
    TimedOut,
    /// No connection, or one that broke.
    Broken(String),
}

/// What an answer tells about the server.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Answer {
    /// Milliseconds of each stage, as the server measured them.
    pub(crate) stages: Vec<(String, f64)>,
    /// `full`, `partial` or `skipped`.
    pub(crate) rerank: Option<String>,
    /// Why the second stage was cut short, figures left out.
    pub(crate) reason: Option<String>,
}

/// Searches of one server.
#[derive(Debug)]
pub(crate) struct Client {
    agent: ureq::Agent,
    address: String,
    authorization: Option<String>,
}

impl Client {
    /// For `connections` requests at once, each with so much time.
    pub(crate) fn new(
        url: &str,
        key: Option<&str>,
        connections: usize,
        timeout: Duration,
    ) -> anyhow::Result<Self> {
        if !url.starts_with("http://") && !url.starts_with("https://") {
            bail!("`{url}` is no address; write http://host:port");
        }
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(timeout))
            .http_status_as_error(false)
            .max_idle_connections(connections)
            .max_idle_connections_per_host(connections)
            .build();
        let base = url.trim_end_matches('/').trim_end_matches("/v1");
        Ok(Self {
            agent: config.into(),
            address: format!("{base}/v1/search"),
            authorization: key.map(|key| format!("Bearer {key}")),
        })
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Sends one request and reads its answer.
    pub(crate) fn search(&self, body: &Value) -> Outcome {
        let mut request = self.agent.post(&self.address);
        if let Some(authorization) = &self.authorization {
            request = request.header("authorization", authorization);
        }
        let read = request.send_json(body).and_then(|mut response| {
            let text = response.body_mut().with_config().limit(ANSWER_BYTES).read_to_string()?;
            Ok((response.status().as_u16(), text))
        });
        let (status, text) = match read {
            Ok(read) => read,
            Err(ureq::Error::Timeout(_)) => return Outcome::TimedOut,
            Err(error) => return Outcome::Broken(without_figures(&error.to_string())),
        };
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        match status {
            200..300 => Outcome::Answered(answer(&body)),
            429 | 503 | 504 => Outcome::Shed { status, words: words(&body) },
            _ => Outcome::Refused { status, words: words(&body) },
        }
    }
}

fn answer(body: &Value) -> Answer {
    let stages = body["timings_ms"].as_object().into_iter().flatten();
    Answer {
        stages: stages.filter_map(|(stage, time)| Some((stage.clone(), time.as_f64()?))).collect(),
        rerank: body["rerank_status"]["status"].as_str().map(str::to_owned),
        reason: body["rerank_status"]["reason"].as_str().map(without_figures),
    }
}

/// How the server explains itself.
fn words(body: &Value) -> String {
    match &body["detail"] {
        Value::String(text) => without_figures(text),
        Value::Null => "without an explanation".to_owned(),
        other => without_figures(&other.to_string()),
    }
}

/// Messages that differ in their figures only are one.
fn without_figures(text: &str) -> String {
    let mut words = String::new();
    for char in text.chars() {
        match char {
            '0'..='9' if words.ends_with('N') => {}
            '0'..='9' => words.push('N'),
            char if char.is_control() => words.push(' '),
            char => words.push(char),
        }
    }
    words.replace("N.N", "N")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_told_apart_by_words_alone() {
        assert_eq!(without_figures("31 requests wait, 2.5 s"), "N requests wait, N s");
        assert_eq!(without_figures("queue full"), "queue full");
    }
}

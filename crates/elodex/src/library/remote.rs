//! A server, over HTTP.

use super::{Added, Library};
use anyhow::{Context as _, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use elodex_types::{Content, NewDocument, Role};
use serde_json::{Value, json};
use std::io::Write;
use std::time::Duration;

/// Longest wait for an answer: a large document is read before it is acknowledged.
const TIMEOUT: Duration = Duration::from_secs(300);
/// Attempts at a call that the server has no room for.
const ATTEMPTS: u32 = 6;

/// A server's address and the key it wants.
#[derive(Debug)]
pub(crate) struct Remote {
    agent: ureq::Agent,
    base: String,
    key: Option<String>,
}

/// An answer with its status.
struct Answer {
    status: u16,
    body: Value,
}

impl Remote {
    pub(crate) fn new(url: &str, key: Option<String>) -> anyhow::Result<Self> {
        if !url.starts_with("http://") && !url.starts_with("https://") {
            bail!("`{url}` is no address; write http://host:port");
        }
        let config =
            ureq::Agent::config_builder().timeout_global(Some(TIMEOUT)).http_status_as_error(false).build();
        let base = url.trim_end_matches('/').trim_end_matches("/v1").to_owned();
        Ok(Self { agent: config.into(), base, key })
    }

    /// Writes the server's backup to `out`.
    pub(crate) fn backup(&self, out: &mut dyn Write) -> anyhow::Result<()> {
        let address = format!("{}/v1/admin/backup", self.base);
        let authorization = self.key.as_ref().map(|key| format!("Bearer {key}")).unwrap_or_default();
        let sent = self.agent.post(&address).header("authorization", &authorization).send_empty();
        let mut response = sent.with_context(|| format!("cannot reach {address}; is the server running?"))?;
        if response.status().as_u16() != 200 {
            let body = Value::String(response.body_mut().read_to_string().unwrap_or_default());
            return Err(trouble(&address, &Answer { status: response.status().as_u16(), body }));
        }
        let mut body = response.body_mut().with_config().limit(u64::MAX).reader();
        std::io::copy(&mut body, out).with_context(|| format!("{address} broke off its answer"))?;
        Ok(())
    }

    /// What a GET answers.
    pub(crate) fn get(&self, path: &str) -> anyhow::Result<Value> {
        answered(path, self.send(path, None)?)
    }

    fn send(&self, path: &str, body: Option<&Value>) -> anyhow::Result<Answer> {
        let address = format!("{}{path}", self.base);
        let authorization = self.key.as_ref().map(|key| format!("Bearer {key}")).unwrap_or_default();
        for attempt in 0.. {
            let sent = match body {
                Some(body) => {
                    self.agent.post(&address).header("authorization", &authorization).send_json(body)
                }
                None => self.agent.get(&address).header("authorization", &authorization).call(),
            };
            let mut response =
                sent.with_context(|| format!("cannot reach {address}; is the server running?"))?;
            let status = response.status().as_u16();
            if matches!(status, 429 | 503) && attempt + 1 < ATTEMPTS {
                let wait =
                    response.headers().get("retry-after").and_then(|wait| wait.to_str().ok()?.parse().ok());
                std::thread::sleep(Duration::from_secs(wait.unwrap_or(1 << attempt)));
                continue;
            }
            let text = response.body_mut().with_config().limit(1 << 30).read_to_string();
            let text = text.with_context(|| format!("{address} broke off its answer"))?;
            let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
            return Ok(Answer { status, body });
        }
        bail!("{address} has no room")
    }
}

/// An answer's body, or the error it names.
fn answered(path: &str, answer: Answer) -> anyhow::Result<Value> {
    if answer.status >= 300 {
        return Err(trouble(path, &answer));
    }
    Ok(answer.body)
}

/// The error a server names, in words.
fn trouble(path: &str, answer: &Answer) -> anyhow::Error {
    anyhow::anyhow!("{path} answered {}: {}", answer.status, detail(answer))
}

fn detail(answer: &Answer) -> String {
    match &answer.body["detail"] {
        Value::String(text) => text.clone(),
        Value::Null => answer.body.to_string(),
        other => other.to_string(),
    }
}

impl Library for Remote {
    fn call(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        answered(path, self.send(path, Some(body))?)
    }

    fn add(&self, collection: &str, documents: Vec<NewDocument>, overwrite: bool) -> anyhow::Result<Added> {
        let path = "/v1/documents/add-document";
        let mut added = Added::default();
        for document in documents {
            let content = match document.content {
                Content::Text(text) => json!({"type": "text", "text": text}),
                Content::Pages { pages, continuous } => {
                    let kind = if continuous { "text-pages" } else { "text-pages-unordered" };
                    json!({"type": kind, "pages": pages})
                }
                Content::File(bytes) => json!({"type": "auto", "base64_data": STANDARD.encode(bytes)}),
            };
            let body = json!({
                "collection_name": collection, "path": document.path, "metadata": document.metadata, "content": content,
                "overwrite": overwrite,
            });
            let answer = self.send(path, Some(&body))?;
            match answer.status {
                201 => added.created += 1,
                200 => added.replaced += 1,
                409 if !overwrite => added.kept += 1,
                413 => added.refused.push(format!("{}: {}", document.path, detail(&answer))),
                _ => return Err(trouble(path, &answer).context(format!("cannot add `{}`", document.path))),
            }
        }
        Ok(added)
    }

    fn settle(&self, _collection: &str) -> anyhow::Result<()> {
        Ok(())
    }

    fn embed(
        &self,
        model: &str,
        role: Role,
        texts: Vec<String>,
        dimensions: usize,
    ) -> anyhow::Result<Vec<Vec<f32>>> {
        let body = json!({ "model": model, "input_type": role, "input": texts, "dimensions": dimensions });
        let mut answer = self.call("/v1/models/embed", &body)?;
        let results = answer["results"].as_array_mut().context("the embedder answered without results")?;
        let vectors = results.iter_mut().map(|result| serde_json::from_value(result["embedding"].take()));
        vectors.collect::<Result<_, _>>().context("the embedder answered with something else than vectors")
    }

    fn has_reranker(&self) -> anyhow::Result<bool> {
        let answer = self.send("/v1/models", None)?;
        if answer.status >= 300 {
            return Err(trouble("/v1/models", &answer));
        }
        let models = answer.body["data"].as_array().into_iter().flatten();
        Ok(models.into_iter().any(|model| model["kind"] == "reranker"))
    }
}

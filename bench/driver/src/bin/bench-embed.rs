//! An embedder behind a pipe, so that a script can alternate it with its peers in one run.
//!
//! `bench-embed MODEL_DIRECTORY THREADS PRECISION` prints one line when it is ready, then answers each line of JSON:
//!
//! - `{"together": {"texts": [...], "vectors": bool}}`, one request: seconds from texts to vectors, tokens, and the
//!   vectors if asked;
//! - `{"apart": {"texts": [...], "clients": 2}}`, a request for each text from that many clients at once, each with one
//!   under way: seconds until all are answered, and seconds of each request.

use elodex_bench::{Setup, caller};
use elodex_engine::EmbedService;
use elodex_models::Embedder;
use elodex_types::{EmbedRequest, EmbedResponse, Latency, Role};
use serde::{Deserialize, Serialize};
use std::error::Error;
use std::time::Instant;

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Call {
    Together { texts: Vec<String>, vectors: bool },
    Apart { texts: Vec<String>, clients: usize },
}

#[derive(Serialize)]
#[serde(untagged)]
enum Answer {
    Together { seconds: f64, tokens: u64, vectors: Option<Vec<Vec<f32>>> },
    Apart { seconds: f64, latencies: Vec<f64> },
}

fn main() -> Result<(), Box<dyn Error>> {
    let setup = Setup::from_arguments()?;
    let embedder = Embedder::load(&setup.files, setup.kernels)?;
    let service = EmbedService::start(embedder, setup.runtime.clone(), setup.limits.clone())?;
    setup.answer_lines(|call| match call {
        Call::Together { texts, vectors } => Ok(together(&service, texts, vectors)?),
        Call::Apart { texts, clients } => apart(&service, &texts, clients),
    })
}

fn together(service: &EmbedService, texts: Vec<String>, vectors: bool) -> elodex_engine::Result<Answer> {
    let start = Instant::now();
    let response = embed(service, texts)?;
    let seconds = start.elapsed().as_secs_f64();
    let vectors = vectors.then(|| response.embeddings.iter().map(|vector| vector.to_vec()).collect());
    Ok(Answer::Together { seconds, tokens: response.usage.tokens, vectors })
}

fn apart(service: &EmbedService, texts: &[String], clients: usize) -> Result<Answer, Box<dyn Error>> {
    if clients == 0 {
        return Err("no client sends the texts; ask for at least 1".into());
    }
    let start = Instant::now();
    let joined: Vec<_> = std::thread::scope(|scope| {
        let started: Vec<_> = (0..clients)
            .map(|client| {
                scope.spawn(move || one_by_one(service, texts.iter().skip(client).step_by(clients)))
            })
            .collect();
        started.into_iter().map(|client| client.join()).collect()
    });
    let seconds = start.elapsed().as_secs_f64();
    let mut latencies = Vec::with_capacity(texts.len());
    for client in joined {
        latencies.extend(client.map_err(|_| "a client panicked")??);
    }
    Ok(Answer::Apart { seconds, latencies })
}

/// Seconds of each request.
fn one_by_one<'texts>(
    service: &EmbedService,
    texts: impl Iterator<Item = &'texts String>,
) -> elodex_engine::Result<Vec<f64>> {
    texts
        .map(|text| {
            let start = Instant::now();
            embed(service, vec![text.clone()])?;
            Ok(start.elapsed().as_secs_f64())
        })
        .collect()
}

fn embed(service: &EmbedService, texts: Vec<String>) -> elodex_engine::Result<EmbedResponse> {
    let request = EmbedRequest {
        model: String::new(),
        role: Some(Role::Document),
        inputs: texts,
        dimensions: None,
        truncation: None,
        latency: Latency::Auto,
    };
    service.submit(request, caller())?.wait()
}

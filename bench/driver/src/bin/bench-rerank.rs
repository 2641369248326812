//! A cross-encoder behind a pipe, so that a script can alternate it with its peers in one run.
//!
//! `bench-rerank MODEL_DIRECTORY THREADS PRECISION` prints one line when it is ready, then answers each line of JSON
//! `{"query": "...", "documents": [...]}` with one line: seconds from strings to scores, tokens, and the logits in the
//! documents' order.

use elodex_bench::{Setup, caller};
use elodex_engine::RerankService;
use elodex_models::Reranker;
use elodex_types::{Latency, RerankRequest};
use serde::{Deserialize, Serialize};
use std::error::Error;
use std::time::Instant;

#[derive(Deserialize)]
struct Call {
    query: String,
    documents: Vec<String>,
}

#[derive(Serialize)]
struct Answer {
    seconds: f64,
    tokens: u64,
    logits: Vec<f32>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let setup = Setup::from_arguments()?;
    let reranker = Reranker::load(&setup.files, setup.kernels)?;
    let service = RerankService::start(reranker, setup.runtime.clone(), setup.limits.clone())?;
    setup.answer_lines(|call| Ok(rerank(&service, call)?))
}

fn rerank(service: &RerankService, call: Call) -> elodex_engine::Result<Answer> {
    let request = RerankRequest {
        model: String::new(),
        query: call.query,
        documents: call.documents,
        top_n: None,
        truncation: None,
        latency: Latency::Auto,
    };
    let start = Instant::now();
    let mut response = service.submit(request, caller())?.wait()?;
    let seconds = start.elapsed().as_secs_f64();
    response.results.sort_by_key(|ranked| ranked.index);
    let logits = response.results.iter().map(|ranked| ranked.logit).collect();
    Ok(Answer { seconds, tokens: response.usage.tokens, logits })
}

//! The engine behind a pipe, so that a script can alternate it with its peers in one run.
//!
//! `bench-embed MODEL_DIRECTORY THREADS` prints one line when it is ready, then answers each line of JSON
//! `{"texts": [...], "vectors": bool}` with one line: seconds from texts to vectors, tokens, and the vectors if asked.

use elodex_engine::{EmbedService, EngineLimits, Runtime};
use elodex_kernels::Kernels;
use elodex_models::{Embedder, files::ModelFiles};
use elodex_types::{CallContext, EmbedRequest, EmbedResponse, Latency, Role};
use serde::{Deserialize, Serialize};
use std::error::Error;
use std::io::{BufRead as _, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

#[derive(Deserialize)]
struct Call {
    texts: Vec<String>,
    vectors: bool,
}

#[derive(Serialize)]
struct Answer {
    seconds: f64,
    tokens: u64,
    vectors: Option<Vec<Vec<f32>>>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, threads] = arguments.as_slice() else {
        return Err("usage: bench-embed MODEL_DIRECTORY THREADS".into());
    };
    let started = Instant::now();
    let service = start(Path::new(model), threads.parse()?)?;
    let mut output = std::io::stdout().lock();
    writeln!(output, "{}", serde_json::json!({ "seconds_to_ready": started.elapsed().as_secs_f64() }))?;
    output.flush()?;

    for line in std::io::stdin().lock().lines() {
        let call: Call = serde_json::from_str(&line?)?;
        let start = Instant::now();
        let response = embed(&service, call.texts)?;
        let seconds = start.elapsed().as_secs_f64();
        let vectors =
            call.vectors.then(|| response.embeddings.iter().map(|vector| vector.to_vec()).collect());
        let answer = Answer { seconds, tokens: response.usage.tokens, vectors };
        writeln!(output, "{}", serde_json::to_string(&answer)?)?;
        output.flush()?;
    }
    Ok(())
}

fn start(model: &Path, threads: usize) -> Result<EmbedService, Box<dyn Error>> {
    let kernels = Kernels::detect();
    let embedder = Embedder::load(&ModelFiles::open(model)?, kernels)?;
    let runtime = Arc::new(Runtime::new(threads, kernels)?);
    // As the server has it, but nothing is answered from memory.
    let limits = EngineLimits { cache_bytes: 0, ..EngineLimits::default() };
    Ok(EmbedService::start(embedder, runtime, limits)?)
}

fn embed(service: &EmbedService, texts: Vec<String>) -> Result<EmbedResponse, Box<dyn Error>> {
    let request = EmbedRequest {
        model: String::new(),
        role: Some(Role::Document),
        inputs: texts,
        dimensions: None,
        truncation: None,
        latency: Latency::Auto,
    };
    Ok(service.submit(request, CallContext { key: "bench".into(), deadline: None })?.wait()?)
}

//! What the drivers behind a pipe share: their arguments, the engine as the server has it, and lines of JSON both ways.

use elodex_engine::{EngineLimits, Runtime};
use elodex_kernels::Kernels;
use elodex_models::files::ModelFiles;
use elodex_types::CallContext;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::error::Error;
use std::io::{BufRead as _, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

/// What a driver loads and runs, from its arguments `MODEL_DIRECTORY THREADS PRECISION`.
#[derive(Debug)]
pub struct Setup {
    /// The model's files, with the precision that was asked for.
    pub files: ModelFiles,
    /// The fastest kernels of this processor.
    pub kernels: Kernels,
    /// As many threads as were asked for.
    pub runtime: Arc<Runtime>,
    /// The server's limits, but nothing is answered from memory.
    pub limits: EngineLimits,
    started: Instant,
}

impl Setup {
    /// Reads the command line; weights are not touched yet. Fails on other arguments, an unreadable model directory and
    /// a precision that is neither `f32` nor `int8`.
    pub fn from_arguments() -> Result<Self, Box<dyn Error>> {
        let started = Instant::now();
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        let [model, threads, precision] = arguments.as_slice() else {
            return Err("usage: DRIVER MODEL_DIRECTORY THREADS f32|int8".into());
        };
        let mut files = ModelFiles::open(Path::new(model))?;
        files.precision = precision.parse()?;
        let kernels = Kernels::detect();
        let runtime = Arc::new(Runtime::new(threads.parse()?, kernels)?);
        let limits = EngineLimits { cache_bytes: 0, ..EngineLimits::default() };
        Ok(Self { files, kernels, runtime, limits, started })
    }

    /// Prints a line that says how long getting ready took, then answers each line of standard input with one line.
    pub fn answer_lines<Call, Answer>(
        &self,
        mut answer: impl FnMut(Call) -> Result<Answer, Box<dyn Error>>,
    ) -> Result<(), Box<dyn Error>>
    where
        Call: DeserializeOwned,
        Answer: Serialize,
    {
        let mut output = std::io::stdout().lock();
        let ready = serde_json::json!({ "seconds_to_ready": self.started.elapsed().as_secs_f64() });
        writeln!(output, "{ready}")?;
        output.flush()?;
        for line in std::io::stdin().lock().lines() {
            let answer = answer(serde_json::from_str(&line?)?)?;
            writeln!(output, "{}", serde_json::to_string(&answer)?)?;
            output.flush()?;
        }
        Ok(())
    }
}

/// The one caller of a driver, who waits as long as it takes.
pub fn caller() -> CallContext {
    CallContext { key: "bench".into(), deadline: None }
}

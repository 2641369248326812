//! One step of training a cross-encoder behind a pipe, so that a script can alternate it with its peer in one run.
//!
//! `bench-train MODEL_DIRECTORY THREADS f32` prints one line when it is ready, then answers each line of JSON, groups as
//! `elodex zelo train --targets` reads them, with one line: seconds of a step on them (forwards, backwards, AdamW; tokenising
//! not included), pairs, tokens and the loss. Gradients are not clipped.

use elodex_bench::Setup;
use elodex_train::training::{AdamW, Group, Objective, Prepared, RerankStudent, Student};
use serde::Serialize;
use std::error::Error;
use std::time::Instant;

/// Tokens of a pair at most.
const MAX_TOKENS: usize = 128;
const LEARNING_RATE: f32 = 2e-5;
const WEIGHT_DECAY: f32 = 0.01;
const SEED: u64 = 1;

#[derive(Serialize)]
struct Answer {
    seconds: f64,
    pairs: usize,
    tokens: usize,
    loss: f64,
}

fn main() -> Result<(), Box<dyn Error>> {
    let setup = Setup::from_arguments()?;
    let objective = Objective::Preference;
    let mut student = RerankStudent::load(&setup.files, setup.kernels, objective, MAX_TOKENS, SEED)?;
    let mut optimiser = AdamW::new(student.parameters(), WEIGHT_DECAY);
    let mut gradients = student.parameters().zeros();
    setup.answer_lines(|groups: Vec<Group>| {
        let prepared: Vec<Prepared> =
            groups.iter().map(|group| student.prepare(group)).collect::<Result<_, _>>()?;
        let batch: Vec<&Prepared> = prepared.iter().collect();
        let start = Instant::now();
        let loss = setup.runtime.install(|| {
            gradients.clear();
            let loss = student.learn(&batch, 1.0, &mut gradients)?;
            optimiser.step(student.parameters_mut(), &gradients, LEARNING_RATE, 1.0);
            Ok::<_, elodex_train::Error>(loss)
        })?;
        Ok(Answer {
            seconds: start.elapsed().as_secs_f64(),
            pairs: groups.iter().map(|group| group.documents.len()).sum(),
            tokens: prepared.iter().map(Prepared::tokens).sum(),
            loss,
        })
    })
}

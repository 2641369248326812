//! The loop: steps over groups in an order that a seed decides, evaluations on groups that are kept out of it,
//! checkpoints that go on to the same bits.

use super::best::{read_best, write_best};
use super::checkpoint::{self, State, failed};
use super::optimiser::{AdamW, learning_rate};
use super::prepared::{Prepared, PreparedSet};
use super::quality::{Calibration, Quality};
use super::student::Student;
use crate::network::Gradients;
use crate::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

/// How to train.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Times every group is seen.
    pub epochs: f64,
    /// Groups of a step.
    pub groups: usize,
    /// Highest learning rate.
    pub learning_rate: f32,
    /// Share of the steps in which it rises.
    pub warm_up: f32,
    /// AdamW's weight decay.
    pub weight_decay: f32,
    /// Largest norm of a step's gradient; a larger one is scaled down to it.
    pub clip: f64,
    /// Of the order of groups.
    pub seed: u64,
    /// Steps between evaluations.
    pub evaluate_every: u64,
    /// Evaluations in a row that are no better than the best one before training stops.
    pub patience: u32,
}

/// Where a training stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Steps taken.
    pub step: u64,
    /// Steps there will be.
    pub steps: u64,
    /// Mean loss of the steps since the last record.
    pub loss: f64,
    /// Of the last step.
    pub learning_rate: f32,
    /// On the groups kept out, where this step ends with an evaluation.
    pub dev: Option<Quality>,
}

/// What came of a training.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// Steps taken.
    pub steps: u64,
    /// Step of the best evaluation, whose weights the student has now.
    pub best_step: u64,
    /// On the groups kept out, at that step.
    pub best: Quality,
    /// Whether training stopped because nothing became better.
    pub stopped_early: bool,
}

/// Trains `student` on `train`, evaluated on `dev`, in `folder`, and leaves it with the weights of the best evaluation.
/// Both sets were prepared by this student.
///
/// `start` says what decides the result beside settings and groups: the model that the student began as, and how it
/// reads them. A folder in which the same training was begun goes on where it stopped, on the CPU to the same bits as
/// without the stop.
/// `progress` sees every step; when it breaks, the state is kept.
///
/// # Errors
/// Settings that cannot be meant; a folder of another training ([`ErrorKind::Changed`]); a loss or gradient that is
/// no number ([`ErrorKind::Diverged`]), with the last whole state kept; a device that fails; files that cannot be written;
/// [`ErrorKind::Cancelled`].
pub fn train(
    student: &mut impl Student,
    train: &PreparedSet<'_>,
    dev: &PreparedSet<'_>,
    settings: &Settings,
    start: &str,
    folder: &Path,
    mut progress: impl FnMut(&Progress) -> ControlFlow<()>,
) -> Result<Outcome> {
    settings.check(train, dev)?;
    fs::create_dir_all(folder).map_err(|error| failed("write", folder, error))?;
    let plan = Plan::new(settings, train.prepared.len());
    let identity = identity(settings, start, train, dev)?;
    let files = Files::new(folder);

    let mut optimiser = AdamW::new(student.parameters(), settings.weight_decay);
    let found = checkpoint::read(&files.checkpoint, &identity, student.parameters_mut(), &mut optimiser)?;
    let mut state = found.unwrap_or(State { identity, step: 0, best: None, worse: 0 });
    files.cut_log(state.step)?;

    let mut gradients = student.parameters().zeros();
    let (mut losses, mut since) = (0.0, 0_u32);
    while state.step < plan.steps && state.worse < settings.patience {
        let step = plan.groups(state.step, settings, &train.prepared);
        gradients.clear();
        let loss = learn(student, &step, &mut gradients)?;
        let norm = gradients.norm();
        if !loss.is_finite() || !norm.is_finite() {
            let message = format!(
                "step {} has a loss of {loss} and a gradient of norm {norm}; the state of the last evaluation is kept \
                 in `{}`: use a lower learning rate in another folder",
                state.step + 1,
                folder.display()
            );
            return Err(Error::new(ErrorKind::Diverged, message));
        }
        let rate = learning_rate(settings.learning_rate, state.step, plan.steps, plan.warm_up);
        let scale = if norm > settings.clip { (settings.clip / norm) as f32 } else { 1.0 };
        optimiser.step(student.parameters_mut(), &gradients, rate, scale);
        state.step += 1;
        losses += loss;
        since += 1;

        let last = state.step == plan.steps;
        let evaluated = last || state.step.is_multiple_of(settings.evaluate_every);
        let mut record = Progress {
            step: state.step,
            steps: plan.steps,
            loss: losses / f64::from(since),
            learning_rate: rate,
            dev: None,
        };
        if evaluated {
            let quality = evaluate(student, &dev.prepared, settings.groups)?;
            if state.best.is_none_or(|(best, _)| quality.loss < best) {
                state.best = Some((quality.loss, state.step));
                state.worse = 0;
                write_best(folder, student.parameters())?;
            } else {
                state.worse += 1;
            }
            record.dev = Some(quality);
            (losses, since) = (0.0, 0);
            files.log(&record)?;
            checkpoint::write(&files.checkpoint, &state, student.parameters(), &optimiser)?;
        }
        if progress(&record).is_break() {
            if !evaluated {
                checkpoint::write(&files.checkpoint, &state, student.parameters(), &optimiser)?;
            }
            let message =
                format!("stopped at step {} of {}; the same command goes on", state.step, plan.steps);
            return Err(Error::new(ErrorKind::Cancelled, message));
        }
    }
    read_best(folder, student.parameters_mut())?;
    let best = evaluate(student, &dev.prepared, settings.groups)?;
    let best_step = state.best.map_or(state.step, |(_, step)| step);
    Ok(Outcome { steps: state.step, best_step, best, stopped_early: state.step < plan.steps })
}

impl Settings {
    fn check(&self, train: &PreparedSet<'_>, dev: &PreparedSet<'_>) -> Result<()> {
        let wrong = |what: &str| Err(Error::new(ErrorKind::Request, what.to_owned()));
        if train.groups.is_empty() || dev.groups.is_empty() {
            return wrong("training and evaluation need at least one query each; take more queries");
        }
        if !(self.epochs > 0.0 && self.epochs.is_finite()) || self.groups == 0 {
            return wrong("epochs and queries of a step are positive numbers");
        }
        let rate_fits = self.learning_rate > 0.0 && self.learning_rate < 1.0;
        if !rate_fits || !(0.0..1.0).contains(&self.warm_up) {
            return wrong("the learning rate lies between 0 and 1, and the warm-up is a share below 1");
        }
        if self.evaluate_every == 0 || self.patience == 0 || self.clip <= 0.0 || self.weight_decay < 0.0 {
            return wrong(
                "evaluations, patience and the largest gradient are positive, weight decay is not negative",
            );
        }
        Ok(())
    }
}

/// Which groups belong to which step.
struct Plan {
    steps: u64,
    warm_up: u64,
    steps_per_epoch: u64,
}

impl Plan {
    fn new(settings: &Settings, groups: usize) -> Self {
        let steps_per_epoch = groups.div_ceil(settings.groups) as u64;
        let steps = ((settings.epochs * steps_per_epoch as f64).ceil() as u64).max(1);
        let warm_up = (settings.warm_up * steps as f32) as u64;
        Self { steps, warm_up, steps_per_epoch }
    }

    /// A pure function of seed and step: whoever goes on goes on with the same groups.
    fn groups<'a>(&self, step: u64, settings: &Settings, groups: &'a [Prepared]) -> Vec<&'a Prepared> {
        let epoch = step / self.steps_per_epoch;
        let mut order: Vec<usize> = (0..groups.len()).collect();
        fastrand::Rng::with_seed(settings.seed.wrapping_add(epoch)).shuffle(&mut order);
        let first = (step % self.steps_per_epoch) as usize * settings.groups;
        order[first..groups.len().min(first + settings.groups)].iter().map(|index| &groups[*index]).collect()
    }
}

/// One step's gradient; its mean loss.
fn learn(student: &impl Student, groups: &[&Prepared], gradients: &mut Gradients) -> Result<f64> {
    let mut loss = 0.0;
    for batch in batches(student, groups) {
        let share = batch.len() as f32 / groups.len() as f32;
        loss += student.learn(batch, share, gradients)? * f64::from(share);
    }
    Ok(loss)
}

/// Runs of groups that fit a micro-batch; all at once where they need each other.
fn batches<'a, 'b>(student: &impl Student, groups: &'a [&'b Prepared]) -> Vec<&'a [&'b Prepared]> {
    if student.needs_company() {
        return vec![groups];
    }
    let mut batches = Vec::new();
    let (mut first, mut tokens) = (0, 0);
    for (index, group) in groups.iter().enumerate() {
        if index > first && tokens + group.tokens() > student.batch_tokens() {
            batches.push(&groups[first..index]);
            (first, tokens) = (index, 0);
        }
        tokens += group.tokens();
    }
    batches.push(&groups[first..]);
    batches
}

/// How well the student does on these groups, taken as many at a time as a step has.
fn evaluate(student: &impl Student, groups: &[Prepared], at_a_time: usize) -> Result<Quality> {
    let mut judged = Vec::with_capacity(groups.len());
    for part in groups.chunks(at_a_time) {
        let part: Vec<&Prepared> = part.iter().collect();
        for batch in batches(student, &part) {
            judged.extend(student.judge(batch)?);
        }
    }
    let judged = || judged.iter().zip(groups);
    let mut quality =
        Quality::of(judged().map(|((loss, scores), group)| (*loss, scores.as_slice(), group.targets())));
    if student.scores_are_logits() {
        let scored = judged().map(|((_, scores), group)| (scores.as_slice(), group.targets()));
        quality.calibration = Some(Calibration::of(scored));
    }
    Ok(quality)
}

/// Hash of everything that decides the result.
fn identity(
    settings: &Settings,
    start: &str,
    train: &PreparedSet<'_>,
    dev: &PreparedSet<'_>,
) -> Result<String> {
    let mut hasher = blake3::Hasher::new();
    hasher.update(checkpoint::json(settings)?.as_bytes());
    hasher.update(start.as_bytes());
    for set in [train, dev] {
        for group in set.groups {
            hasher.update(checkpoint::json(group)?.as_bytes());
        }
        hasher.update(b"\n");
    }
    Ok(hasher.finalize().to_hex().to_string())
}

/// The files of a training.
struct Files {
    checkpoint: PathBuf,
    log: PathBuf,
}

impl Files {
    fn new(folder: &Path) -> Self {
        Self { checkpoint: folder.join("checkpoint.safetensors"), log: folder.join("log.jsonl") }
    }

    /// Appends a record.
    fn log(&self, record: &Progress) -> Result<()> {
        let line = format!("{}\n", checkpoint::json(record)?);
        let file = OpenOptions::new().create(true).append(true).open(&self.log);
        let written =
            file.and_then(|mut file| file.write_all(line.as_bytes()).and_then(|()| file.sync_data()));
        written.map_err(|error| failed("write", &self.log, error))
    }

    /// Keeps the records up to the step that the checkpoint was made at: what came after it comes again.
    fn cut_log(&self, step: u64) -> Result<()> {
        let Ok(text) = fs::read_to_string(&self.log) else {
            return Ok(());
        };
        let records = text
            .lines()
            .filter(|line| serde_json::from_str::<Progress>(line).is_ok_and(|record| record.step <= step));
        let kept: String = records.flat_map(|line| [line, "\n"]).collect();
        checkpoint::write_whole(&self.log, kept.as_bytes())
    }
}

/// The records of a training's folder, in order.
///
/// # Errors
/// A folder without any.
pub fn read_log(folder: &Path) -> Result<Vec<Progress>> {
    let path = Files::new(folder).log;
    let text = fs::read_to_string(&path).map_err(|error| failed("read", &path, error))?;
    Ok(text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
}

//! `elodex zelo train`: a student, what it learns from, and how it goes.

use super::arguments::{Kind, TrainArgs};
use super::folder::RunFolder;
use super::groups::groups;
use super::interrupt;
use super::work::{Work, row};
use crate::commands::local::Engine;
use crate::evaluation::file_hash;
use crate::output;
use anyhow::{Context as _, anyhow, bail, ensure};
use elodex_kernels::Kernels;
use elodex_models::bundle;
use elodex_models::files::{ModelFiles, Prompts};
use elodex_train::ErrorKind;
use elodex_train::network::Device;
use elodex_train::training::{
    EmbedStudent, Group, Objective, Outcome, PreparedSet, Progress, Quality, RerankStudent, Settings,
    Student, read_best, read_log, split, train as learn_groups,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

/// Share of the steps in which the learning rate rises.
const WARM_UP: f32 = 0.1;
/// AdamW's weight decay.
const WEIGHT_DECAY: f32 = 0.01;
/// Largest norm of a step's gradient.
const CLIP: f64 = 1.0;
/// Tokens where nothing else is asked for.
const MAX_TOKENS: u32 = 256;
/// Of two documents beside each other.
const MAX_TOKENS_OF_PAIRS: u32 = 512;

/// What a model learns from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub(crate) enum Learns {
    /// The targets of the run's standings.
    Standings,
    /// The preferences of the run's battles, of judges whose name holds this.
    Battles { judge: Option<String> },
    /// A file of groups.
    Targets { file: PathBuf, hash: String },
    /// A reranker's scores of the candidates.
    Teacher { source: String },
}

impl Learns {
    /// In words that may be read elsewhere: files and directories without the folders they lie in.
    pub(crate) fn describe(&self) -> String {
        let last = |path: &Path| path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        match self {
            Self::Standings => "the run's standings".to_owned(),
            Self::Battles { judge: None } => "the run's battles".to_owned(),
            Self::Battles { judge: Some(judge) } => format!("the run's battles judged by `{judge}`"),
            Self::Targets { file, .. } => format!("`{}`", last(file)),
            Self::Teacher { source } if Path::new(source).is_absolute() => {
                format!("the scores of `{}`", last(Path::new(source)))
            }
            Self::Teacher { source } => format!("the scores of `{source}`"),
        }
    }
}

/// How a training was begun: `training.json` in its folder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) kind: Kind,
    /// The model it began with: a whole path where it is a directory.
    pub(crate) model: String,
    /// SHA-256 of that model's weights.
    pub(crate) weights: String,
    pub(crate) learns: Learns,
    /// Documents of a query at most.
    pub(crate) documents: usize,
    pub(crate) objective: Objective,
    pub(crate) max_tokens: usize,
    /// Every so manieth query is kept out.
    pub(crate) dev_every: u64,
    pub(crate) settings: Settings,
    pub(crate) query_prompt: Option<String>,
    pub(crate) document_prompt: Option<String>,
    pub(crate) widths: Vec<usize>,
    pub(crate) temperature: f32,
}

/// What a training came to.
#[derive(Serialize)]
pub(crate) struct Trained {
    kind: Kind,
    folder: PathBuf,
    groups: usize,
    dev_groups: usize,
    /// Of an epoch.
    tokens: usize,
    /// Documents that were cut to the longest length.
    cut: usize,
    steps: u64,
    best_step: u64,
    stopped_early: bool,
    pub(crate) best: Quality,
}

pub(crate) fn train(work: &Work<'_>, arguments: &TrainArgs) -> anyhow::Result<()> {
    let folder = &arguments.run.folder;
    let run = match &arguments.targets {
        Some(_) => RunFolder::open_or_make(folder)?,
        None => RunFolder::open(folder)?,
    };
    let trained = learn(work, &run, arguments)?;
    let mut rows = vec![
        row("training", trained.folder.display()),
        row("queries or battles", format!("{} learned, {} kept out", trained.groups, trained.dev_groups)),
        row("tokens of an epoch", trained.tokens),
        row("documents cut", trained.cut),
        row("steps", trained.steps),
        row("stopped early", if trained.stopped_early { "yes" } else { "no" }),
        row("best step", trained.best_step),
        row("loss, kept out", format!("{:.4}", trained.best.loss)),
        row("ndcg@10, kept out", format!("{:.4}", trained.best.ndcg_at_10)),
    ];
    if let Some(calibration) = &trained.best.calibration {
        rows.push(row("calibration error, kept out", format!("{:.4}", calibration.error)));
    }
    work.show(&trained, &rows)
}

/// Trains, or goes on.
pub(crate) fn learn(work: &Work<'_>, run: &RunFolder, arguments: &TrainArgs) -> anyhow::Result<Trained> {
    let device = Device::named(&arguments.device)?;
    let folder = run.file(arguments.kind.name());
    let _alone = run.alone(arguments.kind.name())?;
    if arguments.begin_again && folder.is_dir() {
        std::fs::remove_dir_all(&folder).with_context(|| format!("cannot remove `{}`", folder.display()))?;
    }
    let record = record(work, run, arguments)?;
    let name = format!("{}/training.json", arguments.kind.name());
    // Before the first checkpoint nothing depends on the settings.
    if folder.join("checkpoint.safetensors").is_file()
        && let Some(before) = run.read_optional::<Record>(&name)?
    {
        check_same(&before, &record, &folder)?;
    }
    let engine = work.engine()?;
    let files = work.files(&record.model)?;
    let (train, dev) = split(groups(work, run, &record)?, record.dev_every);
    ensure!(
        !train.is_empty() && !dev.is_empty(),
        "{} queries are learned from and {} are kept out, and both need some: take more queries, or another --dev-share",
        train.len(),
        dev.len()
    );
    run.write_json(&name, &record)?;
    let place = Place { record: &record, folder: &folder };
    engine.runtime.install(|| match record.kind {
        Kind::Reranker | Kind::Pairwise => {
            place.go(record.rerank_student(&files, engine.kernels)?.on(device), &train, &dev)
        }
        Kind::Embedder => place.go(record.embed_student(&files, engine.kernels)?.on(device), &train, &dev),
    })
}

fn record(work: &Work<'_>, run: &RunFolder, arguments: &TrainArgs) -> anyhow::Result<Record> {
    let kind = arguments.kind;
    let share = arguments.dev_share;
    ensure!(share > 0.0 && share <= 0.5, "--dev-share `{share}` is not above 0 and at most 0.5; use 0.1");
    let refuse = |given: bool, what: &str| -> anyhow::Result<()> {
        ensure!(!given, "{what} means nothing to a {}; leave it out", kind.name());
        Ok(())
    };
    refuse(arguments.teacher.is_some() && kind != Kind::Embedder, "--teacher")?;
    refuse(arguments.judge.is_some() && kind != Kind::Pairwise, "--judge")?;
    refuse(arguments.objective.is_some() && kind == Kind::Embedder, "--objective")?;
    for (given, flag) in [
        (arguments.query_prompt.is_some(), "--query-prompt"),
        (arguments.document_prompt.is_some(), "--document-prompt"),
        (!arguments.widths.is_empty(), "--widths"),
    ] {
        refuse(given && kind != Kind::Embedder, flag)?;
    }
    let learns = match (&arguments.targets, &arguments.teacher) {
        (Some(file), _) => {
            let hash = file_hash(file).with_context(|| format!("cannot read `{}`", file.display()))?;
            Learns::Targets { file: file.canonicalize().unwrap_or_else(|_| file.clone()), hash }
        }
        (None, Some(source)) => Learns::Teacher { source: whole(source) },
        (None, None) if kind == Kind::Pairwise => Learns::Battles { judge: arguments.judge.clone() },
        (None, None) => Learns::Standings,
    };
    let model = trainable(work, run, &arguments.model)?;
    let files = work.files(&model)?;
    let weights = files.backbone_dir().join("model.safetensors");
    let weights = if weights.is_file() {
        file_hash(&weights).with_context(|| format!("cannot read `{}`", weights.display()))?
    } else {
        String::new()
    };
    let usual = if kind == Kind::Pairwise { Objective::Preference } else { Objective::Both };
    let tokens = if kind == Kind::Pairwise { MAX_TOKENS_OF_PAIRS } else { MAX_TOKENS };
    let is_embedder = kind == Kind::Embedder;
    let own_width = files.config["hidden_size"].as_u64().unwrap_or_default() as usize;
    let widths = if arguments.widths.is_empty() { vec![own_width] } else { arguments.widths.clone() };
    Ok(Record {
        kind,
        model,
        weights,
        learns,
        documents: arguments.documents as usize,
        objective: arguments.objective.map_or(usual, super::arguments::ObjectiveChoice::objective),
        max_tokens: arguments.max_tokens.unwrap_or(tokens) as usize,
        dev_every: (1.0 / share).round() as u64,
        settings: Settings {
            epochs: arguments.epochs,
            groups: arguments.groups as usize,
            learning_rate: arguments.learning_rate,
            warm_up: WARM_UP,
            weight_decay: WEIGHT_DECAY,
            clip: CLIP,
            seed: arguments.seed,
            evaluate_every: arguments.evaluate_every,
            patience: arguments.patience,
        },
        query_prompt: arguments.query_prompt.clone().or(files.prompts.query).filter(|_| is_embedder),
        document_prompt: arguments.document_prompt.clone().or(files.prompts.document).filter(|_| is_embedder),
        widths: if is_embedder { widths } else { Vec::new() },
        temperature: if is_embedder { arguments.temperature } else { 0.0 },
    })
}

/// The model that training begins with: where it is named, or of a bundle the directory in the run where its integers
/// are numbers again.
fn trainable(work: &Work<'_>, run: &RunFolder, source: &str) -> anyhow::Result<String> {
    let files = work.files(source)?;
    let Some(manifest) = &files.bundle else { return Ok(whole(source)) };
    let version: String = manifest.fingerprint.to_string().chars().take(16).collect();
    let name = files.id.rsplit(['/', '\\']).next().unwrap_or(&files.id);
    let target = run.file("unpacked").join(version).join(name);
    if !target.is_dir() {
        output::note(format!(
            "`{}` holds 8-bit integers; training begins with what they stand for",
            files.id
        ));
        let folder = target.parent().unwrap_or(&target);
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make `{}`", folder.display()))?;
        bundle::unpack(&files, Kernels::detect(), &target)?;
    }
    Ok(whole(&target.display().to_string()))
}

/// A directory by its whole path, so that it is the same from everywhere.
fn whole(source: &str) -> String {
    match Path::new(source).canonicalize() {
        Ok(path) if path.is_dir() => path.display().to_string(),
        _ => source.to_owned(),
    }
}

fn check_same(before: &Record, now: &Record, folder: &Path) -> anyhow::Result<()> {
    if before == now {
        return Ok(());
    }
    let mut differing = Vec::new();
    differences("", &serde_json::to_value(before)?, &serde_json::to_value(now)?, &mut differing);
    bail!(
        "the training in `{}` was begun with other settings ({}); give those, or forget it with --begin-again",
        folder.display(),
        differing.join(", ")
    )
}

/// Names of the fields in which two objects differ.
fn differences(prefix: &str, before: &Value, now: &Value, into: &mut Vec<String>) {
    if before == now {
        return;
    }
    match (before, now) {
        (Value::Object(before), Value::Object(_)) => {
            for (name, value) in before {
                let name_here = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
                differences(&name_here, value, &now[name], into);
            }
        }
        _ => into.push(format!("{prefix}: {before}")),
    }
}

impl Record {
    /// The record of a training that was begun.
    pub(crate) fn of(run: &RunFolder, kind: Kind) -> anyhow::Result<Self> {
        let name = kind.name();
        run.read_optional(&format!("{name}/training.json"))?.with_context(|| {
            format!(
                "the run `{}` has trained no {name}; train one with `elodex zelo train {name} --folder {} --model MODEL`",
                run.shown(),
                run.shown()
            )
        })
    }

    /// What the training wrote down of its steps.
    pub(crate) fn log(&self, run: &RunFolder) -> anyhow::Result<Vec<Progress>> {
        let mut log = read_log(&run.file(self.kind.name()))?;
        if self.kind == Kind::Embedder {
            // Logs of embedders once had one, of cosines taken for logits.
            log.iter_mut()
                .filter_map(|progress| progress.dev.as_mut())
                .for_each(|dev| dev.calibration = None);
        }
        Ok(log)
    }

    /// A cross-encoder as it began.
    pub(crate) fn rerank_student(
        &self,
        files: &ModelFiles,
        kernels: Kernels,
    ) -> anyhow::Result<RerankStudent> {
        Ok(RerankStudent::load(files, kernels, self.objective, self.max_tokens, self.settings.seed)?)
    }

    /// A bi-encoder as it began.
    pub(crate) fn embed_student(&self, files: &ModelFiles, kernels: Kernels) -> anyhow::Result<EmbedStudent> {
        let prompts = self.prompts();
        let student = EmbedStudent::load(
            files,
            kernels,
            prompts,
            self.widths.clone(),
            self.temperature,
            self.max_tokens,
        );
        Ok(student?)
    }

    pub(crate) fn prompts(&self) -> Prompts {
        Prompts {
            query: self.query_prompt.clone(),
            document: self.document_prompt.clone(),
            ..Prompts::default()
        }
    }

    /// The cross-encoder that was trained, with the weights of its best evaluation.
    pub(crate) fn trained_reranker(
        &self,
        work: &Work<'_>,
        run: &RunFolder,
        engine: &Engine,
    ) -> anyhow::Result<(ModelFiles, RerankStudent)> {
        let files = work.files(&self.model)?;
        let mut student = self.rerank_student(&files, engine.kernels)?;
        read_best(&run.file(self.kind.name()), student.parameters_mut())?;
        Ok((files, student))
    }
}

struct Place<'a> {
    record: &'a Record,
    folder: &'a Path,
}

impl Place<'_> {
    fn go(&self, mut student: impl Student, train: &[Group], dev: &[Group]) -> anyhow::Result<Trained> {
        let (learned, kept_out) = (PreparedSet::new(&student, train)?, PreparedSet::new(&student, dev)?);
        let (tokens, cut) = (learned.tokens(), learned.cut());
        if cut > 0 {
            output::note(format!(
                "{cut} of {} documents were cut to {} tokens; --max-tokens reads more of them",
                train.iter().map(|group| group.documents.len()).sum::<usize>(),
                self.record.max_tokens
            ));
        }
        let stop = interrupt::stop()?;
        let bar = output::progress(1, "steps, {msg},");
        let per_group = tokens as f64 / train.len() as f64;
        let watch = |progress: &Progress| {
            bar.set_length(progress.steps);
            bar.set_position(progress.step);
            let read = progress.step as f64 * per_group * self.record.settings.groups as f64;
            bar.set_message(format!("loss {:.4}, {:.0} k tokens", progress.loss, read / 1000.0));
            if let Some(dev) = &progress.dev {
                let line = format!(
                    "step {} of {}: loss {:.4}, kept out {:.4}, ndcg@10 {:.4}",
                    progress.step, progress.steps, progress.loss, dev.loss, dev.ndcg_at_10
                );
                if bar.is_hidden() { output::note(line) } else { bar.println(line) }
            }
            if stop.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let start = serde_json::to_string(self.record)?;
        let settings = &self.record.settings;
        let outcome = learn_groups(&mut student, &learned, &kept_out, settings, &start, self.folder, watch);
        bar.finish_and_clear();
        let Outcome { steps, best_step, best, stopped_early } = outcome.map_err(|error| {
            if error.kind() == ErrorKind::Changed {
                return anyhow!("{error}; --begin-again forgets that training");
            }
            error.into()
        })?;
        Ok(Trained {
            kind: self.record.kind,
            folder: self.folder.to_owned(),
            groups: train.len(),
            dev_groups: dev.len(),
            tokens,
            cut,
            steps,
            best_step,
            stopped_early,
            best,
        })
    }
}

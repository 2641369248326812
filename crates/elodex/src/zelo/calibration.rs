//! `elodex zelo calibrate`: from the trained reranker's logits to probabilities.

use super::arguments::{FolderArg, Kind};
use super::folder::RunFolder;
use super::groups::groups;
use super::training::Record;
use super::work::{Work, row};
use crate::evaluation::file_hash;
use anyhow::{Context as _, ensure};
use elodex_train::training::{Bin, Calibration, Platt, Student as _, split};
use serde::{Deserialize, Serialize};

/// What a calibration came to: `calibration.json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Calibrated {
    /// Fitted on all queries that were kept out of training.
    pub(crate) scaling: Platt,
    /// SHA-256 of the weights it is for.
    weights: String,
    pub(crate) queries: usize,
    pub(crate) documents: usize,
    /// Expected calibration error of σ(logit) against the targets.
    pub(crate) error_before: f64,
    /// The same of σ(a·logit + b), of each half of the queries with the a and b of the other half.
    pub(crate) error_after: f64,
    /// By tenths of σ(a·logit + b), of the same halves.
    pub(crate) reliability: Vec<Bin>,
}

/// Logits and targets of a query.
type Scored = (Vec<f32>, Vec<f32>);

pub(crate) fn calibrate(work: &Work<'_>, arguments: &FolderArg) -> anyhow::Result<()> {
    let run = RunFolder::open(&arguments.folder)?;
    let calibrated = of(work, &run)?;
    let rows = [
        row("queries kept out of training", calibrated.queries),
        row("documents", calibrated.documents),
        row("probability", format!("σ({:.4} · logit {:+.4})", calibrated.scaling.a, calibrated.scaling.b)),
        row("calibration error before", format!("{:.4}", calibrated.error_before)),
        row("calibration error after, on the other half", format!("{:.4}", calibrated.error_after)),
    ];
    work.show(&calibrated, &rows)
}

/// Fits and writes `calibration.json`.
pub(crate) fn of(work: &Work<'_>, run: &RunFolder) -> anyhow::Result<Calibrated> {
    let record = Record::of(run, Kind::Reranker)?;
    let engine = work.engine()?;
    let (_, student) = record.trained_reranker(work, run, &engine)?;
    let (_, dev) = split(groups(work, run, &record)?, record.dev_every);
    ensure!(
        dev.len() > 1,
        "{} queries were kept out of training, and a calibration needs two at least; take more queries, or train with a \
         larger --dev-share",
        dev.len()
    );
    let mut scored: Vec<Scored> = Vec::new();
    for group in &dev {
        let prepared = student.prepare(group)?;
        let (_, logits) = engine.runtime.install(|| student.judge(&[&prepared]))?.remove(0);
        scored.push((logits, prepared.targets().to_vec()));
    }
    let flat = |scored: &[Scored]| -> Scored {
        let logits = scored.iter().flat_map(|(logits, _)| logits).copied().collect();
        (logits, scored.iter().flat_map(|(_, targets)| targets).copied().collect())
    };
    let fitted = |scored: &[Scored]| {
        let (logits, targets) = flat(scored);
        Platt::fit(&logits, &targets)
    };
    let (one, other) = scored.split_at(scored.len() / 2);
    let mut after: Vec<Scored> = Vec::new();
    for (learned, tried) in [(one, other), (other, one)] {
        let scaling = fitted(learned)?;
        let scaled = |logits: &[f32]| logits.iter().map(|logit| scaling.logit(*logit)).collect();
        after.extend(tried.iter().map(|(logits, targets)| (scaled(logits), targets.clone())));
    }
    let measured = |scored: &[Scored]| {
        Calibration::of(scored.iter().map(|(logits, targets)| (logits.as_slice(), targets.as_slice())))
    };
    let after = measured(&after);
    let calibrated = Calibrated {
        scaling: fitted(&scored)?,
        weights: weights(run)?,
        queries: dev.len(),
        documents: flat(&scored).0.len(),
        error_before: measured(&scored).error,
        error_after: after.error,
        reliability: after.reliability,
    };
    run.write_json("calibration.json", &calibrated)?;
    Ok(calibrated)
}

/// The calibration of the reranker as it is trained now, where there is one.
pub(crate) fn read(run: &RunFolder) -> anyhow::Result<Option<Calibrated>> {
    let Some(calibrated) = run.read_optional::<Calibrated>("calibration.json")? else { return Ok(None) };
    ensure!(
        calibrated.weights == weights(run)?,
        "the reranker was trained again since it was calibrated; run `elodex zelo calibrate --folder {}`",
        run.shown()
    );
    Ok(Some(calibrated))
}

fn weights(run: &RunFolder) -> anyhow::Result<String> {
    let file = run.file("reranker/best.safetensors");
    file_hash(&file).with_context(|| format!("cannot read `{}`", file.display()))
}

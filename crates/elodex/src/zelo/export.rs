//! `elodex zelo export`: a trained model as a directory of its own.

use super::arguments::{ExportArgs, Kind};
use super::calibration::{self, Calibrated};
use super::card;
use super::folder::RunFolder;
use super::training::Record;
use super::work::{Work, row};
use crate::output;
use anyhow::{Context as _, ensure};
use elodex_models::files::ModelFiles;
use elodex_models::{MOST_FIRST_STAGE_WEIGHT, bundle};
use elodex_train::network::Parameters;
use elodex_train::training::{Platt, Student as _, export_embedder, export_reranker, read_best};
use elodex_types::Weights;
use serde::Serialize;
use serde_json::{Value, json};
use std::path::Path;

/// What was written.
#[derive(Serialize)]
struct Exported<'a> {
    kind: Kind,
    name: String,
    made_from: &'a str,
    target: &'a Path,
    int8: bool,
    calibrated: bool,
    licence: Option<String>,
}

pub(crate) fn export(work: &Work<'_>, arguments: &ExportArgs) -> anyhow::Result<()> {
    let run = RunFolder::open(&arguments.run.folder)?;
    let (files, calibrated) = write(work, &run, arguments)?;
    let exported = Exported {
        kind: arguments.kind,
        name: card::name(arguments),
        made_from: &files.id,
        target: &arguments.target,
        int8: arguments.int8,
        calibrated: calibrated.is_some(),
        licence: arguments.licence.clone().or_else(|| files.licence.id.clone()),
    };
    let rows = [
        row("model", &exported.name),
        row("made from", exported.made_from),
        row("written to", exported.target.display()),
        row("precision", if exported.int8 { "int8" } else { "f32" }),
        row("calibrated", if exported.calibrated { "yes" } else { "no" }),
        row("licence", exported.licence.as_deref().unwrap_or("none named")),
    ];
    work.show(&exported, &rows)
}

/// Writes the directory; the files it was trained from, and the calibration that is in it.
pub(crate) fn write(
    work: &Work<'_>,
    run: &RunFolder,
    arguments: &ExportArgs,
) -> anyhow::Result<(ModelFiles, Option<Calibrated>)> {
    let target = &arguments.target;
    if let Some(Weights { dense, lexical }) = arguments.first_stage {
        ensure!(arguments.kind == Kind::Reranker, "--first-stage is for rerankers; leave it out");
        ensure!(
            dense.max(lexical) <= MOST_FIRST_STAGE_WEIGHT,
            "--first-stage is {dense}/{lexical}, not two numbers from 0 to {MOST_FIRST_STAGE_WEIGHT}"
        );
    }
    let record = Record::of(run, arguments.kind)?;
    let files = work.files(&record.model)?;
    bundle::check(&files, target)?;
    let calibrated = match arguments.kind {
        Kind::Reranker => calibration::read(run)?,
        Kind::Pairwise | Kind::Embedder => None,
    };
    if calibrated.is_none() && arguments.kind == Kind::Reranker {
        output::note(
            "the reranker's logits are not calibrated; run `elodex zelo calibrate` first where scores matter",
        );
    }
    let engine = work.engine()?;
    let text = card::card(run, arguments, &record, &files, calibrated.as_ref())?;

    // A bundle is made from a directory in f32, which nobody needs afterwards.
    let beside = arguments.int8.then(|| temporary_beside(target)).transpose()?;
    let directory = beside.as_ref().map_or_else(|| target.clone(), |folder| folder.path().join("f32"));
    if arguments.kind == Kind::Embedder {
        let mut student = record.embed_student(&files, engine.kernels)?;
        read_best(&run.file(arguments.kind.name()), student.parameters_mut())?;
        export_embedder(&files, student.parameters(), &record.prompts(), &text, &directory)?;
    } else {
        let (_, mut student) = record.trained_reranker(work, run, &engine)?;
        if let Some(calibrated) = &calibrated {
            fold(student.parameters_mut(), calibrated.scaling);
        }
        export_reranker(&files, student.parameters(), &text, &directory)?;
    }
    limit_tokens(arguments.kind, &ModelFiles::open(&directory)?, record.max_tokens)?;
    if let Some(weights) = arguments.first_stage {
        set(&directory.join("config.json"), "first_stage", json!(weights))?;
    }
    if arguments.int8 {
        let written = ModelFiles::open_as(&directory, &card::name(arguments))?;
        bundle::write(&written, None, engine.kernels, target)?;
    }
    Ok((files, calibrated))
}

fn temporary_beside(target: &Path) -> anyhow::Result<tempfile::TempDir> {
    let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make `{}`", folder.display()))?;
    tempfile::tempdir_in(folder).with_context(|| format!("cannot write to `{}`", folder.display()))
}

/// Makes the logit a·logit + b: weight and bias of the last layer times a, and b on top of the bias.
fn fold(parameters: &mut Parameters, Platt { a, b }: Platt) {
    for parameter in parameters.iter_mut() {
        let is = |name: &str| parameter.names.iter().any(|own| own == name);
        let (weight, bias) = (is("classifier.weight"), is("classifier.bias"));
        if weight || bias {
            let added = if bias { b } else { 0.0 };
            for value in &mut parameter.values {
                *value = (a * f64::from(*value) + added) as f32;
            }
        }
    }
}

/// A model reads as many tokens as it learned with, and no more: what lies behind them it has never seen.
fn limit_tokens(kind: Kind, files: &ModelFiles, max_tokens: usize) -> anyhow::Result<()> {
    if files.max_tokens <= max_tokens {
        return Ok(());
    }
    let (name, field) = match kind {
        Kind::Embedder => ("sentence_bert_config.json", "max_seq_length"),
        Kind::Reranker | Kind::Pairwise => ("tokenizer_config.json", "model_max_length"),
    };
    set(&files.backbone_dir().join(name), field, json!(max_tokens))
}

/// Sets a field of a JSON file, which need not be there.
fn set(path: &Path, field: &str, value: Value) -> anyhow::Result<()> {
    let mut config: Value = match std::fs::read(path) {
        Ok(bytes) => {
            serde_json::from_slice(&bytes).with_context(|| format!("`{}` is no JSON", path.display()))?
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => json!({}),
        Err(error) => return Err(error).with_context(|| format!("cannot read `{}`", path.display())),
    };
    config[field] = value;
    super::folder::write_whole(path, format!("{config:#}\n").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use elodex_train::network::Parameter;

    #[test]
    fn the_last_layer_alone_is_scaled() {
        let mut parameters = Parameters::default();
        for name in ["bert.pooler.dense.weight", "classifier.weight", "classifier.bias"] {
            parameters.add(Parameter { names: vec![name.to_owned()], shape: vec![1], values: vec![3.0] });
        }
        fold(&mut parameters, Platt { a: 2.0, b: -0.5 });
        let values: Vec<f32> = parameters.iter().flat_map(|parameter| parameter.values.clone()).collect();
        // 3x + 3 becomes 2(3x + 3) − 0.5.
        assert_eq!(values, [3.0, 6.0, 5.5]);
    }
}

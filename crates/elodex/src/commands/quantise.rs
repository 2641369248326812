//! `elodex models quantise`.

use super::local::Engine;
use crate::output;
use crate::quantise::{
    Agreement, Model, QuantiseArgs, Retrieval, Retrieved, Sample, built_in, outputs, read,
};
use crate::settings::{Settings, Sources};
use crate::sources::{Models, open};
use anyhow::{Context as _, bail, ensure};
use elodex_models::bundle::{self, Manifest};
use elodex_models::files::ModelFiles;
use elodex_models::weights::WeightStore;
use elodex_models::{InputRanges, Precision};
use indicatif::ProgressBar;
use serde::Serialize;
use std::path::Path;

/// What came of it.
#[derive(Serialize)]
struct Outcome<'a> {
    model: &'a str,
    target: &'a Path,
    method: &'static str,
    /// Bytes of the weights' files.
    size: Sizes,
    agreement: Agreement,
    ndcg_at_10: Vec<Retrieved>,
}

#[derive(Serialize)]
struct Sizes {
    f32: u64,
    int8: u64,
}

pub(crate) fn quantise(sources: &Sources, models: &Models, arguments: &QuantiseArgs) -> anyhow::Result<()> {
    ensure!(arguments.limit > 0, "--limit 0 leaves no text to compare on; use 1 or more");
    let settings = Settings::read(sources)?;
    let mut entry = models.find(&arguments.source, arguments.accept_license)?.0;
    // What the configuration says of running the model is nothing for its source.
    entry.precision = None;
    let files = open(&entry, None)?;
    bundle::check(&files, &arguments.target)?;
    let samples = match &arguments.calibrate {
        Some(path) => read(path, files.is_reranker(), arguments.limit)?,
        None => built_in(arguments.limit)?,
    };
    if files.is_reranker() && !arguments.data.is_empty() {
        bail!("--data measures what an embedder finds, and `{}` is a reranker; leave it out", files.id);
    }
    let data = arguments.data.iter().map(|path| Retrieval::read(path)).collect::<anyhow::Result<Vec<_>>>()?;
    let engine = Engine::start(&settings)?;
    engine.runtime.install(|| work(&files, &samples, &data, &engine, arguments))
}

fn work(
    files: &ModelFiles,
    samples: &[Sample],
    data: &[Retrieval],
    engine: &Engine,
    arguments: &QuantiseArgs,
) -> anyhow::Result<()> {
    let texts: usize = data.iter().map(Retrieval::texts).sum();
    let calibrated = if arguments.calibrate.is_some() { samples.len() } else { 0 };
    let progress = output::progress((calibrated + 2 * (samples.len() + texts)) as u64, "texts");

    let exact = Model::load(files, engine.kernels)?;
    let ranges = arguments.calibrate.as_ref().map(|_| calibrate(&exact, samples, &progress)).transpose()?;
    let expected = outputs(&exact, samples, &progress)?;
    let before = runs(&exact, data, Precision::F32, &progress)?;
    // Both at once would take the memory of both.
    drop(exact);

    let manifest = bundle::write(files, ranges.as_ref(), engine.kernels, &arguments.target)?;
    let written = ModelFiles::open(&arguments.target)?;
    let rounded = Model::load(&written, engine.kernels)?;
    let found = outputs(&rounded, samples, &progress)?;
    let after = runs(&rounded, data, Precision::Int8, &progress)?;
    progress.finish_and_clear();

    let mut ndcg_at_10 = Vec::new();
    for ((retrieval, before), after) in data.iter().zip(&before).zip(&after) {
        ndcg_at_10.push(retrieval.compare(before, after)?);
    }
    let size = |files: &ModelFiles| -> anyhow::Result<u64> {
        Ok(WeightStore::open(&files.backbone_dir())?.file_bytes())
    };
    let outcome = Outcome {
        model: &files.id,
        target: &arguments.target,
        method: manifest.method.name(),
        size: Sizes { f32: size(files)?, int8: size(&written)? },
        agreement: Agreement::of(&expected, &found).context("the bundle is a model of another kind")?,
        ndcg_at_10,
    };
    if arguments.json {
        return output::line(serde_json::to_string_pretty(&outcome)?);
    }
    output::line(table(&outcome, &manifest))
}

/// The inputs of every layer over all samples.
fn calibrate(model: &Model, samples: &[Sample], progress: &ProgressBar) -> anyhow::Result<InputRanges> {
    let mut ranges = InputRanges::default();
    for sample in samples {
        for input in model.inputs(sample)? {
            match model {
                Model::Embedder(model) => {
                    model.observe_inputs(&input, |layer, values| ranges.add(layer, values))
                }
                Model::Reranker(model) => {
                    model.observe_inputs(&input, |layer, values| ranges.add(layer, values))
                }
            }
        }
        progress.inc(1);
    }
    Ok(ranges)
}

/// What the model finds in each collection.
fn runs(
    model: &Model,
    data: &[Retrieval],
    precision: Precision,
    progress: &ProgressBar,
) -> anyhow::Result<Vec<elodex_eval::Run>> {
    match model {
        Model::Embedder(model) => {
            data.iter().map(|retrieval| retrieval.run(model, precision.name(), progress)).collect()
        }
        Model::Reranker(_) => Ok(vec![]),
    }
}

fn table(outcome: &Outcome<'_>, manifest: &Manifest) -> String {
    let megabytes = |bytes: u64| format!("{:.1} MB", bytes as f64 / 1e6);
    let row = |what: &str, value: String| vec![what.to_owned(), value];
    let Sizes { f32, int8 } = outcome.size;
    let smaller = f32 as f64 / int8 as f64;
    let mut rows = vec![
        row("model", manifest.id.clone()),
        row("written to", outcome.target.display().to_string()),
        row("method", outcome.method.to_owned()),
        row("weights before", megabytes(f32)),
        row("weights after", format!("{}, {smaller:.1} times smaller", megabytes(int8))),
    ];
    match &outcome.agreement {
        Agreement::Vectors { texts, mean_cosine, lowest_cosine } => rows.extend([
            row("cosine to f32, mean", format!("{mean_cosine:.5} over {texts} texts")),
            row("cosine to f32, lowest", format!("{lowest_cosine:.5}")),
        ]),
        Agreement::Logits { pairs, pearson, largest_difference } => rows.extend([
            row(
                "correlation with f32",
                pearson.map_or("none".to_owned(), |pearson| format!("{pearson:.5} over {pairs} pairs")),
            ),
            row("logit difference, largest", format!("{largest_difference:.4}")),
        ]),
    }
    for Retrieved { data, queries, f32, int8, difference } in &outcome.ndcg_at_10 {
        let change = format!("{:+.4} [{:+.4}, {:+.4}]", difference.mean, difference.low, difference.high);
        let value = format!("{f32:.4} before, {int8:.4} after, {change} over {queries} queries");
        rows.push(row(&format!("ndcg@10, {data}"), value));
    }
    output::table(&["what", "value"], &rows)
}

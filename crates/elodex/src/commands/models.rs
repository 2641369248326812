//! `elodex models`.

use super::{local, quantise, verify};
use crate::cli::{ModelsCommand, ShowArgs, SourceArgs};
use crate::output;
use crate::settings::{Licences, ModelEntry, Settings, Sources};
use crate::sources::{Models, open, pull};
use elodex_kernels::Kernels;
use elodex_models::files::{Licence, ModelFiles};
use elodex_models::hub::Hub;
use elodex_models::{Embedder, Reranker};
use elodex_server::ModelKind;

pub(crate) fn run(sources: &Sources, command: &ModelsCommand) -> anyhow::Result<()> {
    let models = Models::configured(&sources.file)?;
    match command {
        ModelsCommand::List => list(&models),
        ModelsCommand::Aliases => aliases(&models),
        ModelsCommand::Show(arguments) => show(sources, &models, arguments),
        ModelsCommand::Quantise(arguments) => quantise::quantise(sources, &models, arguments),
        ModelsCommand::Pull(arguments) => {
            let entry = entry(&models, arguments)?;
            let folder = pull(&entry.source)?;
            // The licence is known only now; a model that may not be used is said so before anybody builds on it.
            ModelFiles::open(&folder)?.gate(entry.licences == Licences::Accepted)?;
            output::line(folder.display())
        }
        ModelsCommand::Verify { source } => verify::verify(&models.find(source, true)?.0.source),
    }
}

fn entry(models: &Models, arguments: &SourceArgs) -> anyhow::Result<ModelEntry> {
    Ok(models.find(&arguments.source, arguments.accept_license)?.0)
}

fn list(models: &Models) -> anyhow::Result<()> {
    let mut rows: Vec<Vec<String>> = Vec::new();
    for entry in &models.entries {
        let kind = entry.kind.map_or("auto", ModelKind::as_str).to_owned();
        rows.push(vec![entry.name(), "configuration".to_owned(), kind, entry.source.clone()]);
    }
    for cached in Hub::from_env()?.list()? {
        let revision = cached.revisions.first().unwrap_or(&cached.commit);
        let source = format!("{}@{revision}", cached.id);
        let megabytes = format!("{} MB", cached.bytes.div_ceil(1_000_000));
        rows.push(vec![cached.id, "cache".to_owned(), megabytes, source]);
    }
    output::line(output::table(&["name", "from", "kind or size", "source"], &rows))
}

fn aliases(models: &Models) -> anyhow::Result<()> {
    let rows: Vec<Vec<String>> =
        models.aliases.iter().map(|(alias, target)| vec![alias.clone(), target.clone()]).collect();
    output::line(output::table(&["alias", "model"], &rows))
}

fn show(sources: &Sources, models: &Models, arguments: &ShowArgs) -> anyhow::Result<()> {
    let settings = Settings::read(sources)?;
    let kernels = local::kernels(&settings)?;
    let mut entry = entry(models, &arguments.source)?;
    // Looking at a licence is not using the model under it.
    entry.licences = Licences::Accepted;
    let files = open(&entry, settings.model_precision.0)?;
    let kind = entry.kind.unwrap_or_else(|| ModelKind::of(&files));
    let mut rows = vec![
        row("id", &files.id),
        row("directory", files.dir.display()),
        row("kind", kind),
        row("licence", licence(&files.licence)),
        row("precision", files.precision),
    ];
    if let Some(bundle) = &files.bundle {
        rows.extend([row("method", bundle.method.name()), row("made from", &bundle.source.id)]);
    }
    match kind {
        ModelKind::Embedder => embedder_rows(&files, kernels, &mut rows)?,
        ModelKind::Reranker => reranker_rows(&files, kernels, &mut rows)?,
    }
    output::line(output::table(&["what", "value"], &rows))
}

fn row(what: &str, value: impl std::fmt::Display) -> Vec<String> {
    vec![what.to_owned(), value.to_string()]
}

fn licence(licence: &Licence) -> String {
    let use_ = match licence.commercial {
        Some(true) => "commercial use allowed",
        Some(false) => "no commercial use",
        None => "commercial use unknown",
    };
    format!("{} ({use_})", licence.id.as_deref().unwrap_or("none named"))
}

fn embedder_rows(files: &ModelFiles, kernels: Kernels, rows: &mut Vec<Vec<String>>) -> anyhow::Result<()> {
    let model = Embedder::load(files, kernels)?;
    let info = model.info();
    let widest = model.resolve_dimensions(None)?;
    let dimensions: Vec<String> = info.dimensions.iter().map(usize::to_string).collect();
    let dimensions = match info.any_dimension_from {
        Some(from) => format!("{} (any from {from})", dimensions.join(", ")),
        None => dimensions.join(", "),
    };
    let prompt = |prompt: &Option<String>| match prompt {
        Some(prompt) => format!("{prompt:?}"),
        None => "none".to_owned(),
    };
    rows.extend([
        row("architecture", &info.architecture),
        row("parameters", info.parameters),
        row("memory", format!("{} bytes", info.weight_bytes)),
        row("longest input", format!("{} tokens", info.max_tokens)),
        row("dimensions", dimensions),
        row("normalised", info.normalized),
        row("role", if info.asymmetric { "needed" } else { "optional" }),
        row("query prompt", prompt(&files.prompts.query)),
        row("document prompt", prompt(&files.prompts.document)),
        row("fingerprint", model.fingerprint(widest)),
    ]);
    Ok(())
}

fn reranker_rows(files: &ModelFiles, kernels: Kernels, rows: &mut Vec<Vec<String>>) -> anyhow::Result<()> {
    let model = Reranker::load(files, kernels)?;
    let info = model.info();
    rows.extend([
        row("architecture", &info.architecture),
        row("parameters", info.parameters),
        row("memory", format!("{} bytes", info.weight_bytes)),
        row("longest pair", format!("{} tokens", info.max_tokens)),
        row("fingerprint", info.fingerprint),
    ]);
    Ok(())
}

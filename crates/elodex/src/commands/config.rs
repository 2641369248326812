//! `elodex config`.

use crate::cli::TableFormat;
use crate::output;
use crate::settings::{DEFINITIONS, Origin, Settings, Sources, effective};
use crate::sources::Models;
use elodex_search::{Experiment, Mode};
use serde_json::{Map, json};

pub(crate) fn show(sources: &Sources, models: &Models, format: TableFormat) -> anyhow::Result<()> {
    // Unusable values are errors here as well: what is shown is what would apply.
    Settings::read(sources)?;
    match format {
        TableFormat::Json => output::line(serde_json::to_string_pretty(&object(sources, models))?),
        TableFormat::Table => output::line(table(sources, models)),
    }
}

fn mode(experiment: &Experiment) -> &'static str {
    match experiment.mode {
        Mode::Shadow(_) => "shadow",
        Mode::Split => "split",
    }
}

fn shown(text: String, secret: bool) -> String {
    if secret && !text.is_empty() { "(hidden)".to_owned() } else { text }
}

fn object(sources: &Sources, models: &Models) -> serde_json::Value {
    let mut settings = Map::new();
    for definition in DEFINITIONS {
        let (text, origin) = effective(sources, definition);
        let entry = json!({"value": shown(text, definition.secret), "origin": origin.as_str()});
        settings.insert(definition.key.to_owned(), entry);
    }
    let entries: Vec<_> = models
        .entries
        .iter()
        .map(|entry| {
            let kind = entry.kind.map_or("auto", |kind| kind.as_str());
            let precision = entry.precision.map(elodex_models::Precision::name);
            json!({"name": entry.name(), "source": entry.source, "kind": kind, "precision": precision})
        })
        .collect();
    let experiments: Vec<_> = sources
        .file
        .experiments
        .iter()
        .map(|experiment| json!({"name": experiment.name, "mode": mode(experiment), "share": experiment.share}))
        .collect();
    json!({
        "file": sources.file.path,
        "settings": settings,
        "experiments": experiments,
        "models": {"value": entries, "origin": models.entries_origin.as_str()},
        "aliases": {"value": models.aliases, "origin": models.aliases_origin.as_str()},
    })
}

fn table(sources: &Sources, models: &Models) -> String {
    let mut rows = Vec::new();
    for definition in DEFINITIONS {
        let (text, origin) = effective(sources, definition);
        rows.push(vec![
            definition.key.to_owned(),
            origin.as_str().to_owned(),
            shown(text, definition.secret),
        ]);
    }
    for entry in &models.entries {
        let value = format!("{} = {}", entry.name(), entry.source);
        rows.push(vec!["model".to_owned(), models.entries_origin.as_str().to_owned(), value]);
    }
    for (alias, target) in &models.aliases {
        let value = format!("{alias} = {target}");
        rows.push(vec!["alias".to_owned(), models.aliases_origin.as_str().to_owned(), value]);
    }
    for experiment in &sources.file.experiments {
        let value = format!("{} = {} of {}", experiment.name, mode(experiment), experiment.share);
        rows.push(vec!["experiment".to_owned(), Origin::File.as_str().to_owned(), value]);
    }
    let file = match &sources.file.path {
        Some(path) => format!("file: {}\n\n", path.display()),
        None => "file: none\n\n".to_owned(),
    };
    file + &output::table(&["setting", "origin", "value"], &rows)
}

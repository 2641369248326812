//! `elodex collections`.

use crate::cli::{CollectionsCommand, TableFormat};
use crate::library::{self, LibraryArgs};
use crate::output;
use crate::settings::Sources;
use anyhow::{Context as _, bail};
use serde_json::{Value, json};
use std::io::{IsTerminal as _, Write as _};
use std::path::Path;

pub(crate) fn run(sources: &Sources, at: &LibraryArgs, command: &CollectionsCommand) -> anyhow::Result<()> {
    let target = library::open(sources, at)?;
    match command {
        CollectionsCommand::List { format } => {
            let answer = target.call("/v1/collections/get-info-list", &json!({}))?;
            let collections = answer["collections"].as_array().context("the answer lists no collections")?;
            match format {
                TableFormat::Json => output::line(serde_json::to_string_pretty(collections)?),
                TableFormat::Table if collections.is_empty() => {
                    output::line("no collections; `elodex ingest` makes one")
                }
                TableFormat::Table => {
                    let rows: Vec<Vec<String>> = collections.iter().map(row).collect();
                    output::line(output::table(
                        &["name", "model", "documents", "pending", "failed", "chunks"],
                        &rows,
                    ))
                }
            }
        }
        CollectionsCommand::Show { name } => {
            let info = target.call("/v1/collections/get-info", &json!({ "name": name }))?;
            output::line(serde_json::to_string_pretty(&info)?)
        }
        CollectionsCommand::Create(create) => {
            let info = library::create_collection(&*target, create)?;
            output::line(serde_json::to_string_pretty(&info)?)
        }
        CollectionsCommand::Delete { name, yes } => {
            if !yes && !confirmed(name)? {
                bail!("`{name}` was not deleted; --yes answers the question beforehand");
            }
            target.call("/v1/collections/delete-collection", &json!({ "collection_name": name }))?;
            output::note(format!("deleted `{name}`"));
            Ok(())
        }
        CollectionsCommand::Weights { name, dense, lexical } => {
            let weights = json!({ "dense": dense, "lexical": lexical });
            target.call("/v1/collections/set-weights", &json!({ "name": name, "weights": weights })).map(drop)
        }
        CollectionsCommand::Policy { name, file, .. } => {
            let policy = file.as_deref().map(read_policy).transpose()?;
            target.call("/v1/collections/set-policy", &json!({ "name": name, "policy": policy })).map(drop)
        }
    }
}

fn read_policy(file: &Path) -> anyhow::Result<Value> {
    let shown = file.display();
    let text = match file.to_str() {
        Some("-") => std::io::read_to_string(std::io::stdin()),
        _ => std::fs::read_to_string(file),
    };
    let text = text.with_context(|| format!("cannot read `{shown}`"))?;
    serde_json::from_str(&text)
        .with_context(|| format!("`{shown}` is no policy; write one with `elodex eval --write-policy`"))
}

fn row(info: &Value) -> Vec<String> {
    let status = &info["status"];
    let count = |name: &str| status[name].as_u64().unwrap_or_default();
    let text = |name: &str| info[name].as_str().unwrap_or_default().to_owned();
    let pending = count("num_parsing_documents") + count("num_indexing_documents");
    vec![
        text("name"),
        text("model"),
        count("num_documents").to_string(),
        pending.to_string(),
        count("num_failed_documents").to_string(),
        count("num_chunks").to_string(),
    ]
}

fn confirmed(name: &str) -> anyhow::Result<bool> {
    if !std::io::stdin().is_terminal() {
        return Ok(false);
    }
    write!(std::io::stderr(), "delete `{name}` with all its documents? type its name: ")?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(answer.trim() == name)
}

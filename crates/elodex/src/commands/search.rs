//! `elodex search`.

use crate::cli::{SearchArgs, TableFormat};
use crate::library::{self, Library};
use crate::settings::Sources;
use crate::{output, view};
use anyhow::{Context as _, bail};
use clap::ValueEnum;
use serde_json::{Value, json};
use std::io::IsTerminal as _;

/// Columns where the terminal does not say.
const WIDTH: usize = 100;

pub(crate) fn search(sources: &Sources, arguments: &SearchArgs) -> anyhow::Result<()> {
    let target = library::open(sources, &arguments.target)?;
    let query = arguments.query.join(" ");
    let rerank = match (arguments.rerank.as_deref(), arguments.no_rerank) {
        (Some("auto"), _) if arguments.rerank_depth.is_some() => {
            bail!(
                "with --rerank auto the policy says how deep; leave --rerank-depth out, or name the reranker"
            )
        }
        (Some("auto"), _) => json!("auto"),
        (Some(model), _) => json!({ "model": model, "depth": arguments.rerank_depth }),
        (None, true) => json!(false),
        (None, false) if target.has_reranker()? => json!({ "depth": arguments.rerank_depth }),
        (None, false) => {
            output::note(match arguments.target.url {
                None => "no reranker is loaded, so the second stage is off; name one with another --model",
                Some(_) => "the server has no reranker, so the second stage is off",
            });
            json!(false)
        }
    };
    let mut body = json!({
        "collection": arguments.collection, "query": query, "k": arguments.k, "unit": value_name(arguments.unit), "rerank": rerank,
        "exact": arguments.exact, "collapse": arguments.collapse,
        "include_metadata": true, "explain": true,
    });
    if let Some(list) = arguments.list {
        body["list"] = json!(value_name(list));
    }
    if let Some(filter) = &arguments.filter {
        body["filter"] = serde_json::from_str(filter).context("--filter is no JSON object")?;
    }
    if let Some(threshold) = arguments.threshold {
        body["threshold"] = json!(threshold);
    }
    if let Some(depth) = arguments.depth {
        body["depth"] = json!(depth);
    }
    let answer = target.call("/v1/search", &body)?;
    let table = std::io::stdout().is_terminal();
    match arguments.format.unwrap_or(if table { TableFormat::Table } else { TableFormat::Json }) {
        TableFormat::Json => output::line(serde_json::to_string_pretty(&answer)?),
        TableFormat::Table => {
            let recall = first_stage(&*target, &body, &answer)?;
            output::line(view::results(&answer, recall.as_ref(), width()))
        }
    }
}

/// What the first stage alone answers, where there was a second one to compare it with.
pub(crate) fn first_stage(
    target: &dyn Library,
    body: &Value,
    answer: &Value,
) -> anyhow::Result<Option<Value>> {
    if answer["rerank_status"]["status"] == "skipped" {
        return Ok(None);
    }
    let mut body = body.clone();
    body["rerank"] = json!(false);
    if let Some(fields) = body.as_object_mut() {
        fields.remove("threshold");
    }
    target.call("/v1/search", &body).map(Some)
}

/// A choice as the command line and the API write it.
pub(crate) fn value_name(choice: impl ValueEnum) -> String {
    choice.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

/// Columns of the terminal.
pub(crate) fn width() -> usize {
    console::Term::stdout().size_checked().map_or(WIDTH, |(_, columns)| usize::from(columns))
}

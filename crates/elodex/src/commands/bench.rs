//! `elodex bench`.

use super::search::value_name;
use crate::cli::BenchCommand;
use crate::load::{Client, LoadArgs, Queries, RateFigures, drive, table};
use crate::output;
use anyhow::{Context as _, bail};
use serde_json::{Value, json};
use std::process::ExitCode;

/// The version of the JSON's shape.
const VERSION: u32 = 1;

pub(crate) fn run(command: &BenchCommand) -> anyhow::Result<ExitCode> {
    match command {
        BenchCommand::Serve(arguments) => serve(arguments),
    }
}

/// Every rate in turn; fails where no request of any rate succeeded.
fn serve(arguments: &LoadArgs) -> anyhow::Result<ExitCode> {
    let queries = match &arguments.queries {
        Some(path) => Queries::read(path, arguments.seed)?,
        None => Queries::made_up(arguments.seed),
    };
    let template = template(arguments)?;
    let connections = usize::from(arguments.connections);
    let client = Client::new(&arguments.url, arguments.key.as_deref(), connections, arguments.timeout)?;
    let body = |request: usize| {
        let mut body = template.clone();
        body["query"] = json!(queries.text(request));
        body
    };
    let mut rates = Vec::new();
    for &rate in &arguments.rate {
        let span = arguments.warmup + arguments.duration;
        let times = arguments.arrivals.times(rate, span, arguments.seed)?;
        let bar = output::progress(times.len() as u64, &format!("requests at {rate}/s"));
        let samples = drive(&client, &times, connections, &body, &|| bar.inc(1));
        bar.finish_and_clear();
        rates.push(RateFigures::of(rate, &samples, arguments.warmup, arguments.duration));
    }
    if let Some(path) = &arguments.json {
        let text = serde_json::to_string_pretty(&json!({
            "version": VERSION,
            "elodex": env!("CARGO_PKG_VERSION"),
            "url": client.address(),
            "body": template,
            "queries": {"source": queries.source, "count": queries.texts.len()},
            "arrivals": arguments.arrivals,
            "seed": arguments.seed,
            "duration_s": arguments.duration.as_secs_f64(),
            "warmup_s": arguments.warmup.as_secs_f64(),
            "timeout_s": arguments.timeout.as_secs_f64(),
            "connections": connections,
            "rates": rates,
        }))?;
        std::fs::write(path, text).with_context(|| format!("cannot write `{}`", path.display()))?;
    }
    output::line(table(&rates))?;
    if rates.iter().all(|figures| figures.answered == 0) {
        output::note("error: no request succeeded");
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

/// Every request's body but for its query.
fn template(arguments: &LoadArgs) -> anyhow::Result<Value> {
    let rerank = match (&arguments.rerank, arguments.rerank_depth, arguments.no_rerank) {
        (_, _, true) => json!(false),
        (None, None, _) => json!(true),
        (None, Some(depth), _) => json!({ "depth": depth }),
        (Some(model), depth, _) => json!({ "model": model, "depth": depth }),
    };
    let mut body = json!({
        "collection": arguments.collection, "k": arguments.k, "list": value_name(arguments.list), "rerank": rerank,
    });
    if let Some(deadline) = arguments.deadline {
        body["deadline_ms"] = json!(u64::try_from(deadline.as_millis().max(1)).unwrap_or(u64::MAX));
    }
    if let Some(more) = &arguments.body {
        let more: Value = serde_json::from_str(more).context("--body is no JSON")?;
        let Value::Object(more) = more else { bail!("--body is no JSON object") };
        for (field, value) in more {
            body[field] = value;
        }
    }
    Ok(body)
}

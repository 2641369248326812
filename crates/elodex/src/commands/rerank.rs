//! `elodex rerank`.

use super::{inputs, local};
use crate::cli::{RerankArgs, TableFormat};
use crate::output;
use crate::settings::Sources;
use anyhow::{Context as _, bail};
use elodex_server::{ModelKind, Service};
use elodex_types::{Latency, RerankRequest, RerankResponse};
use serde_json::json;
use std::io::IsTerminal as _;

pub(crate) fn rerank(sources: &Sources, arguments: &RerankArgs) -> anyhow::Result<()> {
    let documents = inputs::read(&arguments.documents, arguments.input.as_deref(), "documents")?;
    let model = arguments.model.name(ModelKind::Reranker);
    let (service, _) = local::start(sources, &arguments.model, ModelKind::Reranker)?;
    let Service::Rerank(service) = service else { bail!("`{model}` is no reranker") };
    let request = RerankRequest {
        model: model.to_owned(),
        query: arguments.query.clone(),
        documents: documents.clone(),
        top_n: arguments.top_n,
        truncation: None,
        latency: Latency::Auto,
    };
    let answer = service.submit(request, local::context())?.wait()?;
    let format = arguments.format.unwrap_or_else(|| {
        if std::io::stdout().is_terminal() { TableFormat::Table } else { TableFormat::Json }
    });
    match format {
        TableFormat::Table => output::line(table(&answer, &documents)?)?,
        TableFormat::Json => output::line(object(&answer, &arguments.query, &documents)?)?,
    }
    let cut = answer.truncations.iter().filter(|receipt| receipt.cut()).count();
    if cut > 0 {
        let longest = service.model().info().max_tokens;
        output::note(format!("warning: {cut} documents did not fit the model's {longest} tokens whole"));
    }
    Ok(())
}

fn text(documents: &[String], index: usize) -> anyhow::Result<&String> {
    documents.get(index).with_context(|| format!("the model ranked a document {index} that was not given"))
}

fn table(answer: &RerankResponse, documents: &[String]) -> anyhow::Result<String> {
    let mut rows = Vec::new();
    for (rank, ranked) in answer.results.iter().enumerate() {
        rows.push(vec![
            (rank + 1).to_string(),
            format!("{:.4}", ranked.score.value),
            kind(ranked.score.kind)?,
            ranked.index.to_string(),
            elodex_report::shorten(text(documents, ranked.index)?, 80),
        ]);
    }
    Ok(output::table(&["rank", "score", "kind", "index", "document"], &rows))
}

fn kind(kind: elodex_types::ScoreKind) -> anyhow::Result<String> {
    Ok(serde_json::to_value(kind)?.as_str().unwrap_or_default().to_owned())
}

fn object(answer: &RerankResponse, query: &str, documents: &[String]) -> anyhow::Result<serde_json::Value> {
    let mut results = Vec::new();
    for ranked in &answer.results {
        results.push(json!({
            "index": ranked.index,
            "score": ranked.score,
            "logit": ranked.logit,
            "tokens": answer.truncations.get(ranked.index),
            "span": ranked.span,
            "document": text(documents, ranked.index)?,
        }));
    }
    Ok(json!({"model": answer.model, "query": query, "results": results, "usage": answer.usage}))
}

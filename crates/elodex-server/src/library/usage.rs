//! Telling what was used.

use super::Library;
use crate::app::App;
use crate::reply;
use axum::response::Response;
use elodex_dialects::{Counted, Problem, UsageCall, UsageTotals, UsageWindow};
use elodex_store::{UsageKind, UsageRow};
use elodex_types::Fault;
use std::collections::BTreeMap;

/// Answers a question about usage.
pub(crate) async fn tell(app: &App, parsed: UsageCall) -> Result<Response, Problem> {
    let library = app.library()?;
    let body = match parsed {
        UsageCall::Windows { counted, start, end, period, collections, render } => {
            let rows = rows(library, &[counted], start - start % 60, end).await?;
            let mut windows: BTreeMap<u64, UsageTotals> = BTreeMap::new();
            for row in rows {
                if collections.as_ref().is_some_and(|wanted| !wanted.contains(&row.subject)) {
                    continue;
                }
                let window = windows.entry(row.minute - row.minute % period.seconds()).or_default();
                window.count += row.count;
                window.bytes += row.bytes;
            }
            let windows: Vec<UsageWindow> =
                windows.into_iter().map(|(start, totals)| UsageWindow { start, totals }).collect();
            render(&windows)?
        }
        UsageCall::Totals { counted, render } => {
            let rows = rows(library, counted, 0, u64::MAX).await?;
            let month = month_start()?;
            let sum = |from: u64| {
                rows.iter().filter(|row| row.minute >= from).fold(UsageTotals::default(), |sum, row| {
                    UsageTotals { count: sum.count + row.count, bytes: sum.bytes + row.bytes }
                })
            };
            render(&[sum(0), sum(month)])?
        }
    };
    Ok(reply::json(body))
}

async fn rows(library: &Library, counted: &[Counted], from: u64, to: u64) -> Result<Vec<UsageRow>, Problem> {
    let kinds: Vec<UsageKind> = counted.iter().copied().map(kind).collect();
    let read = library.ask(move |engine| {
        let mut rows = Vec::new();
        for kind in kinds {
            rows.extend(engine.usage(kind, from, to)?);
        }
        Ok(rows)
    });
    read.await
}

fn kind(counted: Counted) -> UsageKind {
    match counted {
        Counted::Documents => UsageKind::Documents,
        Counted::Queries => UsageKind::Queries,
        Counted::Rerank => UsageKind::Rerank,
        Counted::Embed => UsageKind::Embed,
    }
}

/// Unix seconds of the first day of this month in UTC.
fn month_start() -> Result<u64, Problem> {
    let now = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC);
    let start = now.first_of_month().and_then(|first| first.start_of_day());
    let seconds = start.ok().and_then(|start| u64::try_from(start.timestamp().as_second()).ok());
    seconds.ok_or_else(|| Problem::new(Fault::Bug, "the clock shows no usable date"))
}

//! What was used: counters of the model calls, written now and then, and answers made of them.

use super::{Library, refused};
use crate::app::App;
use crate::reply;
use axum::response::Response;
use elodex_dialects::{Counted, Problem, UsageCall, UsageTotals, UsageWindow};
use elodex_store::{Catalog, UsageKind, UsageRow};
use elodex_types::Fault;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

/// Counters that are not written yet, by kind, model and minute.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    counters: Mutex<HashMap<(UsageKind, String, u64), UsageTotals>>,
}

impl Meter {
    /// Counts a call that was answered now.
    pub(crate) fn count(&self, kind: UsageKind, model: &str, bytes: u64) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        self.add((kind, model.to_owned(), now - now % 60), UsageTotals { count: 1, bytes });
    }

    fn add(&self, key: (UsageKind, String, u64), used: UsageTotals) {
        let mut counters = self.counters.lock().unwrap_or_else(PoisonError::into_inner);
        let counter = counters.entry(key).or_default();
        counter.count += used.count;
        counter.bytes += used.bytes;
    }

    /// Writes the counters. What cannot be written is kept for the next time.
    pub(crate) fn flush(&self, catalog: &dyn Catalog) -> elodex_store::Result<()> {
        let taken = std::mem::take(&mut *self.counters.lock().unwrap_or_else(PoisonError::into_inner));
        if taken.is_empty() {
            return Ok(());
        }
        let row = |((kind, subject, minute), used): (&(UsageKind, String, u64), &UsageTotals)| UsageRow {
            kind: *kind,
            subject: subject.clone(),
            minute: *minute,
            count: used.count,
            bytes: used.bytes,
        };
        let rows: Vec<UsageRow> = taken.iter().map(row).collect();
        catalog.add_usage(&rows).inspect_err(|_| {
            for (key, used) in taken {
                self.add(key, used);
            }
        })
    }
}

impl Library {
    /// Writes the counters; a failure is told in the log.
    pub(crate) fn flush(&self) {
        if let Err(error) = self.meter.flush(self.search.engine.catalog().as_ref()) {
            tracing::warn!(error = error.report(), "usage counters could not be written; they are kept");
        }
    }
}

/// Answers a question about usage.
pub(crate) async fn tell(app: &App, parsed: UsageCall) -> Result<Response, Problem> {
    let library = app.library()?;
    app.flush_usage().await;
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
        let read = || {
            let view = engine.catalog().view()?;
            let mut rows = Vec::new();
            for kind in kinds {
                rows.extend(view.usage(kind, from, to)?);
            }
            elodex_store::Result::Ok(rows)
        };
        Ok(read())
    });
    read.await?.map_err(refused)
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

//! `/usage/*`. Nothing is billed here, so `billable_units` are 0.

use crate::json::{Fields, write};
use crate::problem::Problem;
use crate::{Counted, Period, UsageCall, UsageTotals, UsageWindow};
use serde::Serialize;
use utoipa::ToSchema;

/// Windows one answer may have.
const MOST_WINDOWS: u64 = 10_000;

const PERIODS: [(&str, Period); 3] =
    [("minutely", Period::Minutely), ("hourly", Period::Hourly), ("daily", Period::Daily)];

/// Body of a call for counters by windows of time.
#[derive(Debug, ToSchema)]
#[schema(as = zeroentropy::UsageBody)]
pub struct UsageBody {
    /// Unix seconds of the first moment that counts.
    pub start_time: u64,
    /// Unix seconds of the first moment that no longer counts. What was used is known by the minute: of a bound within a
    /// minute the whole minute counts.
    pub end_time: u64,
    /// How long a window is.
    pub aggregation_window: Period,
    /// Only these collections; all where absent. Model calls belong to no collection.
    pub collection_names: Option<Vec<String>>,
}

fn windows(body: &[u8], counted: Counted) -> Result<UsageCall, Problem> {
    let fields = Fields::split(body)?;
    let start: i64 = fields.required("start_time")?;
    let end: i64 = fields.required("end_time")?;
    let period = fields.required_choice("aggregation_window", &PERIODS)?;
    let collections = fields.optional("collection_names")?;
    let start = u64::try_from(start).map_err(|_| fields.refuse("start_time", "before 1970"))?;
    let Some(end) = u64::try_from(end).ok().filter(|end| *end >= start) else {
        return Err(fields.refuse("end_time", "before start_time"));
    };
    let count = (end - start).div_ceil(period.seconds());
    if count > MOST_WINDOWS {
        let message = format!("{count} windows, at most {MOST_WINDOWS} are told at once; use longer ones");
        return Err(fields.refuse("aggregation_window", message));
    }
    let collections = collections.filter(|_| matches!(counted, Counted::Documents | Counted::Queries));
    Ok(UsageCall::Windows { counted, start, end, period, collections, render: render_windows })
}

pub(super) fn parse_documents(body: &[u8]) -> Result<UsageCall, Problem> {
    windows(body, Counted::Documents)
}

pub(super) fn parse_queries(body: &[u8]) -> Result<UsageCall, Problem> {
    windows(body, Counted::Queries)
}

pub(super) fn parse_rerank(body: &[u8]) -> Result<UsageCall, Problem> {
    windows(body, Counted::Rerank)
}

pub(super) fn parse_embed(body: &[u8]) -> Result<UsageCall, Problem> {
    windows(body, Counted::Embed)
}

pub(super) fn parse_model_counters(body: &[u8]) -> Result<UsageCall, Problem> {
    Fields::split_or_none(body)?;
    Ok(UsageCall::Totals { counted: &[Counted::Embed, Counted::Rerank], render: render_totals })
}

pub(super) fn parse_counters(body: &[u8]) -> Result<UsageCall, Problem> {
    Fields::split_or_none(body)?;
    Ok(UsageCall::Totals { counted: &[Counted::Documents, Counted::Queries], render: render_totals })
}

fn render_windows(windows: &[UsageWindow]) -> Result<Vec<u8>, Problem> {
    let counters: Vec<WindowCounter> = windows
        .iter()
        .map(|window| WindowCounter { start_time: window.start, counter: Counter::from(window.totals) })
        .collect();
    write(&counters, 32 + 96 * counters.len())
}

/// What was used in one window; windows in which nothing was are left out.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = zeroentropy::WindowCounter)]
pub struct WindowCounter {
    /// Unix seconds of the window's start.
    pub start_time: u64,
    /// What was used.
    #[serde(flatten)]
    pub counter: Counter,
}

fn render_totals([all_time, billing_cycle]: &[UsageTotals; 2]) -> Result<Vec<u8>, Problem> {
    let answer =
        CountersAnswer { all_time: Counter::from(*all_time), billing_cycle: Counter::from(*billing_cycle) };
    write(&answer, 128)
}

/// Answer of a call for total counters.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = zeroentropy::CountersAnswer)]
pub struct CountersAnswer {
    /// Since the data directory was made.
    pub all_time: Counter,
    /// Since the first day of this month in UTC.
    pub billing_cycle: Counter,
}

/// What was used.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[schema(as = zeroentropy::Counter)]
pub struct Counter {
    /// Calls or documents.
    pub count: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Always 0.
    pub billable_units: u64,
}

impl From<UsageTotals> for Counter {
    fn from(totals: UsageTotals) -> Self {
        Self { count: totals.count, bytes: totals.bytes, billable_units: 0 }
    }
}

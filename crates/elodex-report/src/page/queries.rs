//! The queries, those that suffered most first.

use crate::words::{count, number, shorten, signed};
use crate::{QueryRow, Report};
use maud::{Markup, html};

/// Rows of the table: a browser still sorts them at once.
const ROWS: usize = 500;
/// Characters of a query that are shown.
const TEXT: usize = 240;
/// Differences up to this are rounding.
const TIE: f64 = 1e-12;

/// The value of every system for every query.
pub(super) fn queries(report: &Report) -> Option<Markup> {
    if report.queries.is_empty() {
        return None;
    }
    let focus = report.focus();
    let rows = report.queries_by_change();
    Some(html! {
        p.note {
            (report.main_measure()) " of every query. "
            @match focus {
                Some(pair) => {
                    "In the beginning the worst losses of " strong { (pair.candidate) } " against "
                    strong { (pair.baseline) } " come first."
                },
                None => "In the beginning the lowest values come first.",
            }
            @if rows.len() > ROWS {
                " Shown: the first " (count(ROWS)) " of " (count(rows.len()))
                " in this order; the JSON of the report has all."
            }
        }
        div.scroll tabindex="0" role="region" aria-label="Queries" {
            table.sortable {
                thead {
                    tr {
                        th.words scope="col" { "query" }
                        @if focus.is_some() {
                            th scope="col" data-kind="number" aria-sort="ascending" { "change" }
                        }
                        @for (at, system) in report.systems.iter().enumerate() {
                            @let sort = (focus.is_none() && at == 0).then_some("ascending");
                            th scope="col" data-kind="number" aria-sort=[sort] { (system.name) }
                        }
                    }
                }
                tbody {
                    @for (row, change) in rows.iter().take(ROWS) {
                        (query(report, row, focus.is_some().then_some(*change)))
                    }
                }
            }
        }
    })
}

fn query(report: &Report, row: &QueryRow, change: Option<f64>) -> Markup {
    html! {
        tr {
            th.words scope="row" data-value=(row.id) {
                (row.id)
                @if let Some(text) = &row.text { span.under { (shorten(text, TEXT)) } }
            }
            @if let Some(change) = change {
                @let shade = if change > TIE { "up" } else if change < -TIE { "down" } else { "" };
                td class=(shade) data-value=(number(change, 9)) { (signed(change, 4)) }
            }
            @for at in 0..report.systems.len() {
                @let value = row.values.get(at).copied().unwrap_or(f64::NAN);
                td data-value=(number(value, 9)) { (number(value, 4)) }
            }
        }
    }
}

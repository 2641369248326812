//! A report as one HTML page that needs nothing else: no script, font or picture from anywhere, and, but for sorting, no
//! script at all.

mod plots;
mod queries;
mod tables;

use crate::Report;
use crate::words::{count, counted};
use elodex_eval::CountedQueries;
use maud::{DOCTYPE, Markup, PreEscaped, html};

const STYLE: &str = include_str!("style.css");
const SORT: &str = include_str!("sort.js");

/// A part of the page: what links to it, its heading, and what is in it.
type Part = (&'static str, &'static str, Markup);

/// The page of a report. Whatever comes from data is escaped; what is no number is shown as a dash.
pub fn html(report: &Report) -> String {
    let title = format!("{}: evaluation of {}", report.main_measure(), report.collection.name);
    let parts = parts(report);
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="generator" content={ "elodex " (report.elodex) };
                title { (title) }
                style { (PreEscaped(STYLE)) (PreEscaped(plots::styles())) }
            }
            body {
                header {
                    h1 { "Evaluation of " (report.collection.name) }
                    p.under { (summary(report)) }
                    section.headline aria-label="Finding" {
                        @for sentence in report.headline() { p { (sentence) } }
                        @if !report.findings.is_empty() {
                            p { a href="#input" { "Findings about the input: " (finding_count(report)) "." } }
                        }
                    }
                    nav aria-label="Parts of this page" {
                        ul { @for (id, heading, _) in &parts { li { a href={ "#" (id) } { (heading) } } } }
                    }
                }
                main {
                    @for (id, heading, content) in &parts {
                        section id=(id) aria-labelledby={ (id) "-heading" } {
                            h2 id={ (id) "-heading" } { (heading) }
                            (content)
                        }
                    }
                }
                script { (PreEscaped(SORT)) }
            }
        }
    };
    // HTML has no place for control characters, whatever ids and texts hold.
    let page = page.into_string();
    page.replace(|char: char| char.is_control() && char != '\n', "\u{fffd}")
}

/// The parts there is something to say in.
fn parts(report: &Report) -> Vec<Part> {
    let parts = [
        ("systems", "Systems", Some(tables::systems(report))),
        ("comparisons", "Comparisons", tables::comparisons(report)),
        ("moves", "Rank moves", plots::rank_moves(report)),
        ("depth", "Rerank depth", plots::depth_curves(report)),
        ("quality", "Latency against quality", plots::latency_against_quality(report)),
        ("latency", "Latency by stage", latency(report)),
        ("cost", "Cost", tables::costs(report)),
        ("reliability", "Reliability", plots::reliability_diagrams(report)),
        ("input", "Findings about the input", Some(tables::findings(report))),
        ("queries", "Queries", queries::queries(report)),
        ("again", "How this was made", Some(made(report))),
    ];
    parts.into_iter().filter_map(|(id, heading, content)| Some((id, heading, content?))).collect()
}

fn summary(report: &Report) -> String {
    let collection = &report.collection;
    let documents = collection.documents.map(|documents| format!("{} documents, ", count(documents)));
    format!(
        "{}{}, {} from {}",
        documents.unwrap_or_default(),
        counted(collection.queries, "query", "queries"),
        counted(collection.judgements, "judgement", "judgements"),
        collection.qrels
    )
}

fn finding_count(report: &Report) -> String {
    let all: usize = report.findings.iter().map(|finding| finding.count).sum();
    format!("{}, of {}", count(all), counted(report.findings.len(), "kind", "kinds"))
}

fn latency(report: &Report) -> Option<Markup> {
    let plot = plots::stage_latencies(report)?;
    Some(html! {
        (plot)
        details {
            summary { "All figures" }
            (tables::latencies(report))
        }
    })
}

/// What it takes to do it again.
fn made(report: &Report) -> Markup {
    let protocol = &report.protocol;
    let queries = match protocol.queries {
        CountedQueries::Judged => "every judged query; one that a system did not answer counts 0",
        CountedQueries::Returned => "judged queries that the system answered",
    };
    let machine = &report.machine;
    html! {
        pre { code { (report.command) } }
        dl {
            dt { "Made" } dd { (report.made) " by elodex " (report.elodex) }
            dt { "Machine" } dd {
                (machine.processor)
                @if machine.threads > 0 {
                    ", " (counted(machine.threads, "thread", "threads")) ", " (machine.isa)
                }
            }
            @for note in &report.notes {
                dt { "Note" } dd { (note) }
            }
            dt { "Relevant" } dd { "from grade " (protocol.relevant_from) " on" }
            dt { "Means over" } dd { (queries) }
            dt { "Intervals" } dd { "percentile bootstrap over queries" }
            dt { "p" } dd { "paired two-sided randomisation test over queries" }
        }
    }
}

//! Tables of systems, comparisons, latency, cost and findings.

use crate::words::{
    NOTHING, chance, count, dollars, interval, milliseconds, number, signed, signed_interval, verdict,
};
use crate::{PairComparison, Report};
use maud::{Markup, html};

/// Every system by every measure.
pub(super) fn systems(report: &Report) -> Markup {
    let best = report.best().map(|system| system.name.clone());
    let confidence = report.systems.iter().find_map(|system| system.means.first());
    html! {
        div.scroll tabindex="0" role="region" aria-label="Systems by measures" {
            table {
                caption {
                    "Means over queries"
                    @if let Some(interval) = confidence {
                        ", below them their " (number(interval.confidence * 100.0, 0)) " % intervals"
                    }
                    "."
                }
                thead {
                    tr {
                        th scope="col" { "№" }
                        th.words scope="col" { "system" }
                        @for measure in &report.measures { th scope="col" { (measure) } }
                        th scope="col" { "rerank depth" }
                        th scope="col" { "pairs/s" }
                        th scope="col" { "tokens per query" }
                    }
                }
                tbody {
                    @for (at, system) in report.systems.iter().enumerate() {
                        @let is_best = best.as_ref() == Some(&system.name);
                        tr.best[is_best] {
                            td { (at + 1) }
                            th.words scope="row" {
                                (system.name)
                                @if is_best { " " span.badge { "best" } }
                                span.under { (system.description) }
                            }
                            @for at in 0..report.measures.len() {
                                @match system.means.get(at) {
                                    Some(mean) => td {
                                        (number(mean.mean, 4)) span.around { (interval(mean)) }
                                    },
                                    None => td { (NOTHING) },
                                }
                            }
                            td { (system.rerank_depth.map_or(NOTHING.to_owned(), count)) }
                            td { (number(system.pairs_per_second.unwrap_or(f64::NAN), 0)) }
                            td {
                                @match &system.tokens {
                                    Some(tokens) => {
                                        (number(tokens.embed, 0)) " + " (number(tokens.rerank, 0))
                                        span.around { "embed + rerank" }
                                    },
                                    None => (NOTHING),
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Systems against each other.
pub(super) fn comparisons(report: &Report) -> Option<Markup> {
    if report.comparisons.is_empty() {
        return None;
    }
    Some(html! {
        div.scroll tabindex="0" role="region" aria-label="Comparisons" {
            table {
                caption { "By " (report.main_measure()) ", paired by query." }
                thead {
                    tr {
                        th.words scope="col" { "candidate" }
                        th.words scope="col" { "against" }
                        th scope="col" { "difference" }
                        th scope="col" { "p" }
                        th scope="col" { "t-test p" }
                        th scope="col" { "effect size d" }
                        th scope="col" { "wins · ties · losses" }
                        th scope="col" { "verdict" }
                    }
                }
                tbody { @for pair in &report.comparisons { (comparison(report, pair)) } }
            }
        }
        @if report.comparisons.len() > 1 {
            p.note {
                "Each p stands for itself. Among " (report.comparisons.len())
                " comparisons some look significant by chance: settle which one counts before looking."
            }
        }
    })
}

fn comparison(report: &Report, pair: &PairComparison) -> Markup {
    let comparison = &pair.comparison;
    let verdict = verdict(comparison);
    let shade = match verdict {
        "better" => "up",
        "worse" => "down",
        _ => "",
    };
    html! {
        tr {
            th.words scope="row" {
                (pair.candidate)
                @if report.is_lift(pair) { " " span.badge { "second stage" } }
            }
            td.words { (pair.baseline) }
            td class=(shade) {
                (signed(comparison.difference.mean, 4))
                span.around { (signed_interval(&comparison.difference)) }
            }
            td { (chance(comparison.randomisation.p)) }
            td { (comparison.student.map_or(NOTHING.to_owned(), |student| chance(student.p))) }
            td { (signed(comparison.effect_size.unwrap_or(f64::NAN), 2)) }
            td { (count(comparison.wins)) " · " (count(comparison.ties)) " · " (count(comparison.losses)) }
            td { (verdict) }
        }
    }
}

/// Every stage of every system.
pub(super) fn latencies(report: &Report) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label="Latency by stage" {
            table {
                caption { "Milliseconds." }
                thead {
                    tr {
                        th.words scope="col" { "system" }
                        th.words scope="col" { "stage" }
                        th scope="col" { "p50" }
                        th scope="col" { "p95" }
                        th scope="col" { "p99" }
                    }
                }
                tbody {
                    @for system in &report.systems {
                        @for stage in &system.latency {
                            tr {
                                th.words scope="row" { (system.name) }
                                td.words { (stage.stage) }
                                td { (milliseconds(stage.p50)) }
                                td { (milliseconds(stage.p95)) }
                                td { (milliseconds(stage.p99)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// What 1,000 queries cost, systems by prices.
pub(super) fn costs(report: &Report) -> Option<Markup> {
    let prices = report.price_names();
    if prices.is_empty() {
        return None;
    }
    Some(html! {
        div.scroll tabindex="0" role="region" aria-label="Cost" {
            table {
                caption { "US dollars for 1,000 queries, models only." }
                thead {
                    tr {
                        th.words scope="col" { "system" }
                        @for price in &prices { th scope="col" { (price) } }
                    }
                }
                tbody {
                    @for system in report.systems.iter().filter(|system| !system.costs.is_empty()) {
                        tr {
                            th.words scope="row" { (system.name) }
                            @for price in &prices {
                                @let cost = system.costs.iter().find(|cost| cost.name == *price);
                                td { (dollars(cost.map_or(f64::NAN, |cost| cost.usd_per_1000_queries))) }
                            }
                        }
                    }
                }
            }
        }
    })
}

/// What does not fit together in the input.
pub(super) fn findings(report: &Report) -> Markup {
    if report.findings.is_empty() {
        return html! { p { "None: judgements, runs and collection fit together." } };
    }
    html! {
        div.scroll tabindex="0" role="region" aria-label="Findings about the input" {
            table {
                caption { "Nothing was left out because of them." }
                thead {
                    tr {
                        th scope="col" { "count" }
                        th.words scope="col" { "what" }
                        th.words scope="col" { "first places" }
                    }
                }
                tbody {
                    @for finding in &report.findings {
                        tr {
                            td { (count(finding.count)) }
                            th.words scope="row" { (finding.kind.describe()) }
                            td.words {
                                @for place in &finding.places { div { code { (place) } } }
                                @if finding.count > finding.places.len() { "…" }
                            }
                        }
                    }
                }
            }
        }
    }
}

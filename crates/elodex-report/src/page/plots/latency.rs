//! Where the time goes.

use super::ink::{BAR, MUTED, TEXT};
use super::{Axis, Plot, Room, anchored, chart, html, plain};
use crate::words::{milliseconds, shorten};
use crate::{Report, StageLatency, SystemReport};
use maud::Markup;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

/// Systems that are drawn.
const SYSTEMS: usize = 12;
/// Height of a row.
const ROW: u32 = 20;

/// A line of the plot: a system's name, or one of its stages.
enum Row<'a> {
    System(&'a str),
    Stage(&'a StageLatency),
}

/// Bars of every stage of every system, with their tails.
pub(crate) fn stage_latencies(report: &Report) -> Option<Markup> {
    let mut systems: Vec<&SystemReport> =
        report.systems.iter().filter(|system| !system.latency.is_empty()).collect();
    if systems.is_empty() {
        return None;
    }
    let all = systems.len();
    if all > SYSTEMS {
        report.best_first(&mut systems);
        systems.truncate(SYSTEMS);
    }
    Some(html! {
        @if all > SYSTEMS { p.note { "Drawn for the best " (SYSTEMS) " of " (all) " systems; the table has all." } }
        figure {
            (plot(&systems))
            figcaption { "Bar: median. Line: to the 95th percentile. Tick: 99th percentile. The three figures, in milliseconds." }
        }
    })
}

fn plot(systems: &[&SystemReport]) -> Markup {
    let mut rows = Vec::new();
    for system in systems {
        rows.push(Row::System(&system.name));
        rows.extend(system.latency.iter().map(Row::Stage));
    }
    let all = || systems.iter().flat_map(|system| &system.latency).flat_map(|at| [at.p50, at.p95, at.p99]);
    let slowest = all().filter(|time| time.is_finite()).fold(0.0, f64::max).max(0.001);
    let words = |system: &&SystemReport| {
        let whole = system.latency.last();
        whole.map(|whole| format!("{}: median {} ms", system.name, milliseconds(whole.p50)))
    };
    let described: Vec<String> = systems.iter().filter_map(words).collect();
    let plot = Plot {
        title: "Latency of every stage".to_owned(),
        description: described.join("; "),
        size: (900, rows.len() as u32 * ROW + 74),
    };
    // Names stand left of the bars, as far as they fit; figures behind the longest bar.
    let longest = systems.iter().map(|system| system.name.chars().count()).max().unwrap_or(0);
    let left = (longest * 7 + 16).clamp(110, 400) as u32;
    let across = Axis::linear(0.0, slowest * 1.32, 8, "milliseconds", plain);
    let up = Axis { low: -(rows.len() as f64), high: 0.0, ticks: Vec::new(), title: "" };
    plot.draw("latency", |area| {
        let mut chart = chart(area, &Room { left, bottom: 46 }, &across, &up)?;
        for (at, row) in rows.iter().enumerate() {
            let middle = -(at as f64) - 0.5;
            let (zero, line) = chart.backend_coord(&(0.0, middle));
            let stage = match row {
                Row::System(name) => {
                    let style = anchored(&TEXT, HPos::Left, VPos::Center);
                    area.draw(&Text::new(shorten(name, 110), (4, line), style))?;
                    continue;
                }
                Row::Stage(stage) => stage,
            };
            let style = anchored(&MUTED, HPos::Right, VPos::Center);
            area.draw(&Text::new(shorten(&stage.stage, 14), (zero - 8, line), style))?;
            let end = |time: f64| if time.is_finite() { time.max(0.0) } else { 0.0 };
            let (p50, p95, p99) = (end(stage.p50), end(stage.p95), end(stage.p99));
            chart
                .draw_series([Rectangle::new([(0.0, middle + 0.34), (p50, middle - 0.34)], BAR.filled())])?;
            chart.draw_series([PathElement::new([(p50, middle), (p95, middle)], TEXT)])?;
            chart.draw_series([PathElement::new([(p99, middle + 0.25), (p99, middle - 0.25)], TEXT)])?;
            let figures = [stage.p50, stage.p95, stage.p99].map(milliseconds).join(" · ");
            let (behind, _) = chart.backend_coord(&(p99.max(p95).max(p50), middle));
            let style = anchored(&TEXT, HPos::Left, VPos::Center);
            area.draw(&Text::new(figures, (behind + 8, line), style))?;
        }
        Ok(())
    })
}

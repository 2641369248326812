//! Whether probabilities keep their word.

use super::ink::{BAR, MUTED, SYSTEM};
use super::{Axis, Plot, Room, anchored, capped, chart, html, legend, plain};
use crate::words::{count, number};
use crate::{Report, SystemReport};
use elodex_eval::calibration::{Bin, Reliability};
use maud::Markup;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

/// One diagram per calibrated system.
pub(crate) fn reliability_diagrams(report: &Report) -> Option<Markup> {
    let mut systems: Vec<&SystemReport> =
        report.systems.iter().filter(|system| system.reliability.is_some()).collect();
    report.best_first(&mut systems);
    if systems.is_empty() {
        return None;
    }
    Some(html! {
        (legend(&[(SYSTEM, "●", "observed"), (MUTED, "", "kept to the word")]))
        p.note {
            "Of the results given a probability, how many are relevant; above the line it says too little, below too much. "
            "Bars: how many results are in each bin."
        }
        @if let Some(note) = capped(systems.len(), "systems with probabilities") { (note) }
        div.panels {
            @for (at, system) in systems.iter().take(super::PANELS).enumerate() {
                @if let Some(reliability) = &system.reliability {
                    figure {
                        (diagram(at, &system.name, reliability))
                        figcaption {
                            strong { (system.name) } ": expected calibration error (ECE) " (number(reliability.ece, 4))
                            ", Brier score " (number(reliability.brier, 4)) "."
                        }
                        details {
                            summary { "Figures" }
                            (figures(&reliability.bins))
                        }
                    }
                }
            }
        }
    })
}

fn diagram(at: usize, name: &str, reliability: &Reliability) -> Markup {
    let filled = || reliability.bins.iter().filter(|bin| bin.samples > 0);
    let plot = Plot {
        title: format!("Reliability of {name}"),
        description: format!(
            "Observed share of relevant results by predicted probability; expected calibration error {} over {} results.",
            number(reliability.ece, 4),
            count(filled().map(|bin| bin.samples).sum::<usize>())
        ),
        size: (420, 470),
    };
    let across = Axis::linear(0.0, 1.0, 6, "", plain);
    let up = Axis::linear(0.0, 1.04, 6, "observed", plain);
    plot.draw(&format!("reliability-{at}"), |area| {
        let (above, below) = area.split_vertically(350);
        let room = |bottom| Room { left: 56, bottom };
        let mut upper = chart(&above, &room(26), &across, &up)?;
        upper.draw_series([PathElement::new([(0.0, 0.0), (1.0, 1.0)], MUTED)])?;
        let points: Vec<(f64, f64)> = filled()
            .map(|bin| (bin.predicted, bin.observed))
            .filter(|(predicted, observed)| predicted.is_finite() && observed.is_finite())
            .collect();
        upper.draw_series([PathElement::new(points.clone(), SYSTEM.stroke_width(2))])?;
        upper.draw_series(points.into_iter().map(|at| Circle::new(at, 4, SYSTEM.filled())))?;
        let most = filled().map(|bin| bin.samples).max().unwrap_or(1) as f64;
        let across = Axis { title: "predicted probability", ..Axis::linear(0.0, 1.0, 6, "", plain) };
        let up = Axis { low: 0.0, high: most * 1.35, ticks: Vec::new(), title: "results" };
        let mut lower = chart(&below, &room(46), &across, &up)?;
        for bin in filled() {
            let (left, right) = (bin.from + 0.008, bin.to - 0.008);
            let top = bin.samples as f64;
            lower.draw_series([Rectangle::new([(left, top), (right, 0.0)], BAR.filled())])?;
            let place = lower.backend_coord(&((left + right) / 2.0, top));
            let style = anchored(&MUTED, HPos::Center, VPos::Bottom);
            area.draw(&Text::new(short_count(bin.samples), (place.0, place.1 - 1), style))?;
        }
        Ok(())
    })
}

/// At most four characters.
fn short_count(samples: usize) -> String {
    match samples {
        ..10_000 => samples.to_string(),
        10_000..1_000_000 => format!("{}k", samples / 1000),
        _ => format!("{}M", samples / 1_000_000),
    }
}

fn figures(bins: &[Bin]) -> Markup {
    html! {
        div.scroll {
            table {
                thead {
                    tr {
                        th scope="col" { "probability" }
                        th scope="col" { "results" }
                        th scope="col" { "predicted" }
                        th scope="col" { "observed" }
                    }
                }
                tbody {
                    @for bin in bins {
                        tr {
                            th.figure scope="row" { (number(bin.from, 1)) "–" (number(bin.to, 1)) }
                            td { (count(bin.samples)) }
                            @if bin.samples > 0 {
                                td { (number(bin.predicted, 3)) }
                                td { (number(bin.observed, 3)) }
                            } @else {
                                td { (crate::words::NOTHING) }
                                td { (crate::words::NOTHING) }
                            }
                        }
                    }
                }
            }
        }
    }
}

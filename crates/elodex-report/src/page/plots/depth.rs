//! What deeper reranking could bring, and what it does bring.

use super::ink::{CEILING, POOL, SYSTEM};
use super::{Axis, Plot, Room, capped, chart, html, legend, logarithmic, plain};
use crate::words::number;
use crate::{DepthPoint, Report, SystemReport};
use maud::Markup;
use plotters::prelude::*;

/// One plot per system that has depths.
pub(crate) fn depth_curves(report: &Report) -> Option<Markup> {
    let mut systems: Vec<&SystemReport> =
        report.systems.iter().filter(|system| !system.depths.is_empty()).collect();
    report.best_first(&mut systems);
    if systems.is_empty() {
        return None;
    }
    let measure = report.main_measure();
    Some(html! {
        (legend(&[
            (CEILING, "■", "ceiling: a perfect reranker"),
            (POOL, "▲", "share of relevant documents among the candidates"),
            (SYSTEM, "●", "the system's own reranker"),
        ]))
        @if let Some(note) = capped(systems.len(), "systems with depths") { (note) }
        div.panels {
            @for (at, system) in systems.iter().take(super::PANELS).enumerate() {
                figure {
                    (curve(at, system, &measure))
                    figcaption { strong { (system.name) } ": " (measure) " by how many candidates are reranked." }
                    details {
                        summary { "Figures" }
                        (figures(&system.depths, &measure))
                    }
                }
            }
        }
    })
}

fn curve(at: usize, system: &SystemReport, measure: &str) -> Markup {
    let mut points = system.depths.clone();
    points.sort_by_key(|point| point.depth);
    let last = points.last().copied();
    let deepest = last.map_or(String::new(), |point| {
        let reranked = point.reranked.map_or("not measured".to_owned(), |value| number(value, 3));
        format!(
            "At depth {}: ceiling {}, share of relevant documents {}, reranked {reranked}.",
            point.depth,
            number(point.ceiling, 3),
            number(point.pool_recall, 3)
        )
    });
    let plot = Plot {
        title: format!("Depth curve of {}", system.name),
        description: format!("{measure} by rerank depth. {deepest}"),
        size: (460, 340),
    };
    let depths: Vec<f64> = points.iter().map(|point| point.depth as f64).collect();
    let across = logarithmic(&depths, "candidates (logarithmic)", plain);
    let up = Axis::linear(0.0, 1.04, 6, "", plain);
    plot.draw(&format!("depth-{at}"), |area| {
        let mut chart = chart(area, &Room { left: 44, bottom: 46 }, &across, &up)?;
        let line = |value: fn(&DepthPoint) -> Option<f64>| -> Vec<(f64, f64)> {
            points
                .iter()
                .filter(|point| point.depth > 0)
                .filter_map(|point| Some(((point.depth as f64).log10(), value(point)?)))
                .filter(|(_, value)| value.is_finite())
                .collect()
        };
        let pool = line(|point| Some(point.pool_recall));
        chart.draw_series([PathElement::new(pool.clone(), POOL.stroke_width(2))])?;
        chart.draw_series(pool.into_iter().map(|at| TriangleMarker::new(at, 5, POOL.filled())))?;
        let ceiling = line(|point| Some(point.ceiling));
        chart.draw_series([PathElement::new(ceiling.clone(), CEILING.stroke_width(2))])?;
        chart.draw_series(
            ceiling
                .into_iter()
                .map(|at| EmptyElement::at(at) + Rectangle::new([(-4, -4), (4, 4)], CEILING.filled())),
        )?;
        let reranked = line(|point| point.reranked);
        chart.draw_series([PathElement::new(reranked.clone(), SYSTEM.stroke_width(2))])?;
        chart.draw_series(reranked.into_iter().map(|at| Circle::new(at, 4, SYSTEM.filled())))?;
        Ok(())
    })
}

fn figures(points: &[DepthPoint], measure: &str) -> Markup {
    html! {
        div.scroll {
            table {
                thead {
                    tr {
                        th scope="col" { "depth" }
                        th scope="col" { "ceiling (" (measure) ")" }
                        th scope="col" { "share of relevant" }
                        th scope="col" { "reranked (" (measure) ")" }
                    }
                }
                tbody {
                    @for point in points {
                        tr {
                            th.figure scope="row" { (point.depth) }
                            td { (number(point.ceiling, 4)) }
                            td { (number(point.pool_recall, 4)) }
                            td { (number(point.reranked.unwrap_or(f64::NAN), 4)) }
                        }
                    }
                }
            }
        }
    }
}

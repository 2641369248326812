//! What quality costs in time.

use super::ink::{GAIN, MUTED, SYSTEM, TEXT};
use super::{Axis, Plot, Room, anchored, chart, html, legend, logarithmic, plain};
use crate::Report;
use crate::words::{interval, milliseconds, number};
use maud::Markup;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

/// A system with a time and a value.
struct Point<'a> {
    number: usize,
    name: &'a str,
    is_reranked: bool,
    time: f64,
    value: f64,
    low: f64,
    high: f64,
    around: String,
}

/// The whole query's median against the main measure, every system a point.
pub(crate) fn latency_against_quality(report: &Report) -> Option<Markup> {
    let points = points(report);
    if points.is_empty() {
        return None;
    }
    let measure = report.main_measure();
    let left_out = report.systems.len() - points.len();
    Some(html! {
        (legend(&[(SYSTEM, "●", "one stage"), (GAIN, "▲", "two stages")]))
        figure {
            (plot(&points, &measure))
            figcaption {
                (measure) " with its interval against the median of the whole query. Numbers are those of the list."
                @if left_out > 0 { " Without latency or value, so not drawn: " (left_out) "." }
            }
        }
        div.scroll {
            table {
                thead {
                    tr {
                        th scope="col" { "№" }
                        th.words scope="col" { "system" }
                        th scope="col" { "median ms" }
                        th scope="col" { (measure) }
                        th scope="col" { "interval" }
                    }
                }
                tbody {
                    @for point in &points {
                        tr {
                            td { (point.number) }
                            th.words scope="row" { (point.name) }
                            td { (milliseconds(point.time)) }
                            td { (number(point.value, 4)) }
                            td { (point.around) }
                        }
                    }
                }
            }
        }
    })
}

fn points(report: &Report) -> Vec<Point<'_>> {
    let mut points = Vec::new();
    for (at, system) in report.systems.iter().enumerate() {
        let (Some(whole), Some(mean)) = (system.latency.last(), system.means.first()) else { continue };
        if !(whole.p50.is_finite() && whole.p50 > 0.0 && mean.mean.is_finite()) {
            continue;
        }
        let end = |end: f64| if end.is_finite() { end } else { mean.mean };
        points.push(Point {
            number: at + 1,
            name: &system.name,
            is_reranked: system.first_stage.is_some(),
            time: whole.p50,
            value: mean.mean,
            low: end(mean.low),
            high: end(mean.high),
            around: interval(mean),
        });
    }
    points
}

fn plot(points: &[Point<'_>], measure: &str) -> Markup {
    let best = points.iter().max_by(|one, other| one.value.total_cmp(&other.value));
    let fastest = points.iter().min_by(|one, other| one.time.total_cmp(&other.time));
    let mut description = String::new();
    if let (Some(best), Some(fastest)) = (best, fastest) {
        description = format!(
            "{} systems. Best: {} with {measure} {} in {} ms. Fastest: {} with {} in {} ms.",
            points.len(),
            best.name,
            number(best.value, 3),
            milliseconds(best.time),
            fastest.name,
            number(fastest.value, 3),
            milliseconds(fastest.time)
        );
    }
    let plot = Plot { title: format!("Latency against {measure}"), description, size: (900, 420) };
    let times: Vec<f64> = points.iter().map(|point| point.time).collect();
    let across = logarithmic(&times, "median of the whole query, ms (logarithmic)", plain);
    let ends = || points.iter().flat_map(|point| [point.low, point.value, point.high]);
    let lowest = ends().fold(1.0, f64::min).max(0.0);
    let highest = ends().fold(0.0, f64::max).clamp(lowest, 1.0);
    let room = ((highest - lowest) * 0.08).max(0.01);
    let up = Axis::linear((lowest - room).max(0.0), (highest + room).min(1.02), 7, "", plain);
    plot.draw("scatter", |area| {
        let mut chart = chart(area, &Room { left: 56, bottom: 46 }, &across, &up)?;
        for point in points {
            let across = point.time.log10();
            chart.draw_series([PathElement::new(
                [(across, point.low), (across, point.high)],
                MUTED.mix(0.7),
            )])?;
        }
        let mut labels = Labels::default();
        for point in points {
            let at = (point.time.log10(), point.value);
            if point.is_reranked {
                chart.draw_series([TriangleMarker::new(at, 8, GAIN.filled())])?;
            } else {
                chart.draw_series([Circle::new(at, 5, SYSTEM.filled())])?;
            }
            labels.taken.push(chart.backend_coord(&at));
        }
        for point in points {
            let at = chart.backend_coord(&(point.time.log10(), point.value));
            let place = labels.place(at);
            let style = anchored(&TEXT, HPos::Center, VPos::Center);
            area.draw(&Text::new(point.number.to_string(), place, style))?;
        }
        Ok(())
    })
}

/// Numbers beside points, where nothing is yet.
#[derive(Default)]
struct Labels {
    taken: Vec<(i32, i32)>,
}

impl Labels {
    /// The nearest place around `at` that is free; beside it, if none is.
    fn place(&mut self, at: (i32, i32)) -> (i32, i32) {
        const AROUND: [(i32, i32); 12] = [
            (15, 0),
            (-15, 0),
            (12, -13),
            (-12, -13),
            (12, 13),
            (-12, 13),
            (30, 0),
            (-30, 0),
            (26, -20),
            (-26, -20),
            (26, 20),
            (-26, 20),
        ];
        let places = AROUND.map(|(across, down)| (at.0 + across, at.1 + down));
        let is_free = |place: &&(i32, i32)| {
            self.taken.iter().all(|other| (other.0 - place.0).abs() >= 14 || (other.1 - place.1).abs() >= 12)
        };
        let place = *places.iter().find(is_free).unwrap_or(&places[0]);
        self.taken.push(place);
        place
    }
}

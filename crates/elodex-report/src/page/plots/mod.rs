//! Plots as SVG inside the page. `plotters` draws with colours that stand for roles; a style sheet gives each role its
//! colour and dashes in light, dark and print.

mod depth;
mod ink;
mod latency;
mod moves;
mod reliability;
mod scatter;

pub(super) use depth::depth_curves;
pub(super) use ink::styles;
pub(super) use latency::stage_latencies;
pub(super) use moves::rank_moves;
pub(super) use reliability::reliability_diagrams;
pub(super) use scatter::latency_against_quality;

use ink::{GRID, MUTED, TEXT};
use maud::{Markup, PreEscaped, html};
use plotters::coord::Shift;
use plotters::coord::ranged1d::{BoldPoints, KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use std::error::Error;

/// Plots of a kind side by side at most; the tables hold the others.
const PANELS: usize = 6;
/// Size of letters; `plotters` divides it by 1.24 on its way to SVG.
const LETTERS: f64 = 15.0;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Chart<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<Axis, Axis>>;
type Drawn = Result<(), Box<dyn Error>>;

/// One plot with what is to be read beside it.
struct Plot {
    /// For people who cannot see it, and shown on hovering.
    title: String,
    /// What it shows, in words.
    description: String,
    size: (u32, u32),
}

impl Plot {
    /// Draws it; `id` is unique in the page.
    fn draw(&self, id: &str, draw: impl FnOnce(&Area<'_>) -> Drawn) -> Markup {
        let mut svg = String::new();
        let drawn = {
            let area = SVGBackend::with_string(&mut svg, self.size).into_drawing_area();
            draw(&area).and_then(|()| area.present().map_err(Box::from))
        };
        // The root element is ours: it carries the names, and scales with the page.
        let inside = svg.split_once('\n').map(|(_, rest)| rest.trim_end());
        let inside = inside.and_then(|rest| rest.strip_suffix("</svg>"));
        let (Ok(()), Some(inside)) = (drawn, inside) else {
            return html! { p.note { "This plot could not be drawn: " (self.title) } };
        };
        let (width, height) = self.size;
        html! {
            svg.plot role="img" aria-labelledby=(format!("{id}-title {id}-text")) viewBox=(format!("0 0 {width} {height}"))
                style=(format!("max-width:{width}px")) {
                title id=(format!("{id}-title")) { (self.title) }
                desc id=(format!("{id}-text")) { (self.description) }
                (PreEscaped(inside))
            }
        }
    }
}

/// One linear axis: what it spans, where its ticks are and what they say.
#[derive(Debug, Clone)]
struct Axis {
    low: f64,
    high: f64,
    ticks: Vec<(f64, String)>,
    title: &'static str,
}

impl Axis {
    /// From `low` to `high` with about `count` ticks at round numbers.
    fn linear(low: f64, high: f64, count: usize, title: &'static str, label: fn(f64) -> String) -> Self {
        let scale = RangedCoordf64::from(low..high);
        let ticks = scale.key_points(BoldPoints(count)).into_iter().map(|at| (at, label(at))).collect();
        Self { low, high, ticks, title }
    }
}

impl Ranged for Axis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        // What is beyond the axis stands at its end: far beyond it, pixels would overflow.
        let within = if value.is_nan() { self.low } else { value.clamp(self.low, self.high) };
        RangedCoordf64::from(self.range()).map(&within, limit)
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        if hint.weight().allow_light_points() {
            return Vec::new();
        }
        self.ticks.iter().map(|(at, _)| *at).collect()
    }

    fn range(&self) -> std::ops::Range<f64> {
        self.low..self.high
    }
}

impl ValueFormatter<f64> for Axis {
    fn format_ext(&self, at: &f64) -> String {
        let found = self.ticks.iter().find(|(tick, _)| tick == at);
        found.map(|(_, label)| label.clone()).unwrap_or_default()
    }
}

/// Room around a chart for its labels.
struct Room {
    left: u32,
    bottom: u32,
}

/// A chart with axes, a faint grid and labels.
fn chart<'a, 'b>(
    area: &'a Area<'b>,
    room: &Room,
    across: &Axis,
    up: &Axis,
) -> Result<Chart<'a, 'b>, Box<dyn Error>> {
    let mut chart = ChartBuilder::on(area)
        .margin_top(12)
        .margin_right(16)
        .set_label_area_size(LabelAreaPosition::Left, room.left)
        .set_label_area_size(LabelAreaPosition::Bottom, room.bottom)
        .build_cartesian_2d(across.clone(), up.clone())?;
    chart
        .configure_mesh()
        .bold_line_style(GRID)
        .light_line_style(TRANSPARENT)
        .axis_style(MUTED)
        .x_labels(across.ticks.len())
        .y_labels(up.ticks.len())
        .x_desc(across.title)
        .y_desc(up.title)
        .label_style(letters(&MUTED))
        .axis_desc_style(letters(&TEXT))
        .draw()?;
    Ok(chart)
}

fn letters(colour: &RGBColor) -> TextStyle<'static> {
    ("sans-serif", LETTERS).into_font().color(colour)
}

fn anchored(colour: &RGBColor, across: HPos, up: VPos) -> TextStyle<'static> {
    letters(colour).pos(Pos::new(across, up))
}

/// A logarithmic axis over positive values, from below the lowest to above the highest; positions are log10.
fn logarithmic(values: &[f64], title: &'static str, label: fn(f64) -> String) -> Axis {
    let positive = || values.iter().copied().filter(|value| value.is_finite() && *value > 0.0);
    let low = positive().fold(f64::INFINITY, f64::min);
    let high = positive().fold(0.0, f64::max);
    let (low, high) = if low.is_finite() { (low.log10(), high.log10()) } else { (0.0, 1.0) };
    let room = ((high - low) * 0.08).max(0.12);
    let (low, high) = (low - room, high + room);
    let steps: &[f64] = if high - low > 3.5 { &[1.0] } else { &[1.0, 2.0, 5.0] };
    let mut ticks = Vec::new();
    for decade in low.floor() as i32..=high.ceil() as i32 {
        for step in steps {
            let at = (step * 10_f64.powi(decade)).log10();
            if at >= low && at <= high {
                ticks.push((at, label(step * 10_f64.powi(decade))));
            }
        }
    }
    Axis { low, high, ticks, title }
}

/// `0.25`, without zeros at the end.
fn plain(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Which of a list are drawn, and a sentence on those that are not.
fn capped(all: usize, what: &str) -> Option<Markup> {
    (all > PANELS).then(|| {
        html! { p.note { "Drawn for the best " (PANELS) " of " (all) " " (what) "." } }
    })
}

/// A legend: each entry's mark is a piece of the plot's own style, so that it follows the theme.
fn legend(entries: &[(RGBColor, &str, &str)]) -> Markup {
    html! {
        ul.legend {
            @for (colour, mark, label) in entries {
                li {
                    svg.plot.swatch viewBox="0 0 40 14" aria-hidden="true" {
                        line x1="0" y1="7" x2="40" y2="7" stroke-width="2" stroke=(ink::hex(*colour)) {}
                        text x="20" y="12" text-anchor="middle" font-size="13" fill=(ink::hex(*colour)) { (mark) }
                    }
                    (label)
                }
            }
        }
    }
}

//! Where a second stage moves the relevant documents.

use super::ink::{GAIN, LOSS, SAME, TEXT};
use super::{Axis, Plot, Room, anchored, capped, chart, html, legend};
use crate::words::{count, counted};
use crate::{RankMove, Report, SystemReport};
use maud::Markup;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// Lines of a diagram in each direction, so that many gains do not hide the losses.
const LINES: usize = 50;
/// Ranks that get a tick, where they occur.
const RANKS: [usize; 11] = [1, 2, 3, 5, 10, 20, 50, 100, 200, 500, 1000];

/// A rank before and one after.
type Ranks = (Option<usize>, Option<usize>);

/// How ranks of relevant documents changed, and how often.
struct Moves {
    /// The commonest first, then the farthest.
    kinds: Vec<(Ranks, usize)>,
    gained: usize,
    lost: usize,
    stayed: usize,
    /// Neither stage has them.
    absent: usize,
    lowest: usize,
    has_absent: bool,
}

impl Moves {
    fn of(moves: &[RankMove]) -> Self {
        let mut counts: BTreeMap<Ranks, usize> = BTreeMap::new();
        for each in moves {
            *counts.entry((each.before, each.after)).or_default() += 1;
        }
        let absent = counts.remove(&(None, None)).unwrap_or_default();
        let total = |wanted: Ordering| {
            counts
                .iter()
                .filter(|((before, after), _)| direction(*before, *after) == wanted)
                .map(|(_, n)| n)
                .sum()
        };
        let ranks = || counts.keys().flat_map(|(before, after)| [*before, *after]);
        let (gained, lost, stayed) =
            (total(Ordering::Greater), total(Ordering::Less), total(Ordering::Equal));
        let lowest = ranks().flatten().max().unwrap_or(1);
        let has_absent = ranks().any(|rank| rank.is_none());
        let mut kinds: Vec<_> = counts.into_iter().collect();
        kinds.sort_by(|(one, many), (other, more)| {
            more.cmp(many).then(distance(*other).total_cmp(&distance(*one)))
        });
        Self { kinds, gained, lost, stayed, absent, lowest, has_absent }
    }

    /// What is drawn: the commonest of each direction; losses last, on top.
    fn drawn(&self) -> Vec<&(Ranks, usize)> {
        let mut drawn = Vec::new();
        for wanted in [Ordering::Equal, Ordering::Greater, Ordering::Less] {
            let kinds = self.kinds.iter().filter(|((before, after), _)| direction(*before, *after) == wanted);
            drawn.extend(kinds.take(LINES));
        }
        drawn
    }

    /// Where a rank stands: the logarithm, upside down; what is absent stands below all ranks.
    fn height(&self, rank: Option<usize>) -> f64 {
        let floor = -(self.lowest.max(10) as f64).ln();
        rank.map_or(floor * 1.14, |rank| -(rank.max(1) as f64).ln())
    }

    fn axis(&self) -> Axis {
        let mut ticks: Vec<(f64, String)> = RANKS
            .iter()
            .filter(|&&rank| rank <= self.lowest.max(10))
            .map(|&rank| (self.height(Some(rank)), rank.to_string()))
            .collect();
        if self.has_absent {
            ticks.push((self.height(None), "absent".to_owned()));
        }
        Axis { low: self.height(None) * 1.06, high: 0.25, ticks, title: "rank (logarithmic)" }
    }
}

/// `Greater`: nearer to the top.
fn direction(before: Option<usize>, after: Option<usize>) -> Ordering {
    before.unwrap_or(usize::MAX).cmp(&after.unwrap_or(usize::MAX))
}

fn distance((before, after): Ranks) -> f64 {
    let height = |rank: Option<usize>| rank.map_or(10.0, |rank| (rank.max(1) as f64).ln());
    (height(before) - height(after)).abs()
}

/// One diagram per second stage.
pub(crate) fn rank_moves(report: &Report) -> Option<Markup> {
    let mut systems: Vec<&SystemReport> =
        report.systems.iter().filter(|system| !system.moves.is_empty()).collect();
    report.best_first(&mut systems);
    if systems.is_empty() {
        return None;
    }
    Some(html! {
        (legend(&[
            (GAIN, "▲", "nearer to the top"),
            (LOSS, "▼", "farther down"),
            (SAME, "●", "same rank"),
        ]))
        p.note {
            "Each line is the ranks of relevant documents before and after the second stage; thicker: more documents. "
            "\"Absent\": not among the results of that stage."
        }
        @if let Some(note) = capped(systems.len(), "systems with a second stage") { (note) }
        div.panels {
            @for (at, system) in systems.iter().take(super::PANELS).enumerate() {
                figure { (diagram(at, system)) }
            }
        }
    })
}

fn diagram(at: usize, system: &SystemReport) -> Markup {
    let moves = Moves::of(&system.moves);
    let summary = format!(
        "{} up, {} down, {} at the same rank, {} in neither stage",
        counted(moves.gained, "relevant document", "relevant documents"),
        count(moves.lost),
        count(moves.stayed),
        count(moves.absent)
    );
    let plot = Plot {
        title: format!("Rank moves of {}", system.name),
        description: format!("{}: {summary}.", system.name),
        size: (460, 420),
    };
    let across = Axis {
        low: -0.12,
        high: 1.12,
        ticks: vec![(0.0, "first stage".to_owned()), (1.0, "second stage".to_owned())],
        title: "",
    };
    let svg = plot.draw(&format!("moves-{at}"), |area| {
        let mut chart = chart(area, &Room { left: 64, bottom: 30 }, &across, &moves.axis())?;
        let most = moves.kinds.iter().map(|(_, n)| *n).max().unwrap_or(1);
        for ((before, after), documents) in moves.drawn() {
            let from = (0.0, moves.height(*before));
            let to = (1.0, moves.height(*after));
            let colour = match direction(*before, *after) {
                Ordering::Greater => GAIN,
                Ordering::Less => LOSS,
                Ordering::Equal => SAME,
            };
            let share = (*documents as f64).ln_1p() / (most.max(2) as f64).ln_1p();
            let style = colour.mix(0.3 + 0.6 * share).stroke_width(1 + (share * 3.0).round() as u32);
            chart.draw_series([PathElement::new([from, to], style)])?;
            chart.draw_series([Circle::new(from, 3, colour.filled())])?;
            match direction(*before, *after) {
                Ordering::Equal => chart.draw_series([Circle::new(to, 3, colour.filled())])?,
                Ordering::Greater => chart.draw_series([TriangleMarker::new(to, 6, colour.filled())])?,
                Ordering::Less => chart.draw_series([TriangleMarker::new(to, -6, colour.filled())])?,
            };
            if *documents > 1 && moves.kinds.len() <= 12 {
                let beside = anchored(&TEXT, HPos::Left, VPos::Center);
                let place = chart.backend_coord(&to);
                area.draw(&Text::new(format!("× {documents}"), (place.0 + 9, place.1), beside))?;
            }
        }
        Ok(())
    });
    html! {
        (svg)
        figcaption {
            strong { (system.name) } ": " (summary) "."
            @let drawn = moves.drawn().len();
            @if moves.kinds.len() > drawn {
                " Drawn: " (drawn) " of " (count(moves.kinds.len())) " different moves, the commonest in each direction."
            }
        }
    }
}

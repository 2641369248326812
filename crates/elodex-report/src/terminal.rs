//! A report as tables for a terminal.

use crate::words::{
    NOTHING, chance, count, counted, dollars, interval, milliseconds, number, shorten, signed,
    signed_interval, verdict,
};
use crate::{PairComparison, Report, SystemReport};
use comfy_table::{Cell, CellAlignment, ContentArrangement, LineStyle, Table, TableStyle};

/// Narrower than this, tables would fall apart.
const NARROWEST: usize = 40;
/// Queries that lost most.
const QUERIES: usize = 5;
/// Columns a measure's figures need.
const MEASURE: usize = 13;
/// Columns that names of systems and the main measure's figures need.
const NAMES: usize = 46;

/// The report for `width` columns, at least 40, with bold headings and a highlighted finding where `colour` is wanted.
/// The page has what is not here: plots, and every query.
pub fn terminal(report: &Report, width: usize, colour: bool) -> String {
    let mut screen = Screen { text: String::new(), width: width.max(NARROWEST), colour };
    head(&mut screen, report);
    systems(&mut screen, report);
    comparisons(&mut screen, report);
    latencies(&mut screen, report);
    costs(&mut screen, report);
    reliabilities(&mut screen, report);
    worst_queries(&mut screen, report);
    findings(&mut screen, report);
    screen.heading("Again");
    // A command is to be copied: it is not broken into lines.
    screen.line(&report.command);
    screen.text.trim_end().to_owned()
}

/// Text that grows.
struct Screen {
    text: String,
    width: usize,
    colour: bool,
}

impl Screen {
    fn heading(&mut self, text: &str) {
        let lines = self.wrapped(text);
        self.text.push('\n');
        self.styled(&lines, BOLD);
    }

    /// Words, broken into lines.
    fn prose(&mut self, text: &str) {
        let lines = self.wrapped(text);
        self.line(&lines);
    }

    fn highlighted(&mut self, text: &str) {
        let lines = self.wrapped(text);
        self.styled(&lines, FINDING);
    }

    fn line(&mut self, text: &str) {
        self.text.push_str(&printable(text));
        self.text.push('\n');
    }

    fn styled(&mut self, lines: &str, style: &str) {
        for line in printable(lines).lines() {
            match self.colour {
                true => self.text.push_str(&format!("{style}{line}{PLAIN}\n")),
                false => self.text.push_str(&format!("{line}\n")),
            }
        }
    }

    fn wrapped(&self, text: &str) -> String {
        let mut table = self.empty_table();
        table.add_row([printable(text)]);
        rendered(&mut table)
    }

    fn empty_table(&self) -> Table {
        let mut table = Table::new();
        table
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_width(u16::try_from(self.width).unwrap_or(u16::MAX))
            .load_style(TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─')));
        table
    }

    /// The first `words` columns to the left, figures to the right.
    fn table(&mut self, words: usize, header: &[String], rows: &[Vec<String>]) {
        let cell = |at: usize, text: &String| {
            let alignment = if at < words { CellAlignment::Left } else { CellAlignment::Right };
            Cell::new(printable(text)).set_alignment(alignment)
        };
        let cells = |row: &[String]| -> Vec<Cell> {
            row.iter().enumerate().map(|(at, text)| cell(at, text)).collect()
        };
        let mut table = self.empty_table();
        table.set_header(cells(header));
        for row in rows {
            table.add_row(cells(row));
        }
        let text = rendered(&mut table);
        self.text.push_str(&text);
        self.text.push('\n');
    }
}

const BOLD: &str = "\u{1b}[1m";
const FINDING: &str = "\u{1b}[1;36m";
const PLAIN: &str = "\u{1b}[0m";

/// Ids and texts come from files: what steers a terminal is shown as a replacement character.
fn printable(text: &str) -> String {
    text.chars().map(|char| if char.is_control() && char != '\n' { '\u{fffd}' } else { char }).collect()
}

fn rendered(table: &mut Table) -> String {
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    if let Some(last) = table.column_iter_mut().last() {
        last.set_padding((0, 0));
    }
    table.trim_fmt()
}

fn owned<const N: usize>(cells: [&str; N]) -> Vec<String> {
    cells.map(str::to_owned).to_vec()
}

fn head(screen: &mut Screen, report: &Report) {
    let collection = &report.collection;
    let documents = collection.documents.map(|documents| format!("{} documents, ", count(documents)));
    screen.prose(&format!(
        "{}: {}{}, {} from {}",
        collection.name,
        documents.unwrap_or_default(),
        counted(collection.queries, "query", "queries"),
        counted(collection.judgements, "judgement", "judgements"),
        collection.qrels
    ));
    for note in &report.notes {
        screen.prose(note);
    }
    screen.text.push('\n');
    for (at, sentence) in report.headline().iter().enumerate() {
        if at == 0 { screen.highlighted(sentence) } else { screen.prose(sentence) }
    }
}

/// The main measure with its interval, others beside it as far as there is room, the rest in tables of their own.
fn systems(screen: &mut Screen, report: &Report) {
    screen.heading("Systems");
    let beside = (screen.width.saturating_sub(NAMES) / MEASURE).max(1);
    let mean = |system: &SystemReport, at: usize| system.means.get(at).copied();
    let value = |system: &SystemReport, at: usize| {
        mean(system, at).map_or(NOTHING.to_owned(), |mean| number(mean.mean, 4))
    };
    let all: Vec<usize> = (1..report.measures.len()).collect();
    let first = &all[..beside.min(all.len())];
    let mut header = owned(["system", &report.main_measure(), "interval"]);
    header.extend(first.iter().map(|&at| report.measures[at].to_string()));
    let row = |system: &SystemReport| {
        let around = mean(system, 0).map_or(NOTHING.to_owned(), |mean| interval(&mean));
        let mut row = vec![system.name.clone(), value(system, 0), around];
        row.extend(first.iter().map(|&at| value(system, at)));
        row
    };
    screen.table(1, &header, &report.systems.iter().map(row).collect::<Vec<_>>());
    let block = (screen.width.saturating_sub(26) / MEASURE).max(1);
    for measures in all[first.len()..].chunks(block) {
        screen.text.push('\n');
        let mut header = owned(["system"]);
        header.extend(measures.iter().map(|&at| report.measures[at].to_string()));
        let row = |system: &SystemReport| {
            let mut row = vec![system.name.clone()];
            row.extend(measures.iter().map(|&at| value(system, at)));
            row
        };
        screen.table(1, &header, &report.systems.iter().map(row).collect::<Vec<_>>());
    }
}

fn comparisons(screen: &mut Screen, report: &Report) {
    if report.comparisons.is_empty() {
        return;
    }
    screen.heading(&format!("Comparisons by {}", report.main_measure()));
    let (wide, narrow) = (screen.width >= 110, screen.width < 80);
    let mut header = owned(["candidate", "against", "difference"]);
    if !narrow {
        header.push("interval".to_owned());
    }
    header.push("p".to_owned());
    if wide {
        header.extend(owned(["effect d", "wins·ties·losses"]));
    }
    header.push("verdict".to_owned());
    let row = |pair: &PairComparison| {
        let comparison = &pair.comparison;
        let mut row =
            vec![pair.candidate.clone(), pair.baseline.clone(), signed(comparison.difference.mean, 4)];
        if !narrow {
            row.push(signed_interval(&comparison.difference));
        }
        row.push(chance(comparison.randomisation.p));
        if wide {
            row.push(signed(comparison.effect_size.unwrap_or(f64::NAN), 2));
            row.push(format!("{}·{}·{}", comparison.wins, comparison.ties, comparison.losses));
        }
        row.push(verdict(comparison).to_owned());
        row
    };
    screen.table(2, &header, &report.comparisons.iter().map(row).collect::<Vec<_>>());
}

fn latencies(screen: &mut Screen, report: &Report) {
    let mut rows = Vec::new();
    for system in &report.systems {
        for (at, stage) in system.latency.iter().enumerate() {
            rows.push(vec![
                if at == 0 { system.name.clone() } else { String::new() },
                stage.stage.clone(),
                milliseconds(stage.p50),
                milliseconds(stage.p95),
                milliseconds(stage.p99),
            ]);
        }
    }
    if rows.is_empty() {
        return;
    }
    screen.heading("Latency by stage, milliseconds");
    screen.table(2, &owned(["system", "stage", "p50", "p95", "p99"]), &rows);
    for system in &report.systems {
        if let Some(pairs) = system.pairs_per_second {
            screen.prose(&format!("{}: {} pairs/s", system.name, number(pairs, 0)));
        }
    }
}

fn costs(screen: &mut Screen, report: &Report) {
    let mut rows = Vec::new();
    for system in &report.systems {
        for (at, cost) in system.costs.iter().enumerate() {
            let name = if at == 0 { system.name.clone() } else { String::new() };
            rows.push(vec![name, cost.name.clone(), dollars(cost.usd_per_1000_queries)]);
        }
    }
    if rows.is_empty() {
        return;
    }
    screen.heading("Cost of 1,000 queries");
    screen.table(2, &owned(["system", "price", "US dollars"]), &rows);
}

fn reliabilities(screen: &mut Screen, report: &Report) {
    let mut rows = Vec::new();
    for system in &report.systems {
        if let Some(reliability) = &system.reliability {
            let samples: usize = reliability.bins.iter().map(|bin| bin.samples).sum();
            let (ece, brier) = (number(reliability.ece, 4), number(reliability.brier, 4));
            rows.push(vec![system.name.clone(), count(samples), ece, brier]);
        }
    }
    if rows.is_empty() {
        return;
    }
    screen.heading("Reliability of probabilities, on queries that were not fitted");
    screen.table(1, &owned(["system", "results", "ECE", "Brier"]), &rows);
}

fn worst_queries(screen: &mut Screen, report: &Report) {
    let Some(pair) = report.focus() else { return };
    let rows: Vec<Vec<String>> = report
        .queries_by_change()
        .into_iter()
        .filter(|(_, change)| *change < 0.0)
        .take(QUERIES)
        .map(|(row, change)| {
            let text = row.text.as_deref().unwrap_or_default();
            vec![signed(change, 4), row.id.clone(), shorten(text, screen.width.saturating_sub(26).max(16))]
        })
        .collect();
    if rows.is_empty() {
        return;
    }
    screen.heading(&format!("Worst losses of {} against {}", pair.candidate, pair.baseline));
    screen.table(3, &owned(["change", "query", "text"]), &rows);
}

fn findings(screen: &mut Screen, report: &Report) {
    if report.findings.is_empty() {
        return;
    }
    screen.heading("Findings about the input");
    for finding in &report.findings {
        let more = if finding.count > finding.places.len() { ", …" } else { "" };
        screen.prose(&format!(
            "{} {}: {}{more}",
            count(finding.count),
            finding.kind.describe(),
            finding.places.join(", ")
        ));
    }
}

//! `elodex zelo report`: what a run has come to so far.

use super::arguments::{Kind, ReportArgs};
use super::calibration::{self, Calibrated};
use super::fitting::Fitted;
use super::folder::{RunFolder, write_whole};
use super::training::Record;
use super::work::Work;
use crate::output;
use elodex_train::battle::{Decision, PositionBias, Spent};
use elodex_train::training::{Bin, Progress};
use serde::Serialize;
use std::fmt::Write as _;

/// All there is to say of a run.
#[derive(Serialize)]
struct Report {
    folder: String,
    queries: usize,
    candidates: usize,
    judges: Vec<JudgeRow>,
    position_bias: Vec<PositionBias>,
    fit: Option<Fitted>,
    trainings: Vec<Training>,
    calibration: Option<Calibrated>,
}

#[derive(Serialize)]
struct JudgeRow {
    judge: String,
    verdicts: usize,
    ties: usize,
    failures: usize,
    spent: Spent,
}

#[derive(Serialize)]
struct Training {
    record: Record,
    log: Vec<Progress>,
}

/// A heading with a table under it.
struct Section {
    title: String,
    header: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

pub(crate) fn report(work: &Work<'_>, arguments: &ReportArgs) -> anyhow::Result<()> {
    let run = RunFolder::open(&arguments.run.folder)?;
    let report = Report::of(&run)?;
    let sections = report.sections();
    if let Some(path) = &arguments.output {
        let mut text = format!("# The run `{}`\n", report.folder);
        sections.iter().for_each(|section| section.markdown(&mut text));
        write_whole(path, text.as_bytes())?;
        output::note(format!("written to `{}`", path.display()));
    }
    if work.json {
        return output::line(serde_json::to_string_pretty(&report)?);
    }
    for section in &sections {
        output::line(format!("{}\n", section.title))?;
        output::line(output::table(&section.header, &section.rows))?;
        output::line("")?;
    }
    Ok(())
}

impl Report {
    fn of(run: &RunFolder) -> anyhow::Result<Self> {
        let (mut queries, mut candidates) = (0, 0);
        let mut judges = Vec::new();
        let mut position_bias = Vec::new();
        let arena = if run.is_begun() { Some(run.arena()?) } else { None };
        if let Some(arena) = &arena {
            queries = arena.candidates().len();
            candidates = arena.candidates().map(|(_, ranking)| ranking.len()).sum();
        }
        if let Some(arena) = arena.filter(|_| run.file("battles.jsonl").is_file()) {
            let log = run.log(&arena)?;
            for (judge, spent) in log.judges() {
                let count = |wanted: &dyn Fn(&Decision) -> bool| {
                    let own = log.battles().iter().filter(|battle| battle.judge == judge);
                    own.filter(|battle| wanted(&battle.decision)).count()
                };
                judges.push(JudgeRow {
                    judge: judge.to_owned(),
                    verdicts: count(&|decision| matches!(decision, Decision::Verdict { .. })),
                    ties: count(&|decision| matches!(decision, Decision::Tie)),
                    failures: count(&|decision| matches!(decision, Decision::Failure { .. })),
                    spent,
                });
            }
            position_bias = PositionBias::of(log.battles());
        }
        let mut trainings = Vec::new();
        for kind in [Kind::Reranker, Kind::Pairwise, Kind::Embedder] {
            if run.file(&format!("{}/log.jsonl", kind.name())).is_file() {
                let record = Record::of(run, kind)?;
                trainings.push(Training { log: record.log(run)?, record });
            }
        }
        let calibrated = run.file("reranker/best.safetensors").is_file();
        Ok(Self {
            folder: run.shown().to_string(),
            queries,
            candidates,
            judges,
            position_bias,
            fit: run.read_optional("fit.json")?,
            trainings,
            calibration: if calibrated { calibration::read(run)? } else { None },
        })
    }

    fn sections(&self) -> Vec<Section> {
        let mut sections = vec![Section {
            title: "Candidates".to_owned(),
            header: vec!["queries", "candidates"],
            rows: vec![vec![self.queries.to_string(), self.candidates.to_string()]],
        }];
        if !self.judges.is_empty() {
            let rows = self.judges.iter().map(|row| {
                let JudgeRow { judge, verdicts, ties, failures, spent } = row;
                let cost = format!("{:.4}", spent.cost);
                vec![verdicts.to_string(), ties.to_string(), failures.to_string(), cost, judge.clone()]
            });
            sections.push(Section {
                title: "Battles".to_owned(),
                header: vec!["verdicts", "ties", "failures", "cost", "judge"],
                rows: rows.collect(),
            });
        }
        if !self.position_bias.is_empty() {
            sections.push(Section {
                title: "Order of the two documents".to_owned(),
                header: vec!["judge"],
                rows: self.position_bias.iter().map(|bias| vec![bias.to_string()]).collect(),
            });
        }
        if let Some(fit) = &self.fit {
            sections.push(Section {
                title: "Targets".to_owned(),
                header: vec!["of", "to", "documents"],
                rows: fit
                    .targets
                    .iter()
                    .enumerate()
                    .map(|(tenth, count)| vec![tenths(tenth), tenths(tenth + 1), count.to_string()])
                    .collect(),
            });
        }
        for Training { record, log } in &self.trainings {
            sections.extend(training(record, log));
        }
        if let Some(calibration) = &self.calibration {
            let title = format!(
                "Calibration: σ({:.4} · logit {:+.4}), error {:.4} before, {:.4} after",
                calibration.scaling.a,
                calibration.scaling.b,
                calibration.error_before,
                calibration.error_after
            );
            sections.push(reliability(title, &calibration.reliability));
        }
        sections
    }
}

fn training(record: &Record, log: &[Progress]) -> Vec<Section> {
    let name = record.kind.name();
    let evaluated = || log.iter().filter_map(|progress| Some((progress, progress.dev.as_ref()?)));
    let mut header = vec!["step", "loss", "loss, kept out", "ndcg@10, kept out"];
    if record.kind != Kind::Embedder {
        header.push("calibration error");
    }
    let rows = evaluated().map(|(progress, dev)| {
        let mut cells = vec![
            progress.step.to_string(),
            format!("{:.4}", progress.loss),
            format!("{:.4}", dev.loss),
            format!("{:.4}", dev.ndcg_at_10),
        ];
        cells.extend(dev.calibration.iter().map(|calibration| format!("{:.4}", calibration.error)));
        cells
    });
    let mut sections = vec![Section {
        title: format!("Training of the {name}, from `{}` on {}", record.model, record.learns.describe()),
        header,
        rows: rows.collect(),
    }];
    let best = evaluated().min_by(|(_, one), (_, other)| one.loss.total_cmp(&other.loss));
    if let Some((progress, dev)) = best
        && let Some(calibration) = &dev.calibration
    {
        let title = format!("Reliability of the {name} at step {}, on what was kept out", progress.step);
        sections.push(reliability(title, &calibration.reliability));
    }
    sections
}

fn reliability(title: String, bins: &[Bin]) -> Section {
    let rows = bins.iter().enumerate().filter(|(_, bin)| bin.count > 0).map(|(tenth, bin)| {
        vec![
            format!("{} to {}", tenths(tenth), tenths(tenth + 1)),
            bin.count.to_string(),
            format!("{:.3}", bin.relevance),
            format!("{:.3}", bin.target),
        ]
    });
    Section { title, header: vec!["σ(logit)", "documents", "mean", "mean target"], rows: rows.collect() }
}

fn tenths(count: usize) -> String {
    format!("{:.1}", count as f64 / 10.0)
}

impl Section {
    fn markdown(&self, text: &mut String) {
        let line = |cells: &[String]| {
            let escaped: Vec<String> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
            format!("| {} |\n", escaped.join(" | "))
        };
        let header: Vec<String> = self.header.iter().map(|cell| (*cell).to_owned()).collect();
        let rule = vec!["---".to_owned(); header.len()];
        let _ = write!(text, "\n## {}\n\n{}{}", self.title, line(&header), line(&rule));
        self.rows.iter().for_each(|row| text.push_str(&line(row)));
    }
}

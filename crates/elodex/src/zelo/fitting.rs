//! `elodex zelo fit`: from battles to a score and a target for every candidate.

use super::arguments::FitArgs;
use super::folder::RunFolder;
use super::work::{Work, row};
use crate::output;
use anyhow::{Context as _, bail};
use elodex_train::fit::{FitOptions, Mapping, Standing, fit_biases, fit_queries, standings};
use serde::{Deserialize, Serialize};

/// What a fit came to.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Fitted {
    pub(crate) options: FitOptions,
    pub(crate) judges: Vec<String>,
    pub(crate) queries: usize,
    /// Query and document pairs with a score.
    pub(crate) scored: usize,
    pub(crate) verdicts: usize,
    pub(crate) ties: usize,
    pub(crate) failures: usize,
    /// Documents of which nothing is known: none of their battles was answered.
    pub(crate) unknown: usize,
    /// Queries whose battles fall into groups that never met.
    pub(crate) disconnected: usize,
    /// Battles between queries that biases are fitted from; 0 where there are none, and all biases are 0.
    pub(crate) bias_battles: usize,
    pub(crate) mean_standard_error: f64,
    pub(crate) mapping: Mapping,
    /// Targets by tenths of 0 to 1.
    pub(crate) targets: Vec<usize>,
}

pub(crate) fn fit(work: &Work<'_>, arguments: &FitArgs) -> anyhow::Result<()> {
    let run = RunFolder::open(&arguments.run.folder)?;
    let fitted = of(&run, arguments)?;
    let mut rows = vec![
        row("judges", fitted.judges.join("; ")),
        row("queries", fitted.queries),
        row("documents scored", fitted.scored),
        row(
            "battles",
            format!("{} verdicts, {} ties, {} failures", fitted.verdicts, fitted.ties, fitted.failures),
        ),
        row("documents without an answered battle", fitted.unknown),
        row("queries whose battles fall apart", fitted.disconnected),
        row("battles between queries", fitted.bias_battles),
        row("standard error, mean", format!("{:.3}", fitted.mean_standard_error)),
        row("target", format!("σ({:.4} · (score + bias))", fitted.mapping.slope)),
    ];
    let counts: Vec<String> = fitted.targets.iter().map(usize::to_string).collect();
    rows.push(row("targets by tenths", counts.join(" ")));
    work.show(&fitted, &rows)
}

/// Fits and writes `standings.jsonl` and `fit.json`.
pub(crate) fn of(run: &RunFolder, arguments: &FitArgs) -> anyhow::Result<Fitted> {
    let arena = run.arena()?;
    let (battles, judges) = run.battles(&arena, arguments.judge.as_deref())?;
    if judges.len() > 1 {
        output::note(format!(
            "battles of {} judges count alike; --judge takes those of some: {}",
            judges.len(),
            judges.join("; ")
        ));
    }
    let options = FitOptions { link: arguments.link.link(), prior: arguments.prior };
    let fits = fit_queries(&battles, &options)?;
    let across = battles
        .iter()
        .any(|battle| battle.pair.other_query.is_some() && battle.decision.preference().is_some());
    let biases = if across { Some(fit_biases(&fits, &battles, &options)?) } else { None };
    if let Some(unusable) = biases.as_ref().map(|biases| biases.unusable).filter(|unusable| *unusable > 0) {
        output::note(format!(
            "warning: {unusable} battles between queries do not count: one of the documents met no other of its query"
        ));
    }
    let values = biases.as_ref().map(|biases| biases.fit.scores.as_slice());
    let (mapping, standings) = standings(&fits, values, arguments.spread)?;
    let disconnected: Vec<&str> =
        fits.iter().filter(|fit| !fit.fit.is_connected()).map(|fit| fit.query.as_str()).collect();
    if let Some(first) = disconnected.first() {
        output::note(format!(
            "warning: the battles of {} queries fall into groups that never met, such as those of `{first}`; a tournament \
             ties all candidates to each other",
            disconnected.len()
        ));
    }
    let mut targets = vec![0; 10];
    for standing in &standings {
        targets[((standing.target * 10.0) as usize).min(9)] += 1;
    }
    let errors: f64 = standings.iter().map(|standing| standing.standard_error).sum();
    let fitted = Fitted {
        options,
        judges,
        queries: fits.len(),
        scored: standings.len(),
        verdicts: fits.iter().map(|fit| fit.verdicts).sum(),
        ties: fits.iter().map(|fit| fit.ties).sum(),
        failures: fits.iter().map(|fit| fit.failures).sum(),
        unknown: fits.iter().map(|fit| fit.unknown.len()).sum(),
        disconnected: disconnected.len(),
        bias_battles: biases.as_ref().map_or(0, |biases| biases.battles),
        mean_standard_error: errors / standings.len() as f64,
        mapping,
        targets,
    };
    let mut lines = String::new();
    for standing in &standings {
        lines.push_str(&serde_json::to_string(standing)?);
        lines.push('\n');
    }
    run.write("standings.jsonl", lines.as_bytes())?;
    run.write_json("fit.json", &fitted)?;
    Ok(fitted)
}

/// The standings that were fitted.
pub(crate) fn read(run: &RunFolder) -> anyhow::Result<Vec<Standing>> {
    let file = run.file("standings.jsonl");
    if !file.is_file() {
        bail!(
            "the run `{}` has no standings yet; fit them with `elodex zelo fit --folder {}`",
            run.shown(),
            run.shown()
        );
    }
    let text = std::fs::read_to_string(&file).with_context(|| format!("cannot read `{}`", file.display()))?;
    let parse = |(number, line): (usize, &str)| {
        serde_json::from_str(line)
            .with_context(|| format!("line {number} of `{}` is no standing; fit again", file.display()))
    };
    (1..).zip(text.lines()).map(parse).collect()
}

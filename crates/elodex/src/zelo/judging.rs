//! `elodex zelo judge`: which pairs meet, what that takes, and how it went.

use super::arguments::{JudgeArgs, Pairs};
use super::failures;
use super::folder::RunFolder;
use super::interrupt;
use super::judges::judges;
use super::work::{Work, row};
use crate::output;
use anyhow::{bail, ensure};
use elodex_train::battle::{Arena, BattleLog, Decision, Pair, PositionBias, sampling};
use elodex_train::judge::{Forecast, Tournament, TournamentOptions};
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::{IsTerminal as _, Write as _};

/// Calls to a chat model at a time, where nothing else is asked for.
const CALLS: usize = 8;
/// Reasons of failures that are named.
const SHOWN: usize = 5;

/// How a tournament went.
#[derive(Serialize)]
pub(super) struct Judged {
    judge: String,
    pairs: &'static str,
    forecast: Forecast,
    pub(super) verdicts: usize,
    pub(super) ties: usize,
    failures: BTreeMap<String, usize>,
    /// Of all the judge's answers in the run.
    cost: f64,
    position_bias: Vec<PositionBias>,
}

pub(crate) fn judge(work: &Work<'_>, arguments: &JudgeArgs) -> anyhow::Result<()> {
    let run = RunFolder::open(&arguments.run.folder)?;
    let judged = hold(work, &run, arguments)?;
    let Forecast { pairs, unknown, answered, failed, to_ask, expected, .. } = judged.forecast;
    let mut rows = vec![
        row("judge", &judged.judge),
        row("pairs", format!("{pairs}, {unknown} of which the judge can say nothing about")),
        row("answered before", format!("{answered}, and {failed} failed")),
        row("asked", to_ask),
    ];
    if arguments.forecast {
        rows.push(row("expected calls", expected.calls));
        rows.push(row(
            "expected tokens",
            format!("{} in, {} out", expected.input_tokens, expected.output_tokens),
        ));
        rows.push(row("expected cost", format!("{:.4}", expected.cost)));
        return work.show(&judged, &rows);
    }
    rows.push(row("verdicts", judged.verdicts));
    rows.push(row("ties", judged.ties));
    rows.push(row("cost in all", format!("{:.4}", judged.cost)));
    let failed: usize = judged.failures.values().sum();
    if failed > 0 {
        rows.push(row("failures", format!("{failed}; --retry asks again")));
        for (reason, times) in judged.failures.iter().take(SHOWN) {
            rows.push(row("  because", format!("{reason} ({times} times)")));
        }
    }
    for bias in &judged.position_bias {
        rows.push(row("order", bias));
    }
    work.show(&judged, &rows)
}

/// Draws the pairs, says what they take, and asks.
pub(super) fn hold(work: &Work<'_>, run: &RunFolder, arguments: &JudgeArgs) -> anyhow::Result<Judged> {
    let engine = work.engine()?;
    let arena = run.arena()?;
    let named = judges(work, run, arguments, &engine)?;
    let pairs = draw(run, &arena, arguments)?;
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let usual = if named.calls { CALLS } else { threads };
    let options = TournamentOptions {
        threads: arguments.chat.concurrency.map_or(usual, |calls| calls as usize),
        budget: arguments.budget,
        retry_failures: arguments.retry,
        ..TournamentOptions::default()
    };
    let tournament = Tournament::new(&arena, &pairs, &*named.judge, options)?;
    let mut log = run.log(&arena)?;
    if log.recovered().torn_bytes > 0 {
        output::note("the last battle was being written when its process ended; it is held again");
    }
    let forecast = tournament.forecast(&log)?;
    output::note(format!(
        "{} battles are to be held of {} pairs; about {} calls and a cost of {:.4}, after {:.4} so far",
        forecast.to_ask, forecast.pairs, forecast.expected.calls, forecast.expected.cost, forecast.spent.cost
    ));
    if !arguments.forecast && forecast.to_ask > 0 {
        if named.calls && !arguments.yes && !confirmed()? {
            bail!("nothing was asked; --yes answers the question beforehand");
        }
        let bar = output::progress(forecast.to_ask as u64, "battles, cost {msg}");
        let outcome = tournament.run(&mut log, interrupt::stop()?, &|progress| {
            bar.set_position(progress.done() as u64);
            bar.set_message(format!("{:.4}", progress.total_cost));
        });
        bar.finish_and_clear();
        outcome?;
    }
    Ok(summary(&log, &named.judge.identity(), arguments, forecast))
}

fn summary(log: &BattleLog, judge: &str, arguments: &JudgeArgs, forecast: Forecast) -> Judged {
    let (mut verdicts, mut ties, mut failures) = (0, 0, BTreeMap::<String, usize>::new());
    let own = || log.battles().iter().filter(|battle| battle.judge == judge);
    for battle in own() {
        match &battle.decision {
            Decision::Verdict { .. } => verdicts += 1,
            Decision::Tie => ties += 1,
            Decision::Failure { reason } => *failures.entry(reason.clone()).or_default() += 1,
            Decision::Partial => {}
        }
    }
    let pairs = match arguments.pairs {
        Pairs::Gold => "gold",
        Pairs::Tournament => "tournament",
        Pairs::Across => "across",
        Pairs::Failures => "failures",
    };
    Judged {
        judge: judge.to_owned(),
        pairs,
        forecast,
        verdicts,
        ties,
        failures,
        cost: log.spent(judge).cost,
        position_bias: PositionBias::of(own()),
    }
}

fn draw(run: &RunFolder, arena: &Arena, arguments: &JudgeArgs) -> anyhow::Result<Vec<Pair>> {
    let (cycles, seed) = (arguments.cycles as usize, arguments.seed);
    let depth = arguments.depth.map_or(run.beginning()?.depth, |depth| depth as usize);
    let sampled = match arguments.pairs {
        Pairs::Gold => sampling::one_per_query(arena, depth, seed)?,
        Pairs::Tournament => sampling::cycles(arena, cycles, depth, seed)?,
        Pairs::Across => sampling::across_queries(arena, cycles, depth, seed)?,
        Pairs::Failures => return failures::pairs(run),
    };
    if !sampled.skipped.is_empty() {
        output::note(format!(
            "warning: {} queries have too few candidates for a pair, such as `{}`",
            sampled.skipped.len(),
            sampled.skipped[0]
        ));
    }
    ensure!(!sampled.pairs.is_empty(), "no query has two candidates, so there is nothing to judge");
    Ok(sampled.pairs)
}

fn confirmed() -> anyhow::Result<bool> {
    if !std::io::stdin().is_terminal() {
        return Ok(false);
    }
    write!(std::io::stderr(), "ask the chat model? yes or no: ")?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "yes"))
}

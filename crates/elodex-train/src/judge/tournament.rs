//! Asking a judge about many pairs.

use super::{Judge, Question};
use crate::battle::{Arena, Battle, BattleLog, Decision, Pair, Spent, Vote};
use crate::{Error, ErrorKind, Result};
use serde::Serialize;
use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How often a thread that the budget holds back looks whether it may go on.
const GLANCE: Duration = Duration::from_millis(20);

/// How a tournament is held.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TournamentOptions {
    /// Questions asked at a time, at least 1.
    pub threads: usize,
    /// The most that all answers of this judge in the log may cost, in the currency of its prices: a run that goes on where
    /// another ended shares its budget. A question is asked only while what is spent, what is being asked and what it will
    /// probably cost itself stay within. No limit where none is given.
    pub budget: Option<f64>,
    /// Asks again about pairs whose battle failed before.
    pub retry_failures: bool,
    /// This many failures one after another end the run: nothing that is asked gets an answer.
    pub failures_in_a_row: usize,
}

impl Default for TournamentOptions {
    fn default() -> Self {
        Self { threads: 8, budget: None, retry_failures: false, failures_in_a_row: 20 }
    }
}

/// What a run would do.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Forecast {
    /// Different pairs.
    pub pairs: usize,
    /// Of these, pairs that the judge can say nothing about.
    pub unknown: usize,
    /// Pairs that the log has an answer to.
    pub answered: usize,
    /// Pairs that failed before, and are left so unless failures are asked about again.
    pub failed: usize,
    /// Pairs to ask about.
    pub to_ask: usize,
    /// What that will probably cost: tokens are estimated from the length of texts, at about four bytes each.
    pub expected: Spent,
    /// What the judge's answers in the log have cost.
    pub spent: Spent,
}

/// How far a run is.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Progress {
    /// Pairs to ask about in this run.
    pub to_ask: usize,
    /// Of these, battles with a winner.
    pub verdicts: usize,
    /// Battles without.
    pub ties: usize,
    /// Battles that failed.
    pub failed: usize,
    /// What this run has cost.
    pub spent: Spent,
    /// What all of the judge's answers in the log have cost, this run's included.
    pub total_cost: f64,
}

impl Progress {
    /// Battles that are over.
    pub fn done(&self) -> usize {
        self.verdicts + self.ties + self.failed
    }
}

/// Pairs, and who is asked about them.
pub struct Tournament<'a> {
    arena: &'a Arena,
    pairs: Vec<&'a Pair>,
    judge: &'a dyn Judge,
    identity: String,
    options: TournamentOptions,
}

impl std::fmt::Debug for Tournament<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Tournament")
            .field("pairs", &self.pairs.len())
            .field("judge", &self.identity)
            .field("options", &self.options)
            .finish()
    }
}

/// A pair to ask about, with votes that were given before.
struct Open<'a> {
    pair: &'a Pair,
    known: Vec<Vote>,
}

/// What the threads share.
struct Shared<'l> {
    log: &'l mut BattleLog,
    next: usize,
    progress: Progress,
    /// Questions that are being asked, and what they will probably cost.
    asking: usize,
    pending: f64,
    row: usize,
    end: Option<Error>,
}

impl<'a> Tournament<'a> {
    /// Nothing is asked yet. A pair that is given twice counts once.
    ///
    /// # Errors
    /// No thread, a budget below 0, a pair that is not of the arena.
    pub fn new(
        arena: &'a Arena,
        pairs: &'a [Pair],
        judge: &'a dyn Judge,
        options: TournamentOptions,
    ) -> Result<Self> {
        let refuse = |message: String| Err(Error::new(ErrorKind::Request, message));
        if options.threads == 0 || options.failures_in_a_row == 0 {
            return refuse("a tournament needs at least one thread, and may fail at least once".to_owned());
        }
        if let Some(budget) = options.budget.filter(|budget| !(*budget >= 0.0 && budget.is_finite())) {
            return refuse(format!("budget `{budget}` is not a number of at least 0"));
        }
        let mut seen = HashSet::new();
        let pairs: Vec<&Pair> = pairs.iter().filter(|pair| seen.insert(*pair)).collect();
        for pair in &pairs {
            arena.texts(pair)?;
        }
        Ok(Self { arena, pairs, judge, identity: judge.identity(), options })
    }

    /// What [`Tournament::run`] would do and cost, from what is in the log.
    ///
    /// # Errors
    /// A log of another arena.
    pub fn forecast(&self, log: &BattleLog) -> Result<Forecast> {
        let mut expected = Spent::default();
        let never = AtomicBool::new(false);
        let open = self.open(log);
        for Open { pair, known } in &open {
            expected += self.judge.estimate(&Question::of(self.arena, pair, known, &never)?);
        }
        let known = |pair: &&&Pair| self.judge.knows(pair);
        let decisions = || {
            let known = self.pairs.iter().filter(known);
            known.filter_map(|pair| log.find(&self.identity, pair)).map(|battle| &battle.decision)
        };
        Ok(Forecast {
            pairs: self.pairs.len(),
            unknown: self.pairs.len() - self.pairs.iter().filter(known).count(),
            answered: decisions().filter(|decision| decision.preference().is_some()).count(),
            failed: decisions().filter(|decision| matches!(decision, Decision::Failure { .. })).count(),
            to_ask: open.len(),
            expected,
            spent: log.spent(&self.identity),
        })
    }

    /// Asks about every pair that the log has no answer to, and adds the answers as they come. `progress` is called after
    /// each, by one thread at a time; it should be quick.
    ///
    /// However it ends, what was answered is in the log, and a run with the same pairs goes on there.
    ///
    /// # Errors
    /// The budget is used up ([`ErrorKind::Budget`]); `stop` was raised ([`ErrorKind::Cancelled`]), after what was being
    /// asked is answered; the judge cannot go on, or fails again and again ([`ErrorKind::Judge`]); the log cannot be
    /// written.
    pub fn run(
        &self,
        log: &mut BattleLog,
        stop: &AtomicBool,
        progress: &(dyn Fn(&Progress) + Sync),
    ) -> Result<Progress> {
        let open = self.open(log);
        let total_cost = log.spent(&self.identity).cost;
        let begun = Progress { to_ask: open.len(), total_cost, ..Progress::default() };
        let shared =
            Mutex::new(Shared { log, next: 0, progress: begun, asking: 0, pending: 0.0, row: 0, end: None });
        std::thread::scope(|scope| {
            for _ in 0..self.options.threads.min(open.len()) {
                scope.spawn(|| self.work(&open, &shared, stop, progress));
            }
        });
        let shared = shared.into_inner().unwrap_or_else(PoisonError::into_inner);
        shared.log.sync()?;
        match shared.end {
            Some(error) => Err(error),
            None => Ok(shared.progress),
        }
    }

    /// What there is to ask about.
    fn open(&self, log: &BattleLog) -> Vec<Open<'a>> {
        let mut open = Vec::new();
        for &pair in self.pairs.iter().filter(|pair| self.judge.knows(pair)) {
            let known = match log.find(&self.identity, pair) {
                None => Vec::new(),
                Some(Battle { decision: Decision::Partial, votes, .. }) => votes.clone(),
                Some(Battle { decision: Decision::Failure { .. }, votes, .. })
                    if self.options.retry_failures =>
                {
                    votes.clone()
                }
                Some(_) => continue,
            };
            open.push(Open { pair, known });
        }
        open
    }

    /// One thread: takes a pair, asks, adds the answer, until there is none or the run ends.
    fn work(
        &self,
        open: &[Open<'_>],
        shared: &Mutex<Shared<'_>>,
        stop: &AtomicBool,
        progress: &(dyn Fn(&Progress) + Sync),
    ) {
        let lock = || -> MutexGuard<'_, Shared<'_>> { shared.lock().unwrap_or_else(PoisonError::into_inner) };
        loop {
            let mut state = lock();
            let Some(open) = open.get(state.next).filter(|_| state.end.is_none()) else { return };
            if stop.load(Ordering::Relaxed) {
                state.end = Some(cancelled(&state.progress));
                return;
            }
            let question = match Question::of(self.arena, open.pair, &open.known, stop) {
                Ok(question) => question,
                Err(error) => {
                    state.end = Some(error);
                    return;
                }
            };
            let expected = self.judge.estimate(&question).cost.max(state.mean_cost());
            if self
                .options
                .budget
                .is_some_and(|budget| state.progress.total_cost + state.pending + expected > budget)
            {
                // What is being asked may turn out cheaper than expected.
                if state.asking == 0 {
                    state.end = Some(self.spent(&state.progress, expected));
                    return;
                }
                drop(state);
                std::thread::sleep(GLANCE);
                continue;
            }
            state.next += 1;
            state.asking += 1;
            state.pending += expected;
            drop(state);

            let verdict = self.judge.judge(&question);
            let mut state = lock();
            state.asking -= 1;
            state.pending = if state.asking == 0 { 0.0 } else { state.pending - expected };
            let verdict = match verdict {
                Ok(verdict) => verdict,
                Err(error) => {
                    let error = self.ended(error, &state.progress);
                    state.end.get_or_insert(error);
                    return;
                }
            };
            let battle = Battle {
                pair: open.pair.clone(),
                judge: self.identity.clone(),
                decision: verdict.decision,
                votes: verdict.votes,
                failures: verdict.failures,
                spent: verdict.spent,
            };
            if let Err(error) = self.keep(&mut state, battle) {
                state.end.get_or_insert(error);
                return;
            }
            if let Some(error) = verdict.end {
                let error = self.ended(error, &state.progress);
                state.end.get_or_insert(error);
                return;
            }
            progress(&state.progress);
        }
    }

    /// Adds a battle to the log and the counts.
    fn keep(&self, state: &mut Shared<'_>, battle: Battle) -> Result<()> {
        state.progress.spent += battle.spent;
        state.progress.total_cost += battle.spent.cost;
        let mut row = 0;
        let mut last = String::new();
        match &battle.decision {
            Decision::Verdict { .. } => state.progress.verdicts += 1,
            Decision::Tie => state.progress.ties += 1,
            Decision::Partial => row = state.row,
            Decision::Failure { reason } => {
                state.progress.failed += 1;
                row = state.row + 1;
                last.clone_from(reason);
            }
        }
        state.row = row;
        state.log.append(battle)?;
        if row >= self.options.failures_in_a_row {
            return Err(Error::new(
                ErrorKind::Judge,
                format!(
                    "`{}` failed {row} times one after another, at last with: {last}; mend that, and run again asking about \
                     failures too",
                    self.identity
                ),
            ));
        }
        Ok(())
    }

    fn spent(&self, progress: &Progress, expected: f64) -> Error {
        let left = progress.to_ask - progress.done();
        Error::new(
            ErrorKind::Budget,
            format!(
                "the budget of {} does not pay for the next battle: {:.4} is spent, {} battles of this run are done and {left} \
                 are left, for about {:.4} more; raise the budget and run again to go on",
                self.options.budget.unwrap_or(f64::INFINITY),
                progress.total_cost,
                progress.done(),
                expected * left as f64
            ),
        )
    }

    fn ended(&self, error: Error, progress: &Progress) -> Error {
        match error.kind() {
            ErrorKind::Cancelled => cancelled(progress),
            _ => error,
        }
    }
}

impl Shared<'_> {
    /// What a battle of this run has cost on the average.
    fn mean_cost(&self) -> f64 {
        self.progress.spent.cost / self.progress.done().max(1) as f64
    }
}

fn cancelled(progress: &Progress) -> Error {
    Error::new(
        ErrorKind::Cancelled,
        format!(
            "stopped after {} battles, {} are left; run again to go on",
            progress.done(),
            progress.to_ask - progress.done()
        ),
    )
}

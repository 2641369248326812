//! `elodex zelo failures`: labelled documents that the trained reranker does not put first. The pair of each with the one
//! just above it is what judges are asked next: the second pass of <https://arxiv.org/abs/2509.12541>, §5.6.

use super::arguments::{FailuresArgs, Kind};
use super::folder::RunFolder;
use super::training::Record;
use super::work::{Work, row};
use crate::output;
use anyhow::{Context as _, ensure};
use elodex_train::battle::Pair;
use elodex_train::training::{Group, Student as _, Target};
use serde::{Deserialize, Serialize};

/// Pairs that are shown.
const SHOWN: usize = 20;

/// A pair to ask about.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Failure {
    query: String,
    /// The best labelled document.
    labelled: String,
    /// Where the reranker puts it, from 1.
    rank: usize,
    /// What it puts just above.
    above: String,
}

#[derive(Serialize)]
struct Found {
    queries: usize,
    /// Queries none of whose relevant labels is a candidate.
    not_found: usize,
    failures: Vec<Failure>,
}

pub(crate) fn failures(work: &Work<'_>, arguments: &FailuresArgs) -> anyhow::Result<()> {
    let run = RunFolder::open(&arguments.run.folder)?;
    let found = find(work, &run, arguments.below as usize)?;
    let mut lines = String::new();
    for failure in &found.failures {
        lines.push_str(&serde_json::to_string(failure)?);
        lines.push('\n');
    }
    run.write("failures.jsonl", lines.as_bytes())?;
    let mut rows = vec![
        row("queries with labels", found.queries),
        row("without a relevant candidate", found.not_found),
        row("failures", found.failures.len()),
    ];
    for Failure { query, labelled, rank, above } in found.failures.iter().take(SHOWN) {
        rows.push(row(query, format!("`{labelled}` at rank {rank}, below `{above}`")));
    }
    if found.failures.len() > SHOWN {
        rows.push(row("…", format!("all of them in `{}`", run.file("failures.jsonl").display())));
    }
    work.show(&found, &rows)
}

fn find(work: &Work<'_>, run: &RunFolder, below: usize) -> anyhow::Result<Found> {
    let qrels = run.qrels()?.with_context(|| {
        format!("the run `{}` has no labels, so that nothing is known to be ranked too low", run.shown())
    })?;
    let record = Record::of(run, Kind::Reranker)?;
    let engine = work.engine()?;
    let (_, student) = record.trained_reranker(work, run, &engine)?;
    let arena = run.arena()?;
    let mut found = Found { queries: 0, not_found: 0, failures: Vec::new() };
    let bar = output::progress(arena.candidates().len() as u64, "queries");
    for (query, ranking) in arena.candidates() {
        bar.inc(1);
        let Some(judged) = qrels.judged(query) else { continue };
        let best = judged.values().map(|judgement| judgement.grade).max().unwrap_or_default();
        if best < 1 {
            continue;
        }
        found.queries += 1;
        let is_best = |document: &str| judged.get(document).is_some_and(|judgement| judgement.grade == best);
        if !ranking.iter().any(|document| is_best(document)) {
            found.not_found += 1;
            continue;
        }
        let text = arena.query(query).context("a query without a text")?.to_owned();
        let mut documents = Vec::new();
        for document in ranking {
            let text = arena.document(document).context("a candidate without a text")?.to_owned();
            documents.push(Target { text, target: 0.0 });
        }
        let prepared = student.prepare(&Group { query: text, documents })?;
        let (_, scores) = engine.runtime.install(|| student.judge(&[&prepared]))?.remove(0);
        let mut order: Vec<usize> = (0..ranking.len()).collect();
        order.sort_by(|one, other| scores[*other].total_cmp(&scores[*one]));
        let place = order.iter().position(|index| is_best(&ranking[*index]));
        if let Some(place) = place.filter(|place| *place >= below) {
            found.failures.push(Failure {
                query: query.to_owned(),
                labelled: ranking[order[place]].clone(),
                rank: place + 1,
                above: ranking[order[place - 1]].clone(),
            });
        }
    }
    bar.finish_and_clear();
    Ok(found)
}

/// The pairs that were found last.
pub(crate) fn pairs(run: &RunFolder) -> anyhow::Result<Vec<Pair>> {
    let file = run.file("failures.jsonl");
    let text = std::fs::read_to_string(&file).with_context(|| {
        format!("there is no `{}`; `elodex zelo failures --folder {}` writes it", file.display(), run.shown())
    })?;
    let mut pairs = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let failure: Failure = serde_json::from_str(line)
            .with_context(|| format!("line {number} of `{}` is no failure", file.display()))?;
        pairs.push(Pair::within(failure.query, failure.labelled, failure.above));
    }
    ensure!(!pairs.is_empty(), "`{}` holds no failure, so there is nothing to judge", file.display());
    Ok(pairs)
}

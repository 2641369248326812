//! An audit in words.

use super::changes::{Change, mean_reciprocal_rank};
use super::prompts::Prompts;
use super::verdict::{Fault, Verdict};
use crate::output;
use serde::Serialize;
use std::fmt::Write as _;

/// Changes that are shown.
const SHOWN: usize = 6;
/// Characters of a query that are shown.
const QUERY: usize = 90;

/// Where each list and stage puts an answer, from 1; `None`: not among what was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Ranks {
    pub(crate) bm25: Option<usize>,
    pub(crate) dense: Option<usize>,
    pub(crate) hybrid: Option<usize>,
    /// `None` where there is no second stage as well.
    pub(crate) reranked: Option<usize>,
}

/// What was found out about a query.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Found {
    pub(crate) query: String,
    pub(crate) answer: String,
    pub(crate) text: Option<String>,
    pub(crate) ranks: Ranks,
    pub(crate) verdict: Verdict,
    pub(crate) prompts: Prompts,
}

/// An audit.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Audited {
    pub(crate) collection: String,
    /// How it is searched now.
    pub(crate) now: String,
    pub(crate) queries: Vec<Found>,
    /// As it is searched now.
    pub(crate) mean_reciprocal_rank: f64,
    /// What was tried, best first.
    pub(crate) changes: Vec<Change>,
    /// The one to make, in words.
    pub(crate) proposal: String,
    /// What to run before it is believed.
    pub(crate) proof: String,
    pub(crate) has_reranker: bool,
}

/// The audit for a terminal.
pub(crate) fn text(audited: &Audited) -> String {
    let mut text = String::new();
    for (number, found) in audited.queries.iter().enumerate() {
        let _ = writeln!(text, "{}. {}", number + 1, elodex_report::shorten(&found.query, QUERY));
        let answer = match &found.text {
            Some(words) => format!("{} “{}”", found.answer, elodex_report::shorten(words, QUERY)),
            None => found.answer.clone(),
        };
        let _ = writeln!(text, "   answer    {answer}");
        let _ = writeln!(text, "   ranks     {}", ranks(&found.ranks, audited.has_reranker));
        let _ = writeln!(text, "   verdict   {}: {}", name(found.verdict.fault), found.verdict.why);
        let _ = writeln!(text, "   prompts   {}\n", prompts(&found.prompts));
    }
    let _ = writeln!(text, "{}", tally(audited));
    if let Some(line) = asymmetry(audited) {
        let _ = writeln!(text, "{line}");
    }
    let _ = writeln!(
        text,
        "Searched as now ({}), the mean reciprocal rank is {:.4}.\n",
        audited.now, audited.mean_reciprocal_rank
    );
    let rows: Vec<Vec<String>> = audited
        .changes
        .iter()
        .take(SHOWN)
        .map(|change| {
            let difference = change.after - audited.mean_reciprocal_rank;
            let ranks: Vec<String> = change.ranks.iter().map(|rank| shown(*rank)).collect();
            vec![
                change.what.clone(),
                format!("{:.4}", change.after),
                format!("{difference:+.4}"),
                ranks.join(" "),
            ]
        })
        .collect();
    let _ = writeln!(text, "{}\n", output::table(&["change", "mean rr", "effect", "ranks"], &rows));
    let _ = writeln!(text, "{}", audited.proposal);
    let _ = write!(text, "{}", audited.proof);
    text
}

fn shown(rank: Option<usize>) -> String {
    rank.map_or("–".to_owned(), |rank| rank.to_string())
}

fn ranks(ranks: &Ranks, has_reranker: bool) -> String {
    let mut parts = vec![
        format!("bm25 {}", shown(ranks.bm25)),
        format!("dense {}", shown(ranks.dense)),
        format!("hybrid {}", shown(ranks.hybrid)),
    ];
    if has_reranker {
        parts.push(format!("reranked {}", shown(ranks.reranked)));
    }
    parts.join(" · ")
}

fn name(fault: Fault) -> &'static str {
    match fault {
        Fault::Nothing => "nothing wrong",
        Fault::Chunking => "chunking",
        Fault::Recall => "recall",
        Fault::Ranking => "ranking",
    }
}

fn prompts(prompts: &Prompts) -> String {
    match prompts {
        Prompts::Alike => "the model has no prompts".to_owned(),
        Prompts::NotFound => "not compared: no text of the answer was found".to_owned(),
        Prompts::Ranks { asymmetric, symmetric, candidates } => format!(
            "of {candidates} candidates the vectors put it at rank {asymmetric} with the query prompt, at {symmetric} \
             with the document's"
        ),
    }
}

/// What the prompts do over all queries that could be compared.
fn asymmetry(audited: &Audited) -> Option<String> {
    let pairs: Vec<(Option<usize>, Option<usize>)> = audited
        .queries
        .iter()
        .filter_map(|found| match found.prompts {
            Prompts::Ranks { asymmetric, symmetric, .. } => Some((Some(asymmetric), Some(symmetric))),
            Prompts::Alike | Prompts::NotFound => None,
        })
        .collect();
    let (with, without): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
    let (with, without) = match with.len() {
        0 => return None,
        _ => (mean_reciprocal_rank(&with), mean_reciprocal_rank(&without)),
    };
    let advice = if without > with {
        ", so the prompts harm here: compare them with the model's card (`elodex models show`)"
    } else {
        ""
    };
    Some(format!(
        "Among the candidates the vectors alone reach a mean reciprocal rank of {with:.4} with the query prompt and of \
         {without:.4} with the document's{advice}."
    ))
}

/// How many queries have which fault.
fn tally(audited: &Audited) -> String {
    let count = |fault| audited.queries.iter().filter(|found| found.verdict.fault == fault).count();
    let faults = [Fault::Nothing, Fault::Ranking, Fault::Recall, Fault::Chunking];
    let parts: Vec<String> = faults
        .into_iter()
        .map(|fault| (count(fault), name(fault)))
        .filter(|(count, _)| *count > 0)
        .map(|(count, name)| format!("{count} {name}"))
        .collect();
    format!("Of {} queries: {}.", audited.queries.len(), parts.join(", "))
}

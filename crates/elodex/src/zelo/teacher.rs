//! What the second stage says of every candidate with a reranker, kept so that nothing is computed twice.

use super::folder::{RunFolder, read_lines};
use super::interrupt;
use super::search::RunSearch;
use super::work::{SECOND_STAGE, Work};
use crate::evaluation::{Folder, System, ask};
use crate::output;
use anyhow::{Context as _, bail, ensure};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::io::Write as _;
use std::sync::atomic::Ordering;

/// Hexadecimal digits of a teacher's fingerprint in the name of its file.
const DIGITS: usize = 16;

/// A line of the teacher's file: one query.
#[derive(Serialize, Deserialize)]
struct Line {
    query: String,
    /// Documents with their relevance, in the order of the candidates.
    documents: Vec<(String, f32)>,
}

/// The teacher's relevance of every candidate by query and document, as search has it: beside the teacher's logit stands
/// what the first stage says, where the teacher asks for that.
pub(crate) fn scores(
    work: &Work<'_>,
    run: &RunFolder,
    source: &str,
) -> anyhow::Result<HashMap<(String, String), f32>> {
    let files = work.files(source)?;
    ensure!(files.is_reranker(), "the teacher `{}` is no reranker; name one", files.id);
    let folder = Folder::read(&run.data()?)?;
    let search = RunSearch::open(work, run, folder, &run.queries()?, Some(source))?;
    let fingerprint = search.library.scoring(SECOND_STAGE)?;
    let file = run.file(&format!("teacher-{}.jsonl", fingerprint.get(..DIGITS).unwrap_or(&fingerprint)));
    let arena = run.arena()?;
    let lines: Vec<Line> = read_lines(&file, "scores of a query")?;
    let mut known: HashMap<String, Vec<(String, f32)>> =
        lines.into_iter().map(|line| (line.query, line.documents)).collect();
    let open: Vec<(&str, &[String])> = arena
        .candidates()
        .filter(|(query, ranking)| {
            let all = |documents: &Vec<(String, f32)>| {
                documents.iter().map(|(document, _)| document).eq(ranking.iter())
            };
            !known.get(*query).is_some_and(all)
        })
        .collect();
    let stop = interrupt::stop()?;
    let mut appended = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(&file)
        .with_context(|| format!("cannot write `{}`", file.display()))?;
    let bar = output::progress(open.len() as u64, "queries of the teacher");
    for (query, ranking) in open {
        if stop.load(Ordering::Relaxed) {
            bail!("stopped while the teacher scored; the same command goes on");
        }
        let text = arena.query(query).context("a query without a text")?;
        let documents = relevance(&search, text, ranking).with_context(|| format!("query `{query}`"))?;
        let line = Line { query: query.to_owned(), documents };
        let written = writeln!(appended, "{}", serde_json::to_string(&line)?);
        written.and_then(|()| appended.sync_data()).with_context(|| {
            format!("cannot write `{}`; make room and run again to go on", file.display())
        })?;
        known.insert(line.query, line.documents);
        bar.inc(1);
    }
    bar.finish_and_clear();
    let flat = known.into_iter().flat_map(|(query, documents)| {
        documents.into_iter().map(move |(document, relevance)| ((query.clone(), document), relevance))
    });
    Ok(flat.collect())
}

/// Of each of these candidates.
fn relevance(search: &RunSearch, query: &str, ranking: &[String]) -> anyhow::Result<Vec<(String, f32)>> {
    let RunSearch { library, places, conditions, .. } = search;
    let system = System::reranked(conditions.results);
    let answer = ask(library, &places.usual, &system, conditions, query)?;
    if let Some(why) = answer.unranked {
        bail!("the teacher did not score every candidate: {why}");
    }
    let scored: HashMap<&str, f32> =
        answer.hits.iter().map(|hit| (hit.document.as_str(), hit.score)).collect();
    let of = |document: &String| {
        let score = scored.get(document.as_str()).with_context(|| {
            format!("`{document}` is not found any more: the collection changed since the run was begun; begin another")
        })?;
        Ok((document.clone(), *score))
    };
    ranking.iter().map(of).collect()
}

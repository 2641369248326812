//! What a reranker says of every candidate, kept so that nothing is computed twice.

use super::folder::{RunFolder, read_lines};
use super::interrupt;
use super::work::Work;
use crate::commands::local::Engine;
use crate::output;
use anyhow::{Context as _, bail, ensure};
use elodex_kernels::Parallelism;
use elodex_models::Reranker;
use elodex_types::TruncationPolicy;
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

/// The teacher's relevance, σ(logit), of every candidate, by query and document.
pub(crate) fn scores(
    work: &Work<'_>,
    run: &RunFolder,
    source: &str,
    engine: &Engine,
) -> anyhow::Result<HashMap<(String, String), f32>> {
    let files = work.files(source)?;
    ensure!(files.is_reranker(), "the teacher `{}` is no reranker; name one", files.id);
    let teacher = Reranker::load(&files, engine.kernels)?;
    let fingerprint = teacher.info().fingerprint.to_string();
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
        let mut documents = Vec::with_capacity(ranking.len());
        for document in ranking {
            let content = arena.document(document).context("a candidate without a text")?;
            let relevance = engine.runtime.install(|| relevance(&teacher, text, content));
            documents.push((document.clone(), relevance.with_context(|| format!("query `{query}`"))?));
        }
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

/// Of the best of its windows, where the document is longer than the model reads.
fn relevance(teacher: &Reranker, query: &str, document: &str) -> anyhow::Result<f32> {
    let query = teacher.prepare_query(query)?;
    let windows = teacher.prepare_document(&query, document, TruncationPolicy::Passages)?;
    let batch: Vec<_> = windows.iter().map(|window| &window.encoded).collect();
    let logits = teacher.logits(&batch, Parallelism::Pool)?;
    let best = logits.into_iter().fold(f32::NEG_INFINITY, f32::max);
    ensure!(best.is_finite(), "the teacher's logit is `{best}`, which is no number to learn from");
    Ok(teacher.relevance(best).value)
}

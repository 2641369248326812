//! `elodex zelo candidates`: what the first stage finds for each query.

use super::arguments::CandidatesArgs;
use super::folder::{RunFolder, write_whole};
use super::queries::{Asked, prepare};
use super::search::RunSearch;
use super::work::{Work, row};
use crate::evaluation::{Folder, chunk_id, hybrid, ranking, run_all};
use crate::library::Local;
use crate::output;
use anyhow::{bail, ensure};
use elodex_eval::Run;
use serde::Serialize;
use serde_json::json;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// What a run begins with.
#[derive(Serialize)]
struct Begun {
    folder: String,
    documents: usize,
    queries: usize,
    candidates: usize,
    labelled_found: Option<f64>,
}

pub(crate) fn candidates(work: &Work<'_>, arguments: &CandidatesArgs) -> anyhow::Result<()> {
    let run = find(work, arguments)?;
    let arena = run.arena()?;
    let labelled_found = match run.qrels()? {
        Some(qrels) => {
            let (mut found, mut labelled) = (0_u32, 0_u32);
            for (query, ranking) in arena.candidates() {
                let judged = qrels.judged(query).into_iter().flatten();
                for (document, _) in judged.filter(|(_, judgement)| judgement.grade > 0) {
                    labelled += 1;
                    found += u32::from(ranking.contains(document));
                }
            }
            (labelled > 0).then(|| f64::from(found) / f64::from(labelled))
        }
        None => None,
    };
    let begun = Begun {
        folder: run.shown().to_string(),
        documents: run.documents()?.len(),
        queries: arena.candidates().len(),
        candidates: arena.candidates().map(|(_, ranking)| ranking.len()).sum(),
        labelled_found,
    };
    let mut rows = vec![
        row("run", &begun.folder),
        row("queries", format!("{}: {}", begun.queries, run.beginning()?.asked.describe())),
        row("documents", begun.documents),
        row("candidates", begun.candidates),
    ];
    rows.extend(
        begun
            .labelled_found
            .map(|share| row("relevant labels among them", format!("{:.1} %", 100.0 * share))),
    );
    work.show(&begun, &rows)
}

/// Begins the run and finds the candidates, or goes on with what is there.
pub(crate) fn find(work: &Work<'_>, arguments: &CandidatesArgs) -> anyhow::Result<RunFolder> {
    let folder = &arguments.run.folder;
    let (embedder, collection) = (arguments.embedder.as_deref(), arguments.collection.as_deref());
    let data = match (&arguments.data, collection) {
        (Some(data), _) => data.clone(),
        (None, Some(collection)) => taken(work, collection, embedder, folder)?,
        (None, None) => bail!("name the documents with --data or --collection"),
    };
    let asked = Asked::of(arguments, &data)?;
    let run = RunFolder::begin(folder, &data, collection, asked, arguments.depth as usize, embedder)?;
    if run.file("candidates.trec").is_file() {
        output::note(format!("the candidates of `{}` are there", run.shown()));
        return Ok(run);
    }
    prepare(&run, arguments)?;
    let found = search(work, &run, &run.queries()?)?;
    run.write("candidates.trec", found.to_trec()?.as_bytes())?;
    Ok(run)
}

/// The folder of a run in which the chunks of a collection lie as documents, written where it is not there yet.
fn taken(work: &Work<'_>, collection: &str, embedder: Option<&str>, run: &Path) -> anyhow::Result<PathBuf> {
    let data = run.join("data");
    let corpus = data.join("corpus.jsonl");
    if corpus.is_file() {
        return Ok(data);
    }
    let library = Local::open_with(&work.settings()?, work.models(embedder, None)?)?;
    let mut lines = String::new();
    library.each_chunk(collection, &mut |chunk| {
        let id = chunk_id(&chunk.path, chunk.chars.start, chunk.chars.end);
        // Writing to a string cannot fail.
        let _ = writeln!(lines, "{}", json!({ "_id": id, "text": chunk.text }));
    })?;
    ensure!(
        !lines.is_empty(),
        "nothing can be found in the collection `{collection}` yet; ingest documents first"
    );
    write_whole(&corpus, lines.as_bytes())?;
    Ok(data)
}

/// What hybrid search finds for queries: BM25 and vectors, fused by reciprocal ranks.
fn search(work: &Work<'_>, run: &RunFolder, queries: &BTreeMap<String, String>) -> anyhow::Result<Run> {
    let folder = Folder::read(&run.data()?)?;
    let RunSearch { library, places, conditions, folder } =
        RunSearch::open(work, run, folder, queries, None)?;
    let ran = run_all(&library, &places, &[hybrid()], queries, &conditions)?;
    let mut found = Run::new("candidates");
    for ran in &ran {
        let ranked = ranking("candidates", &ran.answers)?;
        for (query, _) in ranked.queries() {
            let order: Vec<&str> = ranked.order(query).into_iter().take(conditions.depth).collect();
            if let Some(other) = order.iter().find(|document| !folder.documents.contains(**document)) {
                bail!(
                    "`{other}` was found, which was not there when the run `{}` took its documents; begin another run",
                    run.shown()
                );
            }
            found.insert_order(query, order)?;
        }
    }
    Ok(found)
}

//! `elodex zelo candidates`: what the first stage finds for each query.

use super::arguments::CandidatesArgs;
use super::folder::RunFolder;
use super::queries::{Asked, prepare};
use super::work::{Work, row};
use crate::evaluation::{Conditions, Folder, Form, SecondStage, System, hybrid, ranking, run_all};
use crate::library::Local;
use crate::output;
use elodex_eval::Run;
use serde::Serialize;
use std::collections::BTreeMap;

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
    let asked = Asked::of(arguments)?;
    let folder = &arguments.run.folder;
    let embedder = arguments.embedder.as_deref();
    let run = RunFolder::begin(folder, &arguments.data, asked, arguments.depth as usize, embedder)?;
    if run.file("candidates.trec").is_file() {
        output::note(format!("the candidates of `{}` are there", run.shown()));
        return Ok(run);
    }
    prepare(&run, arguments)?;
    let found = search(work, &run, &run.queries()?)?;
    run.write("candidates.trec", found.to_trec()?.as_bytes())?;
    Ok(run)
}

/// What hybrid search finds for queries: BM25 and vectors, fused by reciprocal ranks.
fn search(work: &Work<'_>, run: &RunFolder, queries: &BTreeMap<String, String>) -> anyhow::Result<Run> {
    let models = work.models(run.beginning()?.embedder.as_deref(), None)?;
    let library = Local::open_with(&work.settings_in(&run.file("collections"))?, models)?;
    let systems = [hybrid()];
    let folder = Folder::read(&run.data()?)?;
    let own = queries.keys().filter(|query| folder.documents.contains(*query)).count();
    let depth = run.beginning()?.depth;
    let conditions = conditions(depth, own);
    let places = folder.places(&library, &systems, None, &Form::default())?;
    let ran = run_all(&library, &places, &systems, queries, &conditions)?;
    let mut found = Run::new("candidates");
    for ran in &ran {
        let ranked = ranking("candidates", &ran.answers)?;
        for (query, _) in ranked.queries() {
            found.insert_order(query, ranked.order(query).into_iter().take(depth))?;
        }
    }
    Ok(found)
}

/// How searches are asked; `own` queries have the id of a document.
pub(crate) fn conditions(depth: usize, own: usize) -> Conditions {
    Conditions {
        depth,
        results: depth + usize::from(own > 0),
        own_documents: own,
        exact: false,
        reranker: None,
        concurrency: 1,
    }
}

/// The trained reranker behind the first stage.
pub(crate) fn with_reranker(depth: usize) -> System {
    System { second: Some(SecondStage { depth, model: None }), ..hybrid() }
}

//! `elodex demo`.

use super::{ingest, search, serve};
use crate::cli::{DemoArgs, NewCollection};
use crate::corpus;
use crate::evaluation::{Conditions, Lift, Place, Places, Questions};
use crate::library::{self, Library as _, Local};
use crate::settings::{DataDir, Origin, Settings};
use crate::{output, sample, store, view};
use anyhow::Context as _;
use elodex_eval::Protocol;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// The demo's collection.
const COLLECTION: &str = "help-centre";
/// Results shown for a question.
const SHOWN: usize = 5;
/// Candidates that the second stage sees where it is measured.
const DEPTH: usize = 50;
/// Candidates that are looked through for the answer, as many as `elodex search` reranks.
const CANDIDATES: usize = 100;

/// Ten questions of the sample in English, two of each way of asking; in most of them the second stage has something to do.
/// What it is worth is measured on all questions.
const QUESTIONS: [&str; 10] = [
    "q-insurance-008",
    "q-hr-002",
    "q-insurance-003",
    "q-hr-050",
    "q-product-027",
    "q-legal-029",
    "q-product-004",
    "q-hr-024",
    "q-legal-028",
    "q-billing-003",
];

pub(crate) fn demo(config: Option<PathBuf>, arguments: DemoArgs) -> anyhow::Result<()> {
    let sources = super::settings(config, arguments.settings)?;
    let models = super::models(&sources, &arguments.models)?;
    let temporary = tempfile::tempdir().context("cannot make a folder for the demo")?;
    let mut settings = Settings::read(&sources)?;
    // A data directory that is configured for real work is not for a demo; one named here is.
    if !matches!(sources.find("data_dir"), Some((_, Origin::Flag))) {
        settings.data_dir = DataDir::At(temporary.path().to_owned());
    }
    settings.no_auth |= settings.listen.ip().is_loopback() && settings.api_key.0.is_none();
    let registry = Arc::new(store::load_models(&settings, models)?);
    let (engine, _) = store::open(&settings, Arc::clone(&registry), &[])?;
    let target = Local::around(engine, registry);
    fill(&target)?;
    ask(&target)?;
    measure(&target)?;
    drop(target);
    if arguments.no_serve {
        return Ok(());
    }
    output::note(format!(
        "serving `{COLLECTION}`; try the page at http://{}/docs, stop with Ctrl-C",
        settings.listen
    ));
    let models = super::models(&sources, &arguments.models)?;
    serve::serve_with(settings, models, sources.file.experiments)
}

/// Ingests the sample.
fn fill(target: &Local) -> anyhow::Result<()> {
    let collection = NewCollection { collection: COLLECTION.to_owned(), ..NewCollection::default() };
    library::ensure_collection(target, &collection)?;
    let mut documents = Vec::new();
    corpus::from_reader(
        sample::CORPUS.as_bytes(),
        "the sample",
        corpus::Attributes::Kept,
        &mut |document| {
            documents.push(document);
            Ok(())
        },
    )?;
    output::note(format!("ingesting {} articles of a help centre", documents.len()));
    target.add(COLLECTION, documents, true)?;
    ingest::wait(target, COLLECTION)
}

/// A question of the sample.
#[derive(Deserialize)]
struct Question {
    #[serde(rename = "_id")]
    id: String,
    text: String,
    metadata: Kind,
}

#[derive(Deserialize)]
struct Kind {
    lang: String,
}

fn questions() -> anyhow::Result<Vec<Question>> {
    let read = |line| serde_json::from_str(line).context("a question of the sample");
    sample::QUERIES.lines().map(read).collect()
}

fn ask(target: &Local) -> anyhow::Result<()> {
    let rerank = target.has_reranker()?;
    let (questions, qrels) = (questions()?, sample::qrels()?);
    for (number, id) in QUESTIONS.iter().enumerate() {
        let question = questions.iter().find(|question| question.id == *id).context("no such question")?;
        let body = json!({
            "collection": COLLECTION, "query": question.text, "k": CANDIDATES, "unit": "documents", "rerank": rerank,
            "explain": true,
        });
        let mut answer = target.call("/v1/search", &body)?;
        let mut recall = search::first_stage(target, &body, &answer)?;
        output::line(format!("\n{}. {}\n", number + 1, question.text))?;
        let judged = qrels.judged(id).into_iter().flatten();
        let best = judged.max_by_key(|(_, judgement)| judgement.grade).map(|(document, _)| document.as_str());
        let place = |answer: &mut Value| {
            let results = answer["results"].as_array_mut()?;
            let place = results.iter().position(|result| result["path"].as_str() == best);
            results.truncate(SHOWN);
            place
        };
        let places = (recall.as_mut().map(place), place(&mut answer));
        output::line(view::results(&answer, recall.as_ref(), search::width()))?;
        let rank = |place: Option<usize>| {
            place.map_or("not found".to_owned(), |place| format!("rank {}", place + 1))
        };
        let stages = match places {
            (None, alone) => rank(alone),
            (Some(before), after) => format!("{} in recall, {} reranked", rank(before), rank(after)),
        };
        output::line(format!("labelled as the answer: {}, {stages}", best.unwrap_or_default()))?;
    }
    Ok(())
}

/// What the second stage is worth on all of the sample's questions: ten prove nothing.
fn measure(target: &Local) -> anyhow::Result<()> {
    if !target.has_reranker()? {
        output::note(
            "\nthe second stage was off: no reranker is named. Add one with a second --model, such as \
             --model elodex-rerank-mini, and the same questions show both stages",
        );
        return Ok(());
    }
    let (mut english, mut others) = (BTreeMap::new(), BTreeMap::new());
    for Question { id, text, metadata } in questions()? {
        if metadata.lang == "en" { &mut english } else { &mut others }.insert(id, text);
    }
    let places = Places { usual: Place::of(target, COLLECTION)?, named: Vec::new() };
    let conditions = Conditions::of_documents(DEPTH, 0);
    output::note(format!(
        "\nasking all labelled questions of the help centre, without and with the second stage on the first {DEPTH}"
    ));
    for (texts, language) in [(english, "in English"), (others, "in other languages")] {
        let qrels = sample::qrels()?.of_queries(|query| texts.contains_key(query))?;
        let questions = Questions::gather(qrels, texts, None, &Protocol::default(), |_| true)?;
        let Lift { queries, alone, reranked, difference } =
            Lift::measure(target, &places, &questions, &conditions)?;
        output::line(format!(
            "{queries} questions {language}: NDCG@10 {alone:.3} by recall, {reranked:.3} reranked, {:+.3} [{:+.3}, {:+.3}]",
            difference.mean, difference.low, difference.high
        ))?;
    }
    output::note("the same for your own documents: elodex eval --help");
    Ok(())
}

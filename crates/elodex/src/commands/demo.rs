//! `elodex demo`.

use super::{ingest, search, serve};
use crate::cli::{DemoArgs, NewCollection};
use crate::corpus;
use crate::library::{self, Library as _, Local};
use crate::settings::{DataDir, Origin, Settings};
use crate::{output, sample, store, view};
use anyhow::Context as _;
use serde_json::json;
use std::path::PathBuf;
use std::sync::Arc;

/// The demo's collection.
const COLLECTION: &str = "help-centre";
/// Results shown for a question.
const SHOWN: usize = 5;

/// Ten questions of the sample, one of each kind it has.
const QUESTIONS: [&str; 10] = [
    "food poisoning in thailand, spent half my holiday in bed. do i get those days back",
    "our 5 yr old drew on the neighbours brand new car with a stone, do we have to pay",
    "se me rompió el latiguillo del lavabo y se ha mojado todo el mueble, ¿pagáis también al fontanero de urgencia?",
    "3 weeks in and i hate it here, how fast can i get out",
    "Ich weiß mein Kennwort nicht mehr, könnt ihr es mir zuschicken?",
    "not for me, its my nans stuff, she cant walk to the chemist. what do i need to bring",
    "my wife only reads japanese, can her app be different from mine and what about the letters you post",
    "card declined twice help",
    "selling the flat, new people want the alarm box too",
    "can i do my job from the beach for a month",
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
    corpus::from_reader(sample::CORPUS.as_bytes(), "the sample", &mut |document| {
        documents.push(document);
        Ok(())
    })?;
    output::note(format!("ingesting {} articles of a help centre", documents.len()));
    target.add(COLLECTION, documents, true)?;
    ingest::wait(target, COLLECTION)
}

fn ask(target: &Local) -> anyhow::Result<()> {
    let rerank = target.has_reranker()?;
    for (number, question) in QUESTIONS.iter().enumerate() {
        let body = json!({
            "collection": COLLECTION, "query": question, "k": SHOWN, "unit": "documents", "rerank": rerank, "explain": true,
        });
        let answer = target.call("/v1/search", &body)?;
        let recall = search::first_stage(target, &body, &answer)?;
        output::line(format!("\n{}. {question}\n", number + 1))?;
        output::line(view::results(&answer, recall.as_ref(), search::width()))?;
    }
    if !rerank {
        output::note(
            "\nthe second stage was off: no reranker is named. Add one with a second --model, such as \
             --model elodex-rerank-mini, and the same questions show both stages",
        );
    }
    Ok(())
}

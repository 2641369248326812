//! Ranking quality of each list and of both, and how much of the embedder's throughput ingestion keeps.

use crate::beir::Beir;
use crate::setup;
use elodex_eval::significance::{self, Bootstrap};
use elodex_eval::{Evaluation, Measure, Protocol, Run};
use elodex_search::SearchEngine;
use elodex_types::{Content, CreateCollection, Metadata, NewDocument, SearchRequest, Unit, Weights};
use std::error::Error;
use std::path::Path;
use std::time::Instant;

/// Texts in one direct call of the embedder.
const TEXTS: usize = 256;
/// Documents for the comparison of throughputs.
const COMPARED: usize = 1024;

pub(crate) fn run(model: &Path, folder: &Path) -> Result<(), Box<dyn Error>> {
    let beir = Beir::read(folder)?;
    let service = setup::embedder(model)?;
    let data = tempfile::tempdir()?;
    let engine = setup::engine(data.path(), &service)?;

    let started = Instant::now();
    let mut tokens = 0;
    for texts in beir.documents[..COMPARED.min(beir.documents.len())].chunks(TEXTS) {
        tokens += setup::embed(&service, texts.iter().map(|(_, text)| text.clone()).collect())?.usage.tokens;
    }
    let alone = tokens as f64 / started.elapsed().as_secs_f64();
    println!("embedder alone: {alone:.0} tokens/s over {} documents", COMPARED.min(beir.documents.len()));

    for whole in [true, false] {
        let name = if whole { "whole" } else { "chunked" };
        engine.create_collection(&CreateCollection {
            name: name.to_owned(),
            whole_documents: Some(whole),
            language: Some("en".to_owned()),
            ..CreateCollection::default()
        })?;
        let before = service.stats();
        let started = Instant::now();
        ingest(&engine, name, &beir)?;
        let seconds = started.elapsed().as_secs_f64();
        let tokens = service.stats().tokens - before.tokens;
        let rate = tokens as f64 / seconds;
        println!(
            "{name}: {} documents in {seconds:.1} s, {:.0} documents/s, {rate:.0} tokens/s, {:.0} % of the embedder alone",
            beir.documents.len(),
            beir.documents.len() as f64 / seconds,
            100.0 * rate / alone
        );
        let lists = [
            ("dense", Weights { dense: 1.0, lexical: 0.0 }),
            ("BM25", Weights { dense: 0.0, lexical: 1.0 }),
            ("hybrid", Weights::default()),
        ];
        for (list, weights) in lists {
            evaluate(&engine, name, &beir, list, weights)?;
        }
    }
    engine.shutdown();
    Ok(())
}

fn ingest(engine: &SearchEngine, collection: &str, beir: &Beir) -> Result<(), Box<dyn Error>> {
    for documents in beir.documents.chunks(TEXTS) {
        let documents = documents.iter().map(|(id, text)| NewDocument {
            path: id.clone(),
            metadata: Metadata::new(),
            content: Content::Text(text.clone()),
        });
        engine.add(collection, documents.collect(), false)?;
    }
    engine.wait_until_indexed(collection, None, &mut |_| {})?;
    Ok(())
}

fn evaluate(
    engine: &SearchEngine,
    collection: &str,
    beir: &Beir,
    list: &str,
    weights: Weights,
) -> Result<(), Box<dyn Error>> {
    let mut run = Run::new(list);
    for (id, text) in &beir.queries {
        let mut request = SearchRequest::new(collection, text, Unit::Documents, 100);
        request.weights = Some(weights);
        request.exact = true;
        request.include_content = false;
        let answer = engine.search(&request, &setup::context())?;
        run.insert_order(id, answer.hits.iter().map(|hit| hit.path.as_str()))?;
    }
    let measures = [Measure::NDCG_10, Measure::RECALL_100];
    let evaluation = Evaluation::of(&beir.qrels, &run, &measures, &Protocol::default())?;
    for measure in measures {
        let values = evaluation.values(measure).unwrap_or_default();
        let mean = significance::mean_interval(values, &Bootstrap::default())?;
        println!("{collection}, {list}: {measure} {:.4} [{:.4}, {:.4}]", mean.mean, mean.low, mean.high);
    }
    Ok(())
}

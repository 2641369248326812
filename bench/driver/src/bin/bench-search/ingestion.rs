//! How much of the embedder's throughput ingestion keeps.

use crate::beir::Beir;
use crate::setup;
use elodex_search::SearchEngine;
use elodex_types::{Content, CreateCollection, Metadata, NewDocument};
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

//! Speed, recall, memory and disk of a collection with a given number of chunks.
//!
//! Passages of 24 words are cut from a real collection's texts, so that embedding a hundred thousand of them takes minutes.

use crate::beir::Beir;
use crate::setup;
use elodex_search::SearchEngine;
use elodex_types::{Content, CreateCollection, Metadata, NewDocument, SearchRequest, Unit, Weights};
use std::error::Error;
use std::path::Path;
use std::time::{Duration, Instant};

/// Queries that are timed.
const QUERIES: usize = 300;
/// Results of a query: of one whose second stage wants candidates, and of one without a second stage.
const TOPS: [usize; 2] = [100, 10];

/// What a collection is made of.
pub(crate) struct Size {
    chunks: usize,
    /// Of the index's vectors: `f32` or `int8`.
    precision: &'static str,
    /// Whether passages of a text are written one after another, as chunks of a document are, or a passage of each text
    /// in turn, so that no two that resemble each other lie together.
    together: bool,
}

impl Size {
    /// Reads `CHUNKS[:int8][:together]`.
    pub(crate) fn parse(text: &str) -> Result<Self, Box<dyn Error>> {
        let mut parts = text.split(':');
        let chunks = parts.next().unwrap_or_default().parse()?;
        let mut size = Self { chunks, precision: "f32", together: false };
        for part in parts {
            match part {
                "int8" => size.precision = "int8",
                "together" => size.together = true,
                _ => return Err(format!("`{part}` in `{text}` is neither `int8` nor `together`").into()),
            }
        }
        Ok(size)
    }
}

pub(crate) fn run(model: &Path, folder: &Path, size: &Size) -> Result<(), Box<dyn Error>> {
    let beir = Beir::read(folder)?;
    let service = setup::embedder(model)?;
    let data = tempfile::tempdir()?;
    let engine = setup::engine(data.path(), &service)?;
    let rest = setup::resident_mib();
    let collection = CreateCollection {
        name: "grown".to_owned(),
        whole_documents: Some(true),
        language: Some("en".to_owned()),
        precision: Some(size.precision.to_owned()),
        ..CreateCollection::default()
    };
    engine.create_collection(&collection)?;
    let started = Instant::now();
    grow(&engine, &beir, size)?;
    println!(
        "\n{} chunks, {}{}: ingested and optimised in {:.0} s",
        size.chunks,
        size.precision,
        if size.together { ", those of a text together" } else { "" },
        started.elapsed().as_secs_f64()
    );
    measure(&engine, &beir)?;
    let thousands = size.chunks as f64 / 1000.0;
    println!("  memory {:.2} MiB per 1,000 chunks", (setup::resident_mib() - rest) / thousands);
    println!("  disk {:.2} MiB per 1,000 chunks", disk_mib(data.path())? / thousands);
    engine.shutdown();
    Ok(())
}

/// Short passages, cut from the collection's texts at ever different words, so that no two are the same.
fn grow(engine: &SearchEngine, beir: &Beir, size: &Size) -> Result<(), Box<dyn Error>> {
    let texts = beir.documents.len();
    let mut passages: Vec<_> = (0..size.chunks).map(|number| (number % texts, number / texts)).collect();
    if size.together {
        passages.sort_unstable();
    }
    let mut batch = Vec::new();
    for (number, (text, turn)) in passages.into_iter().enumerate() {
        let words: Vec<&str> = beir.documents[text].1.split_whitespace().collect();
        let start = (turn * 17) % words.len().max(1);
        let passage = words.iter().cycle().skip(start).take(24).copied().collect::<Vec<_>>().join(" ");
        batch.push(NewDocument {
            path: format!("{number:07}"),
            metadata: Metadata::new(),
            content: Content::Text(passage),
        });
        if batch.len() == 512 || number + 1 == size.chunks {
            engine.add("grown", std::mem::take(&mut batch), false)?;
        }
    }
    engine.wait_until_indexed("grown", None, &mut |_| {})?;
    Ok(())
}

fn measure(engine: &SearchEngine, beir: &Beir) -> Result<(), Box<dyn Error>> {
    let queries: Vec<&String> = beir.queries.iter().map(|(_, text)| text).take(QUERIES).collect();
    let [most, _] = TOPS;
    let search = |query: &str, top: usize, weights: Weights, exact: bool| {
        let mut request = SearchRequest::new("grown", query, Unit::Chunks, top);
        request.weights = Some(weights);
        request.exact = exact;
        engine.search(&request, &setup::context())
    };
    let dense = Weights { dense: 1.0, lexical: 0.0 };
    let (mut found, mut wanted) = (0, 0);
    for query in &queries {
        let approximate = search(query, most, dense, false)?.hits;
        let exact = search(query, most, dense, true)?.hits;
        wanted += exact.len();
        found += exact.iter().filter(|hit| approximate.iter().any(|other| other.path == hit.path)).count();
    }
    println!("  dense recall@{most} against exact: {:.4}", found as f64 / wanted.max(1) as f64);

    for top in TOPS {
        // Apart from the above: comparing with every vector leaves nothing of the model in the processor's cache.
        let mut times: [Vec<f64>; 5] = Default::default();
        for round in 0..2 {
            for query in &queries {
                let timing = search(query, top, Weights::default(), false)?.timing;
                let stages = [timing.embed, timing.dense, timing.lexical, timing.fuse, timing.total];
                for (list, time) in times.iter_mut().zip(stages).filter(|_| round > 0) {
                    list.push(milliseconds(time));
                }
            }
        }
        for (name, list) in ["embed", "dense", "lexical", "fuse", "total"].iter().zip(&mut times) {
            println!(
                "  top {top:>3} {name:<8} p50 {:.2} ms  p95 {:.2} ms",
                setup::percentile(list, 50),
                setup::percentile(list, 95)
            );
        }
    }
    Ok(())
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn disk_mib(folder: &Path) -> Result<f64, Box<dyn Error>> {
    let mut total = 0.0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        total += if metadata.is_dir() {
            disk_mib(&entry.path())?
        } else {
            std::os::unix::fs::MetadataExt::blocks(&metadata) as f64 * 512.0 / f64::from(1 << 20)
        };
    }
    Ok(total)
}

//! BM25 over SciFact with the English analyser, brute force: the quality of the terms, apart from any index.

use elodex_eval::{BeirFolder, Document, Evaluation, Measure, Protocol, Run, Scored};
use elodex_text::lexical::{Analyzer, Language, detect, term_counts};
use std::collections::HashMap;
use std::path::PathBuf;

const K1: f64 = 0.9;
const B: f64 = 0.4;

fn scifact() -> Option<BeirFolder> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/scifact");
    if path.is_dir() {
        return Some(BeirFolder::new(path));
    }
    println!("skipped: {} is absent", path.display());
    None
}

fn whole(document: &Document) -> String {
    format!("{} {}", document.title, document.text)
}

#[test]
fn english_terms_rank_scifact_as_the_reference_does() {
    let Some(folder) = scifact() else { return };
    let analyzer = Analyzer::new(Language::English);
    let documents = folder.documents().unwrap();
    let ids: Vec<&String> = documents.keys().collect();
    let mut postings: HashMap<u32, Vec<(usize, f64)>> = HashMap::new();
    let mut lengths = Vec::new();
    for (position, document) in documents.values().enumerate() {
        let counts = term_counts(&analyzer.terms(&whole(document)));
        lengths.push(counts.iter().map(|&(_, count)| f64::from(count)).sum::<f64>());
        for (id, count) in counts {
            postings.entry(id).or_default().push((position, f64::from(count)));
        }
    }
    let average = lengths.iter().sum::<f64>() / lengths.len() as f64;
    let qrels = folder.qrels("test").unwrap();
    let mut run = Run::new("bm25");
    for (query, text) in folder.queries().unwrap() {
        if qrels.judged(&query).is_none() {
            continue;
        }
        let mut scores: HashMap<usize, f64> = HashMap::new();
        for (id, repeats) in term_counts(&analyzer.terms(&text)) {
            let Some(list) = postings.get(&id) else { continue };
            let count = list.len() as f64;
            let rarity = (1.0 + (documents.len() as f64 - count + 0.5) / (count + 0.5)).ln();
            for &(position, frequency) in list {
                let norm = K1 * (1.0 - B + B * lengths[position] / average);
                *scores.entry(position).or_default() +=
                    f64::from(repeats) * rarity * frequency / (frequency + norm);
            }
        }
        let scored =
            |(position, score): (usize, f64)| Scored { document: ids[position].clone(), score: score as f32 };
        run.insert(query, scores.into_iter().map(scored).collect()).unwrap();
    }
    let evaluation = Evaluation::of(&qrels, &run, &[Measure::NDCG_10], &Protocol::default()).unwrap();
    let mean = evaluation.mean(Measure::NDCG_10).unwrap();
    println!("SciFact NDCG@10 {mean:.4}");
    assert!(mean >= 0.670, "NDCG@10 {mean:.4}");
}

#[test]
fn abstracts_are_found_to_be_english() {
    let Some(folder) = scifact() else { return };
    let documents = folder.documents().unwrap();
    let english = documents.values().filter(|document| detect(&whole(document)) == Language::English).count();
    println!("{english} of {} abstracts are found to be English", documents.len());
    let mistaken =
        |document: &&Document| !matches!(detect(&document.title), Language::English | Language::Other);
    let wrong = documents.values().filter(mistaken).count();
    println!("{wrong} of their titles are taken for another language");
    assert!(english * 1000 >= documents.len() * 999, "{english} of {}", documents.len());
    assert!(wrong * 50 <= documents.len(), "{wrong} of {}", documents.len());
}

//! BM25 over SciFact with the English analyser, brute force: the quality of the terms, apart from any index.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use elodex_text::lexical::{Analyzer, Language, detect, term_counts};
use serde_json::Value;
use std::collections::HashMap;
use std::path::PathBuf;

const K1: f64 = 0.9;
const B: f64 = 0.4;
const CUTOFF: usize = 10;

fn scifact() -> Option<PathBuf> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/scifact");
    if path.is_dir() {
        return Some(path);
    }
    println!("skipped: {} is absent", path.display());
    None
}

fn records(path: PathBuf) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn string<'a>(record: &'a Value, key: &str) -> &'a str {
    record[key].as_str().unwrap_or_default()
}

fn document_text(record: &Value) -> String {
    format!("{} {}", string(record, "title"), string(record, "text"))
}

/// Relevant documents of each test query with their gain.
fn judgements(path: PathBuf) -> HashMap<String, HashMap<String, f64>> {
    let mut judged: HashMap<String, HashMap<String, f64>> = HashMap::new();
    for line in std::fs::read_to_string(path).unwrap().lines().skip(1) {
        let fields: Vec<&str> = line.split('\t').collect();
        let gain: f64 = fields[2].parse().unwrap();
        judged.entry(fields[0].to_owned()).or_default().insert(fields[1].to_owned(), gain);
    }
    judged
}

fn ndcg(ranking: &[&str], relevant: &HashMap<String, f64>) -> f64 {
    let discounted = |gains: &mut dyn Iterator<Item = f64>| -> f64 {
        gains.take(CUTOFF).enumerate().map(|(rank, gain)| gain / (rank as f64 + 2.0).log2()).sum()
    };
    let mut ideal: Vec<f64> = relevant.values().copied().collect();
    ideal.sort_by(|one, other| other.total_cmp(one));
    let found = discounted(&mut ranking.iter().map(|id| relevant.get(*id).copied().unwrap_or_default()));
    found / discounted(&mut ideal.into_iter())
}

#[test]
fn english_terms_rank_scifact_as_the_reference_does() {
    let Some(folder) = scifact() else { return };
    let analyzer = Analyzer::new(Language::English);
    let documents = records(folder.join("corpus.jsonl"));
    let mut postings: HashMap<u32, Vec<(usize, f64)>> = HashMap::new();
    let mut lengths = Vec::new();
    for (position, record) in documents.iter().enumerate() {
        let counts = term_counts(&analyzer.terms(&document_text(record)));
        lengths.push(counts.iter().map(|&(_, count)| f64::from(count)).sum::<f64>());
        for (id, count) in counts {
            postings.entry(id).or_default().push((position, f64::from(count)));
        }
    }
    let average = lengths.iter().sum::<f64>() / lengths.len() as f64;
    let judged = judgements(folder.join("qrels/test.tsv"));
    let mut total = 0.0;
    for query in records(folder.join("queries.jsonl")) {
        let Some(relevant) = judged.get(string(&query, "_id")) else { continue };
        let mut scores = vec![0.0; documents.len()];
        for (id, repeats) in term_counts(&analyzer.terms(string(&query, "text"))) {
            let Some(list) = postings.get(&id) else { continue };
            let count = list.len() as f64;
            let rarity = (1.0 + (documents.len() as f64 - count + 0.5) / (count + 0.5)).ln();
            for &(position, frequency) in list {
                let norm = K1 * (1.0 - B + B * lengths[position] / average);
                scores[position] += f64::from(repeats) * rarity * frequency / (frequency + norm);
            }
        }
        let mut order: Vec<usize> = (0..documents.len()).collect();
        order.sort_by(|&one, &other| scores[other].total_cmp(&scores[one]));
        let ranking: Vec<&str> = order.iter().take(CUTOFF).map(|&at| string(&documents[at], "_id")).collect();
        total += ndcg(&ranking, relevant);
    }
    let mean = total / judged.len() as f64;
    println!("SciFact NDCG@10 {mean:.4} over {} queries", judged.len());
    assert!(mean >= 0.670, "NDCG@10 {mean:.4}");
}

#[test]
fn abstracts_are_found_to_be_english() {
    let Some(folder) = scifact() else { return };
    let documents = records(folder.join("corpus.jsonl"));
    let texts: Vec<String> = documents.iter().map(document_text).collect();
    let english = texts.iter().filter(|text| detect(text) == Language::English).count();
    println!("{english} of {} abstracts are found to be English", texts.len());
    let mistaken =
        |record: &&Value| !matches!(detect(string(record, "title")), Language::English | Language::Other);
    let wrong = documents.iter().filter(mistaken).count();
    println!("{wrong} of their titles are taken for another language");
    assert!(english * 1000 >= texts.len() * 999, "{english} of {}", texts.len());
    assert!(wrong * 50 <= texts.len(), "{wrong} of {}", texts.len());
}

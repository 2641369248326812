//! A BEIR directory, and NDCG over its test queries.

use serde::Deserialize;
use std::collections::HashMap;
use std::error::Error;
use std::path::Path;

#[derive(Deserialize)]
struct Line {
    _id: String,
    #[serde(default)]
    title: String,
    text: String,
}

/// Texts by id, and the grades of the test split.
pub(crate) struct Beir {
    /// Id and title with text.
    pub(crate) documents: Vec<(String, String)>,
    /// Judged queries.
    pub(crate) queries: Vec<(String, String)>,
    grades: HashMap<String, HashMap<String, f64>>,
}

impl Beir {
    pub(crate) fn read(folder: &Path) -> Result<Self, Box<dyn Error>> {
        let mut grades: HashMap<String, HashMap<String, f64>> = HashMap::new();
        for line in std::fs::read_to_string(folder.join("qrels/test.tsv"))?.lines().skip(1) {
            let [query, document, grade] = line.split('\t').collect::<Vec<_>>()[..] else {
                return Err(format!("`{line}` is no judgement").into());
            };
            grades.entry(query.to_owned()).or_default().insert(document.to_owned(), grade.trim().parse()?);
        }
        let documents = lines(&folder.join("corpus.jsonl"))?;
        let mut queries = lines(&folder.join("queries.jsonl"))?;
        queries.retain(|(id, _)| grades.contains_key(id));
        Ok(Self { documents, queries, grades })
    }

    /// NDCG@10 with linear gain, as trec_eval's `ndcg_cut_10`.
    pub(crate) fn ndcg(&self, query: &str, ranking: &[String]) -> f64 {
        let discounted = |grades: &mut dyn Iterator<Item = f64>| -> f64 {
            grades.take(10).enumerate().map(|(rank, grade)| grade / (rank as f64 + 2.0).log2()).sum()
        };
        let Some(grades) = self.grades.get(query) else { return 0.0 };
        let mut ideal: Vec<f64> = grades.values().copied().collect();
        ideal.sort_by(|one, two| two.total_cmp(one));
        let best = discounted(&mut ideal.into_iter());
        let got = discounted(&mut ranking.iter().map(|id| grades.get(id).copied().unwrap_or_default()));
        if best == 0.0 { 0.0 } else { got / best }
    }
}

fn lines(path: &Path) -> Result<Vec<(String, String)>, Box<dyn Error>> {
    let mut texts = Vec::new();
    for line in std::fs::read_to_string(path)?.lines() {
        let line: Line = serde_json::from_str(line)?;
        let text = if line.title.is_empty() { line.text } else { format!("{}\n\n{}", line.title, line.text) };
        texts.push((line._id, text));
    }
    Ok(texts)
}

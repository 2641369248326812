//! What of a chunk is embedded and matched by its words, and the BM25 weights of chunks and queries: what a chunk
//! index's sparse vectors hold.
//!
//! With term frequency `f`, `l` terms in the chunk and `a` in an average one, a term of a chunk weighs
//! `f · (k₁ + 1) / (f + k₁ · (1 − b + b · l / a))`; a term of a query weighs its frequency there, shared
//! among the languages of the documents. The index multiplies by the inverse document frequency (Robertson and Zaragoza,
//! "The Probabilistic Relevance Framework: BM25 and Beyond", 2009).

use elodex_store::{CatalogView, Chunk, Document, SparseVector};
use elodex_text::lexical::{Analyzer, Indexed, Language, term_counts};
use std::collections::BTreeMap;
use std::ops::Range;

/// Saturation of the term frequency.
pub const K1: f32 = 0.9;
/// How much the chunk's length counts.
pub const B: f32 = 0.4;

/// Version of the formulas and texts of this module. Whatever changes a weight of any chunk changes it.
const WEIGHTS_VERSION: u32 = 1;

/// Version of what an index's sparse vectors hold: of the [analysers](elodex_text::lexical::VERSION) and of what is made
/// of their terms here. An index of another one is thrown away when it is opened, and written anew from the catalog;
/// the average length stays that of the terms which were counted when documents were read.
pub const TERMS_VERSION: u32 = elodex_text::lexical::VERSION << 16 | WEIGHTS_VERSION;

/// Bytes of a title that stand before a chunk, about.
const TITLE_BYTES: usize = 240;

/// The text of a chunk that is embedded, analysed and reranked: the document's title, the headings above the chunk and
/// its own text, each once.
pub(crate) fn chunk_text(title: Option<&str>, headings: &[String], content: &str) -> String {
    let begin = content.trim_start_matches(|c: char| c == '#' || c.is_whitespace());
    let mut path: Vec<&str> = Vec::with_capacity(headings.len() + 1);
    for part in title.map(cut_title).into_iter().chain(headings.iter().map(String::as_str)) {
        let part = part.trim();
        if !part.is_empty() && !path.contains(&part) && !begins_with_line(begin, part) {
            path.push(part);
        }
    }
    if path.is_empty() {
        return content.to_owned();
    }
    [&path.join("\n"), "\n", content].concat()
}

/// A document's chunks `ordinals`, in order, each with its [`chunk_text`].
pub(crate) fn read_chunks(
    view: &dyn CatalogView,
    document: &Document,
    ordinals: Range<u32>,
) -> elodex_store::Result<Vec<(Chunk, String)>> {
    let title = document.parsed.as_ref().and_then(|parsed| parsed.title.as_deref());
    let with_text = |chunk: Chunk| {
        let content = view.text(document, chunk.bytes.clone())?;
        let text = chunk_text(title, &chunk.headings, &content);
        Ok((chunk, text))
    };
    view.chunks(document, ordinals)?.into_iter().map(with_text).collect()
}

/// Whether `text` begins with `line` as a line of its own.
fn begins_with_line(text: &str, line: &str) -> bool {
    text.strip_prefix(line).is_some_and(|rest| {
        let rest = rest.trim_start_matches([' ', '\t', '#', '\r']);
        rest.is_empty() || rest.starts_with('\n')
    })
}

/// As much of a title as stands before each chunk, cut between words.
pub(crate) fn cut_title(title: &str) -> &str {
    if title.len() <= TITLE_BYTES {
        return title;
    }
    let cut = &title[..title.floor_char_boundary(TITLE_BYTES)];
    cut.rfind(char::is_whitespace).map_or(cut, |space| cut[..space].trim_end())
}

/// The analyser of a language by its code; words as they are where there is none.
pub(crate) fn analyzer_of(language: Option<&str>) -> Analyzer {
    Analyzer::new(language.and_then(Language::from_code).unwrap_or(Language::Other))
}

/// Terms of a chunk as the index keeps them; also its length in terms, with repetitions.
pub(crate) fn chunk_terms(analyzer: &Analyzer, text: &str) -> (Vec<(u32, u32)>, u64) {
    let Indexed { mut terms, characters } = analyzer.indexed(text);
    let length = terms.len() as u64;
    terms.extend(characters);
    (term_counts(&terms), length)
}

/// A chunk's weights in an index whose average chunk has `average` terms.
pub(crate) fn chunk_weights(counts: &[(u32, u32)], length: u64, average: f32) -> SparseVector {
    let norm = K1 * (1.0 - B + B * length as f32 / average.max(1.0));
    let weight = |count: u32| count as f32 * (K1 + 1.0) / (count as f32 + norm);
    SparseVector {
        ids: counts.iter().map(|&(id, _)| id).collect(),
        weights: counts.iter().map(|&(_, count)| weight(count)).collect(),
    }
}

/// A query's weights: of each term its frequency in the query as each of `languages` reads it, times the language's
/// share, summed.
pub(crate) fn query_weights(languages: &[(Language, f32)], query: &str) -> SparseVector {
    let mut weights: BTreeMap<u32, f32> = BTreeMap::new();
    for &(language, share) in languages {
        for (id, count) in term_counts(&Analyzer::new(language).terms(query)) {
            *weights.entry(id).or_default() += share * count as f32;
        }
    }
    SparseVector { ids: weights.keys().copied().collect(), weights: weights.into_values().collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned(headings: &[&str]) -> Vec<String> {
        headings.iter().map(|heading| (*heading).to_owned()).collect()
    }

    #[test]
    fn title_and_headings_come_first_and_once() {
        let text = |title, headings: &[&str], content| chunk_text(title, &owned(headings), content);
        assert_eq!(text(None, &[], "Boil it."), "Boil it.");
        assert_eq!(text(Some("Tea"), &["Water", "Heat"], "Boil it."), "Tea\nWater\nHeat\nBoil it.");
        assert_eq!(text(Some("Tea"), &["Tea", "Heat"], "Boil it."), "Tea\nHeat\nBoil it.");
        assert_eq!(text(Some("Tea"), &["Heat"], "## Heat\n\nBoil it."), "Tea\n## Heat\n\nBoil it.");
        assert_eq!(text(Some("Tea"), &[], "# Tea\nBoil it."), "# Tea\nBoil it.");
        assert_eq!(text(Some("Tea"), &[], "Tea is boiled."), "Tea\nTea is boiled.");
        assert_eq!(text(Some(" "), &[], "Boil it."), "Boil it.");
    }

    #[test]
    fn a_long_title_is_cut_between_words() {
        let long = "wörd ".repeat(100);
        let cut = cut_title(&long);
        assert!(cut.len() <= TITLE_BYTES && cut.ends_with("wörd"), "{cut}");
        assert_eq!(cut_title("short"), "short");
        assert!(cut_title(&"ö".repeat(200)).len() <= TITLE_BYTES);
    }

    #[test]
    fn a_weight_is_the_formula_s() {
        // f = 2, l = 10, a = 5: 2 · 1.9 / (2 + 0.9 · (0.6 + 0.4 · 2)) = 3.8 / 3.26.
        let weights = chunk_weights(&[(7, 2)], 10, 5.0);
        assert_eq!(weights.ids, [7]);
        assert!((weights.weights[0] - 3.8 / 3.26).abs() < 1e-6, "{weights:?}");
    }

    #[test]
    fn a_query_of_one_character_finds_it_within_words() {
        let (counts, length) = chunk_terms(&Analyzer::new(Language::Japanese), "東京の猫");
        assert_eq!(length, 3);
        let chunk = chunk_weights(&counts, length, 3.0);
        for query in ["猫", "東京", "京の"] {
            let query = query_weights(&[(Language::Japanese, 1.0)], query);
            assert!(query.ids.len() == 1 && chunk.ids.contains(&query.ids[0]), "{query:?}");
        }
        assert!(!chunk.ids.contains(&query_weights(&[(Language::Japanese, 1.0)], "犬").ids[0]));
    }

    #[test]
    fn a_longer_chunk_weighs_less_and_a_repeated_term_more() {
        let weight = |count, length| chunk_weights(&[(1, count)], length, 20.0).weights[0];
        assert!(weight(1, 10) > weight(1, 40));
        assert!(weight(2, 20) > weight(1, 20));
        assert!(weight(1_000, 20) < K1 + 1.0);
    }
}

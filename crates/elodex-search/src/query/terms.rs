//! In which languages a query's words are read.
//!
//! Each document's terms were made in its own language. Read in another one, a query has forms that are rare in the
//! index, foreign stop words among them, and BM25 takes what is rare for telling. So a form counts as much as it is
//! likely that the query is in the language that has it.

use crate::lexical::query_weights;
use crate::{Result, error};
use elodex_store::{CatalogView, Collection, SparseVector};
use elodex_text::lexical::{Analyzer, Language, detect};
use std::cmp::Reverse;

/// Languages that one query is read in: the most common ones.
const MOST_LANGUAGES: usize = 16;

/// Bytes of a query's beginning that are searched for stop words.
const SAMPLE_BYTES: usize = 1_024;

/// How much likelier a stop word of a language makes the language, and how many of them count.
const STOP_WORD_ODDS: f32 = 10.0;
const MOST_STOP_WORDS: usize = 6;

/// The query's terms for the documents of `view`.
pub(super) fn terms(view: &dyn CatalogView, collection: &Collection, query: &str) -> Result<SparseVector> {
    if let Some(code) = &collection.settings.language {
        return Ok(query_weights(&[(language_of(code), 1.0)], query));
    }
    let known = view.languages(collection.id).map_err(error::of)?;
    let indexed = view.counts(collection.id).map_err(error::of)?.indexed;
    Ok(query_weights(&shares(&known, indexed, query), query))
}

/// The languages to read a query in, and how likely it is in each; together 1.
///
/// A query whose language is told, and is one of those `known` of documents, is read in that. Any other is read in all
/// of them, each as likely as it is common, and likelier by the query's words that are its stop words. Of the `indexed`
/// documents those whose language is not known hold words as they are: by their share each query is read in that way.
fn shares(known: &[(String, u64)], indexed: u64, query: &str) -> Vec<(Language, f32)> {
    let mut languages: Vec<(Language, u64)> =
        known.iter().map(|(code, documents)| (language_of(code), *documents)).collect();
    languages.sort_by_key(|(_, documents)| Reverse(*documents));
    let of_known: u64 = languages.iter().map(|(_, documents)| documents).sum();
    // What is being indexed again is live and not counted, so there may be one where none shows.
    let unknown = indexed.saturating_sub(of_known).max(1);
    let all = (of_known + unknown) as f32;

    let asked = detect(query);
    if asked != Language::Other && languages.iter().any(|(language, _)| *language == asked) {
        return vec![(asked, of_known as f32 / all), (Language::Other, unknown as f32 / all)];
    }
    languages.truncate(MOST_LANGUAGES);
    let sample = &query[..query.floor_char_boundary(SAMPLE_BYTES)];
    let words = Analyzer::new(Language::Other).terms(sample).len();
    let odds = |&(language, documents): &(Language, u64)| {
        let stop_words = words.saturating_sub(Analyzer::new(language).terms(sample).len());
        documents as f32 * STOP_WORD_ODDS.powi(stop_words.min(MOST_STOP_WORDS) as i32)
    };
    let odds: Vec<f32> = languages.iter().map(odds).collect();
    let sum: f32 = odds.iter().sum();
    let share_of_known = of_known as f32 / all;
    let mut shares: Vec<(Language, f32)> = languages
        .iter()
        .zip(&odds)
        .map(|((language, _), odds)| (*language, share_of_known * odds / sum))
        .collect();
    shares.push((Language::Other, unknown as f32 / all));
    shares
}

fn language_of(code: &str) -> Language {
    Language::from_code(code).unwrap_or(Language::Other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn assert_shares(known: &[(&str, u64)], indexed: u64, query: &str, expected: &[(Language, f32)]) {
        let known: Vec<(String, u64)> =
            known.iter().map(|(code, documents)| ((*code).to_owned(), *documents)).collect();
        let shares = shares(&known, indexed, query);
        let is_near = |one: &(Language, f32), other: &(Language, f32)| {
            one.0 == other.0 && (one.1 - other.1).abs() < 0.001
        };
        let alike = shares.len() == expected.len()
            && shares.iter().zip(expected).all(|(one, other)| is_near(one, other));
        assert!(alike, "{query}: {shares:?}");
    }

    const BOTH: [(&str, u64); 2] = [("de", 20), ("en", 70)];

    #[test]
    fn a_short_query_is_read_in_every_language_by_its_share() {
        let by_share = [(Language::English, 0.7), (Language::German, 0.2), (Language::Other, 0.1)];
        assert_shares(&BOTH, 100, "Hamburg", &by_share);
        assert_shares(&BOTH, 100, "庭園は秋に美しい", &by_share);
    }

    #[test]
    fn stop_words_tell_a_language() {
        let german = [(Language::English, 0.233), (Language::German, 0.667), (Language::Other, 0.1)];
        assert_shares(&BOTH, 100, "der Hafen", &german);
        let english = [(Language::English, 0.875), (Language::German, 0.025), (Language::Other, 0.1)];
        assert_shares(&BOTH, 100, "the harbour", &english);
    }

    #[test]
    fn shares_are_finite_and_add_up() {
        let known = [("xx".to_owned(), 1), ("en".to_owned(), 1 << 40), ("de".to_owned(), 3)];
        for query in ["", "the", "of the 42 ", "the die \u{0} der of "] {
            for repeated in [1, 10_000] {
                let shares = shares(&known, 0, &query.repeat(repeated));
                let sum: f32 = shares.iter().map(|(_, share)| share).sum();
                assert!((sum - 1.0).abs() < 1e-3, "{query:?}: {shares:?}");
            }
        }
    }

    #[test]
    fn a_query_whose_language_is_told_is_read_in_it() {
        let query = "Wann fährt morgen früh der erste Zug nach Hamburg, und wohin fährt er dann?";
        assert_shares(&BOTH, 100, query, &[(Language::German, 0.9), (Language::Other, 0.1)]);
    }

    #[test]
    fn without_known_languages_words_are_read_as_they_are() {
        assert_shares(&[], 0, "Die Hand", &[(Language::Other, 1.0)]);
        assert_shares(&[], 7, "Die Hand", &[(Language::Other, 1.0)]);
    }

    #[test]
    fn the_forms_of_a_word_share_its_weight() {
        let weights = |languages: &[(Language, f32)], query| {
            let mut weights = query_weights(languages, query).weights;
            weights.sort_by(f32::total_cmp);
            weights
        };
        let both = [(Language::English, 0.75), (Language::Other, 0.25)];
        assert_eq!(weights(&[(Language::English, 1.0)], "running running"), [2.0]);
        assert_eq!(weights(&both, "running"), [0.25, 0.75], "`running` and `run`");
        assert_eq!(weights(&both, "harbor"), [1.0]);
    }
}

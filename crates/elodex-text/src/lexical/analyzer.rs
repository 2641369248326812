//! Text to terms.

use super::Language;
use super::language::{COUNT, Marks, Row};
use super::scripts::{Run, run_of};
use snowball_stemmers_rs::Stemmer;
use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;
use std::sync::OnceLock;
use unicode_normalization::char::is_combining_mark;
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfkc_quick};
use unicode_segmentation::UnicodeSegmentation;

/// Makes terms of texts in one language. Cheap to make; words that the language's stop list names make no term.
///
/// A text is normalised (NFKC, so that ligatures and full-width letters become plain ones) and lower-cased, its words are
/// found (UAX #29), and each is stemmed (Snowball). Han, Hiragana and Katakana, Hangul, and the scripts of
/// South-East Asia become overlapping pairs of characters instead, a lone character itself. An index also holds the
/// characters of the pairs, so that a query of one character finds them.
#[derive(Clone, Copy)]
pub struct Analyzer {
    language: Language,
    stop_words: &'static HashSet<String>,
}

impl fmt::Debug for Analyzer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Analyzer").field("language", &self.language).finish_non_exhaustive()
    }
}

/// What a text is found by.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Indexed {
    /// Its terms, in order, repetitions included.
    pub terms: Vec<String>,
    /// The characters of those terms that are pairs, in order, repetitions included. They say again what the pairs say, so
    /// they count for no text's length.
    pub characters: Vec<String>,
}

/// Longest word that is a term; a longer one is data, not language.
const LONGEST_WORD: usize = 256;

impl Analyzer {
    /// An analyser for `language`.
    pub fn new(language: Language) -> Self {
        Self { language, stop_words: stop_words(language) }
    }

    /// The language it analyses.
    pub fn language(&self) -> Language {
        self.language
    }

    /// The terms of a text, in order, repetitions included: what a query looks for. A word of more than 256 bytes makes
    /// none.
    pub fn terms(&self, text: &str) -> Vec<String> {
        self.indexed(text).terms
    }

    /// [`Self::terms`], and what else a document is found by.
    pub fn indexed(&self, text: &str) -> Indexed {
        let row = self.language.row();
        let text = normalised(text, row);
        let mut words = Words {
            analyzer: self,
            stemmer: row.stemmer.map(Stemmer::create),
            row,
            found: Indexed::default(),
        };
        let mut pending: Option<(Run, Vec<&str>)> = None;
        for segment in text.split_word_bounds() {
            if !segment.contains(char::is_alphanumeric) {
                words.end_run(&mut pending);
                continue;
            }
            if segment.chars().all(|character| run_of(character) == Run::Words) {
                words.end_run(&mut pending);
                words.word(segment);
                continue;
            }
            words.mixed(segment, &mut pending);
        }
        words.end_run(&mut pending);
        words.found
    }
}

/// What the words of one text have become so far.
struct Words<'a> {
    analyzer: &'a Analyzer,
    stemmer: Option<Stemmer>,
    row: &'static Row,
    found: Indexed,
}

impl Words<'_> {
    /// A segment in which characters of a script without spaces occur.
    fn mixed<'t>(&mut self, segment: &'t str, pending: &mut Option<(Run, Vec<&'t str>)>) {
        let mut word_start = None;
        for (offset, cluster) in segment.grapheme_indices(true) {
            let run = cluster.chars().next().map_or(Run::Words, run_of);
            if run == Run::Words {
                self.end_run(pending);
                word_start.get_or_insert(offset);
                continue;
            }
            if let Some(start) = word_start.take() {
                self.word(&segment[start..offset]);
            }
            match pending {
                Some((same, clusters)) if *same == run => clusters.push(cluster),
                _ => {
                    self.end_run(pending);
                    *pending = Some((run, vec![cluster]));
                }
            }
        }
        if let Some(start) = word_start {
            self.word(&segment[start..]);
        }
    }

    fn end_run(&mut self, pending: &mut Option<(Run, Vec<&str>)>) {
        let Some((_, clusters)) = pending.take() else { return };
        if let [only] = clusters[..] {
            self.found.terms.push(only.to_owned());
            return;
        }
        let short = |term: &String| term.len() <= LONGEST_WORD;
        self.found.terms.extend(clusters.windows(2).map(|pair| pair.concat()).filter(short));
        self.found.characters.extend(clusters.into_iter().map(str::to_owned).filter(short));
    }

    fn word(&mut self, word: &str) {
        if self.row.elides {
            for part in word.split('\'') {
                self.term(part);
            }
            return;
        }
        self.term(word);
    }

    fn term(&mut self, word: &str) {
        let is_stop = |word: &str| self.analyzer.stop_words.contains(word);
        if word.len() > LONGEST_WORD || is_stop(word) {
            return;
        }
        let bare = word.strip_suffix("'s").unwrap_or(word).trim_matches('\'');
        if !bare.contains(char::is_alphanumeric) || is_stop(bare) {
            return;
        }
        let Some(stemmer) = &self.stemmer else {
            self.found.terms.push(bare.to_owned());
            return;
        };
        let stem = stemmer.stem(bare);
        let term = match self.row.marks {
            Marks::DropFromStem if !stem.is_ascii() => without_marks(&stem),
            _ => stem.into_owned(),
        };
        if !term.is_empty() {
            self.found.terms.push(term);
        }
    }
}

/// NFKC, lower-cased, one kind of apostrophe, and without marks where the language's writers leave them out.
fn normalised<'a>(text: &'a str, row: &Row) -> Cow<'a, str> {
    let composed: Cow<'a, str> = match is_nfkc_quick(text.chars()) {
        IsNormalized::Yes => Cow::Borrowed(text),
        _ => Cow::Owned(text.nfkc().collect()),
    };
    let plain = |character: char| match character {
        '\u{2019}' | '\u{02BC}' | '\u{FF07}' => '\'',
        'I' if row.dotless => 'ı',
        'İ' if row.dotless => 'i',
        other => other,
    };
    let lower = composed.chars().map(plain).collect::<String>().to_lowercase();
    if row.marks == Marks::Drop { Cow::Owned(without_marks(&lower)) } else { Cow::Owned(lower) }
}

/// Without combining marks and without the Arabic stroke that only stretches a word.
fn without_marks(text: &str) -> String {
    let kept = |character: &char| !is_combining_mark(*character) && *character != '\u{0640}';
    text.nfd().filter(kept).nfc().collect()
}

/// The stop words of a language as the analyser sees words; none where words are cut into pairs of characters.
fn stop_words(language: Language) -> &'static HashSet<String> {
    static SETS: [OnceLock<HashSet<String>>; COUNT] = [const { OnceLock::new() }; COUNT];
    SETS[language as usize].get_or_init(|| {
        let row = language.row();
        let words = stop_words::lookup(row.code).unwrap_or_default();
        words.iter().map(|word| normalised(word, row).into_owned()).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn terms(language: Language, text: &str) -> Vec<String> {
        Analyzer::new(language).terms(text)
    }

    #[test]
    fn english_is_lowered_stopped_and_stemmed() {
        assert_eq!(terms(Language::English, "The Runners' running shoes"), ["runner", "run", "shoe"]);
        assert_eq!(terms(Language::English, "It’s the patient's naïve T-cells"), ["patient", "naiv", "cell"]);
        assert_eq!(
            terms(Language::English, "COVID-19 in 2020: 3.5% of 1,000"),
            ["covid", "19", "2020", "3.5", "1,000"]
        );
        assert_eq!(terms(Language::English, "ﬁne Ｆｕｌｌ ①"), ["fine", "full", "1"]);
    }

    #[test]
    fn scripts_without_spaces_become_pairs() {
        assert_eq!(terms(Language::Chinese, "我爱北京。"), ["我爱", "爱北", "北京"]);
        assert_eq!(terms(Language::Japanese, "東京タワー"), ["東京", "京タ", "タワ", "ワー"]);
        assert_eq!(terms(Language::Korean, "서울 시청은"), ["서울", "시청", "청은"]);
        assert_eq!(terms(Language::Chinese, "用 GPU 猫"), ["用", "gpu", "猫"]);
        assert_eq!(terms(Language::English, "iPhone手机"), ["iphon", "手机"]);
        assert_eq!(terms(Language::Thai, "กิน"), ["กิน"]);
    }

    #[test]
    fn a_character_of_a_pair_is_found_alone() {
        let found = Analyzer::new(Language::Chinese).indexed("我爱北京, GPU 猫");
        assert_eq!(found.terms, ["我爱", "爱北", "北京", "gpu", "猫"]);
        assert_eq!(found.characters, ["我", "爱", "北", "京"]);
        assert_eq!(Analyzer::new(Language::Korean).indexed("책을 읽다").characters, ["책", "을", "읽", "다"]);
        assert_eq!(Analyzer::new(Language::English).indexed("a lone cat").characters, Vec::<String>::new());
    }

    #[test]
    fn each_language_has_its_way_with_marks_and_apostrophes() {
        assert_eq!(terms(Language::French, "l’élève qu'elle"), terms(Language::French, "élève"));
        assert_eq!(terms(Language::German, "Häuser"), terms(Language::German, "häuser"));
        assert_eq!(terms(Language::Turkish, "ISIRGAN"), terms(Language::Turkish, "ısırgan"));
        assert_eq!(terms(Language::Arabic, "كِتَابٌ"), terms(Language::Arabic, "كتاب"));
        assert_ne!(terms(Language::Swedish, "för"), terms(Language::Swedish, "forr"));
        assert_eq!(terms(Language::Other, "The Cats"), ["the", "cats"]);
    }

    #[test]
    fn every_language_stems_or_stops() {
        for language in Language::all() {
            let row = language.row();
            let stops = stop_words(language).len();
            assert!(row.stemmer.is_some() || stops > 0 || language == Language::Other, "{language:?}");
        }
    }

    #[test]
    fn a_word_of_a_megabyte_is_no_term() {
        assert_eq!(terms(Language::English, &"a".repeat(1 << 20)), Vec::<String>::new());
        assert_eq!(terms(Language::Chinese, &"东".repeat(1000)).len(), 999);
    }

    proptest! {
        #[test]
        fn no_text_in_any_language_panics(text in "\\PC{0,60}", language in 0..COUNT) {
            let language = Language::all().nth(language).unwrap();
            for term in terms(language, &text) {
                prop_assert!(!term.is_empty());
            }
        }

        #[test]
        fn case_and_compatibility_forms_do_not_matter(text in "[a-z ]{0,40}") {
            let expected = terms(Language::English, &text);
            prop_assert_eq!(&terms(Language::English, &text.to_uppercase()), &expected);
            let wide: String = text.chars().map(|letter| match letter {
                'a'..='z' => char::from_u32(u32::from(letter) - u32::from('a') + 0xFF41).unwrap(),
                other => other,
            }).collect();
            prop_assert_eq!(&terms(Language::English, &wide), &expected);
        }
    }
}

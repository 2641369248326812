//! Languages, and which one a text is in.

use snowball_stemmers_rs::Algorithm;
use whatlang::Lang;

/// A language whose words are analysed in their own way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
#[expect(missing_docs, reason = "a language's name says it")]
pub enum Language {
    Arabic,
    Armenian,
    Basque,
    Bengali,
    Bulgarian,
    Catalan,
    Chinese,
    Croatian,
    Czech,
    Danish,
    Dutch,
    English,
    Esperanto,
    Estonian,
    Finnish,
    French,
    German,
    Greek,
    Hebrew,
    Hindi,
    Hungarian,
    Indonesian,
    Irish,
    Italian,
    Japanese,
    Korean,
    Lithuanian,
    Nepali,
    Norwegian,
    Persian,
    Polish,
    Portuguese,
    Romanian,
    Russian,
    Serbian,
    Slovak,
    Spanish,
    Swedish,
    Tamil,
    Thai,
    Turkish,
    Ukrainian,
    Vietnamese,
    Yiddish,
    /// Any other: words as they are, without stop words and stems.
    Other,
}

/// What becomes of the marks on letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Marks {
    /// A marked letter is another letter.
    Keep,
    /// Writers leave them out: they go before the stemmer sees the word.
    Drop,
    /// The stemmer needs them, but readers search without them: they go from the stem.
    DropFromStem,
}

/// What is known about one language.
pub(super) struct Row {
    language: Language,
    /// ISO 639-1.
    pub(super) code: &'static str,
    detected: Option<Lang>,
    pub(super) stemmer: Option<Algorithm>,
    pub(super) marks: Marks,
    /// Whether an apostrophe ends a word of its own, as in `l'eau`.
    pub(super) elides: bool,
    /// Whether the dotless i is the small form of I.
    pub(super) dotless: bool,
}

const fn row(
    language: Language,
    code: &'static str,
    detected: Option<Lang>,
    stemmer: Option<Algorithm>,
    marks: Marks,
) -> Row {
    let elides = matches!(language, Language::French | Language::Italian | Language::Catalan);
    let dotless = matches!(language, Language::Turkish);
    Row { language, code, detected, stemmer, marks, elides, dotless }
}

/// Ordered as [`Language`] is.
const TABLE: &[Row] = {
    use Algorithm as A;
    use Language as L;
    use Marks::{Drop, DropFromStem, Keep};
    &[
        row(L::Arabic, "ar", Some(Lang::Ara), Some(A::Arabic), Drop),
        row(L::Armenian, "hy", Some(Lang::Hye), Some(A::Armenian), Keep),
        row(L::Basque, "eu", None, Some(A::Basque), Keep),
        row(L::Bengali, "bn", Some(Lang::Ben), None, Keep),
        row(L::Bulgarian, "bg", Some(Lang::Bul), None, Keep),
        row(L::Catalan, "ca", Some(Lang::Cat), Some(A::Catalan), DropFromStem),
        row(L::Chinese, "zh", Some(Lang::Cmn), None, Keep),
        row(L::Croatian, "hr", Some(Lang::Hrv), None, Keep),
        row(L::Czech, "cs", Some(Lang::Ces), Some(A::Czech), Keep),
        row(L::Danish, "da", Some(Lang::Dan), Some(A::Danish), Keep),
        row(L::Dutch, "nl", Some(Lang::Nld), Some(A::Dutch), DropFromStem),
        row(L::English, "en", Some(Lang::Eng), Some(A::English), DropFromStem),
        row(L::Esperanto, "eo", Some(Lang::Epo), Some(A::Esperanto), Keep),
        row(L::Estonian, "et", Some(Lang::Est), Some(A::Estonian), Keep),
        row(L::Finnish, "fi", Some(Lang::Fin), Some(A::Finnish), Keep),
        row(L::French, "fr", Some(Lang::Fra), Some(A::French), DropFromStem),
        row(L::German, "de", Some(Lang::Deu), Some(A::German), DropFromStem),
        row(L::Greek, "el", Some(Lang::Ell), Some(A::Greek), DropFromStem),
        row(L::Hebrew, "he", Some(Lang::Heb), None, Drop),
        row(L::Hindi, "hi", Some(Lang::Hin), Some(A::Hindi), Keep),
        row(L::Hungarian, "hu", Some(Lang::Hun), Some(A::Hungarian), Keep),
        row(L::Indonesian, "id", Some(Lang::Ind), Some(A::Indonesian), Keep),
        row(L::Irish, "ga", None, Some(A::Irish), DropFromStem),
        row(L::Italian, "it", Some(Lang::Ita), Some(A::Italian), DropFromStem),
        row(L::Japanese, "ja", Some(Lang::Jpn), None, Keep),
        row(L::Korean, "ko", Some(Lang::Kor), None, Keep),
        row(L::Lithuanian, "lt", Some(Lang::Lit), Some(A::Lithuanian), Keep),
        row(L::Nepali, "ne", Some(Lang::Nep), Some(A::Nepali), Keep),
        row(L::Norwegian, "no", Some(Lang::Nob), Some(A::Norwegian), Keep),
        row(L::Persian, "fa", Some(Lang::Pes), Some(A::Persian), Drop),
        row(L::Polish, "pl", Some(Lang::Pol), Some(A::Polish), Keep),
        row(L::Portuguese, "pt", Some(Lang::Por), Some(A::Portuguese), DropFromStem),
        row(L::Romanian, "ro", Some(Lang::Ron), Some(A::Romanian), DropFromStem),
        row(L::Russian, "ru", Some(Lang::Rus), Some(A::Russian), Keep),
        row(L::Serbian, "sr", Some(Lang::Srp), Some(A::Serbian), Keep),
        row(L::Slovak, "sk", Some(Lang::Slk), None, Keep),
        row(L::Spanish, "es", Some(Lang::Spa), Some(A::Spanish), DropFromStem),
        row(L::Swedish, "sv", Some(Lang::Swe), Some(A::Swedish), Keep),
        row(L::Tamil, "ta", Some(Lang::Tam), Some(A::Tamil), Keep),
        row(L::Thai, "th", Some(Lang::Tha), None, Keep),
        row(L::Turkish, "tr", Some(Lang::Tur), Some(A::Turkish), Keep),
        row(L::Ukrainian, "uk", Some(Lang::Ukr), Some(A::Ukrainian), Keep),
        row(L::Vietnamese, "vi", Some(Lang::Vie), None, Keep),
        row(L::Yiddish, "yi", Some(Lang::Yid), Some(A::Yiddish), Drop),
        row(L::Other, "", None, None, Keep),
    ]
};

/// Number of languages, [`Language::Other`] included.
pub(super) const COUNT: usize = TABLE.len();

impl Language {
    /// Every language, [`Language::Other`] last.
    pub fn all() -> impl Iterator<Item = Language> {
        TABLE.iter().map(|row| row.language)
    }

    pub(super) fn row(self) -> &'static Row {
        &TABLE[self as usize]
    }

    /// Its ISO 639-1 code; `None` for [`Language::Other`].
    pub fn code(self) -> Option<&'static str> {
        Some(self.row().code).filter(|code| !code.is_empty())
    }

    /// The language of an ISO 639-1 code, in any case; `None` where it has no analysis of its own. The two written
    /// Norwegians, `nb` and `nn`, are `no`.
    pub fn from_code(code: &str) -> Option<Self> {
        let code = code.to_ascii_lowercase();
        let code = if code == "nb" || code == "nn" { "no" } else { &code };
        TABLE.iter().find(|row| !row.code.is_empty() && row.code == code).map(|row| row.language)
    }
}

/// Bytes of a text's beginning that its language is read from.
const SAMPLE_BYTES: usize = 8 << 10;
/// Letters below which trigrams of an alphabet that several languages share say nothing.
const FEWEST_LETTERS: usize = 24;
/// Confidence below which a guess between such languages is no better than none: measured on titles and abstracts.
const LEAST_CONFIDENCE: f64 = 0.35;

/// The language of a text, read from its beginning; [`Language::Other`] where that is unsure or not in the list.
pub fn detect(text: &str) -> Language {
    let sample = &text[..text.floor_char_boundary(SAMPLE_BYTES)];
    let Some(found) = whatlang::detect(sample) else { return Language::Other };
    let certain = found.script().langs().len() == 1 || found.script() == whatlang::Script::Mandarin;
    if !certain {
        let letters =
            sample.chars().filter(|character| character.is_alphabetic()).take(FEWEST_LETTERS).count();
        if letters < FEWEST_LETTERS || found.confidence() < LEAST_CONFIDENCE {
            return Language::Other;
        }
    }
    TABLE.iter().find(|row| row.detected == Some(found.lang())).map_or(Language::Other, |row| row.language)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_the_order_of_the_enum() {
        for (position, language) in Language::all().enumerate() {
            assert_eq!(language as usize, position, "{language:?}");
        }
        assert_eq!(Language::Other as usize, COUNT - 1);
    }

    #[test]
    fn codes_are_read_back() {
        for language in Language::all() {
            match language.code() {
                Some(code) => assert_eq!(Language::from_code(code), Some(language)),
                None => assert_eq!(language, Language::Other),
            }
        }
        assert_eq!(Language::from_code("EN"), Some(Language::English));
        assert_eq!(Language::from_code("nb"), Some(Language::Norwegian));
        assert_eq!(Language::from_code(""), None);
        assert_eq!(Language::from_code("xx"), None);
    }

    #[test]
    fn sentences_are_recognised() {
        let cases = [
            ("The committee will publish its findings before the end of the year.", Language::English),
            (
                "Le train de ce matin est arrivé avec une heure de retard parce qu'il avait beaucoup neigé pendant la nuit.",
                Language::French,
            ),
            ("Комиссия опубликует свои выводы до конца этого года.", Language::Russian),
            ("委员会将在今年年底前公布调查结果。", Language::Chinese),
            ("委員会は年末までに調査結果を公表する予定です。", Language::Japanese),
            ("위원회는 연말까지 조사 결과를 발표할 예정이다.", Language::Korean),
            ("คณะกรรมการจะเผยแพร่ผลการสอบสวน", Language::Thai),
            ("Η επιτροπή θα δημοσιεύσει τα πορίσματά της.", Language::Greek),
        ];
        for (text, language) in cases {
            assert_eq!(detect(text), language, "{text}");
        }
    }

    #[test]
    fn the_unsure_stays_open() {
        for text in ["", "42", "ok", "!?", "Tesla", "\u{0}\u{0}"] {
            assert_eq!(detect(text), Language::Other, "{text:?}");
        }
    }
}

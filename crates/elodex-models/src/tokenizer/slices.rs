//! Where a long text may be cut without changing its tokens.
//!
//! The tokenizers crate keeps some hundred bytes per byte of text while it works: a text of 5 MB takes a gigabyte. So
//! long texts are tokenised in slices, but only by tokenizers for which that is provably the same: cuts are made in
//! front of a single space between two ASCII letters or digits, for BERT's own also between two ASCII punctuation marks
//! and between two Chinese characters, each of which is a word there; and the tokenizer must consist of parts that look
//! at neither side of such a place from the other. All others tokenise whole, up to [`MAX_SLICE_BYTES`].

use serde_json::Value;
use std::ops::Range;
use tokenizers::Tokenizer;

/// Bytes of a slice before the next place to cut is looked for. Texts of less than two slices stay whole.
const SLICE_BYTES: usize = 64 << 10;

/// The longest text without a place to cut that is tokenised; it takes up to about 600 MB meanwhile.
pub(super) const MAX_SLICE_BYTES: usize = 1 << 20;

/// Places where a tokenizer allows a cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cuts {
    None,
    /// In front of a single space between letters or digits.
    Spaces,
    /// There, between punctuation marks, and between Chinese characters.
    SpacesAndMarks,
}

/// Expressions of `Split` that end a match at a space behind a letter or digit and start one at that space, whatever
/// stands further away: those of GPT-2, Qwen2 and Llama 3.
const KNOWN_SPLITS: [&str; 3] = [
    r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
];

/// Where a cut changes no token of this tokenizer.
pub(super) fn allowed(tokenizer: &Tokenizer) -> Cuts {
    let Ok(normalizer) = serde_json::to_value(tokenizer.get_normalizer()) else { return Cuts::None };
    let Ok(pre_tokenizer) = serde_json::to_value(tokenizer.get_pre_tokenizer()) else { return Cuts::None };
    let Ok(post_processor) = serde_json::to_value(tokenizer.get_post_processor()) else { return Cuts::None };
    let added = tokenizer.get_added_tokens_decoder();
    let at_spaces = normalizer_is_local(&normalizer)
        && splits_at_spaces(&pre_tokenizer)
        && keeps_offsets(&post_processor)
        && added.values().all(|token| {
            let content = token.content.as_bytes();
            let spans_cut = content.windows(2).any(|pair| pair[0].is_ascii_alphanumeric() && pair[1] == b' ');
            let eats_space = token.rstrip && content.last().is_some_and(u8::is_ascii_alphanumeric);
            !spans_cut && !eats_space
        });
    if !at_spaces {
        return Cuts::None;
    }
    let at_marks = normalizer["type"] == "BertNormalizer"
        && normalizer["handle_chinese_chars"] == true
        && pre_tokenizer["type"] == "BertPreTokenizer"
        && added.values().all(|token| !pairs(&token.content).any(|(one, two)| between_marks(one, two)));
    if at_marks { Cuts::SpacesAndMarks } else { Cuts::Spaces }
}

fn pairs(text: &str) -> impl Iterator<Item = (char, char)> {
    text.chars().zip(text.chars().skip(1))
}

fn between_marks(one: char, two: char) -> bool {
    // The block whose every character BERT's normaliser sets apart and no normal form changes.
    let chinese = |character: char| ('\u{4e00}'..='\u{9fff}').contains(&character);
    (one.is_ascii_punctuation() && two.is_ascii_punctuation()) || (chinese(one) && chinese(two))
}

/// Parts that change letters one by one, by grapheme, or by runs of spaces, of which a cut has none.
fn normalizer_is_local(part: &Value) -> bool {
    match part["type"].as_str() {
        None => part.is_null(),
        Some("Sequence") => all(&part["normalizers"], normalizer_is_local),
        Some(
            "BertNormalizer" | "Lowercase" | "NFC" | "NFD" | "NFKC" | "NFKD" | "StripAccents" | "Precompiled",
        ) => true,
        Some("Strip") => part["strip_left"] == false,
        Some("Replace") => part["pattern"]["Regex"] == " {2,}",
        Some(_) => false,
    }
}

/// Parts of which at least one splits at every single space between letters, and none across it.
fn splits_at_spaces(part: &Value) -> bool {
    match part["type"].as_str() {
        Some("Sequence") => {
            let parts = part["pretokenizers"].as_array().map(Vec::as_slice).unwrap_or_default();
            // The first decides: behind it no part sees both sides of a space.
            parts.first().is_some_and(splits_at_spaces) && parts.iter().all(pre_tokenizer_is_known)
        }
        Some("BertPreTokenizer" | "WhitespaceSplit") => true,
        Some("ByteLevel") => part["use_regex"] == true,
        Some("Metaspace") => part["split"] == true,
        Some("Split") => {
            let known =
                part["pattern"]["Regex"].as_str().is_some_and(|pattern| KNOWN_SPLITS.contains(&pattern));
            known && part["behavior"] == "Isolated" && part["invert"] == false
        }
        _ => false,
    }
}

fn pre_tokenizer_is_known(part: &Value) -> bool {
    let known =
        ["BertPreTokenizer", "WhitespaceSplit", "ByteLevel", "Metaspace", "Split", "Punctuation", "Digits"];
    part["type"].as_str().is_some_and(|name| known.contains(&name))
}

/// Parts that treat the offsets of a text's first token as those of any other. Trimming offsets of a prefix space that
/// was added does not.
fn keeps_offsets(part: &Value) -> bool {
    match part["type"].as_str() {
        None => part.is_null(),
        Some("Sequence") => all(&part["processors"], keeps_offsets),
        Some("TemplateProcessing" | "BertProcessing") => true,
        Some("ByteLevel" | "RobertaProcessing") => {
            part["trim_offsets"] == false || part["add_prefix_space"] == false
        }
        Some(_) => false,
    }
}

fn all(parts: &Value, test: fn(&Value) -> bool) -> bool {
    parts.as_array().is_some_and(|parts| parts.iter().all(test))
}

/// The slices of a text, which cover it; one for a short text or one without a place to cut.
pub(super) fn of(text: &str, cuts: Cuts) -> Vec<Range<usize>> {
    let mut slices = Vec::with_capacity(text.len() / SLICE_BYTES + 1);
    let mut start = 0;
    while cuts != Cuts::None && text.len() - start >= 2 * SLICE_BYTES {
        let Some(cut) = next_cut(text, start + SLICE_BYTES, cuts) else { break };
        slices.push(start..cut);
        start = cut;
    }
    slices.push(start..text.len());
    slices
}

fn next_cut(text: &str, from: usize, cuts: Cuts) -> Option<usize> {
    let bytes = text.as_bytes();
    let from = text.ceil_char_boundary(from);
    let mut before = '\0';
    for (at, character) in text[from..].char_indices() {
        let at = from + at;
        let space = character == ' '
            && before.is_ascii_alphanumeric()
            && bytes.get(at + 1).is_some_and(u8::is_ascii_alphanumeric);
        if space || (cuts == Cuts::SpacesAndMarks && between_marks(before, character)) {
            return Some(at);
        }
        before = character;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_parts_allow_cuts() {
        let path = elodex_testkit::golden_dir("bert_minilm").join("model/tokenizer.json");
        let golden: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let allowed_with = |change: &dyn Fn(&mut Value)| {
            let mut tokenizer = golden.clone();
            change(&mut tokenizer);
            allowed(&Tokenizer::from_bytes(tokenizer.to_string()).unwrap())
        };
        let byte_level = |prefix: bool| {
            serde_json::json!({"type": "ByteLevel", "add_prefix_space": prefix,
            "trim_offsets": true, "use_regex": true})
        };
        let split = |regex: &str| {
            serde_json::json!({"type": "Sequence", "pretokenizers": [
            {"type": "Split", "pattern": {"Regex": regex}, "behavior": "Isolated", "invert": false},
            {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false}]})
        };
        let token = |content: &str| {
            serde_json::json!({"id": 5, "content": content, "single_word": false,
            "lstrip": false, "rstrip": false, "normalized": false, "special": false})
        };
        assert_eq!(allowed_with(&|_| {}), Cuts::SpacesAndMarks);
        assert_eq!(allowed_with(&|value| value["pre_tokenizer"] = byte_level(false)), Cuts::Spaces);
        assert_eq!(allowed_with(&|value| value["pre_tokenizer"] = split(KNOWN_SPLITS[1])), Cuts::Spaces);
        assert_eq!(allowed_with(&|value| value["added_tokens"][0] = token("  ")), Cuts::SpacesAndMarks);
        assert_eq!(allowed_with(&|value| value["added_tokens"][0] = token("<|x")), Cuts::Spaces);
        let plain = |value: &mut Value| value["normalizer"]["handle_chinese_chars"] = false.into();
        assert_eq!(allowed_with(&plain), Cuts::Spaces);
        assert_eq!(allowed_with(&|value| value["pre_tokenizer"] = split("a b")), Cuts::None);
        assert_eq!(allowed_with(&|value| value["pre_tokenizer"] = Value::Null), Cuts::None);
        assert_eq!(allowed_with(&|value| value["added_tokens"][0] = token("a b")), Cuts::None);
        assert_eq!(allowed_with(&|value| value["post_processor"] = byte_level(true)), Cuts::None);
        let prepend = serde_json::json!({"type": "Prepend", "prepend": "x"});
        assert_eq!(allowed_with(&|value| value["normalizer"] = prepend.clone()), Cuts::None);
    }

    #[test]
    fn slices_cover_the_text_and_start_where_a_cut_is_allowed() {
        for text in ["", "short", &"word ".repeat(100_000), &"字".repeat(100_000), &"a  b".repeat(100_000)] {
            for cuts in [Cuts::None, Cuts::Spaces, Cuts::SpacesAndMarks] {
                let slices = of(text, cuts);
                let joined: String = slices.iter().map(|slice| &text[slice.clone()]).collect();
                assert_eq!(joined, *text);
                let marks = cuts == Cuts::SpacesAndMarks && text.starts_with('字');
                let start = if marks { '字' } else { ' ' };
                assert!(slices[1..].iter().all(|slice| text[slice.clone()].starts_with(start)));
            }
        }
        assert!(of(&"word ".repeat(100_000), Cuts::Spaces).len() > 5);
        assert_eq!(of(&"word ".repeat(100_000), Cuts::None).len(), 1);
        assert_eq!(of(&"字".repeat(100_000), Cuts::Spaces).len(), 1);
        assert!(of(&"字".repeat(100_000), Cuts::SpacesAndMarks).len() > 3);
        assert!(of(&"!".repeat(500_000), Cuts::SpacesAndMarks).len() > 5);
    }
}

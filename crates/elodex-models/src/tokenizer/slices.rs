//! Where a long text may be cut without changing its tokens.
//!
//! The tokenizers crate keeps some hundred bytes per byte of text while it works: a text of 5 MB takes a gigabyte. So
//! long texts are tokenised in slices, but only by tokenizers for which that is provably the same: cuts are made in
//! front of a single space between two ASCII letters or digits, and the tokenizer must consist of parts that look at
//! neither side of such a place from the other. All others tokenise whole.

use serde_json::Value;
use std::ops::Range;
use tokenizers::Tokenizer;

/// Bytes of a slice before the next place to cut is looked for. Texts of less than two slices stay whole.
const SLICE_BYTES: usize = 64 << 10;

/// Expressions of `Split` that end a match at a space behind a letter or digit and start one at that space, whatever
/// stands further away: those of GPT-2, Qwen2 and Llama 3.
const KNOWN_SPLITS: [&str; 3] = [
    r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
];

/// Whether a cut changes no token of this tokenizer.
pub(super) fn allowed(tokenizer: &Tokenizer) -> bool {
    let Ok(normalizer) = serde_json::to_value(tokenizer.get_normalizer()) else { return false };
    let Ok(pre_tokenizer) = serde_json::to_value(tokenizer.get_pre_tokenizer()) else { return false };
    let Ok(post_processor) = serde_json::to_value(tokenizer.get_post_processor()) else { return false };
    normalizer_is_local(&normalizer)
        && splits_at_spaces(&pre_tokenizer)
        && keeps_offsets(&post_processor)
        && tokenizer.get_added_tokens_decoder().values().all(|token| {
            let content = token.content.as_bytes();
            let spans_cut = content.windows(2).any(|pair| pair[0].is_ascii_alphanumeric() && pair[1] == b' ');
            let eats_space = token.rstrip && content.last().is_some_and(u8::is_ascii_alphanumeric);
            !spans_cut && !eats_space
        })
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
pub(super) fn of(text: &str) -> Vec<Range<usize>> {
    let bytes = text.as_bytes();
    let mut slices = Vec::with_capacity(bytes.len() / SLICE_BYTES + 1);
    let mut start = 0;
    while bytes.len() - start >= 2 * SLICE_BYTES {
        let from = start + SLICE_BYTES;
        let place = bytes[from..].windows(3).position(|near| {
            near[0].is_ascii_alphanumeric() && near[1] == b' ' && near[2].is_ascii_alphanumeric()
        });
        let Some(place) = place else { break };
        let cut = from + place + 1;
        slices.push(start..cut);
        start = cut;
    }
    slices.push(start..bytes.len());
    slices
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
        assert!(allowed_with(&|_| {}));
        assert!(allowed_with(&|value| value["pre_tokenizer"] = byte_level(false)));
        assert!(allowed_with(&|value| value["pre_tokenizer"] = split(KNOWN_SPLITS[1])));
        assert!(allowed_with(&|value| value["added_tokens"][0] = token("  ")));
        assert!(!allowed_with(&|value| value["pre_tokenizer"] = split("a b")));
        assert!(!allowed_with(&|value| value["pre_tokenizer"] = Value::Null));
        assert!(!allowed_with(&|value| value["added_tokens"][0] = token("a b")));
        assert!(!allowed_with(&|value| value["post_processor"] = byte_level(true)));
        assert!(!allowed_with(
            &|value| value["normalizer"] = serde_json::json!({"type": "Prepend", "prepend": "x"})
        ));
    }

    #[test]
    fn slices_cover_the_text_and_start_with_a_space() {
        for text in ["", "short", &"word ".repeat(100_000), &"字".repeat(100_000), &"a  b".repeat(100_000)] {
            let slices = of(text);
            let joined: String = slices.iter().map(|slice| &text[slice.clone()]).collect();
            assert_eq!(joined, *text);
            assert!(slices[1..].iter().all(|slice| text[slice.clone()].starts_with(' ')));
        }
        assert!(of(&"word ".repeat(100_000)).len() > 5);
        assert_eq!(of(&"字".repeat(100_000)).len(), 1);
    }
}

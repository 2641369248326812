//! Tokenising and framing against the tokenizers crate's own whole-call results.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use elodex_models::ErrorKind;
use elodex_models::tokenizer::TextTokenizer;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::path::Path;
use tokenizers::Tokenizer;

/// A lower-casing WordPiece tokenizer, with truncation and padding that must not act.
fn bert() -> Value {
    let words = [
        "[PAD]", "[UNK]", "[CLS]", "[SEP]", "the", "cat", "sat", "##s", "##t", "a", "c", "##a", "ß", "!", ",",
    ];
    let vocab: Value = words.iter().enumerate().map(|(id, word)| (word.to_string(), json!(id))).collect();
    json!({
        "version": "1.0",
        "truncation": {"max_length": 4, "strategy": "LongestFirst", "stride": 0, "direction": "Right"},
        "padding": {"strategy": {"Fixed": 8}, "direction": "Right", "pad_to_multiple_of": null, "pad_id": 0,
                    "pad_type_id": 0, "pad_token": "[PAD]"},
        "added_tokens": [{"id": 3, "content": "[SEP]", "single_word": false, "lstrip": false, "rstrip": false,
                          "normalized": false, "special": true}],
        "normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
                       "strip_accents": null, "lowercase": true},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
                       {"SpecialToken": {"id": "[SEP]", "type_id": 0}}],
            "pair": [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
                     {"SpecialToken": {"id": "[SEP]", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}},
                     {"SpecialToken": {"id": "[SEP]", "type_id": 1}}],
            "special_tokens": {"[CLS]": {"id": "[CLS]", "ids": [2], "tokens": ["[CLS]"]},
                               "[SEP]": {"id": "[SEP]", "ids": [3], "tokens": ["[SEP]"]}},
        },
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": true},
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                  "max_input_chars_per_word": 100, "vocab": vocab},
    })
}

/// Byte-level BPE over all 256 bytes with a few merges, framed by `post_processor`.
fn byte_level(post_processor: Value, pre_tokenizer: Value) -> Value {
    let mut letters: Vec<char> = ('!'..='~').chain('¡'..='¬').chain('®'..='ÿ').collect();
    letters.extend((0..256 - letters.len() as u32).filter_map(|index| char::from_u32(256 + index)));
    let mut tokens = vec!["<s>".to_owned(), "</s>".to_owned(), "<|endoftext|>".to_owned()];
    tokens.extend(letters.iter().map(char::to_string));
    let merges = [("t", "h"), ("th", "e"), ("Ġ", "the"), ("a", "t"), ("Ġ", "a")];
    tokens.extend(merges.iter().map(|(left, right)| format!("{left}{right}")));
    let vocab: Value = tokens.iter().enumerate().map(|(id, token)| (token.clone(), json!(id))).collect();
    let merges: Vec<String> = merges.iter().map(|(left, right)| format!("{left} {right}")).collect();
    let special = |id: u32, content: &str| {
        json!({"id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false,
               "normalized": false, "special": true})
    };
    json!({
        "version": "1.0",
        "added_tokens": [special(0, "<s>"), special(1, "</s>"), special(2, "<|endoftext|>")],
        "normalizer": {"type": "NFC"},
        "pre_tokenizer": pre_tokenizer,
        "post_processor": post_processor,
        "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
        "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": "",
                  "end_of_word_suffix": "", "fuse_unk": false, "byte_fallback": false, "vocab": vocab,
                  "merges": merges},
    })
}

fn roberta() -> Value {
    byte_level(
        json!({"type": "RobertaProcessing", "sep": ["</s>", 1], "cls": ["<s>", 0], "trim_offsets": true,
               "add_prefix_space": true}),
        json!({"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true}),
    )
}

/// As Qwen3-Embedding: split by an expression with look-ahead, bytes, one token appended.
fn qwen() -> Value {
    let end = json!({"SpecialToken": {"id": "<|endoftext|>", "type_id": 0}});
    byte_level(
        json!({"type": "Sequence", "processors": [
            {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false, "use_regex": false},
            {"type": "TemplateProcessing",
             "single": [{"Sequence": {"id": "A", "type_id": 0}}, end],
             "pair": [{"Sequence": {"id": "A", "type_id": 0}}, end, {"Sequence": {"id": "B", "type_id": 0}}, end],
             "special_tokens": {"<|endoftext|>": {"id": "<|endoftext|>", "ids": [2], "tokens": ["<|endoftext|>"]}}},
        ]}),
        json!({"type": "Sequence", "pretokenizers": [
            {"type": "Split", "behavior": "Isolated", "invert": false, "pattern": {"Regex":
                "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"}},
            {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false, "use_regex": false},
        ]}),
    )
}

fn bare() -> Value {
    byte_level(
        json!(null),
        json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true}),
    )
}

/// Unigram over words marked at their start, as the XLM-R family.
fn unigram() -> Value {
    let pieces = [
        "<s>", "<pad>", "</s>", "<unk>", "▁", "▁the", "▁a", "a", "b", "c", "t", "th", "e", "▁12", "1", "2",
        "!",
    ];
    let vocab: Value = pieces.iter().enumerate().map(|(id, piece)| json!([piece, -(id as f64)])).collect();
    let mut tokenizer = roberta();
    tokenizer["added_tokens"] = json!([]);
    tokenizer["normalizer"] = json!({"type": "Sequence", "normalizers": [
        {"type": "NFKC"}, {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "}]});
    tokenizer["pre_tokenizer"] = json!({"type": "Sequence", "pretokenizers": [
        {"type": "WhitespaceSplit"}, {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true}]});
    tokenizer["post_processor"] = json!({"type": "TemplateProcessing",
        "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 0}}],
        "special_tokens": {"<s>": {"id": "<s>", "ids": [0], "tokens": ["<s>"]}}});
    tokenizer["model"] = json!({"type": "Unigram", "unk_id": 3, "vocab": vocab, "byte_fallback": false});
    tokenizer
}

fn load(tokenizer: &Value, lower_case: bool) -> TextTokenizer {
    TextTokenizer::from_bytes(tokenizer.to_string().as_bytes(), lower_case, Path::new("tokenizer.json"))
        .unwrap()
}

/// The same file in the tokenizers crate itself.
fn reference(tokenizer: &Value) -> Tokenizer {
    let mut reference = Tokenizer::from_bytes(tokenizer.to_string()).unwrap();
    reference.with_truncation(None).unwrap();
    reference.with_padding(None);
    reference
}

fn check_frames(tokenizer: &Value, first: &str, second: &str) {
    let (ours, theirs) = (load(tokenizer, false), reference(tokenizer));
    let (a, b) = (ours.encode(first).unwrap(), ours.encode(second).unwrap());
    let single = theirs.encode(first, true).unwrap();
    assert_eq!(ours.frame(&a.ids, None), (single.get_ids().to_vec(), single.get_type_ids().to_vec()));
    let pair = theirs.encode((first, second), true).unwrap();
    assert_eq!(ours.frame(&a.ids, Some(&b.ids)), (pair.get_ids().to_vec(), pair.get_type_ids().to_vec()));
    assert_eq!(ours.frame_len(false), single.len() - a.ids.len());
    assert_eq!(ours.frame_len(true), pair.len() - a.ids.len() - b.ids.len());
}

#[test]
fn frames_are_the_post_processors() {
    for tokenizer in [bert(), roberta(), qwen(), bare()] {
        for (first, second) in [
            ("the cat", "sat!"),
            ("", "the"),
            ("the", ""),
            ("", ""),
            (" the", "  a\n"),
            ("a[SEP]b", "<s>x</s>"),
        ] {
            check_frames(&tokenizer, first, second);
        }
    }
    let bert = load(&bert(), false);
    assert_eq!(bert.frame(&[4, 5], Some(&[6])), (vec![2, 4, 5, 3, 6, 3], vec![0, 0, 0, 0, 1, 1]));
    let roberta = load(&roberta(), false);
    assert_eq!(roberta.frame(&[9], Some(&[8])), (vec![0, 9, 1, 1, 8, 1], vec![0; 6]));
    let qwen = load(&qwen(), false);
    assert_eq!(qwen.frame(&[9, 8], None), (vec![9, 8, 2], vec![0; 3]));
}

proptest! {
    #[test]
    fn any_text_is_framed_as_the_reference_does(first in ".{0,40}", second in "[ a-eİßÉ\\n\u{301}]{0,40}") {
        for tokenizer in [bert(), roberta(), qwen()] {
            check_frames(&tokenizer, &first, &second);
        }
    }

    #[test]
    fn spans_lie_in_the_text_and_in_order(text in "[ a-cA-CİßÉﬁ\\n!漢\u{301}]{0,60}", lower in any::<bool>()) {
        let count = text.chars().count();
        for tokenizer in [bert(), roberta(), qwen()] {
            let tokens = load(&tokenizer, lower).encode(&text).unwrap();
            prop_assert_eq!(tokens.ids.len(), tokens.spans.len());
            let mut previous = 0;
            for (start, end) in tokens.spans {
                prop_assert!(previous <= start && start <= end && end <= count, "{} {}..{}", previous, start, end);
                previous = start;
            }
        }
    }
}

#[test]
fn spans_are_code_points_of_the_original() {
    let tokens = load(&bert(), false).encode("é ß THE cats").unwrap();
    assert_eq!(tokens.spans, [(0, 1), (2, 3), (4, 7), (8, 11), (11, 12)]);
    assert_eq!(tokens.ids[2..], [4, 5, 7]);
    // One code point lowers to two, so what follows is shifted in the text the tokenizer sees.
    let tokens = load(&qwen(), true).encode("İa THE").unwrap();
    assert_eq!(tokens.spans.last(), Some(&(2, 6)));
    assert_eq!(tokens.spans[0], (0, 1));
    let last = tokens.ids.last().and_then(|&id| load(&qwen(), true).token(id));
    assert_eq!(last.as_deref(), Some("Ġthe"));
}

#[test]
fn vocabulary() {
    let tokenizer = load(&bert(), false);
    assert_eq!(tokenizer.vocab_size(), 15);
    assert_eq!((tokenizer.token(5).as_deref(), tokenizer.token(99)), (Some("cat"), None));
    let mut gap = bert();
    gap["added_tokens"][0]["id"] = json!(3);
    gap["model"]["vocab"]["far"] = json!(100);
    assert_eq!(load(&gap, false).vocab_size(), 101);
    assert_ne!(load(&gap, false).digest(), tokenizer.digest());
    let mut framed = bert();
    framed["post_processor"]["special_tokens"]["[CLS]"]["ids"] = json!([300]);
    assert_eq!(load(&framed, false).vocab_size(), 301);
}

#[test]
fn tokenizers_that_cannot_be_used_are_refused() {
    let refused = |change: fn(&mut Value)| {
        let mut tokenizer = bert();
        change(&mut tokenizer);
        TextTokenizer::from_bytes(tokenizer.to_string().as_bytes(), false, Path::new("tokenizer.json"))
            .unwrap_err()
    };
    let changes: [fn(&mut Value); 6] = [
        |value| *value = json!("x"),
        |value| value["model"]["type"] = json!("Psychic"),
        |value| value["post_processor"]["special_tokens"] = json!({}),
        |value| value["post_processor"]["single"] = json!([]),
        |value| value["model"]["vocab"]["far"] = json!(u32::MAX),
        |value| {
            value["model"]["vocab"] = json!({});
            value["added_tokens"] = json!([]);
        },
    ];
    for change in changes {
        let error = refused(change);
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{}", error.report());
        assert!(error.to_string().contains("tokenizer.json"), "{error}");
    }
}

#[test]
fn an_unknown_token_that_is_not_in_the_vocabulary_is_an_error() {
    let mut tokenizer = bert();
    tokenizer["model"]["unk_token"] = json!("[ABSENT]");
    let loaded =
        TextTokenizer::from_bytes(tokenizer.to_string().as_bytes(), false, Path::new("tokenizer.json"));
    let error = loaded.and_then(|tokenizer| tokenizer.encode("dog")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
}

#[test]
fn long_texts_have_the_tokens_of_the_whole() {
    // A fixed walk over pieces that stand around spaces in every way: the cuts fall at ever different places.
    let pieces = [
        "the",
        " the",
        "  the",
        "a",
        " a",
        "12",
        " 12",
        "'t",
        " don't",
        "!",
        " !",
        "\n",
        "\n the",
        "\t",
        "é",
        " é",
        "e\u{301}",
        "漢字",
        " 漢",
        "漢字漢\u{301}字",
        "!?",
        "?\u{301}!",
        "İ",
        "Σ",
        " ΑΣ",
        "[SEP]",
        "<s>",
        " </s>",
        "  ",
        "ab",
        " ab",
    ];
    let mut metaspace = unigram();
    metaspace["pre_tokenizer"] =
        json!({"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": true});
    for tokenizer in [bert(), roberta(), qwen(), bare(), unigram(), metaspace] {
        let (ours, theirs) = (load(&tokenizer, false), reference(&tokenizer));
        let mut state = 7_usize;
        let mut text = String::new();
        while text.len() < 300_000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            text.push_str(pieces[(state >> 33) % pieces.len()]);
        }
        let tokens = ours.encode(&text).unwrap();
        let whole = theirs.encode_char_offsets(text.as_str(), false).unwrap();
        assert!(tokens.ids == whole.get_ids(), "ids differ");
        assert!(tokens.spans == whole.get_offsets(), "spans differ");
    }
}

#[test]
fn a_text_without_a_place_to_pause_is_refused_before_it_takes_gigabytes() {
    let megabytes = |piece: &str| piece.repeat((2 << 20) / piece.len());
    for tokenizer in [bert(), unigram()] {
        let error = load(&tokenizer, false).encode(&megabytes("x")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TooLong, "{error}");
        assert!(error.to_string().contains("split the text"), "{error}");
    }
    let tokens = load(&bert(), false).encode(&megabytes("!")).unwrap();
    assert_eq!(tokens.ids.len(), 2 << 20);
}

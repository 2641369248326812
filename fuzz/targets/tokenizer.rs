//! A `tokenizer.json`: refused, or able to encode and frame any text without a panic.
#![no_main]

mod shared;

use elodex_models::{files::ModelFiles, tokenizer::TextTokenizer};
use libfuzzer_sys::fuzz_target;

const CONFIG: &str = r#"{"architectures": ["BertModel"], "model_type": "bert", "max_position_embeddings": 32}"#;
const TEXTS: [&str; 4] = ["", "hello world", "Zwölf 東京 🦀\u{0301}", "\u{0}\u{feff} \t\n"];

fuzz_target!(init: shared::let_libraries_unwind(), |data: &[u8]| {
    let folder = tempfile::tempdir().expect("a scratch folder");
    std::fs::write(folder.path().join("config.json"), CONFIG).expect("a scratch file");
    std::fs::write(folder.path().join("tokenizer.json"), data).expect("a scratch file");
    let Ok(files) = ModelFiles::open(folder.path()) else { return };
    let Ok(tokenizer) = TextTokenizer::load(&files) else { return };
    for text in TEXTS {
        let Ok(tokens) = tokenizer.encode(text) else { continue };
        assert_eq!(tokens.ids.len(), tokens.spans.len());
        let length = text.chars().count();
        assert!(tokens.spans.iter().all(|&(start, end)| start <= end && end <= length), "a span lies in its text");
        let (ids, type_ids) = tokenizer.frame(&tokens.ids, Some(&tokens.ids));
        assert!(type_ids.is_empty() || type_ids.len() == ids.len());
    }
});

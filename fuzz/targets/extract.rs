//! A file: the first byte picks its extension, the rest is its content.
//!
//! No file panics or ends the process; what is read is cut into chunks that lie in the text, within their budget.
#![no_main]

use elodex_text::lexical::{Analyzer, detect};
use elodex_text::{ChunkSpec, ExtractLimits, Source, chunk, extract};
use libfuzzer_sys::fuzz_target;

const NAMES: [&str; 9] =
    ["a.txt", "a.md", "a.html", "a.csv", "a.tsv", "a.json", "a.jsonl", "a.pdf", "a.docx"];

// The reader of PDF turns panics of its parser into errors; libFuzzer's hook would end the process before it can. A panic
// that nothing catches still ends it.
fuzz_target!(init: std::panic::set_hook(Box::new(|_| {})), |data: &[u8]| {
    let Some((choice, bytes)) = data.split_first() else { return };
    let name = NAMES[usize::from(*choice) % NAMES.len()];
    let limits = ExtractLimits { text_bytes: 1 << 20, expanded_bytes: 4 << 20, pages: 1000 };
    let Ok(extracted) = extract(Source::File { name, bytes }, &limits) else { return };
    let tokens = |text: &str| text.chars().count() / 3 + 2;
    let spec = ChunkSpec { tokens: 40, overlap: 8, passage_chars: 30, whole: false };
    let chunks = chunk(&extracted, &spec, &tokens).expect("every character fits a chunk of forty tokens");
    let analyzer = Analyzer::new(detect(&extracted.text));
    for chunk in chunks {
        let content = &extracted.text[chunk.bytes.clone()];
        assert_eq!(content.chars().count(), chunk.chars.len());
        assert!(tokens(&chunk.with_headings(&extracted.text)) <= spec.tokens);
        analyzer.terms(content);
    }
});

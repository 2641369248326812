//! The small files of a model directory, separated by NUL bytes in the order of `FILES`.
#![no_main]

use elodex_models::files::ModelFiles;
use libfuzzer_sys::fuzz_target;

const FILES: [&str; 8] = [
    "config.json",
    "modules.json",
    "1_Pooling/config.json",
    "sentence_bert_config.json",
    "config_sentence_transformers.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "README.md",
];

fuzz_target!(|data: &[u8]| {
    let folder = tempfile::tempdir().expect("a scratch folder");
    std::fs::create_dir(folder.path().join("1_Pooling")).expect("a scratch folder");
    for (name, content) in FILES.iter().zip(data.split(|&byte| byte == 0)) {
        // An empty section is a missing file, the common case.
        if !content.is_empty() {
            std::fs::write(folder.path().join(name), content).expect("a scratch file");
        }
    }
    let _ = ModelFiles::open(folder.path());
});

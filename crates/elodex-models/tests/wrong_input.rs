//! Broken and hostile model files: every one is an error or loads, none panics, none takes memory beyond its size.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use elodex_kernels::Kernels;
use elodex_models::files::ModelFiles;
use elodex_models::tokenizer::TextTokenizer;
use elodex_models::weights::WeightStore;
use elodex_models::{Embedder, ErrorKind, Reranker, Result};
use elodex_testkit::golden_dir;
use elodex_types::Weights;
use proptest::prelude::*;
use serde_json::json;
use std::fs;
use std::path::Path;
use tempfile::TempDir;

/// Files of the golden model that are broken in turn.
const FILES: [&str; 8] = [
    "config.json",
    "modules.json",
    "sentence_bert_config.json",
    "config_sentence_transformers.json",
    "1_Pooling/config.json",
    "tokenizer_config.json",
    "tokenizer.json",
    "model.safetensors",
];

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            fs::create_dir_all(&target).unwrap();
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn golden_copy() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    copy(&golden_dir("bert_minilm").join("model"), dir.path());
    dir
}

/// Everything this crate reads of a model directory.
fn load(dir: &Path) -> Result<()> {
    let files = ModelFiles::open(dir)?;
    let tokenizer = TextTokenizer::load(&files)?;
    let tokens = tokenizer.encode("A copper kettle, boiled twice.")?;
    assert_eq!(tokens.ids.len(), tokens.spans.len());
    assert!(tokens.ids.iter().all(|id| (*id as usize) < tokenizer.vocab_size()));
    let (ids, segments) = tokenizer.frame(&tokens.ids, Some(&[]));
    assert_eq!((ids.len(), segments.len()), (tokens.ids.len() + tokenizer.frame_len(true), ids.len()));
    let store = WeightStore::open(&files.backbone_dir())?;
    let size = fs::metadata(files.backbone_dir().join("model.safetensors")).unwrap().len();
    assert!(store.parameters() <= size, "{} weights in {size} bytes", store.parameters());
    store.digest();
    Embedder::load(&files, Kernels::detect())?;
    Ok(())
}

/// Loads a model of which one file has other bytes, and checks that an error says something.
fn load_with(file: &str, bytes: &[u8]) {
    let dir = golden_copy();
    fs::write(dir.path().join(file), bytes).unwrap();
    if let Err(error) = load(dir.path()) {
        assert!(!error.to_string().is_empty());
        assert!(!matches!(error.kind(), ErrorKind::Bug | ErrorKind::Io), "{file}: {}", error.report());
    }
    assert_memory();
}

/// The most this process ever had resident. A file that made it allocate what its numbers claim shows here.
fn assert_memory() {
    let Ok(status) = fs::read_to_string("/proc/self/status") else { return };
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let kibibytes: u64 = line.trim().trim_end_matches("kB").trim().parse().unwrap();
    assert!(kibibytes < 1 << 20, "{kibibytes} KiB resident");
}

#[test]
fn the_golden_model_loads() {
    load(golden_copy().path()).unwrap();
}

#[test]
fn a_truncated_file_at_every_length_of_interest() {
    for file in FILES {
        let bytes = fs::read(golden_dir("bert_minilm").join("model").join(file)).unwrap();
        let step = (bytes.len() / 24).max(1);
        for length in
            (0..bytes.len()).step_by(step).chain([1, 7, 8, 9]).filter(|length| *length < bytes.len())
        {
            load_with(file, &bytes[..length]);
        }
        // The tokenizer's limit is not asked for where sentence-transformers' own is given.
        if file == "tokenizer_config.json" {
            continue;
        }
        let dir = golden_copy();
        fs::write(dir.path().join(file), &bytes[..bytes.len() / 2]).unwrap();
        let error = load(dir.path()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{file}: {}", error.report());
        assert!(error.report().contains(file), "{file}: {}", error.report());
    }
}

#[test]
fn a_missing_file_is_named() {
    for file in ["config.json", "tokenizer.json", "model.safetensors", "1_Pooling/config.json"] {
        let dir = golden_copy();
        fs::remove_file(dir.path().join(file)).unwrap();
        let error = load(dir.path()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound, "{}", error.report());
        assert!(error.to_string().contains(file), "{error}");
    }
}

#[test]
fn a_configuration_that_lies_about_the_weights() {
    let text = fs::read_to_string(golden_dir("bert_minilm").join("model/config.json")).unwrap();
    let honest: serde_json::Value = serde_json::from_str(&text).unwrap();
    let sizes = honest.as_object().unwrap().iter().filter(|(_, value)| value.is_u64());
    for (key, value) in sizes {
        for lie in [0_u64, 1, value.as_u64().unwrap() + 1, 1 << 20, 1 << 40, u64::MAX] {
            let mut config = honest.clone();
            config[key] = lie.into();
            load_with("config.json", config.to_string().as_bytes());
        }
    }
}

#[test]
fn weights_of_the_first_stage_that_are_none() {
    let mut files = ModelFiles::open(&golden_dir("bert_cross").join("model")).unwrap();
    for wrong in [
        json!({"dense": -1, "lexical": 2}),
        json!({"dense": 3, "lexical": 100.5}),
        json!({"dense": 3}),
        json!(8),
        json!(null),
    ] {
        files.config["first_stage"] = wrong.clone();
        let error = Reranker::load(&files, Kernels::detect()).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert!(error.to_string().contains(&format!("is {wrong}, not {{\"dense\"")), "{error}");
    }
    files.config["first_stage"] = json!({"dense": 2.5, "lexical": 0});
    let weights = Reranker::load(&files, Kernels::detect()).unwrap().info().first_stage;
    assert_eq!(weights, Some(Weights { dense: 2.5, lexical: 0.0 }));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn flipped_bytes(
        file in prop::sample::select(FILES.to_vec()),
        flips in prop::collection::vec((any::<prop::sample::Index>(), 1_u8..=255), 1..6),
    ) {
        let mut bytes = fs::read(golden_dir("bert_minilm").join("model").join(file)).unwrap();
        // Of weights the header is of interest, and the data has no wrong bytes.
        let reach = if file == "model.safetensors" { bytes.len().min(8 << 10) } else { bytes.len() };
        for (place, change) in flips {
            bytes[place.index(reach)] ^= change;
        }
        load_with(file, &bytes);
    }

    #[test]
    fn digits_changed(
        file in prop::sample::select(FILES.to_vec()),
        changes in prop::collection::vec((any::<prop::sample::Index>(), b'0'..=b'9'), 1..6),
    ) {
        let mut bytes = fs::read(golden_dir("bert_minilm").join("model").join(file)).unwrap();
        let header = 8..bytes.len().min(8 << 10);
        let reach = if file == "model.safetensors" { header } else { 0..bytes.len() };
        let digits: Vec<usize> = reach.filter(|index| bytes[*index].is_ascii_digit()).collect();
        prop_assume!(!digits.is_empty());
        for (place, digit) in changes {
            bytes[*place.get(&digits)] = digit;
        }
        load_with(file, &bytes);
    }

    #[test]
    fn random_bytes(file in prop::sample::select(FILES.to_vec()), bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        load_with(file, &bytes);
    }
}

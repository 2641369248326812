//! all-MiniLM-L6-v2 with its real weights against sentence-transformers.
#![expect(clippy::unwrap_used, reason = "a fixture or a model that fails is a failed test")]

use elodex_kernels::{Kernels, Parallelism};
use elodex_models::files::ModelFiles;
use elodex_models::{Embedder, Encoded, InputRanges, Precision, bundle};
use elodex_testkit::{assert_close, golden_dir, minilm_dir, read_metadata, read_tensors, workspace_data};
use elodex_types::TruncationPolicy;
use std::collections::HashMap;

fn embedder(precision: Precision) -> Option<Embedder> {
    let files = ModelFiles { precision, ..ModelFiles::open(&minilm_dir()?).unwrap() };
    Some(Embedder::load(&files, Kernels::detect()).unwrap())
}

fn embed(embedder: &Embedder, texts: &[&str]) -> Vec<Vec<f32>> {
    let prepare = |text: &&str| embedder.prepare(text, None, TruncationPolicy::Truncate).unwrap();
    let encoded: Vec<Encoded> = texts.iter().map(prepare).collect();
    let batch: Vec<&Encoded> = encoded.iter().collect();
    embedder.embed(&batch, embedder.info().dimensions[0], Parallelism::Pool).unwrap()
}

#[test]
fn hello_world_has_the_published_values() {
    let Some(embedder) = embedder(Precision::F32) else { return };
    let vector = &embed(&embedder, &["hello world"])[0];
    assert_close(&vector[..5], &[-0.034478, 0.03102, 0.00673, 0.02611, -0.039362], 1e-5, 0.0, "hello world");
    let golden = read_tensors(&golden_dir("minilm-scifact.safetensors"));
    assert_close(vector, &golden["hello_world"], 1e-5, 0.0, "hello world, whole");
}

/// Texts of SciFact, and the vectors that sentence-transformers gives them.
fn scifact() -> Option<(Vec<String>, Vec<Vec<f32>>)> {
    let folder = workspace_data("scifact")?;
    let path = golden_dir("minilm-scifact.safetensors");
    let ids: Vec<String> = serde_json::from_str(&read_metadata(&path)["ids"]).unwrap();
    assert_eq!(ids.len(), 1000);

    let corpus = std::fs::read_to_string(folder.join("corpus.jsonl")).unwrap();
    let mut texts: HashMap<String, String> = HashMap::new();
    for line in corpus.lines() {
        let document: serde_json::Value = serde_json::from_str(line).unwrap();
        let field = |name: &str| document[name].as_str().unwrap().to_owned();
        texts.insert(field("_id"), format!("{} {}", field("title"), field("text")));
    }
    let texts = ids.iter().map(|id| texts[id].clone()).collect();
    let vectors = read_tensors(&path)["embeddings"].chunks_exact(384).map(<[f32]>::to_vec).collect();
    Some((texts, vectors))
}

#[test]
fn scifact_texts_equal_sentence_transformers() {
    let (Some(embedder), Some((texts, expected))) = (embedder(Precision::F32), scifact()) else { return };
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    for (index, (vector, expected)) in embed(&embedder, &texts).iter().zip(&expected).enumerate() {
        assert_close(vector, expected, 1e-5, 0.0, &format!("document {index}"));
    }
}

/// Lowest and mean cosine with the expected vectors, which have length 1 as well.
fn cosines(vectors: &[Vec<f32>], expected: &[Vec<f32>]) -> (f32, f32) {
    let cosine = |(left, right): (&Vec<f32>, &Vec<f32>)| -> f32 {
        left.iter().zip(right).map(|(left, right)| left * right).sum()
    };
    let cosines: Vec<f32> = vectors.iter().zip(expected).map(cosine).collect();
    (cosines.iter().copied().fold(1.0, f32::min), cosines.iter().sum::<f32>() / cosines.len() as f32)
}

#[test]
fn scifact_texts_by_8_bit_integers_come_near_and_nearer_with_a_calibration() {
    let (Some(rounded), Some((texts, expected))) = (embedder(Precision::Int8), scifact()) else { return };
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let (texts, others) = texts.split_at(100);
    let (lowest, mean) = cosines(&embed(&rounded, texts), &expected);
    // Measured: 0.9975 and 0.9985.
    assert!(lowest >= 0.99 && mean >= 0.995, "{lowest} at least, {mean} in the mean");

    let Some(exact) = embedder(Precision::F32) else { return };
    let mut ranges = InputRanges::default();
    for text in &others[..16] {
        let text = exact.prepare(text, None, TruncationPolicy::Truncate).unwrap();
        exact.observe_inputs(&text, |layer, inputs| ranges.add(layer, inputs));
    }
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("bundle");
    let source = ModelFiles::open(&minilm_dir().unwrap()).unwrap();
    bundle::write(&source, Some(&ranges), Kernels::detect(), &target).unwrap();
    let calibrated = Embedder::load(&ModelFiles::open(&target).unwrap(), Kernels::detect()).unwrap();
    let (_, calibrated) = cosines(&embed(&calibrated, texts), &expected);
    assert!(calibrated > mean, "{calibrated} after calibration, {mean} without");
}

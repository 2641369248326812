//! all-MiniLM-L6-v2 with its real weights against sentence-transformers.
#![expect(clippy::unwrap_used, reason = "a fixture or a model that fails is a failed test")]

use elodex_kernels::{Kernels, Parallelism};
use elodex_models::files::ModelFiles;
use elodex_models::{Embedder, Encoded};
use elodex_testkit::{assert_close, golden_dir, minilm_dir, read_metadata, read_tensors, workspace_data};
use elodex_types::TruncationPolicy;
use std::collections::HashMap;

fn embedder() -> Option<Embedder> {
    let files = ModelFiles::open(&minilm_dir()?).unwrap();
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
    let Some(embedder) = embedder() else { return };
    let vector = &embed(&embedder, &["hello world"])[0];
    assert_close(&vector[..5], &[-0.034478, 0.03102, 0.00673, 0.02611, -0.039362], 1e-5, 0.0, "hello world");
    let golden = read_tensors(&golden_dir("minilm-scifact.safetensors"));
    assert_close(vector, &golden["hello_world"], 1e-5, 0.0, "hello world, whole");
}

#[test]
fn scifact_texts_equal_sentence_transformers() {
    let (Some(embedder), Some(scifact)) = (embedder(), workspace_data("scifact")) else { return };
    let path = golden_dir("minilm-scifact.safetensors");
    let expected = &read_tensors(&path)["embeddings"];
    let ids: Vec<String> = serde_json::from_str(&read_metadata(&path)["ids"]).unwrap();
    assert_eq!(ids.len(), 1000);

    let corpus = std::fs::read_to_string(scifact.join("corpus.jsonl")).unwrap();
    let mut texts: HashMap<String, String> = HashMap::new();
    for line in corpus.lines() {
        let document: serde_json::Value = serde_json::from_str(line).unwrap();
        let field = |name: &str| document[name].as_str().unwrap().to_owned();
        texts.insert(field("_id"), format!("{} {}", field("title"), field("text")));
    }
    let texts: Vec<&str> = ids.iter().map(|id| texts[id].as_str()).collect();
    let vectors = embed(&embedder, &texts);
    for (index, (vector, expected)) in vectors.iter().zip(expected.chunks_exact(384)).enumerate() {
        assert_close(vector, expected, 1e-5, 0.0, &format!("document {}", ids[index]));
    }
}

//! Running golden models on their own cases.

use elodex_kernels::{Kernels, Parallelism};
use elodex_models::files::ModelFiles;
use elodex_models::{Embedder, Encoded, Precision, Reranker};
use elodex_testkit::{Case, Golden, golden_names};
use elodex_types::{Role, TruncationPolicy};
use std::fs;
use std::path::Path;

pub(crate) fn files(name: &str, precision: Precision) -> ModelFiles {
    let golden = Golden::load(name);
    let files = ModelFiles::open_as(&golden.model, golden.id.as_deref().unwrap_or(name)).unwrap();
    ModelFiles { precision, ..files }
}

/// Names and cases of all golden models.
pub(crate) fn families() -> Vec<(String, Vec<Case>)> {
    golden_names().into_iter().map(|name| (name.clone(), Golden::load(&name).cases)).collect()
}

fn encode(embedder: &Embedder, case: &Case) -> Encoded {
    let role = case.role.as_deref().map(|role| role.parse::<Role>().unwrap());
    embedder.prepare(case.text.as_deref().unwrap(), role, TruncationPolicy::Truncate).unwrap()
}

pub(crate) fn vectors(embedder: &Embedder, cases: &[Case]) -> Vec<Vec<f32>> {
    let encoded: Vec<Encoded> = cases.iter().map(|case| encode(embedder, case)).collect();
    let batch: Vec<&Encoded> = encoded.iter().collect();
    embedder.embed(&batch, embedder.info().dimensions[0], Parallelism::Serial).unwrap()
}

pub(crate) fn encoded(embedder: &Embedder, cases: &[Case]) -> Vec<Encoded> {
    cases.iter().map(|case| encode(embedder, case)).collect()
}

pub(crate) fn logits(reranker: &Reranker, cases: &[Case]) -> Vec<f32> {
    let encode = |case: &Case| {
        let query = reranker.prepare_query(case.query.as_deref().unwrap()).unwrap();
        let document = case.document.as_deref().unwrap();
        let windows = reranker.prepare_document(&query, document, TruncationPolicy::Truncate).unwrap();
        windows.into_iter().next().unwrap().encoded
    };
    let encoded: Vec<Encoded> = cases.iter().map(encode).collect();
    let batch: Vec<&Encoded> = encoded.iter().collect();
    reranker.logits(&batch, Parallelism::Serial).unwrap()
}

/// Vectors, or logits as vectors of one number.
pub(crate) fn outputs(files: &ModelFiles, kernels: Kernels, cases: &[Case]) -> Vec<Vec<f32>> {
    if files.is_reranker() {
        let logits = logits(&Reranker::load(files, kernels).unwrap(), cases);
        return logits.into_iter().map(|logit| vec![logit]).collect();
    }
    vectors(&Embedder::load(files, kernels).unwrap(), cases)
}

pub(crate) fn bits(vectors: &[Vec<f32>]) -> Vec<Vec<u32>> {
    vectors.iter().map(|vector| vector.iter().map(|value| value.to_bits()).collect()).collect()
}

pub(crate) fn cosine(left: &[f32], right: &[f32]) -> f64 {
    let dot = |left: &[f32], right: &[f32]| -> f64 {
        left.iter().zip(right).map(|(left, right)| f64::from(*left) * f64::from(*right)).sum()
    };
    dot(left, right) / (dot(left, left) * dot(right, right)).sqrt()
}

pub(crate) fn mean_cosine(left: &[Vec<f32>], right: &[Vec<f32>]) -> f64 {
    left.iter().zip(right).map(|(left, right)| cosine(left, right)).sum::<f64>() / left.len() as f64
}

pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

//! From a trained network to a directory that sentence-transformers loads, and that Elodex runs and quantises.

use super::checkpoint::{self, Tensor, failed};
use crate::Result;
use crate::network::{Naming, Parameters, cannot};
use elodex_models::bundle;
use elodex_models::files::{ModelFiles, Prompts};
use elodex_models::weights::WeightStore;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// What a cross-encoder has of the model it was made from, beside weights and configuration.
const TOKENIZER_FILES: [&str; 5] =
    ["tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.txt"];

/// Writes a cross-encoder with these weights, made from the model of `files`, and its model card.
///
/// # Errors
/// A target that holds something; files that cannot be read or written; no BERT, RoBERTa or XLM-RoBERTa.
pub fn export_reranker(files: &ModelFiles, parameters: &Parameters, card: &str, target: &Path) -> Result<()> {
    let naming = Naming::of(files)?;
    begin(files, target)?;
    let source = files.backbone_dir();
    for name in TOKENIZER_FILES {
        if source.join(name).is_file() {
            copy(&source.join(name), &target.join(name))?;
        }
    }
    let mut config = files.config.clone();
    config["architectures"] = json!([naming.architecture]);
    config["id2label"] = json!({ "0": "LABEL_0" });
    config["label2id"] = json!({ "LABEL_0": 0 });
    write_json(&target.join("config.json"), &config)?;
    let tensors = named(parameters, |name| naming.below_classifier(name));
    finish(tensors, &target.join("model.safetensors"), card, target)
}

/// Writes an embedder with these weights and prompts, made from the model of `files`, and its model card.
///
/// # Errors
/// As [`export_reranker`].
pub fn export_embedder(
    files: &ModelFiles,
    parameters: &Parameters,
    prompts: &Prompts,
    card: &str,
    target: &Path,
) -> Result<()> {
    begin(files, target)?;
    for name in bundle::listed(files).map_err(cannot(format_args!("list the files of `{}`", files.id)))? {
        let to = target.join(&name);
        if let Some(folder) = to.parent() {
            fs::create_dir_all(folder).map_err(|error| failed("write", folder, error))?;
        }
        copy(&files.dir.join(&name), &to)?;
    }
    if prompts.query.is_some() || prompts.document.is_some() {
        let path = target.join("config_sentence_transformers.json");
        let mut config: Value = match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_else(|_| json!({})),
            Err(_) => json!({}),
        };
        config["prompts"] = json!({ "query": prompts.query, "document": prompts.document });
        write_json(&path, &config)?;
    }
    let mut tensors = named(parameters, str::to_owned);
    let store = WeightStore::open(&files.backbone_dir())
        .map_err(cannot(format_args!("read the weights of `{}`", files.id)))?;
    let trained: BTreeSet<&String> = parameters.iter().flat_map(|parameter| &parameter.names).collect();
    for name in store.names().into_iter().filter(|name| !trained.contains(&(*name).to_owned())) {
        let shape = store.shape(name).unwrap_or_default().to_vec();
        // Buffers of whole numbers that old versions of transformers wrote are made anew by those that need them.
        if let Ok(values) = store.tensor(name, &shape) {
            tensors.push(Tensor::new(name.to_owned(), shape, &values));
        }
    }
    let inside = files.backbone_dir();
    let inside = inside.strip_prefix(&files.dir).unwrap_or(Path::new(""));
    finish(tensors, &target.join(inside).join("model.safetensors"), card, target)
}

/// Every parameter under the names of the file's tensors.
fn named(parameters: &Parameters, rename: impl Fn(&str) -> String) -> Vec<Tensor> {
    let mut tensors = Vec::new();
    for parameter in parameters.iter() {
        let mut shape = parameter.shape.clone();
        shape[0] /= parameter.names.len();
        let parts = parameter.values.chunks_exact(parameter.values.len() / parameter.names.len());
        for (name, values) in parameter.names.iter().zip(parts) {
            tensors.push(Tensor::new(rename(name), shape.clone(), values));
        }
    }
    tensors
}

fn begin(files: &ModelFiles, target: &Path) -> Result<()> {
    bundle::check(files, target).map_err(cannot("begin a model directory"))?;
    fs::create_dir_all(target).map_err(|error| failed("write", target, error))
}

fn finish(tensors: Vec<Tensor>, weights: &Path, card: &str, target: &Path) -> Result<()> {
    // transformers asks every file for the framework it is for.
    let metadata = [("format".to_owned(), "pt".to_owned())].into();
    checkpoint::write_tensors(weights, &tensors, Some(metadata))?;
    checkpoint::write_whole(&target.join("README.md"), card.as_bytes())
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::copy(from, to).map(drop).map_err(|error| failed("write", to, error))
}

fn write_json(path: &Path, value: &Value) -> Result<()> {
    checkpoint::write_whole(path, format!("{value:#}\n").as_bytes())
}

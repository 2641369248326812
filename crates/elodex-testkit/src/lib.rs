//! Golden files, the data folder beside the repository, tolerant comparison, and tests in a second process.
//!
//! Everything panics with a message instead of returning errors: a broken fixture is a failed test.
#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "fixtures of tests: a broken one is a failed test"
)]

mod again;

pub use again::{again, again_on_a_full_disk, handed_over};

use safetensors::SafeTensors;
use serde::Deserialize;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// The folder of one golden family: `model/`, `golden.json`, `golden.safetensors`.
pub fn golden_dir(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden").join(name)
}

/// Names of all golden families, sorted.
pub fn golden_names() -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(golden_dir(""))
        .expect("the golden folder")
        .map(|entry| entry.expect("an entry of the golden folder"))
        .filter(|entry| entry.path().join("golden.json").is_file())
        .map(|entry| entry.file_name().into_string().expect("a UTF-8 name"))
        .collect();
    names.sort();
    names
}

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A data set beside the repository, `../shared/data/<name>`; prints why the test skips where it is absent.
pub fn workspace_data(name: &str) -> Option<PathBuf> {
    present(workspace().join("../shared/data").join(name), "the data set is not beside the repository")
}

/// all-MiniLM-L6-v2 with its real weights; prints how to get it where it is absent.
pub fn minilm_dir() -> Option<PathBuf> {
    present(workspace().join("target/models/all-MiniLM-L6-v2"), "run `cargo xtask fetch-model` first")
}

fn present(path: PathBuf, otherwise: &str) -> Option<PathBuf> {
    if path.exists() {
        return Some(path);
    }
    println!("skipped: no `{}`; {otherwise}", path.display());
    None
}

/// One golden family: inputs, and what the reference implementation made of them.
#[derive(Debug)]
pub struct Golden {
    /// The model directory.
    pub model: PathBuf,
    /// Repository the directory stands for.
    pub id: Option<String>,
    /// The inputs.
    pub cases: Vec<Case>,
    tensors: HashMap<String, Vec<f32>>,
}

/// One input: a text in a role, or a pair.
#[derive(Debug, Deserialize)]
pub struct Case {
    /// `query`, `document`, or nothing.
    pub role: Option<String>,
    /// The text of an embedder's case.
    pub text: Option<String>,
    /// The query of a reranker's case.
    pub query: Option<String>,
    /// The document of a reranker's case.
    pub document: Option<String>,
    /// Token ids as the reference feeds them.
    pub ids: Vec<u32>,
    /// Segment ids, where the model has segments.
    pub type_ids: Option<Vec<u32>>,
    /// A reranker's raw output.
    pub logit: Option<f32>,
    /// A reranker's score, 0..1.
    pub score: Option<f32>,
}

impl Golden {
    /// Loads a family.
    pub fn load(name: &str) -> Self {
        #[derive(Deserialize)]
        struct File {
            id: Option<String>,
            cases: Vec<Case>,
        }
        let dir = golden_dir(name);
        let text = std::fs::read_to_string(dir.join("golden.json")).expect("golden.json");
        let file: File = serde_json::from_str(&text).expect("golden.json in its format");
        let tensors = read_tensors(&dir.join("golden.safetensors"));
        Self { model: dir.join("model"), id: file.id, cases: file.cases, tensors }
    }

    /// A stage of one case (`embeddings`, `layer0`, …, `final`, `pooled`, `output`, `output.32`), where recorded.
    pub fn stage(&self, case: usize, stage: &str) -> Option<&[f32]> {
        self.tensors.get(&format!("case{case}.{stage}")).map(Vec::as_slice)
    }

    /// The narrower widths recorded for a case.
    pub fn widths(&self, case: usize) -> Vec<usize> {
        let prefix = format!("case{case}.output.");
        self.tensors.keys().filter_map(|name| name.strip_prefix(&prefix)?.parse().ok()).collect()
    }
}

/// All f32 tensors of a safetensors file.
pub fn read_tensors(path: &Path) -> HashMap<String, Vec<f32>> {
    let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("`{}`: {error}", path.display()));
    let file = SafeTensors::deserialize(&bytes).expect("a safetensors file");
    let floats = |data: &[u8]| {
        data.chunks_exact(4).map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap())).collect()
    };
    file.tensors().into_iter().map(|(name, view)| (name, floats(view.data()))).collect()
}

/// The metadata of a safetensors file.
pub fn read_metadata(path: &Path) -> HashMap<String, String> {
    let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("`{}`: {error}", path.display()));
    let (_, metadata) = SafeTensors::read_metadata(&bytes).expect("a safetensors header");
    metadata.metadata().clone().unwrap_or_default()
}

/// Fails unless every |actual − expected| ≤ absolute + relative·|expected|; says where it is worst.
pub fn assert_close(actual: &[f32], expected: &[f32], absolute: f32, relative: f32, label: &str) {
    assert_eq!(actual.len(), expected.len(), "{label}: lengths differ");
    for (index, (value, wanted)) in actual.iter().zip(expected).enumerate() {
        // A NaN is in no range.
        let allowed = absolute + relative * wanted.abs();
        if !(wanted - allowed..=wanted + allowed).contains(value) {
            let worst = actual.iter().zip(expected).map(|(a, e)| (a - e).abs()).fold(0.0, f32::max);
            panic!("{label}: at {index} {value} is not {wanted} (worst difference {worst:e})");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::assert_close;

    #[test]
    fn close_is_close() {
        assert_close(&[1.0, 100.0], &[1.00001, 100.001], 2e-5, 2e-5, "close");
    }

    #[test]
    #[should_panic(expected = "far: at 1")]
    fn far_fails() {
        assert_close(&[1.0, 2.0], &[1.0, 2.1], 1e-4, 0.0, "far");
    }

    #[test]
    #[should_panic(expected = "nan: at 0")]
    fn nan_fails() {
        assert_close(&[f32::NAN], &[1.0], 1e-4, 0.0, "nan");
    }
}

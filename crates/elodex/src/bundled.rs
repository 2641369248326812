//! The pair of models that comes within the binary: `models/` of the repository.
//!
//! They are written to the models' cache once, where they can be mapped into memory like any other model. Their
//! manifests hold a hash of every file, which loading compares.

use anyhow::Context as _;
use elodex_models::hub::Hub;
use elodex_server::ModelKind;
use std::fs;
use std::path::{Path, PathBuf};

const EMBEDDER: &str = "elodex-embed-mini";
const RERANKER: &str = "elodex-rerank-mini";

/// Their names, which are sources of models.
pub(crate) const NAMES: [&str; 2] = [EMBEDDER, RERANKER];

/// The one of this kind.
pub(crate) fn name(kind: ModelKind) -> &'static str {
    match kind {
        ModelKind::Embedder => EMBEDDER,
        ModelKind::Reranker => RERANKER,
    }
}

/// A model directory: paths in it and contents, the manifest first.
struct Bundled {
    name: &'static str,
    files: &'static [(&'static str, &'static [u8])],
}

/// The files of `models/DIRECTORY`.
macro_rules! bundled {
    ($name:ident, $directory:literal: $($file:literal),+) => {
        Bundled {
            name: $name,
            files: &[$(($file, include_bytes!(concat!("../../../models/", $directory, "/", $file)))),+],
        }
    };
}

const MODELS: [Bundled; 2] = [
    bundled!(
        EMBEDDER, "elodex-embed-mini": "elodex.json", "README.md", "config.json", "modules.json",
        "sentence_bert_config.json", "1_Pooling/config.json", "special_tokens_map.json", "tokenizer_config.json",
        "tokenizer.json", "model.safetensors"
    ),
    bundled!(
        RERANKER, "elodex-rerank-mini": "elodex.json", "README.md", "config.json", "special_tokens_map.json",
        "tokenizer_config.json", "tokenizer.json", "vocab.txt", "model.safetensors"
    ),
];

/// The directory of the model of this name, written if it is not there yet; `None` if no such model comes along.
pub(crate) fn directory(name: &str) -> anyhow::Result<Option<PathBuf>> {
    match MODELS.iter().find(|model| model.name == name) {
        Some(model) => model.write_below(&Hub::from_env()?.cache_root().join("elodex")).map(Some),
        None => Ok(None),
    }
}

impl Bundled {
    /// Named by its manifest's hash, so that binaries of different releases do not get in each other's way.
    fn write_below(&self, folder: &Path) -> anyhow::Result<PathBuf> {
        let manifest = blake3::hash(self.files[0].1).to_hex();
        let target = folder.join(format!("{}-{}", self.name, &manifest[..16]));
        if target.is_dir() {
            return Ok(target);
        }
        let unwritten = || {
            format!(
                "cannot write `{}`, which comes within the binary; set HF_HOME to a folder with room",
                target.display()
            )
        };
        fs::create_dir_all(folder).with_context(unwritten)?;
        let partial = tempfile::tempdir_in(folder).with_context(unwritten)?;
        for (name, bytes) in self.files {
            let path = partial.path().join(name);
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent).with_context(unwritten)?;
            }
            fs::write(&path, bytes).with_context(unwritten)?;
        }
        match fs::rename(partial.path(), &target) {
            // Another process was faster.
            Err(_) if target.is_dir() => Ok(target),
            renamed => renamed.with_context(unwritten).map(|()| target),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use elodex_kernels::Kernels;
    use elodex_models::files::ModelFiles;
    use elodex_models::{Embedder, Reranker};

    #[test]
    fn both_are_written_whole_and_run() {
        let folder = tempfile::tempdir().unwrap();
        let [embedder, reranker] = MODELS.map(|model| {
            let first = model.write_below(folder.path()).unwrap();
            assert_eq!(model.write_below(folder.path()).unwrap(), first);
            ModelFiles::open(&first).unwrap()
        });
        Embedder::load(&embedder, Kernels::detect()).unwrap();
        Reranker::load(&reranker, Kernels::detect()).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }
}

//! A `config.json` that lies about the weights beside it: refused, or a model that embeds without a panic.
#![no_main]

mod shared;

use elodex_kernels::{Kernels, Parallelism};
use elodex_models::{Embedder, files::ModelFiles};
use elodex_types::{Role, TruncationPolicy};
use libfuzzer_sys::fuzz_target;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// The tiny model whose weights and tokenizer stay as they are.
const MODEL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../crates/elodex-testkit/golden/bert_minilm/model");

fuzz_target!(init: shared::let_libraries_unwind(), |data: &[u8]| {
    let folder = scratch();
    std::fs::write(folder.join("config.json"), data).expect("a scratch file");
    let Ok(files) = ModelFiles::open(folder) else { return };
    let Ok(embedder) = Embedder::load(&files, Kernels::detect()) else { return };
    let Ok(text) = embedder.prepare("hello world", Some(Role::Query), TruncationPolicy::Truncate) else { return };
    let width = embedder.resolve_dimensions(None).expect("the model's own width");
    let vectors = embedder.embed(&[&text], width, Parallelism::Serial).expect("a prepared text");
    assert_eq!(vectors[0].len(), width);
});

/// A copy of the model, made once: only its configuration changes between runs.
fn scratch() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a scratch folder").keep();
        copy(Path::new(MODEL), &folder);
        folder
    })
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a scratch folder");
    for entry in std::fs::read_dir(from).expect("the tiny model") {
        let path = entry.expect("a readable folder").path();
        let copied = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy(&path, &copied);
        } else {
            std::fs::copy(&path, copied).expect("a scratch file");
        }
    }
}

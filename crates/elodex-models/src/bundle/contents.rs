//! Which files of a source a bundle has as well.

use crate::files::{ModelFiles, SENTENCE_FILES, module_folders, read};
use crate::hub::TERMS;
use crate::{Error, ErrorKind, Result};
use std::collections::BTreeSet;
use std::path::{Component, Path};

const WEIGHTS: &str = "model.safetensors";

/// What the transformer's folder, a module's folder and the root can hold besides the weights; nothing that is not
/// fetched from the hub, where bundles may lie as well.
const SMALL: [&str; 11] = [
    "config.json",
    "config_sentence_transformers.json",
    "modules.json",
    "router_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.txt",
    "README.md",
    "projections.safetensors",
];

/// Where the transformer's weights are in a bundle.
pub(super) fn weights_path(files: &ModelFiles) -> String {
    let backbone = files.backbone_dir();
    join(backbone.strip_prefix(&files.dir).unwrap_or(Path::new("")), WEIGHTS)
}

/// Paths of the files that belong to a model beside its transformer's weights, sorted.
pub fn listed(files: &ModelFiles) -> Result<BTreeSet<String>> {
    let weights = weights_path(files);
    let mut found = BTreeSet::new();
    for folder in module_folders(&files.dir)? {
        let folder = Path::new(&folder);
        for name in SMALL.into_iter().chain(SENTENCE_FILES).chain([WEIGHTS]) {
            let path = join(folder, name);
            if path != weights && files.dir.join(&path).is_file() {
                found.insert(path);
            }
        }
    }
    let entries = std::fs::read_dir(&files.dir).map_err(|error| read::failed(&files.dir, error))?;
    for entry in entries {
        let entry = entry.map_err(|error| read::failed(&files.dir, error))?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        let terms = TERMS.iter().any(|start| name.starts_with(start));
        if terms && entry.path().is_file() {
            found.insert(name);
        }
    }
    Ok(found)
}

/// With `/` between the parts, on every system.
fn join(folder: &Path, name: &str) -> String {
    let parts = folder.components().filter_map(|part| match part {
        Component::Normal(part) => part.to_str(),
        _ => None,
    });
    parts.chain([name]).collect::<Vec<_>>().join("/")
}

/// Refuses a target that holds something.
pub(super) fn check_target(target: &Path) -> Result<()> {
    if !target.exists() {
        return Ok(());
    }
    let empty =
        target.is_dir() && std::fs::read_dir(target).is_ok_and(|mut entries| entries.next().is_none());
    if empty {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Request,
        format!("`{}` exists and is no empty directory; name another one, or remove it", target.display()),
    ))
}

//! Which repository a directory is a copy of.

use serde_json::Value;
use std::path::{Component, Path};

/// The repository id of a model directory: from its place in the hub's cache (`models--owner--name/snapshots/…`),
/// else the directory's name, with the owner where `config.json` gives one for that very name.
///
/// `_name_or_path` alone is no evidence: in a fine-tuned model it names the model that was tuned.
pub(super) fn of(dir: &Path, config: &Value) -> String {
    // The real path tells `.` and links from names; where it cannot be had, the path as given must do.
    let path = dir.canonicalize().unwrap_or_else(|_| dir.to_path_buf());
    let names: Vec<&str> = path
        .components()
        .filter_map(|part| match part {
            Component::Normal(name) => name.to_str(),
            _ => None,
        })
        .collect();
    for window in names.windows(2) {
        if let [repository, "snapshots"] = window
            && let Some(id) = repository.strip_prefix("models--")
        {
            return id.replacen("--", "/", 1);
        }
    }
    let name = names.last().copied().unwrap_or("model");
    let saved_as = config["_name_or_path"].as_str().unwrap_or_default();
    match saved_as.split_once('/') {
        Some((owner, base)) if !owner.is_empty() && base.eq_ignore_ascii_case(name) => saved_as.to_owned(),
        _ => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::of;
    use serde_json::json;

    #[test]
    fn from_cache_configuration_or_name() {
        let root = tempfile::tempdir().unwrap();
        let cached = root.path().join("models--BAAI--bge-small-en-v1.5/snapshots/0123");
        std::fs::create_dir_all(&cached).unwrap();
        assert_eq!(of(&cached, &json!({})), "BAAI/bge-small-en-v1.5");
        let plain = root.path().join("e5-small-v2");
        std::fs::create_dir(&plain).unwrap();
        assert_eq!(of(&plain, &json!({})), "e5-small-v2");
        assert_eq!(of(&plain, &json!({"_name_or_path": "intfloat/e5-small-v2"})), "intfloat/e5-small-v2");
        assert_eq!(of(&plain, &json!({"_name_or_path": "BAAI/bge-small-en"})), "e5-small-v2");
    }
}

//! Files under a folder and files that a pattern matches.

use anyhow::Context as _;
use globset::GlobBuilder;
use std::path::{Path, PathBuf};
use walkdir::{DirEntry, WalkDir};

/// Every file under `folder`, by path; names that begin with a dot are left out with what is below them. What cannot be
/// read goes to `problems`.
pub(crate) fn files(folder: &Path, problems: &mut Vec<String>) -> Vec<PathBuf> {
    let visible =
        |entry: &DirEntry| entry.depth() == 0 || !entry.file_name().to_string_lossy().starts_with('.');
    let mut files = Vec::new();
    for entry in WalkDir::new(folder).follow_links(true).sort_by_file_name().into_iter().filter_entry(visible)
    {
        match entry {
            Ok(entry) if entry.file_type().is_file() => files.push(entry.into_path()),
            Ok(_) => {}
            Err(error) => {
                let path = error.path().unwrap_or(folder).display();
                let reason = error.io_error().map_or_else(|| error.to_string(), ToString::to_string);
                problems.push(format!("{path}: {reason}"));
            }
        }
    }
    files
}

/// Files that a pattern with `*`, `**`, `?`, `[…]` or `{…}` matches; none for a text without any of these.
pub(super) fn matching(pattern: &str, problems: &mut Vec<String>) -> anyhow::Result<Vec<PathBuf>> {
    let Some(first) = pattern.find(['*', '?', '[', '{']) else { return Ok(Vec::new()) };
    let folder = match pattern[..first].rfind('/') {
        Some(0) => Path::new("/"),
        Some(end) => Path::new(&pattern[..end]),
        None => Path::new("."),
    };
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let glob = GlobBuilder::new(pattern).literal_separator(true).build();
    let matcher = glob.with_context(|| format!("`{pattern}` is no pattern"))?.compile_matcher();
    let found = files(folder, problems).into_iter();
    Ok(found.filter(|file| matcher.is_match(file.strip_prefix("./").unwrap_or(file))).collect())
}

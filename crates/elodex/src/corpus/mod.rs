//! Documents on this machine: files and folders, patterns, BEIR directories, JSON lines.

mod lines;
mod walk;

pub(crate) use lines::{Attributes, from_reader};
pub(crate) use walk::files;

use anyhow::{Context as _, bail};
use elodex_types::{Content, Metadata, NewDocument};
use std::collections::HashSet;
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};

/// Documents in one call, so that progress moves and memory stays small.
const BATCH: usize = 256;
/// Bytes of content in one call, unless one document alone has more.
const BATCH_BYTES: u64 = 4 << 20;

/// Where documents come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    /// One document under this path.
    File {
        /// Where it lies.
        file: PathBuf,
        /// What it is called in the collection.
        path: String,
    },
    /// Many documents, one JSON object a line.
    Lines(PathBuf),
    /// The same without their attributes, to be searched without filters.
    Texts(PathBuf),
    /// The same from standard input.
    Stdin,
}

/// What arguments name, in order and each once: `-` is standard input, a folder with `corpus.jsonl` is a BEIR collection,
/// any other folder is walked. Files that cannot be read go to `problems`.
pub(crate) fn sources(arguments: &[String], problems: &mut Vec<String>) -> anyhow::Result<Vec<Source>> {
    let mut sources = Vec::new();
    for argument in arguments {
        if argument == "-" {
            sources.push(Source::Stdin);
            continue;
        }
        let path = Path::new(argument);
        if path.join("corpus.jsonl").is_file() {
            sources.push(Source::Lines(path.join("corpus.jsonl")));
        } else if path.is_dir() {
            let files = files(path, problems);
            sources.extend(sources_of(files, problems));
        } else if path.is_file() {
            sources.extend(sources_of([path.into()], problems));
        } else {
            let found = walk::matching(argument, problems)?;
            if found.is_empty() {
                bail!("`{argument}` is no file, no folder and matches nothing");
            }
            sources.extend(sources_of(found, problems));
        }
    }
    let mut seen = HashSet::new();
    sources.retain(|source| {
        seen.insert(match source {
            Source::File { path, .. } => path.clone(),
            Source::Lines(file) | Source::Texts(file) => format!("lines of {}", file.display()),
            Source::Stdin => "-".to_owned(),
        })
    });
    Ok(sources)
}

/// JSON lines files whose first line is a document hold documents, any other file is one.
pub(crate) fn sources_of(
    files: impl IntoIterator<Item = PathBuf>,
    problems: &mut Vec<String>,
) -> Vec<Source> {
    let mut sources = Vec::new();
    for file in files {
        match lines::hold_documents(&file) {
            Ok(true) => sources.push(Source::Lines(file)),
            // Two such names could become one.
            Ok(false) if file.to_str().is_none() => {
                problems.push(format!("{}: its name is not UTF-8; rename it", file.display()));
            }
            Ok(false) => {
                let path = document_path(&file);
                sources.push(Source::File { file, path });
            }
            Err(error) => problems.push(format!("{}: {error:#}", file.display())),
        }
    }
    sources
}

/// A file's name in a collection: its path as given, with `/` between parts and nothing like `./` in front.
pub(crate) fn document_path(file: &Path) -> String {
    let parts = file.components().filter_map(|part| match part {
        std::path::Component::Normal(name) => Some(name.to_string_lossy()),
        std::path::Component::ParentDir => Some("..".into()),
        _ => None,
    });
    parts.collect::<Vec<_>>().join("/")
}

/// Reads `sources` and hands documents over in batches, none of which has a path twice. Files that cannot be read go to
/// `problems`.
pub(crate) fn read(
    sources: &[Source],
    problems: &mut Vec<String>,
    accept: &mut dyn FnMut(Vec<NewDocument>) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut batch = Vec::new();
    let mut paths = HashSet::new();
    let mut bytes = 0;
    let mut add = |document: NewDocument| -> anyhow::Result<()> {
        let size = document.content.bytes();
        let is_full = batch.len() == BATCH || bytes + size > BATCH_BYTES || paths.contains(&document.path);
        if is_full && !batch.is_empty() {
            accept(std::mem::take(&mut batch))?;
            paths.clear();
            bytes = 0;
        }
        bytes += size;
        paths.insert(document.path.clone());
        batch.push(document);
        Ok(())
    };
    for source in sources {
        match source {
            Source::File { file, path } => match std::fs::read(file) {
                Ok(content) => add(NewDocument {
                    path: path.clone(),
                    metadata: Metadata::new(),
                    content: Content::File(content),
                })?,
                Err(error) => problems.push(format!("{}: {error}", file.display())),
            },
            Source::Lines(file) | Source::Texts(file) => {
                let attributes = match source {
                    Source::Texts(_) => Attributes::Dropped,
                    _ => Attributes::Kept,
                };
                let name = file.display().to_string();
                let open = File::open(file).with_context(|| format!("cannot read `{name}`"))?;
                from_reader(BufReader::new(open), &name, attributes, &mut add)?;
            }
            Source::Stdin => {
                from_reader(std::io::stdin().lock(), "standard input", Attributes::Kept, &mut add)?;
            }
        }
    }
    if !batch.is_empty() {
        accept(batch)?;
    }
    Ok(())
}

/// Documents that `sources` hold, for a progress bar; `None` where that takes reading standard input.
pub(crate) fn count(sources: &[Source]) -> anyhow::Result<Option<u64>> {
    let mut count = 0;
    for source in sources {
        count += match source {
            Source::File { .. } => 1,
            Source::Lines(file) | Source::Texts(file) => {
                let open = File::open(file).with_context(|| format!("cannot read `{}`", file.display()))?;
                let lines = BufReader::new(open).split(b'\n');
                lines.filter(|line| line.as_ref().is_ok_and(|line| !line.trim_ascii().is_empty())).count()
                    as u64
            }
            Source::Stdin => return Ok(None),
        };
    }
    Ok(Some(count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_documents_path_is_the_files_without_dots() {
        assert_eq!(document_path(Path::new("./a/b.md")), "a/b.md");
        assert_eq!(document_path(Path::new("/srv/a.md")), "srv/a.md");
        assert_eq!(document_path(Path::new("../a.md")), "../a.md");
    }

    #[test]
    fn arguments_name_files_folders_patterns_and_collections() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        std::fs::create_dir_all(root.join("docs/inner")).unwrap();
        std::fs::create_dir_all(root.join("beir")).unwrap();
        for name in ["docs/a.md", "docs/inner/b.txt", "docs/.hidden"] {
            std::fs::write(root.join(name), "text").unwrap();
        }
        std::fs::write(
            root.join("beir/corpus.jsonl"),
            "{\"_id\": \"1\", \"title\": \"t\", \"text\": \"x\"}\n",
        )
        .unwrap();
        std::fs::write(root.join("log.jsonl"), "{\"level\": \"info\"}\n").unwrap();
        let of = |name: &str| {
            let mut problems = Vec::new();
            let sources = sources(&[root.join(name).display().to_string()], &mut problems).unwrap();
            assert!(problems.is_empty(), "{problems:?}");
            sources
        };
        assert_eq!(of("docs").len(), 2);
        assert_eq!(of("docs/*.md").len(), 1);
        assert_eq!(of("docs/**/*.txt").len(), 1);
        assert_eq!(of("beir"), [Source::Lines(root.join("beir/corpus.jsonl"))]);
        assert_eq!(of("beir/corpus.jsonl"), [Source::Lines(root.join("beir/corpus.jsonl"))]);
        assert!(matches!(of("log.jsonl")[..], [Source::File { .. }]));
        assert!(sources(&["no/such/*.thing".to_owned()], &mut Vec::new()).is_err());
        assert_eq!(count(&of("beir")).unwrap(), Some(1));
    }
}

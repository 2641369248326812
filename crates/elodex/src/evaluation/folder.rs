//! A folder in BEIR's layout, ingested for evaluation: one collection for each embedder and width, kept for next time.

use super::places::{Place, Places, Vectors};
use super::systems::System;
use crate::cli::NewCollection;
use crate::commands::ingest::{self, Indexed};
use crate::corpus::Source;
use crate::library::{self, Library as _, Local};
use crate::output;
use anyhow::{Context as _, ensure};
use elodex_eval::BeirFolder;
use sha2::{Digest as _, Sha256};
use std::collections::HashSet;
use std::io::Read;
use std::path::{Path, PathBuf};

/// How documents are kept.
#[derive(Debug, Clone, Default)]
pub(crate) struct Form {
    /// In chunks, not whole.
    pub(crate) chunked: bool,
    /// Of their vectors; `None`: the usual one.
    pub(crate) precision: Option<String>,
}

/// A folder on its way into collections.
#[derive(Debug)]
pub(crate) struct Folder {
    /// Its own name.
    pub(crate) name: String,
    corpus: PathBuf,
    /// Of the corpus file's bytes.
    hash: String,
    pub(crate) documents: HashSet<String>,
}

impl Folder {
    /// Reads and checks the corpus.
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let documents = BeirFolder::new(path).documents()?.into_keys().collect();
        let corpus = path.join("corpus.jsonl");
        let hash = hash(&corpus).with_context(|| format!("cannot read `{}`", corpus.display()))?;
        Ok(Self { name: name(path), corpus, hash, documents })
    }

    /// The places that `systems` need: a collection for each embedder and width.
    pub(crate) fn places(
        &self,
        library: &Local,
        systems: &[System],
        embedder: Option<&str>,
        form: &Form,
    ) -> anyhow::Result<Places> {
        let mut wanted: Vec<Vectors> = Vec::new();
        for vectors in systems.iter().filter_map(Vectors::of) {
            if !wanted.contains(&vectors) {
                wanted.push(vectors);
            }
        }
        if wanted.is_empty() {
            wanted.push(Vectors::USUAL);
        }
        let mut named = Vec::new();
        for vectors in wanted {
            let model = vectors.model.as_deref().or(embedder);
            let (model, dimensions, fingerprint) = library.space(model, vectors.dimensions)?;
            let new = NewCollection {
                collection: self.collection(&fingerprint, form),
                embedder: Some(model),
                dimensions: Some(dimensions),
                whole_documents: !form.chunked,
                precision: form.precision.clone(),
                ..NewCollection::default()
            };
            self.fill(library, &new)?;
            named.push((vectors, Place::of(library, &new.collection)?));
        }
        let usual = named.iter().find(|(vectors, _)| *vectors == Vectors::USUAL).or(named.first());
        let usual = usual.context("no collection was made")?.1.clone();
        Ok(Places { usual, named })
    }

    /// The collection's name: of the folder, and what its content depends on.
    fn collection(&self, fingerprint: &str, form: &Form) -> String {
        let cut = if form.chunked { "chunks" } else { "whole" };
        let precision = form.precision.as_deref().unwrap_or_default();
        let key = format!("{}\n{fingerprint}\n{cut}\n{precision}\n{}", self.hash, env!("CARGO_PKG_VERSION"));
        let digest = Sha256::digest(key);
        let short: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        format!("{}-{cut}-{short}", self.name)
    }

    /// Ingests what is not there yet. A collection that was left half-way is completed.
    fn fill(&self, library: &Local, new: &NewCollection) -> anyhow::Result<()> {
        library::ensure_collection(library, new)?;
        let status = ingest::status(library, &new.collection)?;
        let there = status.indexed + status.failed;
        if status.pending == 0 && there == self.documents.len() as u64 {
            output::note(format!("`{}` is there from an earlier evaluation", new.collection));
        } else {
            output::note(format!("ingesting {} documents into `{}`", self.documents.len(), new.collection));
            let corpus = [Source::Texts(self.corpus.clone())];
            let added = ingest::add(library, &new.collection, &corpus, true, &mut |_| {})?;
            ensure!(added.refused.is_empty(), "{}", added.refused.join("; "));
        }
        let Indexed { failed, .. } = ingest::wait_for_all(library, &new.collection)?;
        library.settle(&new.collection)?;
        if failed > 0 {
            output::notes(&ingest::failures(library, &new.collection)?);
            output::note(format!(
                "warning: {failed} documents could not be indexed, so no system can find them"
            ));
        }
        Ok(())
    }
}

fn name(path: &Path) -> String {
    let full = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    full.file_name().map_or("folder".to_owned(), |name| name.to_string_lossy().into_owned())
}

/// SHA-256 of a file, hexadecimal.
pub(crate) fn hash(file: &Path) -> std::io::Result<String> {
    let mut file = std::fs::File::open(file)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect());
        }
        hasher.update(&buffer[..read]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collection_is_another_where_its_content_would_be() {
        let folder = tempfile::tempdir().unwrap();
        let write = |text: &str| {
            let line = format!("{{\"_id\": \"a\", \"text\": \"{text}\"}}\n");
            std::fs::write(folder.path().join("corpus.jsonl"), line).unwrap();
            Folder::read(folder.path()).unwrap()
        };
        let one = write("one");
        assert_eq!(one.documents, HashSet::from(["a".to_owned()]));
        let form =
            |chunked, precision: Option<&str>| Form { chunked, precision: precision.map(str::to_owned) };
        let whole = form(false, None);
        let names = [
            one.collection("space", &whole),
            one.collection("space", &form(true, None)),
            one.collection("space", &form(false, Some("int8"))),
            one.collection("other", &whole),
            write("two").collection("space", &whole),
        ];
        assert_eq!(names.iter().collect::<HashSet<_>>().len(), 5, "{names:?}");
        assert_eq!(names[0], write("one").collection("space", &whole));
    }

    #[test]
    fn a_corpus_with_defects_is_refused_before_any_work() {
        let folder = tempfile::tempdir().unwrap();
        let twice = "{\"_id\": \"a\", \"text\": \"x\"}\n{\"_id\": \"a\", \"text\": \"y\"}\n";
        std::fs::write(folder.path().join("corpus.jsonl"), twice).unwrap();
        let error = Folder::read(folder.path()).unwrap_err().to_string();
        assert!(error.contains("corpus.jsonl:2: `_id` `a` stands in line 1 too"), "{error}");
    }
}

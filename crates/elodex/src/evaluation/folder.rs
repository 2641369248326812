//! A folder in BEIR's layout, ingested for evaluation: one collection for each embedder and width, kept for next time.

use super::places::Place;
use super::systems::{Lists, System};
use crate::cli::NewCollection;
use crate::commands::ingest::{self, Indexed};
use crate::corpus::Source;
use crate::library::{self, Library as _, Local};
use crate::output;
use anyhow::Context as _;
use elodex_eval::BeirFolder;
use sha2::{Digest as _, Sha256};
use std::collections::HashSet;
use std::io::Read;
use std::path::{Path, PathBuf};

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

    /// The places that `systems` need: one for each embedder and width, the usual one first.
    pub(crate) fn places(
        &self,
        library: &Local,
        systems: &[System],
        embedder: Option<&str>,
        chunked: bool,
    ) -> anyhow::Result<Vec<Place>> {
        let mut wanted = Vec::new();
        for system in systems {
            // BM25 is the same beside any vectors.
            let model = system.first.model.as_deref().or(embedder);
            let (name, dimensions, fingerprint) = library.space(model, system.first.dimensions)?;
            let new = (name, dimensions, fingerprint);
            if !wanted.contains(&new) && system.first.lists != Lists::Bm25 {
                wanted.push(new);
            }
        }
        if wanted.is_empty() {
            wanted.push(library.space(embedder, None)?);
        }
        let mut places = Vec::new();
        for (model, dimensions, fingerprint) in wanted {
            let collection = self.collection(&fingerprint, chunked);
            let new = NewCollection {
                collection: collection.clone(),
                embedder: Some(model),
                dimensions: Some(dimensions),
                whole_documents: !chunked,
                ..NewCollection::default()
            };
            self.fill(library, &new)?;
            places.push(Place::of(library, &collection)?);
        }
        Ok(places)
    }

    /// The collection's name: of the folder, and what its content depends on.
    fn collection(&self, fingerprint: &str, chunked: bool) -> String {
        let cut = if chunked { "chunks" } else { "whole" };
        let key = format!("{}\n{fingerprint}\n{cut}\n{}", self.hash, env!("CARGO_PKG_VERSION"));
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
            ingest::add(library, &new.collection, &[Source::Lines(self.corpus.clone())], true)?;
        }
        let Indexed { failed, .. } = ingest::wait_for_all(library, &new.collection)?;
        library.settle(&new.collection)?;
        if failed > 0 {
            for line in ingest::failures(library, &new.collection)? {
                output::note(line);
            }
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

fn hash(file: &Path) -> std::io::Result<String> {
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
        let names = [
            one.collection("space", false),
            one.collection("space", true),
            one.collection("other", false),
            write("two").collection("space", false),
        ];
        assert_eq!(names.iter().collect::<HashSet<_>>().len(), 4, "{names:?}");
        assert_eq!(names[0], write("one").collection("space", false));
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

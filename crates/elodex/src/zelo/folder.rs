//! A run's folder: what it was begun with, and what its files are called.

use super::arguments::Kind;
use super::queries::Asked;
use crate::evaluation::file_hash;
use anyhow::{Context as _, bail, ensure};
use elodex_eval::{BeirFolder, Document, Qrels, Run, read_queries};
use elodex_train::battle::{Arena, Battle, BattleLog};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashSet};
use std::fs::{File, TryLockError};
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// The layout of `zelo.json`.
const FORMAT: u32 = 1;

/// A run.
#[derive(Debug)]
pub(crate) struct RunFolder {
    path: PathBuf,
    /// None where all there is are trainings on targets that were made elsewhere.
    beginning: Option<Beginning>,
}

/// What a run was begun with: all that its candidates depend on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Beginning {
    elodex_zelo: u32,
    /// Folder of the documents, from the run's folder where it lies within.
    pub(crate) data: PathBuf,
    /// The collection whose chunks they are, where they were taken from one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) collection: Option<String>,
    /// SHA-256 of its `corpus.jsonl`.
    corpus_hash: String,
    /// Where queries are from.
    pub(crate) asked: Asked,
    /// Candidates of a query.
    pub(crate) depth: usize,
    /// As it was named; none for that of the configuration.
    pub(crate) embedder: Option<String>,
}

impl Beginning {
    fn check_same(&self, before: &Beginning, run: &Path) -> anyhow::Result<()> {
        let mut changed = Vec::new();
        for (what, same) in [
            ("--collection", before.collection == self.collection),
            ("the documents", before.corpus_hash == self.corpus_hash),
            ("the queries", before.asked == self.asked),
            ("--depth", before.depth == self.depth),
            ("--embedder", before.embedder == self.embedder),
        ] {
            if !same {
                changed.push(what);
            }
        }
        ensure!(
            changed.is_empty(),
            "{} changed since the run `{}` was begun, and all it holds depends on that; go on with what it was, or name \
             another --folder",
            changed.join(" and "),
            run.display()
        );
        Ok(())
    }
}

impl RunFolder {
    /// Begins a run, or goes on with one that was begun with the same.
    pub(crate) fn begin(
        path: &Path,
        data: &Path,
        collection: Option<&str>,
        asked: Asked,
        depth: usize,
        embedder: Option<&str>,
    ) -> anyhow::Result<Self> {
        let corpus = data.join("corpus.jsonl");
        let corpus_hash = file_hash(&corpus).with_context(|| {
            format!("cannot read `{}`; --data names a folder with corpus.jsonl", corpus.display())
        })?;
        std::fs::create_dir_all(path).with_context(|| format!("cannot make `{}`", path.display()))?;
        let absolute = |path: &Path| path.canonicalize().with_context(|| format!("no `{}`", path.display()));
        let (run, data) = (absolute(path)?, absolute(data)?);
        let beginning = Beginning {
            elodex_zelo: FORMAT,
            data: data.strip_prefix(&run).map(Path::to_owned).unwrap_or(data),
            collection: collection.map(str::to_owned),
            corpus_hash,
            asked,
            depth,
            embedder: embedder.map(str::to_owned),
        };
        let run = Self { path: path.to_owned(), beginning: None };
        if let Some(before) = run.read_optional::<Beginning>("zelo.json")? {
            beginning.check_same(&before, path)?;
        }
        run.write_json("zelo.json", &beginning)?;
        Ok(Self { beginning: Some(beginning), ..run })
    }

    /// Keeps other processes from a training of this name, while the file is open: two would write over each other.
    pub(crate) fn alone(&self, training: &str) -> anyhow::Result<File> {
        let path = self.file(&format!("{training}.lock"));
        let file = File::create(&path).with_context(|| format!("cannot write `{}`", path.display()))?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => bail!(
                "another process trains the {training} of `{}`; wait for it, or train in another folder",
                self.path.display()
            ),
            Err(TryLockError::Error(error)) => {
                Err(error).with_context(|| format!("cannot lock `{}`", path.display()))
            }
        }
    }

    /// A run that was begun.
    pub(crate) fn open(path: &Path) -> anyhow::Result<Self> {
        let file = path.join("zelo.json");
        if !file.is_file() {
            let run = Self { path: path.to_owned(), beginning: None };
            let trained = [Kind::Reranker, Kind::Pairwise, Kind::Embedder]
                .iter()
                .any(|kind| run.file(&format!("{}/training.json", kind.name())).is_file());
            if !trained {
                run.beginning()?;
            }
            return Ok(run);
        }
        let beginning: Beginning = read_json(&file)?;
        ensure!(
            beginning.elodex_zelo == FORMAT,
            "`{}` has format {}, and this version reads {FORMAT}; use the version that wrote it",
            file.display(),
            beginning.elodex_zelo
        );
        Ok(Self { path: path.to_owned(), beginning: Some(beginning) })
    }

    /// A run that was begun, or a folder for a training on targets that were made elsewhere.
    pub(crate) fn open_or_make(path: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir_all(path).with_context(|| format!("cannot make `{}`", path.display()))?;
        if path.join("zelo.json").is_file() {
            return Self::open(path);
        }
        Ok(Self { path: path.to_owned(), beginning: None })
    }

    /// What it was begun with.
    pub(crate) fn beginning(&self) -> anyhow::Result<&Beginning> {
        self.beginning.as_ref().with_context(|| {
            format!(
                "`{}` has no candidates: there is no zelo.json in it; begin a run with `elodex zelo candidates --folder {} \
                 --data FOLDER`",
                self.shown(),
                self.shown()
            )
        })
    }

    /// Whether it has candidates.
    pub(crate) fn is_begun(&self) -> bool {
        self.beginning.is_some()
    }

    /// One of its files or folders.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The folder itself, as it was named.
    pub(crate) fn shown(&self) -> std::path::Display<'_> {
        self.path.display()
    }

    /// Folder of the documents.
    pub(crate) fn data(&self) -> anyhow::Result<PathBuf> {
        Ok(self.path.join(&self.beginning()?.data))
    }

    /// The documents, as long as they are those that the run was begun with.
    pub(crate) fn documents(&self) -> anyhow::Result<BTreeMap<String, Document>> {
        let data = self.data()?;
        let corpus = data.join("corpus.jsonl");
        let hash = file_hash(&corpus).with_context(|| {
            format!("cannot read `{}`, which the run `{}` is about", corpus.display(), self.shown())
        })?;
        ensure!(
            hash == self.beginning()?.corpus_hash,
            "`{}` changed since the run `{}` was begun, and its battles are about what was there then; restore it, or \
             begin another run",
            corpus.display(),
            self.shown()
        );
        Ok(BeirFolder::new(data).documents()?)
    }

    /// Queries, their candidates and the candidates' texts: title, a space, text.
    pub(crate) fn arena(&self) -> anyhow::Result<Arena> {
        let candidates = self.candidates()?;
        let ranked = |(query, _): (&str, _)| {
            let order: Vec<String> = candidates.order(query).into_iter().map(str::to_owned).collect();
            (query.to_owned(), order)
        };
        let ranking: BTreeMap<String, Vec<String>> = candidates.queries().map(ranked).collect();
        let used: HashSet<&String> = ranking.values().flatten().collect();
        let documents = self.documents()?.into_iter().filter(|(id, _)| used.contains(id));
        let texts = documents.map(|(id, document)| (id, joined(document))).collect();
        Ok(Arena::new(self.queries()?, texts, ranking)?)
    }

    pub(crate) fn queries(&self) -> anyhow::Result<BTreeMap<String, String>> {
        Ok(read_queries(&self.file("queries.jsonl"))?)
    }

    fn candidates(&self) -> anyhow::Result<Run> {
        self.beginning()?;
        let file = self.file("candidates.trec");
        ensure!(
            file.is_file(),
            "the run `{}` has no candidates yet; run the command `elodex zelo candidates` that began it again",
            self.shown()
        );
        Ok(Run::read(&file)?)
    }

    /// The labels of its queries, where there are any.
    pub(crate) fn qrels(&self) -> anyhow::Result<Option<Qrels>> {
        let file = self.file("qrels.tsv");
        if !file.is_file() {
            return Ok(None);
        }
        Ok(Some(Qrels::read(&file)?))
    }

    /// Its battles, open for this process alone.
    pub(crate) fn log(&self, arena: &Arena) -> anyhow::Result<BattleLog> {
        Ok(BattleLog::open(&self.file("battles.jsonl"), arena.binding())?)
    }

    /// Battles of judges whose name holds `judge`, and those judges' names.
    pub(crate) fn battles(
        &self,
        arena: &Arena,
        judge: Option<&str>,
    ) -> anyhow::Result<(Vec<Battle>, Vec<String>)> {
        let log = self.log(arena)?;
        let fits = |name: &str| judge.is_none_or(|part| name.contains(part));
        let judges: Vec<String> =
            log.judges().filter(|(name, _)| fits(name)).map(|(name, _)| name.to_owned()).collect();
        if judges.is_empty() {
            let there: Vec<&str> = log.judges().map(|(name, _)| name).collect();
            match (judge, there.is_empty()) {
                (Some(judge), false) => {
                    bail!("no judge of the run has `{judge}` in its name; there are: {}", there.join(", "))
                }
                _ => bail!(
                    "the run `{}` has no battles yet; hold some with `elodex zelo judge --folder {}`",
                    self.shown(),
                    self.shown()
                ),
            }
        }
        let battles = log.battles().iter().filter(|battle| fits(&battle.judge)).cloned().collect();
        Ok((battles, judges))
    }

    /// What a file says, where there is one.
    pub(crate) fn read_optional<T: DeserializeOwned>(&self, name: &str) -> anyhow::Result<Option<T>> {
        let file = self.file(name);
        if !file.is_file() {
            return Ok(None);
        }
        read_json(&file).map(Some)
    }

    /// Writes a file of the run so that it is whole whenever it is there.
    pub(crate) fn write(&self, name: &str, content: &[u8]) -> anyhow::Result<()> {
        write_whole(&self.file(name), content)
    }

    pub(crate) fn write_json(&self, name: &str, value: &impl Serialize) -> anyhow::Result<()> {
        self.write(name, format!("{}\n", serde_json::to_string_pretty(value)?).as_bytes())
    }
}

/// Writes a file so that it is whole whenever it has this name.
pub(crate) fn write_whole(path: &Path, content: &[u8]) -> anyhow::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let written = || -> std::io::Result<()> {
        std::fs::create_dir_all(folder)?;
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(content)?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        Ok(())
    };
    written().with_context(|| format!("cannot write `{}`; make room there, or allow it", path.display()))
}

/// What the lines of a file say that grows line by line, in order; nothing where there is no file. A line that was being
/// written when its process ended is cut off. `what` is what a line is, for the message where it is not.
pub(super) fn read_lines<T: DeserializeOwned>(file: &Path, what: &str) -> anyhow::Result<Vec<T>> {
    let text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).with_context(|| format!("cannot read `{}`", file.display())),
    };
    let whole = text.rfind('\n').map_or(0, |end| end + 1);
    if whole < text.len() {
        write_whole(file, &text.as_bytes()[..whole])?;
    }
    let parse = |(number, line): (usize, &str)| {
        serde_json::from_str(line)
            .with_context(|| format!("line {number} of `{}` is no {what}; delete it", file.display()))
    };
    (1..).zip(text[..whole].lines()).map(parse).collect()
}

fn read_json<T: DeserializeOwned>(file: &Path) -> anyhow::Result<T> {
    let text = std::fs::read(file).with_context(|| format!("cannot read `{}`", file.display()))?;
    serde_json::from_slice(&text).with_context(|| {
        format!("`{}` is not what this version writes; restore it, or begin another run", file.display())
    })
}

/// A document as models read it.
pub(crate) fn joined(document: Document) -> String {
    if document.title.is_empty() {
        return document.text;
    }
    format!("{} {}", document.title, document.text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_line_is_cut_off() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("numbers.jsonl");
        let read = || read_lines::<u32>(&file, "number");
        assert!(read().unwrap().is_empty());
        std::fs::write(&file, "12\n34\n5").unwrap();
        assert_eq!(read().unwrap(), [12, 34]);
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "12\n34\n");
        std::fs::write(&file, "12\nx\n").unwrap();
        assert!(read().unwrap_err().to_string().starts_with("line 2 of "));
    }
}

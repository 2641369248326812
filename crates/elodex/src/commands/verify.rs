//! `elodex models verify`: a cached model's files against the hashes they are named after, a bundle against its manifest.

use crate::output;
use crate::sources::repository;
use anyhow::{Context as _, bail};
use elodex_kernels::Kernels;
use elodex_models::bundle::{MANIFEST, Reference};
use elodex_models::files::ModelFiles;
use elodex_models::hub::Hub;
use elodex_models::{Embedder, Reranker};
use indicatif::ProgressBar;
use sha1::Sha1;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// Bytes hashed between two moves of the progress bar.
const BLOCK: usize = 1 << 20;

pub(crate) fn verify(source: &str) -> anyhow::Result<()> {
    let directory = Path::new(source);
    if directory.is_dir() {
        return bundle(directory);
    }
    let (id, revision) = repository(source);
    let folder = Hub::from_env()?
        .cached(id, revision)
        .with_context(|| format!("`{source}` is not in the cache; `elodex models list` shows what is"))?;
    let mut files = Vec::new();
    collect(&folder, &mut files)?;
    files.sort();
    let mut total = 0;
    for file in &files {
        total += std::fs::metadata(file).with_context(|| format!("cannot read `{}`", file.display()))?.len();
    }
    let progress = output::progress(total, "bytes");
    let mut wrong = Vec::new();
    for file in &files {
        let name = file.strip_prefix(&folder).unwrap_or(file).display().to_string();
        if let Err(problem) = check(file, &progress) {
            wrong.push(format!("{name}: {problem:#}"));
        }
    }
    progress.finish_and_clear();
    if wrong.is_empty() {
        return output::line(format!("{} files of {id} are as the hub sent them", files.len()));
    }
    bail!(
        "{} of {} files of `{id}` are not as the hub sent them: {}",
        wrong.len(),
        files.len(),
        wrong.join("; ")
    )
}

/// Loading a bundle compares every hash and runs its reference inputs.
fn bundle(directory: &Path) -> anyhow::Result<()> {
    let files = ModelFiles::open(directory)?;
    let Some(manifest) = &files.bundle else {
        bail!(
            "`{}` has no {MANIFEST} to compare its files with; only bundles have one, and models of the hub are verified \
             by `owner/name`",
            directory.display()
        );
    };
    let inputs = match &manifest.reference {
        Reference::Texts(texts) => {
            Embedder::load(&files, Kernels::detect())?;
            format!("{} texts give the vectors", texts.len())
        }
        Reference::Pairs(pairs) => {
            Reranker::load(&files, Kernels::detect())?;
            format!("{} pairs give the logits", pairs.len())
        }
    };
    let count = manifest.files.len();
    output::line(format!("{count} files of {} are as they were written, and {inputs} recorded", files.id))
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    let entries = std::fs::read_dir(folder).with_context(|| format!("cannot list `{}`", folder.display()))?;
    for entry in entries {
        let path = entry.with_context(|| format!("cannot list `{}`", folder.display()))?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}

/// Compares a file with the name of the blob it links to: the SHA-256 of a large file, the git object id of a small one.
fn check(file: &Path, progress: &ProgressBar) -> anyhow::Result<()> {
    let blob = file.canonicalize()?;
    let expected = blob.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let mut content = File::open(&blob)?;
    let found = match expected.len() {
        64 => digest(Sha256::new(), &mut content, progress)?,
        40 => {
            let length = content.metadata()?.len();
            digest(Sha1::new_with_prefix(format!("blob {length}\0")), &mut content, progress)?
        }
        _ => bail!("it is no link to a file that is named after its hash"),
    };
    if found != expected {
        bail!("its hash is {found}, not {expected}; delete `{}` and pull the model again", blob.display());
    }
    Ok(())
}

fn digest(mut hasher: impl Digest, content: &mut File, progress: &ProgressBar) -> anyhow::Result<String> {
    let mut block = vec![0; BLOCK];
    loop {
        let read = content.read(&mut block)?;
        if read == 0 {
            return Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect());
        }
        hasher.update(&block[..read]);
        progress.inc(read as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blob(name: &str, content: &str) -> anyhow::Result<()> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        check(&path, &ProgressBar::hidden())
    }

    #[test]
    fn both_kinds_of_names_are_checked() {
        // `printf hello | sha256sum` and `printf hello | git hash-object --stdin`
        let sha256 = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
        let git = "b6fc4c620b67d95f953a5c1c1230aaab5db5a1b0";
        for name in [sha256, git] {
            blob(name, "hello").unwrap();
            assert!(blob(name, "hello!").unwrap_err().to_string().contains("its hash is"));
        }
        assert!(blob("config.json", "hello").unwrap_err().to_string().contains("no link"));
    }
}

//! The hub's cache on disk: `models--owner--name/` with `blobs/` (contents by hash), `snapshots/COMMIT/` (links into
//! the blobs by file name) and `refs/` (branch and tag names to commits); `.locks/` beside the models.

use crate::files::read;
use crate::{Error, ErrorKind, Result};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::path::{Component, Path, PathBuf};

/// Longest owner, name or revision; the hub's own limit is 96.
const MAX_NAME: usize = 128;
/// A reference holds a commit hash and nothing else.
const MAX_REF_BYTES: u64 = 256;

/// `owner/name`, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RepoId(String);

impl RepoId {
    pub(super) fn parse(id: &str) -> Result<Self> {
        let well_formed = |part: &str| {
            let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
            !part.is_empty()
                && part.len() <= MAX_NAME
                && part.bytes().all(allowed)
                && !part.starts_with(['-', '.'])
                && !part.contains("..")
                && !part.contains("--")
        };
        match id.split_once('/') {
            Some((owner, name)) if well_formed(owner) && well_formed(name) => Ok(Self(id.to_owned())),
            _ => Err(Error::new(
                ErrorKind::NotFound,
                format!("`{id}` is not a repository id; one looks like `owner/name`"),
            )),
        }
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    fn folder(&self) -> String {
        format!("models--{}", self.0.replace('/', "--"))
    }
}

/// A branch, tag or commit, refused where it could not be a file name below `refs/`.
pub(super) fn revision(revision: &str) -> Result<&str> {
    let allowed = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.' | '/');
    let safe = !revision.is_empty()
        && revision.len() <= MAX_NAME
        && revision.chars().all(allowed)
        && Path::new(revision).components().all(|part| matches!(part, Component::Normal(_)));
    if !safe {
        let message = format!("`{revision}` is not a revision; give a branch, a tag or a commit");
        return Err(Error::new(ErrorKind::NotFound, message));
    }
    Ok(revision)
}

/// Whether this is a full git commit hash.
pub(super) fn is_commit(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

/// One snapshot in the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CachedModel {
    /// Repository id.
    pub id: String,
    /// Commit.
    pub commit: String,
    /// Branches and tags that lead to this commit, sorted.
    pub revisions: Vec<String>,
    /// The snapshot folder: a model directory.
    pub path: PathBuf,
    /// Size of its files in bytes.
    pub bytes: u64,
}

#[derive(Debug, Clone)]
pub(super) struct Cache {
    root: PathBuf,
}

impl Cache {
    pub(super) fn new(root: PathBuf) -> Self {
        Self { root }
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    fn repo(&self, repo: &RepoId) -> PathBuf {
        self.root.join(repo.folder())
    }

    /// Makes the folders of a repository and returns the one for blobs.
    pub(super) fn prepare(&self, repo: &RepoId) -> Result<PathBuf> {
        let blobs = self.repo(repo).join("blobs");
        fs::create_dir_all(&blobs).map_err(|error| unwritable(&blobs, error))?;
        Ok(blobs)
    }

    /// Waits for the lock of one blob (by etag), the same that the Python library takes, or of another part of the
    /// repository. Released when dropped.
    pub(super) fn lock(&self, repo: &RepoId, part: &str) -> Result<File> {
        let folder = self.root.join(".locks").join(repo.folder());
        let path = folder.join(format!("{part}.lock"));
        let locked = fs::create_dir_all(&folder)
            .and_then(|()| File::options().create(true).truncate(false).write(true).open(&path))
            .and_then(|file| file.lock().map(|()| file));
        locked.map_err(|error| unwritable(&path, error))
    }

    /// The snapshot folder of a revision, where there is one.
    pub(super) fn snapshot(&self, repo: &RepoId, revision: &str) -> Option<PathBuf> {
        let folder = self.repo(repo);
        let commit = match read::bytes(&folder.join("refs").join(revision), MAX_REF_BYTES) {
            Ok(bytes) => String::from_utf8(bytes).ok()?.trim().to_owned(),
            Err(_) => revision.to_owned(),
        };
        if !is_commit(&commit) {
            return None;
        }
        let snapshot = folder.join("snapshots").join(commit);
        snapshot.is_dir().then_some(snapshot)
    }

    /// Links names to blobs in the snapshot of a commit, then lets the revision lead to it.
    pub(super) fn link<'a>(
        &self,
        repo: &RepoId,
        revision: &str,
        commit: &str,
        links: impl Iterator<Item = (&'a str, &'a str)>,
    ) -> Result<PathBuf> {
        // Replacing links and references is not atomic against another pull of the same repository.
        let _lock = self.lock(repo, "snapshots")?;
        let folder = self.repo(repo);
        let snapshot = folder.join("snapshots").join(commit);
        for (name, etag) in links {
            let link = snapshot.join(name);
            place(&link, name, etag, &folder).map_err(|error| unwritable(&link, error))?;
        }
        if !is_commit(revision) {
            let reference = folder.join("refs").join(revision);
            write_whole(&reference, commit.as_bytes()).map_err(|error| unwritable(&reference, error))?;
        }
        Ok(snapshot)
    }

    /// Every snapshot of every model, by id, then commit.
    pub(super) fn list(&self) -> Result<Vec<CachedModel>> {
        let mut models = Vec::new();
        for folder in folders(&self.root)? {
            let name = folder.file_name().and_then(OsStr::to_str).unwrap_or_default();
            let Some(id) = name.strip_prefix("models--").map(|id| id.replacen("--", "/", 1)) else {
                continue;
            };
            let mut revisions: BTreeMap<String, Vec<String>> = BTreeMap::new();
            let refs = folder.join("refs");
            walk(&refs, &mut |path| {
                let commit = read::bytes(path, MAX_REF_BYTES).unwrap_or_default();
                let name = path.strip_prefix(&refs).unwrap_or(path).to_string_lossy().into_owned();
                revisions.entry(String::from_utf8_lossy(&commit).trim().to_owned()).or_default().push(name);
            })?;
            for snapshot in folders(&folder.join("snapshots"))? {
                let commit = snapshot.file_name().and_then(OsStr::to_str).unwrap_or_default().to_owned();
                let mut bytes = 0;
                // A link whose blob is gone has no size.
                walk(&snapshot, &mut |path| bytes += fs::metadata(path).map_or(0, |file| file.len()))?;
                let mut names = revisions.remove(&commit).unwrap_or_default();
                names.sort();
                models.push(CachedModel { id: id.clone(), commit, revisions: names, path: snapshot, bytes });
            }
        }
        models.sort_by(|left, right| (&left.id, &left.commit).cmp(&(&right.id, &right.commit)));
        Ok(models)
    }
}

/// Puts a link to a blob in the place of whatever is there.
fn place(link: &Path, name: &str, etag: &str, folder: &Path) -> io::Result<()> {
    let blob = folder.join("blobs").join(etag);
    if fs::canonicalize(link).is_ok_and(|target| fs::canonicalize(&blob).is_ok_and(|blob| blob == target)) {
        return Ok(());
    }
    if let Some(parent) = link.parent() {
        fs::create_dir_all(parent)?;
    }
    match fs::remove_file(link) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    #[cfg(unix)]
    {
        // Relative, so that a cache can be moved: up from the file's folder to the repository's.
        let up = 2 + name.matches('/').count();
        let target = Path::new(&"../".repeat(up)).join("blobs").join(etag);
        std::os::unix::fs::symlink(target, link)
    }
    #[cfg(not(unix))]
    {
        let _ = name;
        fs::hard_link(blob, link)
    }
}

/// Writes a small file so that a reader sees all of it or none.
fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    let temporary = path.with_added_extension(format!("{}.tmp", std::process::id()));
    fs::write(&temporary, bytes)?;
    fs::rename(temporary, path)
}

/// Subfolders of a folder, none where it is absent.
fn folders(dir: &Path) -> Result<Vec<PathBuf>> {
    Ok(entries(dir)?.into_iter().filter(|path| path.is_dir()).collect())
}

/// Visits every file below a folder.
fn walk(dir: &Path, visit: &mut dyn FnMut(&Path)) -> Result<()> {
    for path in entries(dir)? {
        // A link to a folder is not followed: a cache has none, and one could lead in circles.
        if path.is_dir() && !path.is_symlink() {
            walk(&path, visit)?;
        } else {
            visit(&path);
        }
    }
    Ok(())
}

fn entries(dir: &Path) -> Result<Vec<PathBuf>> {
    let read = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(vec![]),
        read => read,
    };
    let paths = read.and_then(|entries| entries.map(|entry| entry.map(|entry| entry.path())).collect());
    paths.map_err(|error| read::failed(dir, error))
}

/// The error of a path that cannot be written.
pub(super) fn unwritable(path: &Path, error: io::Error) -> Error {
    let message = if error.kind() == io::ErrorKind::StorageFull {
        format!(
            "no space left to write `{}`; free some and pull again, it goes on where it stopped",
            path.display()
        )
    } else {
        format!(
            "cannot write `{}`; check its permissions, or set HF_HOME to a folder that can be written",
            path.display()
        )
    };
    Error::new(ErrorKind::Io, message).caused_by(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_revisions() {
        for id in ["a/b", "BAAI/bge-small-en-v1.5", "x_1/y.z"] {
            RepoId::parse(id).unwrap();
        }
        for id in
            ["", "a", "a/", "/b", "a/b/c", "../b", "a/..", "a/.b", "a--b/c", "a/b c", "a/b\n", "a/b?x", "é/b"]
        {
            assert_eq!(RepoId::parse(id).unwrap_err().kind(), ErrorKind::NotFound, "{id}");
        }
        for name in ["main", "v1.0", "refs/pr/1", "0123456789abcdef0123456789abcdef01234567"] {
            revision(name).unwrap();
        }
        for name in ["", "..", "../main", "/main", "a b", "main?", "a%2Fb", "a\\b", "./main"] {
            assert_eq!(revision(name).unwrap_err().kind(), ErrorKind::NotFound, "{name}");
        }
    }
}

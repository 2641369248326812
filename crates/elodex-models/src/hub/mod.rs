//! Models from the Hugging Face hub by repository and revision, in the hub's standard cache, shared with the Python
//! programs on the machine.
//!
//! The client is our own, on ureq: the hf-hub crate brings an asynchronous HTTP stack with a second TLS stack and a
//! transfer protocol of its own. What is needed is small: one listing, one `HEAD` and one
//! resumable `GET` per file. Every byte that gets its final name has been hashed.

mod cache;
mod client;
mod download;

pub use cache::CachedModel;
pub use client::Token;
pub(crate) use download::TERMS;

use crate::files::ModelFiles;
use crate::{Error, ErrorKind, Result};
use cache::{Cache, RepoId};
use client::Client;
use download::{Download, RemoteFile};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where the hub is unless `HF_ENDPOINT` says otherwise.
const ENDPOINT: &str = "https://huggingface.co";
/// The revision that is meant where none is given.
const MAIN: &str = "main";
/// First wait before a call is tried again; it doubles with each try.
const BACKOFF: Duration = Duration::from_millis(500);

/// A hub and the local cache of its models.
#[derive(Debug, Clone)]
pub struct Hub {
    endpoint: String,
    cache: Cache,
    token: Option<Token>,
    offline: bool,
    backoff: Duration,
}

/// How far a pull has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress<'a> {
    /// The file being fetched.
    pub file: &'a str,
    /// Bytes of it that are here.
    pub file_done: u64,
    /// Its size in bytes.
    pub file_total: u64,
    /// Bytes of all files that are here.
    pub done: u64,
    /// Size in bytes of all files.
    pub total: u64,
}

impl Hub {
    /// As the environment says: `HF_ENDPOINT`; `HF_HUB_CACHE`, else `HF_HOME/hub`, else
    /// `$XDG_CACHE_HOME/huggingface/hub`, else `~/.cache/huggingface/hub`; `HF_TOKEN`, else the file that
    /// `HF_TOKEN_PATH` names, else `HF_HOME/token`; `HF_HUB_OFFLINE`.
    pub fn from_env() -> Result<Self> {
        Self::from_variables(|name| std::env::var(name).ok())
    }

    fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let variable = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
        let path = |name: &str| variable(name).map(PathBuf::from);
        let home = path("HF_HOME").or_else(|| path("XDG_CACHE_HOME").map(|dir| dir.join("huggingface")));
        let home = home.or_else(|| path("HOME").map(|dir| dir.join(".cache/huggingface")));
        let cache = path("HF_HUB_CACHE").or_else(|| path("HUGGINGFACE_HUB_CACHE"));
        let cache = cache.or_else(|| home.as_ref().map(|home| home.join("hub")));
        let Some(cache) = cache else {
            return Err(Error::new(
                ErrorKind::Io,
                "no place for the model cache: none of HF_HUB_CACHE, HF_HOME and HOME is set; set HF_HOME",
            ));
        };
        let token_file = path("HF_TOKEN_PATH").or_else(|| home.map(|home| home.join("token")));
        let token = match variable("HF_TOKEN") {
            Some(token) => Some(Token::new(&token)?),
            None => token_file.filter(|path| path.is_file()).map(|path| Token::read(&path)).transpose()?,
        };
        let offline = variable("HF_HUB_OFFLINE").is_some_and(|value| {
            ["1", "true", "yes", "on"].contains(&value.trim().to_ascii_lowercase().as_str())
        });
        Ok(Self { endpoint: String::new(), cache: Cache::new(cache), token, offline, backoff: BACKOFF }
            .endpoint(variable("HF_ENDPOINT").as_deref().unwrap_or(ENDPOINT)))
    }

    /// The folder that holds the `models--…` folders.
    pub fn cache_root(&self) -> &Path {
        self.cache.root()
    }

    /// The address models are pulled from; `None` offline.
    pub fn address(&self) -> Option<&str> {
        (!self.offline).then_some(self.endpoint.as_str())
    }

    /// Another hub or a mirror: scheme, host and port, with a path in front of `/api` where it has one.
    #[must_use]
    pub fn endpoint(mut self, endpoint: &str) -> Self {
        self.endpoint = endpoint.trim().trim_end_matches('/').to_owned();
        self
    }

    /// Another cache folder (the one that holds `models--…` folders).
    #[must_use]
    pub fn cache_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.cache = Cache::new(dir.into());
        self
    }

    /// Another token, or none.
    #[must_use]
    pub fn token(mut self, token: Option<Token>) -> Self {
        self.token = token;
        self
    }

    /// Whether only the cache may be used. Nothing is sent then.
    #[must_use]
    pub fn offline(mut self, offline: bool) -> Self {
        self.offline = offline;
        self
    }

    /// First wait before a failed call is tried again; it doubles with each try.
    #[must_use]
    pub fn backoff(mut self, backoff: Duration) -> Self {
        self.backoff = backoff;
        self
    }

    /// Brings a revision (branch, tag or commit; `None` for `main`) of `owner/name` up to date in the cache and returns
    /// its snapshot folder. Only what running the model needs is fetched, never code. Offline, the cached snapshot is
    /// returned as it is.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`] without such a repository or revision, or offline without a cached one;
    /// [`ErrorKind::Access`] for gated and private ones; [`ErrorKind::Network`] when the hub cannot be reached or sends
    /// what it did not announce; [`ErrorKind::Io`] when the cache cannot be written. A pull that was cut off is resumed
    /// by the next.
    pub fn pull(
        &self,
        id: &str,
        revision: Option<&str>,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<PathBuf> {
        let repo = RepoId::parse(id)?;
        let revision = cache::revision(revision.unwrap_or(MAIN))?;
        if self.offline {
            return self.cache.snapshot(&repo, revision).ok_or_else(|| {
                Error::new(
                    ErrorKind::NotFound,
                    format!(
                        "`{id}` at revision `{revision}` is not in the cache `{}`, and the hub may not be asked \
                         offline; pull it once while online",
                        self.cache.root().display()
                    ),
                )
            });
        }
        let client = Client::new(&self.endpoint, self.token.clone(), self.backoff)?;
        let listing = client.list(&repo, revision)?;
        let names = download::needed(&repo, &listing.files)?;
        let mut files = Vec::with_capacity(names.len());
        for name in names {
            files.push(client.describe(&repo, &listing.commit, &name)?);
        }
        let blobs = self.cache.prepare(&repo)?;
        let total = files.iter().map(|file| file.size).sum();
        let mut done = 0;
        for file in &files {
            let mut report = |file_done: u64| {
                progress(Progress {
                    file: &file.name,
                    file_done,
                    file_total: file.size,
                    done: done + file_done,
                    total,
                });
            };
            let _lock = self.cache.lock(&repo, &file.etag)?;
            Download { client: &client, repo: &repo, commit: &listing.commit, file, blobs: &blobs }
                .run(&mut report)?;
            done += file.size;
        }
        // Links and the reference come last, so that a snapshot that can be found is whole.
        let links = files.iter().map(|RemoteFile { name, etag, .. }| (name.as_str(), etag.as_str()));
        self.cache.link(&repo, revision, &listing.commit, links)
    }

    /// The snapshot folder of a revision (`None` for `main`) that an earlier pull left, without asking the hub.
    pub fn cached(&self, id: &str, revision: Option<&str>) -> Option<PathBuf> {
        let repo = RepoId::parse(id).ok()?;
        self.cache.snapshot(&repo, cache::revision(revision.unwrap_or(MAIN)).ok()?)
    }

    /// The models in the cache, by repository id.
    pub fn list(&self) -> Result<Vec<CachedModel>> {
        self.cache.list()
    }
}

/// A model from a directory or from the hub: `spec` is a path, or `owner/name` or `owner/name@revision`. A path that
/// exists wins. What is cached is used as it is, so that a start needs no network and finds the same weights as the
/// last one; [`Hub::pull`] updates it.
pub fn resolve(spec: &str, hub: &Hub, progress: &mut dyn FnMut(Progress<'_>)) -> Result<ModelFiles> {
    let path = Path::new(spec);
    if path.is_dir() {
        return ModelFiles::open(path);
    }
    let (id, revision) = match spec.split_once('@') {
        Some((id, revision)) => (id, Some(revision)),
        None => (spec, None),
    };
    if RepoId::parse(id).is_err() {
        return Err(Error::new(
            ErrorKind::NotFound,
            format!("`{spec}` is neither a directory nor a repository `owner/name` or `owner/name@revision`"),
        ));
    }
    let snapshot = match hub.cached(id, revision) {
        Some(snapshot) => snapshot,
        None => hub.pull(id, revision, progress)?,
    };
    ModelFiles::open_as(&snapshot, id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hub(variables: &[(&str, &str)]) -> Result<Hub> {
        Hub::from_variables(|name| {
            variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn the_environment_decides() {
        let plain = hub(&[("HOME", "/home/me")]).unwrap();
        assert_eq!(plain.cache.root(), Path::new("/home/me/.cache/huggingface/hub"));
        assert_eq!((plain.endpoint.as_str(), plain.offline), (ENDPOINT, false));
        let moved = hub(&[
            ("HOME", "/home/me"),
            ("HF_HOME", "/data/hf"),
            ("HF_ENDPOINT", "http://mirror:8080/hf/"),
            ("HF_HUB_OFFLINE", "TRUE"),
            ("HF_TOKEN", " hf_secret\n"),
        ])
        .unwrap();
        assert_eq!(moved.cache.root(), Path::new("/data/hf/hub"));
        assert_eq!((moved.endpoint.as_str(), moved.offline), ("http://mirror:8080/hf", true));
        assert!(moved.token.is_some());
        assert!(!format!("{moved:?}").contains("secret"), "{moved:?}");
        let exact =
            hub(&[("HF_HOME", "/data/hf"), ("HF_HUB_CACHE", "/cache"), ("HF_HUB_OFFLINE", "0")]).unwrap();
        assert_eq!((exact.cache.root(), exact.offline), (Path::new("/cache"), false));
        assert_eq!(hub(&[]).unwrap_err().kind(), ErrorKind::Io);
        assert_eq!(hub(&[("HOME", "/h"), ("HF_TOKEN", "a\u{7f}b")]).unwrap_err().kind(), ErrorKind::Access);
    }

    #[test]
    fn the_token_file_is_read() {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("token"), "hf_from_file\n").unwrap();
        let home = home.path().to_str().unwrap();
        assert_eq!(hub(&[("HF_HOME", home)]).unwrap().token, Some(Token::new("hf_from_file").unwrap()));
        assert_eq!(
            hub(&[("HF_HOME", home), ("HF_TOKEN", "x")]).unwrap().token,
            Some(Token::new("x").unwrap())
        );
    }
}

//! Which files a model needs, and how one gets here: resumed, checked, then given its name.

use super::cache::{self, RepoId};
use super::client::{self, Attempt, Client, TRIES};
use crate::{Error, ErrorKind, Result};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Component, Path};
use ureq::http::StatusCode;
use ureq::http::header::CONTENT_RANGE;

/// Bytes read at a time, between two reports of progress.
const CHUNK: usize = 256 << 10;
/// Most files a repository may list.
const MAX_FILES: usize = 10_000;
/// Longest path of a file.
const MAX_PATH: usize = 512;
/// Folders that hold exports for other programs.
const FOREIGN: [&str; 5] = ["onnx", "openvino", "coreml", "gguf", "original"];

/// A file as the hub describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RemoteFile {
    pub(super) name: String,
    /// Hash of the content: SHA-256 of large files, git's blob hash of others.
    pub(super) etag: String,
    pub(super) size: u64,
}

/// Whether an etag is a hash that can be checked.
pub(super) fn is_hash(etag: &str) -> bool {
    matches!(etag.len(), 40 | 64)
        && etag.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

/// Beginnings of the names of files that say under which terms a model may be used.
pub(crate) const TERMS: [&str; 4] = ["LICENSE", "LICENCE", "NOTICE", "COPYING"];

/// The files that running the model needs: configuration, tokenizer, card and safetensors weights; never code, pickles
/// or exports for other programs. A name that would leave the folder is refused, not skipped: such a listing is hostile.
pub(super) fn needed(repo: &RepoId, listed: &[String]) -> Result<Vec<String>> {
    if listed.len() > MAX_FILES {
        let message =
            format!("`{}` lists {} files; a model has fewer than {MAX_FILES}", repo.as_str(), listed.len());
        return Err(Error::new(ErrorKind::Network, message));
    }
    for name in listed {
        if !is_safe(name) {
            let message =
                format!("`{}` lists a file `{}` outside of itself", repo.as_str(), name.escape_debug());
            return Err(Error::new(ErrorKind::Network, message));
        }
    }
    let mut names: Vec<String> = listed.iter().filter(|name| is_needed(name)).cloned().collect();
    if names.iter().any(|name| name == "model.safetensors") {
        names.retain(|name| !is_shard(name));
    }
    names.sort();
    names.dedup();
    if names.iter().any(|name| name.ends_with(".safetensors")) {
        return Ok(names);
    }
    let old = listed.iter().any(|name| name.ends_with(".bin"));
    let reason = if old { "has its weights only as pickles (.bin)" } else { "has no safetensors weights" };
    Err(Error::new(
        ErrorKind::Unsupported,
        format!(
            "`{}` {reason}; look for a revision with safetensors (often `refs/pr/1`), or convert it with \
             `save_pretrained` of transformers and give the folder",
            repo.as_str()
        ),
    ))
}

fn is_safe(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= MAX_PATH
        && !name.contains(['\\', ':'])
        && !name.chars().any(char::is_control)
        // Checked by parts, because `Path` reads `a//b` and `a/./b` as `a/b`.
        && name.split('/').all(|part| !part.is_empty() && part != "." && part != "..")
        && Path::new(name).components().all(|part| matches!(part, Component::Normal(_)))
}

fn is_needed(name: &str) -> bool {
    let (folder, file) = name.rsplit_once('/').unwrap_or(("", name));
    if folder.split('/').any(|part| FOREIGN.contains(&part) || part.starts_with('.')) || file.starts_with('.')
    {
        return false;
    }
    match file.rsplit_once('.').map_or("", |(_, extension)| extension) {
        "json" => !file.ends_with(".bin.index.json"),
        "txt" => true,
        "safetensors" => ["model.safetensors", "projections.safetensors"].contains(&file) || is_shard(file),
        _ => file == "README.md" || TERMS.iter().any(|start| file.starts_with(start)),
    }
}

fn is_shard(name: &str) -> bool {
    name.starts_with("model-") && name.contains("-of-") && name.ends_with(".safetensors")
}

/// One file on its way into the blobs of its repository. The caller holds its lock.
pub(super) struct Download<'a> {
    pub(super) client: &'a Client,
    pub(super) repo: &'a RepoId,
    pub(super) commit: &'a str,
    pub(super) file: &'a RemoteFile,
    pub(super) blobs: &'a Path,
}

impl Download<'_> {
    /// Fetches the file unless it is here, going on where an earlier try stopped. `report` gets the bytes that are
    /// here.
    pub(super) fn run(&self, report: &mut dyn FnMut(u64)) -> Result<()> {
        let blob = self.blobs.join(&self.file.etag);
        let partial = self.blobs.join(format!("{}.incomplete", self.file.etag));
        if fs::metadata(&blob).is_ok_and(|file| file.len() == self.file.size) {
            report(self.file.size);
            return Ok(());
        }
        let mut tried = 0;
        loop {
            let failure = match self.attempt(&partial, report) {
                Ok(()) => break,
                Err(failure) => failure,
            };
            tried += 1;
            match failure {
                Attempt::Again(_, asked) if tried < TRIES => self.client.wait(tried - 1, asked),
                Attempt::Again(error, _) | Attempt::Final(error) => return Err(error),
            }
        }
        fs::rename(&partial, &blob).map_err(|error| cache::unwritable(&blob, error))
    }

    /// One try. On success `partial` holds the whole, checked file.
    fn attempt(&self, partial: &Path, report: &mut dyn FnMut(u64)) -> std::result::Result<(), Attempt> {
        let local = |error: io::Error| Attempt::Final(cache::unwritable(partial, error));
        let mut file = File::options()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(partial)
            .map_err(local)?;
        let mut check = Check::new(self.file);
        if file.metadata().map_err(local)?.len() > self.file.size {
            restart(&mut file).map_err(local)?;
        }
        let mut have = check.take_existing(&mut file).map_err(local)?;
        let resumed = have > 0;
        report(have);
        if have < self.file.size {
            let response = self.client.content(self.repo, self.commit, &self.file.name, have)?;
            if resumed && !continues(&response, have) {
                restart(&mut file).map_err(local)?;
                check = Check::new(self.file);
                have = 0;
                if response.status() != StatusCode::OK {
                    return Err(Attempt::Again(
                        self.bad("another part of the file than was asked for"),
                        None,
                    ));
                }
            }
            let mut body = response.into_body().into_reader();
            let mut chunk = vec![0; CHUNK];
            loop {
                let count = match body.read(&mut chunk) {
                    Ok(0) => break,
                    Ok(count) => count,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    Err(error) => {
                        return Err(Attempt::Again(self.bad("a broken transfer").caused_by(error), None));
                    }
                };
                have += count as u64;
                if have > self.file.size {
                    restart(&mut file).map_err(local)?;
                    return Err(Attempt::Final(self.bad("more bytes than it announced")));
                }
                file.write_all(&chunk[..count]).map_err(local)?;
                check.update(&chunk[..count]);
                report(have);
            }
        }
        if have < self.file.size {
            return Err(Attempt::Again(self.bad("fewer bytes than it announced"), None));
        }
        let found = check.finish();
        if found != self.file.etag {
            // What came before may have been at fault, so one that was resumed gets another chance from the start.
            restart(&mut file).map_err(local)?;
            let error = self.bad(&format!("content whose hash is {found}, not {}", self.file.etag));
            return Err(if resumed { Attempt::Again(error, None) } else { Attempt::Final(error) });
        }
        file.sync_all().map_err(local)
    }

    fn bad(&self, what: &str) -> Error {
        let url = self.client.file_url(self.repo, self.commit, &self.file.name);
        client::nonsense(&url, what)
    }
}

/// Whether the answer starts at the byte that was asked for.
fn continues(response: &ureq::http::Response<ureq::Body>, from: u64) -> bool {
    let range =
        response.headers().get(CONTENT_RANGE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    response.status() == StatusCode::PARTIAL_CONTENT && range.trim().starts_with(&format!("bytes {from}-"))
}

fn restart(file: &mut File) -> io::Result<()> {
    use io::Seek;
    file.set_len(0)?;
    file.rewind()
}

/// The hash of a file while it arrives.
enum Check {
    Sha256(Sha256),
    /// git hashes `blob SIZE\0` in front of the content.
    Git(Sha1),
}

impl Check {
    fn new(file: &RemoteFile) -> Self {
        if file.etag.len() == 64 {
            return Check::Sha256(Sha256::new());
        }
        Check::Git(Sha1::new_with_prefix(format!("blob {}\0", file.size)))
    }

    /// Hashes what is there, leaves the file at its end, and returns how much it was.
    fn take_existing(&mut self, file: &mut File) -> io::Result<u64> {
        let length = file.metadata()?.len();
        let mut existing = file.take(length);
        let mut total = 0;
        let mut chunk = vec![0; CHUNK];
        loop {
            let count = existing.read(&mut chunk)?;
            if count == 0 {
                return Ok(total);
            }
            total += count as u64;
            self.update(&chunk[..count]);
        }
    }

    fn update(&mut self, bytes: &[u8]) {
        match self {
            Check::Sha256(hasher) => hasher.update(bytes),
            Check::Git(hasher) => hasher.update(bytes),
        }
    }

    fn finish(self) -> String {
        let bytes = match self {
            Check::Sha256(hasher) => hasher.finalize().to_vec(),
            Check::Git(hasher) => hasher.finalize().to_vec(),
        };
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(listed: &[&str]) -> Result<Vec<String>> {
        let listed: Vec<String> = listed.iter().map(ToString::to_string).collect();
        needed(&RepoId::parse("a/b").unwrap(), &listed)
    }

    #[test]
    fn only_what_running_needs() {
        let chosen = names(&[
            ".gitattributes",
            "README.md",
            "LICENSE.txt",
            "config.json",
            "modules.json",
            "1_Pooling/config.json",
            "2_Dense/model.safetensors",
            "2_Dense/pytorch_model.bin",
            "model.safetensors",
            "model-00001-of-00002.safetensors",
            "consolidated.safetensors",
            "projections.safetensors",
            "pytorch_model.bin",
            "pytorch_model.bin.index.json",
            "modeling_x.py",
            "onnx/config.json",
            "onnx/model.onnx",
            "tokenizer.json",
            "NOTICE",
            "elodex.json",
            "vocab.txt",
        ]);
        assert_eq!(
            chosen.unwrap(),
            [
                "1_Pooling/config.json",
                "2_Dense/model.safetensors",
                "LICENSE.txt",
                "NOTICE",
                "README.md",
                "config.json",
                "elodex.json",
                "model.safetensors",
                "modules.json",
                "projections.safetensors",
                "tokenizer.json",
                "vocab.txt",
            ]
        );
        let shards = ["config.json", "model-00001-of-00002.safetensors", "model.safetensors.index.json"];
        assert_eq!(names(&shards).unwrap(), shards);
        assert_eq!(names(&["config.json", "pytorch_model.bin"]).unwrap_err().kind(), ErrorKind::Unsupported);
    }

    #[test]
    fn names_that_leave_the_folder_are_refused() {
        for name in [
            "../x.json",
            "a/../../x.json",
            "/etc/x.json",
            "a\\..\\x.json",
            "C:x.json",
            "a//b.json",
            "./a.json",
            "a\nb",
        ] {
            let error = names(&["model.safetensors", name]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Network, "{name}");
        }
    }
}

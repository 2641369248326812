//! A directory on its way: whole under its name, or not there.

use super::tensors::{self, Tensor};
use super::{MANIFEST, Manifest};
use crate::{Error, ErrorKind, Result};
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// A directory that is removed unless it becomes the target.
pub(super) struct Partial {
    pub(super) dir: PathBuf,
}

impl Partial {
    /// Makes it beside the target.
    pub(super) fn beside(target: &Path) -> Result<Self> {
        let Some(name) = target.file_name() else {
            let message = format!("`{}` is no name for a new directory", target.display());
            return Err(Error::new(ErrorKind::Request, message));
        };
        let name = format!(".{}.{}.partial", name.to_string_lossy(), std::process::id());
        let dir = target.with_file_name(name);
        fs::create_dir(&dir).map_err(|error| unwritten(&dir, error))?;
        Ok(Self { dir })
    }

    /// A new file under this relative path.
    fn create(&self, name: &str) -> Result<(io::BufWriter<File>, PathBuf)> {
        let path = self.dir.join(name);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(|error| unwritten(folder, error))?;
        }
        let file = File::create_new(&path).map_err(|error| unwritten(&path, error))?;
        Ok((io::BufWriter::new(file), path))
    }

    /// Writes `tensors` as a safetensors file; its hash.
    pub(super) fn weights(&self, name: &str, tensors: Vec<Tensor<'_>>) -> Result<blake3::Hash> {
        let (mut file, path) = self.create(name)?;
        let written = tensors::write(tensors, &mut file).and_then(|hash| {
            file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
            Ok(hash)
        });
        written.map_err(|error| unwritten(&path, error))
    }

    /// Copies a file; its hash.
    pub(super) fn copy(&self, from: &Path, name: &str) -> Result<String> {
        let (mut file, path) = self.create(name)?;
        let mut source = File::open(from).map_err(|error| crate::files::read::failed(from, error))?;
        let copied = io::copy(&mut source, &mut file).and_then(|_| file.flush());
        copied.map_err(|error| unwritten(&path, error))?;
        let mut hasher = blake3::Hasher::new();
        File::open(&path)
            .and_then(|file| hasher.update_reader(file).map(drop))
            .map_err(|error| crate::files::read::failed(&path, error))?;
        Ok(hasher.finalize().to_hex().to_string())
    }

    /// Writes the manifest.
    pub(super) fn manifest(&self, manifest: &Manifest) -> Result<()> {
        let (mut file, path) = self.create(MANIFEST)?;
        let text = serde_json::to_string_pretty(manifest).map_err(|error| {
            Error::new(ErrorKind::Bug, "the manifest cannot be written as JSON").caused_by(error)
        })?;
        let written = file.write_all(text.as_bytes()).and_then(|()| file.flush());
        written.map_err(|error| unwritten(&path, error))
    }

    /// Gives it the target's name.
    pub(super) fn rename(self, target: &Path) -> Result<()> {
        if target.is_dir() {
            // Only an empty one can be removed, and not every system renames over it.
            fs::remove_dir(target).map_err(|error| unwritten(target, error))?;
        }
        fs::rename(&self.dir, target).map_err(|error| unwritten(target, error))
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // It has another name by now, or is of no use to anybody; where it cannot be removed either there is nothing
        // left to try.
        let _ = fs::remove_dir_all(&self.dir);
    }
}

fn unwritten(path: &Path, error: io::Error) -> Error {
    let message = format!("cannot write `{}`; name a target with room and permission", path.display());
    Error::new(ErrorKind::Io, message).caused_by(error)
}

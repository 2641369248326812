//! What lies in an index's folder beside the shard: for what it was made, and whether it can be trusted.

use elodex_store::{Error, ErrorKind, IndexSpec, Precision, Result};
use elodex_types::SpaceFingerprint;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{ErrorKind as Io, Write as _};
use std::path::{Path, PathBuf};

/// Writes are refused while the disk has less room than this.
pub const LEAST_FREE_BYTES: u64 = 256 << 20;

/// The layout of points and files; another one is thrown away and made again.
const FORMAT: u32 = 1;

/// A folder `<collection>/` with `manifest.json`, `unflushed` while the shard has writes that no flush covers, and
/// `shard/`.
#[derive(Debug, Clone)]
pub(crate) struct Folder(pub(crate) PathBuf);

/// For what an index was made.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Manifest {
    format: u32,
    catalog: String,
    fingerprint: SpaceFingerprint,
    dimensions: usize,
    precision: Precision,
}

impl Manifest {
    fn of(spec: &IndexSpec) -> Self {
        Self {
            format: FORMAT,
            catalog: format!("{:032x}", spec.catalog),
            fingerprint: spec.fingerprint,
            dimensions: spec.dimensions,
            precision: spec.precision,
        }
    }
}

impl Folder {
    pub(crate) fn shard(&self) -> PathBuf {
        self.0.join("shard")
    }

    fn manifest(&self) -> PathBuf {
        self.0.join("manifest.json")
    }

    fn unflushed(&self) -> PathBuf {
        self.0.join("unflushed")
    }

    /// Why what lies here cannot be used for `spec`; `None` where it can.
    pub(crate) fn unusable(&self, spec: &IndexSpec) -> Option<String> {
        let manifest = match std::fs::read(self.manifest()) {
            Ok(bytes) => serde_json::from_slice::<Manifest>(&bytes),
            Err(error) => return Some(format!("its manifest cannot be read: {error}")),
        };
        match manifest {
            Ok(manifest) if manifest == Manifest::of(spec) => {}
            Ok(_) => return Some("it was made for another catalog, embedding space or format".to_owned()),
            Err(error) => return Some(format!("its manifest is damaged: {error}")),
        }
        match std::fs::read_to_string(self.unflushed()) {
            Ok(boot) if boot_id().is_some_and(|current| current == boot) => None,
            Ok(_) => Some("the machine went down before its last writes were flushed".to_owned()),
            Err(error) if error.kind() == Io::NotFound => None,
            Err(error) => Some(format!("its marker cannot be read: {error}")),
        }
    }

    /// Empties the folder and writes the manifest, last and durably.
    pub(crate) fn make(&self, spec: &IndexSpec) -> Result<()> {
        self.remove()?;
        let failed = |error| failure("cannot make the index folder", &self.0, error);
        std::fs::create_dir_all(self.shard()).map_err(failed)?;
        let bytes = serde_json::to_vec_pretty(&Manifest::of(spec))
            .map_err(|error| Error::new(ErrorKind::Bug, "cannot write a manifest").caused_by(error))?;
        write_through(&self.manifest(), &bytes).map_err(failed)
    }

    /// Removes the folder; no error where there is none.
    pub(crate) fn remove(&self) -> Result<()> {
        match std::fs::remove_dir_all(&self.0) {
            Err(error) if error.kind() != Io::NotFound => {
                Err(failure("cannot remove the index folder", &self.0, error))
            }
            _ => Ok(()),
        }
    }

    /// To be called before the first write after a flush.
    pub(crate) fn mark_unflushed(&self) -> Result<()> {
        let boot = boot_id().unwrap_or_default();
        write_through(&self.unflushed(), boot.as_bytes())
            .map_err(|error| failure("cannot mark", &self.0, error))
    }

    /// To be called after a flush.
    pub(crate) fn mark_flushed(&self) -> Result<()> {
        match std::fs::remove_file(self.unflushed()) {
            Err(error) if error.kind() != Io::NotFound => Err(failure("cannot unmark", &self.0, error)),
            _ => Ok(()),
        }
    }

    /// Refuses a write where the disk is nearly full.
    pub(crate) fn check_room(&self) -> Result<()> {
        let free = fs4::available_space(&self.0)
            .map_err(|error| failure("cannot ask for free space of", &self.0, error))?;
        if free >= LEAST_FREE_BYTES {
            return Ok(());
        }
        let message = format!(
            "`{}` has {} MiB left, the index writes only where there are {}; free some space",
            self.0.display(),
            free >> 20,
            LEAST_FREE_BYTES >> 20
        );
        Err(Error::new(ErrorKind::Full, message))
    }

    /// Removes closed segments of the write-ahead log but the newest. The shard must not be loaded.
    pub(crate) fn cut_log(&self) -> Result<()> {
        let failed = |error| failure("cannot cut the write-ahead log of", &self.0, error);
        let entries = match std::fs::read_dir(self.shard().join("wal")) {
            Ok(entries) => entries,
            Err(error) if error.kind() == Io::NotFound => return Ok(()),
            Err(error) => return Err(failed(error)),
        };
        let mut closed = Vec::new();
        for entry in entries {
            let entry = entry.map_err(failed)?;
            let start = entry
                .file_name()
                .to_string_lossy()
                .strip_prefix("closed-")
                .and_then(|it| it.parse::<u64>().ok());
            closed.extend(start.map(|start| (start, entry.path())));
        }
        closed.sort();
        closed.pop();
        for (_, path) in closed {
            std::fs::remove_file(path).map_err(failed)?;
        }
        Ok(())
    }

    /// Bytes that the folder's files take on disk.
    pub(crate) fn disk_bytes(&self) -> Result<u64> {
        disk_bytes(&self.0).map_err(|error| failure("cannot measure", &self.0, error))
    }
}

fn disk_bytes(folder: &Path) -> std::io::Result<u64> {
    let mut total = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => total += disk_bytes(&entry.path())?,
            #[cfg(unix)]
            Ok(metadata) => total += 512 * std::os::unix::fs::MetadataExt::blocks(&metadata),
            #[cfg(not(unix))]
            Ok(metadata) => total += metadata.len(),
            // A segment was replaced meanwhile.
            Err(error) if error.kind() == Io::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(total)
}

/// Differs after every start of the machine; `None` where the system does not say.
fn boot_id() -> Option<String> {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()
}

/// Writes a file so that it is there, whole, when this returns, or not at all.
fn write_through(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let draft = path.with_extension("new");
    let mut file = File::create(&draft)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&draft, path)?;
    match path.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

/// An I/O error about a folder.
pub(crate) fn failure(what: &str, path: &Path, error: std::io::Error) -> Error {
    let kind = if error.kind() == Io::StorageFull { ErrorKind::Full } else { ErrorKind::Backend };
    Error::new(kind, format!("{what} `{}`", path.display())).caused_by(error)
}

//! What lies in an index's folder beside the shard: for what it was made, and whether it can be trusted.

use crate::files::{self, Closely, write_through};
use elodex_store::{Error, ErrorKind, IndexSpec, Precision, Result, Stored};
use elodex_types::SpaceFingerprint;
use serde::{Deserialize, Serialize};
use std::io::ErrorKind as Io;
use std::path::{Path, PathBuf};

/// Writes are refused while the disk has less room than this.
pub const LEAST_FREE_BYTES: u64 = 256 << 20;

/// The layout of points and files; another one is thrown away and made again.
const FORMAT: u32 = 2;

/// What the marker holds once the shard must not be loaded again; no machine's boot has this id.
const TORN: &str = "torn";

/// A folder `<collection>/` with
/// - `manifest.json`: for what the index was made,
/// - `shard/`: qdrant-edge's files,
/// - `flushed.json`: what they were like after the last flush; that holds while nothing was written since,
/// - `unflushed`: the id of the machine's boot, while something was.
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
    terms: u32,
}

impl Manifest {
    fn of(spec: &IndexSpec) -> Self {
        Self {
            format: FORMAT,
            catalog: format!("{:032x}", spec.catalog),
            fingerprint: spec.fingerprint,
            dimensions: spec.dimensions,
            precision: spec.precision,
            terms: spec.terms,
        }
    }
}

impl Folder {
    pub(crate) fn shard(&self) -> PathBuf {
        self.0.join("shard")
    }

    fn log(&self) -> PathBuf {
        self.shard().join("wal")
    }

    fn manifest(&self) -> PathBuf {
        self.0.join("manifest.json")
    }

    fn flushed(&self) -> PathBuf {
        self.0.join("flushed.json")
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
            Ok(_) => {
                return Some(
                    "it was made for another catalog, embedding space, analysis of words or format"
                        .to_owned(),
                );
            }
            Err(error) => return Some(format!("its manifest is damaged: {error}")),
        }
        match std::fs::read_to_string(self.unflushed()) {
            Ok(mark) if mark == TORN => Some("its last optimisation failed half way".to_owned()),
            Ok(boot) if boot_id().is_some_and(|current| current == boot) => None,
            Ok(_) => Some("the machine went down before its last writes were flushed".to_owned()),
            Err(error) if error.kind() == Io::NotFound => self.differs_from_flushed(),
            Err(error) => Some(format!("its marker cannot be read: {error}")),
        }
    }

    fn differs_from_flushed(&self) -> Option<String> {
        let expected = match self.listed() {
            Ok(expected) => expected,
            Err(trouble) => return Some(trouble),
        };
        files::difference(&self.shard(), &expected, Closely::ByTime)
            .unwrap_or_else(|error| Some(format!("its files cannot be read: {error}")))
    }

    /// What the files were like after the last flush.
    fn listed(&self) -> Result<files::Listing, String> {
        let bytes = std::fs::read(self.flushed())
            .map_err(|error| format!("its list of files cannot be read: {error}"))?;
        serde_json::from_slice(&bytes).map_err(|error| format!("its list of files is damaged: {error}"))
    }

    /// Reads every file again. Nothing may use the shard meanwhile.
    pub(crate) fn verify(&self) -> Result<Stored> {
        let failed = |error| failure("cannot read", &self.0, error);
        if !self.0.try_exists().map_err(failed)? {
            return Ok(Stored::Missing);
        }
        if self.is_marked() {
            return Ok(Stored::Unclosed);
        }
        let (damaged, read) = match self.listed() {
            Ok(expected) => {
                let different = files::difference(&self.shard(), &expected, Closely::ByBytes);
                (different.map_err(failed)?, files::all_read(&expected))
            }
            Err(trouble) => (Some(trouble), true),
        };
        let folder = self.0.display();
        Ok(match damaged {
            Some(what) => Stored::Damaged(format!(
                "{what}; remove `{folder}`, and the index is made again from the catalog"
            )),
            None if read => Stored::Whole,
            None => Stored::Unclosed,
        })
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

    /// Whether there are writes that no flush covers, or were when the process was killed.
    pub(crate) fn is_marked(&self) -> bool {
        self.unflushed().exists()
    }

    /// To be called before the first write after a flush.
    pub(crate) fn mark_unflushed(&self) -> Result<()> {
        self.mark(&boot_id().unwrap_or_default())
    }

    /// To be called when the shard can no longer be trusted: it is made again when it is opened next.
    pub(crate) fn mark_torn(&self) -> Result<()> {
        self.mark(TORN)
    }

    fn mark(&self, text: &str) -> Result<()> {
        write_through(&self.unflushed(), text.as_bytes())
            .map_err(|error| failure("cannot mark", &self.0, error))
    }

    /// To be called after a flush. qdrant-edge brings the segments' files to the disk, and leaves the closed segments of
    /// its log and the names of new files to the system: this does the rest, and notes what every file is like. With
    /// `read`, all that were written are read for it, which is for the end: small indexes have files of 32 MiB, too.
    pub(crate) fn mark_flushed(&self, read: bool) -> Result<()> {
        let failed = |error| failure("cannot flush", &self.0, error);
        let log = self.log();
        files::sync(&self.shard(), &|path| path.starts_with(&log)).map_err(failed)?;
        // A listing that is not there, or damaged, is written anew.
        let known = self.listed().unwrap_or_default();
        let listing = files::list(&self.shard(), &known, read).map_err(failed)?;
        let bytes = serde_json::to_vec(&listing)
            .map_err(|error| Error::new(ErrorKind::Bug, "cannot write a list of files").caused_by(error))?;
        write_through(&self.flushed(), &bytes).map_err(failed)?;
        match std::fs::remove_file(self.unflushed()) {
            Err(error) if error.kind() != Io::NotFound => Err(failure("cannot unmark", &self.0, error)),
            _ => Ok(()),
        }
    }

    /// Refuses what writes about `bytes` where the disk would be nearly full then.
    pub(crate) fn check_room(&self, bytes: u64) -> Result<()> {
        let free = fs4::available_space(&self.0)
            .map_err(|error| failure("cannot ask for free space of", &self.0, error))?;
        let needed = LEAST_FREE_BYTES.saturating_add(bytes);
        if free >= needed {
            return Ok(());
        }
        let message = format!(
            "`{}` has {} MiB left, the index writes only where there are {}; free some space",
            self.0.display(),
            free >> 20,
            needed >> 20
        );
        Err(Error::new(ErrorKind::Full, message))
    }

    /// Removes closed segments of the write-ahead log but the newest, which says at what number the open one starts.
    /// The shard must not be loaded.
    pub(crate) fn cut_log(&self) -> Result<()> {
        let failed = |error| failure("cannot cut the write-ahead log of", &self.0, error);
        let entries = match std::fs::read_dir(self.log()) {
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

    /// Bytes that the write-ahead log takes on disk.
    pub(crate) fn log_bytes(&self) -> Result<u64> {
        files::disk_bytes(&self.log()).map_err(|error| failure("cannot measure", &self.0, error))
    }

    /// Bytes that the folder's files take on disk.
    pub(crate) fn disk_bytes(&self) -> Result<u64> {
        files::disk_bytes(&self.0).map_err(|error| failure("cannot measure", &self.0, error))
    }
}

/// Differs after every start of the machine; `None` where the system does not say.
fn boot_id() -> Option<String> {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()
}

/// An I/O error about a folder.
pub(crate) fn failure(what: &str, path: &Path, error: std::io::Error) -> Error {
    let kind = if error.kind() == Io::StorageFull { ErrorKind::Full } else { ErrorKind::Backend };
    Error::new(kind, format!("{what} `{}`", path.display())).caused_by(error)
}

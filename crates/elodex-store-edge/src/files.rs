//! Files of a folder and of the folders in it.

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{ErrorKind, Result, Write as _};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// What files were like, by path below the folder.
pub(crate) type Listing = BTreeMap<PathBuf, Listed>;

/// What a file was like.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Listed {
    /// Its length.
    bytes: u64,
    /// When it was written last, in nanoseconds since 1970.
    modified: u64,
    /// The BLAKE3 hash of its bytes, in hexadecimal digits; `None` where it was not read.
    blake3: Option<String>,
}

/// Whether every file of a listing was read.
pub(crate) fn all_read(listing: &Listing) -> bool {
    listing.values().all(|listed| listed.blake3.is_some())
}

/// How closely files are compared with a listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Closely {
    /// Lengths of all; bytes of those with another time of writing.
    ByTime,
    /// Lengths and bytes of all that were read.
    ByBytes,
}

/// The files below `folder`. What `known` says of those that were not written since is said again; others are read where
/// `read` says so.
pub(crate) fn list(folder: &Path, known: &Listing, read: bool) -> Result<Listing> {
    let mut listing = Listing::new();
    walk(folder, &mut |path, metadata| {
        let Ok(name) = path.strip_prefix(folder) else { return Ok(()) };
        if metadata.is_dir() {
            return Ok(());
        }
        let (bytes, modified) = (metadata.len(), modified(metadata)?);
        let same = known.get(name).filter(|known| known.bytes == bytes && known.modified == modified);
        let blake3 = match same.and_then(|known| known.blake3.clone()) {
            None if read => match hash(path) {
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
                hash => Some(hash?),
            },
            known => known,
        };
        listing.insert(name.to_owned(), Listed { bytes, modified, blake3 });
        Ok(())
    })?;
    Ok(listing)
}

/// The first difference between what a listing says and what lies below `folder`, in words.
pub(crate) fn difference(folder: &Path, expected: &Listing, closely: Closely) -> Result<Option<String>> {
    let mut found = BTreeSet::new();
    let mut different = None;
    walk(folder, &mut |path, metadata| {
        let Ok(name) = path.strip_prefix(folder) else { return Ok(()) };
        if metadata.is_dir() || different.is_some() {
            return Ok(());
        }
        found.insert(name.to_owned());
        let shown = name.display();
        different = match expected.get(name) {
            None => Some(format!("`{shown}` is not one of its files")),
            Some(listed) if listed.bytes != metadata.len() => {
                Some(format!("`{shown}` has {} bytes instead of {}", metadata.len(), listed.bytes))
            }
            Some(listed) => {
                let same_time = listed.modified == modified(metadata)?;
                let same = match &listed.blake3 {
                    Some(blake3) if !same_time || closely == Closely::ByBytes => *blake3 == hash(path)?,
                    _ => same_time,
                };
                (!same).then(|| format!("the bytes of `{shown}` have changed"))
            }
        };
        Ok(())
    })?;
    let missing = || expected.keys().find(|name| !found.contains(*name));
    Ok(different.or_else(|| missing().map(|name| format!("`{}` is missing", name.display()))))
}

fn modified(metadata: &std::fs::Metadata) -> Result<u64> {
    let since = metadata.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}

fn hash(path: &Path) -> Result<String> {
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(File::open(path)?)?;
    Ok(hasher.finalize().to_hex().to_string())
}

/// Brings the names of everything below `folder` to the disk, and of files for which `chosen` holds the contents.
pub(crate) fn sync(folder: &Path, chosen: &dyn Fn(&Path) -> bool) -> Result<()> {
    walk(folder, &mut |path, metadata| {
        if !metadata.is_dir() && !chosen(path) {
            return Ok(());
        }
        match File::open(path) {
            Ok(file) => file.sync_all(),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    })?;
    File::open(folder)?.sync_all()
}

/// Bytes of disk that `folder` takes; 0 where it is not there.
pub(crate) fn disk_bytes(folder: &Path) -> Result<u64> {
    let mut total = 0;
    walk(folder, &mut |_, metadata| {
        total += taken(metadata);
        Ok(())
    })?;
    Ok(total)
}

/// Bytes of disk; files that are mapped into memory have holes.
#[cfg(unix)]
fn taken(metadata: &std::fs::Metadata) -> u64 {
    512 * std::os::unix::fs::MetadataExt::blocks(metadata)
}

#[cfg(not(unix))]
fn taken(metadata: &std::fs::Metadata) -> u64 {
    metadata.len()
}

/// Visits everything below `folder`; what disappears meanwhile is left out.
fn walk(folder: &Path, visit: &mut dyn FnMut(&Path, &std::fs::Metadata) -> Result<()>) -> Result<()> {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let metadata = match entry.metadata() {
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            metadata => metadata?,
        };
        let path = entry.path();
        if metadata.is_dir() {
            walk(&path, visit)?;
        }
        visit(&path, &metadata)?;
    }
    Ok(())
}

/// Writes a file so that it is there, whole, when this returns, or not at all.
pub(crate) fn write_through(path: &Path, bytes: &[u8]) -> Result<()> {
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

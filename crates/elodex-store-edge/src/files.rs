//! Files of a folder and of the folders in it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{ErrorKind, Result, Write as _};
use std::path::{Path, PathBuf};

/// Lengths in bytes by path below the folder.
pub(crate) type Sizes = BTreeMap<PathBuf, u64>;

/// The files below `folder`.
pub(crate) fn sizes(folder: &Path) -> Result<Sizes> {
    let mut sizes = Sizes::new();
    walk(folder, &mut |path, metadata| {
        if !metadata.is_dir()
            && let Ok(path) = path.strip_prefix(folder)
        {
            sizes.insert(path.to_owned(), metadata.len());
        }
        Ok(())
    })?;
    Ok(sizes)
}

/// The first difference, in words.
pub(crate) fn difference(expected: &Sizes, found: &Sizes) -> Option<String> {
    for (path, size) in expected {
        match found.get(path) {
            Some(found) if found == size => {}
            Some(found) => {
                return Some(format!("`{}` has {found} bytes instead of {size}", path.display()));
            }
            None => return Some(format!("`{}` is missing", path.display())),
        }
    }
    found
        .keys()
        .find(|path| !expected.contains_key(*path))
        .map(|path| format!("`{}` is not one of its files", path.display()))
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

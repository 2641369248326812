//! Reading small files of a model directory: never more than a cap, never outside the directory.

use crate::{Error, ErrorKind, Result};
use serde::de::DeserializeOwned;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

/// Cap on configuration files and the model card.
pub(crate) const MAX_CONFIG_BYTES: u64 = 4 << 20;
/// Cap on `tokenizer.json`; the largest published are about 35 MB.
pub(crate) const MAX_TOKENIZER_BYTES: u64 = 256 << 20;

/// The bytes of a file that has at most `cap`.
pub(crate) fn bytes(path: &Path, cap: u64) -> Result<Vec<u8>> {
    let file = File::open(path).map_err(|error| failed(path, error))?;
    let mut bytes = Vec::new();
    // One byte past the cap tells a file that grew, or a device that never ends, from one that fits.
    file.take(cap + 1).read_to_end(&mut bytes).map_err(|error| failed(path, error))?;
    if bytes.len() as u64 > cap {
        let message = format!("`{}` is larger than {cap} bytes; no model needs that", path.display());
        return Err(Error::new(ErrorKind::Corrupt, message));
    }
    Ok(bytes)
}

/// A JSON file.
pub(crate) fn json<T: DeserializeOwned>(path: &Path, cap: u64) -> Result<T> {
    serde_json::from_slice(&bytes(path, cap)?).map_err(|error| {
        Error::new(ErrorKind::Corrupt, format!("`{}` is not the JSON it should be", path.display()))
            .caused_by(error)
    })
}

/// A JSON file that may be absent.
pub(crate) fn optional_json<T: DeserializeOwned>(path: &Path, cap: u64) -> Result<Option<T>> {
    if path.is_file() { json(path, cap).map(Some) } else { Ok(None) }
}

/// `dir/relative`, refused where it would leave `dir`. `named_in` is the file that names it.
pub(crate) fn inside(dir: &Path, relative: &str, named_in: &Path) -> Result<PathBuf> {
    let safe =
        Path::new(relative).components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    if !safe || relative.contains(['\\', '\0']) {
        return Err(Error::new(
            ErrorKind::Corrupt,
            format!(
                "`{}` names the path `{relative}`, which leads out of the model's directory",
                named_in.display()
            ),
        ));
    }
    Ok(dir.join(relative))
}

/// The error of a file that cannot be read.
pub(crate) fn failed(path: &Path, error: io::Error) -> Error {
    let kind = if error.kind() == io::ErrorKind::NotFound { ErrorKind::NotFound } else { ErrorKind::Io };
    Error::new(kind, format!("cannot read `{}`", path.display())).caused_by(error)
}

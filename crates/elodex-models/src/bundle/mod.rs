//! Models whose weights were rounded to 8-bit integers before, as directories.
//!
//! A bundle is a model directory with one more file, `elodex.json`: what it is made of, a hash of every file, and what
//! a few texts gave when it was written. Its `model.safetensors` holds the layers' matrices and the token table as
//! [`Loader`](crate::arch::Loader) describes them, the rows of that table that give a score as f32 beside it, and every
//! other tensor as the source has it. [`write()`] makes one, [`unpack()`] undoes it;
//! [`ModelFiles::open`] finds the manifest and takes id and precision from it; loading compares hashes and texts.
//!
//! The integers of a bundle without calibration are those that the source has when it is loaded with
//! [`Precision::Int8`](crate::Precision::Int8), so both give the same bits.

mod contents;
mod manifest;
mod partial;
mod reference;
mod tensors;
mod unpack;
mod writer;

pub use contents::listed;
pub use manifest::{MANIFEST, Manifest, Method, Source};
pub use reference::{Reference, ReferencePair, ReferenceText};
pub use unpack::unpack;
pub use writer::{check, write};

pub(crate) use reference::{check_embedder, check_reranker};

use crate::files::{ModelFiles, read};
use crate::weights::WeightStore;
use crate::{Error, ErrorKind, Result};
use std::fs::File;

/// Refuses a bundle that is not as it was written, before anything of it is used, and a precision that it does not
/// have. The weights are left to [`weights_digest`].
pub(crate) fn check_files(files: &ModelFiles) -> Result<()> {
    let Some(manifest) = &files.bundle else {
        return Ok(());
    };
    if files.precision != manifest.precision {
        return Err(Error::new(
            ErrorKind::Request,
            format!(
                "`{}` holds `{}` in {} and nothing of it can be had in {}; load `{}` instead, or leave the precision to \
                 the files",
                files.dir.display(),
                manifest.id,
                manifest.precision,
                files.precision,
                manifest.source.id
            ),
        ));
    }
    let weights = contents::weights_path(files);
    if !manifest.files.contains_key(&weights) {
        return Err(manifest.corrupt(files, &format!("it does not list `{weights}`")));
    }
    for (name, expected) in manifest.files.iter().filter(|(name, _)| **name != weights) {
        let path = read::inside(&files.dir, name, &files.dir.join(MANIFEST))?;
        let mut hasher = blake3::Hasher::new();
        let read = File::open(&path).and_then(|file| hasher.update_reader(file).map(drop));
        read.map_err(|error| manifest.corrupt(files, &format!("`{name}` cannot be read")).caused_by(error))?;
        manifest.compare(files, name, expected, hasher.finalize())?;
    }
    Ok(())
}

/// What identifies the transformer's weights: of a bundle the hash of their file, which must be the one recorded, of any
/// other directory that of the tensors. The bytes are read once.
pub(crate) fn weights_digest(files: &ModelFiles, store: &WeightStore) -> Result<[u8; 32]> {
    let Some(manifest) = &files.bundle else {
        return Ok(store.digest());
    };
    let name = contents::weights_path(files);
    match (store.file_hashes().as_slice(), manifest.files.get(&name)) {
        ([(path, found)], Some(expected)) if *path == files.dir.join(&name) => {
            manifest.compare(files, &name, expected, *found)?;
            Ok(*found.as_bytes())
        }
        _ => Err(manifest.corrupt(files, &format!("its weights are not in `{name}` alone"))),
    }
}

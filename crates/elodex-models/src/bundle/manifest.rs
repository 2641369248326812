//! `elodex.json`.

use super::Reference;
use crate::files::{ModelFiles, read};
use crate::{Error, ErrorKind, Precision, Result};
use elodex_types::SpaceFingerprint;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::BTreeMap;
use std::path::Path;

/// Name of the manifest, at the root of a bundle.
pub const MANIFEST: &str = "elodex.json";

/// The format this release writes, and the newest one it reads.
pub(super) const FORMAT: u32 = 1;

/// What a bundle says of itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Of this file and the tensors' layout.
    pub format: u32,
    /// Repository id, by which the table of models knows prompts and templates.
    pub id: String,
    /// Numbers of the layers and the token table.
    #[serde(serialize_with = "precision_name", deserialize_with = "named_precision")]
    pub precision: Precision,
    /// Consecutive inputs that share a scale of the weights; `None`: all.
    pub group: Option<usize>,
    /// How it was rounded.
    pub method: Method,
    /// The model card's licence.
    pub licence: Option<String>,
    /// Number of weights of the source.
    pub parameters: u64,
    /// What it was made from.
    pub source: Source,
    /// Of an embedder: of its widest vectors. Of a reranker: of its scores.
    pub fingerprint: SpaceFingerprint,
    /// blake3 of every other file, in hexadecimal digits, by path.
    pub files: BTreeMap<String, String>,
    /// Inputs and what they gave.
    pub reference: Reference,
}

/// How weights were rounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// As they are; inputs are rounded by the range they have.
    Dynamic,
    /// Scaled by what a calibration saw of their inputs, see [`InputRanges`](crate::InputRanges).
    Calibrated,
}

impl Method {
    /// Its name in the manifest.
    pub fn name(self) -> &'static str {
        match self {
            Method::Dynamic => "dynamic",
            Method::Calibrated => "calibrated",
        }
    }
}

/// What a bundle was made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// Repository id or directory name.
    pub id: String,
    /// blake3 over its tensors, in hexadecimal digits, whatever files they were in.
    pub digest: String,
}

impl Manifest {
    /// That of a directory; `None` if it is no bundle.
    pub(crate) fn read(dir: &Path) -> Result<Option<Self>> {
        #[derive(Deserialize)]
        struct Format {
            format: u32,
        }
        let path = dir.join(MANIFEST);
        if !path.is_file() {
            return Ok(None);
        }
        let Format { format } = read::json(&path, read::MAX_CONFIG_BYTES)?;
        if format > FORMAT {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!(
                    "`{}` has format {format}, and this release reads formats up to {FORMAT}; use the release that wrote \
                     it, or quantise the model again with this one",
                    path.display()
                ),
            ));
        }
        read::json(&path, read::MAX_CONFIG_BYTES).map(Some)
    }

    /// Refuses a file that has another hash.
    pub(super) fn compare(
        &self,
        files: &ModelFiles,
        name: &str,
        expected: &str,
        found: blake3::Hash,
    ) -> Result<()> {
        if found.to_hex().as_str() == expected {
            return Ok(());
        }
        Err(self
            .corrupt(files, &format!("`{name}` has the blake3 hash {found} where {expected} is recorded")))
    }

    /// The error of a bundle that is not what its manifest says.
    pub(super) fn corrupt(&self, files: &ModelFiles, reason: &str) -> Error {
        Error::new(
            ErrorKind::Corrupt,
            format!(
                "the bundle `{}` is not as it was written: {reason}; copy it again, or quantise `{}` again",
                files.dir.display(),
                self.source.id
            ),
        )
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn precision_name<S: Serializer>(
    precision: &Precision,
    serializer: S,
) -> std::result::Result<S::Ok, S::Error> {
    serializer.serialize_str(precision.name())
}

fn named_precision<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Precision, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
}

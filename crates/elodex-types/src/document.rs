//! Documents as callers describe them: metadata, where their indexing stands, and the ids of their chunks.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// What the name of a list attribute starts with.
pub const LIST_PREFIX: &str = "list:";

/// Bytes that [`validate_metadata`] allows for metadata written as JSON without white space.
pub const METADATA_BYTES: usize = 65_535;

/// One attribute's value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum MetadataValue {
    /// Of a plain attribute.
    Text(String),
    /// Of an attribute whose name starts with [`LIST_PREFIX`].
    List(Vec<String>),
}

/// Attributes of a document by name.
pub type Metadata = BTreeMap<String, MetadataValue>;

/// Checks names (letters, digits, `-` and `_`, behind an optional [`LIST_PREFIX`]), that lists and only lists have the
/// prefix, and the size.
///
/// # Errors
/// A message that names the attribute and the way out.
pub fn validate_metadata(metadata: &Metadata) -> Result<(), String> {
    // Braces; per attribute quotes, colon and comma.
    let mut bytes = 2;
    for (name, value) in metadata {
        validate_attribute(name)?;
        bytes += name.len() + 4;
        match value {
            MetadataValue::Text(text) if name.starts_with(LIST_PREFIX) => {
                return Err(format!(
                    "attribute `{name}` must hold a list of strings, not the string `{text:.40}`"
                ));
            }
            MetadataValue::Text(text) => bytes += escaped_bytes(text),
            MetadataValue::List(_) if !name.starts_with(LIST_PREFIX) => {
                return Err(format!("attribute `{name}` holds a list: name it `{LIST_PREFIX}{name}`"));
            }
            MetadataValue::List(items) => {
                bytes += 2 + items.iter().map(|item| escaped_bytes(item) + 1).sum::<usize>();
            }
        }
    }
    if bytes > METADATA_BYTES {
        return Err(format!(
            "metadata has about {bytes} bytes as json, at most {METADATA_BYTES} are allowed"
        ));
    }
    Ok(())
}

/// Checks one attribute's name.
///
/// # Errors
/// A message that names it.
pub fn validate_attribute(name: &str) -> Result<(), String> {
    let plain = name.strip_prefix(LIST_PREFIX).unwrap_or(name);
    if plain.is_empty() || !plain.chars().all(|c| c.is_alphanumeric() || c == '-' || c == '_') {
        return Err(format!(
            "attribute name `{name:.60}` is not made of letters, digits, `-` and `_` (behind `{LIST_PREFIX}` for lists)"
        ));
    }
    Ok(())
}

/// Bytes of a JSON string, with its quotes.
fn escaped_bytes(text: &str) -> usize {
    let escapes: usize = text
        .bytes()
        .map(|byte| match byte {
            b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 0x08 | 0x0c => 1,
            0..0x20 => 5,
            _ => 0,
        })
        .sum();
    text.len() + escapes + 2
}

/// Where a document's indexing stands. The names are ZeroEntropy's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IndexStatus {
    /// Accepted, not looked at.
    NotParsed,
    /// Its text is being extracted.
    Parsing,
    /// Its text is known, not yet searchable.
    NotIndexed,
    /// Being embedded and indexed.
    Indexing,
    /// Searchable.
    Indexed,
    /// Its text could not be extracted; the reason is kept.
    ParsingFailed,
    /// It could not be embedded or indexed; the reason is kept.
    IndexingFailed,
}

impl IndexStatus {
    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotParsed => "not_parsed",
            Self::Parsing => "parsing",
            Self::NotIndexed => "not_indexed",
            Self::Indexing => "indexing",
            Self::Indexed => "indexed",
            Self::ParsingFailed => "parsing_failed",
            Self::IndexingFailed => "indexing_failed",
        }
    }

    /// Whether ingestion has still to act on it.
    pub fn is_pending(self) -> bool {
        matches!(self, Self::NotParsed | Self::Parsing | Self::NotIndexed | Self::Indexing)
    }
}

impl fmt::Display for IndexStatus {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// One version of one document, numbered in the order of acceptance over all collections. Never used twice, and what a
/// revision's chunks are never changes: replacing a document makes a new revision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Revision(pub u64);

impl fmt::Display for Revision {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// A chunk of a revision: the point id in every index. Derived, so writing the same chunk twice is one point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ChunkId(u64);

impl ChunkId {
    /// Chunks one document may have.
    pub const MAX_CHUNKS: u32 = 1 << 20;

    /// The id of chunk `ordinal` (less than [`Self::MAX_CHUNKS`]) of `revision` (less than 2⁴³, so that the id is a
    /// positive 64-bit integer in every store); `None` beyond either.
    pub fn new(revision: Revision, ordinal: u32) -> Option<Self> {
        (ordinal < Self::MAX_CHUNKS && revision.0 < 1 << 43)
            .then(|| Self(revision.0 << 20 | u64::from(ordinal)))
    }

    /// Reads a point id back.
    pub fn from_raw(id: u64) -> Self {
        Self(id)
    }

    /// The point id.
    pub fn as_raw(self) -> u64 {
        self.0
    }

    /// Whose chunk it is.
    pub fn revision(self) -> Revision {
        Revision(self.0 >> 20)
    }

    /// Its position in the document, from 0.
    pub fn ordinal(self) -> u32 {
        // 20 bits fit.
        (self.0 & u64::from(Self::MAX_CHUNKS - 1)) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata(pairs: &[(&str, MetadataValue)]) -> Metadata {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
    }

    #[test]
    fn lists_and_only_lists_have_the_prefix() {
        let text = MetadataValue::Text("a".into());
        let list = MetadataValue::List(vec!["a".into()]);
        assert!(validate_metadata(&metadata(&[("lang", text.clone()), ("list:tags", list.clone())])).is_ok());
        assert!(validate_metadata(&metadata(&[("list:tags", text.clone())])).is_err());
        assert!(validate_metadata(&metadata(&[("tags", list)])).unwrap_err().contains("list:tags"));
        assert!(validate_metadata(&metadata(&[("a b", text)])).is_err());
    }

    #[test]
    fn the_size_is_that_of_json_without_white_space() {
        let of = |length: usize| metadata(&[("a", MetadataValue::Text("x".repeat(length)))]);
        // {"a":"…"}: eight bytes around the value; a comma is counted though only one attribute is there.
        assert!(validate_metadata(&of(METADATA_BYTES - 9)).is_ok());
        assert!(validate_metadata(&of(METADATA_BYTES - 8)).is_err());
    }

    #[test]
    fn a_chunk_id_holds_its_parts() {
        let id = ChunkId::new(Revision(12_345), 678).unwrap();
        assert_eq!((id.revision(), id.ordinal()), (Revision(12_345), 678));
        assert_eq!(ChunkId::from_raw(id.as_raw()), id);
        assert!(ChunkId::new(Revision(1), ChunkId::MAX_CHUNKS).is_none());
        assert!(ChunkId::new(Revision(1 << 43), 0).is_none());
    }
}

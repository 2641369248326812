//! What rows hold: MessagePack with names, so that fields can be added.

use super::trouble::{Result, Trouble};
use crate::{Chunk, CollectionId, Counts, Document, ParsedInfo, Passage};
use elodex_types::{IndexStatus, Metadata, Revision};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::ops::Range;
use std::time::{Duration, SystemTime};
use uuid::Uuid;

/// Writes a row.
pub(super) fn encode<T: Serialize>(row: &T) -> Result<Vec<u8>> {
    rmp_serde::to_vec_named(row)
        .map_err(|error| Trouble::Corrupt(format!("a row cannot be written: {error}")))
}

/// Reads a row.
pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    rmp_serde::from_slice(bytes).map_err(|error| Trouble::Corrupt(format!("a row cannot be read: {error}")))
}

/// A revision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct DocumentRow {
    pub(super) id: Uuid,
    pub(super) collection: u32,
    pub(super) path: String,
    pub(super) metadata: Metadata,
    pub(super) status: IndexStatus,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) failure: Option<String>,
    /// Microseconds since 1970.
    pub(super) created: u64,
    pub(super) updated: u64,
    pub(super) size: u64,
    pub(super) source: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) parsed: Option<ParsedInfo>,
    #[serde(default)]
    pub(super) live: bool,
    /// Whether the log told the index to add its chunks, so that it must be told when they go.
    #[serde(default)]
    pub(super) added: bool,
}

impl DocumentRow {
    /// As callers see it.
    pub(super) fn into_document(self, revision: u64) -> Document {
        Document {
            revision: Revision(revision),
            id: self.id,
            collection: CollectionId(self.collection),
            path: self.path,
            metadata: self.metadata,
            status: self.status,
            failure: self.failure,
            created: from_micros(self.created),
            updated: from_micros(self.updated),
            size: self.size,
            source: Revision(self.source),
            parsed: self.parsed,
            live: self.live,
        }
    }

    /// Its chunks, where it is parsed.
    pub(super) fn chunks(&self) -> u32 {
        self.parsed.as_ref().map_or(0, |parsed| parsed.chunks)
    }
}

/// How content was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Form {
    Text,
    Pages,
    ContinuousPages,
    File,
}

/// What revisions share.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct SourceRow {
    /// Revisions that have it; at 0 it is an orphan.
    pub(super) references: u32,
    /// BLAKE3 of form and content.
    #[serde(with = "serde_bytes")]
    pub(super) hash: [u8; 32],
    pub(super) form: Form,
    /// Bytes of the content in pieces, the lengths of pages in front included.
    pub(super) stored: u64,
    /// Pages as sent.
    #[serde(default)]
    pub(super) sent_pages: u32,
    /// What parsing stored; `None` until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) parsed: Option<ParsedSource>,
    /// Components of a vector, once some are stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) width: Option<u32>,
    /// Chunks whose vectors are stored: the first ones.
    #[serde(default)]
    pub(super) embedded: u32,
}

impl SourceRow {
    /// Components of a vector, once all vectors are stored.
    pub(super) fn complete_width(&self) -> Option<u32> {
        let chunks = self.parsed.map(|parsed| parsed.chunks);
        self.width.filter(|_| chunks == Some(self.embedded))
    }
}

/// Sizes of what parsing stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ParsedSource {
    pub(super) text: u64,
    pub(super) pages: u32,
    pub(super) chunks: u32,
}

/// A chunk. Passages are counted from the chunk's start and have no names: there are many.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ChunkRow {
    bytes: (u64, u64),
    chars: (u64, u64),
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pages: Option<(u32, u32)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    headings: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    passages: Vec<(i64, i64, i64, i64)>,
}

impl ChunkRow {
    pub(super) fn of(chunk: Chunk) -> Self {
        let (bytes, chars) = (pair(&chunk.bytes), pair(&chunk.chars));
        let from = |start: u64, at: usize| (at as u64).wrapping_sub(start) as i64;
        let passages = chunk.passages.iter().map(|passage| {
            (
                from(bytes.0, passage.bytes.start),
                from(bytes.0, passage.bytes.end),
                from(chars.0, passage.chars.start),
                from(chars.0, passage.chars.end),
            )
        });
        Self {
            bytes,
            chars,
            pages: chunk.pages.as_ref().map(|pages| (pages.start, pages.end)),
            passages: passages.collect(),
            headings: chunk.headings,
        }
    }

    pub(super) fn into_chunk(self) -> Chunk {
        let at = |start: u64, offset: i64| start.wrapping_add(offset as u64) as usize;
        let passages = self.passages.iter().map(|&(first, last, first_char, last_char)| Passage {
            bytes: at(self.bytes.0, first)..at(self.bytes.0, last),
            chars: at(self.chars.0, first_char)..at(self.chars.0, last_char),
        });
        Chunk {
            bytes: range(self.bytes),
            chars: range(self.chars),
            pages: self.pages.map(|(start, end)| start..end),
            passages: passages.collect(),
            headings: self.headings,
        }
    }
}

/// A range as a row holds it.
pub(super) fn pair(range: &Range<usize>) -> (u64, u64) {
    (range.start as u64, range.end as u64)
}

/// A range from a row.
pub(super) fn range((start, end): (u64, u64)) -> Range<usize> {
    start as usize..end as usize
}

/// Counters of a collection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Tally {
    #[serde(flatten)]
    pub(super) counts: Counts,
    /// Of the newest log entry; 0 before the first. Never goes back, whatever is trimmed.
    pub(super) sequence: u64,
}

impl Tally {
    /// The counter that a status belongs to.
    pub(super) fn of_status(&mut self, status: IndexStatus) -> &mut u64 {
        match status {
            IndexStatus::NotParsed | IndexStatus::Parsing => &mut self.counts.parsing,
            IndexStatus::NotIndexed | IndexStatus::Indexing => &mut self.counts.indexing,
            IndexStatus::Indexed => &mut self.counts.indexed,
            IndexStatus::ParsingFailed | IndexStatus::IndexingFailed => &mut self.counts.failed,
        }
    }
}

/// Now, as rows hold it.
pub(super) fn now_micros() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    since.as_secs() * 1_000_000 + u64::from(since.subsec_micros())
}

/// A time from a row.
pub(super) fn from_micros(micros: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_micros(micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_comes_back_as_it_was() {
        let chunk = Chunk {
            bytes: 1_000..1_900,
            chars: 900..1_700,
            pages: Some(3..5),
            headings: vec!["Ä".into(), "b".into()],
            passages: vec![
                Passage { bytes: 1_000..1_200, chars: 900..1_080 },
                // Not inside the chunk: still kept as it is.
                Passage { bytes: 10..20, chars: 9..18 },
            ],
        };
        let bytes = encode(&ChunkRow::of(chunk.clone())).unwrap();
        assert_eq!(decode::<ChunkRow>(&bytes).unwrap().into_chunk(), chunk);
    }

    #[test]
    fn an_unknown_field_of_a_row_is_passed_over() {
        #[derive(Serialize)]
        struct Later {
            counts: u8,
            sequence: u64,
            parsing: u64,
            indexing: u64,
            indexed: u64,
            failed: u64,
            indexed_bytes: u64,
            chunks: u64,
            terms: u64,
        }
        let later = Later {
            counts: 1,
            sequence: 7,
            parsing: 1,
            indexing: 2,
            indexed: 3,
            failed: 4,
            indexed_bytes: 5,
            chunks: 6,
            terms: 8,
        };
        let tally: Tally = decode(&encode(&later).unwrap()).unwrap();
        assert_eq!((tally.sequence, tally.counts.terms), (7, 8));
    }
}

//! The tables of the file.

use super::trouble::Result;
use redb::{ReadableTable, Table, TableDefinition, WriteTransaction};

/// Version of everything below. Raise it when an older program must not open the file.
pub(super) const FORMAT: u64 = 1;

/// A row of something that belongs to a source, in pieces: source and number of the piece.
pub(super) type PieceKey = (u64, u32);

macro_rules! tables {
    ($($(#[$doc:meta])* $field:ident, $constant:ident: $key:ty => $value:ty;)*) => {
        $($(#[$doc])* pub(super) const $constant: TableDefinition<'static, $key, $value> =
            TableDefinition::new(stringify!($field));)*

        /// Every table, open in a write transaction.
        pub(super) struct Tables<'t> {
            $($(#[$doc])* pub(super) $field: Table<'t, $key, $value>,)*
        }

        impl<'t> Tables<'t> {
            /// Opens all, making those that are missing.
            pub(super) fn open(transaction: &'t WriteTransaction) -> Result<Self> {
                Ok(Self { $($field: transaction.open_table($constant)?,)* })
            }
        }

        /// Calls `$visit!(field, CONSTANT, key, value)` for every table.
        macro_rules! for_each_table {
            ($visit:ident) => { $($visit!($field, $constant, $key, $value);)* };
        }
        pub(super) use for_each_table;
    };
}

tables! {
    /// `format`, `id`, `secret`, `next_revision`, `next_collection`.
    meta, META: &'static str => &'static [u8];
    /// Collections there are; a deleted one is gone from here at once.
    collections, COLLECTIONS: u32 => &'static [u8];
    /// Their names.
    names, NAMES: &'static str => u32;
    /// Counters of each collection.
    tallies, TALLIES: u32 => &'static [u8];
    /// Collections that were deleted and whose rows are not all gone yet.
    doomed, DOOMED: u32 => ();
    /// Newest revision by collection and path.
    current, CURRENT: (u32, &'static str) => u64;
    /// Live revision by collection and path.
    live, LIVE: (u32, &'static str) => u64;
    /// Revisions that are current or live.
    documents, DOCUMENTS: u64 => &'static [u8];
    /// Revisions that ingestion has to act on, with their collection.
    pending, PENDING: u64 => u32;
    /// What revisions share: numbers of content, text, chunks and vectors.
    sources, SOURCES: u64 => &'static [u8];
    /// Sources that no revision has any more and whose rows are not all gone yet.
    orphans, ORPHANS: u64 => ();
    /// Content as sent.
    content, CONTENT: PieceKey => &'static [u8];
    /// Text as extracted.
    text, TEXT: PieceKey => &'static [u8];
    /// Ranges of pages, many a row.
    pages, PAGES: PieceKey => &'static [u8];
    /// Chunks by ordinal.
    chunks, CHUNKS: PieceKey => &'static [u8];
    /// Vectors, many a row, little-endian f32.
    vectors, VECTORS: PieceKey => &'static [u8];
    /// Live documents by collection, attribute and value.
    values, VALUES: (u32, &'static str, &'static str) => u64;
    /// Live documents by collection and language.
    languages, LANGUAGES: (u32, &'static str) => u64;
    /// The index log by collection and sequence.
    log, LOG: (u32, u64) => &'static [u8];
    /// Count and bytes by kind, minute and subject.
    usage, USAGE: (u8, u64, &'static str) => (u64, u64);
}

/// Reads a number from [`META`].
pub(super) fn meta_number(
    table: &impl ReadableTable<&'static str, &'static [u8]>,
    name: &str,
) -> Result<u64> {
    let value = table.get(name)?.ok_or_else(|| super::corrupt(format!("`{name}` is missing")))?;
    let bytes = value.value().try_into().map_err(|_| super::corrupt(format!("`{name}` is not a number")))?;
    Ok(u64::from_le_bytes(bytes))
}

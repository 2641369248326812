//! What revisions share: content and text in pieces, pages, chunks and vectors, written once and read in part.
//!
//! The database gives a value room in powers of two, so pieces stay a little below one: a value of exactly 1 MiB would
//! take two.

use super::corrupt;
use super::rows::{ChunkRow, Form, SourceRow, decode, encode, pair, range};
use super::tables::PieceKey;
use super::trouble::Result;
use crate::Chunk;
use elodex_types::Content;
use redb::{ReadableTable, Table};
use std::ops::Range;

/// Bytes left free below a power of two for what the database writes around a value.
const MARGIN: usize = 256;
/// Bytes of content in a piece.
pub(super) const CONTENT_PIECE: usize = (1 << 20) - MARGIN;
/// Bytes of text in a piece.
pub(super) const TEXT_PIECE: usize = (64 << 10) - MARGIN;
/// Bytes of vectors in a block.
const VECTOR_BLOCK: usize = (256 << 10) - MARGIN;
/// Pages in a row.
pub(super) const PAGES: usize = 1024;

type Rows = &'static [u8];

/// Hash of a content and how it was sent.
pub(super) fn hash(content: &Content) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    match content {
        Content::Text(text) => hasher.update(b"t").update(text.as_bytes()),
        Content::File(bytes) => hasher.update(b"f").update(bytes),
        Content::Pages { pages, continuous } => {
            hasher.update(if *continuous { b"c" } else { b"p" });
            for page in pages {
                hasher.update(&(page.len() as u64).to_le_bytes()).update(page.as_bytes());
            }
            &mut hasher
        }
    };
    *hasher.finalize().as_bytes()
}

/// Cuts what is written into pieces of a table.
struct Pieces<'a, 't> {
    table: &'a mut Table<'t, PieceKey, Rows>,
    source: u64,
    size: usize,
    buffer: Vec<u8>,
    next: u32,
    written: u64,
}

impl Pieces<'_, '_> {
    fn write(&mut self, mut bytes: &[u8]) -> Result<()> {
        self.written += bytes.len() as u64;
        while self.buffer.len() + bytes.len() >= self.size {
            let (now, later) = bytes.split_at(self.size - self.buffer.len());
            if self.buffer.is_empty() {
                self.table.insert((self.source, self.next), now)?;
            } else {
                self.buffer.extend_from_slice(now);
                self.table.insert((self.source, self.next), self.buffer.as_slice())?;
                self.buffer.clear();
            }
            self.next += 1;
            bytes = later;
        }
        self.buffer.extend_from_slice(bytes);
        Ok(())
    }

    fn finish(self) -> Result<u64> {
        if !self.buffer.is_empty() {
            self.table.insert((self.source, self.next), self.buffer.as_slice())?;
        }
        Ok(self.written)
    }
}

fn pieces<'a, 't>(table: &'a mut Table<'t, PieceKey, Rows>, source: u64, size: usize) -> Pieces<'a, 't> {
    Pieces { table, source, size, buffer: Vec::new(), next: 0, written: 0 }
}

/// Stores content and returns the row of its source, with one reference.
pub(super) fn store_content(
    table: &mut Table<'_, PieceKey, Rows>,
    source: u64,
    content: &Content,
    hash: [u8; 32],
) -> Result<SourceRow> {
    let mut pieces = pieces(table, source, CONTENT_PIECE);
    let mut sent_pages = 0;
    let form = match content {
        Content::Text(text) => {
            pieces.write(text.as_bytes())?;
            Form::Text
        }
        Content::File(bytes) => {
            pieces.write(bytes)?;
            Form::File
        }
        Content::Pages { pages, continuous } => {
            sent_pages = pages.len() as u32;
            for page in pages {
                pieces.write(&(page.len() as u64).to_le_bytes())?;
            }
            for page in pages {
                pieces.write(page.as_bytes())?;
            }
            if *continuous { Form::ContinuousPages } else { Form::Pages }
        }
    };
    let stored = pieces.finish()?;
    Ok(SourceRow { references: 1, hash, form, stored, sent_pages, parsed: None, width: None, embedded: 0 })
}

/// Reads content back.
pub(super) fn read_content(
    table: &impl ReadableTable<PieceKey, Rows>,
    source: u64,
    row: &SourceRow,
) -> Result<Content> {
    let bytes = read_pieces(table, source, CONTENT_PIECE, 0..row.stored)?;
    match row.form {
        Form::File => Ok(Content::File(bytes)),
        Form::Text => Ok(Content::Text(utf8(bytes)?)),
        Form::Pages | Form::ContinuousPages => {
            let torn = || corrupt(format!("the pages of source {source} do not add up"));
            let (lengths, mut rest) = bytes.split_at_checked(row.sent_pages as usize * 8).ok_or_else(torn)?;
            let (lengths, _) = lengths.as_chunks::<8>();
            let mut pages = Vec::with_capacity(lengths.len());
            for length in lengths {
                let length = u64::from_le_bytes(*length) as usize;
                let (page, later) = rest.split_at_checked(length).ok_or_else(torn)?;
                pages.push(utf8(page.to_vec())?);
                rest = later;
            }
            Ok(Content::Pages { pages, continuous: row.form == Form::ContinuousPages })
        }
    }
}

/// Stores a text.
pub(super) fn store_text(table: &mut Table<'_, PieceKey, Rows>, source: u64, text: &str) -> Result<()> {
    let mut pieces = pieces(table, source, TEXT_PIECE);
    pieces.write(text.as_bytes())?;
    pieces.finish()?;
    Ok(())
}

/// Reads bytes of a text; the range must lie in it.
pub(super) fn read_text(
    table: &impl ReadableTable<PieceKey, Rows>,
    source: u64,
    bytes: Range<usize>,
) -> Result<Vec<u8>> {
    read_pieces(table, source, TEXT_PIECE, bytes.start as u64..bytes.end as u64)
}

fn read_pieces(
    table: &impl ReadableTable<PieceKey, Rows>,
    source: u64,
    size: usize,
    bytes: Range<u64>,
) -> Result<Vec<u8>> {
    let mut read = Vec::with_capacity(bytes.end.saturating_sub(bytes.start) as usize);
    let mut at = bytes.start;
    while at < bytes.end {
        let piece = (at / size as u64) as u32;
        let from = (at % size as u64) as usize;
        let to = size.min(from + (bytes.end - at) as usize);
        let missing = || corrupt(format!("piece {piece} of source {source} is missing or short"));
        let row = table.get((source, piece))?.ok_or_else(missing)?;
        read.extend_from_slice(row.value().get(from..to).ok_or_else(missing)?);
        at += (to - from) as u64;
    }
    Ok(read)
}

fn utf8(bytes: Vec<u8>) -> Result<String> {
    String::from_utf8(bytes).map_err(|error| corrupt(format!("a text is not UTF-8: {error}")))
}

/// Stores where pages lie.
pub(super) fn store_pages(
    table: &mut Table<'_, PieceKey, Rows>,
    source: u64,
    pages: &[Range<usize>],
) -> Result<()> {
    for (block, pages) in (0..).zip(pages.chunks(PAGES)) {
        let pages: Vec<(u64, u64)> = pages.iter().map(pair).collect();
        table.insert((source, block), encode(&pages)?.as_slice())?;
    }
    Ok(())
}

/// Where a page lies.
pub(super) fn read_page(
    table: &impl ReadableTable<PieceKey, Rows>,
    source: u64,
    page: u32,
) -> Result<Range<usize>> {
    let missing = || corrupt(format!("page {page} of source {source} is missing"));
    let row = table.get((source, page / PAGES as u32))?.ok_or_else(missing)?;
    let pages: Vec<(u64, u64)> = decode(row.value())?;
    pages.get(page as usize % PAGES).map(|page| range(*page)).ok_or_else(missing)
}

/// Stores chunks.
pub(super) fn store_chunks(
    table: &mut Table<'_, PieceKey, Rows>,
    source: u64,
    chunks: Vec<Chunk>,
) -> Result<()> {
    for (ordinal, chunk) in (0..).zip(chunks) {
        table.insert((source, ordinal), encode(&ChunkRow::of(chunk))?.as_slice())?;
    }
    Ok(())
}

/// Reads a chunk.
pub(super) fn read_chunk(
    table: &impl ReadableTable<PieceKey, Rows>,
    source: u64,
    ordinal: u32,
) -> Result<Chunk> {
    let row = table
        .get((source, ordinal))?
        .ok_or_else(|| corrupt(format!("chunk {ordinal} of source {source} is missing")))?;
    Ok(decode::<ChunkRow>(row.value())?.into_chunk())
}

/// Vectors in a block.
fn rows_per_block(width: u32) -> usize {
    (VECTOR_BLOCK / (width as usize * 4).max(1)).max(1)
}

/// Stores the vectors of chunks from `first` on, row after row; those before it are stored.
pub(super) fn store_vectors(
    table: &mut Table<'_, PieceKey, Rows>,
    source: u64,
    width: u32,
    first: u32,
    vectors: &[f32],
) -> Result<()> {
    let (in_block, width) = (rows_per_block(width), width as usize);
    let (mut at, mut left) = (first as usize, vectors);
    while !left.is_empty() {
        let block = (at / in_block) as u32;
        let filled = at % in_block;
        let (now, later) = left.split_at(left.len().min((in_block - filled) * width));
        let mut bytes = Vec::with_capacity((filled * width + now.len()) * 4);
        if filled > 0 {
            let missing = || corrupt(format!("vectors {block} of source {source} are missing or short"));
            let begun = table.get((source, block))?.ok_or_else(missing)?;
            bytes.extend_from_slice(begun.value().get(..filled * width * 4).ok_or_else(missing)?);
        }
        bytes.extend(now.iter().flat_map(|component| component.to_le_bytes()));
        table.insert((source, block), bytes.as_slice())?;
        at += now.len() / width;
        left = later;
    }
    Ok(())
}

/// Reads the vectors of chunks; the range must lie within them.
pub(super) fn read_vectors(
    table: &impl ReadableTable<PieceKey, Rows>,
    source: u64,
    width: u32,
    chunks: Range<u32>,
) -> Result<Vec<f32>> {
    let in_block = rows_per_block(width);
    let mut read = Vec::with_capacity(chunks.len() * width as usize);
    let mut at = chunks.start as usize;
    while at < chunks.end as usize {
        let block = (at / in_block) as u32;
        let from = at % in_block;
        let to = in_block.min(from + chunks.end as usize - at);
        let missing = || corrupt(format!("vectors {block} of source {source} are missing or short"));
        let row = table.get((source, block))?.ok_or_else(missing)?;
        let row_bytes = width as usize * 4;
        let bytes = row.value().get(from * row_bytes..to * row_bytes).ok_or_else(missing)?;
        read.extend(bytes.as_chunks::<4>().0.iter().map(|component| f32::from_le_bytes(*component)));
        at += to - from;
    }
    Ok(read)
}

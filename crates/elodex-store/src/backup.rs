//! The backup file: one stream of checked frames. It holds rows by the names of their tables, independent of how a
//! backend stores them.
//!
//! ```text
//! file    = "ELODEXBK" version:u32 frame*
//! frame   = kind:u8 length:u32 payload hash:[u8; 32]
//! hash    = BLAKE3(number:u64 kind length payload), frames numbered from 0
//! kind 1  = table:string row*                    rows of a table, at most about 1 MiB
//! kind 2  = rows:u64 BLAKE3(hash*)               the end: rows and the hashes of all frames before
//! row     = key value, each a field or several
//! field   = u8 | u32 | u64 | string | bytes      numbers little-endian, strings and bytes behind a u32 length
//! ```
//!
//! Nothing follows the end. A file that is cut, changed or has frames in another order does not pass.

use crate::{Error, ErrorKind, Result};
use std::io::{ErrorKind as IoKind, Read, Write};

const MAGIC: &[u8; 8] = b"ELODEXBK";
const VERSION: u32 = 1;
const ROWS: u8 = 1;
const END: u8 = 2;

/// Bytes of rows gathered in a frame before it is written.
const GATHERED: usize = 1 << 20;

/// Bytes a frame may have: a bound on what a damaged length makes the reader take.
const LARGEST: usize = 256 << 20;

/// How far a backup is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackupProgress {
    /// Rows written or read.
    pub rows: u64,
    /// Rows in all, where that is known.
    pub total: Option<u64>,
    /// Bytes of the backup file.
    pub bytes: u64,
}

/// What a backup file holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupSummary {
    /// Rows of all tables.
    pub rows: u64,
    /// Bytes of the file.
    pub bytes: u64,
    /// BLAKE3 over its frames, in hexadecimal digits: two backups of the same state have the same.
    pub hash: String,
}

/// A value as rows of a backup hold it.
pub(crate) trait Field<'a>: Sized {
    /// Appends it.
    fn append(&self, out: &mut Vec<u8>);

    /// Takes it from the front; `None` where that is not one.
    fn take(from: &mut &'a [u8]) -> Option<Self>;
}

macro_rules! number_fields {
    ($($number:ty),*) => {
        $(impl Field<'_> for $number {
            fn append(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }

            fn take(from: &mut &[u8]) -> Option<Self> {
                let (bytes, rest) = from.split_first_chunk()?;
                *from = rest;
                Some(Self::from_le_bytes(*bytes))
            }
        })*
    };
}
number_fields!(u8, u32, u64);

impl Field<'_> for () {
    fn append(&self, _: &mut Vec<u8>) {}

    fn take(_: &mut &[u8]) -> Option<Self> {
        Some(())
    }
}

impl<'a> Field<'a> for &'a [u8] {
    fn append(&self, out: &mut Vec<u8>) {
        // A row of 4 GiB is refused by the database long before.
        (self.len() as u32).append(out);
        out.extend_from_slice(self);
    }

    fn take(from: &mut &'a [u8]) -> Option<Self> {
        let length = u32::take(from)? as usize;
        let (bytes, rest) = from.split_at_checked(length)?;
        *from = rest;
        Some(bytes)
    }
}

impl<'a> Field<'a> for &'a str {
    fn append(&self, out: &mut Vec<u8>) {
        self.as_bytes().append(out);
    }

    fn take(from: &mut &'a [u8]) -> Option<Self> {
        std::str::from_utf8(<&[u8] as Field>::take(from)?).ok()
    }
}

impl<'a, A: Field<'a>, B: Field<'a>> Field<'a> for (A, B) {
    fn append(&self, out: &mut Vec<u8>) {
        self.0.append(out);
        self.1.append(out);
    }

    fn take(from: &mut &'a [u8]) -> Option<Self> {
        Some((A::take(from)?, B::take(from)?))
    }
}

impl<'a, A: Field<'a>, B: Field<'a>, C: Field<'a>> Field<'a> for (A, B, C) {
    fn append(&self, out: &mut Vec<u8>) {
        self.0.append(out);
        self.1.append(out);
        self.2.append(out);
    }

    fn take(from: &mut &'a [u8]) -> Option<Self> {
        Some((A::take(from)?, B::take(from)?, C::take(from)?))
    }
}

/// Writes a backup file.
pub(crate) struct Writer<'o> {
    out: &'o mut dyn Write,
    total: u64,
    payload: Vec<u8>,
    /// Rows in `payload`; the table's name is in front of them.
    gathered: u64,
    frames: u64,
    rows: u64,
    bytes: u64,
    hashes: blake3::Hasher,
}

impl<'o> Writer<'o> {
    /// Begins a backup of `total` rows.
    pub(crate) fn new(out: &'o mut dyn Write, total: u64) -> Result<Self> {
        let mut writer = Self {
            out,
            total,
            payload: Vec::new(),
            gathered: 0,
            frames: 0,
            rows: 0,
            bytes: 0,
            hashes: blake3::Hasher::new(),
        };
        writer.put(MAGIC)?;
        writer.put(&VERSION.to_le_bytes())?;
        Ok(writer)
    }

    /// Rows of this table follow.
    pub(crate) fn table(&mut self, name: &str) -> Result<()> {
        self.flush()?;
        self.payload.clear();
        name.append(&mut self.payload);
        Ok(())
    }

    /// Writes a row; returns whether a frame was written with it.
    pub(crate) fn row<'a>(
        &mut self,
        name: &str,
        key: &impl Field<'a>,
        value: &impl Field<'a>,
    ) -> Result<bool> {
        key.append(&mut self.payload);
        value.append(&mut self.payload);
        self.gathered += 1;
        if self.payload.len() < GATHERED {
            return Ok(false);
        }
        self.table(name)?;
        Ok(true)
    }

    pub(crate) fn progress(&self) -> BackupProgress {
        BackupProgress { rows: self.rows, total: Some(self.total), bytes: self.bytes }
    }

    pub(crate) fn finish(mut self) -> Result<BackupSummary> {
        self.flush()?;
        self.payload.clear();
        self.rows.append(&mut self.payload);
        let hash = self.hashes.finalize();
        self.payload.extend_from_slice(hash.as_bytes());
        self.frame(END)?;
        self.out.flush().map_err(unwritable)?;
        Ok(BackupSummary { rows: self.rows, bytes: self.bytes, hash: hash.to_hex().to_string() })
    }

    fn flush(&mut self) -> Result<()> {
        if self.gathered == 0 {
            return Ok(());
        }
        self.rows += std::mem::take(&mut self.gathered);
        self.frame(ROWS)
    }

    fn frame(&mut self, kind: u8) -> Result<()> {
        if self.payload.len() > LARGEST {
            let message = format!("a row of {} bytes is beyond what a backup holds", self.payload.len());
            return Err(Error::new(ErrorKind::Bug, message));
        }
        let payload = std::mem::take(&mut self.payload);
        let hash = frame_hash(self.frames, kind, &payload);
        self.put(&[kind])?;
        self.put(&(payload.len() as u32).to_le_bytes())?;
        self.put(&payload)?;
        self.put(hash.as_bytes())?;
        self.hashes.update(hash.as_bytes());
        self.frames += 1;
        self.payload = payload;
        Ok(())
    }

    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.out.write_all(bytes).map_err(unwritable)?;
        self.bytes += bytes.len() as u64;
        Ok(())
    }
}

fn frame_hash(number: u64, kind: u8, payload: &[u8]) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&number.to_le_bytes()).update(&[kind]);
    hasher.update(&(payload.len() as u32).to_le_bytes()).update(payload);
    hasher.finalize()
}

fn unwritable(error: std::io::Error) -> Error {
    let kind = match error.kind() {
        IoKind::StorageFull | IoKind::QuotaExceeded => ErrorKind::Full,
        _ => ErrorKind::Backend,
    };
    Error::new(kind, "cannot write the backup").caused_by(error)
}

/// Reads a backup file, checking every frame before it is used.
pub(crate) struct Reader<'i> {
    input: &'i mut dyn Read,
    payload: Vec<u8>,
    frames: u64,
    rows: u64,
    bytes: u64,
    hashes: blake3::Hasher,
}

/// A checked frame.
pub(crate) enum Frame<'a> {
    /// A table's rows; [`Reader::count_rows`] counts them.
    Rows {
        /// The table.
        table: &'a str,
        /// Its rows.
        rows: &'a [u8],
    },
    /// The end: everything before is as it was written.
    End,
}

impl<'i> Reader<'i> {
    pub(crate) fn new(input: &'i mut dyn Read) -> Result<Self> {
        let mut reader =
            Self { input, payload: Vec::new(), frames: 0, rows: 0, bytes: 0, hashes: blake3::Hasher::new() };
        let magic: [u8; 8] = reader.take()?;
        if &magic != MAGIC {
            return Err(Error::new(ErrorKind::Invalid, "this is not a backup of elodex"));
        }
        let version = u32::from_le_bytes(reader.take()?);
        if version != VERSION {
            let message = format!(
                "the backup has version {version}, this program reads {VERSION}; restore it with the version that wrote \
                 it"
            );
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        Ok(reader)
    }

    /// The next frame.
    pub(crate) fn next(&mut self) -> Result<Frame<'_>> {
        let number = self.frames;
        let [kind] = self.take()?;
        let length = u32::from_le_bytes(self.take()?) as usize;
        if length > LARGEST {
            return Err(self.damaged(number));
        }
        // Not `vec![0; length]`: a damaged length takes no more memory than the file has bytes.
        let mut payload = std::mem::take(&mut self.payload);
        payload.clear();
        let read = (&mut *self.input).take(length as u64).read_to_end(&mut payload).map_err(unreadable)?;
        self.payload = payload;
        self.bytes += read as u64;
        if read < length {
            return Err(self.cut());
        }
        let stored: [u8; 32] = self.take()?;
        let hash = frame_hash(number, kind, &self.payload);
        if hash != stored {
            return Err(self.damaged(number));
        }
        self.frames += 1;
        match kind {
            ROWS => {
                self.hashes.update(hash.as_bytes());
                let mut rows = self.payload.as_slice();
                match <&str>::take(&mut rows) {
                    Some(table) => Ok(Frame::Rows { table, rows }),
                    None => Err(self.damaged(number)),
                }
            }
            END => self.end(number),
            _ => Err(self.damaged(number)),
        }
    }

    fn end(&mut self, number: u64) -> Result<Frame<'_>> {
        let mut rest = self.payload.as_slice();
        if u64::take(&mut rest) != Some(self.rows) || rest != self.hashes.finalize().as_bytes() {
            return Err(self.damaged(number));
        }
        if self.input.read(&mut [0]).map_err(unreadable)? != 0 {
            return Err(Error::new(
                ErrorKind::Corrupt,
                "something follows the end of the backup; take another one",
            ));
        }
        Ok(Frame::End)
    }

    /// So many rows of the frame were used.
    pub(crate) fn count_rows(&mut self, rows: u64) {
        self.rows += rows;
    }

    pub(crate) fn progress(&self) -> BackupProgress {
        BackupProgress { rows: self.rows, total: None, bytes: self.bytes }
    }

    /// What was read, after [`Frame::End`].
    pub(crate) fn summary(&self) -> BackupSummary {
        let hash = self.hashes.finalize().to_hex().to_string();
        BackupSummary { rows: self.rows, bytes: self.bytes, hash }
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut bytes = [0; N];
        self.input.read_exact(&mut bytes).map_err(|error| match error.kind() {
            IoKind::UnexpectedEof => self.cut(),
            _ => unreadable(error),
        })?;
        self.bytes += N as u64;
        Ok(bytes)
    }

    fn cut(&self) -> Error {
        let message = format!(
            "the backup ends after {} bytes, before its end mark: it was cut off; take another one",
            self.bytes
        );
        Error::new(ErrorKind::Corrupt, message)
    }

    /// The last frame has a good hash and no good rows.
    pub(crate) fn unknown_rows(&self) -> Error {
        self.damaged(self.frames.saturating_sub(1))
    }

    fn damaged(&self, number: u64) -> Error {
        let message = format!(
            "frame {number} of the backup, before byte {}, is not what was written; take another one",
            self.bytes
        );
        Error::new(ErrorKind::Corrupt, message)
    }
}

fn unreadable(error: std::io::Error) -> Error {
    Error::new(ErrorKind::Backend, "cannot read the backup").caused_by(error)
}

//! Backup and restore: all tables as rows of a backup file.

use super::opening::{FILE, Opened, begin_write};
use super::tables::{META, PieceKey, Tables, for_each_table};
use super::trouble::{Result as Inner, Trouble};
use super::{CatalogOptions, RedbCatalog};
use crate::backup::{BackupProgress, BackupSummary, Field, Frame, Reader, Writer};
use crate::{Error, ErrorKind, Result};
use redb::{
    Key, ReadTransaction, ReadableDatabase, ReadableTable, ReadableTableMetadata, Table, TableDefinition,
    Value,
};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

/// Bytes restored in one transaction, about.
const RESTORED: u64 = 64 << 20;

impl RedbCatalog {
    /// Writes a backup of the catalog as it is now, while others go on writing. The caller makes `out` durable.
    ///
    /// # Errors
    /// [`ErrorKind::Full`] and [`ErrorKind::Backend`] where `out` or the catalog's disk fails. What was written is no
    /// backup then: [`RedbCatalog::restore`] refuses it.
    pub fn backup(
        &self,
        out: &mut dyn Write,
        progress: &mut dyn FnMut(BackupProgress),
    ) -> Result<BackupSummary> {
        let transaction = self.told(self.opened.run(|database| Ok(database.begin_read()?)))?;
        let mut total = 0;
        macro_rules! count {
            ($field:ident, $constant:ident, $key:ty, $value:ty) => {
                total += self.told((|| Ok(transaction.open_table(super::tables::$constant)?.len()?))())?;
            };
        }
        for_each_table!(count);
        let mut writer = Writer::new(out, total)?;
        macro_rules! dump {
            ($field:ident, $constant:ident, $key:ty, $value:ty) => {
                let table = super::tables::$constant;
                self.told(dump(&transaction, table, &mut writer, progress))?;
            };
        }
        for_each_table!(dump);
        writer.finish()
    }

    /// Makes the data directory `directory` from a backup. It must not be there, or be empty: everything is written
    /// and checked beside it before it gets its name, so that a backup that is not whole leaves nothing behind.
    ///
    /// The restored catalog has an [id](crate::Catalog::id) of its own: an index that is ahead of the backup is not
    /// taken for its own.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] where `directory` has something in it; [`ErrorKind::Corrupt`] for a damaged backup;
    /// [`ErrorKind::Invalid`] for something else than a backup, or one of a newer version; [`ErrorKind::Full`].
    pub fn restore(
        input: &mut dyn Read,
        directory: &Path,
        progress: &mut dyn FnMut(BackupProgress),
    ) -> Result<BackupSummary> {
        require_empty(directory)?;
        let temporary = Temporary::beside(directory)?;
        let summary = {
            let path = temporary.0.join(FILE);
            File::create(&path).map_err(|error| unusable(&path, error))?;
            let opened = Opened::bare(&path, &CatalogOptions::default()).map_err(Trouble::into_error)?;
            let summary =
                opened.run(|database| restore(database, input, progress)).map_err(Trouble::into_error)?;
            // Is it a catalog that this version reads?
            opened.identify().map_err(Trouble::into_error)?;
            opened.renew_id().map_err(Trouble::into_error)?;
            summary
        };
        temporary.become_directory(directory)?;
        Ok(summary)
    }

    /// Reads a backup to its end and checks it, keeping nothing.
    ///
    /// # Errors
    /// As [`RedbCatalog::restore`] where the backup is at fault.
    pub fn verify(input: &mut dyn Read, progress: &mut dyn FnMut(BackupProgress)) -> Result<BackupSummary> {
        let mut reader = Reader::new(input)?;
        loop {
            let counted = match reader.next()? {
                Frame::End => return Ok(reader.summary()),
                Frame::Rows { table, rows } => count_rows(table, rows),
            };
            reader.count_rows(counted.ok_or_else(|| reader.unknown_rows())?);
            progress(reader.progress());
        }
    }
}

fn dump<K, V>(
    transaction: &ReadTransaction,
    definition: TableDefinition<'static, K, V>,
    writer: &mut Writer<'_>,
    progress: &mut dyn FnMut(BackupProgress),
) -> Inner<()>
where
    K: Key + 'static,
    V: Value + 'static,
    for<'a> K::SelfType<'a>: Field<'a>,
    for<'a> V::SelfType<'a>: Field<'a>,
{
    let name = redb::TableHandle::name(&definition).to_owned();
    writer.table(&name)?;
    for row in transaction.open_table(definition)?.iter()? {
        let (key, value) = row?;
        if writer.row(&name, &key.value(), &value.value())? {
            progress(writer.progress());
        }
    }
    Ok(())
}

/// Rows of a table in a frame, where they all are ones.
fn count_rows(table: &str, rows: &[u8]) -> Option<u64> {
    macro_rules! count {
        ($field:ident, $constant:ident, $key:ty, $value:ty) => {
            if table == stringify!($field) {
                return count_rows_of::<$key, $value>(rows);
            }
        };
    }
    for_each_table!(count);
    None
}

fn count_rows_of<K, V>(rows: &[u8]) -> Option<u64>
where
    K: Key + 'static,
    V: Value + 'static,
    for<'a> K::SelfType<'a>: Field<'a>,
    for<'a> V::SelfType<'a>: Field<'a>,
{
    read_rows(rows, |_: K::SelfType<'_>, _: V::SelfType<'_>| Ok(())).ok().flatten()
}

/// Reads rows and counts them; `None` where one is not as it should be.
fn read_rows<'a, A: Field<'a>, B: Field<'a>>(
    mut rows: &'a [u8],
    mut each: impl FnMut(A, B) -> Inner<()>,
) -> Inner<Option<u64>> {
    let mut count = 0;
    while !rows.is_empty() {
        let (Some(key), Some(value)) = (A::take(&mut rows), B::take(&mut rows)) else { return Ok(None) };
        each(key, value)?;
        count += 1;
    }
    Ok(Some(count))
}

fn restore(
    database: &redb::Database,
    input: &mut dyn Read,
    progress: &mut dyn FnMut(BackupProgress),
) -> Inner<BackupSummary> {
    let mut reader = Reader::new(input)?;
    loop {
        let transaction = begin_write(database)?;
        let from = reader.progress().bytes;
        let mut tables = Tables::open(&transaction)?;
        let ended = loop {
            let counted = match reader.next()? {
                Frame::End => break true,
                Frame::Rows { table, rows } => insert_rows(&mut tables, table, rows)?,
            };
            reader.count_rows(counted.ok_or_else(|| reader.unknown_rows())?);
            progress(reader.progress());
            if reader.progress().bytes - from > RESTORED {
                break false;
            }
        };
        drop(tables);
        transaction.commit()?;
        if ended {
            return Ok(reader.summary());
        }
    }
}

fn insert_rows(tables: &mut Tables<'_>, table: &str, rows: &[u8]) -> Inner<Option<u64>> {
    macro_rules! insert {
        ($field:ident, $constant:ident, $key:ty, $value:ty) => {
            if table == stringify!($field) {
                return insert_into(&mut tables.$field, rows);
            }
        };
    }
    for_each_table!(insert);
    Ok(None)
}

fn insert_into<K, V>(table: &mut Table<'_, K, V>, rows: &[u8]) -> Inner<Option<u64>>
where
    K: Key + 'static,
    V: Value + 'static,
    for<'a> K::SelfType<'a>: Field<'a>,
    for<'a> V::SelfType<'a>: Field<'a>,
{
    read_rows(rows, |key: K::SelfType<'_>, value: V::SelfType<'_>| {
        table.insert(key, value)?;
        Ok(())
    })
}

fn require_empty(directory: &Path) -> Result<()> {
    let mut entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(unusable(directory, error)),
    };
    if entries.next().is_none() {
        return Ok(());
    }
    let message = format!("`{}` is not empty; restore into a new directory", directory.display());
    Err(Error::new(ErrorKind::Conflict, message))
}

fn unusable(path: &Path, error: std::io::Error) -> Error {
    Error::new(ErrorKind::Backend, format!("cannot use `{}`", path.display())).caused_by(error)
}

/// A directory that goes away unless it gets its name.
struct Temporary(PathBuf);

impl Temporary {
    fn beside(directory: &Path) -> Result<Self> {
        let absolute = std::path::absolute(directory).map_err(|error| unusable(directory, error))?;
        let (Some(parent), Some(name)) = (absolute.parent(), absolute.file_name()) else {
            let message = format!("`{}` is no name for a data directory", directory.display());
            return Err(Error::new(ErrorKind::Invalid, message));
        };
        fs::create_dir_all(parent).map_err(|error| unusable(parent, error))?;
        let name = format!(".{}.restoring-{}", name.to_string_lossy(), uuid::Uuid::new_v4().simple());
        let path = parent.join(name);
        fs::create_dir(&path).map_err(|error| unusable(&path, error))?;
        Ok(Self(path))
    }

    fn become_directory(self, directory: &Path) -> Result<()> {
        let sync = |path: &Path| File::open(path).and_then(|file| file.sync_all());
        let renamed = sync(&self.0)
            // A directory takes the place of an empty one only.
            .and_then(|()| fs::rename(&self.0, directory))
            .and_then(|()| self.0.parent().map_or(Ok(()), sync));
        renamed.map_err(|error| unusable(directory, error))
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        match fs::remove_dir_all(&self.0) {
            // It has its name.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => {
                tracing::warn!(path = %self.0.display(), %error, "cannot remove what a restore left")
            }
            Ok(()) => {}
        }
    }
}

impl Opened {
    /// Gives the catalog a new id.
    fn renew_id(&self) -> Inner<()> {
        self.run(|database| {
            let transaction = begin_write(database)?;
            transaction.open_table(META)?.insert("id", super::opening::random::<16>()?.as_slice())?;
            Ok(transaction.commit()?)
        })
    }
}

//! The file: where it lies, its version, and opening it again after the disk was full.

use super::corrupt;
use super::disk::Disk;
use super::tables::{FORMAT, META, Tables, meta_number};
use super::trouble::{Result, Trouble};
use crate::{Error, ErrorKind};
use redb::backends::{FileBackend, InMemoryBackend};
use redb::{Builder, Database, ReadableDatabase, ReadableTable, WriteTransaction};
use std::fmt;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{PoisonError, RwLock};

/// Name of the file in the data directory.
pub(super) const FILE: &str = "catalog.redb";

/// Name of the file in the data directory that one process holds locked.
const LOCK: &str = "lock";

/// How a catalog is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CatalogOptions {
    /// Bytes of the file kept in memory at most.
    pub cache_bytes: usize,
}

impl Default for CatalogOptions {
    fn default() -> Self {
        Self { cache_bytes: 128 << 20 }
    }
}

type Open = dyn Fn() -> Result<Database> + Send + Sync;

/// An open file and how to open it again.
pub(super) struct Opened {
    open: Box<Open>,
    database: RwLock<Option<Database>>,
    /// The database answers nothing more, because a write found no room.
    stopped: AtomicBool,
    /// Keeps other processes out of the directory.
    #[expect(dead_code, reason = "it is held, not read")]
    lock: Option<File>,
}

impl fmt::Debug for Opened {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Opened").field("stopped", &self.stopped).finish_non_exhaustive()
    }
}

impl Opened {
    /// `catalog.redb` in `directory`, made where it is not there.
    pub(super) fn file(directory: &Path, options: &CatalogOptions) -> Result<Self> {
        fs::create_dir_all(directory).map_err(|error| unusable(directory, error))?;
        let lock = lock(directory)?;
        let path = directory.join(FILE);
        if !path.exists() {
            // It gets its name when it is whole: what a power cut leaves of it is no damaged catalog.
            let unfinished = directory.join(format!("{FILE}.new"));
            File::create(&unfinished).map_err(|error| unusable(&unfinished, error))?;
            Self::bare(&unfinished, options)?.initialise()?;
            fs::rename(&unfinished, &path)?;
            File::open(directory).and_then(|directory| directory.sync_all())?;
        } else if fs::metadata(&path)?.len() == 0 {
            return Err(corrupt(format!("`{}` is empty", path.display())));
        }
        let opened = Self { lock: Some(lock), ..Self::bare(&path, options)? };
        tracing::debug!(file = %path.display(), "catalog opened");
        Ok(opened)
    }

    /// The file `path`, which is there: a database, or empty.
    pub(super) fn bare(path: &Path, options: &CatalogOptions) -> Result<Self> {
        let (path, cache) = (path.to_owned(), options.cache_bytes);
        Self::with(move || {
            let file = OpenOptions::new().read(true).write(true).open(&path);
            let backend = Disk(FileBackend::new(file.map_err(|error| unusable(&path, error))?)?);
            builder(cache).create_with_backend(backend).map_err(|error| match error {
                redb::DatabaseError::Storage(redb::StorageError::Io(io))
                    if io.kind() == std::io::ErrorKind::InvalidData =>
                {
                    corrupt(format!("`{}` is not a catalog", path.display()))
                }
                other => other.into(),
            })
        })
    }

    /// A file in memory.
    pub(super) fn in_memory() -> Result<Self> {
        let opened = Self::with(|| Ok(builder(16 << 20).create_with_backend(InMemoryBackend::new())?))?;
        opened.initialise()?;
        Ok(opened)
    }

    /// Whatever `open` opens.
    pub(super) fn with(open: impl Fn() -> Result<Database> + Send + Sync + 'static) -> Result<Self> {
        let database = open()?;
        Ok(Self {
            open: Box::new(open),
            database: RwLock::new(Some(database)),
            stopped: AtomicBool::new(false),
            lock: None,
        })
    }

    /// Uses the database, opened again where it stopped. It stays open meanwhile.
    pub(super) fn run<T>(&self, work: impl FnOnce(&Database) -> Result<T>) -> Result<T> {
        loop {
            if !self.stopped.load(Ordering::Acquire) {
                let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
                if let Some(database) = &*database {
                    return work(database);
                }
            }
            self.reopen()?;
        }
    }

    /// Uses the database alone: no view is open and nothing is written meanwhile.
    pub(super) fn run_alone<T>(&self, work: impl FnOnce(&mut Database) -> Result<T>) -> Result<T> {
        let mut database = self.database.write().unwrap_or_else(PoisonError::into_inner);
        match &mut *database {
            Some(database) => work(database),
            None => Err(redb::StorageError::PreviousIo.into()),
        }
    }

    fn reopen(&self) -> Result<()> {
        let mut database = self.database.write().unwrap_or_else(PoisonError::into_inner);
        if database.is_some() && !self.stopped.load(Ordering::Acquire) {
            return Ok(());
        }
        // The file is locked until the old database is gone.
        *database = None;
        *database = Some((self.open)()?);
        self.stopped.store(false, Ordering::Release);
        tracing::info!("catalog opened again after the disk was full");
        Ok(())
    }

    /// The next caller opens the file again.
    pub(super) fn reopen_next(&self) {
        self.stopped.store(true, Ordering::Release);
    }

    /// Makes the tables of a new file.
    pub(super) fn initialise(&self) -> Result<()> {
        self.run(|database| {
            let transaction = begin_write(database)?;
            let mut tables = Tables::open(&transaction)?;
            tables.meta.insert("id", random::<16>()?.as_slice())?;
            tables.meta.insert("secret", random::<32>()?.as_slice())?;
            for (name, number) in [("format", FORMAT), ("next_revision", 1), ("next_collection", 1)] {
                tables.meta.insert(name, number.to_le_bytes().as_slice())?;
            }
            drop(tables);
            Ok(transaction.commit()?)
        })
    }

    /// Checks the version and reads who the catalog is.
    pub(super) fn identify(&self) -> Result<(u128, [u8; 32])> {
        self.run(|database| {
            let meta = match database.begin_read()?.open_table(META) {
                Err(redb::TableError::TableDoesNotExist(_)) => {
                    return Err(corrupt("the database is not a catalog"));
                }
                meta => meta?,
            };
            require_format(&meta)?;
            Ok((u128::from_le_bytes(meta_bytes(&meta, "id")?), meta_bytes(&meta, "secret")?))
        })
    }
}

/// Takes the directory for this process.
fn lock(directory: &Path) -> Result<File> {
    let path = directory.join(LOCK);
    let file = OpenOptions::new().write(true).create(true).truncate(false).open(&path);
    let file = file.map_err(|error| unusable(&path, error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(redb::DatabaseError::DatabaseAlreadyOpen.into()),
        Err(TryLockError::Error(error)) => Err(unusable(&path, error)),
    }
}

/// A write transaction that commits in two phases: one that finds no room half-way has done nothing. In one phase the
/// file could show it as done when it is opened again.
///
/// Not with the database's quick repair: it would write what is free in the file with every commit, which makes small
/// commits some five times slower at 500 MB. Without, opening after a kill walks the file, about a second for 1 GB.
pub(super) fn begin_write(database: &Database) -> Result<WriteTransaction> {
    let mut transaction = database.begin_write()?;
    transaction.set_two_phase_commit(true);
    Ok(transaction)
}

/// Random bytes.
pub(super) fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| {
        Error::new(ErrorKind::Backend, "the system gives no random numbers").caused_by(error)
    })?;
    Ok(bytes)
}

/// How a database is opened.
pub(super) fn builder(cache_bytes: usize) -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(cache_bytes);
    builder.set_repair_callback(|session| {
        tracing::info!(done = session.progress(), "the catalog was not closed; finding what is free in it");
    });
    builder
}

fn meta_bytes<const N: usize>(
    table: &impl ReadableTable<&'static str, &'static [u8]>,
    name: &str,
) -> Result<[u8; N]> {
    let value = table.get(name)?.ok_or_else(|| corrupt(format!("`{name}` is missing")))?;
    value.value().try_into().map_err(|_| corrupt(format!("`{name}` has not {N} bytes")))
}

fn require_format(meta: &impl ReadableTable<&'static str, &'static [u8]>) -> Result<()> {
    let format = meta_number(meta, "format")?;
    if format == FORMAT {
        return Ok(());
    }
    let message = if format > FORMAT {
        format!(
            "the catalog has format {format}, this version reads {FORMAT}; use the newer version that wrote it"
        )
    } else {
        format!(
            "the catalog has format {format}, this version reads {FORMAT}; make a backup with the older version"
        )
    };
    Err(Error::new(ErrorKind::Corrupt, message).into())
}

fn unusable(path: &Path, error: std::io::Error) -> Trouble {
    let message = format!("cannot use `{}`", path.display());
    Error::new(ErrorKind::Backend, message).caused_by(error).into()
}

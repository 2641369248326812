//! A folder of indexes.

use crate::folder::{Folder, failure};
use crate::index::EdgeIndex;
use elodex_store::{
    ChunkIndex, CollectionId, Error, ErrorKind, IndexBackend, IndexSpec, Opened, Result, Stored,
};
use std::collections::HashMap;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// How indexes are built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EdgeOptions {
    /// Kilobytes of vectors from which on a segment is searched by its graph; below, all its vectors are compared.
    pub graph_threshold_kb: usize,
}

impl Default for EdgeOptions {
    /// 20,000 kB: some 13,000 vectors of 384 components, which are compared within a millisecond.
    fn default() -> Self {
        Self { graph_threshold_kb: 20_000 }
    }
}

/// One folder per collection under one root. An index stays open until its collection is removed or the backend is
/// dropped.
#[derive(Debug)]
pub struct EdgeBackend {
    root: PathBuf,
    options: EdgeOptions,
    open: Mutex<HashMap<CollectionId, Arc<EdgeIndex>>>,
    lock: Arc<File>,
}

impl EdgeBackend {
    /// Uses `root`, made where it is not there.
    ///
    /// # Errors
    /// [`ErrorKind::Locked`] where a process uses it already, [`ErrorKind::Backend`] or [`ErrorKind::Full`] where the
    /// file system refuses.
    pub fn open(root: &Path) -> Result<Self> {
        Self::open_with(root, EdgeOptions::default())
    }

    /// [`Self::open`], with options.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_with(root: &Path, options: EdgeOptions) -> Result<Self> {
        std::fs::create_dir_all(root).map_err(|error| failure("cannot make", root, error))?;
        let path = root.join("lock");
        let lock = File::create(&path).map_err(|error| failure("cannot make", &path, error))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let message = format!("`{}` is in use by another process; end that one", root.display());
                return Err(Error::new(ErrorKind::Locked, message));
            }
            Err(TryLockError::Error(error)) => return Err(failure("cannot lock", &path, error)),
        }
        Ok(Self { root: root.to_owned(), options, open: Mutex::default(), lock: Arc::new(lock) })
    }

    fn folder(&self, collection: CollectionId) -> Folder {
        Folder(self.root.join(collection.0.to_string()))
    }
}

impl IndexBackend for EdgeBackend {
    fn open(&self, collection: CollectionId, spec: &IndexSpec) -> Result<Opened> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(index) = open.get(&collection) {
            if index.serves(spec) {
                return Ok(Opened { index: Arc::clone(index) as Arc<dyn ChunkIndex>, fresh: false });
            }
            index.close();
        }
        let (index, fresh) =
            EdgeIndex::open_or_make(self.folder(collection), spec, self.options, Arc::clone(&self.lock))?;
        let index = Arc::new(index);
        open.insert(collection, Arc::clone(&index));
        Ok(Opened { index: index as Arc<dyn ChunkIndex>, fresh })
    }

    fn remove(&self, collection: CollectionId) -> Result<()> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(index) = open.remove(&collection) {
            index.close();
        }
        self.folder(collection).remove()
    }

    fn collections(&self) -> Result<Vec<CollectionId>> {
        let failed = |error| failure("cannot list", &self.root, error);
        let mut found = Vec::new();
        for entry in std::fs::read_dir(&self.root).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            found.extend(name.to_string_lossy().parse().ok().map(CollectionId));
        }
        found.sort();
        Ok(found)
    }

    fn verify(&self, collection: CollectionId) -> Result<Stored> {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.contains_key(&collection) {
            let message = "an index that is open cannot be verified; verify before it is opened";
            return Err(Error::new(ErrorKind::Conflict, message));
        }
        self.folder(collection).verify()
    }
}

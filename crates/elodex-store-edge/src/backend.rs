//! A folder of indexes.

use crate::folder::{Folder, failure};
use crate::index::EdgeIndex;
use elodex_store::{ChunkIndex, CollectionId, Error, ErrorKind, IndexBackend, IndexSpec, Opened, Result};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// One folder per collection under one root.
#[derive(Debug)]
pub struct EdgeBackend {
    root: PathBuf,
    open: Mutex<HashMap<CollectionId, Weak<EdgeIndex>>>,
}

impl EdgeBackend {
    /// Uses `root`, made where it is not there. Only one process may use it at a time: the catalog beside it sees to
    /// that.
    ///
    /// # Errors
    /// [`ErrorKind::Backend`] or [`ErrorKind::Full`] where the file system refuses.
    pub fn open(root: &Path) -> Result<Self> {
        std::fs::create_dir_all(root).map_err(|error| failure("cannot make", root, error))?;
        Ok(Self { root: root.to_owned(), open: Mutex::default() })
    }

    fn folder(&self, collection: CollectionId) -> Folder {
        Folder(self.root.join(collection.0.to_string()))
    }
}

impl IndexBackend for EdgeBackend {
    fn open(&self, collection: CollectionId, spec: &IndexSpec) -> Result<Opened> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.get(&collection).is_some_and(|index| index.strong_count() > 0) {
            let message = format!("the index of collection {} is open already", collection.0);
            return Err(Error::new(ErrorKind::Conflict, message));
        }
        let folder = self.folder(collection);
        let (index, fresh) = EdgeIndex::open_or_make(folder, spec)?;
        let index = Arc::new(index);
        open.insert(collection, Arc::downgrade(&index));
        Ok(Opened { index: index as Arc<dyn ChunkIndex>, fresh })
    }

    fn remove(&self, collection: CollectionId) -> Result<()> {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner).remove(&collection);
        match open.and_then(|index| index.upgrade()) {
            Some(index) => index.destroy(),
            None => self.folder(collection).remove(),
        }
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
}

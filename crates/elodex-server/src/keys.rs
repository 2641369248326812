//! API keys: created once, kept only as salted hashes.
//!
//! A key is 256 random bits, so it cannot be guessed from its hash by trying: a fast hash with a salt per key is
//! enough, and a deliberately slow one (argon2, bcrypt) would only hand every unauthenticated caller a way to burn
//! this server's CPU. Slow hashes exist for passwords that people choose; a key set by hand with `--api-key` never
//! reaches a file.

use crate::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{SystemTime, UNIX_EPOCH};
use subtle::ConstantTimeEq as _;

/// What a key may do. The names are ZeroEntropy's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Permission {
    /// Run models and read.
    ReadOnly,
    /// Everything.
    All,
}

impl FromStr for Permission {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "read_only" => Ok(Permission::ReadOnly),
            "all" => Ok(Permission::All),
            other => Err(format!("unknown permission `{other}`; use `read_only` or `all`")),
        }
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Permission::ReadOnly => "read_only",
            Permission::All => "all",
        })
    }
}

/// A key as the file keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyRecord {
    /// Names the key in logs, metrics and `elodex keys revoke`; not secret.
    pub id: String,
    /// For people.
    pub name: String,
    /// What it may do.
    pub permission: Permission,
    /// Seconds since 1970.
    pub created: u64,
    /// 16 random bytes, hexadecimal.
    salt: String,
    /// blake3 of salt and key, hexadecimal.
    hash: String,
}

/// A key file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyFile {
    /// Its keys, in order of creation.
    #[serde(default)]
    pub keys: Vec<KeyRecord>,
}

impl KeyFile {
    /// Reads a key file; `None` when there is none.
    ///
    /// # Errors
    /// [`ErrorKind::Keys`] when it cannot be read or parsed.
    pub fn read(path: &Path) -> Result<Option<Self>> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                let message = format!("cannot read the key file `{}`", path.display());
                return Err(Error::new(ErrorKind::Keys, message).caused_by(error));
            }
        };
        toml::from_str(&text).map(Some).map_err(|error| {
            Error::new(ErrorKind::Keys, format!("`{}` is not a key file", path.display())).caused_by(error)
        })
    }

    /// Writes the file so that a crash leaves the old or the new one, readable by its owner only.
    ///
    /// # Errors
    /// [`ErrorKind::Keys`] when the file system refuses.
    pub fn write(&self, path: &Path) -> Result<()> {
        let failed = |error: std::io::Error| {
            Error::new(ErrorKind::Keys, format!("cannot write the key file `{}`", path.display()))
                .caused_by(error)
        };
        let text = toml::to_string_pretty(self)
            .map_err(|error| Error::new(ErrorKind::Keys, "cannot write keys as toml").caused_by(error))?;
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder).map_err(failed)?;
        }
        let mut draft = path.as_os_str().to_owned();
        draft.push(".new");
        let draft = PathBuf::from(draft);
        // A draft left by a crash may have other permissions; removing it makes ours apply.
        match std::fs::remove_file(&draft) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&draft).map_err(failed)?;
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
        std::fs::rename(&draft, path).map_err(failed)
    }

    /// Reads the file, changes it and writes it back, while no other process does the same.
    ///
    /// # Errors
    /// [`ErrorKind::Keys`] from `change` or when the file cannot be read or written; then it stays as it was.
    pub fn edit<T>(path: &Path, change: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let failed = |error: std::io::Error| {
            Error::new(ErrorKind::Keys, format!("cannot lock the key file `{}`", path.display()))
                .caused_by(error)
        };
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder).map_err(failed)?;
        }
        // The key file itself is replaced on every write, so the lock is a file beside it.
        let mut lock_path = path.as_os_str().to_owned();
        lock_path.push(".lock");
        let lock = std::fs::File::create(PathBuf::from(lock_path)).map_err(failed)?;
        lock.lock().map_err(failed)?;
        let mut file = Self::read(path)?.unwrap_or_default();
        let result = change(&mut file)?;
        file.write(path)?;
        Ok(result)
    }

    /// Adds a key and returns it: the only moment it can be seen.
    ///
    /// # Errors
    /// [`ErrorKind::Keys`] when the operating system has no randomness.
    pub fn create(&mut self, name: &str, permission: Permission) -> Result<String> {
        let id = hex(&random::<4>()?);
        let key = format!("elo_{id}_{}", hex(&random::<32>()?));
        self.keys.push(KeyRecord::of(id, name, permission, &key)?);
        Ok(key)
    }

    /// Removes the key with this id and returns its record.
    ///
    /// # Errors
    /// [`ErrorKind::UnknownKey`] when there is none.
    pub fn revoke(&mut self, id: &str) -> Result<KeyRecord> {
        let position = self.position(id)?;
        Ok(self.keys.remove(position))
    }

    /// Changes the name or the permission of the key with this id.
    ///
    /// # Errors
    /// [`ErrorKind::UnknownKey`] when there is none.
    pub fn change(&mut self, id: &str, name: Option<String>, permission: Option<Permission>) -> Result<()> {
        let position = self.position(id)?;
        let record = &mut self.keys[position];
        record.name = name.unwrap_or_else(|| std::mem::take(&mut record.name));
        record.permission = permission.unwrap_or(record.permission);
        Ok(())
    }

    fn position(&self, id: &str) -> Result<usize> {
        self.keys.iter().position(|record| record.id == id).ok_or_else(|| {
            let message = format!("no key has the id `{id:.60}`; `elodex keys list` shows them");
            Error::new(ErrorKind::UnknownKey, message)
        })
    }
}

impl KeyRecord {
    fn of(id: String, name: &str, permission: Permission, key: &str) -> Result<Self> {
        let salt = hex(&random::<16>()?);
        let hash = hash(&salt, key);
        let created = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        Ok(Self { id, name: name.to_owned(), permission, created, salt, hash })
    }

    fn matches(&self, key: &str) -> bool {
        hash(&self.salt, key).as_bytes().ct_eq(self.hash.as_bytes()).into()
    }
}

fn hash(salt: &str, key: &str) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(salt.as_bytes());
    hasher.update(key.as_bytes());
    hasher.finalize().to_hex().to_string()
}

fn random<const BYTES: usize>() -> Result<[u8; BYTES]> {
    let mut bytes = [0; BYTES];
    getrandom::fill(&mut bytes).map_err(|error| {
        Error::new(ErrorKind::Keys, "the operating system has no randomness").caused_by(error)
    })?;
    Ok(bytes)
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Who sent a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The key's id; `anonymous` on an open server.
    pub key: Arc<str>,
    /// What the key may do.
    pub permission: Permission,
}

/// The keys a running server accepts: a file that is read again when it changes, and at most one key from the
/// configuration.
#[derive(Debug)]
pub struct KeyStore {
    file: Option<PathBuf>,
    configured: Option<KeyRecord>,
    loaded: RwLock<Loaded>,
}

#[derive(Debug, Default, PartialEq)]
struct Loaded {
    modified: Option<SystemTime>,
    keys: Arc<[KeyRecord]>,
}

impl Loaded {
    fn from(file: &Path) -> Result<Self> {
        // The time is read first: a change between the two reads is seen at the next look.
        let modified = std::fs::metadata(file).and_then(|metadata| metadata.modified()).ok();
        let keys = KeyFile::read(file)?.unwrap_or_default().keys;
        Ok(Self { modified, keys: keys.into() })
    }
}

impl KeyStore {
    /// Reads `file`, which may not exist yet, and accepts `configured` besides.
    ///
    /// # Errors
    /// [`ErrorKind::Keys`] when the file is there but unusable.
    pub fn open(file: Option<PathBuf>, configured: Option<&str>) -> Result<Self> {
        let loaded = match &file {
            Some(file) => Loaded::from(file)?,
            None => Loaded::default(),
        };
        let configured =
            configured.map(|key| KeyRecord::of("configured".into(), "configured", Permission::All, key));
        Ok(Self { file, configured: configured.transpose()?, loaded: RwLock::new(loaded) })
    }

    /// Whether there is no key at all.
    pub fn is_empty(&self) -> bool {
        self.configured.is_none() && self.keys().is_empty()
    }

    /// The keys of the file.
    pub fn keys(&self) -> Arc<[KeyRecord]> {
        Arc::clone(&self.loaded.read().unwrap_or_else(PoisonError::into_inner).keys)
    }

    /// Whose key this is. Every key is compared, in constant time, whether or not one matched before.
    pub fn identify(&self, key: &str) -> Option<Caller> {
        let keys = self.keys();
        let mut found = None;
        for record in self.configured.iter().chain(keys.iter()) {
            if record.matches(key) {
                found = Some(record);
            }
        }
        found.map(|record| Caller { key: Arc::from(record.id.as_str()), permission: record.permission })
    }

    /// Changes the key file, at once for this store.
    ///
    /// # Errors
    /// [`ErrorKind::Keys`] where there is no file or it cannot be changed, or what `change` says.
    pub fn edit<T>(&self, change: impl FnOnce(&mut KeyFile) -> Result<T>) -> Result<T> {
        let Some(file) = &self.file else {
            let message = "this server has no key file; name one with --keys-file";
            return Err(Error::new(ErrorKind::Keys, message));
        };
        let result = KeyFile::edit(file, change)?;
        *self.loaded.write().unwrap_or_else(PoisonError::into_inner) = Loaded::from(file)?;
        Ok(result)
    }

    /// Reads the file again if it changed, so that a revoked key stops working without a restart.
    ///
    /// # Errors
    /// [`ErrorKind::Keys`] when it cannot be read; the keys stay as they were.
    pub fn refresh(&self) -> Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        let modified = std::fs::metadata(file).and_then(|metadata| metadata.modified()).ok();
        if modified == self.loaded.read().unwrap_or_else(PoisonError::into_inner).modified {
            return Ok(());
        }
        let loaded = Loaded::from(file)?;
        tracing::info!(keys = loaded.keys.len(), "the key file changed and was read again");
        *self.loaded.write().unwrap_or_else(PoisonError::into_inner) = loaded;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_recognised_until_revoked_and_never_stored() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/keys.toml");
        let reader = KeyFile::edit(&path, |file| file.create("reader", Permission::ReadOnly)).unwrap();
        let writer = KeyFile::edit(&path, |file| file.create("writer", Permission::All)).unwrap();
        let mut file = KeyFile::read(&path).unwrap().unwrap();

        let text = std::fs::read_to_string(&path).unwrap();
        assert!(!text.contains(&reader) && !text.contains(&reader[13..]), "{text}");

        let store = KeyStore::open(Some(path.clone()), None).unwrap();
        let caller = store.identify(&reader).unwrap();
        assert_eq!((&*caller.key, caller.permission), (file.keys[0].id.as_str(), Permission::ReadOnly));
        assert_eq!(store.identify(&writer).unwrap().permission, Permission::All);
        for wrong in ["", "elo_", &reader[..reader.len() - 1], &format!("{reader}0")] {
            assert_eq!(store.identify(wrong), None, "{wrong}");
        }

        file.revoke(&caller.key).unwrap();
        assert!(file.revoke(&caller.key).is_err());
        // File systems may keep times in whole seconds, so the change gets a time of its own.
        file.write(&path).unwrap();
        let later = SystemTime::now() + std::time::Duration::from_secs(5);
        std::fs::File::options().write(true).open(&path).unwrap().set_modified(later).unwrap();
        store.refresh().unwrap();
        assert_eq!(store.identify(&reader), None);
        assert!(store.identify(&writer).is_some());
    }

    #[cfg(unix)]
    #[test]
    fn only_the_owner_reads_the_file() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.toml");
        KeyFile::default().write(&path).unwrap();
        KeyFile::default().write(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_configured_key_works_without_a_file() {
        let store = KeyStore::open(None, Some("My API Key")).unwrap();
        assert!(!store.is_empty());
        assert_eq!(store.identify("My API Key").unwrap().permission, Permission::All);
        assert_eq!(store.identify("My API key"), None);
    }

    #[test]
    fn garbage_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.toml");
        std::fs::write(&path, "keys = 3").unwrap();
        let error = KeyStore::open(Some(path), None).unwrap_err();
        assert!(error.report().contains("is not a key file"), "{}", error.report());
    }
}

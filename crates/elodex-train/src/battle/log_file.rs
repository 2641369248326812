//! An append-only file of lines: whole ones survive a kill, a torn one at the end is cut off, a full disk leaves what was
//! there.

use crate::{Error, ErrorKind, Result};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Appended lines reach the disk itself at the latest with the first append after this.
const SYNC_EVERY: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    file: File,
    /// Bytes of whole lines.
    whole: u64,
    /// Behind the whole lines lies a part of one.
    torn: bool,
    /// Lines were appended since the last flush.
    appended: bool,
    synced: Instant,
}

impl LogFile {
    /// Opens or makes the file, for this process alone. Every whole line is given to `line` with its number, from 1; if the
    /// first does not begin with `head`, or not as far as it goes, nothing is touched. Also gives the bytes cut off.
    pub(super) fn open(
        path: &Path,
        head: &str,
        mut line: impl FnMut(usize, &[u8]) -> Result<()>,
    ) -> Result<(Self, u64)> {
        let failed = |error| failure("open", path, error);
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
        let file = file.map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Error::new(
                    ErrorKind::Locked,
                    format!(
                        "another process writes to `{}`; wait for it, or use another log",
                        path.display()
                    ),
                ));
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        let mut reader = BufReader::new(&file);
        let mut bytes = Vec::new();
        let (mut whole, mut number) = (0, 0);
        let torn = loop {
            bytes.clear();
            let read = reader.read_until(b'\n', &mut bytes).map_err(|error| failure("read", path, error))?;
            let compared = read.min(head.len());
            if number == 0 && bytes[..compared] != head.as_bytes()[..compared] {
                return Err(Error::new(
                    ErrorKind::Corrupt,
                    format!("`{}` is no log of battles; give another path", path.display()),
                ));
            }
            if bytes.pop_if(|last| *last == b'\n').is_none() {
                break read as u64;
            }
            number += 1;
            line(number, &bytes)?;
            whole += read as u64;
        };
        let mut log = Self {
            path: path.to_owned(),
            file,
            whole,
            torn: torn > 0,
            appended: false,
            synced: Instant::now(),
        };
        log.cut()?;
        Ok((log, torn))
    }

    /// Whether it has no line.
    pub(super) fn is_empty(&self) -> bool {
        self.whole == 0
    }

    /// Appends a line, which must not hold a line end. It has left the process when this returns, and survives its kill;
    /// the machine's power it survives from the next [`LogFile::sync`] on.
    pub(super) fn append(&mut self, mut line: Vec<u8>) -> Result<()> {
        self.cut()?;
        line.push(b'\n');
        self.torn = true;
        if let Err(error) = self.file.write_all(&line) {
            let error = failure("write to", &self.path, error);
            // If this fails too, the next append tries again, or the next opening.
            return Err(match self.cut() {
                Ok(()) => error,
                Err(_) => error.caused_by("and what was written of the line could not be taken back yet"),
            });
        }
        self.torn = false;
        self.appended = true;
        self.whole += line.len() as u64;
        if self.synced.elapsed() >= SYNC_EVERY {
            self.sync()?;
        }
        Ok(())
    }

    /// Puts what was appended onto the disk.
    pub(super) fn sync(&mut self) -> Result<()> {
        if !self.appended {
            return Ok(());
        }
        self.file.sync_data().map_err(|error| failure("flush", &self.path, error))?;
        self.synced = Instant::now();
        self.appended = false;
        Ok(())
    }

    /// Makes the file's own entry in its folder durable.
    pub(super) fn sync_entry(&self) -> Result<()> {
        let folder =
            self.path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        // Only Unix opens folders; elsewhere the system keeps entries by itself.
        if cfg!(unix) {
            let synced = File::open(folder).and_then(|folder| folder.sync_all());
            synced.map_err(|error| failure("flush the folder of", &self.path, error))?;
        }
        Ok(())
    }

    /// Cuts off what lies behind the whole lines, and goes there.
    fn cut(&mut self) -> Result<()> {
        if self.torn {
            self.file.set_len(self.whole).map_err(|error| failure("shorten", &self.path, error))?;
            self.torn = false;
        }
        self.file
            .seek(SeekFrom::Start(self.whole))
            .map_err(|error| failure("write to", &self.path, error))?;
        Ok(())
    }
}

fn failure(what: &str, path: &Path, error: std::io::Error) -> Error {
    let advice = match error.kind() {
        std::io::ErrorKind::StorageFull
        | std::io::ErrorKind::QuotaExceeded
        | std::io::ErrorKind::FileTooLarge => "; what it holds is whole: make room and run again to go on",
        _ => "",
    };
    Error::new(ErrorKind::Io, format!("cannot {what} `{}`: {error}{advice}", path.display())).caused_by(error)
}

//! What calls used, kept in memory and written now and then by a thread of its own: no call waits for a disk.

use crate::engine::Shared;
use crate::{SearchEngine, error};
use elodex_store::{Catalog, Result, UsageKind, UsageRow};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Counters since they were last written.
#[derive(Debug, Default)]
pub(crate) struct UsageMeter {
    rows: Mutex<Rows>,
    written: Mutex<Option<Instant>>,
    /// Held while rows are on their way to disk, so that whoever flushes next finds them there.
    writing: Mutex<()>,
}

/// By kind, subject and minute: calls and bytes.
type Rows = HashMap<(UsageKind, String, u64), (u64, u64)>;

impl UsageMeter {
    /// Counts one call of now.
    pub(crate) fn record(&self, kind: UsageKind, subject: &str, bytes: u64) {
        let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        add(&mut self.lock(), (kind, subject.to_owned(), seconds - seconds % 60), (1, bytes));
    }

    /// Whether it is time to write; then it is not again until `interval` has passed.
    fn due(&self, interval: Duration) -> bool {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        let due = written.is_none_or(|written| written.elapsed() >= interval);
        if due {
            *written = Some(Instant::now());
        }
        due
    }

    /// Writes what was counted; on an error it is kept for the next time.
    ///
    /// # Errors
    /// As the catalog fails.
    pub(crate) fn flush(&self, catalog: &dyn Catalog) -> Result<()> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = std::mem::take(&mut *self.lock());
        if taken.is_empty() {
            return Ok(());
        }
        let row = |(key, &(count, bytes)): (&(UsageKind, String, u64), &(u64, u64))| UsageRow {
            kind: key.0,
            subject: key.1.clone(),
            minute: key.2,
            count,
            bytes,
        };
        let rows: Vec<UsageRow> = taken.iter().map(row).collect();
        catalog.add_usage(&rows).inspect_err(|_| {
            let mut kept = self.lock();
            for (key, counted) in taken {
                add(&mut kept, key, counted);
            }
        })
    }

    fn lock(&self) -> MutexGuard<'_, Rows> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SearchEngine {
    /// Counts one call, of a model by its name or of a collection. It is on disk within about
    /// [`flush_interval`](crate::SearchOptions::flush_interval), while calls go on, and after [`Self::shutdown`].
    pub fn record_usage(&self, kind: UsageKind, subject: &str, bytes: u64) {
        self.shared.usage.record(kind, subject, bytes);
        if !self.shared.usage.due(self.shared.options.flush_interval) {
            return;
        }
        let shared = Arc::clone(&self.shared);
        let thread = std::thread::Builder::new().name("elodex-usage".to_owned());
        // Where no thread can be started now, the next call tries again.
        if let Err(error) = thread.spawn(move || shared.write_usage()) {
            tracing::warn!(%error, "usage was not written");
        }
    }

    /// Usage of a kind within `[from, to)` Unix seconds, by minute, up to now.
    ///
    /// # Errors
    /// As the catalog fails.
    pub fn usage(&self, kind: UsageKind, from: u64, to: u64) -> crate::Result<Vec<UsageRow>> {
        let catalog = &*self.shared.catalog;
        self.shared.usage.flush(catalog).map_err(error::of)?;
        catalog.view().and_then(|view| view.usage(kind, from, to)).map_err(error::of)
    }
}

impl Shared {
    /// Writes what was counted; where that fails, the log says so and the next time tries again.
    pub(crate) fn write_usage(&self) {
        if let Err(error) = self.usage.flush(&*self.catalog) {
            tracing::warn!(error = error.report(), "usage was not written");
        }
    }
}

fn add(rows: &mut Rows, key: (UsageKind, String, u64), (count, bytes): (u64, u64)) {
    let counted = rows.entry(key).or_default();
    counted.0 += count;
    counted.1 += bytes;
}

//! What queries used, kept in memory until it is written with other work: a search never waits for a disk.

use elodex_store::{Catalog, Result, UsageKind, UsageRow};
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

/// Counters since they were last written.
#[derive(Debug, Default)]
pub(crate) struct UsageMeter {
    rows: Mutex<Rows>,
}

/// By kind, subject and minute: calls and bytes.
type Rows = HashMap<(UsageKind, String, u64), (u64, u64)>;

impl UsageMeter {
    /// Counts one call of now.
    pub(crate) fn record(&self, kind: UsageKind, subject: &str, bytes: u64) {
        let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        add(&mut self.lock(), (kind, subject.to_owned(), seconds - seconds % 60), (1, bytes));
    }

    /// Writes what was counted; on an error it is kept for the next time.
    ///
    /// # Errors
    /// As the catalog fails.
    pub(crate) fn flush(&self, catalog: &dyn Catalog) -> Result<()> {
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

fn add(rows: &mut Rows, key: (UsageKind, String, u64), (count, bytes): (u64, u64)) {
    let counted = rows.entry(key).or_default();
    counted.0 += count;
    counted.1 += bytes;
}

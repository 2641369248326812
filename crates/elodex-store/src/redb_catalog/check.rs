//! Whether everything in the file adds up: counted again from the rows themselves.

use super::RedbCatalog;
use super::rows::{DocumentRow, SourceRow, Tally, decode};
use super::tables::{
    CHUNKS, COLLECTIONS, CONTENT, CURRENT, DOCUMENTS, DOOMED, LANGUAGES, LIVE, LOG, NAMES, ORPHANS, PAGES,
    PENDING, PieceKey, SOURCES, TALLIES, TEXT, VALUES, VECTORS,
};
use super::trouble::{Result, Trouble};
use super::writing::attribute_values;
use crate::Collection;
use redb::{Key, ReadTransaction, ReadableDatabase, ReadableTable, TableDefinition, Value};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Debug;

/// Findings that a report lists.
const LISTED: usize = 100;

/// What a check found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CheckReport {
    /// Collections there are.
    pub collections: u64,
    /// Revisions, current or live.
    pub revisions: u64,
    /// Sources with their content, text, chunks and vectors, those to be purged included.
    pub sources: u64,
    /// What does not add up, in words; empty where all is well. The first hundred.
    pub findings: Vec<String>,
    /// Findings beyond those.
    pub more_findings: u64,
}

impl CheckReport {
    /// Whether all is well.
    pub fn is_clean(&self) -> bool {
        self.findings.is_empty()
    }

    fn find(&mut self, what: String) {
        if self.findings.len() < LISTED {
            self.findings.push(what);
        } else {
            self.more_findings += 1;
        }
    }
}

impl RedbCatalog {
    /// Checks the file's own checksums, then counts everything again: names, paths, revisions, references, pieces,
    /// counters, values, languages and log. Reads the whole file; nothing else may use the catalog meanwhile.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`](crate::ErrorKind::Conflict) while a view is open; [`ErrorKind::Corrupt`] where the file
    /// is so damaged that it cannot be read through.
    ///
    /// [`ErrorKind::Corrupt`]: crate::ErrorKind::Corrupt
    pub fn check(&self) -> crate::Result<CheckReport> {
        let mut report = CheckReport::default();
        let sound = self.told(self.opened.run_alone(|database| Ok(database.check_integrity()?)))?;
        if !sound {
            report.find("the file's checksums or allocation were damaged; it was repaired".to_owned());
        }
        let transaction = self.told(self.opened.run(|database| Ok(database.begin_read()?)))?;
        let check =
            Check { transaction: &transaction, report, documents: HashMap::new(), living: HashSet::new() };
        self.told(check.run())
    }
}

/// What is kept of a revision while others are compared with it.
struct Seen {
    collection: u32,
    path: String,
    live: bool,
    pending: bool,
    named: bool,
}

struct Check<'t> {
    transaction: &'t ReadTransaction,
    report: CheckReport,
    documents: HashMap<u64, Seen>,
    /// Collections there are.
    living: HashSet<u32>,
}

/// What counting the documents again gives.
#[derive(Default)]
struct Recount {
    references: HashMap<u64, u32>,
    tallies: BTreeMap<u32, Tally>,
    values: BTreeMap<(u32, String, String), u64>,
    languages: BTreeMap<(u32, String), u64>,
    /// Sequence of the newest log entry there is.
    logged: BTreeMap<u32, u64>,
}

impl Check<'_> {
    fn run(mut self) -> Result<CheckReport> {
        self.collections()?;
        let mut recount = Recount::default();
        self.documents(&mut recount)?;
        self.paths(&mut recount)?;
        self.pending()?;
        self.sources(&recount)?;
        self.log(&mut recount)?;
        self.counters(recount)?;
        Ok(self.report)
    }

    /// Calls `each` with every row of a table.
    fn rows<K: Key + 'static, V: Value + 'static>(
        &mut self,
        table: TableDefinition<'static, K, V>,
        mut each: impl FnMut(&mut Self, K::SelfType<'_>, V::SelfType<'_>) -> Result<()>,
    ) -> Result<()> {
        for row in self.transaction.open_table(table)?.iter()? {
            let (key, value) = row?;
            each(self, key.value(), value.value())?;
        }
        Ok(())
    }

    /// A decoded row, or a finding.
    fn decoded<T: serde::de::DeserializeOwned>(&mut self, what: impl Debug, row: &[u8]) -> Option<T> {
        match decode(row) {
            Ok(row) => Some(row),
            Err(Trouble::Corrupt(why)) => {
                self.report.find(format!("{what:?}: {why}"));
                None
            }
            Err(_) => None,
        }
    }

    fn collections(&mut self) -> Result<()> {
        let names = self.transaction.open_table(NAMES)?;
        let doomed = self.transaction.open_table(DOOMED)?;
        self.rows(COLLECTIONS, |check, id, row| {
            check.living.insert(id);
            check.report.collections += 1;
            let Some(row) = check.decoded::<Collection>(("collection", id), row) else { return Ok(()) };
            if names.get(row.name.as_str())?.map(|id| id.value()) != Some(id) {
                check.report.find(format!("collection {id} (`{}`) is not found by its name", row.name));
            }
            if doomed.get(id)?.is_some() {
                check.report.find(format!("collection {id} (`{}`) is marked as deleted", row.name));
            }
            Ok(())
        })?;
        self.rows(NAMES, |check, name, id| {
            if !check.living.contains(&id) {
                check.report.find(format!("name `{name}` belongs to collection {id}, which is missing"));
            }
            Ok(())
        })
    }

    fn documents(&mut self, recount: &mut Recount) -> Result<()> {
        let doomed = self.transaction.open_table(DOOMED)?;
        self.rows(DOCUMENTS, |check, revision, row| {
            check.report.revisions += 1;
            let Some(row) = check.decoded::<DocumentRow>(("revision", revision), row) else { return Ok(()) };
            *recount.references.entry(row.source).or_default() += 1;
            if check.living.contains(&row.collection) {
                if row.live {
                    recount.add_live(&row);
                }
            } else if doomed.get(row.collection)?.is_none() {
                check.report.find(format!(
                    "revision {revision} is in collection {}, which is missing",
                    row.collection
                ));
            }
            let seen = Seen {
                collection: row.collection,
                path: row.path,
                live: row.live,
                pending: row.status.is_pending(),
                named: false,
            };
            check.documents.insert(revision, seen);
            Ok(())
        })
    }

    fn paths(&mut self, recount: &mut Recount) -> Result<()> {
        let documents = self.transaction.open_table(DOCUMENTS)?;
        self.rows(CURRENT, |check, (collection, path), revision| {
            if check.name(collection, path, revision, "current")
                && check.living.contains(&collection)
                && let Some(row) = documents.get(revision)?
            {
                let row: DocumentRow = decode(row.value())?;
                *recount.tallies.entry(collection).or_default().of_status(row.status) += 1;
            }
            Ok(())
        })?;
        let current = self.transaction.open_table(CURRENT)?;
        self.rows(LIVE, |check, (collection, path), revision| {
            check.name(collection, path, revision, "live");
            if current.get((collection, path))?.is_none() {
                check
                    .report
                    .find(format!("`{path}` of collection {collection} is live and has no current revision"));
            }
            if check.documents.get(&revision).is_some_and(|seen| !seen.live) {
                check.report.find(format!("revision {revision} (`{path}`) does not know that it is live"));
            }
            Ok(())
        })?;
        let live = self.transaction.open_table(LIVE)?;
        let mut lost = Vec::new();
        for (revision, seen) in &self.documents {
            if !seen.named {
                lost.push(format!("revision {revision} (`{}`) is neither current nor live", seen.path));
            }
            let named = live.get((seen.collection, seen.path.as_str()))?.map(|live| live.value());
            if seen.live && named != Some(*revision) {
                lost.push(format!("revision {revision} (`{}`) is marked live and is not", seen.path));
            }
        }
        lost.into_iter().for_each(|what| self.report.find(what));
        Ok(())
    }

    /// A path names a revision. Returns whether that is there.
    fn name(&mut self, collection: u32, path: &str, revision: u64, what: &str) -> bool {
        let Some(seen) = self.documents.get_mut(&revision) else {
            self.report.find(format!("{what} revision {revision} of `{path}` is missing"));
            return false;
        };
        seen.named = true;
        if seen.collection != collection || seen.path != path {
            self.report.find(format!("{what} revision {revision} of `{path}` belongs to another path"));
        }
        true
    }

    fn pending(&mut self) -> Result<()> {
        let pending = self.transaction.open_table(PENDING)?;
        self.rows(PENDING, |check, revision, collection| {
            if check
                .documents
                .get(&revision)
                .is_none_or(|seen| !seen.pending || seen.collection != collection)
            {
                check.report.find(format!("revision {revision} waits and has nothing to wait for"));
            }
            Ok(())
        })?;
        let mut lost = Vec::new();
        for (revision, seen) in &self.documents {
            if seen.pending && pending.get(revision)?.is_none() {
                lost.push(format!("revision {revision} (`{}`) should wait and does not", seen.path));
            }
        }
        lost.into_iter().for_each(|what| self.report.find(what));
        Ok(())
    }

    fn sources(&mut self, recount: &Recount) -> Result<()> {
        let content = self.piece_bytes(CONTENT)?;
        let text = self.piece_bytes(TEXT)?;
        let vectors = self.piece_bytes(VECTORS)?;
        let chunks = self.piece_bytes(CHUNKS)?;
        let pages = self.piece_bytes(PAGES)?;
        let orphans = self.transaction.open_table(ORPHANS)?;
        let mut there = HashSet::new();
        self.rows(SOURCES, |check, source, row| {
            check.report.sources += 1;
            there.insert(source);
            let Some(row) = check.decoded::<SourceRow>(("source", source), row) else { return Ok(()) };
            let references = recount.references.get(&source).copied().unwrap_or(0);
            if row.references != references {
                check.report.find(format!(
                    "source {source} counts {} revisions, {references} have it",
                    row.references
                ));
            }
            let orphan = orphans.get(source)?.is_some();
            if orphan != (row.references == 0) {
                check.report.find(format!(
                    "source {source} is {}marked for purging",
                    if orphan { "" } else { "not " }
                ));
            }
            if row.references == 0 {
                // Being purged: some of its rows may be gone.
                return Ok(());
            }
            let parsed = row.parsed.map_or((0, 0, 0), |parsed| (parsed.text, parsed.chunks, parsed.pages));
            let bytes = |of: &HashMap<u64, (u64, u64)>| of.get(&source).copied().unwrap_or((0, 0)).1;
            let count = |of: &HashMap<u64, (u64, u64)>| of.get(&source).copied().unwrap_or((0, 0)).0;
            let width = u64::from(row.width.unwrap_or(0));
            if row.embedded > parsed.1 {
                check.report.find(format!(
                    "source {source} has vectors of {} chunks, there are {}",
                    row.embedded, parsed.1
                ));
            }
            for (what, is, should) in [
                ("bytes of content", bytes(&content), row.stored),
                ("bytes of text", bytes(&text), parsed.0),
                ("chunks", count(&chunks), u64::from(parsed.1)),
                ("rows of pages", count(&pages), u64::from(parsed.2).div_ceil(super::sources::PAGES as u64)),
                ("bytes of vectors", bytes(&vectors), u64::from(row.embedded) * width * 4),
            ] {
                if is != should {
                    check.report.find(format!("source {source} has {is} {what}, not {should}"));
                }
            }
            Ok(())
        })?;
        let missing = recount.references.keys().filter(|source| !there.contains(source));
        for source in missing {
            self.report.find(format!("source {source} is missing"));
        }
        for pieces in [&content, &text, &vectors, &chunks, &pages] {
            for source in pieces.keys().filter(|source| !there.contains(source)) {
                self.report.find(format!("rows of source {source} are left, which is missing"));
            }
        }
        Ok(())
    }

    /// Rows and their bytes by source.
    fn piece_bytes(
        &mut self,
        table: TableDefinition<'static, PieceKey, &'static [u8]>,
    ) -> Result<HashMap<u64, (u64, u64)>> {
        let mut sums: HashMap<u64, (u64, u64)> = HashMap::new();
        self.rows(table, |_, (source, _), row| {
            let sum = sums.entry(source).or_default();
            sum.0 += 1;
            sum.1 += row.len() as u64;
            Ok(())
        })?;
        Ok(sums)
    }

    fn log(&mut self, recount: &mut Recount) -> Result<()> {
        self.rows(LOG, |check, (collection, sequence), row| {
            check.decoded::<crate::IndexOperation>(("log", collection, sequence), row);
            recount.logged.insert(collection, sequence);
            Ok(())
        })
    }

    fn counters(&mut self, mut recount: Recount) -> Result<()> {
        self.rows(TALLIES, |check, collection, row| {
            let Some(tally) = check.decoded::<Tally>(("tally", collection), row) else { return Ok(()) };
            let counted = recount.tallies.remove(&collection).unwrap_or_default();
            if check.living.contains(&collection) && tally.counts != counted.counts {
                check.report.find(format!(
                    "collection {collection} counts {:?}, there are {:?}",
                    tally.counts, counted.counts
                ));
            }
            if recount.logged.get(&collection).is_some_and(|logged| *logged > tally.sequence) {
                check.report.find(format!("the log of collection {collection} is ahead of its counter"));
            }
            Ok(())
        })?;
        for (collection, counted) in recount.tallies {
            if counted != Tally::default() {
                self.report.find(format!("collection {collection} has no counters"));
            }
        }
        let (mut values, mut languages) = (recount.values, recount.languages);
        self.rows(VALUES, |check, (collection, attribute, value), count| {
            let counted = values.remove(&(collection, attribute.to_owned(), value.to_owned()));
            check.compare(collection, || format!("value `{attribute}` = `{value:.60}`"), count, counted);
            Ok(())
        })?;
        self.rows(LANGUAGES, |check, (collection, language), count| {
            let counted = languages.remove(&(collection, language.to_owned()));
            check.compare(collection, || format!("language `{language}`"), count, counted);
            Ok(())
        })?;
        for (collection, attribute, value) in values.keys() {
            self.report.find(format!("collection {collection} lacks value `{attribute}` = `{value:.60}`"));
        }
        for (collection, language) in languages.keys() {
            self.report.find(format!("collection {collection} lacks language `{language}`"));
        }
        Ok(())
    }

    fn compare(&mut self, collection: u32, what: impl Fn() -> String, count: u64, counted: Option<u64>) {
        if self.living.contains(&collection) && counted != Some(count) {
            let counted = counted.unwrap_or(0);
            self.report
                .find(format!("collection {collection} counts {count} with {}, there are {counted}", what()));
        }
    }
}

impl Recount {
    fn add_live(&mut self, row: &DocumentRow) {
        for (attribute, value) in attribute_values(&row.metadata) {
            *self.values.entry((row.collection, attribute.to_owned(), value.to_owned())).or_default() += 1;
        }
        let Some(parsed) = &row.parsed else { return };
        if let Some(language) = &parsed.language {
            *self.languages.entry((row.collection, language.clone())).or_default() += 1;
        }
        let counts = &mut self.tallies.entry(row.collection).or_default().counts;
        counts.indexed_bytes += parsed.text_bytes;
        counts.chunks += u64::from(parsed.chunks);
        counts.terms += parsed.terms;
    }
}

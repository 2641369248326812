//! What judges have said, kept so that nothing is asked or paid for twice.

use super::log_file::LogFile;
use super::{Battle, Binding, Pair, Spent};
use crate::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

/// The layout of the lines.
const FORMAT: u32 = 1;
/// How the first line begins.
const HEAD: &str = "{\"elodex_battles\":";

/// An append-only file of battles, one JSON object a line, behind a line that binds it to queries, corpus and candidates.
///
/// A battle that [`BattleLog::append`] has taken survives a kill of the process. The file is flushed to the disk about
/// once a second while battles are added, and when the log is dropped or [synced](BattleLog::sync): a machine that loses
/// power loses about the last second. One process writes at a time. Where a judge is asked again about a pair, the last
/// line counts.
#[derive(Debug)]
pub struct BattleLog {
    path: PathBuf,
    file: LogFile,
    battles: Vec<Battle>,
    places: HashMap<Key, usize>,
    spent: BTreeMap<String, Spent>,
    recovered: Recovered,
}

/// What was found in a log that was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Recovered {
    /// Battles, without those that a later line replaces.
    pub battles: usize,
    /// Lines that later ones replace.
    pub replaced: usize,
    /// Bytes of a line that was being written when its process ended; they are cut off.
    pub torn_bytes: u64,
}

#[derive(Serialize, Deserialize)]
struct Header {
    elodex_battles: u32,
    #[serde(flatten)]
    binding: Binding,
}

/// A judge and an ordered pair, hashed: ids may be long, and logs are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Key([u8; 16]);

impl Key {
    fn of(judge: &str, pair: &Pair) -> Self {
        let mut hasher = blake3::Hasher::new();
        for text in [judge, &pair.query, pair.query_of_b(), &pair.a, &pair.b] {
            hasher.update(&(text.len() as u64).to_le_bytes());
            hasher.update(text.as_bytes());
        }
        let mut key = [0; 16];
        key.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
        Self(key)
    }
}

impl BattleLog {
    /// Opens a log, or begins one where there is none.
    ///
    /// # Errors
    /// Another process has it open ([`ErrorKind::Locked`]); it belongs to other queries, another corpus or other
    /// candidates ([`ErrorKind::Changed`]); a line that is no battle ([`ErrorKind::Corrupt`]); a file that cannot be read or
    /// written.
    pub fn open(path: &Path, binding: &Binding) -> Result<Self> {
        let mut recovered = Recovered::default();
        let mut battles = Vec::new();
        let mut places = HashMap::new();
        let mut spent = BTreeMap::new();
        let (mut file, torn_bytes) = LogFile::open(path, HEAD, |number, line| {
            if number == 1 {
                return check_header(path, line, binding);
            }
            let battle: Battle = serde_json::from_slice(line).map_err(|error| {
                let what = "is no battle; restore the file from a copy, or delete that line";
                Error::new(ErrorKind::Corrupt, format!("{}:{number}: the line {what}", path.display()))
                    .caused_by(error)
            })?;
            recovered.replaced += usize::from(insert(battle, &mut battles, &mut places, &mut spent));
            Ok(())
        })?;
        if file.is_empty() {
            let header = Header { elodex_battles: FORMAT, binding: binding.clone() };
            file.append(line_of(&header)?)?;
            file.sync()?;
            file.sync_entry()?;
        }
        recovered.battles = battles.len();
        recovered.torn_bytes = torn_bytes;
        Ok(Self { path: path.to_owned(), file, battles, places, spent, recovered })
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What was in it when it was opened.
    pub fn recovered(&self) -> Recovered {
        self.recovered
    }

    /// What a judge said of a pair in this order.
    pub fn find(&self, judge: &str, pair: &Pair) -> Option<&Battle> {
        self.places.get(&Key::of(judge, pair)).map(|&place| &self.battles[place])
    }

    /// Every battle, in the order in which their pairs were first judged.
    pub fn battles(&self) -> &[Battle] {
        &self.battles
    }

    /// What a judge's answers have cost, replaced ones included.
    pub fn spent(&self, judge: &str) -> Spent {
        self.spent.get(judge).copied().unwrap_or_default()
    }

    /// Judges with battles here, ascending, and what each has cost.
    pub fn judges(&self) -> impl ExactSizeIterator<Item = (&str, Spent)> {
        self.spent.iter().map(|(judge, spent)| (judge.as_str(), *spent))
    }

    /// Adds a battle; when this returns, it survives a kill.
    ///
    /// # Errors
    /// A file that cannot be written, such as on a full disk. The log is as before then, and may be added to again.
    pub fn append(&mut self, battle: Battle) -> Result<()> {
        self.file.append(line_of(&battle)?)?;
        insert(battle, &mut self.battles, &mut self.places, &mut self.spent);
        Ok(())
    }

    /// Puts what was added onto the disk itself.
    ///
    /// # Errors
    /// A disk that does not take it.
    pub fn sync(&mut self) -> Result<()> {
        self.file.sync()
    }
}

impl Drop for BattleLog {
    fn drop(&mut self) {
        // Nobody is left to hear of a failure; who needs to know calls `sync`.
        let _ = self.file.sync();
    }
}

/// Whether it replaces another one.
fn insert(
    battle: Battle,
    battles: &mut Vec<Battle>,
    places: &mut HashMap<Key, usize>,
    spent: &mut BTreeMap<String, Spent>,
) -> bool {
    *spent.entry(battle.judge.clone()).or_default() += battle.spent;
    let key = Key::of(&battle.judge, &battle.pair);
    if let Some(&place) = places.get(&key) {
        battles[place] = battle;
        return true;
    }
    places.insert(key, battles.len());
    battles.push(battle);
    false
}

fn line_of(value: &impl Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(value)
        .map_err(|error| Error::new(ErrorKind::Bug, "cannot write a line of a log").caused_by(error))
}

fn check_header(path: &Path, line: &[u8], binding: &Binding) -> Result<()> {
    let path = path.display();
    let header: Header = serde_json::from_slice(line).map_err(|error| {
        let message =
            format!("{path}:1: the first line does not say what the log belongs to; restore it from a copy");
        Error::new(ErrorKind::Corrupt, message).caused_by(error)
    })?;
    if header.elodex_battles != FORMAT {
        let message = format!(
            "`{path}` has format {}, and this version reads {FORMAT}; use the version that wrote it, or begin another log",
            header.elodex_battles
        );
        return Err(Error::new(ErrorKind::Changed, message));
    }
    let changed: Vec<&str> = [
        ("the queries", &header.binding.queries, &binding.queries),
        ("the corpus", &header.binding.corpus, &binding.corpus),
        ("the candidates", &header.binding.candidates, &binding.candidates),
    ]
    .into_iter()
    .filter_map(|(what, then, now)| (then != now).then_some(what))
    .collect();
    if changed.is_empty() {
        return Ok(());
    }
    let message = format!(
        "{} changed since `{path}` was begun, and its battles are about what was there then; go on with the former ones, or \
         begin another log",
        changed.join(" and ")
    );
    Err(Error::new(ErrorKind::Changed, message))
}

//! The log of battles on a full disk. A binary of its own: a process that is started here would hold what another test of
//! the same binary has locked, until it runs its own program.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test may end by panic")]

mod battles;

use battles::{battle, open};
use elodex_testkit::{again_on_a_full_disk, handed_over};
use elodex_train::ErrorKind;
use std::path::Path;

#[test]
fn a_full_disk_is_named_and_the_log_stays_whole() {
    if let Some(folder) = handed_over() {
        return fill_the_disk(&folder);
    }
    let folder = tempfile::tempdir().unwrap();
    again_on_a_full_disk("a_full_disk_is_named_and_the_log_stays_whole", folder.path(), 5 * 512);
    let written =
        std::fs::read_to_string(folder.path().join("acknowledged")).unwrap().parse::<usize>().unwrap();
    let mut log = open(&folder.path().join("log.jsonl"));
    assert_eq!((log.battles().len(), log.recovered().torn_bytes), (written, 0));
    log.append(battle(written)).unwrap();
}

/// The second process.
fn fill_the_disk(folder: &Path) {
    let path = folder.join("log.jsonl");
    let mut log = open(&path);
    let mut acknowledged = 0;
    let error = loop {
        match log.append(battle(acknowledged)) {
            Ok(()) => acknowledged += 1,
            Err(error) => break error,
        }
    };
    assert!(acknowledged > 3, "{acknowledged}");
    assert_eq!(error.kind(), ErrorKind::Io);
    assert!(error.to_string().contains("log.jsonl`") && error.to_string().contains("make room"), "{error}");
    // Refused again, and still whole.
    assert_eq!(log.append(battle(acknowledged)).unwrap_err().kind(), ErrorKind::Io);
    assert_eq!(log.battles().len(), acknowledged);
    std::fs::write(folder.join("acknowledged"), acknowledged.to_string()).unwrap();
}

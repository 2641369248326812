//! The log of battles: kills, changes, two writers, a full disk.

#![expect(clippy::unwrap_used, reason = "a test may end by panic")]

use elodex_train::ErrorKind;
use elodex_train::battle::{Arena, Battle, BattleLog, Binding, Decision, Pair, Spent, Vote};
use std::collections::BTreeMap;
use std::path::Path;

fn arena(text: &str) -> Arena {
    let queries = [("q".to_owned(), "question".to_owned())].into();
    let documents: BTreeMap<String, String> =
        ["a", "b", "c"].into_iter().map(|id| (id.to_owned(), format!("{id} {text}"))).collect();
    let candidates = [("q".to_owned(), documents.keys().cloned().collect())].into();
    Arena::new(queries, documents, candidates).unwrap()
}

fn binding() -> Binding {
    arena("text").binding().clone()
}

fn battle(number: usize) -> Battle {
    let judge = format!("judge {}", number % 2);
    let score = if number.is_multiple_of(3) { 0.0 } else { -0.5 };
    Battle {
        pair: Pair::within("q", format!("a{number}"), "b\u{2028}\n"),
        decision: match number % 5 {
            4 => Decision::Failure { reason: "no answer".into() },
            _ => Decision::of_preference((1.0 - score) / 2.0),
        },
        votes: vec![Vote { judge: judge.clone(), score, said: Some(-0.25), a_first: Some(true) }],
        judge,
        failures: vec![],
        spent: Spent { calls: 1, input_tokens: 100, output_tokens: 10, cost: 0.25, estimated_calls: 0 },
    }
}

fn open(path: &Path) -> BattleLog {
    BattleLog::open(path, &binding()).unwrap()
}

#[test]
fn what_was_added_is_there_again_without_a_goodbye() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.jsonl");
    let mut log = open(&path);
    let battles: Vec<Battle> = (0..20).map(battle).collect();
    for (number, battle) in battles.iter().enumerate() {
        log.append(battle.clone()).unwrap();
        // What a process that is killed here leaves behind: nothing waits in the log that is not in the file.
        let copy = folder.path().join("killed.jsonl");
        std::fs::copy(&path, &copy).unwrap();
        assert_eq!(open(&copy).battles(), &battles[..=number]);
    }
    drop(log);
    let log = open(&path);
    assert_eq!((log.recovered().battles, log.recovered().replaced, log.recovered().torn_bytes), (20, 0, 0));
    assert_eq!(log.find("judge 1", &battles[7].pair), Some(&battles[7]));
    assert_eq!(log.find("judge 0", &battles[7].pair), None);
    assert_eq!(log.find("judge 1", &battles[7].pair.mirrored()), None);
    assert_eq!(
        (log.spent("judge 0").cost, log.spent("judge 1").calls, log.spent("other").calls),
        (2.5, 10, 0)
    );
}

#[test]
fn a_torn_line_is_cut_off_wherever_the_kill_came() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.jsonl");
    let mut log = open(&path);
    (0..3).for_each(|number| log.append(battle(number)).unwrap());
    drop(log);
    let bytes = std::fs::read(&path).unwrap();
    let cut = folder.path().join("cut.jsonl");
    let ends: Vec<usize> = (0..bytes.len()).filter(|&at| bytes[at] == b'\n').collect();
    let near_an_end = |length: usize| ends.iter().any(|end| length.abs_diff(*end) <= 2);
    for length in (0..=bytes.len()).filter(|&length| near_an_end(length) || length % 23 == 0) {
        std::fs::write(&cut, &bytes[..length]).unwrap();
        let lines = bytes[..length].iter().filter(|&&byte| byte == b'\n').count();
        let rest = bytes[..length].iter().rev().take_while(|&&byte| byte != b'\n').count();
        let mut log = open(&cut);
        let kept = lines.saturating_sub(1);
        assert_eq!((log.battles().len(), log.recovered().torn_bytes), (kept, rest as u64), "{length}");
        log.append(battle(9)).unwrap();
        drop(log);
        let log = open(&cut);
        assert_eq!((log.battles().len(), log.recovered().torn_bytes), (kept + 1, 0), "{length}");
        assert_eq!(log.battles()[kept], battle(9));
    }
}

#[test]
fn the_last_answer_counts_and_every_one_is_paid() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.jsonl");
    let mut log = open(&path);
    let failed = battle(4);
    let answered = Battle { decision: Decision::Tie, ..battle(4) };
    for battle in [failed, battle(5), answered.clone()] {
        log.append(battle).unwrap();
    }
    drop(log);
    let log = open(&path);
    assert_eq!((log.recovered().battles, log.recovered().replaced), (2, 1));
    assert_eq!(log.battles(), [answered, battle(5)]);
    assert_eq!(log.spent("judge 0").cost, 0.5);
}

#[test]
fn a_log_of_something_else_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.jsonl");
    drop(open(&path));
    let error = BattleLog::open(&path, arena("changed").binding()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Changed);
    assert!(error.to_string().starts_with("the corpus changed since `"), "{error}");
    let other = Binding { queries: "x".into(), candidates: "y".into(), ..binding() };
    let error = BattleLog::open(&path, &other).unwrap_err();
    assert!(error.to_string().starts_with("the queries and the candidates changed since `"), "{error}");

    for content in ["", "{\"elodex_battles\""] {
        std::fs::write(&path, content).unwrap();
        assert_eq!(open(&path).recovered().torn_bytes, content.len() as u64);
    }
    for content in ["notes", "notes\n", "{\"query\":\"q\"}\n"] {
        std::fs::write(&path, content).unwrap();
        let error = BattleLog::open(&path, &binding()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{content}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), content);
    }
    let later = "{\"elodex_battles\":2,\"queries\":\"\",\"corpus\":\"\",\"candidates\":\"\"}\n";
    std::fs::write(&path, later).unwrap();
    assert_eq!(BattleLog::open(&path, &binding()).unwrap_err().kind(), ErrorKind::Changed);
}

#[test]
fn a_damaged_line_is_named_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.jsonl");
    let mut log = open(&path);
    (0..3).for_each(|number| log.append(battle(number)).unwrap());
    drop(log);
    let damaged = std::fs::read_to_string(&path).unwrap().replace("\"a1\"", "a1");
    std::fs::write(&path, &damaged).unwrap();
    let error = BattleLog::open(&path, &binding()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.to_string().contains("log.jsonl:3: the line is no battle"), "{error}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), damaged);
}

#[test]
fn one_process_writes_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.jsonl");
    let first = open(&path);
    let error = BattleLog::open(&path, &binding()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Locked);
    drop(first);
    open(&path);
    let error = BattleLog::open(&folder.path().join("none/log.jsonl"), &binding()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    assert!(error.to_string().contains("none/log.jsonl"), "{error}");
}

#[cfg(target_os = "linux")]
mod full_disk {
    use super::*;
    use elodex_testkit::{again_on_a_full_disk, handed_over};

    #[test]
    fn a_full_disk_is_named_and_the_log_stays_whole() {
        if let Some(folder) = handed_over() {
            return fill_the_disk(&folder);
        }
        let folder = tempfile::tempdir().unwrap();
        again_on_a_full_disk(
            "full_disk::a_full_disk_is_named_and_the_log_stays_whole",
            folder.path(),
            5 * 512,
        );
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
        assert!(
            error.to_string().contains("log.jsonl`") && error.to_string().contains("make room"),
            "{error}"
        );
        // Refused again, and still whole.
        assert_eq!(log.append(battle(acknowledged)).unwrap_err().kind(), ErrorKind::Io);
        assert_eq!(log.battles().len(), acknowledged);
        std::fs::write(folder.join("acknowledged"), acknowledged.to_string()).unwrap();
    }
}

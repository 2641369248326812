//! The log of battles: kills, changes, two writers.

#![expect(clippy::unwrap_used, reason = "a test may end by panic")]

mod battles;

use battles::{arena, battle, binding, open};
use elodex_train::ErrorKind;
use elodex_train::battle::{Battle, BattleLog, Binding, Decision};

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

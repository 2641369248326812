//! A disk that fills up while documents are ingested: what was acknowledged is kept, what was not says so, and work goes
//! on when there is room.
//!
//! The test starts itself as a second process under a limit for the size of a file, which answers a write as a full disk
//! does, and lifts the limit when that process says that it is full.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test may end by panic")]

mod common;

use common::{Ground, long_text, named, text, wait};
use elodex_search::ErrorKind;
use elodex_types::{CallContext, CreateCollection, IndexStatus, SearchRequest, Unit};
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::time::Duration;

/// Says that this is the second process.
const CHILD: &str = "ELODEX_FULL_DISK";

/// Bytes that a file may have at first: an empty catalog and some documents.
const FILE_BYTES: u64 = 8 << 20;

#[test]
fn a_full_disk_refuses_and_goes_on_when_there_is_room() {
    // A write over the limit is an error where the signal for it is ignored.
    let script = format!("trap '' XFSZ; ulimit -S -f {}; exec \"$0\" \"$@\"", FILE_BYTES / 512);
    let mut child = Command::new("sh")
        .args(["-c", &script])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "fills_its_disk", "--ignored", "--nocapture", "--test-threads=1"])
        .env(CHILD, "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut full = false;
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        println!("{line}");
        if line == "> full" {
            full = true;
            let pid = child.id().to_string();
            let lifted = Command::new("prlimit").args(["--pid", &pid, "--fsize=unlimited"]).status().unwrap();
            assert!(lifted.success());
            child.stdin.take().unwrap().write_all(b"go on\n").unwrap();
        }
    }
    assert!(child.wait().unwrap().success() && full);
}

/// The second process.
#[test]
#[ignore = "the other half of the test with a full disk"]
fn fills_its_disk() {
    if std::env::var(CHILD).is_err() {
        return;
    }
    let ground = Ground::new();
    let engine = ground.open();
    // A chunk each: the room is what counts here, not the embedding.
    let whole = CreateCollection { whole_documents: Some(true), ..named("c") };
    engine.create_collection(&whole).unwrap();
    let document = |number: usize| text(&format!("d{number:03}"), &long_text(number, 200));
    let mut acknowledged = 0;
    let refused = loop {
        match engine.add("c", vec![document(acknowledged)], false) {
            Ok(_) => acknowledged += 1,
            Err(error) => break error,
        }
        assert!(acknowledged < 1_000, "the disk is not full");
    };
    assert_eq!(refused.kind(), ErrorKind::Unavailable, "{}", refused.report());
    assert!(refused.report().contains("make room"), "{}", refused.report());
    assert!(acknowledged > 2, "{acknowledged}");

    // Nothing has failed and nothing is forgotten, and what is indexed is found.
    let status = engine.status(Some("c")).unwrap();
    assert_eq!((status.num_documents, status.num_failed_documents), (acknowledged as u64, 0));
    let request = SearchRequest::new("c", "traveller", Unit::Documents, 5);
    let context = CallContext { key: "test".into(), deadline: None };
    let mut attempts = 0;
    let found = loop {
        match engine.search(&request, &context) {
            Ok(answer) => break answer.hits.len() as u64,
            // Ingestion may have met the full disk just now; callers are told when to come again.
            Err(error) => {
                attempts += 1;
                assert_eq!(error.kind(), ErrorKind::Unavailable, "{}", error.report());
                assert!(error.wait().is_some() && attempts < 100, "{}", error.report());
                std::thread::sleep(Duration::from_millis(10));
            }
        }
    };
    println!("{acknowledged} acknowledged, {} indexed, {found} found", status.num_indexed_documents);
    assert!(found >= status.num_indexed_documents.min(5));

    println!("\n> full");
    std::io::stdin().read_line(&mut String::new()).unwrap();
    engine.add("c", vec![document(acknowledged)], false).unwrap();
    wait(&engine, "c");
    for number in 0..=acknowledged {
        let (info, _) = engine.document("c", &format!("d{number:03}"), true).unwrap();
        assert_eq!(info.status, IndexStatus::Indexed, "{number}: {:?}", info.failure);
        assert_eq!(info.content, Some(long_text(number, 200)));
    }
    ground.assert_in_step("c");
    engine.shutdown();
    drop(engine);
    assert!(ground.catalog.check().unwrap().is_clean());
}

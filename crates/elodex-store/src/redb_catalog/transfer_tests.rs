//! Backups: whole ones come back, others leave nothing.

use super::script::{snapshot, steps};
use crate::{Catalog, CatalogOptions, ErrorKind, RedbCatalog};
use std::fs;

/// A catalog in the middle of the script, with something in every table.
fn catalog() -> RedbCatalog {
    let catalog = RedbCatalog::in_memory().unwrap();
    for step in &steps()[..20] {
        step.run(&catalog).unwrap();
    }
    catalog
}

fn backup(catalog: &RedbCatalog) -> Vec<u8> {
    let mut file = Vec::new();
    let mut last = 0;
    let summary = catalog
        .backup(&mut file, &mut |progress| {
            assert!(progress.rows > last && Some(progress.rows) <= progress.total);
            last = progress.rows;
        })
        .unwrap();
    assert_eq!(summary.bytes, file.len() as u64);
    file
}

#[test]
fn a_backup_comes_back_whole() {
    let before = catalog();
    let file = backup(&before);
    let home = tempfile::tempdir().unwrap();
    let directory = home.path().join("new/data");
    let verified = RedbCatalog::verify(&mut file.as_slice(), &mut |_| {}).unwrap();
    let restored = RedbCatalog::restore(&mut file.as_slice(), &directory, &mut |_| {}).unwrap();
    assert_eq!(verified, restored);
    let after = RedbCatalog::open(&directory, &CatalogOptions::default()).unwrap();
    assert_eq!(snapshot(&after), snapshot(&before));
    assert_eq!(after.secret(), before.secret());
    assert_ne!(after.id(), before.id(), "an index that is ahead would be taken for its own");
    assert!(after.check().unwrap().is_clean());
    // It goes on where it was.
    for step in &steps()[20..] {
        step.run(&before).unwrap();
        step.run(&after).unwrap();
        assert_eq!(snapshot(&after), snapshot(&before));
    }
}

#[test]
fn a_backup_is_of_one_moment() {
    let catalog = catalog();
    let quiet = backup(&catalog);
    let mut file = Vec::new();
    let mut written = false;
    // Something is written while the backup is under way.
    catalog
        .backup(&mut file, &mut |_| {
            if !std::mem::replace(&mut written, true) {
                steps()[20].run(&catalog).unwrap();
            }
        })
        .unwrap();
    assert!(!written || file == quiet, "what was written later is in it");
}

#[test]
fn a_backup_that_is_not_whole_leaves_nothing() {
    let file = backup(&catalog());
    let home = tempfile::tempdir().unwrap();
    let directory = home.path().join("data");
    let fails = |file: &[u8], what: String| {
        let error = RedbCatalog::restore(&mut &*file, &directory, &mut |_| {}).unwrap_err();
        assert!(
            matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Invalid),
            "{what}: {}",
            error.report()
        );
        let verified = RedbCatalog::verify(&mut &*file, &mut |_| {}).unwrap_err();
        assert_eq!(verified.kind(), error.kind(), "{what}");
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0, "{what} left something");
    };
    for cut in [0, 7, 8, 11, 12, 13, 17, 40, file.len() / 2, file.len() - 73, file.len() - 1] {
        fails(&file[..cut], format!("cut at {cut}"));
    }
    for at in (0..file.len()).step_by(file.len() / 25).chain([0, 8, 12, 13, 16, file.len() - 1]) {
        let mut flipped = file.clone();
        flipped[at] ^= 1 << (at % 8);
        fails(&flipped, format!("flipped at {at}"));
    }
    fails(&[&file[..], b"x"].concat(), "longer".to_owned());
    fails(b"PK\x03\x04 something else entirely", "another file".to_owned());
}

#[test]
fn frames_are_in_their_order() {
    let file = backup(&catalog());
    let mut frames = Vec::new();
    let mut rest = &file[12..];
    while let Some(length) = rest.get(1..5) {
        let length = u32::from_le_bytes(length.try_into().unwrap()) as usize;
        let (frame, later) = rest.split_at(1 + 4 + length + 32);
        frames.push(frame);
        rest = later;
    }
    assert!(frames.len() > 3);
    let file_of = |frames: &[&[u8]]| [&file[..12], &frames.concat()].concat();
    assert_eq!(file_of(&frames), file);
    let mut swapped = frames.clone();
    swapped.swap(0, 1);
    let mut without = frames.clone();
    without.remove(1);
    for frames in [swapped, without] {
        let error = RedbCatalog::verify(&mut file_of(&frames).as_slice(), &mut |_| {}).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
    }
}

#[test]
fn a_restore_never_writes_over_something() {
    let file = backup(&catalog());
    let home = tempfile::tempdir().unwrap();
    let directory = home.path().join("data");
    fs::create_dir(&directory).unwrap();
    fs::write(directory.join("note"), "mine").unwrap();
    let error = RedbCatalog::restore(&mut file.as_slice(), &directory, &mut |_| {}).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert_eq!(fs::read(directory.join("note")).unwrap(), b"mine");
    fs::remove_file(directory.join("note")).unwrap();
    RedbCatalog::restore(&mut file.as_slice(), &directory, &mut |_| {}).unwrap();
    assert!(directory.join("catalog.redb").exists());
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1);
}

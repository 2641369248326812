//! The catalog on redb: the contract, and the file it keeps.

use elodex_store::conformance::catalog::{self, settings};
use elodex_store::{Catalog, CatalogOptions, ErrorKind, RedbCatalog};
use elodex_types::{Content, NewDocument};
use std::fs;
use std::path::Path;

fn open(directory: &Path) -> elodex_store::Result<RedbCatalog> {
    RedbCatalog::open(directory, &CatalogOptions::default())
}

#[test]
fn a_catalog_in_memory_keeps_the_contract() {
    catalog::run(|| RedbCatalog::in_memory().unwrap());
}

#[test]
fn a_catalog_on_disk_keeps_the_contract() {
    let home = tempfile::tempdir().unwrap();
    let mut number = 0;
    catalog::run(|| {
        number += 1;
        open(&home.path().join(number.to_string())).unwrap()
    });
}

#[test]
fn what_was_written_is_there_when_it_is_opened_again() {
    let home = tempfile::tempdir().unwrap();
    let directory = home.path().join("new/data");
    let first = open(&directory).unwrap();
    let collection = first.create_collection("c", settings()).unwrap();
    let content = Content::Text("kept".into());
    let document = NewDocument { path: "a".into(), metadata: Default::default(), content: content.clone() };
    first.put(collection.id, vec![document], false).unwrap();
    let (id, secret) = (first.id(), first.secret());
    drop(first);
    let again = open(&directory).unwrap();
    assert_eq!((again.id(), again.secret()), (id, secret));
    let view = again.view().unwrap();
    assert_eq!(view.collections().unwrap(), std::slice::from_ref(&collection));
    let kept = view.document(collection.id, "a").unwrap();
    assert_eq!(view.content(&kept).unwrap(), content);
    let other = RedbCatalog::in_memory().unwrap();
    assert!(other.id() != id && other.secret() != secret);
}

#[test]
fn a_directory_is_one_processs_at_a_time() {
    let home = tempfile::tempdir().unwrap();
    let first = open(home.path()).unwrap();
    let second = open(home.path()).unwrap_err();
    assert_eq!(second.kind(), ErrorKind::Locked);
    assert!(second.to_string().contains("--url"), "{second}");
    drop(first);
    open(home.path()).unwrap();
}

#[test]
fn what_a_cut_left_of_a_new_file_is_in_nobodys_way() {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("catalog.redb.new"), [0; 5_000]).unwrap();
    assert!(open(home.path()).unwrap().view().unwrap().collections().unwrap().is_empty());
    assert!(!home.path().join("catalog.redb.new").exists());
}

#[test]
fn a_file_that_is_no_catalog_is_refused_and_left_alone() {
    for bytes in [Vec::new(), b"not a database".to_vec(), vec![0; 10_000]] {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("catalog.redb");
        fs::write(&path, &bytes).unwrap();
        let refused = open(home.path()).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Corrupt, "{}", refused.report());
        assert_eq!(fs::read(&path).unwrap(), bytes);
    }
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("catalog.redb");
    let table: redb::TableDefinition<'_, u64, u64> = redb::TableDefinition::new("others");
    let database = redb::Database::create(&path).unwrap();
    let transaction = database.begin_write().unwrap();
    transaction.open_table(table).unwrap().insert(1, 2).unwrap();
    transaction.commit().unwrap();
    drop(database);
    assert_eq!(open(home.path()).unwrap_err().kind(), ErrorKind::Corrupt);
    let transaction = redb::Database::open(&path).unwrap().begin_write().unwrap();
    let tables: Vec<String> =
        transaction.list_tables().unwrap().map(|table| redb::TableHandle::name(&table).to_owned()).collect();
    assert_eq!(tables, ["others"]);
}

#[test]
fn a_newer_format_is_refused_with_what_to_do() {
    let home = tempfile::tempdir().unwrap();
    drop(open(home.path()).unwrap());
    let database = redb::Database::open(home.path().join("catalog.redb")).unwrap();
    let transaction = database.begin_write().unwrap();
    let meta: redb::TableDefinition<'_, &str, &[u8]> = redb::TableDefinition::new("meta");
    transaction.open_table(meta).unwrap().insert("format", 2_u64.to_le_bytes().as_slice()).unwrap();
    transaction.commit().unwrap();
    drop(database);
    let refused = open(home.path()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Corrupt);
    assert!(refused.to_string().contains("format 2") && refused.to_string().contains("newer"), "{refused}");
}

//! A check finds what was damaged.

use super::RedbCatalog;
use super::script::steps;
use super::tables::{
    CHUNKS, CONTENT, CURRENT, DOCUMENTS, LANGUAGES, LIVE, NAMES, ORPHANS, PENDING, TALLIES, TEXT, Tables,
    VALUES, VECTORS,
};
use crate::{Catalog, ErrorKind};
use redb::{ReadableTable, TableDefinition, WriteTransaction};

/// A catalog with live, waiting and orphaned rows.
fn catalog() -> RedbCatalog {
    let catalog = RedbCatalog::in_memory().unwrap();
    for step in &steps()[..18] {
        step.run(&catalog).unwrap();
    }
    catalog
}

fn remove_first<K: redb::Key, V: redb::Value>(
    transaction: &WriteTransaction,
    table: TableDefinition<'static, K, V>,
) {
    let mut table = transaction.open_table(table).unwrap();
    assert!(table.pop_first().unwrap().is_some());
}

#[test]
fn whatever_is_damaged_is_found() {
    let report = catalog().check().unwrap();
    assert!(report.is_clean(), "{report:?}");
    assert!(report.collections == 1 && report.revisions > 2 && report.sources > 2, "{report:?}");

    type Damage = fn(&WriteTransaction);
    let damages: &[(&str, Damage)] = &[
        ("name", |of| remove_first(of, NAMES)),
        ("current", |of| remove_first(of, CURRENT)),
        ("live", |of| remove_first(of, LIVE)),
        ("document", |of| remove_first(of, DOCUMENTS)),
        ("pending", |of| remove_first(of, PENDING)),
        ("pending of nothing", |of| drop(of.open_table(PENDING).unwrap().insert(999, 1).unwrap())),
        ("orphan", |of| remove_first(of, ORPHANS)),
        ("content", |of| remove_first(of, CONTENT)),
        ("text", |of| remove_first(of, TEXT)),
        ("chunk", |of| remove_first(of, CHUNKS)),
        ("vectors", |of| remove_first(of, VECTORS)),
        ("text of nothing", |of| {
            drop(of.open_table(TEXT).unwrap().insert((999, 0), b"x".as_slice()).unwrap())
        }),
        ("tally", |of| remove_first(of, TALLIES)),
        ("value", |of| remove_first(of, VALUES)),
        ("value of nothing", |of| drop(of.open_table(VALUES).unwrap().insert((1, "x", "y"), 1).unwrap())),
        ("count of a value", |of| drop(of.open_table(VALUES).unwrap().insert((1, "k", "2"), 9).unwrap())),
        ("language", |of| remove_first(of, LANGUAGES)),
        ("row", |of| {
            let mut tables = Tables::open(of).unwrap();
            let revision = tables.documents.first().unwrap().unwrap().0.value();
            tables.documents.insert(revision, b"\xc1".as_slice()).unwrap();
        }),
        ("references", |of| {
            let mut tables = Tables::open(of).unwrap();
            let source = tables.sources.last().unwrap().unwrap().0.value();
            let mut row: super::rows::SourceRow =
                super::rows::decode(tables.sources.get(source).unwrap().unwrap().value()).unwrap();
            row.references += 1;
            tables.sources.insert(source, super::rows::encode(&row).unwrap().as_slice()).unwrap();
        }),
    ];
    for (what, damage) in damages {
        let catalog = catalog();
        catalog
            .opened
            .run(|database| {
                let transaction = database.begin_write()?;
                damage(&transaction);
                Ok(transaction.commit()?)
            })
            .unwrap();
        match catalog.check() {
            Ok(report) => assert!(!report.is_clean(), "{what}: nothing found"),
            Err(error) => assert_eq!(error.kind(), ErrorKind::Corrupt, "{what}: {}", error.report()),
        }
    }
}

#[test]
fn a_check_wants_the_catalog_for_itself() {
    let catalog = catalog();
    let view = catalog.view().unwrap();
    assert_eq!(catalog.check().unwrap_err().kind(), ErrorKind::Conflict);
    drop(view);
    assert!(catalog.check().unwrap().is_clean());
}

//! The catalog's contract, on redb.

use elodex_store::conformance::catalog;
use elodex_store::{CatalogOptions, RedbCatalog};

#[test]
fn a_catalog_in_memory_keeps_the_contract() {
    catalog::run(|| RedbCatalog::in_memory().unwrap());
}

#[test]
fn a_catalog_on_disk_keeps_the_contract() {
    let directory = tempfile::tempdir().unwrap();
    let mut number = 0;
    catalog::run(|| {
        number += 1;
        let own = directory.path().join(number.to_string());
        RedbCatalog::open(&own, &CatalogOptions::default()).unwrap()
    });
}

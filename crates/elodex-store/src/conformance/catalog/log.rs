//! The index log.

use super::{add, collection, document, ingest, parse, prepare, put, revision};
use crate::{Catalog, IndexOperation};
use elodex_types::Revision;

use IndexOperation::Add;

fn remove(revision: Revision, chunks: u32) -> IndexOperation {
    IndexOperation::Remove { revision, chunks }
}

pub(super) fn the_log_tells_the_index(catalog: &dyn Catalog) {
    let c = collection(catalog);
    let other = catalog.create_collection("other", super::settings()).unwrap();
    let first = add(catalog, &c, document("a", "one\ntwo", &[]));
    let elsewhere = add(catalog, &other, document("a", "one", &[]));
    let second = add(catalog, &c, document("a", "three", &[]));
    catalog.delete(c.id, &["a".to_owned()]).unwrap();
    let view = catalog.view().unwrap();
    let log = view.log(c.id, 0, 100).unwrap();
    let operations: Vec<IndexOperation> = log.iter().map(|(_, operation)| *operation).collect();
    assert_eq!(operations, [Add(first), Add(second), remove(first, 2), remove(second, 1)]);
    assert!(log.is_sorted_by(|(before, _), (after, _)| before < after) && log[0].0 > 0);
    assert_eq!(view.log(c.id, log[1].0, 1).unwrap(), [log[2]]);
    assert!(view.log(c.id, log[3].0, 1).unwrap().is_empty());
    let elsewhere_log = view.log(other.id, 0, 100).unwrap();
    assert_eq!(elsewhere_log.len(), 1);
    assert_eq!(elsewhere_log[0].1, Add(elsewhere));
}

pub(super) fn a_trimmed_log_goes_on(catalog: &dyn Catalog) {
    let c = collection(catalog);
    add(catalog, &c, document("a", "one", &[]));
    let b = add(catalog, &c, document("b", "two", &[]));
    let log = catalog.view().unwrap().log(c.id, 0, 9).unwrap();
    catalog.trim_log(c.id, log[0].0).unwrap();
    assert_eq!(catalog.view().unwrap().log(c.id, 0, 9).unwrap(), [(log[1].0, Add(b))]);
    catalog.trim_log(c.id, u64::MAX).unwrap();
    assert!(catalog.view().unwrap().log(c.id, 0, 9).unwrap().is_empty());
    let d = add(catalog, &c, document("d", "three", &[]));
    let later = catalog.view().unwrap().log(c.id, 0, 9).unwrap();
    assert_eq!(later[0].1, Add(d));
    assert!(later[0].0 > log[1].0, "a number came back");
}

pub(super) fn what_was_added_and_superseded_is_removed(catalog: &dyn Catalog) {
    let c = collection(catalog);
    // Parsed only: the index never heard of it.
    let parsed = revision(put(catalog, &c, document("a", "one\ntwo", &[])));
    catalog.store_parsed(vec![(parsed, parse("one\ntwo"))]).unwrap();
    let added = revision(put(catalog, &c, document("a", "three\nfour\nfive", &[])));
    prepare(catalog, added);
    let deleted = revision(put(catalog, &c, document("a", "six", &[])));
    prepare(catalog, deleted);
    catalog.delete(c.id, &["a".to_owned()]).unwrap();
    let failed = revision(put(catalog, &c, document("b", "seven", &[])));
    prepare(catalog, failed);
    catalog.fail(failed, elodex_types::IndexStatus::IndexingFailed, "no room").unwrap();
    let last = revision(put(catalog, &c, document("b", "eight", &[])));
    ingest(catalog, last);
    let log = catalog.view().unwrap().log(c.id, 0, 100).unwrap();
    let operations: Vec<IndexOperation> = log.iter().map(|(_, operation)| *operation).collect();
    let expected = [
        Add(added),
        remove(added, 3),
        Add(deleted),
        remove(deleted, 1),
        Add(failed),
        remove(failed, 1),
        Add(last),
    ];
    assert_eq!(operations, expected);
}

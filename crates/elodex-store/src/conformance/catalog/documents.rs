//! Accepting, changing and deleting documents.

use super::{
    add, assert_fails, attributes, collection, current, document, ingest, parse, paths, prepare, put,
    revision, slice,
};
use crate::{Accepted, Catalog, Change, ErrorKind, Published};
use elodex_types::{Content, IndexStatus, NewDocument};
use std::sync::Barrier;

pub(super) fn paths_conflict(catalog: &dyn Catalog) {
    let c = collection(catalog);
    put(catalog, &c, document("a", "x", &[]));
    // All or none: `b` is not accepted either.
    let both = vec![document("b", "y", &[]), document("a", "x", &[])];
    let refused = catalog.put(c.id, both, false).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict);
    assert!(refused.to_string().contains("`a`"), "{refused}");
    let twice = vec![document("b", "y", &[]), document("b", "z", &[])];
    assert_fails(catalog.put(c.id, twice, true), ErrorKind::Conflict);
    let view = catalog.view().unwrap();
    assert_fails(view.document(c.id, "b"), ErrorKind::NotFound);
    assert_eq!(view.counts(c.id).unwrap().parsing, 1);
    drop(view);
    let accepted = catalog.put(c.id, vec![document("b", "y", &[]), document("a", "z", &[])], true).unwrap();
    assert!(matches!(accepted[..], [Accepted::Created(_), Accepted::Replaced(_)]), "{accepted:?}");
}

pub(super) fn paths_are_in_order_of_bytes(catalog: &dyn Catalog) {
    let c = collection(catalog);
    let other = catalog.create_collection("other", super::settings()).unwrap();
    put(catalog, &other, document("d/between", "x", &[]));
    // U+FF5E sorts before U+1F600 by bytes, behind it by UTF-16 units.
    for path in ["d/b", "d/a", "e", "d/\u{1f600}", "d/Z", "d", "d/\u{ff5e}", "d/é"] {
        put(catalog, &c, document(path, path, &[]));
    }
    let view = catalog.view().unwrap();
    let sorted = ["d", "d/Z", "d/a", "d/b", "d/é", "d/\u{ff5e}", "d/\u{1f600}", "e"];
    assert_eq!(paths(&view.documents(c.id, "", None, 100).unwrap()), sorted);
    assert_eq!(paths(&view.documents(c.id, "d/", None, 100).unwrap()), sorted[1..7]);
    assert_eq!(paths(&view.documents(c.id, "d/", Some("d/a"), 2).unwrap()), ["d/b", "d/é"]);
    assert_eq!(paths(&view.documents(c.id, "d/", Some("a"), 1).unwrap()), ["d/Z"]);
    assert_eq!(paths(&view.documents(c.id, "", Some("d/aa"), 1).unwrap()), ["d/b"]);
    assert!(view.documents(c.id, "d/", Some("e"), 100).unwrap().is_empty());
    assert!(view.documents(c.id, "", None, 0).unwrap().is_empty());
    drop(view);
    for path in ["d/b", "e", "d"] {
        let of = current(catalog, &c, path).revision;
        ingest(catalog, of);
    }
    let view = catalog.view().unwrap();
    assert_eq!(paths(&view.live_documents(c.id, None, 2).unwrap()), ["d", "d/b"]);
    assert_eq!(paths(&view.live_documents(c.id, Some("d/b"), 2).unwrap()), ["e"]);
}

pub(super) fn the_same_document_is_unchanged(catalog: &dyn Catalog) {
    let c = collection(catalog);
    let first = revision(put(catalog, &c, document("a", "x", &[("k", "v")])));
    let same = || document("a", "x", &[("k", "v")]);
    assert_eq!(put(catalog, &c, same()), Accepted::Unchanged(first), "while it waits");
    ingest(catalog, first);
    assert_eq!(put(catalog, &c, same()), Accepted::Unchanged(first), "when it is live");
    // The same bytes sent in another way are not the same content.
    let file = NewDocument { content: Content::File(b"x".to_vec()), ..same() };
    assert!(matches!(put(catalog, &c, file), Accepted::Replaced(_)));
    let pages = |continuous| NewDocument {
        content: Content::Pages { pages: vec!["x".into()], continuous },
        ..same()
    };
    assert!(matches!(put(catalog, &c, pages(true)), Accepted::Replaced(_)));
    assert!(matches!(put(catalog, &c, pages(true)), Accepted::Unchanged(_)));
    assert!(matches!(put(catalog, &c, pages(false)), Accepted::Replaced(_)));
    let cut = NewDocument {
        content: Content::Pages { pages: vec!["x".into(), String::new()], continuous: false },
        ..same()
    };
    assert!(matches!(put(catalog, &c, cut), Accepted::Replaced(_)));
}

pub(super) fn other_metadata_share_the_source(catalog: &dyn Catalog) {
    let c = collection(catalog);
    let waiting = revision(put(catalog, &c, document("a", "one\ntwo", &[])));
    // While it waits: shared as well, and still to be parsed.
    let first = revision(put(catalog, &c, document("a", "one\ntwo", &[("k", "1")])));
    let shared = current(catalog, &c, "a");
    assert_eq!((shared.source, shared.status), (waiting, IndexStatus::NotParsed));
    assert_eq!(catalog.view().unwrap().revision(waiting).unwrap(), None);
    ingest(catalog, first);
    let live = current(catalog, &c, "a");

    let second = revision(put(catalog, &c, document("a", "one\ntwo", &[("k", "2")])));
    let new = current(catalog, &c, "a");
    assert_eq!((new.revision, new.source, new.status), (second, waiting, IndexStatus::NotIndexed));
    assert_eq!((&new.parsed, new.created, new.live), (&live.parsed, live.created, false));
    assert_ne!(new.id, live.id);
    let view = catalog.view().unwrap();
    assert!(view.vectors(&new, 0..2).unwrap().is_some(), "nothing is embedded again");
    assert_eq!(view.live_documents(c.id, None, 9).unwrap(), std::slice::from_ref(&live));
    drop(view);
    // An empty slice: the vectors are there.
    assert_eq!(catalog.begin(&[second], IndexStatus::Indexing).unwrap(), [true]);
    assert_eq!(catalog.store_vectors(vec![slice(second, 2, Vec::new())]).unwrap(), [true]);
    let published = catalog.publish(&[second]).unwrap()[0];
    assert_eq!(published, Published::Live { replaced: Some((first, 2)) });
    assert_eq!(catalog.view().unwrap().revision(first).unwrap(), None);
}

pub(super) fn a_failed_document_is_read_anew(catalog: &dyn Catalog) {
    let c = collection(catalog);
    let first = revision(put(catalog, &c, document("a", "x", &[])));
    catalog.fail(first, IndexStatus::ParsingFailed, "torn").unwrap();
    let Accepted::Replaced(second) = put(catalog, &c, document("a", "x", &[])) else {
        panic!("a failed document was kept")
    };
    let new = current(catalog, &c, "a");
    assert_eq!((new.revision, new.status, new.failure), (second, IndexStatus::NotParsed, None));
    assert_eq!(catalog.view().unwrap().revision(first).unwrap(), None);
}

pub(super) fn a_document_put_back_shares_the_live_source(catalog: &dyn Catalog) {
    let c = collection(catalog);
    let live = add(catalog, &c, document("a", "one", &[]));
    let other = revision(put(catalog, &c, document("a", "two", &[])));
    let back = revision(put(catalog, &c, document("a", "one", &[])));
    let new = current(catalog, &c, "a");
    assert_eq!((new.revision, new.source, new.status), (back, live, IndexStatus::NotIndexed));
    assert_eq!(catalog.begin(&[other], IndexStatus::Parsing).unwrap(), [false]);
    assert_eq!(ingest(catalog, back), Published::Live { replaced: Some((live, 1)) });
}

pub(super) fn updates_need_their_status(catalog: &dyn Catalog) {
    let c = collection(catalog);
    let metadata = || Change::Metadata(attributes(&[("k", "2")]));
    let update = |change| catalog.update(c.id, "a", change);
    assert_fails(update(metadata()), ErrorKind::NotFound);
    let first = revision(put(catalog, &c, document("a", "one\ntwo", &[("k", "1")])));
    let refused = update(metadata()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Invalid);
    assert!(refused.to_string().contains("not_parsed"), "{refused}");

    catalog.fail(first, IndexStatus::ParsingFailed, "torn").unwrap();
    assert_fails(update(metadata()), ErrorKind::Invalid);
    assert_fails(update(Change::Retry(IndexStatus::NotIndexed)), ErrorKind::Invalid);
    let again = update(Change::Retry(IndexStatus::NotParsed)).unwrap();
    assert_eq!((again.status, again.failure.as_deref()), (IndexStatus::NotParsed, None));
    catalog.store_parsed(vec![(again.revision, parse("one\ntwo"))]).unwrap();
    catalog.fail(again.revision, IndexStatus::IndexingFailed, "no model").unwrap();
    assert_fails(update(Change::Retry(IndexStatus::NotParsed)), ErrorKind::Invalid);
    assert_fails(update(Change::Retry(IndexStatus::Indexed)), ErrorKind::Invalid);
    let again = update(Change::Retry(IndexStatus::NotIndexed)).unwrap();
    assert_eq!(again, current(catalog, &c, "a"));
    ingest(catalog, again.revision);

    let live = current(catalog, &c, "a");
    let changed = update(metadata()).unwrap();
    assert_eq!(changed, current(catalog, &c, "a"));
    assert_eq!((changed.status, changed.live), (IndexStatus::NotIndexed, false));
    assert_eq!((changed.source, changed.metadata), (live.source, attributes(&[("k", "2")])));
    assert_ne!(changed.id, live.id);
    assert_eq!(catalog.view().unwrap().live_documents(c.id, None, 9).unwrap(), [live]);
    assert_fails(update(metadata()), ErrorKind::Invalid);
}

pub(super) fn deleting_tells_what_was_there(catalog: &dyn Catalog) {
    let c = collection(catalog);
    let live = add(catalog, &c, document("a", "one\ntwo", &[("k", "v")]));
    let new = revision(put(catalog, &c, document("a", "three", &[])));
    let waiting = revision(put(catalog, &c, document("b", "four", &[])));
    let asked = ["x", "b", "a", "b"].map(str::to_owned);
    assert_eq!(catalog.delete(c.id, &asked).unwrap(), ["b", "a"]);
    assert!(catalog.delete(c.id, &asked).unwrap().is_empty());
    let view = catalog.view().unwrap();
    assert!(view.documents(c.id, "", None, 9).unwrap().is_empty());
    assert!(view.live_documents(c.id, None, 9).unwrap().is_empty());
    assert!(view.pending(None, 9).unwrap().is_empty());
    for gone in [live, new, waiting] {
        assert_eq!(view.revision(gone).unwrap(), None);
    }
    drop(view);
    assert!(matches!(put(catalog, &c, document("a", "one\ntwo", &[])), Accepted::Created(_)));
}

pub(super) fn a_shared_source_outlives_its_first_revision(catalog: &dyn Catalog) {
    let c = collection(catalog);
    let first = add(catalog, &c, document("a", "one\ntwo", &[]));
    let second = catalog.update(c.id, "a", Change::Metadata(attributes(&[("k", "v")]))).unwrap().revision;
    ingest(catalog, second);
    while catalog.purge(1).unwrap() {}
    let old = current(catalog, &c, "a");
    assert_eq!(old.source, first);
    let view = catalog.view().unwrap();
    assert_eq!(view.content(&old).unwrap(), Content::Text("one\ntwo".into()));
    assert_eq!(view.text(&old, 4..7).unwrap(), "two");
    assert_eq!(view.chunks(&old, 0..2).unwrap().len(), 2);
    drop(view);
    let third = revision(put(catalog, &c, document("a", "three", &[])));
    prepare(catalog, third);
    catalog.publish(&[third]).unwrap();
    // Gone as soon as no revision has it, whether it is purged or not.
    assert_fails(catalog.view().unwrap().content(&old), ErrorKind::NotFound);
    while catalog.purge(1).unwrap() {}
    let view = catalog.view().unwrap();
    assert_fails(view.content(&old), ErrorKind::NotFound);
    assert_fails(view.text(&old, 0..1), ErrorKind::NotFound);
}

pub(super) fn callers_at_once_get_their_own_answers(catalog: &dyn Catalog) {
    const CALLERS: usize = 8;
    let c = collection(catalog);
    put(catalog, &c, document("taken", "x", &[]));
    let start = Barrier::new(CALLERS);
    std::thread::scope(|scope| {
        for caller in 0..CALLERS {
            let (start, id) = (&start, c.id);
            scope.spawn(move || {
                start.wait();
                for round in 0..4 {
                    let own = format!("{caller}/{round}");
                    let accepted = catalog.put(id, vec![document(&own, &own, &[])], false).unwrap();
                    assert!(matches!(accepted[..], [Accepted::Created(_)]));
                    let refused = vec![document(&format!("{own}x"), "y", &[]), document("taken", "y", &[])];
                    assert_fails(catalog.put(id, refused, false), ErrorKind::Conflict);
                    let view = catalog.view().unwrap();
                    let kept = view.document(id, &own).unwrap();
                    assert_eq!(view.content(&kept).unwrap(), Content::Text(own));
                }
            });
        }
    });
    assert_eq!(catalog.view().unwrap().counts(c.id).unwrap().parsing, 1 + 4 * CALLERS as u64);
}

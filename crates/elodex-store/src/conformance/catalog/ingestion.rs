//! Ingestion's calls, in and out of turn.

use super::{
    WIDTH, add, assert_fails, collection, current, document, ingest, parse, prepare, put, revision, slice,
    vectors,
};
use crate::{Catalog, Counts, ErrorKind, Published};
use elodex_types::{ChunkId, IndexStatus, Revision};

pub(super) fn a_document_goes_through_its_states(catalog: &dyn Catalog) {
    let c = collection(catalog);
    let text = "the first\nthe second";
    let of = revision(put(catalog, &c, document("a", text, &[])));
    let status = || current(catalog, &c, "a").status;
    let counts = || catalog.view().unwrap().counts(c.id).unwrap();
    let waiting = Counts { parsing: 1, ..Counts::default() };
    assert_eq!((status(), counts()), (IndexStatus::NotParsed, waiting));
    assert_fails(
        {
            let document = current(catalog, &c, "a");
            catalog.view().unwrap().text(&document, 0..1)
        },
        ErrorKind::NotFound,
    );
    assert_eq!(catalog.begin(&[of], IndexStatus::Parsing).unwrap(), [true]);
    assert_eq!((status(), counts()), (IndexStatus::Parsing, waiting));
    assert_eq!(catalog.store_parsed(vec![(of, parse(text))]).unwrap(), [true]);
    let parsed = Counts { indexing: 1, ..Counts::default() };
    assert_eq!((status(), counts()), (IndexStatus::NotIndexed, parsed));
    assert_eq!(current(catalog, &c, "a").parsed, Some(parse(text).info));
    assert_eq!(catalog.begin(&[of], IndexStatus::Indexing).unwrap(), [true]);
    assert_eq!((status(), counts()), (IndexStatus::Indexing, parsed));
    assert_eq!(catalog.store_vectors(vec![slice(of, 0, vectors(of, 2))]).unwrap(), [true]);
    assert!(!current(catalog, &c, "a").live);
    assert_eq!(catalog.publish(&[of]).unwrap(), [Published::Live { replaced: None }]);
    let live = current(catalog, &c, "a");
    assert_eq!((live.status, live.live, live.revision), (IndexStatus::Indexed, true, of));
    let indexed =
        Counts { indexed: 1, indexed_bytes: text.len() as u64, chunks: 2, terms: 4, ..Counts::default() };
    assert_eq!(counts(), indexed);
    assert!(catalog.view().unwrap().pending(None, 9).unwrap().is_empty());
}

pub(super) fn a_superseded_revision_is_not_wanted(catalog: &dyn Catalog) {
    let c = collection(catalog);
    let live = add(catalog, &c, document("a", "live", &[]));
    let old = revision(put(catalog, &c, document("a", "old", &[])));
    catalog.begin(&[old], IndexStatus::Parsing).unwrap();
    let new = revision(put(catalog, &c, document("a", "new", &[])));
    assert_eq!(catalog.begin(&[old, new], IndexStatus::Parsing).unwrap(), [false, true]);
    assert_eq!(catalog.store_parsed(vec![(old, parse("old")), (new, parse("new"))]).unwrap(), [false, true]);
    let both = vec![slice(old, 0, vec![1.0; 3]), slice(new, 0, vectors(new, 1))];
    assert_eq!(catalog.store_vectors(both).unwrap(), [false, true]);
    catalog.fail(old, IndexStatus::ParsingFailed, "late").unwrap();
    assert_eq!(current(catalog, &c, "a").status, IndexStatus::NotIndexed);
    let view = catalog.view().unwrap();
    assert_eq!(view.revision(old).unwrap(), None);
    assert!(view.revision(live).unwrap().unwrap().live, "searches see the old one until the new one is live");
    drop(view);
    let published = catalog.publish(&[old, new]).unwrap();
    assert_eq!(published, [Published::Superseded, Published::Live { replaced: Some((live, 1)) }]);
    assert_eq!(catalog.begin(&[Revision(1 << 40)], IndexStatus::Parsing).unwrap(), [false]);
}

pub(super) fn work_is_not_done_twice(catalog: &dyn Catalog) {
    let c = collection(catalog);
    let of = revision(put(catalog, &c, document("a", "one\ntwo", &[])));
    assert_eq!(catalog.begin(&[of], IndexStatus::Indexing).unwrap(), [false], "it is not parsed");
    // After a kill work begins again.
    assert_eq!(catalog.begin(&[of, of], IndexStatus::Parsing).unwrap(), [true, true]);
    assert_eq!(catalog.store_parsed(vec![(of, parse("one\ntwo"))]).unwrap(), [true]);
    assert_eq!(catalog.begin(&[of], IndexStatus::Parsing).unwrap(), [false], "it is parsed");
    assert_eq!(catalog.store_parsed(vec![(of, parse("x"))]).unwrap(), [false], "chunks never change");
    prepare(catalog, of);
    assert_eq!(catalog.store_vectors(vec![slice(of, 2, Vec::new())]).unwrap(), [true], "they are there");
    let log = catalog.view().unwrap().log(c.id, 0, 9).unwrap();
    assert_eq!(log.len(), 1, "{log:?}");
    let twice = catalog.publish(&[of, of]).unwrap();
    assert_eq!(twice, [Published::Live { replaced: None }; 2]);
    assert_eq!(catalog.view().unwrap().counts(c.id).unwrap().chunks, 2);
    for status in [IndexStatus::Parsing, IndexStatus::Indexing] {
        assert_eq!(catalog.begin(&[of], status).unwrap(), [false], "it is live");
    }
    assert_eq!(catalog.store_vectors(vec![slice(of, 2, Vec::new())]).unwrap(), [false]);
    catalog.fail(of, IndexStatus::IndexingFailed, "late").unwrap();
    assert_eq!(current(catalog, &c, "a").status, IndexStatus::Indexed);
}

pub(super) fn vectors_come_in_slices(catalog: &dyn Catalog) {
    let (c, of, all) = super::parsed_wide(catalog);
    let part = |from: usize, to: usize| slice(of, from as u32, all[from * 1_000..to * 1_000].to_vec());
    let parsed = current(catalog, &c, "a");
    // Again and overlapping, as after a kill; with ends inside and at the end of what a backend may keep together.
    for (from, to, stored) in
        [(0, 1, 1), (1, 66, 66), (0, 66, 66), (60, 130, 130), (130, 130, 130), (5, 9, 130)]
    {
        assert_eq!(catalog.store_vectors(vec![part(from, to)]).unwrap(), [true]);
        let view = catalog.view().unwrap();
        assert_eq!(view.embedded(&parsed).unwrap(), stored);
        assert_eq!(view.vectors(&parsed, 0..1).unwrap(), None, "not all are there");
        assert!(view.log(c.id, 0, 9).unwrap().is_empty(), "not all are there");
    }
    assert_fails(catalog.store_vectors(vec![part(131, 300)]), ErrorKind::Invalid);
    assert_fails(catalog.publish(&[of]), ErrorKind::Invalid);
    // Another version with the same content goes on where this one was.
    let next = revision(put(catalog, &c, document("a", &super::wide_text(), &[("k", "v")])));
    assert_eq!(catalog.store_vectors(vec![part(130, 131)]).unwrap(), [false], "it was replaced");
    let shared = current(catalog, &c, "a");
    assert_eq!(catalog.view().unwrap().embedded(&shared).unwrap(), 130);
    let rest = slice(next, 120, all[120_000..].to_vec());
    assert_eq!(catalog.store_vectors(vec![rest]).unwrap(), [true]);
    let view = catalog.view().unwrap();
    assert_eq!(view.embedded(&shared).unwrap(), 300);
    assert!(view.vectors(&shared, 0..300).unwrap().unwrap() == all);
    assert_eq!(view.log(c.id, 0, 9).unwrap().len(), 1);
    drop(view);
    assert_eq!(catalog.publish(&[next]).unwrap(), [Published::Live { replaced: None }]);
}

pub(super) fn a_failure_keeps_the_live_revision(catalog: &dyn Catalog) {
    let c = collection(catalog);
    let live = add(catalog, &c, document("a", "live", &[]));
    let new = revision(put(catalog, &c, document("a", "new", &[])));
    catalog.begin(&[new], IndexStatus::Parsing).unwrap();
    catalog.fail(new, IndexStatus::ParsingFailed, "the file is torn").unwrap();
    let failed = current(catalog, &c, "a");
    assert_eq!((failed.revision, failed.status), (new, IndexStatus::ParsingFailed));
    assert_eq!(failed.failure.as_deref(), Some("the file is torn"));
    let view = catalog.view().unwrap();
    assert!(view.revision(live).unwrap().unwrap().live);
    assert!(view.pending(None, 9).unwrap().is_empty());
    let counts = view.counts(c.id).unwrap();
    assert_eq!((counts.failed, counts.indexed, counts.chunks), (1, 0, 1));
    drop(view);
    assert_eq!(catalog.begin(&[new], IndexStatus::Parsing).unwrap(), [false]);
    assert_fails(catalog.fail(live, IndexStatus::Indexed, "?"), ErrorKind::Invalid);
    assert_fails(catalog.begin(&[new], IndexStatus::Indexed), ErrorKind::Invalid);
}

pub(super) fn what_does_not_add_up_is_refused(catalog: &dyn Catalog) {
    let c = collection(catalog);
    let good = revision(put(catalog, &c, document("good", "one\ntwo", &[])));
    let bad = revision(put(catalog, &c, document("bad", "one\ntwo", &[])));
    let mut parsed = parse("one\ntwo");
    parsed.info.chunks = 3;
    let both = vec![(good, parse("one\ntwo")), (bad, parsed.clone())];
    assert_fails(catalog.store_parsed(both), ErrorKind::Invalid);
    parsed.chunks = vec![parsed.chunks[0].clone(); ChunkId::MAX_CHUNKS as usize + 1];
    parsed.info.chunks = ChunkId::MAX_CHUNKS + 1;
    assert_fails(catalog.store_parsed(vec![(bad, parsed)]), ErrorKind::Invalid);
    assert_eq!(current(catalog, &c, "good").status, IndexStatus::NotParsed, "all or nothing");
    let both = vec![(good, parse("one\ntwo")), (bad, parse("one\ntwo"))];
    catalog.store_parsed(both).unwrap();
    for (first, components) in
        [(0, 2 * WIDTH - 1), (0, 3 * WIDTH), (1, WIDTH), (2, 0), (3, 0), (u32::MAX, WIDTH)]
    {
        let both = vec![slice(good, 0, vectors(good, 2)), slice(bad, first, vec![0.0; components])];
        assert_fails(catalog.store_vectors(both), ErrorKind::Invalid);
    }
    assert!(catalog.view().unwrap().log(c.id, 0, 9).unwrap().is_empty(), "all or nothing");
    assert_fails(catalog.publish(&[good]), ErrorKind::Invalid);
}

pub(super) fn pending_is_in_order_of_acceptance(catalog: &dyn Catalog) {
    let one = catalog.create_collection("one", super::settings()).unwrap();
    let two = catalog.create_collection("two", super::settings()).unwrap();
    let z = revision(put(catalog, &one, document("z", "z", &[])));
    let a = revision(put(catalog, &two, document("a", "a", &[])));
    let m = revision(put(catalog, &one, document("m", "m", &[])));
    assert!(z < a && a < m);
    let pending = |after, limit| -> Vec<Revision> {
        let view = catalog.view().unwrap();
        view.pending(after, limit).unwrap().iter().map(|document| document.revision).collect()
    };
    assert_eq!(pending(None, 9), [z, a, m]);
    assert_eq!(pending(None, 2), [z, a]);
    assert_eq!(pending(Some(z), 1), [a]);
    prepare(catalog, a);
    assert_eq!(pending(None, 9), [z, a, m], "it is not live yet");
    catalog.publish(&[a]).unwrap();
    catalog.fail(z, IndexStatus::ParsingFailed, "torn").unwrap();
    assert_eq!(pending(None, 9), [m]);
    catalog.update(one.id, "z", crate::Change::Retry(IndexStatus::NotParsed)).unwrap();
    assert_eq!(pending(None, 9), [z, m]);
}

pub(super) fn publishing_is_one_step(catalog: &dyn Catalog) {
    let c = collection(catalog);
    let old = [
        add(catalog, &c, document("a", "old a", &[("k", "1")])),
        add(catalog, &c, document("b", "old b", &[("k", "1")])),
    ];
    let new = [
        revision(put(catalog, &c, document("a", "new\na", &[("k", "2")]))),
        revision(put(catalog, &c, document("b", "new\nb", &[("k", "2")]))),
    ];
    for of in new {
        prepare(catalog, of);
    }
    let ids: Vec<ChunkId> = old.into_iter().chain(new).map(|of| ChunkId::new(of, 0).unwrap()).collect();
    let before = catalog.view().unwrap();
    let published = catalog.publish(&new).unwrap();
    let live = |of| Published::Live { replaced: Some((of, 1)) };
    assert_eq!(published, [live(old[0]), live(old[1])]);
    while catalog.purge(100).unwrap() {}
    let after = catalog.view().unwrap();
    for (view, ids, texts, value, chunks) in
        [(&before, &ids[..2], ["old a", "old b"], "1", 2), (&after, &ids[2..], ["new\n", "new\n"], "2", 4)]
    {
        let found = view.live_chunks(c.id, &super::reads::all(&old, &new)).unwrap();
        assert_eq!(found.iter().map(|chunk| chunk.id).collect::<Vec<_>>(), ids);
        assert_eq!(found.iter().map(|chunk| chunk.text.as_str()).collect::<Vec<_>>(), texts);
        assert_eq!(super::reads::values(&**view, &c, "k"), [value]);
        assert_eq!(view.counts(c.id).unwrap().chunks, chunks);
    }
}

pub(super) fn a_document_without_text_is_published(catalog: &dyn Catalog) {
    let c = collection(catalog);
    let of = revision(put(catalog, &c, document("empty", "", &[])));
    assert_eq!(ingest(catalog, of), Published::Live { replaced: None });
    let live = current(catalog, &c, "empty");
    let view = catalog.view().unwrap();
    assert_eq!(view.text(&live, 0..10).unwrap(), "");
    assert!(view.chunks(&live, 0..10).unwrap().is_empty());
    assert_eq!(view.vectors(&live, 0..10).unwrap(), Some(Vec::new()));
    assert_eq!(view.content(&live).unwrap(), elodex_types::Content::Text(String::new()));
}

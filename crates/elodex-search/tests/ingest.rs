//! Documents on their way from accepted to searchable.
#![expect(clippy::unwrap_used, reason = "a test may end by panic")]

mod common;

use common::{Ground, eventually, long_text, metadata, named, text, wait};
use elodex_search::ErrorKind;
use elodex_store::{Accepted, Catalog, Error, IndexBackend};
use elodex_types::{ChunkId, Content, CreateCollection, IndexStatus, NewDocument};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

fn store_error(kind: elodex_store::ErrorKind) -> Error {
    Error::new(kind, "as the test wants")
}

#[test]
fn a_document_becomes_one_live_point_with_its_own_vector() {
    let ground = Ground::new();
    let engine = ground.open();
    engine.create_collection(&named("tea")).unwrap();
    let accepted =
        engine.add("tea", vec![text("a.txt", "Green tea is steeped at eighty degrees.")], false).unwrap();
    let [Accepted::Created(revision)] = accepted[..] else { panic!("{accepted:?}") };
    wait(&engine, "tea");

    let (info, found) = engine.document("tea", "a.txt", true).unwrap();
    assert_eq!((info.status, found), (IndexStatus::Indexed, revision));
    assert_eq!(info.content.as_deref(), Some("Green tea is steeped at eighty degrees."));
    ground.assert_in_step("tea");
    let vector = ground.embed("Green tea is steeped at eighty degrees.");
    let nearest = ground.index("tea").dense(&vector, None, 1, true).unwrap();
    assert_eq!(nearest[0].id, ChunkId::new(revision, 0).unwrap());
    assert!((nearest[0].score - 1.0).abs() < 1e-5, "{nearest:?}");
    let status = engine.status(Some("tea")).unwrap();
    assert_eq!((status.num_documents, status.num_indexed_documents, status.num_chunks), (1, 1, 1));
    let average = ground.collection("tea").average_terms.unwrap();
    assert!(average >= 3.0, "{average}");
}

#[test]
fn every_status_is_passed_through_in_order() {
    let ground = Ground::new();
    let seen = Arc::new(Mutex::new(Vec::new()));
    for call in ["begin parsing", "store_parsed", "begin indexing", "store_vectors", "upsert", "publish"] {
        let (catalog, seen) = (Arc::clone(&ground.catalog), Arc::clone(&seen));
        ground.hooks.before(call, move || {
            let view = catalog.view()?;
            let document = view.document(view.collection("c")?.id, "a")?;
            seen.lock().unwrap().push((call, document.status, document.live));
            Ok(())
        });
    }
    let engine = ground.open();
    engine.create_collection(&named("c")).unwrap();
    engine.add("c", vec![text("a", "one two three")], false).unwrap();
    wait(&engine, "c");
    use IndexStatus::{Indexing, NotIndexed, NotParsed, Parsing};
    let expected = [
        ("begin parsing", NotParsed, false),
        ("store_parsed", Parsing, false),
        ("begin indexing", NotIndexed, false),
        ("store_vectors", Indexing, false),
        ("upsert", Indexing, false),
        ("publish", Indexing, false),
    ];
    assert_eq!(*seen.lock().unwrap(), expected);
}

#[test]
fn what_cannot_be_read_fails_with_a_reason_and_can_be_tried_or_replaced() {
    let ground = Ground::new();
    let engine = ground.open();
    engine.create_collection(&named("c")).unwrap();
    let broken = NewDocument {
        path: "broken.pdf".into(),
        metadata: Default::default(),
        content: Content::File(b"%PDF-1.7\nthis is no document".to_vec()),
    };
    engine.add("c", vec![broken, text("fine", "all is well here")], false).unwrap();
    wait(&engine, "c");
    let (info, first) = engine.document("c", "broken.pdf", true).unwrap();
    assert_eq!((info.status, info.content), (IndexStatus::ParsingFailed, None));
    assert!(!info.failure.unwrap_or_default().is_empty());
    assert_eq!(engine.document("c", "fine", false).unwrap().0.status, IndexStatus::Indexed);
    assert_eq!(engine.status(None).unwrap().num_failed_documents, 1);

    let refused = engine.update("c", "broken.pdf", None, Some(IndexStatus::NotIndexed)).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Request);
    let parsed_before = ground.hooks.calls("begin parsing");
    engine.update("c", "broken.pdf", None, Some(IndexStatus::NotParsed)).unwrap();
    eventually("it is read again", || ground.hooks.calls("begin parsing") > parsed_before);
    wait(&engine, "c");
    assert_eq!(engine.document("c", "broken.pdf", false).unwrap().0.status, IndexStatus::ParsingFailed);

    engine.add("c", vec![text("broken.pdf", "a readable text instead")], true).unwrap();
    wait(&engine, "c");
    let (info, second) = engine.document("c", "broken.pdf", true).unwrap();
    assert_eq!(info.status, IndexStatus::Indexed);
    assert!(second >= first);
    ground.assert_in_step("c");
}

#[test]
fn an_empty_document_ends_and_is_told_of() {
    let ground = Ground::new();
    let engine = ground.open();
    engine.create_collection(&named("c")).unwrap();
    engine.add("c", vec![text("empty", ""), text("blank", " \n\t "), text("full", "words")], false).unwrap();
    wait(&engine, "c");
    for path in ["empty", "blank"] {
        let (info, _) = engine.document("c", path, true).unwrap();
        assert!(!info.status.is_pending(), "{path}: {}", info.status);
        let failed = info.status == IndexStatus::ParsingFailed;
        assert_eq!(failed, info.failure.is_some(), "{path}: a failure has a reason, a success none");
    }
    ground.assert_in_step("c");
}

#[test]
fn what_may_pass_is_tried_again_at_every_step() {
    let calls = [
        "begin parsing",
        "store_parsed",
        "begin indexing",
        "store_vectors",
        "set_average_terms",
        "upsert",
        "publish",
    ];
    for call in calls {
        for kind in [elodex_store::ErrorKind::Full, elodex_store::ErrorKind::Backend] {
            let ground = Ground::new();
            let failures = Arc::new(AtomicUsize::new(0));
            let counted = Arc::clone(&failures);
            ground.hooks.before(call, move || match counted.fetch_add(1, Ordering::SeqCst) {
                0 => Err(store_error(kind)),
                _ => Ok(()),
            });
            let engine = ground.open();
            engine.create_collection(&named("c")).unwrap();
            engine.add("c", vec![text("a", "one two"), text("b", "three four")], false).unwrap();
            wait(&engine, "c");
            assert!(failures.load(Ordering::SeqCst) > 1, "{call} was not tried again");
            assert_eq!(engine.status(Some("c")).unwrap().num_indexed_documents, 2, "{call}");
            ground.assert_in_step("c");
        }
    }
}

#[test]
fn what_the_index_refuses_fails_alone_and_can_be_tried_again_without_embedding() {
    for panics in [false, true] {
        let ground = Ground::new();
        let engine = ground.open();
        engine.create_collection(&named("c")).unwrap();
        engine.add("c", vec![text("first", "zero")], false).unwrap();
        wait(&engine, "c");
        // The batch fails, then the first of the two alone.
        let left = Arc::new(AtomicUsize::new(2));
        ground.hooks.before("upsert", move || {
            let fails =
                left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
            assert!(!(fails && panics), "as the test wants");
            if fails { Err(store_error(elodex_store::ErrorKind::Invalid)) } else { Ok(()) }
        });
        engine.add("c", vec![text("a", "one two"), text("b", "three four")], false).unwrap();
        wait(&engine, "c");
        let (info, _) = engine.document("c", "a", false).unwrap();
        assert_eq!(info.status, IndexStatus::IndexingFailed);
        assert!(info.failure.unwrap().contains("as the test wants"));
        assert_eq!(engine.document("c", "b", false).unwrap().0.status, IndexStatus::Indexed);
        ground.assert_in_step("c");

        let computed = ground.models.service.stats().cache_misses;
        engine.update("c", "a", None, Some(IndexStatus::NotIndexed)).unwrap();
        wait(&engine, "c");
        assert_eq!(engine.document("c", "a", false).unwrap().0.status, IndexStatus::Indexed);
        assert_eq!(ground.models.service.stats().cache_misses, computed, "its vectors were stored");
        ground.assert_in_step("c");
    }
}

#[test]
fn a_reader_sees_the_old_document_or_the_new_one() {
    let ground = Ground::new();
    let engine = ground.open();
    engine.create_collection(&named("c")).unwrap();
    let version = |number: usize| format!("version {number} {}", long_text(number, 3));
    engine.add("c", vec![text("a", &version(0))], false).unwrap();
    wait(&engine, "c");
    let (id, done) = (ground.collection("c").id, AtomicBool::new(false));
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut seen = Vec::new();
            while !done.load(Ordering::SeqCst) {
                let view = ground.catalog.view().unwrap();
                let live = view.live_documents(id, None, 10).unwrap();
                let [document] = &live[..] else { panic!("{} live documents", live.len()) };
                let words = view.text(document, 0..usize::MAX).unwrap();
                let number: usize = words.split_whitespace().nth(1).unwrap().parse().unwrap();
                assert_eq!(words, version(number), "a mix of versions");
                assert!(seen.last().is_none_or(|last| *last <= number), "an older version came back");
                seen.push(number);
            }
            seen
        });
        for number in 1..=6 {
            engine.add("c", vec![text("a", &version(number))], true).unwrap();
            wait(&engine, "c");
        }
        done.store(true, Ordering::SeqCst);
        assert_eq!(reader.join().unwrap().last(), Some(&6));
    });
    ground.assert_in_step("c");
}

#[test]
fn unchanged_content_is_neither_read_nor_embedded_again() {
    let ground = Ground::new();
    let engine = ground.open();
    engine.create_collection(&named("c")).unwrap();
    let document = || NewDocument { metadata: metadata("lang", "en"), ..text("a", &long_text(1, 4)) };
    engine.add("c", vec![document()], false).unwrap();
    wait(&engine, "c");
    let before = ground.models.service.stats();
    let (_, revision) = engine.document("c", "a", false).unwrap();

    let again = engine.add("c", vec![document()], true).unwrap();
    assert_eq!(again, [Accepted::Unchanged(revision)]);
    let parsed = ground.hooks.calls("store_parsed");
    let other = NewDocument { metadata: metadata("lang", "fr"), ..document() };
    let again = engine.add("c", vec![other], true).unwrap();
    assert!(matches!(again[..], [Accepted::Replaced(_)]), "{again:?}");
    wait(&engine, "c");
    engine.update("c", "a", Some(metadata("lang", "de")), None).unwrap();
    wait(&engine, "c");

    let after = ground.models.service.stats();
    assert_eq!(
        (after.cache_misses, after.cache_hits),
        (before.cache_misses, before.cache_hits),
        "embedded again"
    );
    assert_eq!(ground.hooks.calls("store_parsed"), parsed, "read again");
    let (info, newest) = engine.document("c", "a", false).unwrap();
    assert_eq!((info.status, info.metadata), (IndexStatus::Indexed, metadata("lang", "de")));
    assert!(newest > revision);
    ground.assert_in_step("c");
    let german = elodex_store::Condition::AnyOf { attribute: "lang".into(), values: vec!["de".into()] };
    let vector = ground.embed("traveller");
    let found = ground.index("c").dense(&vector, Some(&german), 100, true).unwrap();
    assert_eq!(found.len(), ground.live_ids("c").len(), "the points have the new metadata");
}

#[test]
fn a_document_deleted_on_its_way_leaves_nothing() {
    for call in ["begin parsing", "store_parsed", "begin indexing", "store_vectors", "upsert", "publish"] {
        let ground = Ground::new();
        let engine = ground.open();
        engine.create_collection(&named("c")).unwrap();
        let (catalog, id, once) =
            (Arc::clone(&ground.catalog), ground.collection("c").id, AtomicBool::new(true));
        ground.hooks.before(call, move || {
            if once.swap(false, Ordering::SeqCst) {
                catalog.delete(id, &["a".into()])?;
            }
            Ok(())
        });
        engine.add("c", vec![text("a", "one two"), text("b", "three four")], false).unwrap();
        wait(&engine, "c");
        eventually("the index has only what is live", || ground.indexed_ids("c") == ground.live_ids("c"));
        let status = engine.status(Some("c")).unwrap();
        assert_eq!((status.num_documents, status.num_indexed_documents), (1, 1), "{call}");
        assert_eq!(engine.document("c", "a", false).unwrap_err().kind(), ErrorKind::NotFound);
    }
}

#[test]
fn a_collection_deleted_on_its_way_leaves_nothing() {
    for call in ["store_parsed", "begin indexing", "store_vectors", "set_average_terms", "upsert", "publish"]
    {
        let ground = Ground::new();
        let engine = ground.open();
        for name in ["gone", "stays"] {
            engine.create_collection(&named(name)).unwrap();
        }
        let id = ground.collection("gone").id;
        let (deleting, once) = (engine.clone(), AtomicBool::new(true));
        ground.hooks.before(call, move || {
            if once.swap(false, Ordering::SeqCst) {
                deleting.delete_collection("gone").unwrap();
            }
            Ok(())
        });
        engine.add("gone", vec![text("a", "one two"), text("b", &long_text(1, 5))], false).unwrap();
        engine.add("stays", vec![text("a", "one two")], false).unwrap();
        wait(&engine, "stays");
        use elodex_store::IndexBackend;
        eventually("its index goes", || !ground.backend.collections().unwrap().contains(&id));
        let status = engine.status(None).unwrap();
        assert_eq!((status.num_documents, status.num_indexed_documents), (1, 1), "{call}");
        assert_eq!(engine.status(Some("gone")).unwrap_err().kind(), ErrorKind::NotFound);
        // The name is free, and nothing of the old one comes back.
        engine.create_collection(&named("gone")).unwrap();
        engine.add("gone", vec![text("new", "five six")], false).unwrap();
        wait(&engine, "gone");
        ground.assert_in_step("gone");
        assert_eq!(ground.live_ids("gone").len(), 1);
        ground.hooks.before(call, || Ok(()));
    }
}

#[test]
fn deleting_removes_the_points_and_reports_what_existed() {
    let ground = Ground::new();
    let engine = ground.open();
    engine.create_collection(&named("c")).unwrap();
    let documents = (0..20).map(|number| text(&format!("d{number:02}"), &long_text(number, 2))).collect();
    engine.add("c", documents, false).unwrap();
    wait(&engine, "c");
    let paths: Vec<String> = ["d03", "nowhere", "d07"].map(String::from).to_vec();
    assert_eq!(engine.delete("c", &paths).unwrap(), ["d03", "d07"]);
    wait(&engine, "c");
    ground.assert_in_step("c");
    assert_eq!(engine.status(Some("c")).unwrap().num_documents, 18);
    assert_eq!(engine.delete("c", &paths).unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn progress_ends_with_everything_indexed_and_a_timeout_says_so() {
    let ground = Ground::new();
    let hold = Arc::new(AtomicBool::new(true));
    let held = Arc::clone(&hold);
    ground.hooks.before("publish", move || {
        while held.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    });
    let engine = ground.open();
    engine.create_collection(&named("c")).unwrap();
    wait(&engine, "c");
    engine.add("c", vec![text("a", &long_text(1, 6))], false).unwrap();
    assert!(!engine.wait_until_indexed("c", Some(Duration::from_millis(300)), &mut |_| ()).unwrap());
    hold.store(false, Ordering::SeqCst);
    let mut last = elodex_search::Progress::default();
    assert!(engine.wait_until_indexed("c", None, &mut |progress| last = progress).unwrap());
    let chunks = ground.live_ids("c").len() as u64;
    assert_eq!(last, elodex_search::Progress { pending: 0, indexed: 1, failed: 0, chunks });
    assert_eq!(engine.wait_until_indexed("d", None, &mut |_| ()).unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn large_and_small_documents_of_many_collections_all_arrive() {
    let ground = Ground::new();
    let engine = ground.open();
    let names = ["one", "two", "three"];
    for name in names {
        engine.create_collection(&named(name)).unwrap();
    }
    for round in 0..4 {
        for name in names {
            let small = (0..30)
                .map(|number| text(&format!("s{round}/{number}"), &format!("note {number} of {round}")));
            let large = text(&format!("l{round}"), &long_text(round, 300));
            engine.add(name, small.chain([large]).collect(), false).unwrap();
        }
    }
    for name in names {
        wait(&engine, name);
        let status = engine.status(Some(name)).unwrap();
        assert_eq!((status.num_documents, status.num_indexed_documents), (124, 124));
        assert!(status.num_chunks > 1_000, "{status:?}");
        ground.assert_in_step(name);
    }
    // Every chunk has the vector of its own text, however requests were put together.
    let view = ground.catalog.view().unwrap();
    let document = view.document(ground.collection("two").id, "l2").unwrap();
    let chunks = document.parsed.as_ref().unwrap().chunks;
    for ordinal in [0, chunks / 2, chunks - 1] {
        let chunk = view.chunks(&document, ordinal..ordinal + 1).unwrap().remove(0);
        assert!(chunk.headings.is_empty() && document.parsed.as_ref().unwrap().title.is_none());
        let direct = ground.embed(&view.text(&document, chunk.bytes).unwrap());
        let stored = view.vectors(&document, ordinal..ordinal + 1).unwrap().unwrap();
        assert_eq!(stored, *direct, "chunk {ordinal}");
    }
}

#[test]
fn whole_documents_are_one_chunk_each() {
    let ground = Ground::new();
    let engine = ground.open();
    let whole = CreateCollection { whole_documents: Some(true), ..named("c") };
    engine.create_collection(&whole).unwrap();
    engine.add("c", vec![text("long", &long_text(1, 50)), text("short", "words")], false).unwrap();
    wait(&engine, "c");
    assert_eq!(engine.status(Some("c")).unwrap().num_chunks, 2);
    ground.assert_in_step("c");
}

#[test]
fn the_index_is_optimised_while_a_large_document_is_written_and_while_it_is_made_again() {
    let mut ground = Ground::new();
    ground.options.optimise_after = 300;
    let engine = ground.open();
    engine.create_collection(&named("c")).unwrap();
    // From the first points to the document's publishing the writing thread does nothing else.
    let (first, last) = (Arc::new(AtomicUsize::new(usize::MAX)), Arc::new(AtomicUsize::new(0)));
    let (hooks, seen) = (Arc::clone(&ground.hooks), Arc::clone(&first));
    ground.hooks.before("upsert", move || {
        seen.fetch_min(hooks.calls("optimise"), Ordering::SeqCst);
        Ok(())
    });
    let (hooks, seen) = (Arc::clone(&ground.hooks), Arc::clone(&last));
    ground.hooks.before("publish", move || {
        seen.store(hooks.calls("optimise"), Ordering::SeqCst);
        Ok(())
    });
    engine.add("c", vec![text("a", &long_text(1, 1_500))], false).unwrap();
    wait(&engine, "c");
    let chunks = engine.status(Some("c")).unwrap().num_chunks;
    assert!(chunks > 600, "{chunks} are not many chunks");
    assert!(last.load(Ordering::SeqCst) > first.load(Ordering::SeqCst), "not before the document was whole");
    ground.assert_in_step("c");

    drop(engine);
    ground.backend.remove(ground.collection("c").id).unwrap();
    let before = ground.hooks.calls("optimise");
    let flushed = Arc::new(AtomicUsize::new(usize::MAX));
    let (hooks, seen) = (Arc::clone(&ground.hooks), Arc::clone(&flushed));
    // An index that was made again is flushed before anybody else has it.
    ground.hooks.before("flush", move || {
        seen.fetch_min(hooks.calls("optimise"), Ordering::SeqCst);
        Ok(())
    });
    let engine = ground.open();
    wait(&engine, "c");
    let flushed = flushed.load(Ordering::SeqCst);
    assert!(flushed != usize::MAX && flushed > before, "not before the index was whole");
    ground.assert_in_step("c");
}

//! What an engine finds when it opens, and makes good.
#![expect(clippy::unwrap_used, reason = "a test may end by panic")]

mod common;

use common::{Ground, OneModel, eventually, long_text, metadata, named, text, wait};
use elodex_search::{ErrorKind, SearchEngine};
use elodex_store::{Catalog, ChunkIndex, IndexBackend, IndexSpec, Point};
use elodex_types::{ChunkId, IndexStatus, NewDocument, Revision};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// All points of an index, by id.
fn points(ground: &Ground, name: &str) -> Vec<(ChunkId, f32)> {
    let index = ground.index(name);
    let width = ground.collection(name).settings.space.dimensions;
    let mut probe = vec![0.0; width];
    probe[0] = 1.0;
    let mut found: Vec<(ChunkId, f32)> = index
        .dense(&probe, None, usize::MAX, true)
        .unwrap()
        .into_iter()
        .map(|found| (found.id, found.score))
        .collect();
    found.sort_by_key(|(id, _)| *id);
    found
}

fn filled(ground: &Ground, documents: usize) -> SearchEngine {
    let engine = ground.open();
    engine.create_collection(&named("c")).unwrap();
    let documents = (0..documents).map(|number| text(&format!("d{number}"), &long_text(number, 2))).collect();
    engine.add("c", documents, false).unwrap();
    wait(&engine, "c");
    engine
}

#[test]
fn work_stopped_between_any_two_steps_is_finished_at_the_next_start() {
    for call in ["begin parsing", "store_parsed", "begin indexing", "store_vectors", "upsert", "publish"] {
        let ground = Ground::new();
        let engine = ground.open();
        engine.create_collection(&named("c")).unwrap();
        engine.add("c", vec![text("before", "zero")], false).unwrap();
        wait(&engine, "c");
        let stopped = Arc::new(AtomicBool::new(false));
        let at = Arc::clone(&stopped);
        // From here on every try fails, as if the process had been stopped at this step.
        ground.hooks.before(call, move || {
            at.store(true, Ordering::SeqCst);
            Err(elodex_store::Error::new(elodex_store::ErrorKind::Backend, "the machine is off"))
        });
        let documents = (0..10).map(|number| text(&format!("d{number}"), &long_text(number, 2))).collect();
        engine.add("c", documents, false).unwrap();
        engine.add("c", vec![text("before", "one")], true).unwrap();
        eventually("it comes so far", || stopped.load(Ordering::SeqCst));
        drop(engine);
        ground.hooks.before(call, || Ok(()));

        let engine = ground.open();
        wait(&engine, "c");
        assert_eq!(engine.status(Some("c")).unwrap().num_indexed_documents, 11, "{call}");
        assert_eq!(engine.document("c", "before", true).unwrap().0.content.as_deref(), Some("one"));
        ground.assert_in_step("c");
    }
}

#[test]
fn states_that_a_kill_leaves_are_pending_again() {
    let ground = Ground::new();
    let engine = ground.open();
    engine.create_collection(&named("c")).unwrap();
    drop(engine);
    let id = ground.collection("c").id;
    let documents = (0..4).map(|number| text(&format!("d{number}"), &long_text(number, 1))).collect();
    let accepted = ground.catalog.put(id, documents, false).unwrap();
    let revisions: Vec<Revision> = accepted
        .iter()
        .map(|accepted| match accepted {
            elodex_store::Accepted::Created(revision) => *revision,
            other => panic!("{other:?}"),
        })
        .collect();
    ground.catalog.begin(&revisions[..2], IndexStatus::Parsing).unwrap();
    let engine = ground.open();
    wait(&engine, "c");
    assert_eq!(engine.status(Some("c")).unwrap().num_indexed_documents, 4);
    ground.assert_in_step("c");
}

#[test]
fn a_revision_that_shares_vectors_never_stored_gets_them() {
    // The first version is read but not embedded when other metadata replace it.
    let ground = Ground::new();
    let engine = ground.open();
    engine.create_collection(&named("c")).unwrap();
    let refuse = || Err(elodex_store::Error::new(elodex_store::ErrorKind::Backend, "the machine is off"));
    ground.hooks.before("begin indexing", refuse);
    let document = |lang| NewDocument { metadata: metadata("lang", lang), ..text("a", &long_text(3, 3)) };
    engine.add("c", vec![document("en")], false).unwrap();
    eventually("it is read", || {
        engine.document("c", "a", false).unwrap().0.status == IndexStatus::NotIndexed
    });
    engine.add("c", vec![document("fr")], true).unwrap();
    ground.hooks.before("begin indexing", || Ok(()));
    wait(&engine, "c");
    let (info, _) = engine.document("c", "a", false).unwrap();
    assert_eq!((info.status, info.metadata), (IndexStatus::Indexed, metadata("lang", "fr")));
    ground.assert_in_step("c");
}

#[test]
fn a_lost_index_is_made_again_without_embedding() {
    let ground = Ground::new();
    drop(filled(&ground, 30));
    let before = points(&ground, "c");
    let computed = ground.models.service.stats().cache_misses;
    ground.backend.remove(ground.collection("c").id).unwrap();
    let engine = ground.open();
    assert_eq!(points(&ground, "c"), before);
    ground.assert_in_step("c");
    wait(&engine, "c");
    assert_eq!(ground.models.service.stats().cache_misses, computed);
}

#[test]
fn an_index_of_another_time_is_caught_up() {
    let ground = Ground::new();
    let engine = filled(&ground, 12);
    drop(engine);
    // What the index had on disk when the machine lost power: the catalog went on.
    let kept = points(&ground, "c");
    ground.hooks.before("trim_log", || {
        Err(elodex_store::Error::new(elodex_store::ErrorKind::Backend, "nothing is trimmed"))
    });
    let engine = ground.open();
    engine.delete("c", &["d1".into(), "d2".into()]).unwrap();
    engine.add("c", vec![text("d3", "another text"), text("new", &long_text(77, 2))], true).unwrap();
    wait(&engine, "c");
    let expected = points(&ground, "c");
    drop(engine);
    rewind(&ground, &kept);
    assert_ne!(points(&ground, "c"), expected);
    ground.hooks.before("trim_log", || Ok(()));

    let engine = ground.open();
    assert_eq!(points(&ground, "c"), expected);
    ground.assert_in_step("c");
    assert!(ground.catalog.view().unwrap().log(ground.collection("c").id, 0, 10).unwrap().is_empty());
    wait(&engine, "c");
}

/// Gives an index the ids of an earlier time: removes what was not there, and puts points without meaning where some
/// were.
fn rewind(ground: &Ground, kept: &[(ChunkId, f32)]) {
    let index = ground.index("c");
    let width = ground.collection("c").settings.space.dimensions;
    let now = ground.indexed_ids("c");
    let gone: Vec<ChunkId> =
        now.iter().copied().filter(|id| !kept.iter().any(|(kept, _)| kept == id)).collect();
    index.remove(&gone).unwrap();
    let back: Vec<Point> =
        kept.iter().filter(|(id, _)| !now.contains(id)).map(|(id, _)| stray(*id, width)).collect();
    index.upsert(&back).unwrap();
}

fn stray(id: ChunkId, width: usize) -> Point {
    Point { id, dense: vec![1.0; width], terms: Default::default(), metadata: Default::default() }
}

#[test]
fn strays_are_removed_and_holes_are_filled() {
    let ground = Ground::new();
    drop(filled(&ground, 8));
    let expected = points(&ground, "c");
    let index = ground.index("c");
    let width = ground.collection("c").settings.space.dimensions;
    let live = ground.live_ids("c");
    index.remove(&[live[0], live[live.len() / 2]]).unwrap();
    let beyond = ChunkId::new(live[0].revision(), 500_000).unwrap();
    let unknown = ChunkId::new(Revision(1 << 40), 0).unwrap();
    index.upsert(&[stray(beyond, width), stray(unknown, width)]).unwrap();
    let _engine = ground.open();
    assert_eq!(points(&ground, "c"), expected);
    ground.assert_in_step("c");
}

#[test]
fn an_index_of_no_collection_goes() {
    let ground = Ground::new();
    drop(filled(&ground, 1));
    let collection = ground.collection("c");
    let space = collection.settings.space;
    let spec = IndexSpec {
        catalog: 1,
        fingerprint: space.fingerprint,
        dimensions: space.dimensions,
        precision: collection.settings.precision,
        terms: elodex_search::TERMS_VERSION,
    };
    let stray = elodex_store::CollectionId(999);
    ground.backend.open(stray, &spec).unwrap();
    let _engine = ground.open();
    assert_eq!(ground.backend.collections().unwrap(), [collection.id]);
}

#[test]
fn weights_follow_the_average_length() {
    let ground = Ground::new();
    let engine = ground.open();
    engine.create_collection(&named("c")).unwrap();
    engine.add("c", vec![text("short", "one two")], false).unwrap();
    wait(&engine, "c");
    let first = ground.collection("c").average_terms.unwrap();
    let documents = (0..150).map(|number| text(&format!("d{number:03}"), &long_text(number, 1))).collect();
    engine.add("c", documents, false).unwrap();
    wait(&engine, "c");
    let view = ground.catalog.view().unwrap();
    let counts = view.counts(ground.collection("c").id).unwrap();
    let mean = counts.terms as f32 / counts.chunks as f32;
    let average = ground.collection("c").average_terms.unwrap();
    assert!(average > first * 2.0, "{first} {average}");
    assert!((average - mean).abs() <= 0.1 * average, "{average} {mean}");
    drop(view);

    // Points written at different times weigh as those of an index made in one go.
    let lexical = |ground: &Ground| weights(&*ground.index("c"), ground);
    let grown = lexical(&ground);
    drop(engine);
    ground.backend.remove(ground.collection("c").id).unwrap();
    // The average that is assumed must not change for the comparison.
    let kept = ground.collection("c").average_terms;
    let _engine = ground.open();
    let made = lexical(&ground);
    assert_eq!(grown.len(), made.len());
    let drift = ground.collection("c").average_terms.unwrap() / kept.unwrap();
    for ((id, grown), (other, made)) in grown.iter().zip(&made) {
        assert_eq!(id, other);
        assert!(
            (grown - made).abs() <= 0.05 * made.abs() + (drift - 1.0).abs() * made.abs(),
            "{grown} {made}"
        );
    }
}

/// BM25 of every chunk for a word they all have, by id.
fn weights(index: &dyn ChunkIndex, ground: &Ground) -> Vec<(ChunkId, f32)> {
    let collection = ground.collection("c");
    let view = ground.catalog.view().unwrap();
    let document = view.document(collection.id, "d007").unwrap();
    let language =
        document.parsed.unwrap().language.and_then(|code| elodex_text::lexical::Language::from_code(&code));
    let analyzer =
        elodex_text::lexical::Analyzer::new(language.unwrap_or(elodex_text::lexical::Language::Other));
    let terms = elodex_text::lexical::term_counts(&analyzer.terms("river"));
    let query = elodex_store::SparseVector {
        ids: terms.iter().map(|(id, _)| *id).collect(),
        weights: terms.iter().map(|_| 1.0).collect(),
    };
    let mut found: Vec<(ChunkId, f32)> = index
        .lexical(&query, None, usize::MAX)
        .unwrap()
        .into_iter()
        .map(|found| (found.id, found.score))
        .collect();
    assert!(found.len() > 100, "{}", found.len());
    found.sort_by_key(|(id, _)| *id);
    found
}

#[test]
fn documents_wait_for_the_embedder_they_are_bound_to() {
    let mut ground = Ground::new();
    drop(filled(&ground, 2));
    let id = ground.collection("c").id;
    ground.catalog.put(id, vec![text("later", "some words")], false).unwrap();
    let right = std::mem::replace(&mut ground.models, Arc::new(OneModel::golden("bert_bge")));
    let engine = ground.open();
    let refused = engine.wait_until_indexed("c", None, &mut |_| ()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict, "{}", refused.report());
    let refused = engine.add("c", vec![text("more", "words")], false).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict);
    drop(engine);
    let status = ground.catalog.view().unwrap().document(id, "later").unwrap().status;
    assert!(status.is_pending(), "{status}");

    ground.models = right;
    let engine = ground.open();
    wait(&engine, "c");
    assert_eq!(engine.document("c", "later", false).unwrap().0.status, IndexStatus::Indexed);
}

#[test]
fn waiting_ends_when_the_engine_shuts_down() {
    let ground = Ground::new();
    ground
        .hooks
        .before("publish", || Err(elodex_store::Error::new(elodex_store::ErrorKind::Backend, "not now")));
    let engine = ground.open();
    engine.create_collection(&named("c")).unwrap();
    engine.add("c", vec![text("a", "words")], false).unwrap();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| engine.wait_until_indexed("c", None, &mut |_| ()));
        engine.shutdown();
        let error = waiting.join().unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
    });
}

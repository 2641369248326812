//! Broken documents, a busy embedder, an embedder that goes away, slow readers: told clearly, and none of another's
//! business. A full disk is in `hardship_disk`.
#![expect(clippy::unwrap_used, reason = "a test may end by panic")]

mod common;

use common::{Ground, OneModel, eventually, long_text, named, text, wait};
use elodex_engine::{EngineLimits, RerankService};
use elodex_search::{Models, SearchEngine};
use elodex_store::{Catalog, ErrorKind};
use elodex_types::{
    CallContext, Content, EmbedRequest, IndexStatus, Latency, NewDocument, Role, SearchHit, SearchRequest,
    Unit, Weights,
};
use std::io::{Cursor, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Bytes of text a document may have in these tests.
const TEXT_BYTES: usize = 1 << 20;

fn caller() -> CallContext {
    CallContext { key: "test".into(), deadline: None }
}

fn search(engine: &SearchEngine, words: &str) -> Vec<SearchHit> {
    engine.search(&SearchRequest::new("c", words, Unit::Chunks, 10), &caller()).unwrap().hits
}

fn file(path: &str, bytes: Vec<u8>) -> NewDocument {
    NewDocument { content: Content::File(bytes), ..text(path, "") }
}

/// A DOCX of a few kilobytes whose document is `bytes` long.
fn zip_bomb(bytes: usize) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    writer.start_file("word/document.xml", zip::write::SimpleFileOptions::default()).unwrap();
    let blank = vec![b' '; 1 << 16];
    for _ in 0..bytes / blank.len() {
        writer.write_all(&blank).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

#[test]
fn what_cannot_be_read_fails_alone_and_says_what_to_do() {
    let mut ground = Ground::new();
    ground.options.text_bytes = TEXT_BYTES;
    let engine = ground.open();
    engine.create_collection(&named("c")).unwrap();
    let bomb = zip_bomb(32 * TEXT_BYTES);
    assert!(bomb.len() < TEXT_BYTES / 8, "{} bytes are no bomb", bomb.len());
    let torn = bomb[..bomb.len() / 2].to_vec();
    let corrupt =
        b"%PDF-1.7\n1 0 obj\n<< /Type /Catalog /Pages 2 0 R >>\nendobj\nand then the disk failed".to_vec();
    let broken = [
        ("corrupt.pdf", file("corrupt.pdf", corrupt), "the PDF"),
        ("bomb.docx", file("bomb.docx", bomb), "split the document, or raise the limit"),
        ("torn.docx", file("torn.docx", torn), "cannot read the zip archive"),
        ("long.txt", text("long.txt", &"w ".repeat(TEXT_BYTES)), "split"),
        ("bits.bin", file("bits.bin", vec![0; 4_096]), "is not text"),
    ];
    let mut documents: Vec<NewDocument> = broken.iter().map(|(_, document, _)| document.clone()).collect();
    documents.insert(0, text("first", "a lighthouse keeper counts ships"));
    documents.insert(3, file("second.md", b"# Ships\n\nThe harbour has a lighthouse.".to_vec()));
    documents.push(text("third", "no ship passes the lighthouse at night"));
    engine.add("c", documents, false).unwrap();
    wait(&engine, "c");
    for (path, _, advice) in &broken {
        let (info, _) = engine.document("c", path, false).unwrap();
        let reason = info.failure.unwrap_or_default();
        assert_eq!(info.status, IndexStatus::ParsingFailed, "{path}");
        assert!(reason.contains(advice), "{path}: {reason}");
    }
    let status = engine.status(Some("c")).unwrap();
    assert_eq!((status.num_indexed_documents, status.num_failed_documents), (3, 5));
    ground.assert_in_step("c");
    let mut found: Vec<String> = search(&engine, "lighthouse").into_iter().map(|hit| hit.path).collect();
    found.sort_unstable();
    assert_eq!(found, ["first", "second.md", "third"]);
}

#[test]
fn a_busy_embedder_is_waited_for() {
    let mut ground = Ground::new();
    let limits = EngineLimits { result_bytes: 20_000, ..EngineLimits::default() };
    ground.models = Arc::new(OneModel::golden_within("bert_minilm", limits));
    let engine = ground.open();
    engine.create_collection(&named("c")).unwrap();
    // Answers that nobody takes leave no room for others.
    let mut held = Vec::new();
    let refused = loop {
        let request = EmbedRequest {
            model: common::MODEL.into(),
            role: Some(Role::Document),
            inputs: vec![format!("held {}", held.len())],
            dimensions: None,
            truncation: None,
            latency: Latency::Auto,
        };
        match ground.models.service.submit(request, caller()) {
            Ok(pending) => held.push(pending),
            Err(error) => break error,
        }
    };
    assert_eq!(refused.kind(), elodex_engine::ErrorKind::QueueFull);
    let before = ground.models.service.stats().refused;
    engine.add("c", vec![text("a", "one two"), text("b", "three four")], false).unwrap();
    eventually("it is refused and asks again", || ground.models.service.stats().refused > before + 1);
    let status = engine.status(Some("c")).unwrap();
    assert_eq!((status.num_indexing_documents, status.num_failed_documents), (2, 0));
    drop(held);
    wait(&engine, "c");
    assert_eq!(engine.status(Some("c")).unwrap().num_indexed_documents, 2);
    ground.assert_in_step("c");
}

/// An embedder that ingestion loses after so many requests.
#[derive(Debug)]
struct GoesAway {
    inner: Arc<OneModel>,
    requests: AtomicUsize,
}

impl Models for GoesAway {
    fn embedder(&self, name: Option<&str>) -> elodex_search::Result<(String, elodex_engine::EmbedService)> {
        if std::thread::current().name() == Some("elodex-embed") {
            let less = |left: usize| left.checked_sub(1);
            self.requests.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less).map_err(|_| {
                elodex_search::Error::new(elodex_search::ErrorKind::Unavailable, "the embedder went away")
            })?;
        }
        self.inner.embedder(name)
    }

    fn reranker(&self, name: Option<&str>) -> elodex_search::Result<(String, RerankService)> {
        self.inner.reranker(name)
    }
}

#[test]
fn a_large_document_goes_on_where_it_was_stopped() {
    let ground = Ground::new();
    let models = Arc::new(GoesAway { inner: Arc::clone(&ground.models), requests: AtomicUsize::new(1) });
    let engine = ground.open_with(Arc::clone(&models) as Arc<dyn Models>);
    engine.create_collection(&named("c")).unwrap();
    let computed = || {
        let stats = ground.models.service.stats();
        stats.cache_hits + stats.cache_misses
    };
    let before = computed();
    engine.add("c", vec![text("large", &long_text(1, 500))], false).unwrap();
    let view = || ground.catalog.view().unwrap();
    let id = ground.collection("c").id;
    let large = || view().document(id, "large").unwrap();
    let embedded = || view().embedded(&large()).unwrap();
    eventually("the first part is kept", || embedded() > 0);
    let (kept, chunks) = (embedded(), large().parsed.unwrap().chunks);
    assert!(kept < chunks, "{kept} of {chunks}");
    assert_eq!((large().status, computed() - before), (IndexStatus::Indexing, u64::from(kept)));
    engine.shutdown();
    drop(engine);

    models.requests.store(usize::MAX, Ordering::SeqCst);
    let engine = ground.open_with(Arc::clone(&models) as Arc<dyn Models>);
    wait(&engine, "c");
    assert_eq!(computed() - before, u64::from(chunks), "some were computed twice");
    let stored = view().vectors(&large(), 0..chunks).unwrap().unwrap();
    let width = stored.len() / chunks as usize;
    for ordinal in [0, kept - 1, kept, chunks - 1] {
        let chunk = view().chunks(&large(), ordinal..ordinal + 1).unwrap().remove(0);
        let direct = ground.embed(&view().text(&large(), chunk.bytes).unwrap());
        assert_eq!(stored[ordinal as usize * width..][..width], *direct, "chunk {ordinal}");
    }
    ground.assert_in_step("c");
}

#[test]
fn a_disk_that_is_full_in_the_middle_of_a_large_document_is_waited_for() {
    let ground = Ground::new();
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    ground.hooks.before("store_vectors", move || match counted.fetch_add(1, Ordering::SeqCst) {
        1 => Err(elodex_store::Error::new(ErrorKind::Full, "as the test wants")),
        _ => Ok(()),
    });
    let engine = ground.open();
    engine.create_collection(&named("c")).unwrap();
    // Several slices of vectors.
    let documents = vec![text("large", &long_text(1, 700)), text("small", "beside it")];
    engine.add("c", documents, false).unwrap();
    wait(&engine, "c");
    let calls = calls.load(Ordering::SeqCst);
    assert!(calls > 3, "it was stored in {calls} pieces");
    let status = engine.status(Some("c")).unwrap();
    assert_eq!((status.num_indexed_documents, status.num_failed_documents), (2, 0));
    ground.assert_in_step("c");
}

#[test]
fn a_search_that_began_before_an_overwrite_reads_the_old_chunks_to_its_end() {
    let ground = Ground::new();
    let engine = ground.open();
    engine.create_collection(&named("c")).unwrap();
    let word = |version: &str| format!("the {version} timetable of the ferry");
    engine.add("c", vec![text("a", &word("winter"))], false).unwrap();
    wait(&engine, "c");
    let old = ground.live_ids("c");
    let (reached, release) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let (at, go_on) = (Arc::clone(&reached), Arc::clone(&release));
    ground.hooks.before("dense", move || {
        at.store(true, Ordering::SeqCst);
        while !go_on.load(Ordering::SeqCst) {
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        Ok(())
    });
    let request = SearchRequest {
        weights: Some(Weights { dense: 1.0, lexical: 0.0 }),
        ..SearchRequest::new("c", "ferry", Unit::Chunks, 10)
    };
    std::thread::scope(|scope| {
        let slow = scope.spawn(|| engine.search(&request, &caller()).unwrap().hits);
        eventually("the search has its view", || reached.load(Ordering::SeqCst));
        engine.add("c", vec![text("a", &word("summer"))], true).unwrap();
        eventually("the new version is live", || {
            engine.document("c", "a", false).unwrap().0.status == IndexStatus::Indexed
        });
        let new = ground.live_ids("c");
        let both: Vec<_> = old.iter().chain(&new).copied().collect();
        assert_eq!(ground.indexed_ids("c"), both, "the old points stay while somebody reads");
        assert_eq!(ground.hooks.calls("remove"), 0);
        release.store(true, Ordering::SeqCst);
        let hits = slow.join().unwrap();
        assert_eq!(hits.len(), 1);
        assert_eq!(hits[0].content.as_deref(), Some(word("winter").as_str()));
    });
    wait(&engine, "c");
    ground.assert_in_step("c");
    let hits = engine.search(&request, &caller()).unwrap().hits;
    assert_eq!(hits.iter().filter_map(|hit| hit.content.as_deref()).collect::<Vec<_>>(), [word("summer")]);
}

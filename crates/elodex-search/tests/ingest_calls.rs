//! What collections and documents refuse, and what they tell of themselves.
#![expect(clippy::unwrap_used, reason = "a test may end by panic")]

mod common;

use common::{Ground, long_text, metadata, named, text, wait};
use elodex_search::{ErrorKind, SearchOptions};
use elodex_store::Catalog;
use elodex_types::{
    Content, CreateCollection, IndexStatus, MetadataValue, NewDocument, Role, TruncationPolicy, Weights,
};

fn refusal(ground: &Ground, request: CreateCollection) -> String {
    let error = ground.open().create_collection(&request).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Request, "{}", error.report());
    assert!(ground.catalog.view().unwrap().collections().unwrap().is_empty());
    error.report()
}

#[test]
fn a_collection_s_settings_are_completed_and_kept() {
    let ground = Ground::new();
    let engine = ground.open();
    let info = engine.create_collection(&named("c")).unwrap();
    let model = ground.models.service.model();
    let full = model.resolve_dimensions(None).unwrap();
    assert_eq!((info.model.as_str(), info.dimensions), (common::MODEL, full));
    assert_eq!(info.fingerprint, model.fingerprint(full).to_string());
    let added = model.prepare("", Some(Role::Document), TruncationPolicy::Truncate).unwrap().truncation.seen;
    let window = model.info().max_tokens - added;
    assert_eq!(info.chunk_tokens, SearchOptions::default().chunk_tokens.min(window));
    assert_eq!((info.precision.as_str(), info.whole_documents, info.language), ("int8", false, None));
    assert_eq!(info.weights, Weights::default());

    let whole = CreateCollection {
        whole_documents: Some(true),
        language: Some("EN".into()),
        precision: Some("f32".into()),
        weights: Some(Weights { dense: 1.0, lexical: 0.0 }),
        passage_chars: Some(100),
        ..named("whole")
    };
    let info = engine.create_collection(&whole).unwrap();
    assert_eq!((info.chunk_tokens, info.chunk_overlap, info.whole_documents), (window, 0, true));
    assert_eq!((info.language.as_deref(), info.precision.as_str()), (Some("en"), "f32"));
    assert_eq!(engine.collection_info("whole").unwrap(), info);
    let names: Vec<String> = engine.collections().unwrap().into_iter().map(|info| info.name).collect();
    assert_eq!(names, ["c", "whole"]);

    engine.set_weights("whole", Weights { dense: 0.5, lexical: 2.0 }).unwrap();
    assert_eq!(engine.collection_info("whole").unwrap().weights, Weights { dense: 0.5, lexical: 2.0 });
}

#[test]
fn settings_that_cannot_be_are_refused_by_name() {
    let ground = Ground::new();
    let window = {
        let engine = ground.open();
        let whole = CreateCollection { whole_documents: Some(true), ..named("probe") };
        let window = engine.create_collection(&whole).unwrap().chunk_tokens;
        engine.delete_collection("probe").unwrap();
        window
    };
    assert!(refusal(&ground, named("")).contains("empty"));
    assert!(refusal(&ground, named(&"é".repeat(513))).contains("1026 bytes"));
    let too_many = CreateCollection { chunk_tokens: Some(window + 1), ..named("c") };
    assert!(refusal(&ground, too_many).contains(&format!("16 to {window}")));
    assert!(
        refusal(&ground, CreateCollection { chunk_tokens: Some(15), ..named("c") })
            .contains("chunk_tokens is 15")
    );
    let overlap = CreateCollection { chunk_tokens: Some(20), chunk_overlap: Some(11), ..named("c") };
    assert!(refusal(&ground, overlap).contains("chunk_overlap is 11"));
    assert!(
        refusal(&ground, CreateCollection { passage_chars: Some(3), ..named("c") })
            .contains("passage_chars is 3")
    );
    let language = refusal(&ground, CreateCollection { language: Some("xx".into()), ..named("c") });
    assert!(language.contains("`xx`") && language.contains("en"), "{language}");
    let precision = refusal(&ground, CreateCollection { precision: Some("int4".into()), ..named("c") });
    assert!(precision.contains("int4"), "{precision}");
    for (dense, lexical) in [(0.0, 0.0), (-1.0, 1.0), (f32::NAN, 1.0), (1.0, f32::INFINITY)] {
        let weights = Some(Weights { dense, lexical });
        refusal(&ground, CreateCollection { weights, ..named("c") });
    }
    assert!(refusal(&ground, CreateCollection { dimensions: Some(7), ..named("c") }).contains('7'));

    let engine = ground.open();
    let unknown = CreateCollection { model: Some("nobody".into()), ..named("c") };
    let error = engine.create_collection(&unknown).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.report().contains(common::MODEL), "{}", error.report());
    engine.create_collection(&named("c")).unwrap();
    assert_eq!(engine.create_collection(&named("c")).unwrap_err().kind(), ErrorKind::Conflict);
    let missing = engine.collection_info("d").unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::NotFound);
    assert!(missing.report().contains("`c`"), "{}", missing.report());
}

#[test]
fn documents_that_cannot_be_are_refused_and_none_of_their_request_is_kept() {
    let mut ground = Ground::new();
    ground.options.document_bytes = 100;
    let engine = ground.open();
    engine.create_collection(&named("c")).unwrap();
    let kind = |document: NewDocument| {
        engine.add("c", vec![text("fine", "words"), document], false).unwrap_err().kind()
    };
    assert_eq!(kind(text("", "words")), ErrorKind::Request);
    assert_eq!(kind(text(&"p".repeat(1_025), "words")), ErrorKind::Request);
    assert_eq!(kind(text("long", &"w".repeat(101))), ErrorKind::TooLarge);
    let list = NewDocument { metadata: metadata("list:tags", "a"), ..text("list", "words") };
    assert_eq!(kind(list), ErrorKind::Request);
    assert_eq!(kind(text("fine", "twice")), ErrorKind::Conflict);
    assert_eq!(engine.status(Some("c")).unwrap().num_documents, 0);
    assert_eq!(engine.add("d", vec![], false).unwrap_err().kind(), ErrorKind::NotFound);
    assert!(engine.add("c", vec![], false).unwrap().is_empty());

    engine.add("c", vec![text(&"p".repeat(1_024), "words")], false).unwrap();
    let again = engine.add("c", vec![text(&"p".repeat(1_024), "other")], false).unwrap_err();
    assert_eq!(again.kind(), ErrorKind::Conflict);
}

#[test]
fn updates_need_the_right_status() {
    let ground = Ground::new();
    let engine = ground.open();
    engine.create_collection(&named("c")).unwrap();
    engine.add("c", vec![text("a", "words")], false).unwrap();
    wait(&engine, "c");
    let kind = |metadata, retry| engine.update("c", "a", metadata, retry).unwrap_err().kind();
    assert_eq!(kind(None, Some(IndexStatus::NotParsed)), ErrorKind::Request);
    assert_eq!(kind(None, Some(IndexStatus::NotIndexed)), ErrorKind::Request);
    assert_eq!(kind(None, Some(IndexStatus::Indexed)), ErrorKind::Request);
    assert_eq!(kind(Some(metadata("a", "b")), Some(IndexStatus::NotParsed)), ErrorKind::Request);
    assert_eq!(kind(Some(metadata("a b", "c")), None), ErrorKind::Request);
    engine.update("c", "a", None, None).unwrap();
    assert_eq!(engine.update("c", "b", None, None).unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(engine.document("c", "a", false).unwrap().0.status, IndexStatus::Indexed);
}

#[test]
fn pages_and_files_are_given_back() {
    let ground = Ground::new();
    let engine = ground.open();
    engine.create_collection(&named("c")).unwrap();
    let pages = vec!["first page".to_owned(), "second page".to_owned()];
    let paged = |continuous| NewDocument {
        content: Content::Pages { pages: pages.clone(), continuous },
        ..text(if continuous { "book" } else { "table" }, "")
    };
    engine.add("c", vec![paged(true), paged(false), text("plain", "no pages")], false).unwrap();
    wait(&engine, "c");
    for path in ["book", "table"] {
        let (info, revision) = engine.document("c", path, false).unwrap();
        assert_eq!((info.pages, info.content, info.size), (Some(2), None, 21));
        let (page, of) = engine.page("c", path, 1, true).unwrap();
        assert_eq!((page.content.as_deref(), of), (Some("second page"), revision));
        let (other, _) = engine.page("c", path, 0, false).unwrap();
        assert!(other.content.is_none() && other.id != page.id && other.id != info.id);
        assert_eq!(engine.page("c", path, 2, true).unwrap_err().kind(), ErrorKind::NotFound);
        let (name, content) = engine.file(revision).unwrap();
        assert_eq!((name.as_str(), content), (path, paged(path == "book").content));
    }
    let (page, _) = engine.page("c", "plain", 0, true).unwrap();
    assert_eq!(page.content.as_deref(), Some("no pages"));
    assert_eq!(engine.page("c", "plain", 1, true).unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(engine.file(elodex_types::Revision(1 << 40)).unwrap_err().kind(), ErrorKind::NotFound);
    let chunks = ground.live_ids("c").len();
    assert_eq!(chunks, 4, "pages that stand alone are chunks of their own");
}

#[test]
fn listing_goes_by_path_with_prefix_and_cursor() {
    let ground = Ground::new();
    let engine = ground.open();
    engine.create_collection(&named("c")).unwrap();
    let documents = ["b/2", "a", "b/1", "b/10", "c"].map(|path| text(path, &long_text(1, 1)));
    engine.add("c", documents.to_vec(), false).unwrap();
    let list = |prefix: &str, after: Option<&str>, limit| -> Vec<String> {
        let found = engine.documents("c", prefix, after, limit).unwrap();
        found.into_iter().map(|(info, _)| info.path).collect()
    };
    assert_eq!(list("", None, 10), ["a", "b/1", "b/10", "b/2", "c"]);
    assert_eq!(list("b/", None, 2), ["b/1", "b/10"]);
    assert_eq!(list("b/", Some("b/10"), 2), ["b/2"]);
    assert!(list("", None, 0).is_empty());
}

#[test]
fn adding_is_counted_as_usage() {
    let ground = Ground::new();
    let engine = ground.open();
    engine.create_collection(&named("c")).unwrap();
    engine.add("c", vec![text("a", "12345"), text("b", "123")], false).unwrap();
    engine.add("c", vec![text("c", "1")], false).unwrap();
    engine.shutdown();
    let rows = ground.catalog.view().unwrap().usage(elodex_store::UsageKind::Documents, 0, u64::MAX).unwrap();
    let (count, bytes) = rows.iter().fold((0, 0), |sum, row| (sum.0 + row.count, sum.1 + row.bytes));
    assert_eq!((count, bytes), (3, 9));
    assert!(rows.iter().all(|row| row.subject == "c" && row.minute % 60 == 0));
}

#[test]
fn lists_are_attributes_too() {
    let ground = Ground::new();
    let engine = ground.open();
    engine.create_collection(&named("c")).unwrap();
    let tags = MetadataValue::List(vec!["x".into(), "y".into()]);
    let tagged = NewDocument { metadata: [("list:tags".to_owned(), tags)].into(), ..text("a", "words") };
    engine.add("c", vec![tagged.clone()], false).unwrap();
    wait(&engine, "c");
    assert_eq!(engine.document("c", "a", false).unwrap().0.metadata, tagged.metadata);
}

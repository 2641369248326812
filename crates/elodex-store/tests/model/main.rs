//! Random calls on the catalog and on a plain model of what is seen of it: they never differ.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod plain;

use elodex_store::conformance::catalog::{parse, settings, slice, vectors};
use elodex_store::{Accepted, Catalog, Change, Collection, Published, RedbCatalog};
use elodex_types::{Content, IndexStatus, Metadata, MetadataValue, NewDocument, Revision};
use plain::Plain;
use proptest::prelude::*;

/// Small sets, so that calls meet each other's documents.
#[derive(Debug, Clone)]
enum Call {
    Put {
        documents: Vec<(u8, u8, u8)>,
        overwrite: bool,
    },
    Metadata {
        path: u8,
        value: u8,
    },
    Retry {
        path: u8,
        parsing: bool,
    },
    Delete {
        paths: Vec<u8>,
    },
    /// On the newest revision, or on one of before.
    Begin {
        back: u8,
        parsing: bool,
    },
    Parse {
        back: u8,
    },
    /// This many chunks more, or as many as there are.
    Embed {
        back: u8,
        chunks: u8,
    },
    Publish {
        backs: Vec<u8>,
    },
    Fail {
        back: u8,
        parsing: bool,
    },
    /// Does all that the oldest waiting revision needs.
    Ingest,
    Trim {
        sequence: u8,
    },
    Purge {
        limit: u8,
    },
}

fn calls() -> impl Strategy<Value = Vec<Call>> {
    let path = || 0..4_u8;
    let document = (path(), 0..3_u8, 0..3_u8);
    let call = prop_oneof![
        4 => (prop::collection::vec(document, 1..4), any::<bool>())
            .prop_map(|(documents, overwrite)| Call::Put { documents, overwrite }),
        2 => (path(), 0..3_u8).prop_map(|(path, value)| Call::Metadata { path, value }),
        1 => (path(), any::<bool>()).prop_map(|(path, parsing)| Call::Retry { path, parsing }),
        1 => prop::collection::vec(path(), 0..3).prop_map(|paths| Call::Delete { paths }),
        2 => (0..4_u8, any::<bool>()).prop_map(|(back, parsing)| Call::Begin { back, parsing }),
        3 => (0..4_u8).prop_map(|back| Call::Parse { back }),
        3 => (0..4_u8, 0..3_u8).prop_map(|(back, chunks)| Call::Embed { back, chunks }),
        3 => prop::collection::vec(0..4_u8, 1..3).prop_map(|backs| Call::Publish { backs }),
        1 => (0..4_u8, any::<bool>()).prop_map(|(back, parsing)| Call::Fail { back, parsing }),
        4 => Just(Call::Ingest),
        1 => (0..20_u8).prop_map(|sequence| Call::Trim { sequence }),
        1 => (1..5_u8).prop_map(|limit| Call::Purge { limit }),
    ];
    prop::collection::vec(call, 1..40)
}

fn path(number: u8) -> String {
    ["a", "a/b", "é", "z"][number as usize].to_owned()
}

fn text(number: u8) -> String {
    ["", "the first", "second\nthird"][number as usize].to_owned()
}

fn metadata(number: u8) -> Metadata {
    let list = MetadataValue::List((0..number).map(|item| format!("v{}", item % 2)).collect());
    let value = MetadataValue::Text(format!("v{number}"));
    [("k".to_owned(), value), ("list:t".to_owned(), list)].into()
}

fn document(&(of, content, value): &(u8, u8, u8)) -> NewDocument {
    NewDocument { path: path(of), metadata: metadata(value), content: Content::Text(text(content)) }
}

fn status(parsing: bool, of: IndexStatus, other: IndexStatus) -> IndexStatus {
    if parsing { of } else { other }
}

/// A revision `back` before the newest there ever was.
fn revision(plain: &Plain, back: u8) -> Revision {
    Revision(plain.next.saturating_sub(1 + u64::from(back)))
}

fn run(catalog: &RedbCatalog, collection: &Collection, plain: &mut Plain, call: &Call) {
    let id = collection.id;
    match call {
        Call::Put { documents, overwrite } => {
            let documents: Vec<NewDocument> = documents.iter().map(document).collect();
            let expected = plain.put(&documents, *overwrite);
            let accepted: Option<Vec<Accepted>> = catalog.put(id, documents, *overwrite).ok();
            assert_eq!(accepted, expected);
        }
        Call::Metadata { path: of, value } => {
            let expected = plain.change_metadata(&path(*of), metadata(*value));
            let changed = catalog.update(id, &path(*of), Change::Metadata(metadata(*value))).ok();
            assert_eq!(changed.map(|document| document.revision), expected);
        }
        Call::Retry { path: of, parsing } => {
            let to = status(*parsing, IndexStatus::NotParsed, IndexStatus::NotIndexed);
            let expected = plain.retry(&path(*of), to);
            assert_eq!(catalog.update(id, &path(*of), Change::Retry(to)).is_ok(), expected);
        }
        Call::Delete { paths } => {
            let paths: Vec<String> = paths.iter().map(|of| path(*of)).collect();
            assert_eq!(catalog.delete(id, &paths).unwrap(), plain.delete(&paths));
        }
        Call::Begin { back, parsing } => {
            let of = revision(plain, *back);
            let to = status(*parsing, IndexStatus::Parsing, IndexStatus::Indexing);
            assert_eq!(catalog.begin(&[of], to).unwrap(), [plain.begin(of, to)]);
        }
        Call::Parse { back } => {
            let of = revision(plain, *back);
            let parsed = parse(plain.text_of(of).as_deref().unwrap_or("gone"));
            let expected = plain.store_parsed(of, &parsed.info);
            assert_eq!(catalog.store_parsed(vec![(of, parsed)]).unwrap(), [expected]);
        }
        Call::Embed { back, chunks } => embed(catalog, plain, revision(plain, *back), u32::from(*chunks)),
        Call::Publish { backs } => {
            let of: Vec<Revision> = backs.iter().map(|back| revision(plain, *back)).collect();
            let expected: Option<Vec<Published>> = plain.publish(&of);
            assert_eq!(catalog.publish(&of).ok(), expected);
        }
        Call::Fail { back, parsing } => {
            let of = revision(plain, *back);
            let to = status(*parsing, IndexStatus::ParsingFailed, IndexStatus::IndexingFailed);
            plain.fail(of, to);
            catalog.fail(of, to, "torn").unwrap();
        }
        Call::Ingest => ingest(catalog, plain),
        Call::Trim { sequence } => {
            plain.log.retain(|(at, _)| *at > u64::from(*sequence));
            catalog.trim_log(id, u64::from(*sequence)).unwrap();
        }
        Call::Purge { limit } => drop(catalog.purge(usize::from(*limit)).unwrap()),
    }
}

fn embed(catalog: &RedbCatalog, plain: &mut Plain, of: Revision, more: u32) {
    let (source, chunks, first) = plain.chunks_of(of).unwrap_or((of, 1, 0));
    let end = chunks.min(first.saturating_add(more));
    let width = settings().space.dimensions;
    let made = vectors(source, end).split_off(first as usize * width);
    let expected = plain.store_vectors(of, end);
    assert_eq!(catalog.store_vectors(vec![slice(of, first, made)]).unwrap(), [expected]);
}

fn ingest(catalog: &RedbCatalog, plain: &mut Plain) {
    let Some(of) = plain.pending().first().copied() else { return };
    if plain.chunks_of(of).is_none() {
        let parsed = parse(&plain.text_of(of).unwrap());
        assert!(plain.store_parsed(of, &parsed.info));
        assert_eq!(catalog.store_parsed(vec![(of, parsed)]).unwrap(), [true]);
    }
    embed(catalog, plain, of, u32::MAX);
    let expected = plain.publish(&[of]).unwrap();
    assert_eq!(catalog.publish(&[of]).unwrap(), expected);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn the_catalog_shows_what_the_model_shows(calls in calls()) {
        let catalog = RedbCatalog::in_memory().unwrap();
        let collection = catalog.create_collection("c", settings()).unwrap();
        let mut plain = Plain::default();
        for call in &calls {
            // What was seen before is still seen through an old view.
            let old_view = catalog.view().unwrap();
            let before = plain.clone();
            run(&catalog, &collection, &mut plain, call);
            before.compare(&*old_view, &collection);
            drop(old_view);
            plain.compare(&*catalog.view().unwrap(), &collection);
        }
        let report = catalog.check().unwrap();
        prop_assert!(report.is_clean(), "{:?}", report);
        while catalog.purge(3).unwrap() {}
        plain.compare(&*catalog.view().unwrap(), &collection);
        let report = catalog.check().unwrap();
        prop_assert!(report.is_clean(), "{:?}", report);
        prop_assert_eq!(report.sources, plain.sources());
    }
}

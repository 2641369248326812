//! Files of earlier versions are read. `fixtures/v1` was written by `write_the_fixture`: never write it again once a
//! release has it; a new format gets a new fixture beside it.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use elodex_store::conformance::catalog::{parse, settings, slice, vectors};
use elodex_store::{Catalog, CatalogOptions, Counts, IndexOperation, RedbCatalog, UsageKind, UsageRow};
use elodex_types::{ChunkId, Content, IndexStatus, Metadata, MetadataValue, NewDocument, Revision};
use std::fs;
use std::ops::Bound;
use std::path::{Path, PathBuf};

const TEXT: &str = "the first line\nthe second, mit Ümläuten";

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/v1")
}

fn metadata() -> Metadata {
    let list = MetadataValue::List(vec!["x".into(), "y".into()]);
    [("k".to_owned(), MetadataValue::Text("v".into())), ("list:t".to_owned(), list)].into()
}

fn document(path: &str, content: Content) -> NewDocument {
    NewDocument { path: path.into(), metadata: metadata(), content }
}

fn usage() -> UsageRow {
    UsageRow { kind: UsageKind::Embed, subject: "m".into(), minute: 60, count: 2, bytes: 30 }
}

#[test]
#[ignore = "writes the fixture of this version"]
fn write_the_fixture() {
    fs::remove_dir_all(fixture()).ok();
    let catalog = RedbCatalog::open(&fixture(), &CatalogOptions::default()).unwrap();
    let id = catalog.create_collection("c", settings()).unwrap().id;
    let pages = Content::Pages { pages: vec!["one".into(), "two".into()], continuous: true };
    let file = Content::File(b"%PDF".to_vec());
    let text = Content::Text(TEXT.into());
    let new = vec![document("live", text), document("waiting", pages), document("failed", file)];
    catalog.put(id, new, false).unwrap();
    let live = Revision(1);
    catalog.store_parsed(vec![(live, parse(TEXT))]).unwrap();
    catalog.store_vectors(vec![slice(live, 0, vectors(live, 2))]).unwrap();
    catalog.publish(&[live]).unwrap();
    catalog.fail(Revision(3), IndexStatus::ParsingFailed, "torn").unwrap();
    catalog.add_usage(&[usage()]).unwrap();
    catalog.set_average_terms(id, 3.5).unwrap();
    catalog.create_collection("gone", settings()).unwrap();
    catalog.delete_collection("gone").unwrap();
    drop(catalog);
    redb::Database::open(fixture().join("catalog.redb")).unwrap().compact().unwrap();
    fs::remove_file(fixture().join("lock")).unwrap();
    let mut backup = fs::File::create(fixture().join("backup")).unwrap();
    let home = tempfile::tempdir().unwrap();
    fs::copy(fixture().join("catalog.redb"), home.path().join("catalog.redb")).unwrap();
    let catalog = RedbCatalog::open(home.path(), &CatalogOptions::default()).unwrap();
    catalog.backup(&mut backup, &mut |_| {}).unwrap();
}

#[test]
fn a_data_directory_of_format_1_is_read() {
    let home = tempfile::tempdir().unwrap();
    let file = fs::read(fixture().join("catalog.redb")).unwrap();
    assert!(file.len() < 200_000, "{} bytes are many for a fixture", file.len());
    fs::write(home.path().join("catalog.redb"), file).unwrap();
    assert_fixture(&RedbCatalog::open(home.path(), &CatalogOptions::default()).unwrap());
}

#[test]
fn a_backup_of_version_1_is_restored() {
    let home = tempfile::tempdir().unwrap();
    let directory = home.path().join("data");
    let mut backup = fs::File::open(fixture().join("backup")).unwrap();
    RedbCatalog::restore(&mut backup, &directory, &mut |_| {}).unwrap();
    assert_fixture(&RedbCatalog::open(&directory, &CatalogOptions::default()).unwrap());
}

fn assert_fixture(catalog: &RedbCatalog) {
    let view = catalog.view().unwrap();
    let collection = view.collection("c").unwrap();
    assert_eq!(view.collections().unwrap(), std::slice::from_ref(&collection));
    assert_eq!((&collection.settings, collection.average_terms), (&settings(), Some(3.5)));
    let id = collection.id;
    let counts = Counts {
        parsing: 1,
        indexing: 0,
        indexed: 1,
        failed: 1,
        indexed_bytes: TEXT.len() as u64,
        chunks: 2,
        terms: 7,
    };
    assert_eq!(view.counts(id).unwrap(), counts);
    assert_eq!(view.languages(id).unwrap(), [("en".to_owned(), 1)]);
    let every = (Bound::Unbounded, Bound::Unbounded);
    assert_eq!(view.attribute_values(id, "list:t", every, 9).unwrap(), ["x", "y"]);
    assert_eq!(view.log(id, 0, 9).unwrap(), [(1, IndexOperation::Add(Revision(1)))]);
    assert_eq!(view.usage(UsageKind::Embed, 0, 100).unwrap(), [usage()]);

    let documents = view.documents(id, "", None, 9).unwrap();
    let [failed, live, waiting] = &documents[..] else { panic!("{documents:?}") };
    assert_eq!((failed.status, failed.failure.as_deref()), (IndexStatus::ParsingFailed, Some("torn")));
    assert_eq!(view.content(failed).unwrap(), Content::File(b"%PDF".to_vec()));
    let pages = Content::Pages { pages: vec!["one".into(), "two".into()], continuous: true };
    assert_eq!(view.content(waiting).unwrap(), pages);
    assert_eq!(view.pending(None, 9).unwrap(), std::slice::from_ref(waiting));
    assert_eq!(
        (&live.path, &live.metadata, live.status),
        (&"live".to_owned(), &metadata(), IndexStatus::Indexed)
    );
    assert_eq!(live.parsed, Some(parse(TEXT).info));
    assert_eq!(view.vectors(live, 0..2).unwrap(), Some(vectors(Revision(1), 2)));
    let found = view.live_chunks(id, &[ChunkId::new(Revision(1), 1).unwrap()]).unwrap();
    assert_eq!((&found[0].chunk, found[0].text.as_str()), (&parse(TEXT).chunks[1], &TEXT[15..]));
    drop(view);
    assert!(catalog.check().unwrap().is_clean());
    while catalog.purge(1).unwrap() {}
    assert!(catalog.check().unwrap().is_clean());
}

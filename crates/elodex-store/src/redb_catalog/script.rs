//! A catalog's life in steps, each one call, and all that is seen of a catalog as text: what tests of faults and backups
//! compare.

use crate::{
    Catalog, Change, Chunk, Chunking, CollectionId, CollectionSettings, Parsed, ParsedInfo, Precision,
    Result, Space, UsageKind, UsageRow, VectorSlice,
};
use elodex_types::{Content, IndexStatus, MetadataValue, NewDocument, Revision, SpaceFingerprint, Weights};
use std::fmt::Write;
use std::ops::Bound;

type Run = Box<dyn Fn(&dyn Catalog) -> Result<()>>;

/// One call.
pub(super) struct Step(Run);

impl Step {
    pub(super) fn run(&self, catalog: &dyn Catalog) -> Result<()> {
        (self.0)(catalog)
    }
}

fn step<T>(run: impl Fn(&dyn Catalog) -> Result<T> + 'static) -> Step {
    Step(Box::new(move |catalog| run(catalog).map(drop)))
}

const C: CollectionId = CollectionId(1);

fn settings() -> CollectionSettings {
    CollectionSettings {
        space: Space { model: "m".into(), fingerprint: SpaceFingerprint::new([7; 32]), dimensions: 3 },
        chunking: Chunking { tokens: 100, overlap: 10, passage_chars: 50, whole: false },
        language: None,
        precision: Precision::F32,
        weights: Weights::default(),
        policy: None,
    }
}

fn document(path: &str, text: &str, value: &str) -> NewDocument {
    let metadata = [("k".to_owned(), MetadataValue::Text(value.to_owned()))].into();
    NewDocument { path: path.into(), metadata, content: Content::Text(text.into()) }
}

fn parsed(text: &str) -> Parsed {
    let half = text.len() / 2;
    let chunk = |from: usize, to: usize| Chunk {
        bytes: from..to,
        chars: from..to,
        pages: None,
        headings: vec!["h".into()],
        passages: Vec::new(),
    };
    let info = ParsedInfo {
        title: None,
        language: Some("en".into()),
        media_type: "text/plain".into(),
        pages: None,
        text_bytes: text.len() as u64,
        chunks: 2,
        terms: 5,
    };
    let chunks = vec![chunk(0, half), chunk(half, text.len())];
    Parsed { info, text: text.to_owned(), pages: Vec::new(), chunks }
}

/// Vectors that tell their revision.
fn slice(revision: u64, first: u32, chunks: usize) -> VectorSlice {
    VectorSlice { revision: Revision(revision), first, vectors: vec![revision as f32; 3 * chunks] }
}

/// Revisions are numbered from 1, so each step can name those that it is about.
pub(super) fn steps() -> Vec<Step> {
    let long = "many words ".repeat(20_000);
    let (sent, read) = (long.clone(), long);
    let paths = |paths: &[&str]| paths.iter().map(|path| (*path).to_owned()).collect::<Vec<_>>();
    let (b, d) = (paths(&["b"]), paths(&["a", "d"]));
    vec![
        step(|catalog| catalog.create_collection("c", settings())),
        step(move |catalog| {
            catalog.put(C, vec![document("a", "short", "1"), document("b", &sent, "1")], false)
        }),
        step(|catalog| catalog.begin(&[Revision(1), Revision(2)], IndexStatus::Parsing)),
        step(move |catalog| {
            catalog.store_parsed(vec![(Revision(1), parsed("short")), (Revision(2), parsed(&read))])
        }),
        step(|catalog| catalog.store_vectors(vec![slice(1, 0, 2), slice(2, 0, 1)])),
        step(|catalog| catalog.store_vectors(vec![slice(2, 1, 1)])),
        step(|catalog| catalog.publish(&[Revision(1), Revision(2)])),
        step(|catalog| {
            let new = [("a", "short", "2"), ("b", "other", "2"), ("d", "torn", "2")];
            catalog.put(C, new.map(|(path, text, value)| document(path, text, value)).into(), true)
        }),
        step(|catalog| catalog.store_vectors(vec![slice(3, 2, 0)])),
        step(|catalog| catalog.publish(&[Revision(3)])),
        step(|catalog| catalog.store_parsed(vec![(Revision(4), parsed("other"))])),
        step(|catalog| catalog.fail(Revision(5), IndexStatus::ParsingFailed, "torn")),
        step(|catalog| catalog.update(C, "d", Change::Retry(IndexStatus::NotParsed))),
        step(|catalog| catalog.update(C, "a", Change::Metadata(document("", "", "3").metadata))),
        step(|catalog| catalog.trim_log(C, 1)),
        step(|catalog| {
            catalog.add_usage(&[UsageRow {
                kind: UsageKind::Queries,
                subject: "c".into(),
                minute: 60,
                count: 1,
                bytes: 5,
            }])
        }),
        step(|catalog| catalog.set_average_terms(C, 2.5)),
        step(move |catalog| catalog.delete(C, &b)),
        step(|catalog| catalog.purge(3)),
        step(|catalog| catalog.create_collection("e", settings())),
        step(|catalog| catalog.put(CollectionId(2), vec![document("x", "kept", "1")], false)),
        step(move |catalog| catalog.delete(C, &d)),
        step(|catalog| catalog.delete_collection("c")),
        step(|catalog| catalog.purge(2)),
        step(|catalog| catalog.purge(1_000)),
    ]
}

/// All that is seen, without what differs from run to run.
pub(super) fn snapshot(catalog: &dyn Catalog) -> String {
    let mut seen = String::new();
    write_snapshot(catalog, &mut seen).unwrap();
    seen
}

fn write_snapshot(catalog: &dyn Catalog, seen: &mut String) -> std::fmt::Result {
    let view = catalog.view().unwrap();
    for collection in view.collections().unwrap() {
        let id = collection.id;
        writeln!(
            seen,
            "collection {} {id:?} {:?} {:?}",
            collection.name, collection.settings, collection.average_terms
        )?;
        writeln!(seen, "{:?}", view.counts(id).unwrap())?;
        writeln!(seen, "{:?}", view.languages(id).unwrap())?;
        writeln!(seen, "{:?}", view.log(id, 0, 1_000).unwrap())?;
        let every = (Bound::Unbounded, Bound::Unbounded);
        writeln!(seen, "{:?}", view.attribute_values(id, "k", every, 1_000).unwrap())?;
        let current = view.documents(id, "", None, 1_000).unwrap();
        let live = view.live_documents(id, None, 1_000).unwrap();
        for (what, document) in
            current.iter().map(|of| ("current", of)).chain(live.iter().map(|of| ("live", of)))
        {
            write!(
                seen,
                "{what} {} `{}` {:?} {} {:?} {} {:?} {:?} {}",
                document.revision,
                document.path,
                document.metadata,
                document.status,
                document.failure,
                document.source,
                document.parsed,
                document.size,
                document.live,
            )?;
            let Content::Text(content) = view.content(document).unwrap() else { panic!("not a text") };
            write!(seen, " {}", blake3::hash(content.as_bytes()))?;
            if document.parsed.is_some() {
                let text = view.text(document, 0..usize::MAX).unwrap();
                write!(seen, " {}", blake3::hash(text.as_bytes()))?;
                write!(seen, " {:?}", view.chunks(document, 0..9).unwrap())?;
                write!(seen, " {:?}", view.vectors(document, 0..9).unwrap())?;
                write!(seen, " {}", view.embedded(document).unwrap())?;
            }
            writeln!(seen)?;
        }
    }
    for document in view.pending(None, 1_000).unwrap() {
        writeln!(seen, "pending {}", document.revision)?;
    }
    writeln!(seen, "{:?}", view.usage(UsageKind::Queries, 0, u64::MAX).unwrap())
}

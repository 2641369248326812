//! The suite of a [`Catalog`]: every line of the contract as a named case.
#![expect(clippy::unwrap_used, reason = "a case fails by panicking")]

mod collections;
mod documents;
mod ingestion;
mod log;
mod reads;

use crate::{
    Accepted, Catalog, Chunk, Chunking, Collection, CollectionSettings, Document, ErrorKind, Parsed,
    ParsedInfo, Passage, Precision, Published, Result, Space, VectorSlice,
};
use elodex_types::{
    Content, IndexStatus, Metadata, MetadataValue, NewDocument, Revision, SpaceFingerprint, Weights,
};
use std::fmt::Debug;

/// A case: it gets a catalog with nothing in it and panics where that breaks the contract.
pub type Case = fn(&dyn Catalog);

/// All cases by name.
pub const CASES: &[(&str, Case)] = &[
    ("collections_have_one_name", collections::collections_have_one_name),
    ("settings_are_kept", collections::settings_are_kept),
    ("a_deleted_collection_is_gone_at_once", collections::a_deleted_collection_is_gone_at_once),
    ("purging_ends", collections::purging_ends),
    ("usage_is_summed_by_minute", collections::usage_is_summed_by_minute),
    ("paths_conflict", documents::paths_conflict),
    ("paths_are_in_order_of_bytes", documents::paths_are_in_order_of_bytes),
    ("the_same_document_is_unchanged", documents::the_same_document_is_unchanged),
    ("other_metadata_share_the_source", documents::other_metadata_share_the_source),
    ("a_failed_document_is_read_anew", documents::a_failed_document_is_read_anew),
    ("a_document_put_back_shares_the_live_source", documents::a_document_put_back_shares_the_live_source),
    ("updates_need_their_status", documents::updates_need_their_status),
    ("deleting_tells_what_was_there", documents::deleting_tells_what_was_there),
    ("a_shared_source_outlives_its_first_revision", documents::a_shared_source_outlives_its_first_revision),
    ("callers_at_once_get_their_own_answers", documents::callers_at_once_get_their_own_answers),
    ("a_document_goes_through_its_states", ingestion::a_document_goes_through_its_states),
    ("a_superseded_revision_is_not_wanted", ingestion::a_superseded_revision_is_not_wanted),
    ("work_is_not_done_twice", ingestion::work_is_not_done_twice),
    ("vectors_come_in_slices", ingestion::vectors_come_in_slices),
    ("a_failure_keeps_the_live_revision", ingestion::a_failure_keeps_the_live_revision),
    ("what_does_not_add_up_is_refused", ingestion::what_does_not_add_up_is_refused),
    ("pending_is_in_order_of_acceptance", ingestion::pending_is_in_order_of_acceptance),
    ("publishing_is_one_step", ingestion::publishing_is_one_step),
    ("a_document_without_text_is_published", ingestion::a_document_without_text_is_published),
    ("the_log_tells_the_index", log::the_log_tells_the_index),
    ("a_trimmed_log_goes_on", log::a_trimmed_log_goes_on),
    ("what_was_added_and_superseded_is_removed", log::what_was_added_and_superseded_is_removed),
    ("content_comes_back_as_sent", reads::content_comes_back_as_sent),
    ("text_is_read_in_part", reads::text_is_read_in_part),
    ("pages_and_chunks_are_read_in_part", reads::pages_and_chunks_are_read_in_part),
    ("vectors_are_read_in_part", reads::vectors_are_read_in_part),
    ("live_chunks_come_in_the_order_asked", reads::live_chunks_come_in_the_order_asked),
    ("values_lie_within_bounds", reads::values_lie_within_bounds),
    ("counts_and_languages_follow", reads::counts_and_languages_follow),
];

/// Runs every case on a catalog of its own.
///
/// # Panics
/// Where a case fails; its name was printed before.
pub fn run<C: Catalog>(mut make: impl FnMut() -> C) {
    for (name, case) in CASES {
        println!("case {name}");
        case(&make());
    }
}

/// The text of [`parsed_wide`]'s document.
fn wide_text() -> String {
    "x\n".repeat(300)
}

/// A parsed document `a` of 300 chunks in a collection whose vectors have 1,000 components, and those vectors, which are
/// not stored yet.
fn parsed_wide(catalog: &dyn Catalog) -> (Collection, Revision, Vec<f32>) {
    let mut wide = settings();
    wide.space.dimensions = 1_000;
    let collection = catalog.create_collection("wide", wide).unwrap();
    let text = wide_text();
    let of = revision(put(catalog, &collection, document("a", &text, &[])));
    catalog.store_parsed(vec![(of, parse(&text))]).unwrap();
    (collection, of, (0..300_000).map(|at| at as f32 * -0.5).collect())
}

/// Width of the vectors in the cases.
const WIDTH: usize = 4;

/// Settings that say nothing special.
pub fn settings() -> CollectionSettings {
    CollectionSettings {
        space: Space { model: "m".into(), fingerprint: SpaceFingerprint::new([7; 32]), dimensions: WIDTH },
        chunking: Chunking { tokens: 100, overlap: 10, passage_chars: 50, whole: false },
        language: None,
        precision: Precision::F32,
        weights: Weights::default(),
        policy: None,
    }
}

fn collection(catalog: &dyn Catalog) -> Collection {
    catalog.create_collection("c", settings()).unwrap()
}

fn document(path: &str, text: &str, metadata: &[(&str, &str)]) -> NewDocument {
    NewDocument { path: path.into(), metadata: attributes(metadata), content: Content::Text(text.into()) }
}

/// Attributes; those whose names start with `list:` get their value's words.
fn attributes(pairs: &[(&str, &str)]) -> Metadata {
    let value = |name: &str, value: &str| match name.strip_prefix("list:") {
        Some(_) => MetadataValue::List(value.split(' ').map(str::to_owned).collect()),
        None => MetadataValue::Text(value.to_owned()),
    };
    pairs.iter().map(|(name, of)| ((*name).to_owned(), value(name, of))).collect()
}

fn put(catalog: &dyn Catalog, collection: &Collection, document: NewDocument) -> Accepted {
    catalog.put(collection.id, vec![document], true).unwrap()[0]
}

fn revision(accepted: Accepted) -> Revision {
    match accepted {
        Accepted::Created(revision) | Accepted::Replaced(revision) | Accepted::Unchanged(revision) => {
            revision
        }
    }
}

/// What parsing finds in a text: a chunk for every line, of two passages, in English where it has an `e`.
pub fn parse(text: &str) -> Parsed {
    let mut chunks = Vec::new();
    let (mut byte, mut char) = (0, 0);
    for line in text.split_inclusive('\n') {
        let chars = line.chars().count();
        let half = line.char_indices().nth(chars / 2).map_or(line.len(), |(at, _)| at);
        chunks.push(Chunk {
            bytes: byte..byte + line.len(),
            chars: char..char + chars,
            pages: None,
            headings: vec![format!("line {}", chunks.len())],
            passages: vec![
                Passage { bytes: byte..byte + half, chars: char..char + chars / 2 },
                Passage { bytes: byte + half..byte + line.len(), chars: char + chars / 2..char + chars },
            ],
        });
        byte += line.len();
        char += chars;
    }
    Parsed {
        info: ParsedInfo {
            title: None,
            language: text.contains('e').then(|| "en".to_owned()),
            media_type: "text/plain".into(),
            pages: None,
            text_bytes: text.len() as u64,
            chunks: chunks.len() as u32,
            terms: text.split_whitespace().count() as u64,
        },
        text: text.to_owned(),
        pages: Vec::new(),
        chunks,
    }
}

/// Vectors that tell revision, chunk and component.
pub fn vectors(source: Revision, chunks: u32) -> Vec<f32> {
    (0..chunks as usize * WIDTH).map(|at| source.0 as f32 * 1_000.0 + at as f32).collect()
}

/// A slice of a revision's vectors.
pub fn slice(revision: Revision, first: u32, vectors: Vec<f32>) -> VectorSlice {
    VectorSlice { revision, first, vectors }
}

/// Does what ingestion does, up to and without publishing.
fn prepare(catalog: &dyn Catalog, of: Revision) {
    let (document, content) = {
        let view = catalog.view().unwrap();
        let document = view.revision(of).unwrap().unwrap();
        let content = view.content(&document).unwrap();
        (document, content)
    };
    let Content::Text(text) = content else { panic!("the cases ingest texts only") };
    if document.status == IndexStatus::NotParsed {
        assert_eq!(catalog.begin(&[of], IndexStatus::Parsing).unwrap(), [true]);
        assert_eq!(catalog.store_parsed(vec![(of, parse(&text))]).unwrap(), [true]);
    }
    assert_eq!(catalog.begin(&[of], IndexStatus::Indexing).unwrap(), [true]);
    let (first, chunks) = (catalog.view().unwrap().embedded(&document).unwrap(), parse(&text).info.chunks);
    let made = vectors(document.source, chunks).split_off(first as usize * WIDTH);
    assert_eq!(catalog.store_vectors(vec![slice(of, first, made)]).unwrap(), [true]);
}

/// Ingests a revision.
fn ingest(catalog: &dyn Catalog, of: Revision) -> Published {
    prepare(catalog, of);
    catalog.publish(&[of]).unwrap()[0]
}

/// Puts a document and ingests it.
fn add(catalog: &dyn Catalog, collection: &Collection, document: NewDocument) -> Revision {
    let of = revision(put(catalog, collection, document));
    assert!(matches!(ingest(catalog, of), Published::Live { .. }));
    of
}

fn current(catalog: &dyn Catalog, collection: &Collection, path: &str) -> Document {
    catalog.view().unwrap().document(collection.id, path).unwrap()
}

fn paths(documents: &[Document]) -> Vec<&str> {
    documents.iter().map(|document| document.path.as_str()).collect()
}

#[track_caller]
fn assert_fails<T: Debug>(result: Result<T>, kind: ErrorKind) {
    match result {
        Err(error) => assert_eq!(error.kind(), kind, "{error}"),
        Ok(value) => panic!("{value:?}, not {kind:?}"),
    }
}

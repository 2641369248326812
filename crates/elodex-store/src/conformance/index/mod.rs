//! The suite of a [`ChunkIndex`](crate::ChunkIndex): every line of the contract as a named case, with
//! [`MemoryIndex`](crate::MemoryIndex) as the oracle.
#![expect(clippy::unwrap_used, reason = "a case fails by panicking")]

mod basics;
mod data;
mod durability;
mod filters;
mod lexical;
mod nearest;
mod threads;

use crate::{ChunkIndex, CollectionId, IndexBackend, IndexSpec, MemoryBackend};
use data::spec;
use std::path::Path;
use std::sync::Arc;

/// A backend as the suite sees it.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// Opens the backend that keeps its files in this directory. Graphs must be built for segments of a megabyte, so
    /// that the cases come to them.
    pub open: fn(&Path) -> Arc<dyn IndexBackend>,
    /// Whether what was flushed is there when the backend is opened again.
    pub keeps: bool,
    /// Whether a search counts removed points in the frequencies of terms until the index is optimised.
    pub counts_removed_terms: bool,
}

/// A case: panics where the backend breaks the contract.
pub type Case = fn(&Setting);

/// All cases by name.
pub const CASES: &[(&str, Case)] = &[
    ("an_empty_index_answers", basics::an_empty_index_answers),
    ("points_are_written_replaced_and_removed", basics::points_are_written_replaced_and_removed),
    ("limits_are_kept", basics::limits_are_kept),
    ("bad_vectors_are_refused_whole", basics::bad_vectors_are_refused_whole),
    ("ids_are_paged_in_order", basics::ids_are_paged_in_order),
    ("collections_are_apart", basics::collections_are_apart),
    ("a_removed_collection_is_gone", basics::a_removed_collection_is_gone),
    ("filters_mean_what_they_say", filters::filters_mean_what_they_say),
    ("filters_hold_on_any_metadata", filters::filters_hold_on_any_metadata),
    ("long_lists_of_values_work", filters::long_lists_of_values_work),
    ("many_attributes_work", filters::many_attributes_work),
    ("exact_search_is_that_of_all_points", nearest::exact_search_is_that_of_all_points),
    ("equal_scores_are_in_order_of_ids", nearest::equal_scores_are_in_order_of_ids),
    ("a_vector_of_zeros_has_no_direction", nearest::a_vector_of_zeros_has_no_direction),
    ("approximate_search_finds_nearly_all", nearest::approximate_search_finds_nearly_all),
    ("bytes_find_nearly_all", nearest::bytes_find_nearly_all),
    ("lexical_scores_are_bm25", lexical::lexical_scores_are_bm25),
    ("lexical_scores_follow_removals", lexical::lexical_scores_follow_removals),
    ("lexical_finds_only_what_shares_a_term", lexical::lexical_finds_only_what_shares_a_term),
    ("what_is_flushed_stays", durability::what_is_flushed_stays),
    ("writes_after_opening_count", durability::writes_after_opening_count),
    ("another_spec_starts_anew", durability::another_spec_starts_anew),
    ("torn_files_start_anew", durability::torn_files_start_anew),
    ("readers_and_writers_meet", threads::readers_and_writers_meet),
];

/// Runs every case.
///
/// # Panics
/// Where a case fails; its name was printed before.
pub fn run(setting: &Setting) {
    for (name, case) in CASES {
        println!("case {name}");
        case(setting);
    }
}

/// The collection of the cases that need one only.
const ONE: CollectionId = CollectionId(1);

/// Runs `body` with a new index and the oracle, both of vectors with `dimensions` components.
fn with_oracle(setting: &Setting, dimensions: usize, body: impl FnOnce(&dyn ChunkIndex, &dyn ChunkIndex)) {
    with_oracle_of(setting, &spec(dimensions), body);
}

fn with_oracle_of(setting: &Setting, spec: &IndexSpec, body: impl FnOnce(&dyn ChunkIndex, &dyn ChunkIndex)) {
    let directory = tempfile::tempdir().unwrap();
    let backend = (setting.open)(directory.path());
    let opened = backend.open(ONE, spec).unwrap();
    assert!(opened.fresh);
    let oracle = MemoryBackend::default().open(ONE, spec).unwrap().index;
    body(&*opened.index, &*oracle);
}

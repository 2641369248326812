//! The chunk index's contract, on qdrant-edge.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use elodex_store::conformance::index::{Case, Setting};
use elodex_store_edge::{EdgeBackend, EdgeOptions};
use std::sync::Arc;

fn check(name: &str) {
    let setting = Setting {
        open: |folder| {
            Arc::new(EdgeBackend::open_with(folder, EdgeOptions { graph_threshold_kb: 1000 }).unwrap())
        },
        keeps: true,
        counts_removed_terms: true,
    };
    let cases = elodex_store::conformance::index::CASES;
    let case: Option<Case> = cases.iter().find(|case| case.0 == name).map(|case| case.1);
    case.unwrap()(&setting);
}

macro_rules! cases {
    ($($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                check(stringify!($name));
            }
        )*

        #[test]
        fn no_case_is_left_out() {
            let names: Vec<&str> =
                elodex_store::conformance::index::CASES.iter().map(|case| case.0).collect();
            assert_eq!(names, [$(stringify!($name)),*]);
        }
    };
}

cases! {
    an_empty_index_answers
    points_are_written_replaced_and_removed
    limits_are_kept
    bad_vectors_are_refused_whole
    ids_are_paged_in_order
    collections_are_apart
    a_removed_collection_is_gone
    filters_mean_what_they_say
    filters_hold_on_any_metadata
    long_lists_of_values_work
    many_attributes_work
    exact_search_is_that_of_all_points
    equal_scores_are_in_order_of_ids
    a_vector_of_zeros_has_no_direction
    approximate_search_finds_nearly_all
    bytes_find_nearly_all
    lexical_scores_are_bm25
    lexical_scores_follow_removals
    lexical_finds_only_what_shares_a_term
    what_is_flushed_stays
    writes_after_opening_count
    another_spec_starts_anew
    torn_files_start_anew
    readers_and_writers_meet
}

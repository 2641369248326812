//! The chunk index's contract, in memory.

use elodex_store::MemoryBackend;
use elodex_store::conformance::index::{Setting, run};
use std::sync::Arc;

#[test]
fn an_index_in_memory_keeps_the_contract() {
    run(&Setting { open: |_| Arc::new(MemoryBackend::default()), keeps: false, counts_removed_terms: false });
}

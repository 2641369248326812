//! Searches over a real catalog, an index in memory, a tiny embedder and a tiny reranker.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test may end by panic")]

mod atomic;
mod conversation;
mod experiments;
mod filters;
mod languages;
mod lists;
mod policy;
mod second_stage;
mod spans;
mod support;

//! The suites that every implementation passes.

pub mod catalog;
pub mod index;

//! Why a few queries do not find what answers them: where each stage puts the answer, and what other settings would do.

mod arguments;
mod changes;
mod lists;
mod passage;
mod prompts;
mod report;
mod verdict;

pub(crate) use arguments::{AuditArgs, cases};
pub(crate) use changes::{mean_reciprocal_rank, proposal, tried};
pub(crate) use lists::{DEEPEST, Searching, Setup};
pub(crate) use passage::{Passage, find};
pub(crate) use prompts::{Embedding, Prompts};
pub(crate) use report::{Audited, Found, Ranks, text};
pub(crate) use verdict::{Fault, decide};

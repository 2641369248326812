//! zELO: pairwise battles between passages become scores, and scores train a reranker and an embedder.
//!
//! Method: <https://arxiv.org/abs/2509.12541>. One room for each step:
//!
//! - [`battle`]: queries and candidates are an [`Arena`](battle::Arena); [`sampling`](battle::sampling) draws the pairs that
//!   meet in it, and a [`BattleLog`](battle::BattleLog) keeps what came of them, durably.
//! - [`judge`]: a [`Judge`](judge::Judge) says which of two passages answers a query better; a
//!   [`Tournament`](judge::Tournament) asks it about many pairs, within a budget, and goes on where it was stopped.
//! - [`fit`]: battles become scores with standard errors, and scores become [standings](fit::standings) with a target in
//!   0 to 1 for each passage.
//! - [`network`]: encoders forwards and backwards, on the kernels that inference runs on.
//! - [`training`]: a [`Student`](training::Student) learns targets, is evaluated, checkpointed and written as a model
//!   directory.
//!
//! Whatever is random has a seed, and what is resumed ends as if it had never been stopped.

pub mod battle;
mod error;
pub mod fit;
pub mod judge;
pub mod network;
pub mod training;

pub use error::{Error, ErrorKind, Result};

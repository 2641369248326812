//! zELO: pairwise battles between passages become scores, and scores train a reranker and an embedder.
//!
//! Method: <https://arxiv.org/abs/2509.12541>.

pub mod battle;
mod error;
pub mod fit;
pub mod judge;
pub mod network;
pub mod training;

pub use error::{Error, ErrorKind, Result};

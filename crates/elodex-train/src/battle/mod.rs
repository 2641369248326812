//! Which passages meet, and the durable log of how they fared.

mod arena;
mod pair;
pub mod sampling;

pub use arena::{Arena, Binding};
pub use pair::{Battle, Decision, MemberFailure, Pair, Spent, Vote};

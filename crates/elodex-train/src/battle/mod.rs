//! Which passages meet, and the durable log of how they fared.
//!
//! An [`Arena`] holds queries, documents and candidates; [`sampling`] draws [`Pair`]s from it; a [`BattleLog`] keeps what
//! a judge said of each, so that nothing is asked twice; [`PositionBias`] tells whether a judge looks at the order.

mod arena;
mod log;
mod log_file;
mod pair;
mod position;
pub mod sampling;

pub use arena::{Arena, Binding};
pub use log::{BattleLog, Recovered};
pub use pair::{Battle, Decision, MemberFailure, Pair, Spent, Vote};
pub use position::{Lean, PositionBias};

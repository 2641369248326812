//! Load on a running server: searches that arrive at a fixed rate whether or not earlier ones are answered.
//!
//! An open loop. A client that waits for an answer before it asks again slows down with the server and never sees the
//! queue that real users would stand in. Here every request has a time at which it is to arrive, drawn beforehand, and
//! its latency counts from that time: a stall of the server, or of this client, lengthens every request that fell into
//! it.

mod arguments;
mod arrivals;
mod client;
mod drive;
mod figures;
mod queries;
#[cfg(test)]
mod scripted;

pub(crate) use arguments::LoadArgs;
pub(crate) use client::Client;
pub(crate) use drive::drive;
pub(crate) use figures::{RateFigures, table};
pub(crate) use queries::Queries;

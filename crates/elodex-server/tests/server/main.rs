//! The server over real connections on the loopback interface, with tiny models that run.

#![cfg(test)]

mod administration;
mod calls;
mod collections;
mod errors;
mod files;
mod lifecycle;
mod policies;
mod search_limits;
mod search_refusals;
mod searches;
mod support;

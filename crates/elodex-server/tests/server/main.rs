//! The server over real connections on the loopback interface, with tiny models that run.

#![cfg(test)]

mod calls;
mod errors;
mod lifecycle;
mod support;

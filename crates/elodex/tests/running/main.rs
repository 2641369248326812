//! Commands that run tiny models: alone, on a data directory, on a server.

#![cfg(test)]

mod audit;
mod bench;
mod eval;
mod library;
mod models;
mod support;
mod zelo;

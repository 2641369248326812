//! Reports on made-up evaluations: the page, the tables and the gate.

#![cfg(test)]

mod gate;
mod page;
mod sample;
mod terminal;

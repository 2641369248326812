//! Models that run by 8-bit integers: rounded when they are loaded, and as bundles.
#![cfg(test)]

mod bundle;
mod precision;
mod support;

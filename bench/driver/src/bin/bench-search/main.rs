//! Search as the server does it, without the server: ingestion of a BEIR collection, and speed, memory and disk as a
//! collection grows.
//!
//! `bench-search ingestion MODEL_DIRECTORY BEIR_DIRECTORY` · `bench-search growth MODEL_DIRECTORY BEIR_DIRECTORY SIZE…`,
//! where a size is a number of chunks, with `:int8` behind it where their vectors are to be quantised, and `:together` where
//! passages of a text are to be written one after another.

mod beir;
mod growth;
mod ingestion;
mod setup;

use std::error::Error;
use std::path::Path;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["ingestion", model, collection] => ingestion::run(Path::new(model), Path::new(collection)),
        ["growth", model, collection, sizes @ ..] if !sizes.is_empty() => {
            for size in sizes {
                growth::run(Path::new(model), Path::new(collection), &growth::Size::parse(size)?)?;
            }
            Ok(())
        }
        _ => {
            Err("usage: bench-search ingestion MODEL BEIR | bench-search growth MODEL BEIR SIZE[:int8][:together]…"
                .into())
        }
    }
}

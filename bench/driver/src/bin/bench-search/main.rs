//! Search as the server does it, without the server: ranking quality and ingestion over a BEIR collection, and speed,
//! memory and disk as a collection grows.
//!
//! `bench-search quality MODEL_DIRECTORY BEIR_DIRECTORY` · `bench-search growth MODEL_DIRECTORY BEIR_DIRECTORY CHUNKS…`

mod beir;
mod growth;
mod quality;
mod setup;

use std::error::Error;
use std::path::Path;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["quality", model, collection] => quality::run(Path::new(model), Path::new(collection)),
        ["growth", model, collection, sizes @ ..] if !sizes.is_empty() => {
            for size in sizes {
                growth::run(Path::new(model), Path::new(collection), size.parse()?)?;
            }
            Ok(())
        }
        _ => Err("usage: bench-search quality MODEL BEIR | bench-search growth MODEL BEIR CHUNKS…".into()),
    }
}

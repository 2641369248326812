//! Elodex's own calls: search with everything the engine can do, and collections with all their settings.
//!
//! - Unknown fields are refused, so that a typing error does not quietly leave a default in place.
//! - Filters are written as in [`zeroentropy`](crate::zeroentropy), and errors have its shape.

mod collections;
mod search;

pub use collections::{
    CollectionBody, CollectionsAnswer, CreateCollectionBody, SetPolicyBody, SetWeightsBody,
};
pub use search::{
    ListName, MessageBody, RerankBody, RerankWord, SearchAnswer, SearchBody, SearchResult, StageTimes,
    UnitName, WeightsBody,
};

use crate::problem::Problem;
use crate::zeroentropy::ZeroEntropy;
use crate::{Dialect, Operation, Route};

/// The dialect.
#[derive(Debug, Clone, Copy)]
pub struct Elodex;

const ROUTES: [Route; 6] = [
    Route::post("/v1/search", Operation::Search(search::parse)),
    Route::post("/v1/collections/create", Operation::Write(collections::parse_create)),
    Route::post("/v1/collections/get-info", Operation::Read(collections::parse_info)),
    Route::post("/v1/collections/get-info-list", Operation::Read(collections::parse_list)),
    Route::post("/v1/collections/set-weights", Operation::Write(collections::parse_weights)),
    Route::post("/v1/collections/set-policy", Operation::Write(collections::parse_policy)),
];

impl Dialect for Elodex {
    fn name(&self) -> &'static str {
        "elodex"
    }

    fn routes(&self) -> &'static [Route] {
        &ROUTES
    }

    fn error_body(&self, problem: &Problem) -> Vec<u8> {
        ZeroEntropy.error_body(problem)
    }
}

//! The vocabulary every Elodex crate shares: roles, score kinds, embedding-space fingerprints, truncation
//! receipts, usage counters, the request and response of the two model calls, documents' metadata and filters, the
//! calls of the search API, and faults.
//!
//! Only data and serde live here: no I/O, no numerics, no async.

mod call;
mod document;
mod failure;
mod filter;
mod fingerprint;
mod score;
mod search;
mod truncation;

pub use call::{
    CallContext, EmbedRequest, EmbedResponse, Lane, Latency, Ranked, RerankRequest, RerankResponse, Timing,
    Usage,
};
pub use document::{
    ChunkId, IndexStatus, LIST_PREFIX, METADATA_BYTES, Metadata, MetadataValue, Revision, validate_attribute,
    validate_metadata,
};
pub use failure::{Failure, Fault, Kind};
pub use filter::{Filter, Test};
pub use fingerprint::{ParseFingerprintError, SpaceFingerprint};
pub use score::{Score, ScoreKind};
pub use search::{
    Arm, Assignment, CollectionInfo, Content, Conversation, CreateCollection, DocumentInfo, Explanation,
    Message, NewDocument, PageInfo, Place, Rerank, RerankStatus, SearchHit, SearchRequest, SearchResponse,
    SearchTiming, StatusCounts, Unit, Weights,
};
pub use truncation::{Truncation, TruncationPolicy};

use serde::{Deserialize, Serialize};

/// Which side of a retrieval an embedded text stands on.
///
/// Asymmetric models encode the two sides with different prompts (or adapters): a vector of one role must not be
/// used as the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// What a user asks.
    Query,
    /// What is searched.
    Document,
}

impl Role {
    /// The lower-case name used on the wire and in configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Query => "query",
            Role::Document => "document",
        }
    }
}

impl std::fmt::Display for Role {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl std::str::FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "query" => Ok(Role::Query),
            "document" => Ok(Role::Document),
            other => Err(format!("unknown role `{other}`; use `query` or `document`")),
        }
    }
}

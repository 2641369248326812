//! From a question to passages: embed ∥ BM25, fuse, collapse, rerank, cut.

use crate::{Result, SearchEngine};
use elodex_types::{CallContext, SearchRequest, SearchResponse};

impl SearchEngine {
    /// Answers a search.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) for the collection or the reranker;
    /// [`ErrorKind::Request`](crate::ErrorKind::Request) for numbers out of range, a threshold without a reranker, a filter
    /// that names an impossible attribute; [`ErrorKind::Deadline`](crate::ErrorKind::Deadline) where not even the first
    /// stage was done in time. A reranker that fails or runs out of time is no error: the answer says so.
    pub fn search(&self, request: &SearchRequest, context: &CallContext) -> Result<SearchResponse> {
        todo!()
    }
}

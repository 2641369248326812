//! Where the engine gets its models.

use crate::Result;
use elodex_engine::{EmbedService, RerankService};
use std::fmt::Debug;

/// The models of a process by name or alias; `None` is the default one.
pub trait Models: Debug + Send + Sync + 'static {
    /// An embedder with its own name.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) with the names there are.
    fn embedder(&self, name: Option<&str>) -> Result<(String, EmbedService)>;

    /// A reranker with its own name.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) with the names there are.
    fn reranker(&self, name: Option<&str>) -> Result<(String, RerankService)>;
}

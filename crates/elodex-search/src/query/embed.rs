//! The query's embedding.

use super::Caller;
use super::deadline::{Clock, too_late, wait};
use crate::{Error, ErrorKind, Result, error};
use elodex_engine::EmbedService;
use elodex_store::Space;
use elodex_types::{EmbedRequest, Role, Truncation, TruncationPolicy, Usage};
use std::sync::Arc;

/// A query in a collection's space.
#[derive(Debug)]
pub(super) struct Embedded {
    pub(super) vector: Arc<[f32]>,
    /// Where its end was cut.
    pub(super) cut: Option<Truncation>,
    pub(super) usage: Usage,
}

/// Embeds a query.
pub(super) fn embed(
    service: &EmbedService,
    space: &Space,
    query: &str,
    caller: Caller<'_>,
    clock: &Clock,
) -> Result<Embedded> {
    let request = EmbedRequest {
        model: space.model.clone(),
        role: Some(Role::Query),
        inputs: vec![query.to_owned()],
        dimensions: Some(space.dimensions),
        truncation: Some(TruncationPolicy::Truncate),
        latency: caller.latency,
    };
    let pending = service.submit(request, caller.context.clone()).map_err(error::of)?;
    let answer = wait(pending, clock.deadline()).ok_or_else(|| too_late("embedding the query"))?;
    let answer = answer.map_err(error::of)?;
    let vector = answer.embeddings.into_iter().next();
    let vector =
        vector.ok_or_else(|| Error::new(ErrorKind::Bug, "the embedder answered without a vector"))?;
    let cut = answer.truncations.first().copied().filter(|truncation| truncation.cut());
    Ok(Embedded { vector, cut, usage: answer.usage })
}

/// Whether the embedder reads a query to its end.
pub(super) fn fits(service: &EmbedService, query: &str) -> bool {
    let encoded = service.model().prepare(query, Some(Role::Query), TruncationPolicy::Truncate);
    encoded.is_ok_and(|encoded| !encoded.truncation.cut())
}

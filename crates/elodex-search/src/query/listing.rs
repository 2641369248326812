//! Documents that meet a filter, without a query: by path, all alike.

use super::deadline::Clock;
use crate::{Result, error};
use elodex_store::{CatalogView, Collection, Document};
use elodex_types::{Score, ScoreKind, SearchHit, SearchRequest};

/// Documents read at once.
const READ: usize = 256;

/// The first `k` live documents, by path, that meet the filter. Their score is 0 and means nothing.
pub(super) fn list(
    view: &dyn CatalogView,
    collection: &Collection,
    request: &SearchRequest,
    clock: &Clock,
) -> Result<Vec<SearchHit>> {
    let mut hits = Vec::new();
    let mut after: Option<String> = None;
    loop {
        clock.check("listing documents")?;
        let documents = view.live_documents(collection.id, after.as_deref(), READ).map_err(error::of)?;
        let Some(last) = documents.last() else { return Ok(hits) };
        after = Some(last.path.clone());
        for document in documents {
            let matches = request.filter.as_ref().is_none_or(|filter| filter.matches(&document.metadata));
            if !matches {
                continue;
            }
            hits.push(hit(view, document, request)?);
            if hits.len() == request.k {
                return Ok(hits);
            }
        }
    }
}

/// A document as a result: its first chunk stands for it.
fn hit(view: &dyn CatalogView, document: Document, request: &SearchRequest) -> Result<SearchHit> {
    let chunks = document.parsed.as_ref().map_or(0, |parsed| parsed.chunks);
    let first = view.chunks(&document, 0..chunks.min(1)).map_err(error::of)?.into_iter().next();
    let content = match &first {
        _ if !request.include_content => None,
        None => Some(String::new()),
        Some(chunk) => Some(view.text(&document, chunk.bytes.clone()).map_err(error::of)?),
    };
    let chunk = first.as_ref();
    Ok(SearchHit {
        score: Score { value: 0.0, kind: ScoreKind::RankFused },
        page: None,
        span: chunk.map_or((0, 0), |chunk| (chunk.chars.start, chunk.chars.end)),
        page_span: chunk
            .and_then(|chunk| chunk.pages.as_ref())
            .map_or((0, 1), |pages| (pages.start, pages.end)),
        headings: chunk.map(|chunk| chunk.headings.clone()).unwrap_or_default(),
        content,
        metadata: request.include_metadata.then_some(document.metadata),
        explanation: None,
        file_url: String::new(),
        revision: document.revision,
        path: document.path,
    })
}

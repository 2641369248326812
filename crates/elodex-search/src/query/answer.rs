//! From ordered candidates to results.

use super::candidate::Candidate;
use super::passages::{self, Chosen};
use super::rerank::{Outcome, Reranking};
use super::{pages, units};
use crate::{Error, ErrorKind, Result};
use elodex_store::{CatalogView, Passage};
use elodex_types::{Score, SearchHit, SearchRequest, Unit};

/// Cuts to the best `k` of the request's unit and writes them out. `reranking` is `None` where no reranker ran; what it
/// does here is added to `second`.
pub(super) fn hits(
    view: &dyn CatalogView,
    request: &SearchRequest,
    query: &str,
    mut candidates: Vec<Candidate>,
    reranking: Option<&Reranking<'_>>,
    second: &mut Outcome,
) -> Result<Vec<SearchHit>> {
    if request.unit != Unit::Passages {
        if let Some(threshold) = request.threshold {
            keep_above(&mut candidates, threshold, Candidate::score)?;
        }
        let best = units::best(candidates, request.unit, request.k);
        return best.into_iter().map(|candidate| unit_hit(view, request, &candidate)).collect();
    }
    let best = units::best(candidates, request.unit, request.k);
    let mut chosen = match reranking {
        Some(reranking) => passages::by_reranker(best, reranking, second)?,
        None => passages::by_words(best, query)?,
    };
    if let Some(threshold) = request.threshold {
        keep_above(&mut chosen, threshold, |chosen| chosen.score)?;
    }
    chosen.iter().map(|chosen| passage_hit(view, request, chosen)).collect()
}

/// Drops what scores below the threshold, and what has no score that can be compared with it.
fn keep_above<T>(items: &mut Vec<T>, threshold: f32, score: impl Fn(&T) -> Score) -> Result<()> {
    // The first is the reranker's: a request is refused where it scored nothing.
    if let Some(first) = items.first().map(&score)
        && !first.kind.accepts_threshold()
    {
        let message = format!("a threshold means nothing on scores of kind {:?}", first.kind);
        return Err(Error::new(ErrorKind::Request, message));
    }
    items.retain(|item| {
        let score = score(item);
        score.kind.accepts_threshold() && score.value >= threshold
    });
    Ok(())
}

/// A document by its best chunk, a page with its own text, or a chunk.
fn unit_hit(view: &dyn CatalogView, request: &SearchRequest, candidate: &Candidate) -> Result<SearchHit> {
    let chunk = &candidate.live.chunk;
    let mut hit = blank(request, candidate, candidate.score());
    if request.unit == Unit::Pages {
        let page = candidate.page;
        let (text, span) = pages::page_text(view, &candidate.live, page)?;
        hit.page = Some(page);
        hit.span = span;
        hit.page_span = (page, page + 1);
        hit.content = request.include_content.then_some(text);
        return Ok(hit);
    }
    hit.span = (chunk.chars.start, chunk.chars.end);
    hit.page_span = pages::touched(view, &candidate.live, &chunk.bytes)?;
    hit.content = request.include_content.then(|| candidate.live.text.clone());
    Ok(hit)
}

fn passage_hit(view: &dyn CatalogView, request: &SearchRequest, chosen: &Chosen) -> Result<SearchHit> {
    let Chosen { candidate, passage, score } = chosen;
    let Passage { bytes, chars } = passage;
    let mut hit = blank(request, candidate, *score);
    hit.span = (chars.start, chars.end);
    hit.page_span = pages::touched(view, &candidate.live, bytes)?;
    if request.include_content {
        hit.content = Some(passages::text_of(&candidate.live, passage)?.to_owned());
    }
    Ok(hit)
}

/// What does not depend on the unit.
fn blank(request: &SearchRequest, candidate: &Candidate, score: Score) -> SearchHit {
    let document = &candidate.live.document;
    SearchHit {
        path: document.path.clone(),
        score,
        page: None,
        span: (0, 0),
        page_span: (0, 1),
        headings: candidate.live.chunk.headings.clone(),
        content: None,
        metadata: request.include_metadata.then(|| document.metadata.clone()),
        explanation: request.explain.then(|| candidate.explanation()),
        file_url: String::new(),
        revision: document.revision,
    }
}

//! From a question to passages: embed ∥ BM25, fuse, collapse, rerank, cut.

mod answer;
mod candidate;
mod collapse;
mod condition;
mod conversation;
mod deadline;
mod embed;
mod fuse;
mod listing;
mod pages;
mod passages;
mod plan;
mod request;
mod rerank;
mod retrieve;
mod rewrite;
mod terms;
mod units;
mod usage;

pub(crate) use request::MOST_DEPTH;
pub use request::MOST_RERANKED;
pub(crate) use usage::UsageMeter;

use crate::collection::bound_embedder;
use crate::engine::Shared;
use crate::{Error, ErrorKind, Result, SearchEngine, error};
use deadline::Clock;
use elodex_engine::RerankService;
use elodex_store::{CatalogView, Collection, CollectionId, UsageKind};
use elodex_types::{
    CallContext, Latency, Rerank, ScoreKind, SearchRequest, SearchResponse, SearchTiming, Usage,
};
use rerank::{Outcome, Reranking};
use retrieve::Search;
use std::time::Instant;

/// Who searches, and in which lane.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Caller<'a> {
    pub(crate) context: &'a CallContext,
    pub(crate) latency: Latency,
}

impl SearchEngine {
    /// Answers a search.
    ///
    /// What the request leaves open is settled by the collection's policy, else by the collection's settings, else by the
    /// deployment. An experiment may answer it with a pipeline of its own; the response says so.
    ///
    /// Without a query and a conversation the answer is every document that meets the filter, by path, with score 0.
    /// Scores are of the kind that each hit names: the reranker's for what it saw, rank fusion's for what stands behind
    /// that. A threshold keeps only what the reranker saw. With a reranker, [`Unit::Passages`](elodex_types::Unit::Passages)
    /// scores the passages of the best `k` chunks themselves, 512 passages at most. Those of the chunks behind are chosen
    /// by their words and stand behind with their chunks' scores, and the status is partial.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) for the collection or the reranker;
    /// [`ErrorKind::Request`](crate::ErrorKind::Request) for numbers out of range, a threshold without a reranker, a filter
    /// that names an impossible attribute or bounds too many values; [`ErrorKind::Deadline`](crate::ErrorKind::Deadline)
    /// where not even the first stage was done in time. A reranker that fails or runs out of time is no error: the answer
    /// says so, unless a threshold was set and it scored nothing. [`ErrorKind::Upstream`](crate::ErrorKind::Upstream) where
    /// a rewrite was insisted on and the chat model failed.
    pub fn search(&self, request: &SearchRequest, context: &CallContext) -> Result<SearchResponse> {
        let assigned = self.experiments.assign(request, context);
        let changed = assigned.and_then(|assigned| assigned.changed(request));
        let caller = Caller { context, latency: Latency::Auto };
        let outcome = self.shared.search(changed.as_ref().unwrap_or(request), caller);
        if let Some(assigned) = assigned {
            assigned.count(&outcome);
        }
        let mut response = outcome?;
        response.experiment = assigned.map(|assigned| assigned.assignment());
        self.record_usage(UsageKind::Queries, &request.collection, response.usage.bytes);
        if !assigned.is_some_and(|assigned| assigned.is_treated()) {
            self.experiments.follow(request, &response);
        }
        Ok(response)
    }
}

impl Shared {
    /// Answers a search with one pipeline.
    pub(crate) fn search(&self, request: &SearchRequest, caller: Caller<'_>) -> Result<SearchResponse> {
        let clock = Clock::start(caller.context);
        request::check(request)?;
        let reranker = self.reranker_of(request)?;
        clock.check("waiting for a thread")?;
        let mut response = if request::is_listing(request) {
            self.listed(request, &clock)?
        } else {
            self.ranked(request, caller, reranker.as_ref(), &clock)?
        };
        response.timing.total = clock.started.elapsed();
        Ok(response)
    }

    /// Every document that meets the filter.
    fn listed(&self, request: &SearchRequest, clock: &Clock) -> Result<SearchResponse> {
        let view = self.catalog.view().map_err(error::of)?;
        let collection = view.collection(&request.collection).map_err(error::of)?;
        let hits = listing::list(&*view, &collection, request, clock)?;
        let reason = match request.rerank {
            Rerank::Off => "not asked for",
            Rerank::On { .. } | Rerank::Auto { .. } => "there is no query",
        };
        Ok(SearchResponse {
            candidates: hits.len(),
            hits,
            score_kind: None,
            rerank: Outcome::none(reason).status,
            reranker: None,
            calibration: None,
            experiment: None,
            query: String::new(),
            conversation_note: None,
            query_truncation: None,
            usage: Usage::default(),
            timing: SearchTiming::default(),
        })
    }

    /// Both stages.
    fn ranked(
        &self,
        request: &SearchRequest,
        caller: Caller<'_>,
        reranker: Option<&(String, RerankService)>,
        clock: &Clock,
    ) -> Result<SearchResponse> {
        let mut timing = SearchTiming::default();
        let open = self.collection(&request.collection)?;
        let bound =
            self.catalog.view().and_then(|view| view.collection(&request.collection)).map_err(error::of)?;
        let policy = open.policy.of(&bound.name, bound.settings.policy.as_deref())?;
        let plan = self.plan(request, &bound, policy.as_deref(), reranker.map(|(name, _)| name.as_str()));
        let embedder = if plan.weights.dense > 0.0 { Some(bound_embedder(self, &bound)?) } else { None };

        let started = Instant::now();
        let fits = |query: &str| embedder.as_ref().is_none_or(|service| embed::fits(service, query));
        let folded = conversation::fold(request, self.options.rewriter.as_ref(), fits, clock)?;
        timing.conversation = started.elapsed();
        clock.check("reading the conversation")?;

        let started = Instant::now();
        let embed = |service| embed::embed(service, &bound.settings.space, &folded.query, caller, clock);
        let embedded = embedder.as_ref().map(embed).transpose()?;
        timing.embed = started.elapsed();
        clock.check("embedding the query")?;

        let started = Instant::now();
        let reading = open.reading();
        let view = self.catalog.view().map_err(error::of)?;
        let collection = same_collection(&*view, &bound, open.id)?;
        let terms = || terms::terms(&*view, &collection, &folded.query);
        let filter = |filter| condition::resolve(&*view, collection.id, filter);
        let search = Search {
            request,
            query: &folded.query,
            condition: request.filter.as_ref().map(filter).transpose()?,
            vector: embedded.as_ref().map(|embedded| &*embedded.vector),
            terms: if plan.weights.lexical > 0.0 { Some(terms()?) } else { None },
            weights: plan.weights,
            depths: plan.depths,
            enough: plan.enough,
            rerank_depth: plan.rerank_depth,
        };
        let mut found = retrieve::retrieve(&*view, &collection, &*open.index, &self.lists, &search, clock)?;
        drop(reading);
        (timing.dense, timing.lexical) = (found.dense_time, found.lexical_time);
        timing.fuse = started.elapsed().saturating_sub(timing.dense.max(timing.lexical));

        let started = Instant::now();
        let spared = plan.spared(&found.candidates);
        let reranker = reranker.filter(|_| spared.is_none());
        let mut reranking = reranker.map(|(name, service)| Reranking {
            name,
            service,
            query: &folded.query,
            caller,
            clock,
            calibration: plan.calibration,
        });
        let mut second = Outcome::none(spared.unwrap_or_else(|| plan::none_asked_for(request).to_owned()));
        if let Some(running) = &reranking {
            second = rerank::rerank(running, &mut found.candidates, plan.rerank_depth);
            if let Some(failure) = second.failure.take() {
                if request.threshold.is_some() {
                    let message = "the reranker scored nothing that could be compared with the threshold";
                    return Err(Error::new(failure.kind(), message).caused_by(failure));
                }
                reranking = None;
            }
        }
        let candidates = found.candidates;
        let hits = answer::hits(&*view, request, &folded.query, candidates, reranking.as_ref(), &mut second)?;
        timing.rerank = started.elapsed();

        let unscored = reranking.as_ref().map_or(ScoreKind::RankFused, Reranking::kind);
        let calibration = reranking.as_ref().and_then(|reranking| reranking.calibration);
        Ok(SearchResponse {
            score_kind: Some(hits.first().map_or(unscored, |hit| hit.score.kind)),
            hits,
            rerank: second.status,
            calibration: calibration.map(|calibration| calibration.version().to_owned()),
            experiment: None,
            reranker: reranking.map(|reranking| reranking.name.to_owned()),
            conversation_note: folded.note,
            usage: rerank::sum(
                embedded.as_ref().map_or_else(Usage::default, |embedded| embedded.usage),
                second.usage,
            ),
            query_truncation: embedded.and_then(|embedded| embedded.cut),
            query: folded.query,
            candidates: found.fused,
            timing,
        })
    }
}

/// The collection as `view` has it: another may have been made under its name since the query was embedded.
fn same_collection(view: &dyn CatalogView, bound: &Collection, open: CollectionId) -> Result<Collection> {
    let collection = view.collection(&bound.name).map_err(error::of)?;
    if collection.id == bound.id && collection.id == open {
        return Ok(collection);
    }
    let message = format!("collection `{}` was removed and made anew meanwhile; try again", bound.name);
    Err(Error::new(ErrorKind::Unavailable, message))
}

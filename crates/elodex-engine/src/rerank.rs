//! The service around a reranker.

use crate::backend::{Backend, Part, Receipt};
use crate::cache::KeyHasher;
use crate::engine::{Engine, Submission};
use crate::error::of_model;
use crate::pending::Pending;
use crate::{EngineLimits, Error, ErrorKind, Result, Runtime, Stats};
use elodex_kernels::Parallelism;
use elodex_models::{Encoded, PreparedQuery, Reranker, Window};
use elodex_types::{
    CallContext, Ranked, RerankRequest, RerankResponse, Score, SpaceFingerprint, Truncation,
    TruncationPolicy, Usage,
};
use std::cmp::Ordering;
use std::sync::{Arc, OnceLock};

/// What the service needs of a reranker.
pub(crate) trait RerankModel: Send + Sync + 'static {
    type Query: Send + Sync + 'static;

    fn id(&self) -> &str;
    fn max_tokens(&self) -> usize;
    fn fingerprint(&self) -> SpaceFingerprint;
    fn prepare_query(&self, query: &str) -> elodex_models::Result<Self::Query>;
    fn prepare_document(
        &self,
        query: &Self::Query,
        document: &str,
        policy: TruncationPolicy,
    ) -> elodex_models::Result<Vec<Window>>;
    fn logits(&self, batch: &[&Encoded], parallelism: Parallelism) -> elodex_models::Result<Vec<f32>>;
    fn relevance(&self, logit: f32) -> Score;
    fn activation_bytes(&self, tokens: usize) -> u64;
    fn layer_multiply_adds(&self) -> u64;
}

impl RerankModel for Reranker {
    type Query = PreparedQuery;

    fn id(&self) -> &str {
        &self.info().id
    }

    fn max_tokens(&self) -> usize {
        self.info().max_tokens
    }

    fn fingerprint(&self) -> SpaceFingerprint {
        self.info().fingerprint
    }

    fn prepare_query(&self, query: &str) -> elodex_models::Result<PreparedQuery> {
        self.prepare_query(query)
    }

    fn prepare_document(
        &self,
        query: &PreparedQuery,
        document: &str,
        policy: TruncationPolicy,
    ) -> elodex_models::Result<Vec<Window>> {
        self.prepare_document(query, document, policy)
    }

    fn logits(&self, batch: &[&Encoded], parallelism: Parallelism) -> elodex_models::Result<Vec<f32>> {
        self.logits(batch, parallelism)
    }

    fn relevance(&self, logit: f32) -> Score {
        self.relevance(logit)
    }

    fn activation_bytes(&self, tokens: usize) -> u64 {
        self.activation_bytes(tokens)
    }

    fn layer_multiply_adds(&self) -> u64 {
        self.layer_multiply_adds()
    }
}

/// What the documents of a rerank request share.
struct RerankCall<Q> {
    query: String,
    policy: TruncationPolicy,
    /// Tokenised once, on the scheduler's side.
    prepared: OnceLock<Q>,
}

/// One document's result.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Scored {
    logit: f32,
    score: Score,
    truncation: Truncation,
    tokens: usize,
    span: Option<(usize, usize)>,
}

/// A reranker as the scheduler sees it.
struct RerankBackend<M>(M);

impl<M: RerankModel> Backend for RerankBackend<M> {
    type Call = RerankCall<M::Query>;
    type Raw = f32;
    type Output = Scored;

    const INPUT: &'static str = "document";

    fn open(&self, call: &Self::Call) -> Result<()> {
        if call.prepared.get().is_some() {
            return Ok(());
        }
        let query = self.0.prepare_query(&call.query).map_err(|error| of_model("query", error))?;
        // Only the scheduler's thread opens calls, each one once per round: nobody else can have been first.
        let _ = call.prepared.set(query);
        Ok(())
    }

    fn prepare(&self, call: &Self::Call, text: &str) -> elodex_models::Result<Vec<Part>> {
        let Some(query) = call.prepared.get() else {
            let message = "a document was tokenised before its query";
            return Err(elodex_models::Error::new(elodex_models::ErrorKind::Bug, message));
        };
        let windows = self.0.prepare_document(query, text, call.policy)?;
        Ok(windows.into_iter().map(|Window { encoded, span }| Part { encoded, span }).collect())
    }

    fn run(
        &self,
        batch: &[(&Self::Call, &Encoded)],
        parallelism: Parallelism,
    ) -> elodex_models::Result<Vec<f32>> {
        let pairs: Vec<&Encoded> = batch.iter().map(|(_, encoded)| *encoded).collect();
        self.0.logits(&pairs, parallelism)
    }

    /// The best window's logit is the document's; of equal ones the first wins. Several windows together read the
    /// whole document, so its receipt says that nothing was cut.
    fn finish(&self, subject: &str, parts: Vec<(Receipt, f32)>) -> Result<Scored> {
        if parts.iter().any(|(_, logit)| logit.is_nan()) {
            return Err(Error::new(ErrorKind::Bug, format!("{subject}: the model's logit is not a number")));
        }
        let best = parts.iter().copied().reduce(|best, part| if part.1 > best.1 { part } else { best });
        let Some((receipt, logit)) = best else {
            return Err(Error::new(ErrorKind::Bug, format!("{subject}: no logit")));
        };
        let tokens = parts.iter().map(|(receipt, _)| receipt.tokens).sum();
        let score = self.0.relevance(logit);
        if parts.len() == 1 {
            return Ok(Scored { logit, score, truncation: receipt.truncation, tokens, span: None });
        }
        let seen = receipt.truncation.seen;
        Ok(Scored {
            logit,
            score,
            truncation: Truncation { seen, used: seen },
            tokens,
            span: Some(receipt.span),
        })
    }

    fn most_tokens(&self, call: &Self::Call) -> Option<usize> {
        (call.policy != TruncationPolicy::Passages).then(|| self.0.max_tokens())
    }

    fn activation_bytes(&self, tokens: usize) -> u64 {
        self.0.activation_bytes(tokens)
    }

    fn layer_multiply_adds(&self) -> u64 {
        self.0.layer_multiply_adds()
    }
}

/// The service of any reranker.
struct Core<M: RerankModel>(Engine<RerankBackend<M>>);

impl<M: RerankModel> Core<M> {
    fn start(model: M, runtime: Arc<Runtime>, limits: EngineLimits) -> Result<Self> {
        let name = model.id().to_owned();
        let weight = |_: &Scored| size_of::<Scored>() as u64;
        Engine::start(RerankBackend(model), &name, runtime, limits, weight).map(Self)
    }

    fn model(&self) -> &M {
        &self.0.backend().0
    }

    fn submit(&self, request: RerankRequest, context: CallContext) -> Result<Pending<RerankResponse>> {
        let RerankRequest { query, documents, top_n, truncation, latency, .. } = request;
        let policy = truncation.unwrap_or(self.0.limits().truncation);
        let mut names = KeyHasher::new("rerank");
        names.field(self.model().fingerprint().as_bytes());
        names.field(format!("{policy:?}").as_bytes());
        names.field(query.as_bytes());
        let model = self.model().id().to_owned();
        let submission = Submission {
            shared_bytes: query.len() as u64,
            call: RerankCall { query, policy, prepared: OnceLock::new() },
            inputs: documents,
            names,
            result_bytes: (size_of::<Scored>() + size_of::<Ranked>()) as u64,
            latency,
            context,
        };
        self.0.submit(submission, move |answers| RerankResponse {
            model,
            usage: Usage {
                bytes: answers.bytes,
                tokens: answers.outputs.iter().map(|output| output.tokens as u64).sum(),
            },
            results: rank(&answers.outputs, top_n),
            truncations: answers.outputs.iter().map(|output| output.truncation).collect(),
            lane: answers.lane,
            timing: answers.timing,
        })
    }
}

/// Best first by logit, since relevance may round two logits to one value; equal logits keep request order. No logit
/// is NaN: such a request has failed.
fn rank(outputs: &[Scored], top_n: Option<usize>) -> Vec<Ranked> {
    let mut results: Vec<Ranked> = outputs
        .iter()
        .enumerate()
        .map(|(index, scored)| Ranked { index, score: scored.score, logit: scored.logit, span: scored.span })
        .collect();
    results.sort_by(|left, right| right.logit.partial_cmp(&left.logit).unwrap_or(Ordering::Equal));
    results.truncate(top_n.unwrap_or(usize::MAX));
    results
}

impl<M: RerankModel> std::fmt::Debug for Core<M> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Core").field("model", &self.model().id()).field("engine", &self.0).finish()
    }
}

/// A model with its scheduler and cache. Cheap to clone; dropping the last clone finishes accepted work.
#[derive(Debug, Clone)]
pub struct RerankService {
    core: Arc<Core<Reranker>>,
}

impl RerankService {
    /// Starts the scheduler thread. Fails on limits under which nothing can run.
    pub fn start(model: Reranker, runtime: Arc<Runtime>, limits: EngineLimits) -> Result<Self> {
        Core::start(model, runtime, limits).map(|core| Self { core: Arc::new(core) })
    }

    /// The model.
    pub fn model(&self) -> &Reranker {
        self.core.model()
    }

    /// Admits a request or refuses it at once; see [`EmbedService::submit`](crate::EmbedService::submit).
    ///
    /// A document the model refuses fails the answer with a message that begins with its index ("document 3"), a
    /// query that leaves no room for a document with one that begins with "query".
    pub fn submit(&self, request: RerankRequest, context: CallContext) -> Result<Pending<RerankResponse>> {
        self.core.submit(request, context)
    }

    /// Counters and gauges since the start.
    pub fn stats(&self) -> Stats {
        self.core.0.stats()
    }

    /// Takes no more requests and waits until the accepted ones are answered. On a worker thread of the
    /// [`Runtime`], where a waker may run, it does not wait: the answers need that thread.
    pub fn shutdown(&self) {
        self.core.0.shutdown();
    }
}

#[cfg(test)]
mod tests;

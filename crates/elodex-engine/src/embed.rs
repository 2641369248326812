//! The service around an embedder.

use crate::backend::{Backend, Part, Receipt};
use crate::cache::KeyHasher;
use crate::engine::{Engine, Submission};
use crate::error::of_model;
use crate::pending::Pending;
use crate::{EngineLimits, Error, ErrorKind, Result, Runtime, Stats};
use elodex_kernels::Parallelism;
use elodex_models::{Embedder, Encoded};
use elodex_types::{
    CallContext, EmbedRequest, EmbedResponse, Role, SpaceFingerprint, Truncation, TruncationPolicy, Usage,
};
use std::sync::Arc;

/// Bytes of a result beside its vector.
const RESULT_OVERHEAD: u64 = 64;

/// What the service needs of an embedder.
pub(crate) trait EmbedModel: Send + Sync + 'static {
    fn id(&self) -> &str;
    fn asymmetric(&self) -> bool;
    fn max_tokens(&self) -> usize;
    fn fingerprint(&self, dimensions: usize) -> SpaceFingerprint;
    fn resolve_dimensions(&self, requested: Option<usize>) -> elodex_models::Result<usize>;
    fn prepare(
        &self,
        text: &str,
        role: Option<Role>,
        policy: TruncationPolicy,
    ) -> elodex_models::Result<Encoded>;
    fn embed(
        &self,
        batch: &[&Encoded],
        dimensions: usize,
        parallelism: Parallelism,
    ) -> elodex_models::Result<Vec<Vec<f32>>>;
    fn activation_bytes(&self, tokens: usize) -> u64;
    fn layer_multiply_adds(&self) -> u64;
}

impl EmbedModel for Embedder {
    fn id(&self) -> &str {
        &self.info().id
    }

    fn asymmetric(&self) -> bool {
        self.info().asymmetric
    }

    fn max_tokens(&self) -> usize {
        self.info().max_tokens
    }

    fn fingerprint(&self, dimensions: usize) -> SpaceFingerprint {
        self.fingerprint(dimensions)
    }

    fn resolve_dimensions(&self, requested: Option<usize>) -> elodex_models::Result<usize> {
        self.resolve_dimensions(requested)
    }

    fn prepare(
        &self,
        text: &str,
        role: Option<Role>,
        policy: TruncationPolicy,
    ) -> elodex_models::Result<Encoded> {
        self.prepare(text, role, policy)
    }

    fn embed(
        &self,
        batch: &[&Encoded],
        dimensions: usize,
        parallelism: Parallelism,
    ) -> elodex_models::Result<Vec<Vec<f32>>> {
        self.embed(batch, dimensions, parallelism)
    }

    fn activation_bytes(&self, tokens: usize) -> u64 {
        self.activation_bytes(tokens)
    }

    fn layer_multiply_adds(&self) -> u64 {
        self.layer_multiply_adds()
    }
}

/// What the inputs of an embed request share.
pub(crate) struct EmbedCall {
    role: Option<Role>,
    policy: TruncationPolicy,
    dimensions: usize,
}

/// One input's result.
#[derive(Clone)]
pub(crate) struct Embedding {
    vector: Arc<[f32]>,
    truncation: Truncation,
    tokens: usize,
}

/// An embedder as the scheduler sees it.
struct EmbedBackend<M>(M);

impl<M: EmbedModel> Backend for EmbedBackend<M> {
    type Call = EmbedCall;
    type Raw = Vec<f32>;
    type Output = Embedding;

    const INPUT: &'static str = "input";

    fn open(&self, _: &EmbedCall) -> Result<()> {
        Ok(())
    }

    fn prepare(&self, call: &EmbedCall, text: &str) -> elodex_models::Result<Vec<Part>> {
        let encoded = self.0.prepare(text, call.role, call.policy)?;
        Ok(vec![Part { encoded, span: (0, 0) }])
    }

    /// Requests of several widths may share a batch: one model call per width.
    fn run(
        &self,
        batch: &[(&EmbedCall, &Encoded)],
        parallelism: Parallelism,
    ) -> elodex_models::Result<Vec<Vec<f32>>> {
        let mut widths: Vec<usize> = batch.iter().map(|(call, _)| call.dimensions).collect();
        widths.sort_unstable();
        widths.dedup();
        let mut vectors = vec![Vec::new(); batch.len()];
        for width in widths {
            let members: Vec<usize> =
                (0..batch.len()).filter(|&row| batch[row].0.dimensions == width).collect();
            let texts: Vec<&Encoded> = members.iter().map(|&row| batch[row].1).collect();
            let results = self.0.embed(&texts, width, parallelism)?;
            if results.len() != members.len() {
                let message = format!("{} texts were answered with {} vectors", members.len(), results.len());
                return Err(elodex_models::Error::new(elodex_models::ErrorKind::Bug, message));
            }
            for (row, vector) in members.into_iter().zip(results) {
                vectors[row] = vector;
            }
        }
        Ok(vectors)
    }

    fn finish(&self, subject: &str, parts: Vec<(Receipt, Vec<f32>)>) -> Result<Embedding> {
        let Some((receipt, vector)) = parts.into_iter().next() else {
            return Err(Error::new(ErrorKind::Bug, format!("{subject}: no vector")));
        };
        if vector.iter().any(|value| value.is_nan()) {
            return Err(Error::new(ErrorKind::Bug, format!("{subject}: the model's vector is not a number")));
        }
        Ok(Embedding { vector: vector.into(), truncation: receipt.truncation, tokens: receipt.tokens })
    }

    fn most_tokens(&self, _: &EmbedCall) -> Option<usize> {
        Some(self.0.max_tokens())
    }

    fn activation_bytes(&self, tokens: usize) -> u64 {
        self.0.activation_bytes(tokens)
    }

    fn layer_multiply_adds(&self) -> u64 {
        self.0.layer_multiply_adds()
    }
}

/// The service of any embedder.
struct Core<M: EmbedModel>(Engine<EmbedBackend<M>>);

impl<M: EmbedModel> Core<M> {
    fn start(model: M, runtime: Arc<Runtime>, limits: EngineLimits) -> Result<Self> {
        if limits.truncation == TruncationPolicy::Passages {
            return Err(passages_refused());
        }
        let name = model.id().to_owned();
        let weight = |result: &Embedding| RESULT_OVERHEAD + size_of_val(&*result.vector) as u64;
        Engine::start(EmbedBackend(model), &name, runtime, limits, weight).map(Self)
    }

    fn model(&self) -> &M {
        &self.0.backend().0
    }

    fn submit(&self, request: EmbedRequest, context: CallContext) -> Result<Pending<EmbedResponse>> {
        let (call, fingerprint) = self.resolve(&request).inspect_err(|_| self.0.count_refusal())?;
        let mut names = KeyHasher::new("embed");
        names.field(fingerprint.as_bytes());
        names.field(format!("{:?} {:?}", call.role, call.policy).as_bytes());
        let (model, role) = (self.model().id().to_owned(), call.role);
        let submission = Submission {
            result_bytes: RESULT_OVERHEAD + (call.dimensions * size_of::<f32>()) as u64,
            call,
            inputs: request.inputs,
            shared_bytes: 0,
            names,
            latency: request.latency,
            context,
        };
        self.0.submit(submission, move |answers| EmbedResponse {
            model,
            role,
            usage: Usage {
                bytes: answers.bytes,
                tokens: answers.outputs.iter().map(|output| output.tokens as u64).sum(),
            },
            truncations: answers.outputs.iter().map(|output| output.truncation).collect(),
            embeddings: answers.outputs.into_iter().map(|output| output.vector).collect(),
            fingerprint,
            lane: answers.lane,
            timing: answers.timing,
        })
    }

    /// What the request asks of the model, refused here where that needs no text.
    fn resolve(&self, request: &EmbedRequest) -> Result<(EmbedCall, SpaceFingerprint)> {
        let model = self.model();
        let policy = request.truncation.unwrap_or(self.0.limits().truncation);
        if policy == TruncationPolicy::Passages {
            return Err(passages_refused());
        }
        if model.asymmetric() && request.role.is_none() {
            let message = format!(
                "model `{}` encodes queries and documents differently; say which with the role `query` or `document`",
                model.id()
            );
            return Err(Error::new(ErrorKind::Request, message));
        }
        let dimensions = model
            .resolve_dimensions(request.dimensions)
            .map_err(|error| of_model("the request's dimensions", error))?;
        let call = EmbedCall { role: request.role, policy, dimensions };
        Ok((call, model.fingerprint(dimensions)))
    }
}

fn passages_refused() -> Error {
    Error::new(
        ErrorKind::Request,
        "the truncation policy `passages` scores windows of a document and is for rerankers; use `truncate` or `error` \
         to embed",
    )
}

/// A model with its scheduler and cache. Cheap to clone; dropping the last clone finishes accepted work.
#[derive(Debug, Clone)]
pub struct EmbedService {
    core: Arc<Core<Embedder>>,
}

impl EmbedService {
    /// Starts the scheduler thread. Fails on limits under which nothing can run.
    pub fn start(model: Embedder, runtime: Arc<Runtime>, limits: EngineLimits) -> Result<Self> {
        Core::start(model, runtime, limits).map(|core| Self { core: Arc::new(core) })
    }

    /// The model.
    pub fn model(&self) -> &Embedder {
        self.core.model()
    }

    /// Admits a request or refuses it at once; tokenising happens on the scheduler's side, not on the caller's thread.
    ///
    /// Refused at once: with [`ErrorKind::Request`] a missing role, an unknown width and the policy `passages`; with
    /// [`ErrorKind::TooLarge`], [`ErrorKind::QueueFull`], [`ErrorKind::KeyLimit`] and [`ErrorKind::Stopping`] what
    /// [`EngineLimits`] and [`shutdown`](Self::shutdown) say. An input the model refuses fails the answer with
    /// [`ErrorKind::Request`] and a message that begins with its index: "input 3".
    pub fn submit(&self, request: EmbedRequest, context: CallContext) -> Result<Pending<EmbedResponse>> {
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

impl<M: EmbedModel> std::fmt::Debug for Core<M> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Core").field("model", &self.model().id()).field("engine", &self.0).finish()
    }
}

#[cfg(test)]
mod tests;

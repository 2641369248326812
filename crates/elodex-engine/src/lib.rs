//! Admission, fair scheduling, token-budget packing, roles and caches around a model: the synchronous heart of the
//! server. No async runtime is needed: an answer is a [`Pending`] that can be waited for or polled as a future.

/// Threads and kernels every model of a process shares.
#[derive(Debug)]
pub struct Runtime {}

impl Runtime {
    /// A pool of `threads` worker threads.
    pub fn new(threads: usize, kernels: elodex_kernels::Kernels) -> Result<Self> {
        let _ = (threads, kernels);
        todo!()
    }
}

/// Limits of one model's scheduler.
#[derive(Debug, Clone)]
pub struct EngineLimits {
    /// Tokens in one packed batch.
    pub batch_tokens: usize,
    /// Bytes of text waiting in the queue; more is refused as unavailable (503).
    pub queue_bytes: u64,
    /// Share of `queue_bytes` one key may hold while others wait; more is refused as overload (429).
    pub key_queue_bytes: u64,
    /// Bytes of one request's inputs, counted as [`elodex_types::Usage::bytes`]; more is refused as too large.
    pub request_bytes: u64,
    /// Bytes of activations a batch may need; a batch is cut to stay below.
    pub memory_bytes: u64,
    /// Bytes of results kept in the cache; 0 switches it off.
    pub cache_bytes: u64,
    /// Bytes of answers, finished or still to be computed, that admitted requests may hold until their callers take
    /// them; more is refused as unavailable (503).
    pub result_bytes: u64,
    /// Largest request, in bytes to compute, that may use the fast lane.
    pub fast_bytes_per_request: u64,
    /// Bytes one key may have waiting in the fast lane.
    pub fast_bytes_per_key: u64,
    /// Applied where a request names none.
    pub truncation: elodex_types::TruncationPolicy,
}

impl Default for EngineLimits {
    fn default() -> Self {
        Self {
            batch_tokens: 8_192,
            queue_bytes: 256 << 20,
            key_queue_bytes: 64 << 20,
            request_bytes: 5_000_000,
            memory_bytes: 2 << 30,
            cache_bytes: 256 << 20,
            result_bytes: 1 << 30,
            fast_bytes_per_request: 500_000,
            fast_bytes_per_key: 2_000_000,
            truncation: elodex_types::TruncationPolicy::Truncate,
        }
    }
}

/// An answer under way. Dropping it cancels the work that has not started.
#[derive(Debug)]
pub struct Pending<T>(std::marker::PhantomData<T>);

impl<T> Pending<T> {
    /// Blocks until the answer is there.
    pub fn wait(self) -> Result<T> {
        todo!()
    }
}

impl<T> Future for Pending<T> {
    type Output = Result<T>;

    fn poll(self: std::pin::Pin<&mut Self>, _: &mut std::task::Context<'_>) -> std::task::Poll<Self::Output> {
        todo!()
    }
}

/// A model with its scheduler and cache. Cheap to clone.
#[derive(Debug, Clone)]
pub struct EmbedService {}

impl EmbedService {
    /// Starts the scheduler thread.
    pub fn start(model: elodex_models::Embedder, runtime: std::sync::Arc<Runtime>, limits: EngineLimits) -> Result<Self> {
        let _ = (model, runtime, limits);
        todo!()
    }

    /// The model.
    pub fn model(&self) -> &elodex_models::Embedder {
        todo!()
    }

    /// Admits a request or refuses it at once; tokenising happens on the scheduler's side, not on the caller's thread.
    pub fn submit(
        &self,
        request: elodex_types::EmbedRequest,
        context: elodex_types::CallContext,
    ) -> Result<Pending<elodex_types::EmbedResponse>> {
        let _ = (request, context);
        todo!()
    }

    /// Counters and gauges since the start.
    pub fn stats(&self) -> Stats {
        todo!()
    }
}

/// A model with its scheduler and cache. Cheap to clone.
#[derive(Debug, Clone)]
pub struct RerankService {}

impl RerankService {
    /// Starts the scheduler thread.
    pub fn start(model: elodex_models::Reranker, runtime: std::sync::Arc<Runtime>, limits: EngineLimits) -> Result<Self> {
        let _ = (model, runtime, limits);
        todo!()
    }

    /// The model.
    pub fn model(&self) -> &elodex_models::Reranker {
        todo!()
    }

    /// See [`EmbedService::submit`].
    pub fn submit(
        &self,
        request: elodex_types::RerankRequest,
        context: elodex_types::CallContext,
    ) -> Result<Pending<elodex_types::RerankResponse>> {
        let _ = (request, context);
        todo!()
    }

    /// Counters and gauges since the start.
    pub fn stats(&self) -> Stats {
        todo!()
    }
}

/// Counters since the start and gauges of now.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct Stats {
    /// Inputs answered from the cache.
    pub cache_hits: u64,
    /// Inputs that had to be computed.
    pub cache_misses: u64,
    /// Batches run.
    pub batches: u64,
    /// Tokens run.
    pub tokens: u64,
    /// Inputs dropped because their caller had gone.
    pub cancelled: u64,
    /// Inputs dropped because their deadline had passed.
    pub expired: u64,
    /// Requests refused at admission.
    pub refused: u64,
    /// Bytes of text waiting now.
    pub queued_bytes: u64,
    /// Requests waiting or running now.
    pub in_flight: u64,
}

/// What went wrong in the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The queue is full for everyone.
    QueueFull,
    /// This key's share of the queue is full, or its fast lane is.
    KeyLimit,
    /// The request is larger than a limit.
    TooLarge,
    /// The deadline passed before the work was done.
    Deadline,
    /// The service is stopping.
    Stopping,
    /// The model refused the request; see the cause.
    Request,
    /// An internal invariant broke.
    Bug,
}

impl elodex_types::Kind for ErrorKind {
    fn fault(self) -> elodex_types::Fault {
        use elodex_types::Fault;
        match self {
            ErrorKind::QueueFull | ErrorKind::Stopping => Fault::Unavailable,
            ErrorKind::KeyLimit => Fault::Overload,
            ErrorKind::TooLarge => Fault::TooLarge,
            ErrorKind::Deadline => Fault::Deadline,
            ErrorKind::Request => Fault::User,
            ErrorKind::Bug => Fault::Bug,
        }
    }
}

/// The error of this crate.
pub type Error = elodex_types::Failure<ErrorKind>;

/// A result with this crate's error.
pub type Result<T> = std::result::Result<T, Error>;

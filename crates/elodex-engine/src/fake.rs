//! Models whose every step is seen and can be held: one token per byte of text, results that are plain functions of
//! the tokens. Some texts misbehave: see [`misbehave`].

use crate::embed::EmbedModel;
use crate::rerank::RerankModel;
use crate::scheduler::SMALL_LAYER_MULTIPLY_ADDS;
use elodex_kernels::{Kernels, Parallelism};
use elodex_models::{Encoded, Error, ErrorKind, Result, Window};
use elodex_types::{CallContext, Role, Score, ScoreKind, SpaceFingerprint, Truncation, TruncationPolicy};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

/// Between query and document in a pair's tokens.
const SEPARATOR: u32 = 256;
/// Window of the fakes in tokens.
pub(crate) const MAX_TOKENS: usize = 400;
/// Tokens of a small batch.
pub(crate) const SMALL_TOKENS: usize = 64;
/// Activations per token.
pub(crate) const BYTES_PER_TOKEN: u64 = 10;

/// What a fake has seen, and the gate before its batches.
#[derive(Default)]
pub(crate) struct Probe {
    state: Mutex<Seen>,
    changed: Condvar,
}

#[derive(Default)]
pub(crate) struct Seen {
    /// Texts of every batch, as packed.
    pub(crate) batches: Vec<Vec<String>>,
    /// Texts given to the tokeniser.
    pub(crate) tokenised: Vec<String>,
    /// Queries given to the tokeniser.
    pub(crate) queries: Vec<String>,
    /// Batches that may pass while held.
    permits: usize,
    held: bool,
    /// Batches that have come to the gate.
    arrived: usize,
    /// Batches that have come and not gone.
    inside: usize,
    /// How each batch was to run, and how many others were inside when it came.
    pub(crate) ways: Vec<(Parallelism, usize)>,
}

impl Probe {
    pub(crate) fn held() -> Arc<Self> {
        let probe = Self::default();
        probe.seen().held = true;
        Arc::new(probe)
    }

    pub(crate) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Waits until the `nth` batch stands before the gate.
    pub(crate) fn wait_for_batch(&self, nth: usize) {
        let mut seen = self.seen();
        while seen.arrived < nth {
            seen = self.changed.wait(seen).unwrap();
        }
    }

    pub(crate) fn let_pass(&self, batches: usize) {
        self.seen().permits += batches;
        self.changed.notify_all();
    }

    pub(crate) fn open(&self) {
        self.seen().held = false;
        self.changed.notify_all();
    }

    /// The number of the first batch with `text`, from 0.
    pub(crate) fn batch_of(&self, text: &str) -> Option<usize> {
        self.seen().batches.iter().position(|batch| batch.iter().any(|one| one == text))
    }

    fn enter(&self, batch: Vec<String>, parallelism: Parallelism) {
        let mut seen = self.seen();
        seen.batches.push(batch);
        seen.arrived += 1;
        let beside = seen.inside;
        seen.ways.push((parallelism, beside));
        seen.inside += 1;
        self.changed.notify_all();
        while seen.held && seen.permits == 0 {
            seen = self.changed.wait(seen).unwrap();
        }
        if seen.held {
            seen.permits -= 1;
        }
        seen.inside -= 1;
    }
}

/// What some texts do at a step: `panic in tokenise`, `panic in batch`, `error in batch`.
fn misbehave(step: &str, text: &str) -> Result<()> {
    if text.contains(&format!("panic in {step}")) {
        panic!("asked to panic in {step}");
    }
    if text.contains(&format!("error in {step}")) {
        return Err(Error::new(ErrorKind::Bug, format!("asked to fail in {step}")));
    }
    Ok(())
}

fn text_of(encoded: &Encoded) -> String {
    encoded.ids.iter().map(|&id| if id == SEPARATOR { '|' } else { id as u8 as char }).collect()
}

fn encode(ids: Vec<u32>, seen: usize, route: usize) -> Encoded {
    let used = ids.len();
    Encoded { ids, type_ids: Vec::new(), pool_from: 0, route, truncation: Truncation { seen, used } }
}

fn too_long(tokens: usize) -> Error {
    Error::new(ErrorKind::TooLong, format!("{tokens} tokens, at most {MAX_TOKENS}"))
}

pub(crate) fn runtime() -> Arc<crate::Runtime> {
    runtime_of(2)
}

pub(crate) fn runtime_of(threads: usize) -> Arc<crate::Runtime> {
    Arc::new(crate::Runtime::new(threads, Kernels::detect()).unwrap())
}

pub(crate) fn caller(key: &str) -> CallContext {
    CallContext { key: key.into(), deadline: None }
}

pub(crate) struct FakeEmbedder {
    pub(crate) probe: Arc<Probe>,
    pub(crate) asymmetric: bool,
}

impl FakeEmbedder {
    pub(crate) const WIDTHS: [usize; 3] = [8, 4, 2];

    pub(crate) fn new(probe: &Arc<Probe>) -> Self {
        Self { probe: Arc::clone(probe), asymmetric: false }
    }
}

impl EmbedModel for FakeEmbedder {
    fn id(&self) -> &str {
        "fake-embedder"
    }

    fn asymmetric(&self) -> bool {
        self.asymmetric
    }

    fn max_tokens(&self) -> usize {
        MAX_TOKENS
    }

    fn fingerprint(&self, dimensions: usize) -> SpaceFingerprint {
        SpaceFingerprint::new([dimensions as u8; 32])
    }

    fn resolve_dimensions(&self, requested: Option<usize>) -> Result<usize> {
        let width = requested.unwrap_or(Self::WIDTHS[0]);
        if !Self::WIDTHS.contains(&width) {
            return Err(Error::new(ErrorKind::Request, format!("no width {width}; use 8, 4 or 2")));
        }
        Ok(width)
    }

    fn prepare(&self, text: &str, role: Option<Role>, policy: TruncationPolicy) -> Result<Encoded> {
        self.probe.seen().tokenised.push(text.to_owned());
        misbehave("tokenise", text)?;
        let mut ids: Vec<u32> = text.bytes().map(u32::from).collect();
        ids.push(b'.'.into());
        let seen = ids.len();
        if seen > MAX_TOKENS && policy == TruncationPolicy::Error {
            return Err(too_long(seen));
        }
        ids.truncate(MAX_TOKENS);
        Ok(encode(ids, seen, usize::from(role == Some(Role::Query))))
    }

    fn embed(
        &self,
        batch: &[&Encoded],
        dimensions: usize,
        parallelism: Parallelism,
    ) -> Result<Vec<Vec<f32>>> {
        let texts: Vec<String> = batch.iter().map(|encoded| text_of(encoded)).collect();
        self.probe.enter(texts.clone(), parallelism);
        texts.iter().try_for_each(|text| misbehave("batch", text))?;
        let vector = |encoded: &&Encoded| {
            if text_of(encoded).starts_with("not a number") {
                return vec![f32::NAN; dimensions];
            }
            let mut state = 17 + encoded.route as u64 * 1_000 + dimensions as u64;
            encoded
                .ids
                .iter()
                .for_each(|&id| state = state.wrapping_mul(0x5851_f42d_4c95_7f2d) + u64::from(id));
            (0..dimensions as u64).map(|axis| (state.rotate_left(7 * axis as u32) >> 40) as f32).collect()
        };
        Ok(batch.iter().map(vector).collect())
    }

    fn activation_bytes(&self, tokens: usize) -> u64 {
        tokens as u64 * BYTES_PER_TOKEN
    }

    fn layer_multiply_adds(&self) -> u64 {
        SMALL_LAYER_MULTIPLY_ADDS / SMALL_TOKENS as u64
    }
}

/// A reranker whose logit is the document's number after `=`, or else how many `x` it has.
pub(crate) struct FakeReranker {
    pub(crate) probe: Arc<Probe>,
}

impl RerankModel for FakeReranker {
    type Query = Vec<u32>;

    fn id(&self) -> &str {
        "fake-reranker"
    }

    fn max_tokens(&self) -> usize {
        MAX_TOKENS
    }

    fn fingerprint(&self) -> SpaceFingerprint {
        SpaceFingerprint::new([1; 32])
    }

    fn prepare_query(&self, query: &str) -> Result<Vec<u32>> {
        self.probe.seen().queries.push(query.to_owned());
        misbehave("query", query)?;
        if query.len() + 2 > MAX_TOKENS {
            return Err(too_long(query.len()));
        }
        Ok(query.bytes().map(u32::from).collect())
    }

    fn prepare_document(
        &self,
        query: &Vec<u32>,
        document: &str,
        policy: TruncationPolicy,
    ) -> Result<Vec<Window>> {
        self.probe.seen().tokenised.push(document.to_owned());
        misbehave("tokenise", document)?;
        let ids: Vec<u32> = document.bytes().map(u32::from).collect();
        let seen = query.len() + 1 + ids.len();
        let room = MAX_TOKENS - query.len() - 1;
        let window = |start: usize| {
            let end = ids.len().min(start + room);
            let pair = [query.as_slice(), &[SEPARATOR], &ids[start..end]].concat();
            Window { encoded: encode(pair, seen, 0), span: (start, end) }
        };
        match policy {
            TruncationPolicy::Error if seen > MAX_TOKENS => Err(too_long(seen)),
            TruncationPolicy::Error | TruncationPolicy::Truncate => Ok(vec![window(0)]),
            TruncationPolicy::Passages => {
                let mut windows = vec![window(0)];
                while windows.last().is_some_and(|last| last.span.1 < ids.len()) {
                    windows.push(window(windows.len() * room / 2));
                }
                Ok(windows)
            }
        }
    }

    fn logits(&self, batch: &[&Encoded], parallelism: Parallelism) -> Result<Vec<f32>> {
        let texts: Vec<String> = batch.iter().map(|encoded| text_of(encoded)).collect();
        self.probe.enter(texts.clone(), parallelism);
        texts.iter().try_for_each(|text| misbehave("batch", text))?;
        let logit = |text: &String| match text.split_once('=') {
            Some((_, number)) => number.parse().unwrap_or(f32::NAN),
            None => text.matches('x').count() as f32,
        };
        Ok(texts.iter().map(logit).collect())
    }

    fn relevance(&self, logit: f32) -> Score {
        Score { value: 1.0 / (1.0 + (-logit / 5.0).exp()), kind: ScoreKind::Relevance }
    }

    fn activation_bytes(&self, tokens: usize) -> u64 {
        tokens as u64 * BYTES_PER_TOKEN
    }

    fn layer_multiply_adds(&self) -> u64 {
        SMALL_LAYER_MULTIPLY_ADDS / SMALL_TOKENS as u64
    }
}

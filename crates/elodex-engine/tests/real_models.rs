//! The services around real (tiny, seeded) models: whatever is asked, by whom and in what order, the bits are those of
//! a direct call on one input.

#![expect(clippy::unwrap_used, reason = "a test may end by panic")]

use elodex_engine::{EmbedService, EngineLimits, RerankService, Runtime};
use elodex_kernels::{Kernels, Parallelism};
use elodex_models::files::ModelFiles;
use elodex_models::{Embedder, Reranker};
use elodex_types::{
    CallContext, EmbedRequest, EmbedResponse, Latency, RerankRequest, RerankResponse, Role, TruncationPolicy,
};
use proptest::prelude::*;
use std::sync::{Arc, LazyLock};

static RUNTIME: LazyLock<Arc<Runtime>> =
    LazyLock::new(|| Arc::new(Runtime::new(2, Kernels::detect()).unwrap()));

fn files(name: &str) -> ModelFiles {
    ModelFiles::open(&elodex_testkit::golden_dir(name).join("model")).unwrap()
}

fn embed_service(limits: EngineLimits) -> EmbedService {
    let model = Embedder::load(&files("bert_minilm"), RUNTIME.kernels()).unwrap();
    EmbedService::start(model, Arc::clone(&RUNTIME), limits).unwrap()
}

fn rerank_service(limits: EngineLimits) -> RerankService {
    let model = Reranker::load(&files("bert_cross"), RUNTIME.kernels()).unwrap();
    RerankService::start(model, Arc::clone(&RUNTIME), limits).unwrap()
}

fn caller(key: usize) -> CallContext {
    CallContext { key: key.to_string().into(), deadline: None }
}

fn texts(most: usize) -> impl Strategy<Value = Vec<String>> {
    let words = prop_oneof!["", "[a-z]{1,12}", "([a-z]{1,9} ){1,30}", "([a-zé東]{1,7} ){40,120}"];
    prop::collection::vec(words, 0..most)
}

fn latency() -> impl Strategy<Value = Latency> {
    prop_oneof![Just(Latency::Fast), Just(Latency::Slow), Just(Latency::Auto)]
}

/// Submits from four threads and gives the answers in order.
fn from_four_threads<Q: Sync, A: Send>(requests: &[Q], ask: impl Fn(usize, &Q) -> A + Sync) -> Vec<A> {
    let share = requests.len().div_ceil(4);
    std::thread::scope(|scope| {
        let threads: Vec<_> = requests
            .chunks(share)
            .enumerate()
            .map(|(thread, requests)| {
                let ask = &ask;
                scope.spawn(move || requests.iter().map(|request| ask(thread, request)).collect::<Vec<A>>())
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    })
}

fn bits(vector: &[f32]) -> Vec<u32> {
    vector.iter().map(|value| value.to_bits()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn embeddings_are_those_of_direct_calls(
        inputs in prop::collection::vec((texts(12), latency()), 1..12),
        batch_tokens in 64..1_000_usize,
        cache_bytes in prop_oneof![Just(0_u64), Just(1 << 20)],
    ) {
        let service = embed_service(EngineLimits { batch_tokens, cache_bytes, ..EngineLimits::default() });
        let answers: Vec<EmbedResponse> = from_four_threads(&inputs, |key, (inputs, latency)| {
            let request = EmbedRequest {
                model: String::new(),
                role: Some(Role::Document),
                inputs: inputs.clone(),
                dimensions: None,
                truncation: None,
                latency: *latency,
            };
            service.submit(request, caller(key)).unwrap().wait().unwrap()
        });
        let model = service.model();
        let width = model.resolve_dimensions(None).unwrap();
        for ((inputs, _), answer) in inputs.iter().zip(&answers) {
            prop_assert_eq!(answer.embeddings.len(), inputs.len());
            prop_assert_eq!(answer.fingerprint, model.fingerprint(width));
            let mut tokens = 0;
            for (index, text) in inputs.iter().enumerate() {
                let encoded = model.prepare(text, Some(Role::Document), TruncationPolicy::Truncate).unwrap();
                let direct = model.embed(&[&encoded], width, Parallelism::Serial).unwrap().remove(0);
                prop_assert_eq!(bits(&answer.embeddings[index]), bits(&direct), "{}", text);
                prop_assert_eq!(answer.truncations[index], encoded.truncation);
                tokens += encoded.ids.len() as u64;
            }
            prop_assert_eq!(answer.usage.tokens, tokens);
        }
    }

    #[test]
    fn logits_are_those_of_direct_calls(
        inputs in prop::collection::vec(("[a-z ]{0,40}", texts(12), latency()), 1..8),
        policy in prop_oneof![Just(TruncationPolicy::Truncate), Just(TruncationPolicy::Passages)],
        batch_tokens in 64..1_000_usize,
        cache_bytes in prop_oneof![Just(0_u64), Just(1 << 20)],
    ) {
        let service = rerank_service(EngineLimits { batch_tokens, cache_bytes, ..EngineLimits::default() });
        let answers: Vec<RerankResponse> = from_four_threads(&inputs, |key, (query, documents, latency)| {
            let request = RerankRequest {
                model: String::new(),
                query: query.clone(),
                documents: documents.clone(),
                top_n: None,
                truncation: Some(policy),
                latency: *latency,
            };
            service.submit(request, caller(key)).unwrap().wait().unwrap()
        });
        let model = service.model();
        for ((query, documents, _), answer) in inputs.iter().zip(&answers) {
            prop_assert_eq!(answer.results.len(), documents.len());
            let best_first = answer.results.is_sorted_by(|left, right| {
                left.logit > right.logit || (left.logit == right.logit && left.index < right.index)
            });
            prop_assert!(best_first);
            let query = model.prepare_query(query).unwrap();
            for ranked in &answer.results {
                let windows = model.prepare_document(&query, &documents[ranked.index], policy).unwrap();
                let logits: Vec<f32> = windows
                    .iter()
                    .map(|window| model.logits(&[&window.encoded], Parallelism::Serial).unwrap()[0])
                    .collect();
                let best = logits.iter().copied().reduce(f32::max).unwrap();
                prop_assert_eq!(ranked.logit.to_bits(), best.to_bits());
                prop_assert_eq!(ranked.score, model.relevance(best));
                let first_best = logits.iter().position(|logit| *logit == best).unwrap();
                let span = (windows.len() > 1).then_some(windows[first_best].span);
                prop_assert_eq!(ranked.span, span);
            }
        }
    }
}

#[test]
fn a_refused_input_is_named() {
    let service = embed_service(EngineLimits::default());
    let request = EmbedRequest {
        model: String::new(),
        role: Some(Role::Document),
        inputs: vec!["short".into(), "much too long ".repeat(2_000)],
        dimensions: None,
        truncation: Some(TruncationPolicy::Error),
        latency: Latency::Auto,
    };
    let error = service.submit(request, caller(0)).unwrap().wait().unwrap_err();
    assert_eq!(error.kind(), elodex_engine::ErrorKind::Request);
    assert!(error.report().starts_with("input 1: "), "{}", error.report());
}

//! The bits of a text do not depend on its batch, its place in it, or the threads.
#![expect(clippy::unwrap_used, reason = "a fixture or a model that fails is a failed test")]

use elodex_kernels::{Kernels, Parallelism};
use elodex_models::files::ModelFiles;
use elodex_models::{Embedder, Encoded, Precision, Reranker};
use elodex_testkit::Golden;
use elodex_types::{Role, TruncationPolicy};
use proptest::prelude::*;

/// Families that between them use every kind of norm, position, attention and pooling.
const EMBEDDERS: [&str; 6] = ["bert_minilm", "mpnet", "modernbert_embed", "nomic_bert", "zembed", "jina_v3"];
const RERANKERS: [&str; 2] = ["bert_cross", "zerank"];

fn files(name: &str, precision: Precision) -> ModelFiles {
    let golden = Golden::load(name);
    let files = ModelFiles::open_as(&golden.model, golden.id.as_deref().unwrap_or(name)).unwrap();
    ModelFiles { precision, ..files }
}

/// Each name with each precision.
fn in_both<'a>(names: &[&'a str]) -> Vec<(&'a str, Precision)> {
    names.iter().flat_map(|name| Precision::ALL.map(|precision| (*name, precision))).collect()
}

fn pool(threads: usize) -> rayon::ThreadPool {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap()
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

/// Runs `encoded` alone on one thread and in a batch on several, and compares the bits.
fn same_bits(
    encoded: &[Encoded],
    threads: usize,
    run: impl Fn(&[&Encoded], Parallelism) -> Vec<Vec<f32>> + Sync,
) {
    let alone: Vec<_> = encoded.iter().map(|text| bits(&run(&[text], Parallelism::Serial)[0])).collect();
    let batch: Vec<&Encoded> = encoded.iter().collect();
    let together = pool(threads).install(|| run(&batch, Parallelism::Pool));
    for (place, vector) in together.iter().enumerate() {
        assert_eq!(bits(vector), alone[place], "place {place} of {}, {threads} threads", encoded.len());
    }
}

fn texts() -> impl Strategy<Value = Vec<(String, bool)>> {
    let text = prop_oneof![".{0,40}", "[a-z ]{0,400}", "[a-z]{1,8}( [a-z]{1,8}){20,60}"];
    prop::collection::vec((text, any::<bool>()), 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn embeddings(texts in texts(), threads in 1usize..5) {
        for (name, precision) in in_both(&EMBEDDERS) {
            let embedder = Embedder::load(&files(name, precision), Kernels::detect()).unwrap();
            let width = embedder.info().dimensions[0];
            let encoded: Vec<Encoded> = texts
                .iter()
                .map(|(text, query)| {
                    let role = if *query { Role::Query } else { Role::Document };
                    embedder.prepare(text, Some(role), TruncationPolicy::Truncate).unwrap()
                })
                .collect();
            same_bits(&encoded, threads, |batch, parallelism| embedder.embed(batch, width, parallelism).unwrap());
        }
    }

    #[test]
    fn logits(texts in texts(), threads in 1usize..5) {
        for (name, precision) in in_both(&RERANKERS) {
            let reranker = Reranker::load(&files(name, precision), Kernels::detect()).unwrap();
            let query = reranker.prepare_query("which one").unwrap();
            let encoded: Vec<Encoded> = texts
                .iter()
                .flat_map(|(text, _)| reranker.prepare_document(&query, text, TruncationPolicy::Passages).unwrap())
                .map(|window| window.encoded)
                .collect();
            same_bits(&encoded, threads, |batch, parallelism| {
                reranker.logits(batch, parallelism).unwrap().into_iter().map(|logit| vec![logit]).collect()
            });
        }
    }
}

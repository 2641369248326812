//! Every family against the reference implementation, stage by stage: tokens, embeddings, each layer, pooled, output.
#![expect(clippy::unwrap_used, reason = "a fixture or a model that fails is a failed test")]

use elodex_kernels::{Isa, Kernels, Parallelism};
use elodex_models::exec::Stage;
use elodex_models::files::ModelFiles;
use elodex_models::{Embedder, Reranker};
use elodex_testkit::{Case, Golden, assert_close, golden_names};
use elodex_types::{Role, TruncationPolicy};

/// Largest difference of a component; relative where a random model's activations are large.
const ABSOLUTE: f32 = 1e-4;
const RELATIVE: f32 = 1e-5;

fn open(golden: &Golden) -> ModelFiles {
    match &golden.id {
        Some(id) => ModelFiles::open_as(&golden.model, id).unwrap(),
        None => ModelFiles::open(&golden.model).unwrap(),
    }
}

fn role(case: &Case) -> Option<Role> {
    case.role.as_deref().map(|role| role.parse().unwrap())
}

fn stage_name(stage: Stage) -> String {
    match stage {
        Stage::Embeddings => "embeddings".into(),
        Stage::Layer(index) => format!("layer{index}"),
        Stage::Final => "final".into(),
    }
}

fn compare_stage(golden: &Golden, case: usize, stage: Stage, hidden: &[f32], label: &str) {
    let name = stage_name(stage);
    let expected = golden.stage(case, &name).unwrap_or_else(|| panic!("{label}: no golden {name}"));
    assert_close(hidden, expected, ABSOLUTE, RELATIVE, &format!("{label}, {name}"));
}

fn check_tokens(encoded: &elodex_models::Encoded, case: &Case, label: &str) {
    assert_eq!(encoded.ids, case.ids, "{label}: token ids");
    if let Some(type_ids) = &case.type_ids
        && !encoded.type_ids.is_empty()
    {
        assert_eq!(&encoded.type_ids, type_ids, "{label}: segment ids");
    }
}

fn check_embedder(name: &str, golden: &Golden, kernels: Kernels) {
    let embedder = Embedder::load(&open(golden), kernels).unwrap();
    let full = embedder.info().dimensions[0];
    for (index, case) in golden.cases.iter().enumerate() {
        let label = format!("{name} on {}, case {index}", kernels.isa());
        let text = case.text.as_deref().unwrap();
        let encoded = embedder.prepare(text, role(case), TruncationPolicy::Truncate).unwrap();
        check_tokens(&encoded, case, &label);
        let pooled =
            embedder.observe(&encoded, |stage, hidden| compare_stage(golden, index, stage, hidden, &label));
        let expected = golden.stage(index, "pooled").unwrap();
        assert_close(&pooled, expected, ABSOLUTE, RELATIVE, &format!("{label}, pooled"));
        let mut widths = golden.widths(index);
        widths.push(full);
        for width in widths {
            let stage = if width == full { "output".into() } else { format!("output.{width}") };
            let width = embedder.resolve_dimensions(Some(width)).unwrap();
            let vectors = embedder.embed(&[&encoded], width, Parallelism::Pool).unwrap();
            let expected = golden.stage(index, &stage).unwrap();
            assert_close(&vectors[0], expected, ABSOLUTE, RELATIVE, &format!("{label}, {stage}"));
        }
    }
}

fn check_reranker(name: &str, golden: &Golden, kernels: Kernels) {
    let reranker = Reranker::load(&open(golden), kernels).unwrap();
    for (index, case) in golden.cases.iter().enumerate() {
        let label = format!("{name} on {}, case {index}", kernels.isa());
        let query = reranker.prepare_query(case.query.as_deref().unwrap()).unwrap();
        let document = case.document.as_deref().unwrap();
        let windows = reranker.prepare_document(&query, document, TruncationPolicy::Truncate).unwrap();
        assert_eq!(windows.len(), 1, "{label}: truncation gives one window");
        let encoded = &windows[0].encoded;
        check_tokens(encoded, case, &label);
        let observed =
            reranker.observe(encoded, |stage, hidden| compare_stage(golden, index, stage, hidden, &label));
        let logit = reranker.logits(&[encoded], Parallelism::Pool).unwrap()[0];
        assert_eq!(
            observed.to_bits(),
            logit.to_bits(),
            "{label}: leaving out rows of the last layer changes no bit"
        );
        assert_close(&[logit], &[case.logit.unwrap()], ABSOLUTE, RELATIVE, &format!("{label}, logit"));
        let score = reranker.relevance(logit).value;
        assert_close(&[score], &[case.score.unwrap()], ABSOLUTE, 0.0, &format!("{label}, score"));
    }
}

#[test]
fn every_family_equals_its_reference() {
    for name in golden_names() {
        let golden = Golden::load(&name);
        for isa in Isa::available() {
            let kernels = Kernels::with_isa(isa).unwrap();
            if golden.cases[0].query.is_some() {
                check_reranker(&name, &golden, kernels);
            } else {
                check_embedder(&name, &golden, kernels);
            }
        }
    }
}

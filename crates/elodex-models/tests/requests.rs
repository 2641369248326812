//! What a model refuses, what it cuts, and what its receipts say.
#![expect(clippy::unwrap_used, reason = "a fixture or a model that fails is a failed test")]

use elodex_kernels::{Kernels, Parallelism};
use elodex_models::files::ModelFiles;
use elodex_models::{Embedder, ErrorKind, Reranker};
use elodex_testkit::Golden;
use elodex_types::{Role, ScoreKind, TruncationPolicy};

fn files(name: &str) -> ModelFiles {
    let golden = Golden::load(name);
    ModelFiles::open_as(&golden.model, golden.id.as_deref().unwrap_or(name)).unwrap()
}

fn embedder(name: &str) -> Embedder {
    Embedder::load(&files(name), Kernels::detect()).unwrap()
}

fn reranker(name: &str) -> Reranker {
    Reranker::load(&files(name), Kernels::detect()).unwrap()
}

fn long_text() -> String {
    (0..200).map(|index| format!("Numéro {index} über 東京. ")).collect()
}

#[test]
fn an_asymmetric_model_wants_a_role_and_a_symmetric_one_does_not() {
    let asymmetric = embedder("zembed");
    let refused = asymmetric.prepare("text", None, TruncationPolicy::Error).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Request);
    assert!(refused.to_string().contains("role"), "{refused}");
    let query = asymmetric.prepare("text", Some(Role::Query), TruncationPolicy::Error).unwrap();
    let document = asymmetric.prepare("text", Some(Role::Document), TruncationPolicy::Error).unwrap();
    assert_ne!(query.ids, document.ids);

    let symmetric = embedder("bert_minilm");
    let none = symmetric.prepare("text", None, TruncationPolicy::Error).unwrap();
    assert_eq!(symmetric.prepare("text", Some(Role::Query), TruncationPolicy::Error).unwrap(), none);
}

#[test]
fn dimensions_are_the_models_or_refused() {
    let plain = embedder("bert_minilm");
    let full = plain.info().dimensions[0];
    assert_eq!(plain.resolve_dimensions(None).unwrap(), full);
    assert_eq!(plain.resolve_dimensions(Some(full)).unwrap(), full);
    for wrong in [0, 1, full - 1, full + 1] {
        let refused = plain.resolve_dimensions(Some(wrong)).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Request);
        assert!(refused.to_string().contains(&full.to_string()), "{refused}");
    }
    let projected = embedder("zembed");
    assert!(projected.resolve_dimensions(Some(projected.info().dimensions[1])).is_ok());
    assert!(projected.resolve_dimensions(Some(projected.info().dimensions[1] - 1)).is_err());
}

#[test]
fn spaces_differ_by_width_model_and_nothing_else() {
    let first = embedder("zembed");
    let again = embedder("zembed");
    assert_eq!(first.fingerprint(32), again.fingerprint(32));
    assert_ne!(first.fingerprint(32), first.fingerprint(16));
    assert_ne!(embedder("bert_minilm").fingerprint(32), embedder("bert_bge").fingerprint(32));
}

#[test]
fn an_over_long_text_is_refused_or_cut_with_a_receipt_and_keeps_its_suffix() {
    let model = embedder("zembed");
    let text = long_text();
    let refused = model.prepare(&text, Some(Role::Document), TruncationPolicy::Error).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::TooLong);
    let cut = model.prepare(&text, Some(Role::Document), TruncationPolicy::Truncate).unwrap();
    let whole = model.prepare("x", Some(Role::Document), TruncationPolicy::Truncate).unwrap();
    assert_eq!(cut.ids.len(), model.info().max_tokens);
    assert_eq!(cut.truncation.used, cut.ids.len());
    assert!(cut.truncation.seen > cut.truncation.used && cut.truncation.cut());
    assert!(!whole.truncation.cut());
    assert_eq!(cut.ids[cut.ids.len() - 2..], whole.ids[whole.ids.len() - 2..], "the suffix is kept");
    assert_eq!(
        model.prepare(&text, Some(Role::Document), TruncationPolicy::Passages).unwrap_err().kind(),
        ErrorKind::Request
    );
}

#[test]
fn passages_cover_the_document_overlap_and_name_their_spans() {
    for name in ["bert_cross", "xlm_roberta_cross", "zerank", "qwen3_reranker", "modernbert_cross"] {
        let model = reranker(name);
        let text = format!("\n  {}\n", long_text());
        let letters: Vec<char> = text.chars().collect();
        let query = model.prepare_query("où est Tokyo ?").unwrap();
        let windows = model.prepare_document(&query, &text, TruncationPolicy::Passages).unwrap();
        assert!(windows.len() > 2, "{name}: {} windows", windows.len());
        for pair in windows.windows(2) {
            assert!(pair[1].span.0 > pair[0].span.0, "{name}: windows move on");
            assert!(pair[1].span.0 < pair[0].span.1, "{name}: windows overlap");
        }
        let covered =
            letters[windows[0].span.0..windows[windows.len() - 1].span.1].iter().collect::<String>();
        assert_eq!(covered.trim(), text.trim(), "{name}: nothing of the document is left out");
        for window in &windows {
            assert!(window.encoded.ids.len() <= model.info().max_tokens, "{name}");
            assert_eq!(window.encoded.truncation.used, window.encoded.ids.len(), "{name}");
            assert!(window.encoded.truncation.cut(), "{name}");
        }
        let first = model.prepare_document(&query, &text, TruncationPolicy::Truncate).unwrap();
        assert_eq!(first.len(), 1, "{name}");
        assert_eq!(first[0], windows[0], "{name}: cutting keeps the first window");
        let refused = model.prepare_document(&query, &text, TruncationPolicy::Error).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::TooLong, "{name}");
    }
}

#[test]
fn queries_are_never_cut() {
    let refused = reranker("bert_cross").prepare_query(&long_text()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::TooLong);
    assert!(refused.to_string().contains("shorten the query"), "{refused}");
}

#[test]
fn relevance_is_monotone_and_bounded() {
    let model = reranker("zerank");
    let mut last = 0.0;
    for logit in [-1e9_f32, -60.0, -4.50247, 0.0, 5.57843, 60.0, 1e9] {
        let score = model.relevance(logit);
        assert_eq!(score.kind, ScoreKind::Relevance);
        assert!((last..=1.0).contains(&score.value), "{logit}");
        last = score.value;
    }
    // The published pairs of zerank-2's logit and score.
    assert!((model.relevance(5.57843).value - 0.753188).abs() < 1e-6);
    assert!((model.relevance(-4.50247).value - 0.288949).abs() < 1e-6);
}

#[test]
fn the_wrong_kind_of_model_is_refused_by_name() {
    let cross = Embedder::load(&files("bert_cross"), Kernels::detect()).unwrap_err();
    assert_eq!(cross.kind(), ErrorKind::Unsupported);
    let bi = Reranker::load(&files("bert_minilm"), Kernels::detect()).unwrap_err();
    assert_eq!(bi.kind(), ErrorKind::Unsupported);
}

#[test]
fn an_empty_batch_is_empty() {
    let model = embedder("bert_minilm");
    assert!(model.embed(&[], model.info().dimensions[0], Parallelism::Pool).unwrap().is_empty());
    assert!(reranker("bert_cross").logits(&[], Parallelism::Serial).unwrap().is_empty());
}

//! Every gradient against differences of the loss, on tiny random models; and forward passes against inference.

#![expect(clippy::unwrap_used, reason = "a test may end by panic")]

use elodex_kernels::{Kernels, Parallelism};
use elodex_models::files::ModelFiles;
use elodex_models::{Embedder, Encoded, Precision, Reranker};
use elodex_testkit::golden_dir;
use elodex_train::ErrorKind;
use elodex_train::network::{Batch, BiEncoder, CrossEncoder, Gradients, Parameters};
use elodex_types::{Role, TruncationPolicy};

const TEXTS: [&str; 4] = [
    "refunds are paid within five days",
    "the parcel never came, and nobody answers",
    "a tablet is taken after meals, not before",
    "when",
];

fn golden(name: &str) -> ModelFiles {
    ModelFiles::open(&golden_dir(name).join("model")).unwrap()
}

fn pairs(files: &ModelFiles) -> (Reranker, Vec<Encoded>) {
    let reranker = Reranker::load(files, Kernels::detect()).unwrap();
    let query = reranker.prepare_query("how long do refunds take").unwrap();
    let window = |text: &&str| {
        reranker.prepare_document(&query, text, TruncationPolicy::Truncate).unwrap().remove(0).encoded
    };
    let encoded = TEXTS.iter().map(window).collect();
    (reranker, encoded)
}

/// Compares the gradient by each tensor, along itself, with the difference of `loss` there.
fn check_along_gradients(
    parameters: &mut Parameters,
    gradients: &Gradients,
    mut loss: impl FnMut(&Parameters) -> f64,
) {
    let count = parameters.iter().count();
    for index in 0..count {
        let gradient = gradients.iter().nth(index).unwrap().to_vec();
        let name = parameters.iter().nth(index).unwrap().names.join("+");
        let norm = gradient.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt();
        // A softmax does not see what is added to all its scores: no loss depends on the biases of keys.
        assert!(norm > 1e-6, "no gradient by {name}");
        let step = 2e-3 / norm;
        let original = parameters.iter().nth(index).unwrap().values.clone();
        let mut at = |parameters: &mut Parameters, step: f64| {
            let values = &mut parameters.iter_mut().nth(index).unwrap().values;
            for ((value, original), gradient) in values.iter_mut().zip(&original).zip(&gradient) {
                *value = original + (step * f64::from(*gradient)) as f32;
            }
            loss(parameters)
        };
        let difference = (at(parameters, step) - at(parameters, -step)) / (2.0 * step * norm);
        at(parameters, 0.0);
        assert!(
            (difference - norm).abs() <= 0.01 * norm + 1e-3,
            "{name}: gradient {norm:.6}, difference {difference:.6}"
        );
    }
}

#[test]
fn a_cross_encoder_gives_the_logits_of_inference_and_their_gradients() {
    for name in ["bert_cross", "xlm_roberta_cross"] {
        check_cross_encoder(&golden(name));
    }
}

fn check_cross_encoder(files: &ModelFiles) {
    let (reranker, encoded) = pairs(files);
    let mut network = CrossEncoder::load(files, Kernels::detect(), 1).unwrap();
    let expected = reranker.logits(&encoded.iter().collect::<Vec<_>>(), Parallelism::Pool).unwrap();
    let (logits, tape) = network.forward(Batch::new(&encoded)).unwrap();
    for (logit, expected) in logits.iter().zip(&expected) {
        assert!((logit - expected).abs() < 1e-5, "{logits:?} are not {expected:?}");
    }

    let weights = [3.0, -2.0, 5.0, 4.0];
    let mut gradients = network.parameters.zeros();
    network.backward(tape, &weights, &mut gradients).unwrap();
    let other = network.clone();
    check_along_gradients(&mut network.parameters, &gradients, |parameters| {
        let mut network = other.clone();
        network.parameters = parameters.clone();
        let (logits, _) = network.forward(Batch::new(&encoded)).unwrap();
        logits.iter().zip(weights).map(|(logit, weight)| f64::from(*logit) * f64::from(weight)).sum()
    });
}

#[test]
fn a_bi_encoder_gives_the_vectors_of_inference_and_their_gradients() {
    for name in ["bert_minilm", "bert_bge", "xlm_roberta_e5"] {
        check_bi_encoder(&golden(name));
    }
}

fn check_bi_encoder(files: &ModelFiles) {
    let embedder = Embedder::load(files, Kernels::detect()).unwrap();
    let prepare =
        |text: &&str| embedder.prepare(text, Some(Role::Document), TruncationPolicy::Truncate).unwrap();
    let encoded: Vec<Encoded> = TEXTS.iter().map(prepare).collect();
    let mut network = BiEncoder::load(files, Kernels::detect()).unwrap();
    let width = embedder.info().dimensions[0];
    let expected =
        embedder.embed(&encoded.iter().collect::<Vec<_>>(), width, Parallelism::Pool).unwrap().concat();
    let (vectors, tape) = network.forward(Batch::new(&encoded)).unwrap();
    for (value, expected) in vectors.iter().zip(&expected) {
        assert!((value - expected).abs() < 1e-6, "{value} is not {expected}");
    }

    let weights: Vec<f32> = (0..vectors.len()).map(|index| (index as f32 * 0.7).sin() * 3.0).collect();
    let mut gradients = network.parameters.zeros();
    network.backward(tape, weights.clone(), &mut gradients).unwrap();
    let other = network.clone();
    check_along_gradients(&mut network.parameters, &gradients, |parameters| {
        let mut network = other.clone();
        network.parameters = parameters.clone();
        let (vectors, _) = network.forward(Batch::new(&encoded)).unwrap();
        vectors.iter().zip(&weights).map(|(value, weight)| f64::from(*value) * f64::from(*weight)).sum()
    });
}

#[test]
fn gradients_do_not_depend_on_the_number_of_threads() {
    let files = golden("bert_cross");
    let (_, encoded) = pairs(&files);
    let network = CrossEncoder::load(&files, Kernels::detect(), 1).unwrap();
    let many: Vec<&Encoded> = encoded.iter().cycle().take(60).collect();
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let (logits, tape) = network.forward(Batch::new(many.iter().copied())).unwrap();
            let mut gradients = network.parameters.zeros();
            network.backward(tape, &logits, &mut gradients).unwrap();
            gradients
        })
    };
    assert_eq!(run(1), run(3));
}

#[test]
fn what_cannot_be_trained_is_refused_by_name() {
    let refused = [
        ("modernbert_embed", "norms in front"),
        ("mpnet", "relative positions"),
        ("nomic_bert", "GELU"),
        ("qwen3_embedding", "modules other than"),
        ("jina_v3", "for each role"),
        ("dense_tanh", "modules other than"),
    ];
    for (name, reason) in refused {
        let error = BiEncoder::load(&golden(name), Kernels::detect()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{name}: {error}");
        assert!(error.to_string().contains(reason), "{name}: {error}");
    }
    let error = CrossEncoder::load(&golden("modernbert_embed"), Kernels::detect(), 1).unwrap_err();
    assert!(error.to_string().contains("is no BERT"), "{error}");
    let int8 = ModelFiles { precision: Precision::Int8, ..golden("bert_cross") };
    let error = CrossEncoder::load(&int8, Kernels::detect(), 1).unwrap_err();
    assert!(error.to_string().contains("8-bit integers"), "{error}");
}

//! How near 8-bit integers come to f32.

use crate::support::{cosine, families, files, outputs};
use elodex_kernels::{Isa, Kernels};
use elodex_models::Precision;

/// Tiny models of random weights lose the most: 0.9951 is the lowest measured.
const MIN_COSINE: f64 = 0.99;
/// The largest measured is 0.157.
const MAX_LOGIT_DIFFERENCE: f32 = 0.3;

#[test]
fn every_family_comes_near_f32_on_every_instruction_set() {
    for (name, cases) in families() {
        for isa in Isa::available() {
            let kernels = Kernels::with_isa(isa).unwrap();
            let exact = outputs(&files(&name, Precision::F32), kernels, &cases);
            let rounded = outputs(&files(&name, Precision::Int8), kernels, &cases);
            assert_ne!(exact, rounded, "{name} on {isa}: nothing was rounded");
            for (case, (exact, rounded)) in exact.iter().zip(&rounded).enumerate() {
                if let ([exact], [rounded]) = (exact.as_slice(), rounded.as_slice()) {
                    let difference = (exact - rounded).abs();
                    assert!(difference <= MAX_LOGIT_DIFFERENCE, "{name} on {isa}, case {case}: {difference}");
                } else {
                    let cosine = cosine(exact, rounded);
                    assert!(cosine >= MIN_COSINE, "{name} on {isa}, case {case}: {cosine}");
                }
            }
        }
    }
}

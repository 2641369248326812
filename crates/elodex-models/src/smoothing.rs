//! Moving what is hard to round from a linear layer's inputs into its weights (SmoothQuant,
//! <https://arxiv.org/abs/2211.10438>).
//!
//! All inputs of a token share one scale, so a channel that is often large leaves few steps to the others. Inputs are
//! multiplied by a factor of their channel and weights divided by it, which changes no product. The factor is
//! max |w|^(1−α) / max |x|^α over the channel's weights and over the inputs that a calibration has seen.

use crate::spec::Linear;
use crate::{Error, ErrorKind, Result};
use std::collections::BTreeMap;

/// How much of an input's range moves into the weights; the paper's choice for most models.
const ALPHA: f32 = 0.5;
/// Factors of one layer lie within this ratio of their geometric mean: what was small in every calibration text may
/// still be large in another one.
const WIDEST: f32 = 64.0;

/// The largest |input| by channel of each linear layer that was shown.
#[derive(Debug, Clone, Default)]
pub struct InputRanges {
    largest: BTreeMap<String, Vec<f32>>,
}

impl InputRanges {
    /// Takes inputs `[rows, in]` of `layer` into account.
    pub fn add(&mut self, layer: &Linear, inputs: &[f32]) {
        let width = layer.weight.k();
        let largest = self.largest.entry(layer.name.clone()).or_insert_with(|| vec![0.0; width]);
        for row in inputs.chunks_exact(width) {
            for (largest, input) in largest.iter_mut().zip(row) {
                *largest = largest.max(input.abs());
            }
        }
    }

    /// What the inputs of the layer with this weight `[out, width]` are to be multiplied by.
    pub(crate) fn factors(&self, name: &str, weight: &[f32], width: usize) -> Result<Vec<f32>> {
        let Some(inputs) = self.largest.get(name).filter(|inputs| inputs.len() == width) else {
            return Err(Error::new(
                ErrorKind::Request,
                format!("the calibration has not seen the inputs of `{name}`; give it at least one text"),
            ));
        };
        let mut weights = vec![0.0_f32; width];
        for row in weight.chunks_exact(width) {
            for (largest, value) in weights.iter_mut().zip(row) {
                *largest = largest.max(value.abs());
            }
        }
        let raw = weights.iter().zip(inputs);
        Ok(bounded(raw.map(|(weight, input)| weight.powf(1.0 - ALPHA) / input.powf(ALPHA)).collect()))
    }
}

/// Factors around 1. A channel that never had an input, or has no weights, gets 1 itself.
fn bounded(raw: Vec<f32>) -> Vec<f32> {
    let usable = |factor: f32| factor.is_normal() && factor > 0.0;
    let logarithms = raw.iter().filter(|factor| usable(**factor)).map(|factor| f64::from(factor.ln()));
    let count = raw.iter().filter(|factor| usable(**factor)).count().max(1);
    let mean = (logarithms.sum::<f64>() / count as f64).exp() as f32;
    let bound = |factor: f32| if usable(factor) { (factor / mean).clamp(1.0 / WIDEST, WIDEST) } else { 1.0 };
    raw.into_iter().map(bound).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use elodex_kernels::PackedMatrix;

    #[test]
    fn large_inputs_are_made_smaller_and_the_rest_larger() {
        let weight = [1.0, 1.0, 4.0, 1.0, -1.0, 1.0, 0.5, 1.0];
        let matrix = PackedMatrix::quantise(&weight, 2, 4, 4);
        let layer = Linear { name: "a".into(), weight: matrix, bias: None };
        let mut ranges = InputRanges::default();
        ranges.add(&layer, &[1.0, 0.0, 1.0, -100.0, 0.5, 0.0, -1.0, 3.0]);
        let factors = ranges.factors("a", &weight, 4).unwrap();
        // √(max|w| / max|x|) is 1, -, 2, 0.1 and the mean of those three 0.2^(1/3).
        let mean = 0.2_f32.cbrt();
        for (factor, expected) in factors.iter().zip([1.0 / mean, 1.0, 2.0 / mean, 0.1 / mean]) {
            assert!((factor - expected).abs() < 1e-5, "{factors:?}");
        }
        assert_eq!(ranges.factors("b", &weight, 4).unwrap_err().kind(), ErrorKind::Request);
    }

    #[test]
    fn no_factor_is_beyond_use() {
        let factors = bounded(vec![f32::INFINITY, f32::NAN, 0.0, 1e-30, 1.0, 1e30]);
        assert_eq!(factors[..3], [1.0; 3]);
        assert!(factors.iter().all(|factor| (1.0 / WIDEST..=WIDEST).contains(factor)), "{factors:?}");
        assert_eq!(bounded(vec![0.0]), [1.0]);
    }
}

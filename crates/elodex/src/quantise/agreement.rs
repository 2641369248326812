//! How far 8-bit integers agree with f32 on the same inputs.

use super::{Model, Sample};
use elodex_kernels::Parallelism;
use elodex_models::Encoded;
use indicatif::ProgressBar;
use serde::Serialize;

/// Inputs in one batch.
const BATCH: usize = 32;

/// What a model made of samples.
pub(crate) enum Outputs {
    Vectors(Vec<Vec<f32>>),
    Logits(Vec<f32>),
}

/// Two models on the same inputs.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub(crate) enum Agreement {
    Vectors {
        texts: usize,
        mean_cosine: f64,
        lowest_cosine: f64,
    },
    Logits {
        pairs: usize,
        /// `None` where all logits of one of them are equal.
        pearson: Option<f64>,
        largest_difference: f64,
    },
}

/// Runs a model on `samples`; `progress` moves by one for each.
pub(crate) fn outputs(model: &Model, samples: &[Sample], progress: &ProgressBar) -> anyhow::Result<Outputs> {
    let mut vectors = Vec::new();
    let mut logits = Vec::new();
    for samples in samples.chunks(BATCH) {
        let mut inputs = Vec::new();
        for sample in samples {
            inputs.extend(model.inputs(sample)?);
        }
        let batch: Vec<&Encoded> = inputs.iter().collect();
        match model {
            Model::Embedder(model) => {
                vectors.extend(model.embed(&batch, model.resolve_dimensions(None)?, Parallelism::Pool)?);
            }
            Model::Reranker(model) => logits.extend(model.logits(&batch, Parallelism::Pool)?),
        }
        progress.inc(samples.len() as u64);
    }
    Ok(match model {
        Model::Embedder(_) => Outputs::Vectors(vectors),
        Model::Reranker(_) => Outputs::Logits(logits),
    })
}

impl Agreement {
    /// Of outputs of two models of one kind for the same samples.
    pub(crate) fn of(left: &Outputs, right: &Outputs) -> Option<Self> {
        match (left, right) {
            (Outputs::Vectors(left), Outputs::Vectors(right)) => {
                let cosines = || left.iter().zip(right).map(|(left, right)| cosine(left, right));
                let texts = left.len();
                let mean_cosine = cosines().sum::<f64>() / texts as f64;
                Some(Self::Vectors { texts, mean_cosine, lowest_cosine: cosines().fold(1.0, f64::min) })
            }
            (Outputs::Logits(left), Outputs::Logits(right)) => {
                let differences = left.iter().zip(right).map(|(left, right)| f64::from((left - right).abs()));
                let largest_difference = differences.fold(0.0, f64::max);
                Some(Self::Logits { pairs: left.len(), pearson: pearson(left, right), largest_difference })
            }
            _ => None,
        }
    }
}

pub(super) fn dot(left: &[f32], right: &[f32]) -> f64 {
    left.iter().zip(right).map(|(left, right)| f64::from(*left) * f64::from(*right)).sum()
}

fn cosine(left: &[f32], right: &[f32]) -> f64 {
    dot(left, right) / (dot(left, left) * dot(right, right)).sqrt()
}

/// Pearson's correlation.
fn pearson(left: &[f32], right: &[f32]) -> Option<f64> {
    let centred = |values: &[f32]| -> Vec<f64> {
        let mean = values.iter().copied().map(f64::from).sum::<f64>() / values.len() as f64;
        values.iter().map(|value| f64::from(*value) - mean).collect()
    };
    let product = |left: &[f64], right: &[f64]| -> f64 { left.iter().zip(right).map(|(l, r)| l * r).sum() };
    let (left, right) = (centred(left), centred(right));
    let spread = (product(&left, &left) * product(&right, &right)).sqrt();
    (spread > 0.0).then(|| product(&left, &right) / spread)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_agree_by_angle_and_logits_by_order() {
        let vectors = |second: [f32; 2]| Outputs::Vectors(vec![vec![1.0, 0.0], second.to_vec()]);
        let found = Agreement::of(&vectors([3.0, 4.0]), &vectors([4.0, 3.0])).unwrap();
        assert_eq!(found, Agreement::Vectors { texts: 2, mean_cosine: 0.98, lowest_cosine: 0.96 });

        let logits = |values: [f32; 3]| Outputs::Logits(values.to_vec());
        let found = Agreement::of(&logits([1.0, 2.0, 3.0]), &logits([2.0, 4.0, 6.0])).unwrap();
        let Agreement::Logits { pairs: 3, pearson: Some(pearson), largest_difference } = found else {
            panic!("{found:?}")
        };
        assert!((pearson - 1.0).abs() < 1e-12);
        assert_eq!(largest_difference, 3.0);
        let flat = Agreement::of(&logits([1.0; 3]), &logits([2.0, 4.0, 6.0])).unwrap();
        assert!(matches!(flat, Agreement::Logits { pearson: None, .. }));
        assert_eq!(Agreement::of(&vectors([1.0; 2]), &logits([1.0; 3])), None);
    }
}

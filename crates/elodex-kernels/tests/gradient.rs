//! Derivatives against differences of the functions in f64, on every instruction set this machine has.

mod common;

use common::{activated, every_isa, noise};
use elodex_kernels::{Activation, Epilogue, PackedMatrix, Parallelism};

const BOTH: [Parallelism; 2] = [Parallelism::Serial, Parallelism::Pool];

/// Uniform in −2..2.
fn values(count: usize, seed: u64) -> Vec<f32> {
    noise(count, seed).into_iter().map(|value| 2.0 * value).collect()
}

/// d(Σ c·f(x))/dx by central differences.
fn differences(x: &[f32], c: &[f32], f: impl Fn(&[f64]) -> Vec<f64>) -> Vec<f32> {
    const STEP: f64 = 1e-5;
    let mut x: Vec<f64> = x.iter().copied().map(f64::from).collect();
    let total = |x: &[f64]| f(x).iter().zip(c).map(|(value, c)| value * f64::from(*c)).sum::<f64>();
    (0..x.len())
        .map(|index| {
            let value = x[index];
            x[index] = value + STEP;
            let above = total(&x);
            x[index] = value - STEP;
            let below = total(&x);
            x[index] = value;
            ((above - below) / (2.0 * STEP)) as f32
        })
        .collect()
}

fn assert_close(found: &[f32], expected: &[f32], tolerance: f32, what: &str) {
    assert_eq!(found.len(), expected.len());
    for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
        let allowed = tolerance * (1.0 + expected.abs());
        assert!((found - expected).abs() <= allowed, "{what}[{index}] is {found}, not {expected}");
    }
}

fn erf(x: f64) -> f64 {
    // Its Taylor series, for |x| ≤ 4.
    let (mut term, mut sum) = (x, x);
    for n in 1..200 {
        term *= -x * x / f64::from(n);
        sum += term / f64::from(2 * n + 1);
    }
    sum * 2.0 / std::f64::consts::PI.sqrt()
}

#[test]
fn gelu_and_its_derivative() {
    let steps = if cfg!(miri) { 5 } else { 500 };
    let x = (-steps..=steps).map(|step| 5.0 * step as f32 / steps as f32).chain([-30.0, 30.0]);
    let x: Vec<f32> = x.collect();
    let gelu = |x: f64| if x.abs() > 6.0 { x.max(0.0) } else { x * (1.0 + erf(x / 2f64.sqrt())) / 2.0 };
    let expected: Vec<f32> = x.iter().map(|x| gelu(f64::from(*x)) as f32).collect();
    let ones = vec![1.0; x.len()];
    let slopes = differences(&x, &ones, |x| x.iter().map(|x| gelu(*x)).collect());
    for kernels in every_isa() {
        for parallelism in BOTH {
            let mut out = vec![0.0; x.len()];
            kernels.gelu(&x, &mut out, parallelism);
            assert_close(&out, &expected, 1e-6, "gelu");
            assert_eq!(out, activated(kernels, &x, Activation::Gelu));
            let mut gradient = ones.clone();
            kernels.gelu_backward(&x, &mut gradient, parallelism);
            assert_close(&gradient, &slopes, 2e-6, "gelu'");
        }
    }
}

#[test]
fn layer_norm_backward_is_the_derivative_by_input_weight_and_bias() {
    let shapes: &[_] = if cfg!(miri) { &[(3, 17)] } else { &[(1, 5), (3, 16), (7, 37), (300, 8)] };
    for &(rows, hidden) in shapes {
        let (x, c) = (values(rows * hidden, 1), values(rows * hidden, 2));
        let weight = values(hidden, 3);
        let norm = |x: &[f64], weight: &[f64]| -> Vec<f64> {
            let row = |row: &[f64]| -> Vec<f64> {
                let mean = row.iter().sum::<f64>() / hidden as f64;
                let variance = row.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / hidden as f64;
                row.iter().zip(weight).map(|(x, w)| (x - mean) / (variance + 1e-5).sqrt() * w).collect()
            };
            x.chunks_exact(hidden).flat_map(row).collect()
        };
        let wide: Vec<f64> = weight.iter().copied().map(f64::from).collect();
        let by_x = if rows < 100 { differences(&x, &c, |x| norm(x, &wide)) } else { vec![] };
        let wide_x: Vec<f64> = x.iter().copied().map(f64::from).collect();
        let by_weight = differences(&weight, &c, |weight| norm(&wide_x, weight));
        let by_bias: Vec<f32> =
            (0..hidden).map(|column| c.iter().skip(column).step_by(hidden).sum()).collect();
        for kernels in every_isa() {
            for parallelism in BOTH {
                let (mut gradient, mut weights, mut biases) =
                    (c.clone(), vec![0.5; hidden], vec![0.0; hidden]);
                kernels.layer_norm_backward(
                    &x,
                    &weight,
                    1e-5,
                    &mut gradient,
                    &mut weights,
                    &mut biases,
                    parallelism,
                );
                if !by_x.is_empty() {
                    assert_close(&gradient, &by_x, 2e-5, "by x");
                }
                weights.iter_mut().for_each(|sum| *sum -= 0.5);
                assert_close(&weights, &by_weight, 1e-4, "by weight");
                assert_close(&biases, &by_bias, 1e-4, "by bias");
                let mut sums = vec![0.0; hidden];
                kernels.add_rows(&c, &mut sums, parallelism);
                assert_eq!(sums, biases);
            }
        }
    }
}

#[test]
fn softmax_and_its_derivative() {
    let softmax = |x: &[f64], width: usize| -> Vec<f64> {
        let row = |row: &[f64]| {
            let powers: Vec<f64> = row.iter().map(|x| (0.3 * x).exp()).collect();
            let total: f64 = powers.iter().sum();
            powers.into_iter().map(move |power| power / total).collect::<Vec<f64>>()
        };
        x.chunks_exact(width).flat_map(row).collect()
    };
    for &width in if cfg!(miri) { &[7][..] } else { &[1, 7, 16, 50] } {
        let (x, c) = (values(3 * width, 4), values(3 * width, 5));
        let wide: Vec<f64> = x.iter().copied().map(f64::from).collect();
        let expected: Vec<f32> = softmax(&wide, width).into_iter().map(|value| value as f32).collect();
        let slopes = differences(&x, &c, |x| softmax(x, width));
        for kernels in every_isa() {
            let mut probabilities = x.clone();
            kernels.softmax(&mut probabilities, width, 0.3);
            assert_close(&probabilities, &expected, 1e-6, "softmax");
            let mut gradient = c.clone();
            kernels.softmax_backward(&probabilities, &mut gradient, width, 0.3);
            assert_close(&gradient, &slopes, 1e-6, "softmax'");
        }
    }
}

#[test]
fn a_transpose_packed_is_the_packed_transpose() {
    let shapes: &[_] = if cfg!(miri) { &[(33, 20)] } else { &[(1, 1), (33, 20), (64, 48), (70, 129)] };
    for &(n, k) in shapes {
        let weight = values(n * k, 6);
        let a = values(5 * k, 7);
        for kernels in every_isa() {
            for parallelism in BOTH {
                let transposed = kernels.transposed(&weight, n, k, parallelism);
                for row in 0..n {
                    for column in 0..k {
                        assert_eq!(transposed[column * n + row], weight[row * k + column]);
                    }
                }
                let epilogue = Epilogue { bias: None, activation: Activation::Identity, residual: None };
                let run = |packed: PackedMatrix| {
                    let mut out = vec![0.0; 5 * n];
                    kernels.linear(&a, 5, &packed, epilogue, &mut out, parallelism);
                    out
                };
                let expected = run(kernels.pack(&weight, n, k));
                assert_eq!(run(kernels.pack_transposed(&transposed, n, k, parallelism)), expected);
            }
        }
    }
}

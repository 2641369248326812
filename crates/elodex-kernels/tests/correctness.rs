//! Every kernel on every instruction set of this machine against f64 references.

mod common;
mod reference;

use common::{activated, every_isa, noise};
use elodex_kernels::{Activation, Epilogue, Parallelism, Precision, RopeTable};
use reference::{attention_of_large_scores, attention_reference, every_attention_form};

const ACTIVATIONS: [Activation; 7] = [
    Activation::Identity,
    Activation::Gelu,
    Activation::GeluTanh,
    Activation::Silu,
    Activation::Relu,
    Activation::Tanh,
    Activation::Sigmoid,
];

/// # Panics
/// If a value is farther than `tolerance` from what is expected, or NaN.
fn assert_close(actual: &[f32], expected: &[f64], tolerance: f64, what: &str) {
    assert_eq!(actual.len(), expected.len(), "{what}");
    for (index, (&actual, &expected)) in actual.iter().zip(expected).enumerate() {
        let error = (f64::from(actual) - expected).abs();
        assert!(error <= tolerance, "{what}[{index}] is {actual}, not {expected}: off by {error:e}");
    }
}

/// Φ(x) in f64: the error function's Maclaurin series in the middle, its continued fraction outside.
fn normal_cdf(x: f64) -> f64 {
    let t = x.abs();
    if t < 4.0 {
        let (mut term, mut sum) = (t, t);
        let mut odd = 1.0;
        while term > 1e-18 {
            odd += 2.0;
            term *= t * t / odd;
            sum += term;
        }
        let half = sum * (-t * t / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt();
        return if x < 0.0 { 0.5 - half } else { 0.5 + half };
    }
    let mut fraction = t;
    for level in (1..60).rev() {
        fraction = t + f64::from(level) / fraction;
    }
    let tail = (-t * t / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt() / fraction;
    if x < 0.0 { tail } else { 1.0 - tail }
}

fn reference(activation: Activation, x: f64) -> f64 {
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    match activation {
        Activation::Identity => x,
        Activation::Gelu => x * normal_cdf(x),
        Activation::GeluTanh => {
            let inner = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x * x * x);
            x * sigmoid(2.0 * inner)
        }
        Activation::Silu => x * sigmoid(x),
        Activation::Relu => x.max(0.0),
        Activation::Tanh => x.tanh(),
        Activation::Sigmoid => sigmoid(x),
    }
}

#[test]
fn the_normal_cdf_reference_is_right() {
    // Values from tables of the normal distribution.
    for (x, expected) in [(0.0, 0.5), (1.0, 0.841_344_746_068_542_9), (-5.0, 2.866_515_718_791_939e-7)] {
        assert!((normal_cdf(x) - expected).abs() < 1e-15 * expected.max(1e-2), "{x}");
    }
    assert!((normal_cdf(3.999_999_9) - normal_cdf(4.000_000_1)).abs() < 1e-10);
}

#[test]
fn activations_match_over_the_whole_range() {
    let (steps, stride) = if cfg!(miri) { (10, 40) } else { (200_000, 1) };
    let mut inputs: Vec<f32> = (-steps..=steps).map(|step| 20.0 * step as f32 / steps as f32).collect();
    for exponent in (-149..=127).step_by(stride) {
        for mantissa in [1.0, 1.3, 1.9] {
            let value = (2f64.powi(exponent) * mantissa) as f32;
            inputs.extend([value, -value]);
        }
    }
    inputs.extend([0.0, -0.0, f32::MIN_POSITIVE, f32::MAX, f32::MIN]);
    for kernels in every_isa() {
        for activation in ACTIVATIONS {
            let values = activated(kernels, &inputs, activation);
            for (&x, &value) in inputs.iter().zip(&values) {
                let expected = reference(activation, f64::from(x));
                let error = (f64::from(value) - expected).abs();
                // 1e-6 is what GELU states; the rounding of the result itself comes on top.
                let tolerance = match activation {
                    Activation::Gelu => 5e-7 + expected.abs() * 1.2e-7,
                    _ => 1e-7 + expected.abs() * 5e-7,
                };
                assert!(
                    error <= tolerance,
                    "{} {activation:?}({x:e}) is {value:e}, not {expected:e}: off by {error:e}",
                    kernels.isa()
                );
            }
        }
    }
}

#[test]
fn not_a_number_stays_one() {
    for kernels in every_isa() {
        for activation in ACTIVATIONS {
            let values = activated(kernels, &[f32::NAN; 3], activation);
            assert!(values.iter().all(|value| value.is_nan()), "{} {activation:?}", kernels.isa());
        }
    }
}

#[test]
fn linear_matches() {
    // Miri checks the memory accesses, for which one odd shape across two blocks of the depth is enough.
    let shapes: &[_] = if cfg!(miri) {
        &[(2, 11, 515)]
    } else {
        &[(1, 1, 1), (1, 33, 7), (5, 32, 64), (13, 70, 513), (25, 31, 1040), (37, 97, 384), (200, 40, 65)]
    };
    for kernels in every_isa() {
        for &(m, n, k) in shapes {
            let a = noise(m * k, 1);
            let weight = noise(n * k, 2);
            let bias = noise(n, 3);
            let residual = noise(m * n, 4);
            let packed = kernels.pack(&weight, n, k);
            for activation in [Activation::Identity, Activation::Gelu, Activation::Tanh] {
                for parts in if cfg!(miri) { 3..4 } else { 0..4 } {
                    let bias = (parts & 1 > 0).then_some(&bias[..]);
                    let residual = (parts & 2 > 0).then_some(&residual[..]);
                    let epilogue = Epilogue { bias, activation, residual };
                    let mut out = vec![f32::NAN; m * n];
                    kernels.linear(&a, m, &packed, epilogue, &mut out, Parallelism::Serial);
                    let expected: Vec<f64> = (0..m * n)
                        .map(|index| {
                            let (row, column) = (index / n, index % n);
                            let products = (0..k).map(|step| {
                                f64::from(a[row * k + step]) * f64::from(weight[column * k + step])
                            });
                            let sum =
                                products.sum::<f64>() + bias.map_or(0.0, |bias| f64::from(bias[column]));
                            reference(activation, sum)
                                + residual.map_or(0.0, |residual| f64::from(residual[index]))
                        })
                        .collect();
                    // k roundings, each within 2⁻²⁴ of a partial sum of about √k, add up like a random walk: √k·√k·2⁻²⁴.
                    let tolerance = 1e-6 + 6e-8 * k as f64;
                    assert_close(&out, &expected, tolerance, &format!("{} {m}×{n}×{k}", kernels.isa()));
                }
            }
        }
    }
}

#[test]
fn norms_match() {
    let widths: &[usize] = if cfg!(miri) { &[1, 7, 32] } else { &[1, 7, 32, 63, 384, 1000] };
    for kernels in every_isa() {
        for &hidden in widths {
            let rows = 3;
            let x: Vec<f32> = noise(rows * hidden, 5).iter().map(|value| value * 3.0 + 1.5).collect();
            let (weight, bias) = (noise(hidden, 6), noise(hidden, 7));
            let eps = 1e-5;
            let wide =
                |values: &[f32]| -> Vec<f64> { values.iter().map(|&value| f64::from(value)).collect() };
            for plain in [false, true] {
                let mut expected = Vec::new();
                for row in wide(&x).chunks(hidden) {
                    let mean = row.iter().sum::<f64>() / hidden as f64;
                    let variance =
                        row.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / hidden as f64;
                    for (index, value) in row.iter().enumerate() {
                        let value = (value - mean) / (variance + f64::from(eps)).sqrt();
                        let (weight, bias) = (f64::from(weight[index]), f64::from(bias[index]));
                        expected.push(if plain { value } else { value * weight + bias });
                    }
                }
                let mut normed = x.clone();
                let weight = (!plain).then_some(&weight[..]);
                let bias = (!plain).then_some(&bias[..]);
                kernels.layer_norm(&mut normed, weight, bias, eps, hidden, Parallelism::Serial);
                assert_close(&normed, &expected, 3e-6, &format!("{} layer norm {hidden}", kernels.isa()));
            }
            let mut expected = Vec::new();
            for row in wide(&x).chunks(hidden) {
                let mean_square = row.iter().map(|value| value * value).sum::<f64>() / hidden as f64;
                let factor = 1.0 / (mean_square + f64::from(eps)).sqrt();
                expected.extend(
                    row.iter().zip(&weight).map(|(value, &weight)| value * factor * f64::from(weight)),
                );
            }
            let mut normed = x.clone();
            kernels.rms_norm(&mut normed, &weight, eps, hidden, Parallelism::Serial);
            assert_close(&normed, &expected, 1e-6, &format!("{} RMS norm {hidden}", kernels.isa()));
        }
    }
}

#[test]
fn head_norm_touches_its_heads_alone() {
    let (rows, head_dim, row_heads) = (2, 20, 6);
    for kernels in every_isa() {
        let x = noise(rows * row_heads * head_dim, 8);
        let weight = noise(head_dim, 9);
        let mut normed = x.clone();
        let width = row_heads * head_dim;
        kernels.head_rms_norm(&mut normed, width, 2, 3, head_dim, &weight, 1e-6, Parallelism::Serial);
        for head in 0..rows * row_heads {
            let values = head * head_dim..(head + 1) * head_dim;
            let mut expected = x[values.clone()].to_vec();
            if (2..5).contains(&(head % row_heads)) {
                kernels.rms_norm(&mut expected, &weight, 1e-6, head_dim, Parallelism::Serial);
            }
            assert_eq!(normed[values], expected, "{} head {head}", kernels.isa());
        }
    }
}

#[test]
fn gate_multiplies_the_halves() {
    for kernels in every_isa() {
        for width in [1, 9, 48] {
            let gate_up = noise(3 * 2 * width, 10);
            let mut out = vec![0.0; 3 * width];
            kernels.gate(&gate_up, width, Activation::Silu, &mut out, Parallelism::Serial);
            let expected: Vec<f64> = (0..3 * width)
                .map(|index| {
                    let row = &gate_up[index / width * 2 * width..];
                    let (gate, up) = (row[index % width], row[width + index % width]);
                    reference(Activation::Silu, f64::from(gate)) * f64::from(up)
                })
                .collect();
            assert_close(&out, &expected, 3e-7, &format!("{} gate {width}", kernels.isa()));
        }
    }
}

#[test]
fn l2_matches() {
    for kernels in every_isa() {
        for length in [0, 1, 5, 16, 63, 64, 65, 384, 1001] {
            let a = noise(length, 11);
            let norm = a.iter().map(|&a| f64::from(a).powi(2)).sum::<f64>().sqrt().max(1e-12);
            let expected: Vec<f64> = a.iter().map(|&a| f64::from(a) / norm).collect();
            let mut normed = a.clone();
            kernels.l2_normalize(&mut normed);
            assert_close(&normed, &expected, 3e-7, &format!("{} l2 {length}", kernels.isa()));
        }
        let mut zeros = [0.0; 9];
        kernels.l2_normalize(&mut zeros);
        assert_eq!(zeros, [0.0; 9]);
    }
}

#[test]
fn rope_rotates_leading_heads() {
    let (head_dim, rotary_dim, row_width) = (20, 14, 90);
    let inv_freq: Vec<f32> = (0..7).map(|index| 10_000f32.powf(-(index as f32) / 7.0)).collect();
    let table = RopeTable::new(&inv_freq, 600);
    let positions = [0, 3, 599];
    for kernels in every_isa() {
        let x = noise(3 * row_width, 13);
        let mut rotated = x.clone();
        kernels.rope(
            &mut rotated,
            row_width,
            3,
            head_dim,
            rotary_dim,
            &positions,
            &table,
            Parallelism::Serial,
        );
        let mut expected: Vec<f64> = x.iter().map(|&value| f64::from(value)).collect();
        for (row, &position) in expected.chunks_mut(row_width).zip(&positions) {
            for head in row[..60].chunks_mut(head_dim) {
                for index in 0..7 {
                    let angle = f64::from(position as f32 * inv_freq[index]);
                    let (x, y) = (head[index], head[index + 7]);
                    head[index] = x * angle.cos() - y * angle.sin();
                    head[index + 7] = y * angle.cos() + x * angle.sin();
                }
            }
        }
        assert_close(&rotated, &expected, 3e-7, &format!("{} rope", kernels.isa()));
    }
}

#[test]
fn attention_matches_in_every_form() {
    for kernels in every_isa() {
        every_attention_form(kernels, Precision::F32, |attention, out, what| {
            // Scores of size ~5 carry errors of ~1e-6, which the exponential passes on.
            assert_close(out, &attention_reference(attention), 5e-6, what);
        });
    }
}

#[test]
fn attention_survives_large_scores() {
    for kernels in every_isa() {
        let out = attention_of_large_scores(kernels, Precision::F32);
        assert!(out.iter().all(|value| value.is_finite() && value.abs() <= 60.001), "{}", kernels.isa());
    }
}

//! Kernels by 8-bit integers on every instruction set of this machine: exact where the inputs are whole numbers, within
//! what rounding explains elsewhere.

mod common;
mod reference;

use common::{activated, every_isa, noise};
use elodex_kernels::{Activation, Epilogue, Isa, Kernels, PackedMatrix, Parallelism, Precision, SharedBytes};
use reference::{attention_of_large_scores, attention_reference, every_attention_form};
use std::sync::Arc;

const PLAIN: Epilogue<'_> = Epilogue { bias: None, activation: Activation::Identity, residual: None };

/// Whole numbers from `least` to `most`, both among them in every `width` values.
fn whole_numbers(length: usize, width: usize, least: i32, most: i32, seed: u64) -> Vec<f32> {
    let range = (most - least) as f32;
    let mut values: Vec<f32> = noise(length, seed)
        .iter()
        .map(|value| (least as f32 + (value + 1.0) * range / 2.0).round())
        .collect();
    for row in values.chunks_mut(width) {
        row[0] = least as f32;
        row[row.len() - 1] = most as f32;
    }
    values
}

#[test]
fn whole_numbers_are_multiplied_exactly() {
    let shapes: &[(usize, usize, usize)] = if cfg!(miri) {
        &[(3, 35, 22)]
    } else {
        &[(1, 1, 2), (2, 33, 7), (13, 70, 512), (40, 100, 384), (300, 64, 65)]
    };
    for kernels in every_isa() {
        for &(m, n, k) in shapes {
            let a = whole_numbers(m * k, k, 0, 254, 1);
            let weight = whole_numbers(n * k, k, -127, 127, 2);
            let packed = PackedMatrix::quantise(&weight, n, k, k.next_multiple_of(4));
            let mut out = vec![f32::NAN; m * n];
            kernels.linear(&a, m, &packed, PLAIN, &mut out, Parallelism::Serial);
            for (row, out) in out.chunks_exact(n).enumerate() {
                for (column, &value) in out.iter().enumerate() {
                    let pairs = a[row * k..(row + 1) * k].iter().zip(&weight[column * k..(column + 1) * k]);
                    let expected: f64 = pairs.map(|(a, w)| f64::from(*a) * f64::from(*w)).sum();
                    // Below 2²⁴ every sum is an f32; one rounding is in the zero point's product.
                    let error = (f64::from(value) - expected).abs();
                    assert!(
                        error <= 1.0,
                        "{} [{m}, {n}, {k}] {row} {column}: {value}, not {expected}",
                        kernels.isa()
                    );
                }
            }
        }
    }
}

/// Only where both are there, of course.
#[test]
fn amx_gives_the_same_bits_as_vnni() {
    let (Some(amx), Some(vnni)) = (Kernels::with_isa(Isa::Avx512Amx), Kernels::with_isa(Isa::Avx512Vnni))
    else {
        return;
    };
    let bits = |values: Vec<f32>| values.into_iter().map(f32::to_bits).collect::<Vec<_>>();
    for (m, n, k, group) in [
        (8, 33, 64, 64),
        (9, 33, 64, 64),
        (16, 64, 384, 384),
        (17, 70, 384, 384),
        (31, 40, 1536, 1536),
        (200, 97, 256, 64),
        (50, 64, 200, 64),
        (50, 64, 200, 200),
    ] {
        let packed = PackedMatrix::quantise(&noise(n * k, 19), n, k, group);
        let (a, bias, residual) = (noise(m * k, 20), noise(n, 21), noise(m * n, 22));
        for (activation, residual) in [(Activation::Gelu, None), (Activation::Identity, Some(&residual[..]))]
        {
            let run = |kernels: Kernels| {
                let mut out = vec![f32::NAN; m * n];
                let epilogue = Epilogue { bias: Some(&bias), activation, residual };
                kernels.linear(&a, m, &packed, epilogue, &mut out, Parallelism::Serial);
                bits(out)
            };
            assert_eq!(run(amx), run(vnni), "[{m}, {n}, {k}] in groups of {group}");
        }
    }
    let outputs = |kernels| {
        let mut outputs = Vec::new();
        every_attention_form(kernels, Precision::Int8, |_, out, _| outputs.push(bits(out.to_vec())));
        outputs
    };
    assert!(outputs(amx) == outputs(vnni), "attention");
}

#[test]
fn the_largest_products_do_not_overflow() {
    let k = 512;
    for kernels in every_isa() {
        for sign in [1.0, -1.0] {
            // A zero makes the zero point 0, so every other byte is 254.
            let mut a = vec![254.0; k];
            a[0] = 0.0;
            let packed = PackedMatrix::quantise(&vec![sign * 127.0; k], 1, k, k);
            let mut out = [0.0];
            kernels.linear(&a, 1, &packed, PLAIN, &mut out, Parallelism::Serial);
            assert_eq!(out[0], sign * 254.0 * 127.0 * 511.0, "{}", kernels.isa());
        }
    }
}

#[test]
fn rounding_explains_all_of_the_error() {
    let shapes: &[(usize, usize, usize)] = if cfg!(miri) {
        &[(2, 33, 70)]
    } else {
        &[(7, 40, 65), (30, 97, 384), (25, 70, 1536), (200, 33, 130)]
    };
    for kernels in every_isa() {
        for &(m, n, k) in shapes {
            for group in [64, k.next_multiple_of(4)] {
                let (a, weight) = (noise(m * k, 3), noise(n * k, 4));
                let (bias, residual) = (noise(n, 5), noise(m * n, 6));
                let packed = PackedMatrix::quantise(&weight, n, k, group);
                let epilogue = Epilogue { bias: Some(&bias), residual: Some(&residual), ..PLAIN };
                let mut out = vec![f32::NAN; m * n];
                kernels.linear(&a, m, &packed, epilogue, &mut out, Parallelism::Serial);
                let mut square_error = 0.0;
                for (index, &value) in out.iter().enumerate() {
                    let (row, column) = (index / n, index % n);
                    let pairs = a[row * k..(row + 1) * k].iter().zip(&weight[column * k..(column + 1) * k]);
                    let product: f64 = pairs.map(|(a, w)| f64::from(*a) * f64::from(*w)).sum();
                    let expected = product + f64::from(bias[column]) + f64::from(residual[index]);
                    square_error += (f64::from(value) - expected).powi(2);
                }
                let error = (square_error / (m * n) as f64).sqrt();
                // Steps of 2/254 and 1/127 at most, each off by a uniform half, times factors of variance 1/3.
                let step_variance = ((2.0_f64 / 254.0).powi(2) + (1.0_f64 / 127.0).powi(2)) / 12.0;
                let explained = (k as f64 * step_variance / 3.0).sqrt();
                let what = format!("{} [{m}, {n}, {k}] in groups of {group}", kernels.isa());
                assert!(error <= 1.1 * explained, "{what}: error {error}, explained {explained}");
                assert!(error >= 0.5 * explained, "{what}: suspiciously exact, {error}");
            }
        }
    }
}

#[test]
fn groups_of_different_size_are_scaled_apart() {
    // Inputs and weights of the second group are a thousand times the first one's: with a common scale the first would
    // be rounded away.
    let (n, k, group) = (33, 128, 64);
    let scaled = |values: Vec<f32>, by: f32| -> Vec<f32> {
        values
            .iter()
            .enumerate()
            .map(|(index, value)| if index % k < group { *value } else { value * by })
            .collect()
    };
    let (a, weight) = (scaled(noise(k, 7), 1000.0), scaled(noise(n * k, 8), 1e-6));
    let packed = PackedMatrix::quantise(&weight, n, k, group);
    for kernels in every_isa() {
        let mut out = vec![0.0; n];
        kernels.linear(&a, 1, &packed, PLAIN, &mut out, Parallelism::Serial);
        for (column, &value) in out.iter().enumerate() {
            let pairs = a[..group].iter().zip(&weight[column * k..][..group]);
            let expected: f32 = pairs.map(|(a, w)| a * w).sum();
            assert!((value - expected).abs() < 0.1, "{}: {value}, not {expected}", kernels.isa());
        }
    }
}

#[test]
fn factors_make_room_beside_large_inputs() {
    let (n, k) = (40, 96);
    let mut a = noise(k, 17);
    // A few inputs are a hundred times the rest.
    a.iter_mut().step_by(31).for_each(|value| *value *= 100.0);
    let weight = noise(n * k, 18);
    let factors: Vec<f32> = (0..k).map(|input| if input % 31 == 0 { 0.1 } else { 1.0 }).collect();
    let expected: Vec<f64> = weight
        .chunks_exact(k)
        .map(|row| row.iter().zip(&a).map(|(weight, a)| f64::from(*weight) * f64::from(*a)).sum())
        .collect();
    for kernels in every_isa() {
        let error = |packed: &PackedMatrix| {
            let mut out = vec![0.0; n];
            kernels.linear(&a, 1, packed, PLAIN, &mut out, Parallelism::Serial);
            let square: f64 = out
                .iter()
                .zip(&expected)
                .map(|(value, expected)| (f64::from(*value) - expected).powi(2))
                .sum();
            (square / n as f64).sqrt()
        };
        let plain = error(&PackedMatrix::quantise(&weight, n, k, k));
        let smoothed = error(&PackedMatrix::quantise_smoothed(&weight, n, k, k, factors.clone()));
        assert!(smoothed < 0.5 * plain, "{}: {smoothed} smoothed, {plain} plain", kernels.isa());
    }
}

#[test]
fn coarse_gelu_is_within_its_stated_error() {
    let steps = if cfg!(miri) { 40 } else { 2000 };
    let inputs: Vec<f32> = (-steps..=steps).map(|step| 10.0 * step as f32 / steps as f32).collect();
    // One input of 1 is a byte of 254, so that an output is its bias: exact but for the activation.
    let packed = PackedMatrix::quantise(&vec![0.0; inputs.len()], inputs.len(), 1, 4);
    for kernels in every_isa() {
        let exact = activated(kernels, &inputs, Activation::Gelu);
        let epilogue = Epilogue { bias: Some(&inputs), activation: Activation::Gelu, residual: None };
        let mut out = vec![0.0; inputs.len()];
        kernels.linear(&[1.0], 1, &packed, epilogue, &mut out, Parallelism::Serial);
        for ((x, exact), coarse) in inputs.iter().zip(&exact).zip(&out) {
            assert!((exact - coarse).abs() <= 2e-4, "{} gelu({x}) is {coarse}, not {exact}", kernels.isa());
        }
    }
}

#[test]
fn values_that_are_not_finite_stay_visible() {
    let packed = PackedMatrix::quantise(&noise(3 * 40, 9), 3, 40, 40);
    for kernels in every_isa() {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut a = noise(2 * 40, 10);
            a[37] = bad;
            let mut out = [0.0; 6];
            kernels.linear(&a, 2, &packed, PLAIN, &mut out, Parallelism::Serial);
            assert!(out[..3].iter().all(|value| value.is_nan()), "{} {bad}: {out:?}", kernels.isa());
            assert!(out[3..].iter().all(|value| value.is_finite()), "{} {bad}: {out:?}", kernels.isa());
        }
    }
}

#[test]
fn rows_of_zeros_and_tiny_weights_are_zero() {
    let packed = PackedMatrix::quantise(&[0.0, 1e-42, 0.0, 0.0], 2, 2, 4);
    for kernels in every_isa() {
        let mut out = [f32::NAN; 4];
        kernels.linear(&[0.0, 0.0, 3.0, -2.0], 2, &packed, PLAIN, &mut out, Parallelism::Serial);
        assert_eq!(out, [0.0; 4], "{}", kernels.isa());
    }
}

#[test]
fn packed_bytes_can_be_taken_from_elsewhere() {
    let (n, k) = (37, 22);
    let packed = PackedMatrix::quantise(&noise(n * k, 11), n, k, 8);
    let panels = packed.byte_panels().unwrap();
    let mut file = vec![0; 5];
    file.extend_from_slice(panels.bytes());
    let range = 5..file.len();
    let owner = Arc::new(file);
    let scales = panels.all_scales().to_vec();
    let from = |n, k, group, range, scales: &Vec<f32>| {
        PackedMatrix::from_bytes(n, k, group, SharedBytes::new(owner.clone(), range)?, scales.clone(), vec![])
    };
    let again = from(n, k, 8, range.clone(), &scales).unwrap();
    let a = noise(3 * k, 12);
    for kernels in every_isa() {
        let run = |packed| {
            let mut out = vec![0.0; 3 * n];
            kernels.linear(&a, 3, packed, PLAIN, &mut out, Parallelism::Serial);
            out
        };
        assert_eq!(run(&packed), run(&again));
    }
    assert!(from(n, k, 6, range.clone(), &scales).is_none(), "a group of 6");
    assert!(from(n, k, 0, range.clone(), &scales).is_none(), "a group of 0");
    assert!(from(n, k + 4, 8, range.clone(), &scales).is_none(), "too few bytes");
    assert!(from(n, k, 4, range.clone(), &scales).is_none(), "too few scales");
    assert!(from(n, 0, 8, 0..0, &vec![]).is_none(), "no inputs");
    assert!(from(usize::MAX, k, 8, range.clone(), &scales).is_none(), "overflow");
    assert!(SharedBytes::new(owner.clone(), 0..range.end + 1).is_none(), "beyond the file");
}

#[test]
fn attention_is_near_in_every_form() {
    for kernels in every_isa() {
        every_attention_form(kernels, Precision::Int8, |attention, out, what| {
            let errors: Vec<f64> = attention_reference(attention)
                .iter()
                .zip(out)
                .map(|(expected, value)| (f64::from(*value) - expected).abs())
                .collect();
            let largest = errors.iter().fold(0.0_f64, |largest, &error| largest.max(error));
            let square = errors.iter().map(|error| error * error).sum::<f64>() / errors.len() as f64;
            // Scores of about 5 are off by 0.03 where rounding of queries and keys adds up, which turns into 3 % of
            // values up to 2.
            assert!(largest <= 0.06, "{what}: off by {largest}");
            assert!(square.sqrt() <= 0.006, "{what}: off by {} on average", square.sqrt());
        });
    }
}

#[test]
fn attention_survives_large_scores() {
    for kernels in every_isa() {
        let out = attention_of_large_scores(kernels, Precision::Int8);
        assert!(out.iter().all(|value| value.is_finite() && value.abs() <= 60.5), "{}", kernels.isa());
    }
}

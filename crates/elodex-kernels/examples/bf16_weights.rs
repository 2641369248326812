//! Prints what it takes to multiply by one matrix whose values are bf16, held as f32 and as bf16, for each number of rows.
//!
//! `cargo run --release -p elodex-kernels --example bf16_weights [isa]`

use elodex_kernels::{Activation, Epilogue, Isa, Kernels, PackedMatrix, Parallelism};
use std::time::{Duration, Instant};

/// Outputs and inputs of a layer of Qwen3 with four billion parameters.
const SHAPE: (usize, usize) = (9728, 2560);
const ROWS: [usize; 5] = [1, 4, 16, 64, 256];
/// Of which the fastest counts, f32 and bf16 in turns.
const ROUNDS: usize = 9;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let isa: Isa = match std::env::args().nth(1) {
        Some(name) => name.parse()?,
        None => Kernels::detect().isa(),
    };
    let kernels = Kernels::with_isa(isa).ok_or_else(|| format!("this CPU has no {isa}"))?;
    let (n, k) = SHAPE;
    let mut weight: Vec<f32> = (0..n * k).map(|index| bf16(0.1 * (index as f32).sin())).collect();
    let halves = kernels.pack(&weight, n, k);
    // One value that is no bf16 keeps all in f32.
    weight[0] = 0.1;
    let whole = kernels.pack(&weight, n, k);
    println!(
        "{isa}, {n} outputs of {k} inputs: {} and {} MB",
        whole.bytes() / 1_000_000,
        halves.bytes() / 1_000_000
    );
    for m in ROWS {
        let a: Vec<f32> = (0..m * k).map(|index| (index as f32).cos()).collect();
        let mut out = vec![0.0; m * n];
        let mut best = [Duration::MAX; 2];
        for _ in 0..ROUNDS {
            for (best, weight) in best.iter_mut().zip([&whole, &halves]) {
                *best = (*best).min(time(kernels, &a, m, weight, &mut out));
            }
        }
        let [f32, bf16] = best.map(|time| 1e3 * time.as_secs_f64());
        println!("rows {m:4}  f32 {f32:6.2} ms  bf16 {bf16:6.2} ms  {:.2}x", f32 / bf16);
    }
    Ok(())
}

/// The bf16 below a value.
fn bf16(value: f32) -> f32 {
    f32::from_bits(value.to_bits() & 0xffff_0000)
}

fn time(kernels: Kernels, a: &[f32], m: usize, weight: &PackedMatrix, out: &mut [f32]) -> Duration {
    let epilogue = Epilogue { bias: None, activation: Activation::Identity, residual: None };
    let start = Instant::now();
    kernels.linear(a, m, weight, epilogue, out, Parallelism::Pool);
    start.elapsed()
}

//! Prints what fraction of this machine's peak the GEMM reaches, per shape, in f32 and by 8-bit integers, and for each stage of
//! MiniLM's layers what it computes, moves and takes, beside the least that the machine's peaks allow (roofline).
//!
//! `cargo run --release -p elodex-kernels --example gemm_peak [isa] [threads]`

mod layer;
mod peak;

use elodex_kernels::{Activation, Epilogue, Isa, Kernels, PackedMatrix, Parallelism, Precision};
use layer::{Weights, Work};
use peak::{Ceilings, best_time};
use std::hint::black_box;

/// (k, n) of MiniLM's and BERT-large's linear layers.
const WEIGHTS: [(usize, usize); 7] =
    [(384, 1152), (384, 384), (384, 1536), (1536, 384), (768, 3072), (1024, 3072), (4096, 1024)];
const ROWS: [usize; 8] = [1, 4, 8, 16, 48, 128, 256, 512];
/// Micro-batches of the engine: two of a large batch, a query alone, a long text alone.
const WORK: [Work; 4] = [
    Work { length: 128, parallelism: Parallelism::Serial },
    Work { length: 256, parallelism: Parallelism::Serial },
    Work { length: 16, parallelism: Parallelism::Pool },
    Work { length: 256, parallelism: Parallelism::Pool },
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let isa: Isa = match arguments.next() {
        Some(name) => name.parse()?,
        None => Kernels::detect().isa(),
    };
    let kernels = Kernels::with_isa(isa).ok_or_else(|| format!("this CPU has no {isa}"))?;
    let threads = match arguments.next() {
        Some(count) => count.parse()?,
        None => std::thread::available_parallelism()?.get(),
    };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
    for precision in Precision::ALL {
        let weights = Weights::new(kernels, precision);
        let ceilings = Ceilings::measure(&pool, isa, precision, weights.bytes());
        let peak = 1e-9 * ceilings.operations;
        println!("{precision} on {isa}, {threads} threads, products in registers: {peak:.0} GOP/s");
        pool.install(|| {
            for (k, n) in WEIGHTS {
                for m in ROWS {
                    let speed = linear(kernels, precision, m, n, k);
                    let share = 100.0 * speed / peak;
                    println!(
                        "{precision} m {m:4}  k {k:4}  n {n:4}  {speed:7.1} GOP/s  {share:5.1} % of peak"
                    );
                }
            }
        });
        println!(
            "reading: {:.0} GB/s of {:.1} MB of weights that the threads share, {:.0} GB/s of activations",
            1e-9 * ceilings.weights,
            1e-6 * weights.bytes() as f64,
            1e-9 * ceilings.activations
        );
        for work in WORK {
            layer::print(&pool, kernels, precision, &weights, work, &ceilings);
        }
    }
    Ok(())
}

/// A packed matrix `[n, k]`.
fn packed(kernels: Kernels, precision: Precision, n: usize, k: usize) -> PackedMatrix {
    match precision {
        Precision::F32 => kernels.pack(&values(n * k), n, k),
        Precision::Int8 => PackedMatrix::quantise(&values(n * k), n, k, k.next_multiple_of(4)),
    }
}

/// Values between -0.1 and 0.1.
fn values(count: usize) -> Vec<f32> {
    (0..count).map(|index| 0.1 * (index as f32).sin()).collect()
}

/// GOP/s of one linear layer with bias and GELU left out, its weights rotated so that they are not all in the
/// nearest cache, as between the layers of a model.
fn linear(kernels: Kernels, precision: Precision, m: usize, n: usize, k: usize) -> f64 {
    let first = packed(kernels, precision, n, k);
    let copies = (12_000_000 / first.bytes()).max(1);
    let weights: Vec<_> = (0..copies).map(|_| first.clone()).collect();
    let bias = vec![0.25; n];
    let a = vec![0.125; m * k];
    let mut out = vec![0.0; m * n];
    let epilogue = Epilogue { bias: Some(&bias), activation: Activation::Identity, residual: None };
    let mut next = 0;
    let seconds = best_time(|| {
        let weight = &weights[next % copies];
        next += 1;
        kernels.linear(black_box(&a), m, weight, epilogue, &mut out, Parallelism::Pool);
        black_box(&mut out);
    });
    2e-9 * (m * n * k) as f64 / seconds
}

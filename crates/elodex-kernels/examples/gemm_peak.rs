//! Prints what fraction of this machine's peak the GEMM reaches, per shape, in f32 and by 8-bit integers, and the time of
//! one MiniLM layer's attention beside its linear layers.
//!
//! `cargo run --release -p elodex-kernels --example gemm_peak [isa] [threads]`

use std::hint::black_box;
use std::time::Instant;

use elodex_kernels::{Activation, Attention, Epilogue, Isa, Kernels, PackedMatrix, Parallelism, Precision};

/// (k, n) of MiniLM's and BERT-large's linear layers.
const WEIGHTS: [(usize, usize); 7] =
    [(384, 1152), (384, 384), (384, 1536), (1536, 384), (768, 3072), (1024, 3072), (4096, 1024)];
const ROWS: [usize; 8] = [1, 4, 8, 16, 48, 128, 256, 512];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let isa = match arguments.next() {
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
        let peak = pool.broadcast(|_| peak_of_one_thread(isa, precision)).into_iter().sum::<f64>();
        println!("{precision} on {isa}, {threads} threads, products in registers: {peak:.0} GOP/s");
        pool.install(|| {
            for (k, n) in WEIGHTS {
                for m in ROWS {
                    let speed = linear(kernels, precision, m, n, k);
                    let share = 100.0 * speed / peak;
                    println!("{precision} m {m:4}  k {k:4}  n {n:4}  {speed:7.1} GOP/s  {share:5.1} % of peak");
                }
            }
            for length in [16, 128, 256, 512] {
                let per_token = attention(kernels, precision, length);
                println!(
                    "{precision} attention 12 heads × 32, length {length:3}: {per_token:.3} µs per token and layer"
                );
            }
        });
    }
    Ok(())
}

/// Best time of several runs of at least a few milliseconds each, in seconds per call.
fn best_time(mut work: impl FnMut()) -> f64 {
    work();
    let mut calls = 1;
    let mut best = f64::INFINITY;
    let started = Instant::now();
    while started.elapsed().as_secs_f64() < 0.15 {
        let start = Instant::now();
        for _ in 0..calls {
            work();
        }
        let seconds = start.elapsed().as_secs_f64();
        best = best.min(seconds / f64::from(calls));
        if seconds < 3e-3 {
            calls *= 2;
        }
    }
    best
}

/// GOP/s of one linear layer with bias and GELU left out, its weights rotated so that they are not all in the
/// nearest cache, as between the layers of a model.
fn linear(kernels: Kernels, precision: Precision, m: usize, n: usize, k: usize) -> f64 {
    let pack = || match precision {
        Precision::F32 => kernels.pack(&vec![0.5; n * k], n, k),
        Precision::Int8 => PackedMatrix::quantise(&vec![0.5; n * k], n, k, k.next_multiple_of(4)),
    };
    let first = pack();
    let copies = (12_000_000 / first.bytes()).max(1);
    let packed: Vec<_> = (0..copies).map(|_| first.clone()).collect();
    let bias = vec![0.25; n];
    let a = vec![0.125; m * k];
    let mut out = vec![0.0; m * n];
    let epilogue = Epilogue { bias: Some(&bias), activation: Activation::Identity, residual: None };
    let mut next = 0;
    let seconds = best_time(|| {
        let weight = &packed[next % copies];
        next += 1;
        kernels.linear(black_box(&a), m, weight, epilogue, &mut out, Parallelism::Pool);
        black_box(&mut out);
    });
    2e-9 * (m * n * k) as f64 / seconds
}

/// Microseconds per token of MiniLM's attention over sequences of one length, 2048 tokens together.
fn attention(kernels: Kernels, precision: Precision, length: usize) -> f64 {
    let (heads, head_dim, tokens) = (12, 32, 2048);
    let qkv: Vec<f32> = (0..tokens * 3 * heads * head_dim).map(|index| (index % 17) as f32 * 0.1).collect();
    let offsets: Vec<usize> = (0..=tokens / length).map(|sequence| sequence * length).collect();
    let mut out = vec![0.0; tokens * heads * head_dim];
    let attention = Attention {
        qkv: &qkv,
        offsets: &offsets,
        heads,
        kv_heads: heads,
        head_dim,
        scale: 0.1,
        precision,
        causal: false,
        window: None,
        relative_bias: None,
    };
    let seconds = best_time(|| {
        kernels.attention(black_box(&attention), &mut out, Parallelism::Pool);
        black_box(&mut out);
    });
    1e6 * seconds / tokens as f64
}

/// GOP/s of products and sums that never leave the registers.
fn peak_of_one_thread(isa: Isa, precision: Precision) -> f64 {
    const STEPS: usize = 200_000;
    let (operations, seconds) = match (isa, precision) {
        #[cfg(target_arch = "x86_64")]
        (Isa::Avx512 | Isa::Avx512Vnni, Precision::F32) => {
            // SAFETY: `main` made sure that the CPU has the instruction set.
            (2 * 16 * 24, best_time(|| unsafe { x86::spin_avx512(STEPS) }))
        }
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        (Isa::Avx512Vnni, Precision::Int8) => (2 * 64 * 24, best_time(|| unsafe { x86::spin_vnni(STEPS) })),
        #[cfg(target_arch = "x86_64")]
        (Isa::Avx2 | Isa::AvxVnni, Precision::F32) => {
            // SAFETY: as above.
            (2 * 8 * 12, best_time(|| unsafe { x86::spin_avx2(STEPS) }))
        }
        _ => return f64::NAN,
    };
    1e-9 * (operations * STEPS) as f64 / seconds
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;
    use std::hint::black_box;

    #[target_feature(enable = "avx512f")]
    pub(super) fn spin_avx512(steps: usize) {
        let factor = _mm512_set1_ps(black_box(0.5));
        let mut sums = [_mm512_set1_ps(black_box(1.0)); 24];
        for _ in 0..steps {
            for sum in &mut sums {
                *sum = _mm512_fmadd_ps(*sum, factor, factor);
            }
        }
        black_box(sums);
    }

    #[target_feature(enable = "avx512f,avx512vnni")]
    pub(super) fn spin_vnni(steps: usize) {
        let factor = _mm512_set1_epi32(black_box(0x0102_0304));
        let mut sums = [_mm512_set1_epi32(black_box(1)); 24];
        for _ in 0..steps {
            for sum in &mut sums {
                *sum = _mm512_dpbusd_epi32(*sum, factor, factor);
            }
        }
        black_box(sums);
    }

    #[target_feature(enable = "avx2,fma")]
    pub(super) fn spin_avx2(steps: usize) {
        let factor = _mm256_set1_ps(black_box(0.5));
        let mut sums = [_mm256_set1_ps(black_box(1.0)); 12];
        for _ in 0..steps {
            for sum in &mut sums {
                *sum = _mm256_fmadd_ps(*sum, factor, factor);
            }
        }
        black_box(sums);
    }
}

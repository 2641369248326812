//! What the machine can do at most: operations in registers, bytes read.

use elodex_kernels::{Isa, Precision};
use std::hint::black_box;
use std::time::Instant;

/// Bytes of a thread's activations that are read again and again.
const ACTIVATION_BYTES: usize = 256 << 10;

/// What all threads together do in a second at most.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ceilings {
    /// Products and sums in registers.
    pub(crate) operations: f64,
    /// Bytes read from as many as the weights are, which the threads share.
    pub(crate) weights: f64,
    /// Bytes read from what each thread has of its own.
    pub(crate) activations: f64,
}

impl Ceilings {
    pub(crate) fn measure(pool: &rayon::ThreadPool, isa: Isa, precision: Precision, weights: usize) -> Self {
        let together = |work: &(dyn Fn() -> f64 + Sync)| pool.broadcast(|_| work()).into_iter().sum();
        let shared = vec![1; weights / 8];
        Self {
            operations: together(&|| operations_of_one_thread(isa, precision)),
            weights: together(&|| bytes_read(&shared)),
            activations: together(&|| bytes_read(&vec![1; ACTIVATION_BYTES / 8])),
        }
    }
}

/// Bytes read in a second.
fn bytes_read(words: &[u64]) -> f64 {
    let seconds = best_time(|| {
        let mut sums = [0_u64; 32];
        for words in black_box(words).chunks_exact(32) {
            for (sum, word) in sums.iter_mut().zip(words) {
                *sum = sum.wrapping_add(*word);
            }
        }
        black_box(sums);
    });
    size_of_val(words) as f64 / seconds
}

/// Best time of several runs of at least a few milliseconds each, in seconds per call.
pub(crate) fn best_time(mut work: impl FnMut()) -> f64 {
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

/// Products and sums in a second that never leave the registers, on one thread.
fn operations_of_one_thread(isa: Isa, precision: Precision) -> f64 {
    const STEPS: usize = 200_000;
    let (operations, seconds) = match (isa, precision) {
        #[cfg(target_arch = "x86_64")]
        (Isa::Avx512 | Isa::Avx512Vnni, Precision::F32) => {
            // SAFETY: the caller made sure that the CPU has the instruction set.
            (2 * 16 * 24, best_time(|| unsafe { x86::spin_avx512(STEPS) }))
        }
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        (Isa::Avx512Vnni, Precision::Int8) => (2 * 64 * 24, best_time(|| unsafe { x86::spin_vnni(STEPS) })),
        // Six products of parts are one of f32.
        #[cfg(target_arch = "x86_64")]
        (Isa::Avx512Amx, Precision::F32) => {
            // SAFETY: as above.
            (2 * 16 * 16 * 32, best_time(|| unsafe { x86::spin_amx_bf16(STEPS) }))
        }
        #[cfg(target_arch = "x86_64")]
        (Isa::Avx512Amx, Precision::Int8) => {
            // SAFETY: as above.
            (2 * 16 * 16 * 64 * 6, best_time(|| unsafe { x86::spin_amx_bytes(STEPS) }))
        }
        #[cfg(target_arch = "x86_64")]
        (Isa::Avx2 | Isa::AvxVnni, Precision::F32) => {
            // SAFETY: as above.
            (2 * 8 * 12, best_time(|| unsafe { x86::spin_avx2(STEPS) }))
        }
        _ => return f64::NAN,
    };
    (operations * STEPS) as f64 / seconds
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::asm;
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

    /// Six products of whole tiles of zeros in a step.
    macro_rules! spin_amx {
        ($name:ident, $multiply:literal) => {
            /// # Safety
            /// The CPU has AMX for what is multiplied, and this process may use it.
            pub(super) unsafe fn $name(steps: usize) {
                let mut configuration = [0_u64; 8];
                // Palette 1; from byte 16 on the 64 bytes of each register's rows, from byte 48 on their 16 rows.
                configuration[0] = 1;
                configuration[2..4].fill(0x0040_0040_0040_0040);
                configuration[6] = 0x1010_1010_1010_1010;
                // SAFETY: the caller promises AMX, and nothing else uses its registers.
                unsafe {
                    asm!("ldtilecfg [{}]", in(reg) configuration.as_ptr(), options(nostack));
                    for _ in 0..steps {
                        asm!(
                            concat!($multiply, " tmm0, tmm6, tmm7"),
                            concat!($multiply, " tmm1, tmm6, tmm7"),
                            concat!($multiply, " tmm2, tmm6, tmm7"),
                            concat!($multiply, " tmm3, tmm6, tmm7"),
                            concat!($multiply, " tmm4, tmm6, tmm7"),
                            concat!($multiply, " tmm5, tmm6, tmm7"),
                            options(nostack, nomem)
                        );
                    }
                    asm!("tilerelease", options(nostack, nomem));
                }
            }
        };
    }
    spin_amx!(spin_amx_bytes, "tdpbusd");
    spin_amx!(spin_amx_bf16, "tdpbf16ps");

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

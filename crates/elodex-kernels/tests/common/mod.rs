//! Inputs and comparisons that several test files share.

use elodex_kernels::{Activation, Epilogue, Isa, Kernels, Parallelism};

/// Kernels of every instruction set of this machine.
pub(crate) fn every_isa() -> impl Iterator<Item = Kernels> {
    Isa::available().into_iter().filter_map(Kernels::with_isa)
}

/// Reproducible values, uniform in −1..1.
pub(crate) fn noise(length: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(1);
    let step = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    (0..length).map(step).collect()
}

/// `activation` of every value as a linear layer applies it: its weights are the values and its input is 1.
pub(crate) fn activated(kernels: Kernels, values: &[f32], activation: Activation) -> Vec<f32> {
    let weight = kernels.pack(values, values.len(), 1);
    let epilogue = Epilogue { bias: None, activation, residual: None };
    let mut out = vec![0.0; values.len()];
    kernels.linear(&[1.0], 1, &weight, epilogue, &mut out, Parallelism::Serial);
    out
}

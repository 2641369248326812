//! The stages of MiniLM's layers as the engine runs them: what each computes and moves, what it takes, and the roofline it
//! stands under.

use crate::peak::Ceilings;
use crate::{packed, values};
use elodex_kernels::{Activation, Attention, Epilogue, Kernels, PackedMatrix, Parallelism, Precision};
use std::time::Instant;

const LAYERS: usize = 6;
const HEADS: usize = 12;
const HIDDEN: usize = 384;
const INTERMEDIATE: usize = 4 * HIDDEN;
/// Rows that the engine (`exec/pass.rs` of elodex-models) takes from attention's output to the next layer's input at a time
/// where a thread has a micro-batch of its own.
const FEED_FORWARD_ROWS: usize = 96;
/// Passes through all layers; of each stage the median is told.
const PASSES: usize = 201;

/// Stages of a layer.
const STAGES: [&str; 6] = ["qkv", "attention", "attention's out", "up, GELU", "down", "norms"];

/// A micro-batch of one text, and how it runs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Work {
    /// Tokens.
    pub(crate) length: usize,
    /// On a thread of its own, every thread with another one; else one shared by all threads.
    pub(crate) parallelism: Parallelism,
}

/// The linear layers' weights.
pub(crate) struct Weights {
    /// Of each layer: qkv, attention's out, up, down.
    layers: Vec<[PackedMatrix; 4]>,
}

impl Weights {
    pub(crate) fn new(kernels: Kernels, precision: Precision) -> Self {
        let shapes = [(HIDDEN, 3 * HIDDEN), (HIDDEN, HIDDEN), (HIDDEN, INTERMEDIATE), (INTERMEDIATE, HIDDEN)];
        let layer = |_| shapes.map(|(k, n)| packed(kernels, precision, n, k));
        Self { layers: (0..LAYERS).map(layer).collect() }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.layers.iter().flatten().map(PackedMatrix::bytes).sum()
    }
}

/// Prints the stages' table.
pub(crate) fn print(
    pool: &rayon::ThreadPool,
    kernels: Kernels,
    precision: Precision,
    weights: &Weights,
    work: Work,
    ceilings: &Ceilings,
) {
    let Work { length, parallelism } = work;
    let threads = pool.current_num_threads();
    let medians = || stage_medians(kernels, precision, weights, work);
    let (copies, seconds, how) = match parallelism {
        Parallelism::Serial => {
            let of_threads: Vec<[f64; 6]> = pool.broadcast(|_| medians());
            let mean = |stage| of_threads.iter().map(|seconds| seconds[stage]).sum::<f64>() / threads as f64;
            (threads, std::array::from_fn(mean), "each thread its own")
        }
        Parallelism::Pool => (1, pool.install(medians), "shared by the threads"),
    };
    let all: f64 = seconds.iter().sum();
    println!(
        "{precision} layers, {length} tokens, {how}: {:.3} ms, {:.0} tokens/s",
        1e3 * all,
        (copies * length) as f64 / all
    );
    println!(
        "  {:<16}{:>7}{:>10}{:>10}{:>9}{:>15}",
        "", "time", "kOP/token", "B/token", "GOP/s", "of its ceiling"
    );
    let mut least = 0.0;
    for (stage, name) in STAGES.iter().enumerate() {
        let cost = Cost::of(stage, weights, work);
        let bound = cost.least_seconds(ceilings, copies);
        least += bound;
        println!(
            "  {name:<16}{:>5.1} %{:>10.0}{:>10.0}{:>9.0}{:>13.1} %",
            100.0 * seconds[stage] / all,
            1e-3 * cost.operations / (length * LAYERS) as f64,
            (cost.weights + cost.activations) / (length * LAYERS) as f64,
            1e-9 * cost.operations * copies as f64 / seconds[stage],
            100.0 * bound / seconds[stage],
        );
    }
    println!("  {:<16}{:>46.1} %", "all", 100.0 * least / all);
}

/// What a stage computes and moves in all layers of a micro-batch.
struct Cost {
    /// Products and sums of its matrices.
    operations: f64,
    /// Bytes of weights, each read once.
    weights: f64,
    /// Bytes of activations, read and written once.
    activations: f64,
}

impl Cost {
    fn of(stage: usize, weights: &Weights, work: Work) -> Self {
        let tokens = work.length;
        let linear = |index: usize, residual: usize| {
            let weight = &weights.layers[0][index];
            let (n, k) = (weight.n(), weight.k());
            (2 * tokens * n * k, weight.bytes(), 4 * tokens * (k + n + residual))
        };
        let (operations, weights, activations) = match stage {
            0 => linear(0, 0),
            1 => (4 * tokens * tokens * HIDDEN, 0, 4 * tokens * 4 * HIDDEN),
            2 => linear(1, HIDDEN),
            3 => linear(2, 0),
            4 => linear(3, HIDDEN),
            _ => (0, 0, 2 * 2 * 4 * tokens * HIDDEN),
        };
        let all = |amount: usize| (amount * LAYERS) as f64;
        Self { operations: all(operations), weights: all(weights), activations: all(activations) }
    }

    /// What `copies` of it at once take at least: the longer of computing and of reading weights from where the model's
    /// weights lie and activations from where a micro-batch's lie.
    fn least_seconds(&self, ceilings: &Ceilings, copies: usize) -> f64 {
        let copies = copies as f64;
        let computing = copies * self.operations / ceilings.operations;
        let moving = copies * (self.weights / ceilings.weights + self.activations / ceilings.activations);
        computing.max(moving)
    }
}

/// Seconds that each stage takes in all layers, at the median of many passes.
fn stage_medians(kernels: Kernels, precision: Precision, weights: &Weights, work: Work) -> [f64; 6] {
    let mut buffers = Buffers::new(work);
    let passes: Vec<[f64; 6]> = (0..PASSES)
        .map(|_| work.parallelism.together(|| pass(kernels, precision, weights, work, &mut buffers)))
        .collect();
    std::array::from_fn(|stage| {
        let mut seconds: Vec<f64> = passes.iter().map(|pass| pass[stage]).collect();
        *seconds.select_nth_unstable_by(PASSES / 2, f64::total_cmp).1
    })
}

/// What the engine keeps between batches, too.
struct Buffers {
    hidden: Vec<f32>,
    qkv: Vec<f32>,
    attended: Vec<f32>,
    other: Vec<f32>,
    wide: Vec<f32>,
    /// Rows between attention and the next layer at a time.
    rows: usize,
}

impl Buffers {
    fn new(Work { length, parallelism }: Work) -> Self {
        let rows = match parallelism {
            Parallelism::Serial => FEED_FORWARD_ROWS.min(length),
            Parallelism::Pool => length,
        };
        Self {
            hidden: values(length * HIDDEN),
            qkv: vec![0.0; length * 3 * HIDDEN],
            attended: vec![0.0; length * HIDDEN],
            other: vec![0.0; rows * HIDDEN],
            wide: vec![0.0; rows * INTERMEDIATE],
            rows,
        }
    }
}

/// Seconds of each stage in one pass through all layers.
fn pass(
    kernels: Kernels,
    precision: Precision,
    weights: &Weights,
    Work { length, parallelism }: Work,
    buffers: &mut Buffers,
) -> [f64; 6] {
    let Buffers { hidden, qkv, attended, other, wide, rows } = buffers;
    let mut seconds = [0.0; 6];
    let mut timed = |stage: usize, run: &mut dyn FnMut()| {
        let started = Instant::now();
        run();
        seconds[stage] += started.elapsed().as_secs_f64();
    };
    let offsets = [0, length];
    let ones = vec![1.0; HIDDEN];
    let bias = vec![0.25; INTERMEDIATE];
    for [to_qkv, out, up, down] in &weights.layers {
        let linear =
            |input: &[f32], weight: &PackedMatrix, activation, residual: Option<&[f32]>, to: &mut [f32]| {
                let epilogue =
                    Epilogue { bias: Some(&bias[..weight.n().min(INTERMEDIATE)]), activation, residual };
                kernels.linear(input, input.len() / weight.k(), weight, epilogue, to, parallelism);
            };
        timed(0, &mut || linear(hidden, to_qkv, Activation::Identity, None, qkv));
        let attention = Attention {
            qkv,
            offsets: &offsets,
            heads: HEADS,
            kv_heads: HEADS,
            head_dim: HIDDEN / HEADS,
            scale: 0.1,
            precision,
            causal: false,
            window: None,
            relative_bias: None,
        };
        timed(1, &mut || kernels.attention(&attention, attended, parallelism));
        for (hidden, attended) in hidden.chunks_mut(*rows * HIDDEN).zip(attended.chunks(*rows * HIDDEN)) {
            let other = &mut other[..hidden.len()];
            let wide = &mut wide[..hidden.len() / HIDDEN * INTERMEDIATE];
            let norm = |values: &mut [f32]| {
                kernels.layer_norm(values, Some(&ones), Some(&bias[..HIDDEN]), 1e-12, HIDDEN, parallelism);
            };
            timed(2, &mut || linear(attended, out, Activation::Identity, Some(hidden), other));
            timed(5, &mut || norm(other));
            timed(3, &mut || linear(other, up, Activation::Gelu, None, wide));
            timed(4, &mut || linear(wide, down, Activation::Identity, Some(other), hidden));
            timed(5, &mut || norm(hidden));
        }
    }
    std::hint::black_box(hidden);
    seconds
}

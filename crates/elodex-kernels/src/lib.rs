//! CPU kernels with run-time ISA dispatch: f32 GEMM over packed weights, attention over packed variable-length
//! batches, norms and activations.
//!
//! **Batch invariance.** Every kernel computes an output row by a fixed sequence of floating-point operations that
//! depends on that row's inputs alone: not on the number of rows, their neighbours, the thread count or how the work
//! was split. Work is split over rows, columns, heads and sequences, never over the reduction dimension.
//!
//! [`Kernels`] is the proof that the CPU has the instruction set it names; it is `Copy` and passed by value.

/// An instruction set, best last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Isa {
    /// Portable Rust.
    Scalar,
    /// Arm NEON.
    Neon,
    /// AVX2 + FMA.
    Avx2,
    /// AVX-512 F, BW, DQ, VL.
    Avx512,
}

/// Proof that the CPU has an instruction set; the door to every kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kernels {
    isa: Isa,
}

/// Whether one call may use the threads of the current rayon pool. Never changes a bit of the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parallelism {
    /// On the calling thread.
    Serial,
    /// On the current rayon pool.
    Pool,
}

/// A `[n, k]` weight (torch `Linear` layout: one row per output) packed in panels for this ISA.
#[derive(Debug, Clone)]
pub struct PackedMatrix {
    n: usize,
    k: usize,
}

/// Element-wise function behind a linear layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// x
    Identity,
    /// x·Φ(x) by the error function.
    Gelu,
    /// The tanh approximation of GELU.
    GeluTanh,
    /// x·σ(x)
    Silu,
    /// max(x, 0)
    Relu,
    /// tanh x
    Tanh,
    /// 1 / (1 + e⁻ˣ)
    Sigmoid,
}

/// What happens to a linear layer's output tile before it is stored.
#[derive(Debug, Clone, Copy)]
pub struct Epilogue<'a> {
    /// `[n]`, added first.
    pub bias: Option<&'a [f32]>,
    /// Applied second.
    pub activation: Activation,
    /// `[m, n]`, added last.
    pub residual: Option<&'a [f32]>,
}

/// Attention over a packed batch of sequences.
///
/// `qkv` is `[tokens, (heads + 2·kv_heads)·head_dim]`: each row holds all query heads, then all key heads, then all
/// value heads.
#[derive(Debug, Clone, Copy)]
pub struct Attention<'a> {
    /// See above.
    pub qkv: &'a [f32],
    /// `[sequences + 1]` cumulative token offsets, from 0 to `tokens`.
    pub offsets: &'a [usize],
    /// Query heads.
    pub heads: usize,
    /// Key and value heads; divides `heads`.
    pub kv_heads: usize,
    /// Width of one head.
    pub head_dim: usize,
    /// Factor on q·k, usually head_dim^-½.
    pub scale: f32,
    /// Token i sees only tokens j ≤ i.
    pub causal: bool,
    /// Token i sees only tokens with |i − j| ≤ window.
    pub window: Option<usize>,
    /// Added to the scaled score of (i, j): `[heads, 2·radius + 1]`, column clamp(j − i, −radius, radius) + radius.
    pub relative_bias: Option<RelativeBias<'a>>,
}

/// See [`Attention::relative_bias`].
#[derive(Debug, Clone, Copy)]
pub struct RelativeBias<'a> {
    /// `[heads, 2·radius + 1]`
    pub table: &'a [f32],
    /// Largest distance with a column of its own.
    pub radius: usize,
}

impl PackedMatrix {
    /// Outputs.
    pub fn n(&self) -> usize {
        self.n
    }

    /// Inputs.
    pub fn k(&self) -> usize {
        self.k
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        todo!()
    }
}

impl Kernels {
    /// The best instruction set of this CPU.
    pub fn detect() -> Self {
        todo!()
    }

    /// A given one, or `None` if the CPU lacks it.
    pub fn with_isa(isa: Isa) -> Option<Self> {
        let _ = isa;
        todo!()
    }

    /// The instruction set in use.
    pub fn isa(self) -> Isa {
        self.isa
    }

    /// Packs `weight` `[n, k]` row-major.
    pub fn pack(self, weight: &[f32], n: usize, k: usize) -> PackedMatrix {
        let _ = (weight, n, k);
        todo!()
    }

    /// `out[m, n] = activation(a[m, k] · weightᵀ + bias) + residual`.
    pub fn linear(
        self,
        a: &[f32],
        m: usize,
        weight: &PackedMatrix,
        epilogue: Epilogue<'_>,
        out: &mut [f32],
        parallelism: Parallelism,
    ) {
        let _ = (a, m, weight, epilogue, out, parallelism);
        todo!()
    }

    /// `out[m, i] = activation(gate_up[m, 0..i]) ⊙ gate_up[m, i..2i]`.
    pub fn gate(self, gate_up: &[f32], width: usize, activation: Activation, out: &mut [f32], parallelism: Parallelism) {
        let _ = (gate_up, width, activation, out, parallelism);
        todo!()
    }

    /// In place on a small slice.
    pub fn activate(self, values: &mut [f32], activation: Activation) {
        let _ = (values, activation);
        todo!()
    }

    /// LayerNorm of each row of `x[m, hidden]` in place: (x − mean) / √(var + eps) · weight + bias, biased variance.
    pub fn layer_norm(self, x: &mut [f32], weight: Option<&[f32]>, bias: Option<&[f32]>, eps: f32, hidden: usize, parallelism: Parallelism) {
        let _ = (x, weight, bias, eps, hidden, parallelism);
        todo!()
    }

    /// RMSNorm of each row of `x[m, hidden]` in place: x / √(mean(x²) + eps) · weight.
    pub fn rms_norm(self, x: &mut [f32], weight: &[f32], eps: f32, hidden: usize, parallelism: Parallelism) {
        let _ = (x, weight, eps, hidden, parallelism);
        todo!()
    }

    /// Divides by max(‖x‖₂, 1e-12).
    pub fn l2_normalize(self, x: &mut [f32]) {
        let _ = x;
        todo!()
    }

    /// Σ a·b.
    pub fn dot(self, a: &[f32], b: &[f32]) -> f32 {
        let _ = (a, b);
        todo!()
    }

    /// `out[tokens, heads·head_dim]` = softmax(scale·q·kᵀ + bias, masked)·v per sequence and head.
    pub fn attention(self, attention: &Attention<'_>, out: &mut [f32], parallelism: Parallelism) {
        let _ = (attention, out, parallelism);
        todo!()
    }
}

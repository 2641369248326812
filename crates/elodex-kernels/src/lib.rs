//! CPU kernels with run-time ISA dispatch: GEMM over packed weights in f32 or by 8-bit integers, attention over packed variable-length
//! batches, norms and activations, and the derivatives of these.
//!
//! **Batch invariance.** Every kernel computes an output row by a fixed sequence of floating-point operations that
//! depends on that row's inputs alone: not on the number of rows, their neighbours, the thread count or how the work
//! was split. Work is split over rows, columns, heads and sequences, never over the reduction dimension.
//!
//! [`Kernels`] is the proof that the CPU has the instruction set it names; it is `Copy` and passed by value.
//!
//! Kernels are written once over a small trait of f32 lanes (`simd`) and compiled per instruction set; `unsafe` is
//! confined to the instruction sets, the GEMM tile, the transposes and the sharing of an output among tasks.
//!
//! Slices whose length is not that of their documented shape are a bug of the caller: methods panic on them.
//!
//! ```
//! use elodex_kernels::{Activation, Epilogue, Kernels, Parallelism};
//!
//! let kernels = Kernels::detect();
//! let weight = kernels.pack(&[1.0, 0.0, 0.0, 2.0, 1.0, 1.0], 3, 2);
//! let epilogue = Epilogue { bias: Some(&[0.0, 0.0, -9.0]), activation: Activation::Relu, residual: None };
//! let mut out = [0.0; 3];
//! kernels.linear(&[3.0, 4.0], 1, &weight, epilogue, &mut out, Parallelism::Serial);
//! assert_eq!(out, [3.0, 8.0, 0.0]);
//! ```

mod activation;
mod attention;
mod dispatch;
mod gemm;
mod gradient;
mod isa;
mod math;
mod memory;
mod norm;
mod pack;
mod parallel;
mod precision;
mod rope;
mod simd;
mod vector;

pub use activation::Activation;
pub use attention::{Attention, RelativeBias};
pub use gemm::Epilogue;
pub use isa::{Isa, Kernels, ParseIsaError};
pub use pack::{BytePanels, PackedMatrix, Rounding, SharedBytes, are_bf16};
pub use parallel::Parallelism;
pub use precision::{ParsePrecisionError, Precision};
pub use rope::RopeTable;

//! CPU kernels with run-time ISA dispatch: f32 GEMM over packed weights, attention over packed variable-length
//! batches, norms and activations.
//!
//! **Batch invariance.** Every kernel computes an output row by a fixed sequence of floating-point operations that
//! depends on that row's inputs alone: not on the number of rows, their neighbours, the thread count or how the work
//! was split. Work is split over rows, columns, heads and sequences, never over the reduction dimension.
//!
//! [`Kernels`] is the proof that the CPU has the instruction set it names; it is `Copy` and passed by value.
//!
//! Slices whose length is not that of their documented shape are a bug of the caller: methods panic on them.

mod activation;
mod attention;
mod dispatch;
mod gemm;
mod isa;
mod math;
mod memory;
mod norm;
mod pack;
mod parallel;
mod rope;
mod simd;
mod vector;

pub use activation::Activation;
pub use attention::{Attention, RelativeBias};
pub use gemm::Epilogue;
pub use isa::{Isa, Kernels, ParseIsaError};
pub use pack::PackedMatrix;
pub use parallel::Parallelism;
pub use rope::RopeTable;

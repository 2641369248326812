//! Transformer encoders that can be trained: forward and backward passes on the CPU kernels.

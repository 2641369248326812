//! Rotary position embedding, half-split (GPT-NeoX) form. <https://arxiv.org/abs/2104.09864>

use crate::dispatch::Operation;
use crate::isa::Kernels;
use crate::parallel::{Parallelism, for_each_row_block};
use crate::simd::Simd;

/// Cosines and sines of every position's angles.
#[derive(Debug, Clone, PartialEq)]
pub struct RopeTable {
    /// `[positions, rotary_dim / 2]`
    pub cos: Vec<f32>,
    /// `[positions, rotary_dim / 2]`
    pub sin: Vec<f32>,
}

impl RopeTable {
    /// Angles position · inv_freq\[i\], multiplied in f32 as torch does, `inv_freq` being `[rotary_dim / 2]`.
    pub fn new(inv_freq: &[f32], positions: usize) -> Self {
        let mut cos = Vec::with_capacity(positions * inv_freq.len());
        let mut sin = Vec::with_capacity(positions * inv_freq.len());
        for position in 0..positions {
            for &frequency in inv_freq {
                // The f32 angle is data; its cosine is taken in f64 so as to be right to the last bit of f32.
                let angle = f64::from(position as f32 * frequency);
                cos.push(angle.cos() as f32);
                sin.push(angle.sin() as f32);
            }
        }
        Self { cos, sin }
    }
}

struct Rope<'a> {
    qkv: &'a mut [f32],
    row_width: usize,
    heads: usize,
    head_dim: usize,
    half: usize,
    positions: &'a [u32],
    table: &'a RopeTable,
}

impl Operation for Rope<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let half = self.half;
        for (row, &position) in self.qkv.chunks_exact_mut(self.row_width).zip(self.positions) {
            let angles = position as usize * half..(position as usize + 1) * half;
            let cos = &self.table.cos[angles.clone()];
            let sin = &self.table.sin[angles];
            for head in row[..self.heads * self.head_dim].chunks_exact_mut(self.head_dim) {
                let (first, rest) = head.split_at_mut(half);
                let second = &mut rest[..half];
                let mut at = 0;
                while at < half {
                    let (cos, sin) = (simd.load_padded(&cos[at..]), simd.load_padded(&sin[at..]));
                    let x = simd.load_padded(&first[at..]);
                    let y = simd.load_padded(&second[at..]);
                    let rotated_x = simd.neg_mul_add(y, sin, simd.mul(x, cos));
                    let rotated_y = simd.mul_add(x, sin, simd.mul(y, cos));
                    simd.store_cut(rotated_x, &mut first[at..]);
                    simd.store_cut(rotated_y, &mut second[at..]);
                    at += S::LANES;
                }
            }
        }
    }
}

impl Kernels {
    /// Rotates, in place, the first `rotary_dim` values of each of the leading `heads_to_rotate` heads of every row of
    /// `qkv[m, row_width]` (query heads, then key heads): with halves x and y, x·cos − y·sin and y·cos + x·sin at the
    /// row's entry of `positions[m]`.
    ///
    /// # Panics
    /// If a slice's length is not that of its shape, the heads do not fit in a row, `rotary_dim` is odd or larger
    /// than `head_dim`, or a position is beyond `table`.
    #[expect(clippy::too_many_arguments, reason = "the layer's own parameters")]
    pub fn rope(
        self,
        qkv: &mut [f32],
        row_width: usize,
        heads_to_rotate: usize,
        head_dim: usize,
        rotary_dim: usize,
        positions: &[u32],
        table: &RopeTable,
        parallelism: Parallelism,
    ) {
        assert!(rotary_dim.is_multiple_of(2) && rotary_dim <= head_dim, "{rotary_dim} of {head_dim} values");
        assert!(heads_to_rotate * head_dim <= row_width, "the heads do not fit in a row");
        assert_eq!(qkv.len(), positions.len() * row_width, "qkv is not [positions, {row_width}]");
        assert_eq!(table.cos.len(), table.sin.len(), "cos and sin differ in length");
        if rotary_dim == 0 || heads_to_rotate == 0 {
            return;
        }
        let half = rotary_dim / 2;
        let known = table.cos.len() / half;
        let farthest = positions.iter().max().map_or(0, |&position| position as usize + 1);
        assert!(farthest <= known, "position {} of a table for {known}", farthest.saturating_sub(1));
        for_each_row_block(qkv, row_width, parallelism, |first_row, qkv| {
            let rows = qkv.len() / row_width;
            let positions = &positions[first_row..first_row + rows];
            self.dispatch(Rope { qkv, row_width, heads: heads_to_rotate, head_dim, half, positions, table });
        });
    }
}

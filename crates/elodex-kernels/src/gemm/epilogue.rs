//! What happens to a tile between its last multiply-add and the output.

use super::tile::columns;
use crate::activation::{Activation, CoarseGelu, Function, with_function};
use crate::parallel::SharedOutput;
use crate::simd::Simd;

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

impl Epilogue<'_> {
    /// # Panics
    /// If a slice's length is not that of its shape.
    pub(super) fn check(&self, m: usize, n: usize) {
        if let Some(bias) = self.bias {
            assert_eq!(bias.len(), n, "bias is not [n] = [{n}]");
        }
        if let Some(residual) = self.residual {
            assert_eq!(residual.len(), m * n, "residual is not [m, n] = [{m}, {n}]");
        }
    }
}

/// Where a tile stands in the output. The panel's padding beyond `n` is neither read nor written.
#[derive(Clone, Copy)]
pub(super) struct TilePlace<'a> {
    pub(super) out: SharedOutput<'a>,
    pub(super) n: usize,
    pub(super) row: usize,
    pub(super) rows: usize,
    pub(super) column: usize,
}

impl<'a> TilePlace<'a> {
    #[inline(always)]
    fn width<S: Simd>(self) -> usize {
        columns::<S>().min(self.n - self.column)
    }

    #[inline(always)]
    fn offset(self, row: usize) -> usize {
        (self.row + row) * self.n + self.column
    }

    #[inline(always)]
    fn output<S: Simd>(self, row: usize) -> &'a mut [f32] {
        // SAFETY: tasks own disjoint blocks of rows × panels of the output, a tile lies within its task's block, and
        // each part is dropped before the next is taken.
        unsafe { self.out.part(self.offset(row), self.width::<S>()) }
    }

    /// The partial sums that [`Self::write_partial`] left.
    #[inline(always)]
    pub(super) fn read_back<S: Simd>(self, simd: S, tile: &mut [f32]) {
        for row in 0..self.rows {
            let output = self.output::<S>(row);
            let (first, second) = output.split_at(S::LANES.min(output.len()));
            let tile_row = &mut tile[row * columns::<S>()..(row + 1) * columns::<S>()];
            simd.store(simd.load_padded(first), tile_row);
            simd.store(simd.load_padded(second), &mut tile_row[S::LANES..]);
        }
    }

    /// Stores sums that are not complete yet.
    #[inline(always)]
    pub(super) fn write_partial<S: Simd>(self, simd: S, tile: &[f32]) {
        for row in 0..self.rows {
            let output = self.output::<S>(row);
            let (first, second) = output.split_at_mut(S::LANES.min(output.len()));
            let tile_row = &tile[row * columns::<S>()..(row + 1) * columns::<S>()];
            simd.store_cut(simd.load(tile_row), first);
            simd.store_cut(simd.load(&tile_row[S::LANES..]), second);
        }
    }

    /// Stores activation(tile + bias) + residual.
    #[inline(always)]
    pub(super) fn finish<S: Simd>(self, simd: S, tile: &[f32], epilogue: &Epilogue<'_>) {
        with_function!(epilogue.activation, F => self.finish_with::<S, F>(simd, tile, epilogue));
    }

    /// As [`Self::finish`], for sums that are rounded anyway: GELU is the coarse one.
    #[inline(always)]
    pub(super) fn finish_coarse<S: Simd>(self, simd: S, tile: &[f32], epilogue: &Epilogue<'_>) {
        match epilogue.activation {
            Activation::Gelu => self.finish_with::<S, CoarseGelu>(simd, tile, epilogue),
            _ => self.finish(simd, tile, epilogue),
        }
    }

    /// The place of a tile none of whose columns lies beyond `n`, to be written vector by vector. `RESIDUAL` says whether
    /// there is one.
    #[inline(always)]
    pub(super) fn whole_rows<S: Simd, const RESIDUAL: bool>(
        self,
        simd: S,
        epilogue: &Epilogue<'_>,
    ) -> WholeRows<S::Vector, RESIDUAL> {
        let bias = match epilogue.bias {
            Some(bias) => {
                let bias = &bias[self.column..self.column + columns::<S>()];
                [simd.load(bias), simd.load(&bias[S::LANES..])]
            }
            None => [simd.splat(0.0); 2],
        };
        let length = (self.rows - 1) * self.n + columns::<S>();
        let residual = epilogue.residual.unwrap_or_default();
        let residual =
            if RESIDUAL { residual[self.offset(0)..][..length].as_ptr() } else { residual.as_ptr() };
        WholeRows { bias, residual, out: self.out.pointer(self.offset(0), length), n: self.n }
    }

    #[inline(always)]
    fn finish_with<S: Simd, F: Function>(self, simd: S, tile: &[f32], epilogue: &Epilogue<'_>) {
        let width = self.width::<S>();
        let mut at = 0;
        while at < width {
            let lanes = S::LANES.min(width - at);
            let bias = match epilogue.bias {
                Some(bias) => simd.load_padded(&bias[self.column + at..][..lanes]),
                None => simd.splat(0.0),
            };
            for row in 0..self.rows {
                let sum = simd.load(&tile[row * columns::<S>() + at..]);
                let mut value = F::apply(simd, simd.add(sum, bias));
                if let Some(residual) = epilogue.residual {
                    let residual = &residual[self.offset(row) + at..][..lanes];
                    value = simd.add(value, simd.load_padded(residual));
                }
                simd.store_cut(value, &mut self.output::<S>(row)[at..at + lanes]);
            }
            at += S::LANES;
        }
    }
}

/// See [`TilePlace::whole_rows`].
pub(super) struct WholeRows<V, const RESIDUAL: bool> {
    pub(super) bias: [V; 2],
    /// The tile's first value, as `out`; rows lie `n` apart.
    residual: *const f32,
    out: *mut f32,
    n: usize,
}

impl<V: Copy, const RESIDUAL: bool> WholeRows<V, RESIDUAL> {
    /// Stores `value` + residual.
    ///
    /// # Safety
    /// `row` is one of the tile's, and no other task writes to the tile's place.
    #[inline(always)]
    pub(super) unsafe fn store<S: Simd<Vector = V>>(&self, simd: S, row: usize, half: usize, mut value: V) {
        let at = row * self.n + half * S::LANES;
        // SAFETY: the whole tile was checked to lie in both, and the caller promises the rest.
        unsafe {
            if RESIDUAL {
                value = simd.add(value, simd.load_pointer(self.residual.add(at)));
            }
            simd.store_pointer(value, self.out.add(at));
        }
    }
}

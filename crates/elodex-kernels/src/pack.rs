//! Weights packed once, in the order the GEMM reads them.

use crate::isa::{Isa, Kernels};
use crate::memory::AlignedBuffer;

/// A `[n, k]` weight (torch `Linear` layout: one row per output) packed in panels for one instruction set.
///
/// A panel holds as many outputs as a GEMM tile has columns, as `[k][columns]`; the last one is padded with zeros.
#[derive(Debug, Clone)]
pub struct PackedMatrix {
    n: usize,
    k: usize,
    isa: Isa,
    panel_width: usize,
    values: AlignedBuffer,
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

    /// The instruction set it is packed for.
    pub fn isa(&self) -> Isa {
        self.isa
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        size_of_val(self.values.as_slice())
    }

    pub(crate) fn panels(&self) -> usize {
        self.n.div_ceil(self.panel_width)
    }

    /// `[k][panel_width]`
    pub(crate) fn panel(&self, index: usize) -> &[f32] {
        let length = self.k * self.panel_width;
        &self.values.as_slice()[index * length..(index + 1) * length]
    }
}

impl Kernels {
    /// Packs `weight` `[n, k]` row-major.
    ///
    /// # Panics
    /// If `weight` does not hold n·k values.
    pub fn pack(self, weight: &[f32], n: usize, k: usize) -> PackedMatrix {
        assert_eq!(weight.len(), n * k, "weight is not [n, k] = [{n}, {k}]");
        let panel_width = self.panel_width();
        let mut values = AlignedBuffer::zeros(n.div_ceil(panel_width) * panel_width * k);
        let packed = values.as_mut_slice();
        for output in 0..n {
            let row = &weight[output * k..(output + 1) * k];
            let panel_start = output / panel_width * panel_width * k;
            let column = output % panel_width;
            for (step, &value) in row.iter().enumerate() {
                packed[panel_start + step * panel_width + column] = value;
            }
        }
        PackedMatrix { n, k, isa: self.isa(), panel_width, values }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_weight_finds_its_place_and_the_rest_is_zero() {
        for isa in Isa::available() {
            let kernels = Kernels::with_isa(isa).unwrap();
            let (n, k) = (kernels.panel_width() + 3, 5);
            let weight: Vec<f32> = (1..=n * k).map(|value| value as f32).collect();
            let packed = kernels.pack(&weight, n, k);
            assert_eq!((packed.n(), packed.k(), packed.panels()), (n, k, 2));
            assert!(packed.bytes() >= 2 * kernels.panel_width() * k * 4);
            for column in 0..2 * kernels.panel_width() {
                let panel = packed.panel(column / kernels.panel_width());
                for step in 0..k {
                    let expected = if column < n { weight[column * k + step] } else { 0.0 };
                    let at = step * kernels.panel_width() + column % kernels.panel_width();
                    assert_eq!(panel[at], expected, "{isa} output {column} input {step}");
                }
            }
        }
    }
}

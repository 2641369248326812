//! Weights packed once, in the order the GEMM reads them.

use std::ops::Range;
use std::sync::Arc;

use crate::isa::{Isa, Kernels};
use crate::memory::AlignedBuffer;
use crate::precision::Precision;

/// Outputs of a panel of bytes, the same for every instruction set, so that packed weights can lie in files: a multiple
/// of every tile's columns.
pub(crate) const BYTE_PANEL: usize = 32;

/// A `[n, k]` weight (torch `Linear` layout: one row per output), packed in panels.
///
/// In f32 a panel holds as many outputs as a GEMM tile of the instruction set has columns, as `[k][columns]`; the last
/// one is padded with zeros. See [`BytePanels`] for 8-bit integers.
#[derive(Debug, Clone)]
pub struct PackedMatrix {
    n: usize,
    k: usize,
    pub(crate) panels: Panels,
}

#[derive(Debug, Clone)]
pub(crate) enum Panels {
    F32(FloatPanels),
    Int8(BytePanels),
}

/// See [`PackedMatrix`].
#[derive(Debug, Clone)]
pub(crate) struct FloatPanels {
    isa: Isa,
    width: usize,
    values: AlignedBuffer,
}

/// Weights as signed bytes: panels of 32 outputs, `[⌈n/32⌉][⌈k/4⌉][32][4]`, zeros beyond n and k, with a scale
/// for each output and group of consecutive inputs: weight ≈ scale · byte.
#[derive(Debug, Clone)]
pub struct BytePanels {
    bytes: SharedBytes,
    group: usize,
    /// `[groups][n rounded up to whole panels]`
    scales: Vec<f32>,
    /// scale · Σ bytes, laid out as `scales`.
    scaled_sums: Vec<f32>,
}

/// Bytes that somebody owns: a memory-mapped file, or a vector.
#[derive(Clone)]
pub struct SharedBytes {
    owner: Arc<dyn AsRef<[u8]> + Send + Sync>,
    range: Range<usize>,
}

impl SharedBytes {
    /// `owner`'s bytes in `range`, or `None` if it does not have them.
    pub fn new(owner: Arc<dyn AsRef<[u8]> + Send + Sync>, range: Range<usize>) -> Option<Self> {
        (*owner).as_ref().get(range.clone())?;
        Some(Self { owner, range })
    }

    /// The bytes.
    pub fn as_slice(&self) -> &[u8] {
        &(*self.owner).as_ref()[self.range.clone()]
    }
}

impl std::fmt::Debug for SharedBytes {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} bytes", self.range.len())
    }
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

    /// The numbers it is kept and multiplied in.
    pub fn precision(&self) -> Precision {
        match self.panels {
            Panels::F32(_) => Precision::F32,
            Panels::Int8(_) => Precision::Int8,
        }
    }

    /// Its panels of 8-bit integers, if it has such.
    pub fn byte_panels(&self) -> Option<&BytePanels> {
        match &self.panels {
            Panels::F32(_) => None,
            Panels::Int8(panels) => Some(panels),
        }
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        match &self.panels {
            Panels::F32(panels) => size_of_val(panels.values.as_slice()),
            Panels::Int8(panels) => {
                panels.bytes.range.len() + 4 * (panels.scales.len() + panels.scaled_sums.len())
            }
        }
    }

    /// A matrix that was packed before: what [`BytePanels`] returns, or files hold.
    ///
    /// `None` where the lengths are not those of the shape, `group` is no multiple of 4, or `n` or `k` is 0.
    pub fn from_bytes(
        n: usize,
        k: usize,
        group: usize,
        bytes: SharedBytes,
        scales: Vec<f32>,
    ) -> Option<Self> {
        let groups = k.checked_div(group)? + usize::from(!k.is_multiple_of(group));
        let padded = n.checked_next_multiple_of(BYTE_PANEL)?;
        let fits = n > 0
            && k > 0
            && group.is_multiple_of(4)
            && bytes.range.len() == padded.checked_mul(k.checked_next_multiple_of(4)?)?
            && scales.len() == padded.checked_mul(groups)?;
        if !fits {
            return None;
        }
        let mut panels = BytePanels { bytes, group, scales, scaled_sums: vec![] };
        panels.scaled_sums = panels.sum_up(n, k);
        Some(Self { n, k, panels: Panels::Int8(panels) })
    }

    pub(crate) fn panel_count(&self) -> usize {
        match &self.panels {
            Panels::F32(panels) => self.n.div_ceil(panels.width),
            Panels::Int8(_) => self.n.div_ceil(BYTE_PANEL),
        }
    }
}

impl FloatPanels {
    pub(crate) fn isa(&self) -> Isa {
        self.isa
    }

    /// `[k][width]`
    pub(crate) fn panel(&self, index: usize, k: usize) -> &[f32] {
        let length = k * self.width;
        &self.values.as_slice()[index * length..(index + 1) * length]
    }
}

impl BytePanels {
    /// The packed bytes.
    pub fn bytes(&self) -> &[u8] {
        self.bytes.as_slice()
    }

    /// Scales, `[groups][n rounded up to a multiple of 32]`.
    pub fn all_scales(&self) -> &[f32] {
        &self.scales
    }

    /// Consecutive inputs that share a scale.
    pub fn group(&self) -> usize {
        self.group
    }

    pub(crate) fn groups(&self, k: usize) -> usize {
        k.div_ceil(self.group)
    }

    /// Steps of four inputs that belong to a group.
    pub(crate) fn group_steps(&self, group: usize, k: usize) -> Range<usize> {
        let steps = k.div_ceil(4);
        steps.min(group * self.group / 4)..steps.min((group + 1) * self.group / 4)
    }

    /// `[⌈k/4⌉][32][4]`
    pub(crate) fn panel(&self, index: usize, k: usize) -> &[u8] {
        let length = BYTE_PANEL * k.next_multiple_of(4);
        &self.bytes()[index * length..(index + 1) * length]
    }

    /// By output, of one group.
    pub(crate) fn scales(&self, group: usize, n: usize) -> &[f32] {
        let padded = n.next_multiple_of(BYTE_PANEL);
        &self.scales[group * padded..(group + 1) * padded]
    }

    /// By output, of one group.
    pub(crate) fn scaled_sums(&self, group: usize, n: usize) -> &[f32] {
        let padded = n.next_multiple_of(BYTE_PANEL);
        &self.scaled_sums[group * padded..(group + 1) * padded]
    }

    fn sum_up(&self, n: usize, k: usize) -> Vec<f32> {
        let padded = n.next_multiple_of(BYTE_PANEL);
        let mut sums = vec![0; self.scales.len()];
        for index in 0..padded / BYTE_PANEL {
            let panel = self.panel(index, k);
            for group in 0..self.groups(k) {
                let steps = self.group_steps(group, k);
                let sums = &mut sums[group * padded + index * BYTE_PANEL..][..BYTE_PANEL];
                for step in panel[4 * BYTE_PANEL * steps.start..4 * BYTE_PANEL * steps.end]
                    .chunks_exact(4 * BYTE_PANEL)
                {
                    for (four, sum) in step.chunks_exact(4).zip(&mut *sums) {
                        *sum += four.iter().map(|&byte| i32::from(byte as i8)).sum::<i32>();
                    }
                }
            }
        }
        sums.into_iter().zip(&self.scales).map(|(sum, scale)| sum as f32 * scale).collect()
    }
}

impl Kernels {
    /// Packs `weight` `[n, k]` row-major.
    ///
    /// # Panics
    /// If `weight` does not hold n·k values.
    pub fn pack(self, weight: &[f32], n: usize, k: usize) -> PackedMatrix {
        assert_eq!(weight.len(), n * k, "weight is not [n, k] = [{n}, {k}]");
        let width = self.tile_columns();
        let mut values = AlignedBuffer::zeros(n.div_ceil(width) * width * k);
        let packed = values.as_mut_slice();
        for output in 0..n {
            let row = &weight[output * k..(output + 1) * k];
            let panel_start = output / width * width * k;
            let column = output % width;
            for (step, &value) in row.iter().enumerate() {
                packed[panel_start + step * width + column] = value;
            }
        }
        PackedMatrix { n, k, panels: Panels::F32(FloatPanels { isa: self.isa(), width, values }) }
    }
}

impl PackedMatrix {
    /// Rounds `weight` `[n, k]` row-major to 8-bit integers, one scale for every output and `group` inputs, and packs
    /// it: scale = max |w| / 127 of the group.
    ///
    /// # Panics
    /// If `weight` does not hold n·k finite values, n or k is 0, or `group` is no positive multiple of 4.
    pub fn quantise(weight: &[f32], n: usize, k: usize, group: usize) -> Self {
        assert_eq!(weight.len(), n * k, "weight is not [n, k] = [{n}, {k}]");
        assert!(n > 0 && k > 0 && group > 0 && group.is_multiple_of(4), "[{n}, {k}] in groups of {group}");
        let (padded, depth) = (n.next_multiple_of(BYTE_PANEL), k.next_multiple_of(4));
        let mut bytes = vec![0_u8; padded * depth];
        let mut scales = vec![0.0; padded * k.div_ceil(group)];
        for (output, row) in weight.chunks_exact(k).enumerate() {
            let panel = &mut bytes[output / BYTE_PANEL * BYTE_PANEL * depth..][..BYTE_PANEL * depth];
            for (index, values) in row.chunks(group).enumerate() {
                let largest = values.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
                assert!(values.iter().all(|value| value.is_finite()), "weight {output} is not finite");
                let scale = largest / 127.0;
                scales[index * padded + output] = scale;
                // Of weights so small that their scale is no normal number nothing would be left anyway.
                let inverse = if scale.is_normal() { 1.0 / scale } else { 0.0 };
                for (offset, value) in values.iter().enumerate() {
                    let input = index * group + offset;
                    let place = (input / 4 * BYTE_PANEL + output % BYTE_PANEL) * 4 + input % 4;
                    panel[place] = (value * inverse).round_ties_even().clamp(-127.0, 127.0) as i8 as u8;
                }
            }
        }
        let length = bytes.len();
        let bytes = SharedBytes { owner: Arc::new(bytes), range: 0..length };
        let mut panels = BytePanels { bytes, group, scales, scaled_sums: vec![] };
        panels.scaled_sums = panels.sum_up(n, k);
        Self { n, k, panels: Panels::Int8(panels) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_weight_finds_its_place_and_the_rest_is_zero() {
        for isa in Isa::available() {
            let kernels = Kernels::with_isa(isa).unwrap();
            let (n, k) = (kernels.tile_columns() + 3, 5);
            let weight: Vec<f32> = (1..=n * k).map(|value| value as f32).collect();
            let packed = kernels.pack(&weight, n, k);
            assert_eq!((packed.n(), packed.k(), packed.panel_count()), (n, k, 2));
            assert!(packed.bytes() >= 2 * kernels.tile_columns() * k * 4);
            let Panels::F32(panels) = &packed.panels else { unreachable!() };
            for column in 0..2 * kernels.tile_columns() {
                let panel = panels.panel(column / kernels.tile_columns(), k);
                for step in 0..k {
                    let expected = if column < n { weight[column * k + step] } else { 0.0 };
                    let at = step * kernels.tile_columns() + column % kernels.tile_columns();
                    assert_eq!(panel[at], expected, "{isa} output {column} input {step}");
                }
            }
        }
    }
}

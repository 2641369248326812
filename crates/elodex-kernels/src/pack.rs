//! Weights packed once, in the order the GEMM reads them.

use std::ops::Range;
use std::sync::Arc;

use crate::isa::{Isa, Kernels};
use crate::memory::{AlignedBuffer, halves_of, halves_of_mut};
use crate::parallel::Parallelism;
use rayon::prelude::*;

/// Outputs of a panel of bytes, the same for every instruction set, so that packed weights can lie in files: a multiple
/// of every tile's columns.
pub(crate) const BYTE_PANEL: usize = 32;

/// A `[n, k]` weight (torch `Linear` layout: one row per output), packed in panels.
///
/// In f32 a panel holds as many outputs as a GEMM tile of the instruction set has columns, as `[k][columns]`; the last
/// one is padded with zeros. Values that all are bf16 are held as such, in half the memory, and multiplied as the f32 that
/// they are. See [`BytePanels`] for 8-bit integers.
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
    /// Of bf16 two in the place of one.
    values: AlignedBuffer,
    is_bf16: bool,
}

/// Some steps of a panel, `[steps][width]`.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Steps<'a> {
    F32(&'a [f32]),
    /// The upper halves of f32.
    Bf16(&'a [u16]),
}

impl Steps<'_> {
    /// How many values there are.
    pub(crate) fn len(self) -> usize {
        match self {
            Steps::F32(values) => values.len(),
            Steps::Bf16(values) => values.len(),
        }
    }
}

/// Whether all values are bf16: the lower halves of their bits are 0.
pub fn are_bf16(values: &[f32]) -> bool {
    values.iter().all(|value| value.to_bits() << 16 == 0)
}

/// The f32 that bf16 bits stand for.
#[inline(always)]
pub(crate) fn widened(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
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
    /// `[k]`: inputs are multiplied by these before they are rounded, as weights were divided by them. Empty for none.
    input_factors: Vec<f32>,
}

/// How finite values that share a scale become signed bytes: value ≈ scale · byte, scale = max |value| / 127.
#[derive(Debug, Clone, Copy)]
pub struct Rounding {
    scale: f32,
    inverse: f32,
}

impl Rounding {
    /// That of `values`.
    pub fn of(values: &[f32]) -> Self {
        let scale = values.iter().fold(0.0_f32, |largest, value| largest.max(value.abs())) / 127.0;
        // Of values so small that their scale is no normal number nothing would be left anyway.
        let inverse = if scale.is_normal() { 1.0 / scale } else { 0.0 };
        Self { scale, inverse }
    }

    /// The scale.
    pub fn scale(self) -> f32 {
        self.scale
    }

    /// One of the values as a byte.
    pub fn byte(self, value: f32) -> i8 {
        (value * self.inverse).round_ties_even().clamp(-127.0, 127.0) as i8
    }
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

impl From<Vec<u8>> for SharedBytes {
    fn from(bytes: Vec<u8>) -> Self {
        let range = 0..bytes.len();
        Self { owner: Arc::new(bytes), range }
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

    /// Its panels of 8-bit integers, if it has such.
    pub fn byte_panels(&self) -> Option<&BytePanels> {
        match &self.panels {
            Panels::F32(_) => None,
            Panels::Int8(panels) => Some(panels),
        }
    }

    /// The weights `[n, k]` row-major, as they are multiplied with: 8-bit integers times their scales, and times what
    /// inputs are multiplied by.
    pub fn values(&self) -> Vec<f32> {
        let mut values = Vec::with_capacity(self.n * self.k);
        for output in 0..self.n {
            for input in 0..self.k {
                values.push(match &self.panels {
                    Panels::F32(panels) => panels.value(output, input, self.k),
                    Panels::Int8(panels) => panels.value(output, input, self.n, self.k),
                });
            }
        }
        values
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

    /// A matrix that was packed before: what [`BytePanels`] returns, or files hold. `input_factors` may be
    /// empty.
    ///
    /// `None` where the lengths are not those of the shape, `group` is no multiple of 4, or `n` or `k` is 0.
    pub fn from_bytes(
        n: usize,
        k: usize,
        group: usize,
        bytes: SharedBytes,
        scales: Vec<f32>,
        input_factors: Vec<f32>,
    ) -> Option<Self> {
        let groups = k.checked_div(group)? + usize::from(!k.is_multiple_of(group));
        let padded = n.checked_next_multiple_of(BYTE_PANEL)?;
        let fits = n > 0
            && k > 0
            && group.is_multiple_of(4)
            && bytes.range.len() == padded.checked_mul(k.checked_next_multiple_of(4)?)?
            && scales.len() == padded.checked_mul(groups)?
            && (input_factors.is_empty() || input_factors.len() == k);
        if !fits {
            return None;
        }
        let mut panels = BytePanels { bytes, group, scales, scaled_sums: vec![], input_factors };
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

    /// Values of scratch in which [`Self::steps`] of so many steps are widened; none where they are f32.
    pub(crate) fn widened_length(&self, steps: usize) -> usize {
        if self.is_bf16 { steps * self.width } else { 0 }
    }

    /// The steps `depth` of one panel.
    pub(crate) fn steps(&self, panel: usize, k: usize, depth: Range<usize>) -> Steps<'_> {
        let start = panel * k;
        let range = (start + depth.start) * self.width..(start + depth.end) * self.width;
        match self.is_bf16 {
            false => Steps::F32(&self.values.as_slice()[range]),
            true => Steps::Bf16(&halves_of(self.values.as_slice())[range]),
        }
    }

    /// One weight.
    fn value(&self, output: usize, input: usize, k: usize) -> f32 {
        match self.steps(output / self.width, k, input..input + 1) {
            Steps::F32(values) => values[output % self.width],
            Steps::Bf16(values) => widened(values[output % self.width]),
        }
    }
}

impl BytePanels {
    /// Shape of the packed bytes of `[n, k]` weights.
    pub fn shape(n: usize, k: usize) -> [usize; 4] {
        [n.div_ceil(BYTE_PANEL), k.div_ceil(4), BYTE_PANEL, 4]
    }

    /// Shape of their scales, one for every `group` inputs.
    pub fn scales_shape(n: usize, k: usize, group: usize) -> [usize; 2] {
        [k.div_ceil(group), n.next_multiple_of(BYTE_PANEL)]
    }

    /// The packed bytes.
    pub fn bytes(&self) -> &[u8] {
        self.bytes.as_slice()
    }

    /// Scales, `[groups][n rounded up to a multiple of 32]`.
    pub fn all_scales(&self) -> &[f32] {
        &self.scales
    }

    /// What inputs are multiplied by before they are rounded, `[k]`; empty for nothing.
    pub fn input_factors(&self) -> &[f32] {
        &self.input_factors
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

    /// One weight.
    fn value(&self, output: usize, input: usize, n: usize, k: usize) -> f32 {
        let byte = self.panel(output / BYTE_PANEL, k)[place(output, input)] as i8;
        let factor = self.input_factors.get(input).copied().unwrap_or(1.0);
        f32::from(byte) * self.scales(input / self.group, n)[output] * factor
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
        let length = n.div_ceil(width) * width * k;
        let is_bf16 = are_bf16(weight);
        let mut values = AlignedBuffer::zeros(if is_bf16 { length.div_ceil(2) } else { length });
        let packed = values.as_mut_slice();
        for output in 0..n {
            let row = &weight[output * k..(output + 1) * k];
            let start = output / width * width * k + output % width;
            if is_bf16 {
                let packed = &mut halves_of_mut(packed)[start..];
                for (value, place) in row.iter().zip(packed.iter_mut().step_by(width)) {
                    *place = (value.to_bits() >> 16) as u16;
                }
            } else {
                for (value, place) in row.iter().zip(packed[start..].iter_mut().step_by(width)) {
                    *place = *value;
                }
            }
        }
        PackedMatrix { n, k, panels: Panels::F32(FloatPanels { isa: self.isa(), width, values, is_bf16 }) }
    }

    /// Packs the transpose of `values` `[k, n]` row-major.
    ///
    /// # Panics
    /// If `values` does not hold n·k values.
    pub fn pack_transposed(
        self,
        values: &[f32],
        n: usize,
        k: usize,
        parallelism: Parallelism,
    ) -> PackedMatrix {
        assert_eq!(values.len(), n * k, "values are not [k, n] = [{k}, {n}]");
        let width = self.tile_columns();
        let mut packed = AlignedBuffer::zeros(n.div_ceil(width) * width * k);
        let pack_panel = |(index, panel): (usize, &mut [f32])| {
            let columns = index * width..n.min((index + 1) * width);
            for (step, row) in panel.chunks_exact_mut(width).enumerate() {
                row[..columns.len()].copy_from_slice(&values[step * n..][columns.clone()]);
            }
        };
        let panels = &mut packed.as_mut_slice()[..n.div_ceil(width) * width * k];
        let panel_length = (width * k).max(1);
        match parallelism {
            Parallelism::Serial => panels.chunks_exact_mut(panel_length).enumerate().for_each(pack_panel),
            Parallelism::Pool => {
                panels.par_chunks_exact_mut(panel_length).enumerate().for_each(pack_panel);
            }
        }
        let panels = FloatPanels { isa: self.isa(), width, values: packed, is_bf16: false };
        PackedMatrix { n, k, panels: Panels::F32(panels) }
    }
}

impl PackedMatrix {
    /// Rounds `weight` `[n, k]` row-major to 8-bit integers, one scale for every output and `group` inputs, and packs
    /// it: scale = max |w| / 127 of the group.
    ///
    /// # Panics
    /// If `weight` does not hold n·k finite values, n or k is 0, or `group` is no positive multiple of 4.
    pub fn quantise(weight: &[f32], n: usize, k: usize, group: usize) -> Self {
        Self::quantise_smoothed(weight, n, k, group, vec![])
    }

    /// As [`Self::quantise`], with weights divided and inputs multiplied by `input_factors[k]` before either is rounded:
    /// factors below 1 for inputs that are often large leave more steps to the others
    /// (SmoothQuant, <https://arxiv.org/abs/2211.10438>). None if empty.
    ///
    /// # Panics
    /// As there, or if the factors are not k positive numbers.
    pub fn quantise_smoothed(
        weight: &[f32],
        n: usize,
        k: usize,
        group: usize,
        input_factors: Vec<f32>,
    ) -> Self {
        assert_eq!(weight.len(), n * k, "weight is not [n, k] = [{n}, {k}]");
        let usable = input_factors.iter().all(|factor| factor.is_normal() && *factor > 0.0);
        assert!(usable && (input_factors.is_empty() || input_factors.len() == k), "factors of {k} inputs");
        assert!(n > 0 && k > 0 && group > 0 && group.is_multiple_of(4), "[{n}, {k}] in groups of {group}");
        let (padded, depth) = (n.next_multiple_of(BYTE_PANEL), k.next_multiple_of(4));
        let mut bytes = vec![0_u8; padded * depth];
        let mut scales = vec![0.0; padded * k.div_ceil(group)];
        for (output, row) in weight.chunks_exact(k).enumerate() {
            let smoothed: Vec<f32>;
            let row = if input_factors.is_empty() {
                row
            } else {
                smoothed = row.iter().zip(&input_factors).map(|(weight, factor)| weight / factor).collect();
                &smoothed
            };
            let panel = &mut bytes[output / BYTE_PANEL * BYTE_PANEL * depth..][..BYTE_PANEL * depth];
            for (index, values) in row.chunks(group).enumerate() {
                assert!(values.iter().all(|value| value.is_finite()), "weight {output} is not finite");
                let rounding = Rounding::of(values);
                scales[index * padded + output] = rounding.scale();
                for (offset, value) in values.iter().enumerate() {
                    panel[place(output, index * group + offset)] = rounding.byte(*value) as u8;
                }
            }
        }
        let mut panels =
            BytePanels { bytes: bytes.into(), group, scales, scaled_sums: vec![], input_factors };
        panels.scaled_sums = panels.sum_up(n, k);
        Self { n, k, panels: Panels::Int8(panels) }
    }
}

/// Where in its output's panel the byte of a weight lies.
fn place(output: usize, input: usize) -> usize {
    (input / 4 * BYTE_PANEL + output % BYTE_PANEL) * 4 + input % 4
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_weight_finds_its_place_and_the_rest_is_zero() {
        for isa in Isa::available() {
            let kernels = Kernels::with_isa(isa).unwrap();
            let (n, k) = (kernels.tile_columns() + 3, 5);
            let whole: Vec<f32> = (1..=n * k).map(|value| value as f32).collect();
            let thirds: Vec<f32> = whole.iter().map(|value| value / 3.0).collect();
            for (weight, size) in [(&thirds, 4), (&whole, 2)] {
                let packed = kernels.pack(weight, n, k);
                assert_eq!(packed.values(), *weight);
                assert_eq!((packed.n(), packed.k(), packed.panel_count()), (n, k, 2));
                let length = 2 * kernels.tile_columns() * k * size;
                assert!((length..length + 64).contains(&packed.bytes()), "{} of {length}", packed.bytes());
                let Panels::F32(panels) = &packed.panels else { unreachable!() };
                for column in 0..2 * kernels.tile_columns() {
                    for step in 0..k {
                        let expected = if column < n { weight[column * k + step] } else { 0.0 };
                        assert_eq!(
                            panels.value(column, step, k),
                            expected,
                            "{isa} output {column} input {step}"
                        );
                    }
                }
            }
        }
    }
}

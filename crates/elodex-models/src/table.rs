//! The table of token vectors, whose rows are looked up and never multiplied.

use elodex_kernels::{Rounding, SharedBytes, are_bf16};
use half::bf16;

/// `[rows, width]` in f32, which is held as bf16 where all values are, or as signed bytes with a scale per row.
#[derive(Debug, Clone)]
pub struct Table {
    /// Of its tensor.
    name: String,
    width: usize,
    values: Values,
}

#[derive(Debug, Clone)]
enum Values {
    F32(Vec<f32>),
    Bf16(Vec<bf16>),
    Int8 { bytes: SharedBytes, scales: Vec<f32> },
}

impl Table {
    /// Of f32 values.
    pub(crate) fn exact(name: &str, values: Vec<f32>, width: usize) -> Self {
        let values = match are_bf16(&values) {
            false => Values::F32(values),
            true => Values::Bf16(values.into_iter().map(bf16::from_f32).collect()),
        };
        Self { name: name.to_owned(), width, values }
    }

    /// Of signed bytes that somebody rounded.
    pub(crate) fn from_bytes(name: &str, bytes: SharedBytes, scales: Vec<f32>, width: usize) -> Self {
        Self { name: name.to_owned(), width, values: Values::Int8 { bytes, scales } }
    }

    /// Rounds finite f32 values to signed bytes, row by row.
    pub(crate) fn quantise(name: &str, values: &[f32], width: usize) -> Self {
        let mut bytes = Vec::with_capacity(values.len());
        let mut scales = Vec::with_capacity(values.len() / width);
        for row in values.chunks_exact(width) {
            let rounding = Rounding::of(row);
            bytes.extend(row.iter().map(|value| rounding.byte(*value) as u8));
            scales.push(rounding.scale());
        }
        Self::from_bytes(name, bytes.into(), scales, width)
    }

    /// Name of its tensor.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its rows.
    pub(crate) fn rows(&self) -> usize {
        match &self.values {
            Values::F32(values) => values.len() / self.width,
            Values::Bf16(values) => values.len() / self.width,
            Values::Int8 { scales, .. } => scales.len(),
        }
    }

    /// Its signed bytes `[rows, width]` and their scales by row, unless it is f32.
    pub fn bytes(&self) -> Option<(&[u8], &[f32])> {
        match &self.values {
            Values::F32(_) | Values::Bf16(_) => None,
            Values::Int8 { bytes, scales } => Some((bytes.as_slice(), scales)),
        }
    }

    /// Bytes held.
    pub fn memory(&self) -> usize {
        match &self.values {
            Values::F32(values) => size_of_val(values.as_slice()),
            Values::Bf16(values) => size_of_val(values.as_slice()),
            Values::Int8 { bytes, scales } => bytes.as_slice().len() + size_of_val(scales.as_slice()),
        }
    }

    /// Appends one row.
    pub(crate) fn look_up(&self, row: usize, out: &mut Vec<f32>) {
        let range = row * self.width..(row + 1) * self.width;
        match &self.values {
            Values::F32(values) => out.extend_from_slice(&values[range]),
            Values::Bf16(values) => out.extend(values[range].iter().map(|value| value.to_f32())),
            Values::Int8 { bytes, scales } => {
                let scale = scales[row];
                out.extend(bytes.as_slice()[range].iter().map(|&byte| f32::from(byte as i8) * scale));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_the_same_however_they_are_held() {
        let whole = [1.0, -2.5, f32::MAX, f32::MIN_POSITIVE, 0.0, 3.0e-39];
        let halves = whole.map(|value| f32::from_bits(value.to_bits() & 0xffff_0000));
        for (values, size) in [(whole, 4), (halves, 2)] {
            let table = Table::exact("tokens", values.to_vec(), 2);
            assert_eq!((table.rows(), table.memory()), (3, 6 * size));
            let mut rows = Vec::new();
            (0..3).for_each(|row| table.look_up(row, &mut rows));
            assert_eq!(rows, values);
        }
    }
}

//! Writing a safetensors file whose data starts at a multiple of 64 bytes.

use safetensors::tensor::Dtype;
use serde_json::{Map, Value, json};
use std::borrow::Cow;
use std::io::{self, Write};

/// Where the data starts, and with it every tensor whose size is a multiple of this.
const ALIGNMENT: usize = 64;
/// In front of the header: its length.
const LENGTH_BYTES: usize = 8;

/// A tensor to write.
pub(super) struct Tensor<'a> {
    pub(super) name: String,
    pub(super) dtype: Dtype,
    pub(super) shape: Vec<usize>,
    pub(super) bytes: Cow<'a, [u8]>,
}

impl Tensor<'_> {
    pub(super) fn f32(name: String, shape: Vec<usize>, values: &[f32]) -> Self {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        Self { name, dtype: Dtype::F32, shape, bytes: Cow::Owned(bytes) }
    }

    /// Packed matrices first, then by the size of an element: so each starts at a multiple of what its reader needs.
    fn rank(&self) -> usize {
        match self.dtype.bitsize() {
            8 if self.dtype == Dtype::I8 && self.bytes.len().is_multiple_of(ALIGNMENT) => 0,
            bits => 1 + 64_usize.saturating_sub(bits),
        }
    }
}

/// Writes `tensors`, and hands back the hash of what was written.
pub(super) fn write(mut tensors: Vec<Tensor<'_>>, out: &mut impl Write) -> io::Result<blake3::Hash> {
    tensors.sort_by(|left, right| (left.rank(), &left.name).cmp(&(right.rank(), &right.name)));
    let mut header = Map::new();
    let mut end = 0;
    for tensor in &tensors {
        let start = end;
        end += tensor.bytes.len();
        let entry =
            json!({"dtype": tensor.dtype.to_string(), "shape": tensor.shape, "data_offsets": [start, end]});
        header.insert(tensor.name.clone(), entry);
    }
    let mut header = Value::Object(header).to_string().into_bytes();
    let length = (LENGTH_BYTES + header.len()).next_multiple_of(ALIGNMENT) - LENGTH_BYTES;
    header.resize(length, b' ');

    let mut hasher = blake3::Hasher::new();
    let mut put = |bytes: &[u8]| {
        hasher.update(bytes);
        out.write_all(bytes)
    };
    put(&(length as u64).to_le_bytes())?;
    put(&header)?;
    for tensor in &tensors {
        put(&tensor.bytes)?;
    }
    Ok(hasher.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;
    use safetensors::SafeTensors;

    #[test]
    fn the_file_is_one_and_packed_matrices_lie_at_its_lines() {
        let bytes = |name: &str, dtype, length: usize| Tensor {
            name: name.to_owned(),
            dtype,
            shape: vec![length * 8 / dtype.bitsize()],
            bytes: Cow::Owned(vec![7; length]),
        };
        let tensors = vec![
            bytes("half", Dtype::BF16, 6),
            bytes("table", Dtype::I8, 33),
            Tensor::f32("float".into(), vec![3], &[1.0, 2.0, 3.0]),
            bytes("ids", Dtype::I64, 24),
            bytes("matrix", Dtype::I8, 128),
            bytes("second", Dtype::I8, 64),
        ];
        let mut file = Vec::new();
        let hash = write(tensors, &mut file).unwrap();
        assert_eq!(hash, blake3::hash(&file));
        let read = SafeTensors::deserialize(&file).unwrap();
        let place = |name: &str| read.tensor(name).unwrap().data().as_ptr().addr() - file.as_ptr().addr();
        for (name, alignment) in [("matrix", 64), ("second", 64), ("ids", 8), ("float", 4), ("half", 2)] {
            assert_eq!(place(name) % alignment, 0, "{name} at {}", place(name));
        }
        assert!(place("table") > place("half"));
        assert_eq!(read.tensor("float").unwrap().data(), [1.0_f32, 2.0, 3.0].map(f32::to_le_bytes).concat());
    }
}

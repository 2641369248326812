//! Safetensors files, single or sharded, memory-mapped, read as f32.
//!
//! The format: eight bytes with the header's length, a JSON header that gives each tensor's type, shape and byte
//! range, then the data, which the ranges must cover without gap or overlap. The header is checked here, not by the
//! safetensors crate, because a file from outside must neither overflow an addition nor fail without naming a tensor.

mod header;

use self::header::{LENGTH_BYTES, corrupt, corrupt_file, parse_header};
use crate::files::read::{self, MAX_CONFIG_BYTES};
use crate::{Error, ErrorKind, Result};
use elodex_kernels::SharedBytes;
use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};
use memmap2::Mmap;
use safetensors::tensor::Dtype;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Values converted at a time, so that unaligned half-precision bytes pass through a buffer on the stack.
const BLOCK: usize = 2048;

/// The tensors of one model. Headers are checked on opening; data is converted on reading.
#[derive(Debug)]
pub struct WeightStore {
    files: Vec<Mapped>,
    tensors: BTreeMap<String, Entry>,
}

#[derive(Debug)]
struct Mapped {
    path: PathBuf,
    bytes: Arc<Mmap>,
}

#[derive(Debug)]
struct Entry {
    file: usize,
    dtype: Dtype,
    shape: Vec<usize>,
    /// Within the whole file.
    bytes: Range<usize>,
}

impl WeightStore {
    /// Opens `model.safetensors` or the shards that `model.safetensors.index.json` names.
    pub fn open(dir: &Path) -> Result<Self> {
        let single = dir.join("model.safetensors");
        if single.is_file() {
            return Self::open_file(&single);
        }
        let index = dir.join("model.safetensors.index.json");
        if index.is_file() {
            return Self::open_shards(dir, &index);
        }
        if dir.join("pytorch_model.bin").is_file() || dir.join("pytorch_model.bin.index.json").is_file() {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!(
                    "`{}` has its weights only as pytorch_model.bin, which is a program to unpickle; convert them to \
                     model.safetensors (`save_pretrained` of transformers writes it)",
                    dir.display()
                ),
            ));
        }
        Err(Error::new(
            ErrorKind::NotFound,
            format!("`{}` has neither model.safetensors nor model.safetensors.index.json", dir.display()),
        ))
    }

    /// Opens one safetensors file.
    pub fn open_file(path: &Path) -> Result<Self> {
        let mut store = Self { files: vec![], tensors: BTreeMap::new() };
        store.add(path)?;
        Ok(store)
    }

    fn open_shards(dir: &Path, index_path: &Path) -> Result<Self> {
        #[derive(Deserialize)]
        struct Index {
            weight_map: BTreeMap<String, String>,
        }
        let index: Index = read::json(index_path, MAX_CONFIG_BYTES)?;
        let mut store = Self { files: vec![], tensors: BTreeMap::new() };
        let shards: BTreeSet<&String> = index.weight_map.values().collect();
        for shard in shards {
            let path = read::inside(dir, shard, index_path)?;
            if !path.is_file() {
                return Err(Error::new(
                    ErrorKind::Corrupt,
                    format!(
                        "`{}` names the shard `{shard}`, which is missing; download it",
                        index_path.display()
                    ),
                ));
            }
            store.add(&path)?;
        }
        for (tensor, shard) in &index.weight_map {
            let found = store.tensors.get(tensor).map(|entry| &store.files[entry.file].path);
            if found.and_then(|path| path.file_name()) != Path::new(shard).file_name() {
                return Err(corrupt(index_path, tensor, &format!("it is not in the shard `{shard}`")));
            }
        }
        Ok(store)
    }

    /// Maps one more file and takes its tensors.
    fn add(&mut self, path: &Path) -> Result<()> {
        let file = File::open(path).map_err(|error| read::failed(path, error))?;
        let length = file.metadata().map_err(|error| read::failed(path, error))?.len();
        if length <= LENGTH_BYTES as u64 {
            return Err(corrupt_file(path, &format!("{length} bytes are too few for a safetensors file")));
        }
        // SAFETY: the map is read-only and private to this store. Its bytes are only ever read as bytes, so no content
        // is undefined behaviour by itself. What remains, as for every map of a file, is another process that writes
        // to the file or truncates it meanwhile; model files are written once, under another name, and renamed.
        let bytes = unsafe { Mmap::map(&file) }.map_err(|error| read::failed(path, error))?;
        let header = parse_header(path, &bytes)?;
        let index = self.files.len();
        for (name, dtype, shape, bytes) in header {
            let entry = Entry { file: index, dtype, shape, bytes };
            if let Some(other) = self.tensors.insert(name.clone(), entry) {
                let other = self.files.get(other.file).map_or(path, |file| &file.path);
                return Err(corrupt(path, &name, &format!("it is also in `{}`", other.display())));
            }
        }
        self.files.push(Mapped { path: path.to_path_buf(), bytes: Arc::new(bytes) });
        Ok(())
    }

    /// Names of all tensors, sorted.
    pub fn names(&self) -> Vec<&str> {
        self.tensors.keys().map(String::as_str).collect()
    }

    /// The tensor's shape, or `None` if there is no such tensor.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.tensors.get(name).map(|entry| entry.shape.as_slice())
    }

    /// Number of weights: elements of all floating-point tensors.
    pub fn parameters(&self) -> u64 {
        let floats = self.tensors.values().filter(|entry| element_bytes(entry.dtype).is_some());
        floats.map(|entry| entry.shape.iter().map(|size| *size as u64).product::<u64>()).sum()
    }

    /// Bytes of its files.
    pub fn file_bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes.len() as u64).sum()
    }

    /// The tensor as f32 in row-major order; an error if it is missing, of another shape or of a type that is not
    /// f32, f16 or bf16.
    pub fn tensor(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        let entry = self.entry(name)?;
        if entry.shape != shape {
            let reason = format!("its shape is {:?} where the configuration makes it {shape:?}", entry.shape);
            return Err(corrupt(self.path(entry), name, &reason));
        }
        self.convert(name, entry, entry.bytes.clone())
    }

    /// What was rounded to 8-bit integers: `NAME.int8` of this shape, where it lies, and `NAME.int8_scale`; `None` if
    /// there is no such tensor.
    pub fn int8(
        &self,
        name: &str,
        shape: &[usize],
        scales: &[usize],
    ) -> Result<Option<(SharedBytes, Vec<f32>)>> {
        let scale_name = int8_scale_name(name);
        let name = int8_name(name);
        let Some(entry) = self.tensors.get(&name) else {
            return Ok(None);
        };
        if entry.shape != shape || entry.dtype != Dtype::I8 {
            let reason = format!(
                "it is {} {:?} where the configuration makes it {} {shape:?}",
                entry.dtype,
                entry.shape,
                Dtype::I8
            );
            return Err(corrupt(self.path(entry), &name, &reason));
        }
        let scales = self.tensor(&scale_name, scales)?;
        let bytes = SharedBytes::new(self.files[entry.file].bytes.clone(), entry.bytes.clone());
        let bytes = bytes.ok_or_else(|| corrupt(self.path(entry), &name, "it lies beyond its file"))?;
        Ok(Some((bytes, scales)))
    }

    /// One row of a matrix `[rows, columns]` as f32. A bundle has those that its model needs besides the table.
    pub fn row(&self, name: &str, row: usize) -> Result<Vec<f32>> {
        let alone = row_name(name, row);
        if let Some(entry) = self.tensors.get(&alone) {
            return self.convert(&alone, entry, entry.bytes.clone());
        }
        let entry = self.entry(name)?;
        let &[rows, columns] = entry.shape.as_slice() else {
            let reason = format!("its shape is {:?} where a matrix is needed", entry.shape);
            return Err(corrupt(self.path(entry), name, &reason));
        };
        if row >= rows {
            return Err(corrupt(self.path(entry), name, &format!("it has {rows} rows, so no row {row}")));
        }
        let width = columns * element_bytes(entry.dtype).unwrap_or_default();
        let start = entry.bytes.start + row * width;
        self.convert(name, entry, start..start + width)
    }

    /// blake3 over names, types, shapes and data, independent of sharding and file order.
    pub fn digest(&self) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new();
        for (name, entry) in &self.tensors {
            hash_field(&mut hasher, name.as_bytes());
            hash_field(&mut hasher, entry.dtype.to_string().as_bytes());
            hasher.update(&(entry.shape.len() as u64).to_le_bytes());
            for size in &entry.shape {
                hasher.update(&(*size as u64).to_le_bytes());
            }
            hash_field(&mut hasher, &self.files[entry.file].bytes[entry.bytes.clone()]);
        }
        hasher.finalize().into()
    }

    /// blake3 of each file's bytes as they lie there.
    pub(crate) fn file_hashes(&self) -> Vec<(&Path, blake3::Hash)> {
        self.files.iter().map(|file| (file.path.as_path(), blake3::hash(&file.bytes))).collect()
    }

    /// The tensor's type, shape and bytes as they lie in its file.
    pub(crate) fn raw(&self, name: &str) -> Result<(Dtype, &[usize], &[u8])> {
        let entry = self.entry(name)?;
        Ok((entry.dtype, &entry.shape, &self.files[entry.file].bytes[entry.bytes.clone()]))
    }

    fn entry(&self, name: &str) -> Result<&Entry> {
        self.tensors.get(name).ok_or_else(|| {
            let path = self.files.first().map(|file| file.path.as_path()).unwrap_or(Path::new(""));
            corrupt(path, name, "the weights have no such tensor")
        })
    }

    fn path(&self, entry: &Entry) -> &Path {
        &self.files[entry.file].path
    }

    fn convert(&self, name: &str, entry: &Entry, range: Range<usize>) -> Result<Vec<f32>> {
        let bytes = &self.files[entry.file].bytes[range];
        match entry.dtype {
            Dtype::F32 => Ok(bytes
                .chunks_exact(4)
                .map(|four| f32::from_le_bytes([four[0], four[1], four[2], four[3]]))
                .collect()),
            Dtype::F16 => Ok(widen(bytes, f16::from_le_bytes)),
            Dtype::BF16 => Ok(widen(bytes, bf16::from_le_bytes)),
            other => Err(Error::new(
                ErrorKind::Unsupported,
                format!(
                    "`{}`, tensor `{name}`: weights of type {other} are not supported; convert them to F32, F16 or BF16",
                    self.path(entry).display()
                ),
            )),
        }
    }
}

/// Name of the tensor that a matrix of 8-bit integers has in a bundle.
pub(crate) fn int8_name(name: &str) -> String {
    format!("{name}.int8")
}

/// Name of the tensor with the scales of those integers.
pub(crate) fn int8_scale_name(name: &str) -> String {
    format!("{name}.int8_scale")
}

/// Name of the tensor with what inputs are multiplied by before they meet those integers.
pub(crate) fn int8_factors_name(name: &str) -> String {
    format!("{name}.int8_factors")
}

/// Name of the f32 tensor with one row of a table that is otherwise in those integers.
pub(crate) fn row_name(name: &str, row: usize) -> String {
    format!("{name}.row.{row}")
}

/// Half precision to f32, a block at a time.
fn widen<T: Copy + Default>(bytes: &[u8], read: fn([u8; 2]) -> T) -> Vec<f32>
where
    [T]: HalfFloatSliceExt,
{
    let mut values = vec![0.0; bytes.len() / 2];
    let mut block = [T::default(); BLOCK];
    for (from, to) in bytes.chunks(2 * BLOCK).zip(values.chunks_mut(BLOCK)) {
        for (two, value) in from.chunks_exact(2).zip(&mut block) {
            *value = read([two[0], two[1]]);
        }
        block[..to.len()].convert_to_f32_slice(to);
    }
    values
}

fn hash_field(hasher: &mut blake3::Hasher, bytes: &[u8]) {
    hasher.update(&(bytes.len() as u64).to_le_bytes());
    hasher.update(bytes);
}

/// Bytes of one element of the types that are weights.
fn element_bytes(dtype: Dtype) -> Option<usize> {
    match dtype {
        Dtype::F64 => Some(8),
        Dtype::F32 => Some(4),
        Dtype::F16 | Dtype::BF16 => Some(2),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use safetensors::tensor::TensorView;

    fn write(dir: &Path, name: &str, tensors: &[(&str, Dtype, Vec<usize>, Vec<u8>)]) -> PathBuf {
        let views = tensors.iter().map(|(name, dtype, shape, data)| {
            (name.to_string(), TensorView::new(*dtype, shape.clone(), data).unwrap())
        });
        let path = dir.join(name);
        std::fs::write(&path, safetensors::serialize(views, None).unwrap()).unwrap();
        path
    }

    fn raw(dir: &Path, header: &str, data: &[u8]) -> PathBuf {
        let path = dir.join("raw.safetensors");
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend_from_slice(header.as_bytes());
        bytes.extend_from_slice(data);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    fn f32_bytes(values: &[f32]) -> Vec<u8> {
        values.iter().flat_map(|value| value.to_le_bytes()).collect()
    }

    #[test]
    fn reads_every_float_type_and_rows() {
        let dir = tempfile::tempdir().unwrap();
        let count = 3 * BLOCK + 5;
        let values: Vec<f32> = (0..count).map(|index| index as f32 * 0.25 - 100.0).collect();
        let half: Vec<u8> = values.iter().flat_map(|value| f16::from_f32(*value).to_le_bytes()).collect();
        let brain: Vec<u8> = values.iter().flat_map(|value| bf16::from_f32(*value).to_le_bytes()).collect();
        let path = write(
            dir.path(),
            "model.safetensors",
            &[
                ("a", Dtype::F32, vec![count], f32_bytes(&values)),
                ("b", Dtype::F16, vec![count], half),
                ("c", Dtype::BF16, vec![1, count], brain),
                ("m", Dtype::F32, vec![2, 3], f32_bytes(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0])),
                ("positions", Dtype::I64, vec![1], vec![0; 8]),
            ],
        );
        let store = WeightStore::open_file(&path).unwrap();
        assert_eq!(store.names(), ["a", "b", "c", "m", "positions"]);
        assert_eq!(store.parameters(), 3 * count as u64 + 6);
        assert_eq!(store.tensor("a", &[count]).unwrap(), values);
        let rounded: Vec<f32> = values.iter().map(|value| f16::from_f32(*value).to_f32()).collect();
        assert_eq!(store.tensor("b", &[count]).unwrap(), rounded);
        let rounded: Vec<f32> = values.iter().map(|value| bf16::from_f32(*value).to_f32()).collect();
        assert_eq!(store.tensor("c", &[1, count]).unwrap(), rounded);
        assert_eq!(store.row("m", 1).unwrap(), [4.0, 5.0, 6.0]);
        assert_eq!(store.row("m", 2).unwrap_err().kind(), ErrorKind::Corrupt);
        assert_eq!(store.row("a", 0).unwrap_err().kind(), ErrorKind::Corrupt);
        assert_eq!(store.tensor("a", &[count, 1]).unwrap_err().kind(), ErrorKind::Corrupt);
        assert_eq!(store.tensor("positions", &[1]).unwrap_err().kind(), ErrorKind::Unsupported);
        assert!(store.tensor("absent", &[1]).unwrap_err().to_string().contains("`absent`"));
    }

    #[test]
    fn sharding_changes_neither_values_nor_digest() {
        let dir = tempfile::tempdir().unwrap();
        let a = ("a", Dtype::F32, vec![2], f32_bytes(&[1.0, 2.0]));
        let b = ("b", Dtype::F32, vec![1], f32_bytes(&[3.0]));
        let whole =
            WeightStore::open_file(&write(dir.path(), "whole.safetensors", &[a.clone(), b.clone()])).unwrap();
        write(dir.path(), "one.safetensors", &[b]);
        write(dir.path(), "two.safetensors", &[a]);
        let index = dir.path().join("model.safetensors.index.json");
        std::fs::write(&index, r#"{"weight_map": {"a": "two.safetensors", "b": "one.safetensors"}}"#)
            .unwrap();
        let sharded = WeightStore::open(dir.path()).unwrap();
        assert_eq!(sharded.digest(), whole.digest());
        assert_eq!(sharded.tensor("b", &[1]).unwrap(), [3.0]);

        for (map, needle) in [
            (r#"{"a": "two.safetensors", "b": "two.safetensors"}"#, "tensor `b`"),
            (r#"{"a": "two.safetensors", "b": "three.safetensors"}"#, "three.safetensors"),
            (r#"{"a": "two.safetensors", "b": "whole.safetensors"}"#, "tensor `a`"),
            (r#"{"a": "../two.safetensors"}"#, "../two.safetensors"),
            (r#"{"a": "/etc/passwd"}"#, "/etc/passwd"),
        ] {
            std::fs::write(&index, format!(r#"{{"weight_map": {map}}}"#)).unwrap();
            let error = WeightStore::open(dir.path()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{map}");
            assert!(error.to_string().contains(needle), "{error}");
        }
    }

    #[test]
    fn the_digest_sees_names_shapes_and_data() {
        let dir = tempfile::tempdir().unwrap();
        let digest = |name: &str, shape: Vec<usize>, values: &[f32]| {
            let path =
                write(dir.path(), "digest.safetensors", &[(name, Dtype::F32, shape, f32_bytes(values))]);
            WeightStore::open_file(&path).unwrap().digest()
        };
        let first = digest("a", vec![2], &[1.0, 2.0]);
        assert_eq!(first, digest("a", vec![2], &[1.0, 2.0]));
        assert_ne!(first, digest("b", vec![2], &[1.0, 2.0]));
        assert_ne!(first, digest("a", vec![1, 2], &[1.0, 2.0]));
        assert_ne!(first, digest("a", vec![2], &[1.0, 2.5]));
    }

    #[test]
    fn lying_headers_are_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let tensor = |dtype: &str, shape: &str, start: u64, end: u64| {
            format!(r#"{{"dtype":"{dtype}","shape":{shape},"data_offsets":[{start},{end}]}}"#)
        };
        let good = tensor("F32", "[1]", 0, 4);
        let cases = [
            (format!(r#"{{"w":{}}}"#, tensor("F32", "[2]", 0, 4)), "tensor `w`"),
            (format!(r#"{{"w":{}}}"#, tensor("F32", "[2]", 0, 8)), "cut off"),
            (format!(r#"{{"w":{}}}"#, tensor("F32", "[0]", 4, 4)), "tensor `w`"),
            (format!(r#"{{"w":{}}}"#, tensor("F32", "[1]", 4, 0)), "tensor `w`"),
            (format!(r#"{{"w":{good},"v":{good}}}"#), "tensor `"),
            (format!(r#"{{"w":{good},"w":{good}}}"#), "tensor `w`"),
            (format!(r#"{{"w":{}}}"#, tensor("F32", "[4294967296,4294967296,4]", 0, 4)), "tensor `w`"),
            (format!(r#"{{"w":{}}}"#, tensor("I8", "[18446744073709551615]", 0, u64::MAX)), "tensor `w`"),
            ("{}".to_owned(), "4 bytes follow"),
            ("[]".to_owned(), "JSON"),
            ("{".to_owned(), "JSON"),
            (format!(r#"{{"w":{}}}"#, tensor("F33", "[1]", 0, 4)), "JSON"),
        ];
        for (header, needle) in cases {
            let error = WeightStore::open_file(&raw(dir.path(), &header, &[0; 4])).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{header}");
            assert!(error.to_string().contains(needle), "{header}: {error}");
        }
        let path = dir.path().join("raw.safetensors");
        for bytes in [vec![], vec![0; 8], vec![255; 9], [&[50, 0, 0, 0, 0, 0, 0, 0][..], b"{}"].concat()] {
            std::fs::write(&path, &bytes).unwrap();
            assert_eq!(WeightStore::open_file(&path).unwrap_err().kind(), ErrorKind::Corrupt, "{bytes:?}");
        }
    }

    #[test]
    fn missing_weights_say_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(WeightStore::open(dir.path()).unwrap_err().kind(), ErrorKind::NotFound);
        std::fs::write(dir.path().join("pytorch_model.bin"), b"x").unwrap();
        let error = WeightStore::open(dir.path()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.to_string().contains("convert"), "{error}");
    }
}

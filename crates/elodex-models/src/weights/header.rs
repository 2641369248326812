//! The header of a safetensors file.

use crate::{Error, ErrorKind, Result};
use safetensors::tensor::{Dtype, TensorInfo};
use serde::Deserialize;
use serde::de::{MapAccess, Visitor};
use std::fmt;
use std::ops::Range;
use std::path::Path;

/// The format's own limit on the JSON header.
const MAX_HEADER_BYTES: u64 = 100_000_000;
/// Bytes in front of the JSON header that hold its length.
pub(super) const LENGTH_BYTES: usize = 8;

/// Name, type, shape and bytes within the whole file.
pub(super) type HeaderEntry = (String, Dtype, Vec<usize>, Range<usize>);

/// The tensors of a file, with byte ranges that are proven to lie inside it, to cover it, and to have the size that
/// type and shape ask for.
pub(super) fn parse_header(path: &Path, bytes: &[u8]) -> Result<Vec<HeaderEntry>> {
    let (length, rest) = bytes.split_at(LENGTH_BYTES.min(bytes.len()));
    let length = length.iter().rev().fold(0_u64, |value, byte| value << 8 | u64::from(*byte));
    if length > MAX_HEADER_BYTES {
        return Err(corrupt_file(
            path,
            &format!("its header claims {length} bytes; the limit is {MAX_HEADER_BYTES}"),
        ));
    }
    // Below the limit, so it fits every usize.
    let length = length as usize;
    let Some((header, data)) = rest.split_at_checked(length) else {
        return Err(corrupt_file(
            path,
            &format!("it ends inside its header of {length} bytes; download it again"),
        ));
    };
    let header: Header = serde_json::from_slice(header).map_err(|error| {
        corrupt_file(path, "its header is not the JSON of a safetensors file").caused_by(error)
    })?;
    let mut tensors = header.0;
    tensors.sort_by_key(|(_, info)| info.data_offsets);
    let data_start = LENGTH_BYTES + length;
    let mut covered = 0;
    let mut entries = Vec::with_capacity(tensors.len());
    for (name, info) in tensors {
        let (start, end) = info.data_offsets;
        if start != covered || end < start {
            let reason =
                format!("its bytes {start}..{end} do not follow the previous tensor's end at {covered}");
            return Err(corrupt(path, &name, &reason));
        }
        if end > data.len() {
            let reason =
                format!("it ends at byte {end} of {}; the file was cut off, download it again", data.len());
            return Err(corrupt(path, &name, &reason));
        }
        let elements = info.shape.iter().try_fold(1_usize, |product, size| product.checked_mul(*size));
        let bits = elements.and_then(|elements| elements.checked_mul(info.dtype.bitsize()));
        if bits.is_none_or(|bits| bits % 8 != 0 || bits / 8 != end - start) {
            let reason = format!("{} bytes do not hold {} {:?}", end - start, info.dtype, info.shape);
            return Err(corrupt(path, &name, &reason));
        }
        covered = end;
        entries.push((name, info.dtype, info.shape, data_start + start..data_start + end));
    }
    if covered != data.len() {
        return Err(corrupt_file(path, &format!("{} bytes follow its last tensor", data.len() - covered)));
    }
    Ok(entries)
}

/// Tensors in the order of the header; a map would let the second of two equal names hide the first.
struct Header(Vec<(String, TensorInfo)>);

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Header;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object of tensors")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Header, A::Error> {
                let mut tensors = Vec::new();
                while let Some(name) = map.next_key::<String>()? {
                    if name == "__metadata__" {
                        map.next_value::<serde::de::IgnoredAny>()?;
                        continue;
                    }
                    tensors.push((name, map.next_value()?));
                }
                Ok(Header(tensors))
            }
        }
        deserializer.deserialize_map(Entries)
    }
}

pub(super) fn corrupt_file(path: &Path, reason: &str) -> Error {
    Error::new(ErrorKind::Corrupt, format!("`{}`: {reason}", path.display()))
}

pub(super) fn corrupt(path: &Path, tensor: &str, reason: &str) -> Error {
    Error::new(ErrorKind::Corrupt, format!("`{}`, tensor `{tensor}`: {reason}", path.display()))
}

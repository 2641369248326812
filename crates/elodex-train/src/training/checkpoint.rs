//! The state of a training on disk: written under another name, synced and renamed, so that there is always a whole one.

use super::AdamW;
use crate::network::{Gradients, Parameters};
use crate::{Error, ErrorKind, Result};
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Key of [`State`] in the file's metadata.
const STATE: &str = "state";

/// What a checkpoint holds beside tensors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct State {
    /// Hash of the data and of every setting that the result depends on.
    pub(super) identity: String,
    /// Steps taken.
    pub(super) step: u64,
    /// The best evaluation so far, and the step it was made at.
    pub(super) best: Option<(f64, u64)>,
    /// Evaluations since then.
    pub(super) worse: u32,
}

/// Writes parameters and the optimiser's moments.
pub(super) fn write(path: &Path, state: &State, parameters: &Parameters, optimiser: &AdamW) -> Result<()> {
    let [first, second] = optimiser.moments();
    let mut tensors = Vec::new();
    for (index, parameter) in parameters.iter().enumerate() {
        tensors.push(Tensor::flat(format!("parameter.{index}"), &parameter.values));
    }
    for (name, moments) in [("first", first), ("second", second)] {
        for (index, values) in moments.iter().enumerate() {
            tensors.push(Tensor::flat(format!("{name}.{index}"), values));
        }
    }
    let metadata = HashMap::from([(STATE.to_owned(), json(state)?)]);
    write_tensors(path, &tensors, Some(metadata))
}

/// Reads what [`write()`] wrote; `None` where there is no file.
///
/// # Errors
/// A file that is no checkpoint of this training: of other data or settings, or damaged.
pub(super) fn read(
    path: &Path,
    identity: &str,
    parameters: &mut Parameters,
    optimiser: &mut AdamW,
) -> Result<Option<State>> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed("read", path, error)),
    };
    let damaged = |reason: &str| {
        let message = format!(
            "`{}` is no checkpoint of this training: {reason}; remove it to begin again",
            path.display()
        );
        Error::new(ErrorKind::Corrupt, message)
    };
    let (_, metadata) =
        SafeTensors::read_metadata(&bytes).map_err(|error| damaged("it is not whole").caused_by(error))?;
    let state = metadata.metadata().as_ref().and_then(|metadata| metadata.get(STATE));
    let state = state.and_then(|text| serde_json::from_str::<State>(text).ok());
    let Some(state) = state else {
        return Err(damaged("it has no state"));
    };
    if state.identity != identity {
        let message = format!(
            "`{}` was made with other data or settings; go on with those, or name another folder",
            path.display()
        );
        return Err(Error::new(ErrorKind::Changed, message));
    }
    let tensors =
        SafeTensors::deserialize(&bytes).map_err(|error| damaged("it is not whole").caused_by(error))?;
    let restore = |name: String, values: &mut [f32]| {
        let tensor = tensors.tensor(&name).ok();
        tensor
            .and_then(|tensor| fill(values, tensor.data()))
            .ok_or_else(|| damaged(&format!("its tensor `{name}` is not there or of another size")))
    };
    for (index, parameter) in parameters.iter_mut().enumerate() {
        restore(format!("parameter.{index}"), &mut parameter.values)?;
    }
    let [first, second] = optimiser.restore(state.step);
    for (name, moments) in [("first", first), ("second", second)] {
        for (index, values) in Gradients::iter_mut(moments).enumerate() {
            restore(format!("{name}.{index}"), values)?;
        }
    }
    Ok(Some(state))
}

/// Little-endian bytes into equally many values; `None` if there are more or fewer.
pub(super) fn fill(values: &mut [f32], bytes: &[u8]) -> Option<()> {
    if bytes.len() != 4 * values.len() {
        return None;
    }
    for (value, four) in values.iter_mut().zip(bytes.chunks_exact(4)) {
        *value = f32::from_le_bytes([four[0], four[1], four[2], four[3]]);
    }
    Some(())
}

/// A tensor on its way to a file.
pub(super) struct Tensor {
    name: String,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl Tensor {
    pub(super) fn new(name: String, shape: Vec<usize>, values: &[f32]) -> Self {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        Self { name, shape, bytes }
    }

    pub(super) fn flat(name: String, values: &[f32]) -> Self {
        Self::new(name, vec![values.len()], values)
    }
}

/// Writes f32 tensors to a file that is whole whenever it has this name.
pub(super) fn write_tensors(
    path: &Path,
    tensors: &[Tensor],
    metadata: Option<HashMap<String, String>>,
) -> Result<()> {
    let unwritten = |error| Error::new(ErrorKind::Bug, "tensors cannot be written").caused_by(error);
    let mut views = Vec::with_capacity(tensors.len());
    for Tensor { name, shape, bytes } in tensors {
        let view = TensorView::new(Dtype::F32, shape.clone(), bytes).map_err(unwritten)?;
        views.push((name, view));
    }
    write_whole(path, &safetensors::serialize(views, metadata).map_err(unwritten)?)
}

/// Writes a file so that it is whole whenever it has this name.
pub(super) fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let partial = PathBuf::from(format!("{}.partial", path.display()));
    let written = File::create(&partial)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&partial, path))
        .and_then(|()| match path.parent() {
            Some(folder) => File::open(folder).and_then(|folder| folder.sync_all()),
            None => Ok(()),
        });
    written.map_err(|error| {
        // What was written of it is of no use to anybody.
        let _ = fs::remove_file(&partial);
        failed("write", path, error)
    })
}

pub(super) fn json(value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value)
        .map_err(|error| Error::new(ErrorKind::Bug, "a record cannot be written as JSON").caused_by(error))
}

/// An error of a file, with the way out.
pub(super) fn failed(what: &str, path: &Path, error: std::io::Error) -> Error {
    let way_out = if what == "write" {
        "; what was written before is whole: make room there, or allow it, and run the command again"
    } else {
        ""
    };
    let message = format!("cannot {what} `{}`{way_out}", path.display());
    Error::new(ErrorKind::Io, message).caused_by(error)
}

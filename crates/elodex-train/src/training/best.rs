//! The weights of a training's best evaluation.

use super::checkpoint::{Tensor, failed, fill, write_tensors};
use crate::network::Parameters;
use crate::{Error, ErrorKind, Result};
use safetensors::SafeTensors;
use std::fs;
use std::path::Path;

const BEST: &str = "best.safetensors";

/// Keeps `parameters` as those of the best evaluation of the training in `folder`.
pub(super) fn write_best(folder: &Path, parameters: &Parameters) -> Result<()> {
    let tensors: Vec<Tensor> = parameters
        .iter()
        .enumerate()
        .map(|(index, parameter)| Tensor::flat(index.to_string(), &parameter.values))
        .collect();
    write_tensors(&folder.join(BEST), &tensors, None)
}

/// Gives `parameters` the weights of the best evaluation of the training in `folder`.
///
/// # Errors
/// No evaluation yet; a file that is damaged, or of another network.
pub fn read_best(folder: &Path, parameters: &mut Parameters) -> Result<()> {
    let path = folder.join(BEST);
    let bytes = fs::read(&path).map_err(|error| failed("read", &path, error))?;
    let damaged = |name: &str| {
        let message = format!("`{}` has no whole tensor `{name}`; train again", path.display());
        Error::new(ErrorKind::Corrupt, message)
    };
    let tensors = SafeTensors::deserialize(&bytes).map_err(|error| damaged("0").caused_by(error))?;
    for (index, parameter) in parameters.iter_mut().enumerate() {
        let name = index.to_string();
        let tensor = tensors.tensor(&name).map_err(|error| damaged(&name).caused_by(error))?;
        fill(&mut parameter.values, tensor.data()).ok_or_else(|| damaged(&name))?;
    }
    Ok(())
}

//! The weights of a training's best evaluation, for those that come after it.

use super::checkpoint::failed;
use crate::network::Parameters;
use crate::{Error, ErrorKind, Result};
use safetensors::SafeTensors;
use std::fs;
use std::path::Path;

/// As the trainer names it.
const BEST: &str = "best.safetensors";

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
        if tensor.data().len() != 4 * parameter.values.len() {
            return Err(damaged(&name));
        }
        for (value, four) in parameter.values.iter_mut().zip(tensor.data().chunks_exact(4)) {
            *value = f32::from_le_bytes([four[0], four[1], four[2], four[3]]);
        }
    }
    Ok(())
}

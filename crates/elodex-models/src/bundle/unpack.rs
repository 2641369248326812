//! From a bundle back to a model directory in f32, for those that go on from its weights.

use super::partial::Partial;
use super::tensors::Tensor;
use super::{check_files, contents, weights_digest};
use crate::arch::{self, Loader};
use crate::exec::Backbone;
use crate::files::ModelFiles;
use crate::spec::{LayerWeights, Linear};
use crate::weights::{WeightStore, int8_factors_name, int8_name, int8_scale_name, row_name};
use crate::{Error, ErrorKind, Result};
use elodex_kernels::Kernels;
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::path::Path;

/// Writes the model of a bundle to the directory `target` in f32: every integer times its scale. What rounding took
/// away stays away; rounding what is written gives the same integers again.
///
/// Nothing is left behind where it fails.
///
/// # Errors
/// Files that are no bundle, or not as they were written; a model whose stacked matrices differ in height, as where heads
/// share their keys; a target that holds something.
pub fn unpack(files: &ModelFiles, kernels: Kernels, target: &Path) -> Result<()> {
    if files.bundle.is_none() {
        let message = format!("`{}` is no bundle; its weights are as they were made", files.id);
        return Err(Error::new(ErrorKind::Request, message));
    }
    contents::check_target(target)?;
    check_files(files)?;
    let store = WeightStore::open(&files.backbone_dir())?;
    weights_digest(files, &store)?;
    let network = arch::load(&Loader::new(files, &store, kernels))?;
    let [backbone] = network.backbones.as_slice() else {
        return Err(Error::new(
            ErrorKind::Corrupt,
            format!("`{}` is a bundle with weights for each role", files.id),
        ));
    };
    if backbone.spec().kv_heads != backbone.spec().heads {
        let message = format!(
            "`{}` has heads that share their keys, and a bundle does not say where its stacked matrices part; take the \
             model it was made from",
            files.id
        );
        return Err(Error::new(ErrorKind::Unsupported, message));
    }
    let partial = Partial::beside(target)?;
    partial.weights(&contents::weights_path(files), tensors_of(backbone, &store)?)?;
    for name in contents::listed(files)? {
        partial.copy(&files.dir.join(&name), &name)?;
    }
    partial.rename(target)
}

/// The rounded tensors in f32 under their own names, and every other one as it is.
fn tensors_of<'a>(backbone: &Backbone, store: &'a WeightStore) -> Result<Vec<Tensor<'a>>> {
    let weights = backbone.weights();
    let width = backbone.spec().hidden;
    let mut tensors = Vec::new();
    let mut replaced = BTreeSet::new();
    let mut replace = |name: &str| {
        replaced.extend([int8_name(name), int8_scale_name(name), int8_factors_name(name)]);
    };
    let table = &weights.tokens;
    replace(table.name());
    let rows = table.rows();
    let mut values = Vec::with_capacity(rows * width);
    (0..rows).for_each(|row| table.look_up(row, &mut values));
    tensors.push(Tensor::f32(table.name().to_owned(), vec![rows, width], &values));
    for linear in weights.layers.iter().flat_map(LayerWeights::linears) {
        replace(&format!("{}.weight", linear.name));
        tensors.extend(parts_of(linear));
    }
    replaced.extend((0..rows).map(|row| row_name(table.name(), row)));
    for name in store.names().into_iter().filter(|name| !replaced.contains(*name)) {
        let (dtype, shape, bytes) = store.raw(name)?;
        let bytes = Cow::Borrowed(bytes);
        tensors.push(Tensor { name: name.to_owned(), dtype, shape: shape.to_vec(), bytes });
    }
    Ok(tensors)
}

/// The matrices that were stacked to one, of the same height each.
fn parts_of<'a>(linear: &Linear) -> Vec<Tensor<'a>> {
    let (outputs, inputs) = (linear.weight.n(), linear.weight.k());
    let names: Vec<String> = linear.name.split('+').map(|part| format!("{part}.weight")).collect();
    let height = outputs / names.len();
    let values = linear.weight.values();
    let parts = values.chunks_exact(height * inputs);
    names.into_iter().zip(parts).map(|(name, part)| Tensor::f32(name, vec![height, inputs], part)).collect()
}

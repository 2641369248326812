//! From a model directory to a bundle of it.

use super::manifest::FORMAT;
use super::partial::Partial;
use super::tensors::Tensor;
use super::{Manifest, Method, Reference, Source, contents, reference};
use crate::arch::{self, Loader, Network};
use crate::embedder::Embedder;
use crate::exec::Backbone;
use crate::files::{ModelFiles, Module};
use crate::reranker::Reranker;
use crate::smoothing::InputRanges;
use crate::spec::{LayerWeights, Linear};
use crate::table::Table;
use crate::weights::{WeightStore, int8_factors_name, int8_name, int8_scale_name, row_name};
use crate::{Error, ErrorKind, Precision, Result};
use elodex_kernels::{BytePanels, Kernels};
use elodex_types::SpaceFingerprint;
use safetensors::tensor::Dtype;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Refuses what [`write()`] would refuse, before anybody calibrates or measures.
///
/// # Errors
/// A target that holds something; a source that is a bundle, or whose weights are made when it is loaded (jina-v3's
/// adapters) or differ by role.
pub fn check(files: &ModelFiles, target: &Path) -> Result<()> {
    check_source(files)?;
    contents::check_target(target)
}

/// Rounds the model of `files` to 8-bit integers and writes it to the directory `target`, with regard to what a
/// calibration saw where `ranges` are given.
///
/// Nothing is left behind where it fails.
///
/// # Errors
/// Those of [`check`]; a calibration that has not seen a layer; what loading and writing can fail with.
pub fn write(
    files: &ModelFiles,
    ranges: Option<&InputRanges>,
    kernels: Kernels,
    target: &Path,
) -> Result<Manifest> {
    check(files, target)?;
    let files = ModelFiles { precision: Precision::Int8, ..files.clone() };
    let partial = Partial::beside(target)?;

    let mut manifest = write_weights(&files, ranges, kernels, &partial)?;
    for name in contents::listed(&files)? {
        let hash = partial.copy(&files.dir.join(&name), &name)?;
        manifest.files.insert(name, hash);
    }
    manifest.parameters += head_parameters(&files, &manifest)?;

    // What was written is loaded again: it must run, and its own results are the reference.
    let mut written = ModelFiles::open_as(&partial.dir, &files.id)?;
    written.precision = Precision::Int8;
    written.bundle = Some(manifest.clone().into());
    if (&written.modules, written.max_tokens, &written.prompts)
        != (&files.modules, files.max_tokens, &files.prompts)
    {
        return Err(Error::new(ErrorKind::Bug, format!("a file of `{}` was left out", files.id)));
    }
    (manifest.reference, manifest.fingerprint) = results(&written, kernels)?;
    partial.manifest(&manifest)?;
    partial.rename(target)?;
    Ok(manifest)
}

/// Refuses by name what no bundle can hold.
fn check_source(files: &ModelFiles) -> Result<()> {
    let refused = |reason: &str| {
        let message = format!("`{}` {reason}", files.id);
        Err(Error::new(ErrorKind::Unsupported, message))
    };
    if files.bundle.is_some() {
        return refused("is a bundle already; quantise the model it was made from");
    }
    if files.config["lora_adaptations"].is_array() {
        return refused(
            "has adapters that become part of its weights when it is loaded; run it with precision int8 instead",
        );
    }
    let mut paths = BTreeSet::new();
    transformers(&files.modules, &mut paths);
    if paths.len() > 1 {
        return refused(
            "has a transformer for each role, and a bundle holds one; run it with precision int8 instead",
        );
    }
    Ok(())
}

fn transformers<'a>(modules: &'a [Module], paths: &mut BTreeSet<&'a str>) {
    for module in modules {
        match module {
            Module::Transformer { path } => {
                paths.insert(path);
            }
            Module::Router { query, document } => {
                transformers(query, paths);
                transformers(document, paths);
            }
            _ => {}
        }
    }
}

/// Writes `model.safetensors`, and begins the manifest with what is known then.
fn write_weights(
    files: &ModelFiles,
    ranges: Option<&InputRanges>,
    kernels: Kernels,
    partial: &Partial,
) -> Result<Manifest> {
    let store = WeightStore::open(&files.backbone_dir())?;
    let network = arch::load(&Loader::new(files, &store, kernels).smoothed_for(ranges))?;
    let [backbone] = network.backbones.as_slice() else {
        let message = format!("`{}` has weights for each role; run it with precision int8 instead", files.id);
        return Err(Error::new(ErrorKind::Unsupported, message));
    };
    let name = contents::weights_path(files);
    let mut tensors = tensors_of(backbone, &store)?;
    tensors.extend(score_rows(files, &network, &store)?);
    let hash = partial.weights(&name, tensors)?;
    Ok(Manifest {
        format: FORMAT,
        id: files.id.clone(),
        precision: Precision::Int8,
        group: group(backbone),
        method: if ranges.is_some() { Method::Calibrated } else { Method::Dynamic },
        licence: files.licence.id.clone(),
        parameters: store.parameters(),
        source: Source {
            id: files.id.clone(),
            digest: blake3::Hash::from_bytes(store.digest()).to_hex().to_string(),
        },
        fingerprint: SpaceFingerprint::new([0; 32]),
        files: BTreeMap::from([(name, hash.to_hex().to_string())]),
        reference: Reference::Texts(vec![]),
    })
}

/// Inputs that share a scale, where that is not all of them.
fn group(backbone: &Backbone) -> Option<usize> {
    let weight = &backbone.weights().layers.first()?.qkv.weight;
    let group = weight.byte_panels()?.group();
    (group < weight.k()).then_some(group)
}

/// The integers, and every tensor of the source that they do not replace.
fn tensors_of<'a>(backbone: &'a Backbone, store: &'a WeightStore) -> Result<Vec<Tensor<'a>>> {
    let weights = backbone.weights();
    let mut replaced = BTreeSet::from([weights.tokens.name().to_owned()]);
    let mut tensors = Vec::new();
    table(&weights.tokens, backbone.spec().hidden, &mut tensors)?;
    for linear in weights.layers.iter().flat_map(LayerWeights::linears) {
        replaced.extend(linear.name.split('+').map(|part| format!("{part}.weight")));
        matrix(linear, &mut tensors)?;
    }
    for name in store.names().into_iter().filter(|name| !replaced.contains(*name)) {
        let (dtype, shape, bytes) = store.raw(name)?;
        tensors.push(Tensor {
            name: name.to_owned(),
            dtype,
            shape: shape.to_vec(),
            bytes: Cow::Borrowed(bytes),
        });
    }
    Ok(tensors)
}

/// The rows that give a causal language model's score, where they are of the table that was rounded: a head stays f32.
fn score_rows<'a>(files: &ModelFiles, network: &Network, store: &WeightStore) -> Result<Vec<Tensor<'a>>> {
    let (Some(chat), Some(table)) = (&files.chat, &network.output_table) else {
        return Ok(vec![]);
    };
    if network.backbones.iter().all(|backbone| backbone.weights().tokens.name() != table) {
        return Ok(vec![]);
    }
    let tokens = BTreeSet::from_iter([Some(chat.true_token), chat.false_token].into_iter().flatten());
    let row = |token: u32| {
        let values = store.row(table, token as usize)?;
        Ok(Tensor::f32(row_name(table, token as usize), vec![values.len()], &values))
    };
    tokens.into_iter().map(row).collect()
}

fn table<'a>(table: &'a Table, width: usize, tensors: &mut Vec<Tensor<'a>>) -> Result<()> {
    let (bytes, scales) = table.bytes().ok_or_else(|| unrounded(table.name()))?;
    let shape = vec![scales.len(), width];
    tensors.push(Tensor {
        name: int8_name(table.name()),
        dtype: Dtype::I8,
        shape,
        bytes: Cow::Borrowed(bytes),
    });
    tensors.push(Tensor::f32(int8_scale_name(table.name()), vec![scales.len()], scales));
    Ok(())
}

fn matrix<'a>(linear: &'a Linear, tensors: &mut Vec<Tensor<'a>>) -> Result<()> {
    let panels = linear.weight.byte_panels().ok_or_else(|| unrounded(&linear.name))?;
    let name = format!("{}.weight", linear.name);
    let (outputs, inputs) = (linear.weight.n(), linear.weight.k());
    tensors.push(Tensor {
        name: int8_name(&name),
        dtype: Dtype::I8,
        shape: BytePanels::shape(outputs, inputs).to_vec(),
        bytes: Cow::Borrowed(panels.bytes()),
    });
    let shape = BytePanels::scales_shape(outputs, inputs, panels.group()).to_vec();
    tensors.push(Tensor::f32(int8_scale_name(&name), shape, panels.all_scales()));
    if !panels.input_factors().is_empty() {
        tensors.push(Tensor::f32(int8_factors_name(&name), vec![inputs], panels.input_factors()));
    }
    Ok(())
}

/// The weights behind the transformer count as well.
fn head_parameters(files: &ModelFiles, manifest: &Manifest) -> Result<u64> {
    let backbone = contents::weights_path(files);
    let heads =
        manifest.files.keys().filter(|name| name.ends_with("/model.safetensors") && **name != backbone);
    heads.map(|name| Ok(WeightStore::open_file(&files.dir.join(name))?.parameters())).sum()
}

/// What the bundle gives, and its fingerprint.
fn results(files: &ModelFiles, kernels: Kernels) -> Result<(Reference, SpaceFingerprint)> {
    if files.is_reranker() {
        let reranker = Reranker::load_without_reference(files, kernels)?;
        return Ok((reference::pairs(&reranker)?, reranker.info().fingerprint));
    }
    let embedder = Embedder::load_without_reference(files, kernels)?;
    Ok((reference::texts(&embedder)?, embedder.fingerprint(embedder.info().dimensions[0])))
}

fn unrounded(name: &str) -> Error {
    Error::new(ErrorKind::Bug, format!("`{name}` is not made of 8-bit integers"))
}

//! What every architecture file needs: typed configuration, named weights with checked shapes, packing.
//!
//! Where a model runs by 8-bit integers, its layers' matrices and its token table are rounded here, or taken from a
//! bundle, which has them as `NAME.int8` and `NAME.int8_scale` instead, with `NAME.int8_factors` beside them where a
//! calibration decided what inputs are multiplied by. Heads stay f32: they are small, and what they
//! compute is the result.

use crate::files::ModelFiles;
use crate::smoothing::InputRanges;
use crate::spec::{Learned, Linear, Norm};
use crate::table::Table;
use crate::weights::{WeightStore, int8_factors_name, int8_name};
use crate::{Error, ErrorKind, Result};
use elodex_kernels::{Activation, BytePanels, Kernels, PackedMatrix, Precision};
use serde::de::DeserializeOwned;

/// A configuration and the weights it describes.
#[derive(Debug, Clone, Copy)]
pub struct Loader<'a> {
    /// `config.json`.
    pub config: &'a serde_json::Value,
    /// The tensors.
    pub store: &'a WeightStore,
    /// Packs them.
    pub kernels: Kernels,
    /// Of the layers' matrices and the token table.
    precision: Precision,
    /// Consecutive inputs that share a scale where a matrix is rounded; `None`: all.
    group: Option<usize>,
    /// What a calibration saw, for rounding with regard to it.
    ranges: Option<&'a InputRanges>,
}

/// A linear layer's place in the file: `NAME.weight`, `NAME.bias`, and how many rows it has.
pub(super) struct Part {
    pub(super) name: String,
    pub(super) rows: usize,
}

impl<'a> Loader<'a> {
    /// For the model that `files` describe.
    pub fn new(files: &'a ModelFiles, store: &'a WeightStore, kernels: Kernels) -> Self {
        Self { config: &files.config, store, kernels, precision: files.precision, group: None, ranges: None }
    }

    /// The same, which rounds with regard to the inputs that a calibration saw.
    pub(crate) fn smoothed_for(self, ranges: Option<&'a InputRanges>) -> Self {
        Self { ranges, ..self }
    }

    /// The same, with a scale for every `group` inputs.
    pub(super) fn in_groups_of(self, group: usize) -> Self {
        Self { group: Some(group), ..self }
    }

    /// `architectures[0]`, or nothing.
    pub fn architecture(&self) -> &str {
        self.config["architectures"][0].as_str().unwrap_or_default()
    }

    /// The configuration as an architecture's own struct.
    pub(super) fn parse<T: DeserializeOwned>(&self) -> Result<T> {
        T::deserialize(self.config).map_err(|error| {
            Error::new(ErrorKind::Corrupt, "config.json does not describe its architecture").caused_by(error)
        })
    }

    /// The first of `prefixes` under which the tensor `probe` exists, as it is or rounded.
    pub(super) fn prefix(&self, prefixes: &[&str], probe: &str) -> Result<String> {
        let exists = |name: &str| self.store.shape(name).or(self.store.shape(&int8_name(name))).is_some();
        let found = prefixes.iter().find(|prefix| exists(&format!("{prefix}{probe}")));
        found.map(ToString::to_string).ok_or_else(|| {
            Error::new(
                ErrorKind::Corrupt,
                format!("the weights have no tensor `{probe}` under any known prefix"),
            )
        })
    }

    pub(super) fn vector(&self, name: &str, length: usize) -> Result<Vec<f32>> {
        self.store.tensor(name, &[length])
    }

    pub(super) fn matrix(&self, name: &str, rows: usize, columns: usize) -> Result<Vec<f32>> {
        self.store.tensor(name, &[rows, columns])
    }

    /// The table `NAME` `[rows, columns]` of positions or segments.
    pub(super) fn learned(&self, name: &str, rows: usize, columns: usize) -> Result<Learned> {
        Ok(Learned { name: name.to_owned(), values: self.matrix(name, rows, columns)? })
    }

    /// The token table `NAME` `[rows, columns]`.
    pub(super) fn table(&self, name: &str, rows: usize, columns: usize) -> Result<Table> {
        if self.precision == Precision::Int8
            && let Some((bytes, scales)) = self.store.int8(name, &[rows, columns], &[rows])?
        {
            return Ok(Table::from_bytes(name, bytes, scales, columns));
        }
        self.pack_table(name, self.matrix(name, rows, columns)?, columns)
    }

    /// A token table of values that are not those of the file.
    pub(super) fn pack_table(&self, name: &str, values: Vec<f32>, columns: usize) -> Result<Table> {
        match self.precision {
            Precision::F32 => Ok(Table::exact(name, values, columns)),
            Precision::Int8 => {
                check_finite(name, &values)?;
                Ok(Table::quantise(name, &values, columns))
            }
        }
    }

    /// A layer's matrix of values that are not those of the file.
    pub(super) fn pack(
        &self,
        name: &str,
        values: &[f32],
        rows: usize,
        columns: usize,
    ) -> Result<PackedMatrix> {
        match self.precision {
            Precision::F32 => Ok(self.kernels.pack(values, rows, columns)),
            Precision::Int8 => {
                check_finite(name, values)?;
                let factors = match self.ranges {
                    Some(ranges) => ranges.factors(name, values, columns)?,
                    None => vec![],
                };
                let group = self.group_of(columns);
                Ok(PackedMatrix::quantise_smoothed(values, rows, columns, group, factors))
            }
        }
    }

    fn group_of(&self, columns: usize) -> usize {
        self.group.unwrap_or(columns.next_multiple_of(4))
    }

    /// The layer's linear `NAME.weight` `[rows, columns]`, with `NAME.bias` where `bias` says so.
    pub(super) fn linear(&self, name: &str, rows: usize, columns: usize, bias: bool) -> Result<Linear> {
        self.stacked(&[part(name, rows)], columns, bias)
    }

    /// A layer's linear made of `parts` stacked over each other. Biases are all there or all absent, as `bias` says.
    pub(super) fn stacked(&self, parts: &[Part], columns: usize, bias: bool) -> Result<Linear> {
        let names: Vec<&str> = parts.iter().map(|part| part.name.as_str()).collect();
        let name = names.join("+");
        let rows = parts.iter().map(|part| part.rows).sum();
        let weight = match self.rounded_before(&format!("{name}.weight"), rows, columns)? {
            Some(weight) => weight,
            None => {
                let mut weights = Vec::with_capacity(rows * columns);
                for part in parts {
                    weights.extend(self.matrix(&format!("{}.weight", part.name), part.rows, columns)?);
                }
                self.pack(&name, &weights, rows, columns)?
            }
        };
        let mut biases = Vec::new();
        if bias {
            for part in parts {
                biases.extend(self.vector(&format!("{}.bias", part.name), part.rows)?);
            }
        }
        Ok(Linear { name, weight, bias: bias.then_some(biases) })
    }

    /// The matrix `name` as a bundle has it.
    fn rounded_before(&self, name: &str, rows: usize, columns: usize) -> Result<Option<PackedMatrix>> {
        if self.precision == Precision::F32 {
            return Ok(None);
        }
        let group = self.group_of(columns);
        let scales = BytePanels::scales_shape(rows, columns, group);
        let Some((bytes, scales)) = self.store.int8(name, &BytePanels::shape(rows, columns), &scales)? else {
            return Ok(None);
        };
        let factors = self.input_factors(&int8_factors_name(name), columns)?;
        let matrix = PackedMatrix::from_bytes(rows, columns, group, bytes, scales, factors);
        matrix.map(Some).ok_or_else(|| {
            Error::new(ErrorKind::Corrupt, format!("tensor `{name}` is not packed as this release packs"))
        })
    }

    /// The factors under `name`; none where the bundle has none.
    fn input_factors(&self, name: &str, columns: usize) -> Result<Vec<f32>> {
        if self.store.shape(name).is_none() {
            return Ok(vec![]);
        }
        let factors = self.vector(name, columns)?;
        if factors.iter().all(|factor| factor.is_normal() && *factor > 0.0) {
            return Ok(factors);
        }
        let message = format!("tensor `{name}` holds factors that are no positive numbers");
        Err(Error::new(ErrorKind::Corrupt, message))
    }

    /// The linear `NAME.weight` `[rows, columns]` of a head, always f32.
    pub(super) fn head(&self, name: &str, rows: usize, columns: usize, bias: bool) -> Result<Linear> {
        let weight =
            self.kernels.pack(&self.matrix(&format!("{name}.weight"), rows, columns)?, rows, columns);
        let bias = bias.then(|| self.vector(&format!("{name}.bias"), rows)).transpose()?;
        Ok(Linear { name: name.to_owned(), weight, bias })
    }

    /// A norm; old checkpoints call weight and bias gamma and beta.
    pub(super) fn norm(&self, name: &str, width: usize, bias: bool) -> Result<Norm> {
        let legacy = self.store.shape(&format!("{name}.weight")).is_none()
            && self.store.shape(&format!("{name}.gamma")).is_some();
        let (weight_name, bias_name) = if legacy { ("gamma", "beta") } else { ("weight", "bias") };
        let names = (format!("{name}.{weight_name}"), bias.then(|| format!("{name}.{bias_name}")));
        let weight = self.vector(&names.0, width)?;
        let bias = names.1.as_deref().map(|bias| self.vector(bias, width)).transpose()?;
        Ok(Norm { names, weight, bias })
    }

    /// The single-label head of a cross-encoder; more labels are refused.
    pub(super) fn one_label(&self, name: &str, width: usize, bias: bool) -> Result<Linear> {
        let rows = self.store.shape(&format!("{name}.weight")).and_then(|shape| shape.first().copied());
        if let Some(rows) = rows.filter(|rows| *rows != 1) {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!("a classifier with {rows} labels cannot rerank; only one label gives one score"),
            ));
        }
        self.head(name, 1, width, bias)
    }
}

pub(super) fn part(name: impl Into<String>, rows: usize) -> Part {
    Part { name: name.into(), rows }
}

/// Refuses what cannot be rounded.
fn check_finite(name: &str, values: &[f32]) -> Result<()> {
    if values.iter().all(|value| value.is_finite()) {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Corrupt,
        format!(
            "the weights of `{name}` hold values that are not finite and cannot be rounded to 8-bit integers"
        ),
    ))
}

/// An error about `config.json`.
pub(super) fn corrupt(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Corrupt, format!("config.json: {}", message.into()))
}

/// An error about an option of `config.json` that is not built.
pub(super) fn unsupported(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Unsupported, format!("config.json: {}", message.into()))
}

/// transformers' names of activations.
pub(super) fn activation(name: &str) -> Result<Activation> {
    match name {
        "gelu" => Ok(Activation::Gelu),
        "gelu_new" | "gelu_pytorch_tanh" => Ok(Activation::GeluTanh),
        "relu" => Ok(Activation::Relu),
        "silu" | "swish" => Ok(Activation::Silu),
        "tanh" => Ok(Activation::Tanh),
        other => {
            Err(unsupported(format!("activation `{other}` is not one of gelu, gelu_new, relu, silu, tanh")))
        }
    }
}

/// θ of the plain rotary embedding: transformers v5's `rope_parameters.rope_theta`, else `rope_theta`. Scaled variants
/// are refused.
pub(super) fn rope_theta(config: &serde_json::Value, default: f32) -> Result<f32> {
    rope_theta_of(config, &config["rope_parameters"], "rope_theta", default)
}

/// As [`rope_theta`], where layers differ: `parameters` is those layers' part of `rope_parameters`, `legacy` their key
/// in older configurations.
pub(super) fn rope_theta_of(
    config: &serde_json::Value,
    parameters: &serde_json::Value,
    legacy: &str,
    default: f32,
) -> Result<f32> {
    for scaling in [parameters, &config["rope_scaling"]] {
        let kind = scaling["rope_type"].as_str().or(scaling["type"].as_str()).unwrap_or("default");
        if kind != "default" {
            return Err(unsupported(format!("rotary scaling `{kind}` is not supported")));
        }
    }
    let theta = parameters["rope_theta"].as_f64().or(config[legacy].as_f64());
    let theta = theta.map_or(default, |theta| theta as f32);
    if !(theta.is_finite() && theta > 0.0) {
        return Err(corrupt(format!("rope_theta is {theta}; it must be positive")));
    }
    Ok(theta)
}

//! What every architecture file needs: typed configuration, named weights with checked shapes, packing.

use crate::spec::{Linear, Norm};
use crate::weights::WeightStore;
use crate::{Error, ErrorKind, Result};
use elodex_kernels::{Activation, Kernels};
use serde::de::DeserializeOwned;

/// A configuration and the weights it describes.
#[derive(Debug)]
pub struct Loader<'a> {
    /// `config.json`.
    pub config: &'a serde_json::Value,
    /// The tensors.
    pub store: &'a WeightStore,
    /// Packs them.
    pub kernels: Kernels,
}

/// A linear layer's place in the file: `NAME.weight`, `NAME.bias`, and how many rows it has.
pub(super) struct Part {
    pub(super) name: String,
    pub(super) rows: usize,
}

impl Loader<'_> {
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

    /// The first of `prefixes` under which the tensor `probe` exists.
    pub(super) fn prefix(&self, prefixes: &[&str], probe: &str) -> Result<String> {
        let found = prefixes.iter().find(|prefix| self.store.shape(&format!("{prefix}{probe}")).is_some());
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

    /// Packs `[rows, columns]` values.
    pub(super) fn pack(&self, values: &[f32], rows: usize, columns: usize, bias: Option<Vec<f32>>) -> Linear {
        Linear { weight: self.kernels.pack(values, rows, columns), bias }
    }

    /// The linear layer `NAME.weight` `[rows, columns]`, with `NAME.bias` where `bias` says so.
    pub(super) fn linear(&self, name: &str, rows: usize, columns: usize, bias: bool) -> Result<Linear> {
        self.stacked(&[part(name, rows)], columns, bias)
    }

    /// One linear layer made of `parts` stacked over each other. Biases are all there or all absent, as `bias` says.
    pub(super) fn stacked(&self, parts: &[Part], columns: usize, bias: bool) -> Result<Linear> {
        let mut weights = Vec::new();
        let mut biases = Vec::new();
        let mut rows = 0;
        for part in parts {
            weights.extend(self.matrix(&format!("{}.weight", part.name), part.rows, columns)?);
            if bias {
                biases.extend(self.vector(&format!("{}.bias", part.name), part.rows)?);
            }
            rows += part.rows;
        }
        Ok(self.pack(&weights, rows, columns, bias.then_some(biases)))
    }

    /// A norm; old checkpoints call weight and bias gamma and beta.
    pub(super) fn norm(&self, name: &str, width: usize, bias: bool) -> Result<Norm> {
        let legacy = self.store.shape(&format!("{name}.weight")).is_none()
            && self.store.shape(&format!("{name}.gamma")).is_some();
        let (weight_name, bias_name) = if legacy { ("gamma", "beta") } else { ("weight", "bias") };
        let weight = self.vector(&format!("{name}.{weight_name}"), width)?;
        let bias = bias.then(|| self.vector(&format!("{name}.{bias_name}"), width)).transpose()?;
        Ok(Norm { weight, bias })
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
        self.linear(name, 1, width, bias)
    }
}

pub(super) fn part(name: impl Into<String>, rows: usize) -> Part {
    Part { name: name.into(), rows }
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

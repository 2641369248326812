//! What runs behind pooling: dense layers, norms, and the narrowing to fewer dimensions.

use crate::spec::{Linear, Norm};
use crate::weights::WeightStore;
use crate::{Error, ErrorKind, Result};
use elodex_kernels::{Activation, Epilogue, Kernels, Parallelism};

/// A step on one pooled vector.
#[derive(Debug)]
pub enum Head {
    /// `activation(x·Wᵀ + b)`
    Dense(Linear, Activation),
    /// LayerNorm with its eps.
    LayerNorm(Norm, f32),
    /// x / max(‖x‖₂, 1e-12)
    Normalize,
}

impl Head {
    /// Runs the step on one vector. A row of a linear layer has the same bits alone as in a batch.
    pub fn apply(&self, kernels: Kernels, mut vector: Vec<f32>) -> Vec<f32> {
        match self {
            Head::Dense(linear, activation) => dense(kernels, linear, *activation, &vector),
            Head::LayerNorm(norm, eps) => {
                let width = vector.len();
                let bias = norm.bias.as_deref();
                kernels.layer_norm(&mut vector, Some(&norm.weight), bias, *eps, width, Parallelism::Serial);
                vector
            }
            Head::Normalize => {
                kernels.l2_normalize(&mut vector);
                vector
            }
        }
    }

    /// Width the step needs in front of it; `None` where any does.
    pub fn input_width(&self) -> Option<usize> {
        match self {
            Head::Dense(linear, _) => Some(linear.weight.k()),
            Head::LayerNorm(norm, _) => Some(norm.weight.len()),
            Head::Normalize => None,
        }
    }

    /// Width behind the step, given the width in front of it.
    pub fn width(&self, width: usize) -> usize {
        match self {
            Head::Dense(linear, _) => linear.weight.n(),
            Head::LayerNorm(..) | Head::Normalize => width,
        }
    }
}

/// `activation(x·Wᵀ + b)` of one vector.
pub(crate) fn dense(kernels: Kernels, linear: &Linear, activation: Activation, vector: &[f32]) -> Vec<f32> {
    let mut out = vec![0.0; linear.weight.n()];
    let epilogue = Epilogue { bias: linear.bias.as_deref(), activation, residual: None };
    kernels.linear(vector, 1, &linear.weight, epilogue, &mut out, Parallelism::Serial);
    out
}

/// The activation that a dotted torch path names.
pub fn activation(path: &str) -> Result<Activation> {
    let name = path.rsplit('.').next().unwrap_or(path);
    match name {
        "Identity" => Ok(Activation::Identity),
        "Tanh" => Ok(Activation::Tanh),
        "ReLU" => Ok(Activation::Relu),
        "GELU" => Ok(Activation::Gelu),
        "SiLU" => Ok(Activation::Silu),
        "Sigmoid" => Ok(Activation::Sigmoid),
        _ => Err(Error::new(
            ErrorKind::Unsupported,
            format!("activation `{path}` is not one of Identity, Tanh, ReLU, GELU, SiLU, Sigmoid"),
        )),
    }
}

/// How a model gives fewer dimensions than its own.
#[derive(Debug)]
pub enum Narrowing {
    /// It does not.
    None,
    /// Slice and re-normalise (Matryoshka).
    Slice {
        /// The usual widths, widest first; any other can be sliced as well.
        widths: Vec<usize>,
        /// A weightless LayerNorm comes first.
        norm: bool,
    },
    /// A chain of learned projections, widest first, then re-normalise (zembed-1).
    Project(Vec<Linear>),
}

/// torch's default eps of a layer norm.
pub(crate) const LAYER_NORM_EPS: f32 = 1e-5;

impl Narrowing {
    /// Reads `projections.safetensors`: tensors named by their width, chained widest first from `full`, each
    /// `[in, out]` or `[out, in]` by shape. A square one is read as `[in, out]`.
    pub fn projections(store: &WeightStore, full: usize, kernels: Kernels) -> Result<Self> {
        let corrupt = |name: &str, reason: String| {
            Error::new(ErrorKind::Corrupt, format!("projections.safetensors, tensor `{name}`: {reason}"))
        };
        let mut widths = Vec::new();
        for name in store.names() {
            let width: usize = name.parse().map_err(|_| corrupt(name, "name is not a width".into()))?;
            widths.push(width);
        }
        widths.sort_unstable_by(|left, right| right.cmp(left));
        let mut chain = Vec::with_capacity(widths.len());
        let mut input = full;
        for width in widths {
            let name = width.to_string();
            let shape = store.shape(&name).unwrap_or_default().to_vec();
            let values = store.tensor(&name, &shape)?;
            let rows_are_outputs = match shape.as_slice() {
                [rows, columns] if (*rows, *columns) == (input, width) => false,
                [rows, columns] if (*rows, *columns) == (width, input) => true,
                _ => return Err(corrupt(&name, format!("shape {shape:?} does not join {input} to {width}"))),
            };
            let weight = if rows_are_outputs { values } else { transpose(&values, input, width) };
            chain.push(Linear { name, weight: kernels.pack(&weight, width, input), bias: None });
            input = width;
        }
        Ok(Narrowing::Project(chain))
    }

    /// Widths below the model's own, widest first.
    pub fn widths(&self) -> Vec<usize> {
        match self {
            Narrowing::None => vec![],
            Narrowing::Slice { widths, .. } => widths.clone(),
            Narrowing::Project(chain) => chain.iter().map(|linear| linear.weight.n()).collect(),
        }
    }

    /// Narrows `vector` to `width`, one of [`Self::widths`], re-normalised; the full width passes unchanged.
    pub fn apply(&self, kernels: Kernels, mut vector: Vec<f32>, width: usize) -> Vec<f32> {
        if vector.len() == width {
            return vector;
        }
        match self {
            Narrowing::None => {}
            Narrowing::Slice { norm, .. } => {
                let full = vector.len();
                if *norm {
                    kernels.layer_norm(&mut vector, None, None, LAYER_NORM_EPS, full, Parallelism::Serial);
                }
                vector.truncate(width);
            }
            Narrowing::Project(chain) => {
                for linear in chain.iter().take_while(|linear| linear.weight.n() >= width) {
                    vector = dense(kernels, linear, Activation::Identity, &vector);
                }
            }
        }
        kernels.l2_normalize(&mut vector);
        vector
    }
}

/// `[rows, columns]` to `[columns, rows]`.
fn transpose(values: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    let mut out = vec![0.0; values.len()];
    for row in 0..rows {
        for column in 0..columns {
            out[column * rows + row] = values[row * columns + column];
        }
    }
    out
}

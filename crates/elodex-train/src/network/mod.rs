//! Transformer encoders that can be trained: forward and backward passes on the CPU kernels, or by candle on a GPU.
//!
//! The shape of a network and the names of its weights come from [`elodex_models`], which also runs what training
//! writes: there is no second description of an architecture here, only its derivative. Gradients are tested against
//! differences of the loss.

mod attention;
mod device;
mod encoder;
mod heads;
mod layers;
mod naming;
mod parameters;

pub(crate) use heads::normalise_backward;
pub(crate) use naming::Naming;

pub use device::Device;
pub use encoder::Batch;
pub use parameters::{Gradients, Key, Parameter, Parameters};

use self::encoder::{Encoder, Tape, Wanted};
use self::heads::{Classifier, ClassifierTape};
use self::layers::Linear;
use crate::{Error, ErrorKind, Result};
use elodex_kernels::{Kernels, Precision};
use elodex_models::arch::{self, Loader};
use elodex_models::files::{ModelFiles, Module, PoolingMode};
use elodex_models::weights::WeightStore;
use std::fmt::Display;

/// Standard deviation of fresh weights, that of BERT.
const FRESH_DEVIATION: f32 = 0.02;

/// A cross-encoder: the first token's vector through a dense layer, tanh and a label.
#[derive(Debug, Clone)]
pub struct CrossEncoder {
    encoder: Encoder,
    classifier: Classifier,
    /// Its weights.
    pub parameters: Parameters,
}

/// What the way back through a [`CrossEncoder`] needs.
#[derive(Debug)]
pub struct CrossTape {
    encoder: Tape,
    classifier: ClassifierTape,
}

impl CrossEncoder {
    /// That of a model directory: a cross-encoder that is a BERT, RoBERTa or XLM-RoBERTa, or such an encoder whose head is
    /// to be learned: fresh, but for the pooler of a BERT that has one. `seed` decides what is fresh.
    ///
    /// # Errors
    /// Another encoder; files that cannot be read; a bundle of 8-bit integers.
    pub fn load(files: &ModelFiles, kernels: Kernels, seed: u64) -> Result<Self> {
        let naming = Naming::of(files)?;
        let (store, network) = open(files, kernels)?;
        let mut parameters = Parameters::default();
        let encoder = Encoder::load(&network.backbones[0], &store, &files.id, &mut parameters)?;
        let hidden = encoder.hidden();
        let mut random = fastrand::Rng::with_seed(seed);
        let mut tensor = |candidates: &[String], shape: Vec<usize>, deviation: f32| {
            let values = match candidates.iter().find(|name| store.shape(name).is_some()) {
                Some(name) => store.tensor(name, &shape).map_err(cannot("read a head's weights"))?,
                None => fresh(shape.iter().product(), deviation, &mut random),
            };
            let names = vec![candidates[0].clone()];
            Ok(parameters.add(Parameter { names, shape, values }))
        };
        let dense = Linear {
            weight: tensor(&naming.dense("weight"), vec![hidden, hidden], FRESH_DEVIATION)?,
            bias: tensor(&naming.dense("bias"), vec![hidden], 0.0)?,
        };
        let label = Linear {
            weight: tensor(&[naming.label("weight")], vec![1, hidden], FRESH_DEVIATION)?,
            bias: tensor(&[naming.label("bias")], vec![1], 0.0)?,
        };
        Ok(Self { encoder, classifier: Classifier { dense, label }, parameters })
    }

    /// Its encoder.
    pub(crate) fn encoder(&self) -> &Encoder {
        &self.encoder
    }

    /// The same, with its encoder there.
    #[must_use]
    pub fn on(mut self, device: Device) -> Self {
        self.encoder.device = device;
        self
    }

    /// One logit for each pair of `batch`, within the current rayon pool.
    ///
    /// # Errors
    /// [`ErrorKind::Device`], of a device other than the CPU.
    pub fn forward(&self, batch: Batch) -> Result<(Vec<f32>, CrossTape)> {
        let encoder = self.encoder.forward(&self.parameters, batch, Wanted::First)?;
        let (logits, classifier) =
            self.classifier.forward(self.encoder.kernels(), &self.parameters, encoder.output());
        Ok((logits, CrossTape { encoder, classifier }))
    }

    /// From the gradient by the logits, adds those by all parameters to `gradients`.
    ///
    /// # Errors
    /// As [`Self::forward`].
    pub fn backward(&self, tape: CrossTape, by_logits: &[f32], gradients: &mut Gradients) -> Result<()> {
        let CrossTape { encoder, classifier } = tape;
        let by_first = self.classifier.backward(
            self.encoder.kernels(),
            &self.parameters,
            encoder.output(),
            &classifier,
            by_logits,
            gradients,
        );
        self.encoder.backward(&self.parameters, encoder, by_first, gradients)
    }
}

/// A bi-encoder: the mean of the token vectors or the first token's, of length 1.
#[derive(Debug, Clone)]
pub struct BiEncoder {
    encoder: Encoder,
    /// The tokens whose vectors are averaged: all, or the first alone.
    tokens: Wanted,
    /// Its weights.
    pub parameters: Parameters,
}

/// What the way back through a [`BiEncoder`] needs.
#[derive(Debug)]
pub struct BiTape {
    encoder: Tape,
    /// Before they have length 1.
    pooled: Vec<f32>,
}

impl BiEncoder {
    /// That of a sentence-transformers directory with mean pooling, or that of the first token ("CLS").
    ///
    /// # Errors
    /// Another encoder than those of BERT and XLM-RoBERTa; another pooling; files that cannot be read; a bundle of 8-bit
    /// integers.
    pub fn load(files: &ModelFiles, kernels: Kernels) -> Result<Self> {
        let refused = || {
            let message = format!(
                "`{}` has modules other than a transformer, pooling of the mean or the first token, and normalisation; \
                 only such embedders can be trained",
                files.id
            );
            Error::new(ErrorKind::Unsupported, message)
        };
        let mut tokens = Wanted::All;
        for module in &files.modules {
            match module {
                Module::Transformer { .. } | Module::Normalize => {}
                Module::Pooling(pooling) => {
                    tokens = match pooling.modes[..] {
                        [PoolingMode::Mean] if pooling.include_prompt => Wanted::All,
                        [PoolingMode::Cls] if pooling.include_prompt => Wanted::First,
                        _ => return Err(refused()),
                    }
                }
                _ => return Err(refused()),
            }
        }
        let (store, network) = open(files, kernels)?;
        let mut parameters = Parameters::default();
        let encoder = Encoder::load(&network.backbones[0], &store, &files.id, &mut parameters)?;
        Ok(Self { encoder, tokens, parameters })
    }

    /// Its encoder.
    pub(crate) fn encoder(&self) -> &Encoder {
        &self.encoder
    }

    /// The same, with its encoder there.
    #[must_use]
    pub fn on(mut self, device: Device) -> Self {
        self.encoder.device = device;
        self
    }

    /// A vector of length 1 for each text of `batch`, `[texts, hidden]`, within the current rayon pool.
    ///
    /// # Errors
    /// [`ErrorKind::Device`], of a device other than the CPU.
    pub fn forward(&self, batch: Batch) -> Result<(Vec<f32>, BiTape)> {
        let width = self.encoder.hidden();
        let encoder = self.encoder.forward(&self.parameters, batch, self.tokens)?;
        let pooled = match self.tokens {
            Wanted::All => heads::mean(encoder.output(), encoder.batch().offsets(), width),
            Wanted::First => encoder.output().to_vec(),
        };
        let mut vectors = pooled.clone();
        for vector in vectors.chunks_exact_mut(width) {
            self.encoder.kernels().l2_normalize(vector);
        }
        Ok((vectors, BiTape { encoder, pooled }))
    }

    /// From the gradient by the vectors, adds those by all parameters to `gradients`.
    ///
    /// # Errors
    /// As [`Self::forward`].
    pub fn backward(&self, tape: BiTape, mut by_vectors: Vec<f32>, gradients: &mut Gradients) -> Result<()> {
        let width = self.encoder.hidden();
        heads::normalise_backward(&tape.pooled, &mut by_vectors, width);
        let by_hidden = match self.tokens {
            Wanted::All => heads::mean_backward(&by_vectors, tape.encoder.batch().offsets(), width),
            Wanted::First => by_vectors,
        };
        self.encoder.backward(&self.parameters, tape.encoder, by_hidden, gradients)
    }
}

fn open(files: &ModelFiles, kernels: Kernels) -> Result<(WeightStore, arch::Network)> {
    if files.precision != Precision::F32 {
        let message = format!(
            "`{}` has weights of 8-bit integers, which cannot be trained; start from the model it was made from",
            files.id
        );
        return Err(Error::new(ErrorKind::Unsupported, message));
    }
    let store = WeightStore::open(&files.backbone_dir())
        .map_err(cannot(format_args!("read the weights of `{}`", files.id)))?;
    let network = arch::load(&Loader::new(files, &store, kernels))
        .map_err(cannot(format_args!("load `{}` to train it", files.id)))?;
    if network.backbones.len() != 1 || network.token_projection.is_some() {
        let message = format!("`{}` has weights for each role or a projection of tokens", files.id);
        return Err(Error::new(ErrorKind::Unsupported, message));
    }
    Ok((store, network))
}

/// Normally distributed values (Box–Muller).
fn fresh(length: usize, deviation: f32, random: &mut fastrand::Rng) -> Vec<f32> {
    let normal = |random: &mut fastrand::Rng| {
        let radius = (-2.0 * (1.0 - random.f32()).ln()).sqrt();
        deviation * radius * (std::f32::consts::TAU * random.f32()).cos()
    };
    (0..length).map(|_| normal(random)).collect()
}

/// An error of a model's files as one of this crate: what cannot be done because of it.
pub(crate) fn cannot(what: impl Display) -> impl FnOnce(elodex_models::Error) -> Error {
    use elodex_models::ErrorKind as Theirs;
    move |error| {
        let kind = match error.kind() {
            Theirs::Unsupported => ErrorKind::Unsupported,
            Theirs::Request | Theirs::TooLong => ErrorKind::Request,
            Theirs::Corrupt => ErrorKind::Corrupt,
            _ => ErrorKind::Io,
        };
        Error::new(kind, format!("cannot {what}")).caused_by(error)
    }
}

//! What the files of a model directory say, before anything is loaded.
//!
//! One file here per file there (modules, config, prompts, licence); the overrides add what
//! repositories keep only in a README. The files win over the table wherever both speak, except on licences.

mod config;
mod identity;
mod licence;
mod modules;
mod overrides;
mod prompts;
pub(crate) mod read;

pub(crate) use modules::folders as module_folders;

use crate::bundle::Manifest;
use crate::{Error, ErrorKind, Precision, Result};
pub(crate) use config::SENTENCE_FILES;
use overrides::{Override, Overrides};
use read::MAX_CONFIG_BYTES;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The parsed small files of one model directory.
///
/// Layouts: sentence-transformers (`modules.json` …), plain transformers (`config.json` only: mean pooling, no
/// normalisation for encoders; a cross-encoder for `*ForSequenceClassification`), causal-LM rerankers.
#[derive(Debug, Clone)]
pub struct ModelFiles {
    /// Repository id (`owner/name`) where known, else the directory's name.
    pub id: String,
    /// The directory.
    pub dir: PathBuf,
    /// `config.json`, whole: each architecture reads its own keys.
    pub config: serde_json::Value,
    /// Modules in the order they run; made up as sentence-transformers does when `modules.json` is missing.
    pub modules: Vec<Module>,
    /// Longest input in tokens, special tokens included: `sentence_bert_config.json`, else the smaller of the
    /// tokenizer's and the configuration's limits (less the position offset of RoBERTa-style models).
    pub max_tokens: usize,
    /// Lower-case before the tokenizer sees the text.
    pub lower_case: bool,
    /// Prompts by role and what follows the text.
    pub prompts: Prompts,
    /// Activation stored for a cross-encoder (`activation_fn` and its legacy names), as a dotted torch path.
    pub activation: Option<String>,
    /// Scoring template of a causal-LM reranker.
    pub chat: Option<ChatRerank>,
    /// Widths the model declares as usable besides its own, widest first (Matryoshka), from its files or the table.
    pub matryoshka: Vec<usize>,
    /// Any width from this up to the model's own can be sliced.
    pub any_width_from: Option<usize>,
    /// nomic v1.5: layer-normalise without weights before slicing.
    pub norm_before_slice: bool,
    /// Strip white space around the text before the prompt is put in front.
    pub strip: bool,
    /// What the model card says.
    pub licence: Licence,
    /// Numbers the layers run in: of a bundle its own, else f32. Set it before loading to run an f32 model by 8-bit
    /// integers.
    pub precision: Precision,
    /// The manifest, where the directory is a [`bundle`](crate::bundle).
    pub bundle: Option<Arc<Manifest>>,
}

/// One entry of `modules.json`, with the configuration at its path. Matched on the last component of its type. Paths
/// are relative to the model directory.
#[derive(Debug, Clone, PartialEq)]
pub enum Module {
    /// The backbone.
    Transformer {
        /// Where its configuration and weights are.
        path: String,
    },
    /// Token vectors to one vector.
    Pooling(Pooling),
    /// A linear layer with an activation.
    Dense {
        /// Where its `model.safetensors` is.
        path: String,
        /// Width of its input.
        in_features: usize,
        /// Width of its output.
        out_features: usize,
        /// Whether it has a bias.
        bias: bool,
        /// Dotted torch path of its activation.
        activation: String,
    },
    /// L2 normalisation with eps 1e-12.
    Normalize,
    /// `nn.LayerNorm` over the pooled vector.
    LayerNorm {
        /// Where its `model.safetensors` is.
        path: String,
        /// Width of the vector.
        dimension: usize,
    },
    /// Different modules per role.
    Router {
        /// Modules for queries.
        query: Vec<Module>,
        /// Modules for documents.
        document: Vec<Module>,
    },
    /// logit\[true\] − logit\[false\] (or logit\[true\]) at the last position.
    LogitScore {
        /// Token whose logit is the score.
        true_token: u32,
        /// Token whose logit is subtracted.
        false_token: Option<u32>,
    },
}

/// How token vectors become one vector.
#[derive(Debug, Clone, PartialEq)]
pub struct Pooling {
    /// Several are concatenated in this order. Files with a boolean per mode give cls, max, mean, mean_sqrt,
    /// weightedmean, lasttoken; files that name them give their own.
    pub modes: Vec<PoolingMode>,
    /// Whether the prompt's tokens take part.
    pub include_prompt: bool,
}

/// One way to pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PoolingMode {
    /// First token.
    Cls,
    /// Element-wise maximum.
    Max,
    /// Mean.
    Mean,
    /// Sum over the square root of the length.
    MeanSqrt,
    /// Mean weighted 1..n.
    WeightedMean,
    /// Last token.
    LastToken,
}

/// Text put around inputs.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Prompts {
    /// In front of a query. `Some("")` means declared empty.
    pub query: Option<String>,
    /// In front of a document.
    pub document: Option<String>,
    /// In front of a text without a role (`default_prompt_name`), where the files name one.
    pub default: Option<String>,
    /// Behind every text, never cut (zembed-1).
    pub suffix: String,
}

/// How a causal language model scores a pair.
#[derive(Debug, Clone, PartialEq)]
pub struct ChatRerank {
    /// Literal text before the query, between query and document, and after the document.
    pub before_query: String,
    /// See `before_query`.
    pub between: String,
    /// See `before_query`.
    pub after_document: String,
    /// Strip white space around query and document first.
    pub strip: bool,
    /// Token whose logit is the score.
    pub true_token: u32,
    /// Token whose logit is subtracted.
    pub false_token: Option<u32>,
    /// relevance = σ(logit / temperature).
    pub temperature: f32,
}

/// The model card's licence and what it means.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Licence {
    /// SPDX-like id of the card's front matter (`apache-2.0`), lower-case; `None` when the card says none.
    pub id: Option<String>,
    /// Whether commercial use is allowed; `None` when unknown.
    pub commercial: Option<bool>,
    /// Why the id is not the one on the card, where the table knows better.
    pub note: Option<String>,
}

impl ModelFiles {
    /// Reads the small files of `dir`, of a bundle its manifest as well. Weights are not touched.
    pub fn open(dir: &Path) -> Result<Self> {
        Self::read(dir, None)
    }

    /// As [`Self::open`], for a directory whose name does not tell which repository it is a copy of.
    pub fn open_as(dir: &Path, id: &str) -> Result<Self> {
        Self::read(dir, Some(id))
    }

    fn read(dir: &Path, id: Option<&str>) -> Result<Self> {
        if !dir.is_dir() {
            return Err(Error::new(ErrorKind::NotFound, format!("`{}` is not a directory", dir.display())));
        }
        let listed = modules::listed(dir)?;
        let backbone = match &listed {
            Some(modules) => read::inside(dir, modules::backbone(modules, dir)?, &dir.join("modules.json"))?,
            None => dir.to_path_buf(),
        };
        let config = config::read(&backbone)?;
        let bundle = Manifest::read(dir)?;
        let id = match (&bundle, id) {
            (Some(bundle), _) => bundle.id.clone(),
            (None, Some(id)) => id.to_owned(),
            (None, None) => identity::of(dir, &config),
        };
        let known = Overrides::builtin()?.get(&id);
        let modules = match listed {
            Some(modules) => modules,
            None => modules::implied(&config, &known),
        };
        let sentence = config::Sentence::read(&backbone)?;
        let declared = prompts::Declared::read(dir)?;
        Ok(Self {
            max_tokens: config::max_tokens(&config, &sentence, &backbone, known.max_tokens)?,
            lower_case: sentence.do_lower_case,
            activation: config::activation(&config, declared.activation.as_deref(), &backbone)?,
            chat: chat(&id, &modules, &known)?,
            prompts: declared.with(&known),
            matryoshka: config::matryoshka(&config, &known),
            any_width_from: known.any_width_from,
            norm_before_slice: known.norm_before_slice,
            strip: known.strip,
            licence: licence::read(dir, &known)?,
            precision: bundle.as_ref().map_or(Precision::F32, |bundle| bundle.precision),
            bundle: bundle.map(Arc::new),
            id,
            dir: dir.to_path_buf(),
            config,
            modules,
        })
    }

    /// Where the backbone's `config.json`, `tokenizer.json` and weights are: the path of the first transformer among
    /// the modules, the query's where they differ by role.
    pub fn backbone_dir(&self) -> PathBuf {
        match modules::transformer_path(&self.modules) {
            Some(path) => self.dir.join(path),
            None => self.dir.clone(),
        }
    }

    /// Whether it scores pairs: causal-LM rerankers have a scoring template, sentence-transformers rerankers a
    /// `LogitScore` module, cross-encoders a sequence-classification head.
    pub fn is_reranker(&self) -> bool {
        let architectures = self.config["architectures"].as_array().into_iter().flatten();
        let classifies = architectures
            .filter_map(|name| name.as_str())
            .any(|name| name.ends_with("ForSequenceClassification"));
        let scores = self.modules.iter().any(|module| matches!(module, Module::LogitScore { .. }));
        self.chat.is_some() || scores || classifies
    }

    /// Refuses a model whose licence forbids commercial use unless `accepted`.
    pub fn gate(&self, accepted: bool) -> Result<()> {
        if accepted || self.licence.commercial != Some(false) {
            return Ok(());
        }
        let licence = self.licence.id.as_deref().unwrap_or("unnamed");
        Err(Error::new(
            ErrorKind::Licence,
            format!(
                "the licence `{licence}` of `{}` forbids commercial use; read it, and pass --accept-license if your \
                 use is allowed",
                self.id
            ),
        ))
    }
}

/// The scoring template, where the modules end in a logit score. The files name the tokens, the table the template.
fn chat(id: &str, modules: &[Module], known: &Override) -> Result<Option<ChatRerank>> {
    let score = modules.iter().find_map(|module| match module {
        Module::LogitScore { true_token, false_token } => Some((*true_token, *false_token)),
        _ => None,
    });
    let Some((true_token, false_token)) = score else {
        return Ok(None);
    };
    let Some(template) = &known.chat else {
        return Err(Error::new(
            ErrorKind::Unsupported,
            format!(
                "`{id}` scores with a chat template, and the table of models knows none for that id; name the \
                 repository it is a copy of"
            ),
        ));
    };
    Ok(Some(ChatRerank {
        before_query: template.before_query.clone(),
        between: template.between.clone(),
        after_document: template.after_document.clone(),
        strip: template.strip,
        true_token,
        false_token,
        temperature: template.temperature,
    }))
}

/// The model directory's own cap applies to every small file.
fn optional_config<T: serde::de::DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    read::optional_json(path, MAX_CONFIG_BYTES)
}

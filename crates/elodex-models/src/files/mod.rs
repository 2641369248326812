//! What the files of a model directory say, before anything is loaded.

use crate::Result;
use std::path::{Path, PathBuf};

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
    /// nomic v1.5: layer-normalise without weights before slicing.
    pub norm_before_slice: bool,
    /// Strip white space around the text before the prompt is put in front.
    pub strip: bool,
    /// What the model card says.
    pub licence: Licence,
}

/// One entry of `modules.json`, with the configuration at its path. Matched on the last component of its type.
#[derive(Debug, Clone, PartialEq)]
pub enum Module {
    /// The backbone; `path` relative to the model directory.
    Transformer { path: String },
    /// Token vectors to one vector.
    Pooling(Pooling),
    /// A linear layer with an activation; weights in `path/model.safetensors`.
    Dense { path: String, in_features: usize, out_features: usize, bias: bool, activation: String },
    /// L2 normalisation with eps 1e-12.
    Normalize,
    /// `nn.LayerNorm` over the pooled vector; weights in `path/model.safetensors`.
    LayerNorm { path: String, dimension: usize },
    /// Different modules per role.
    Router { query: Vec<Module>, document: Vec<Module> },
    /// logit\[true\] − logit\[false\] (or logit\[true\]) at the last position.
    LogitScore { true_token: u32, false_token: Option<u32> },
}

/// How token vectors become one vector.
#[derive(Debug, Clone, PartialEq)]
pub struct Pooling {
    /// Several are concatenated in this order: cls, max, mean, mean_sqrt, weightedmean, lasttoken.
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
}

impl ModelFiles {
    /// Reads the small files of `dir`. Weights are not touched.
    pub fn open(dir: &Path) -> Result<Self> {
        let _ = dir;
        todo!()
    }
}

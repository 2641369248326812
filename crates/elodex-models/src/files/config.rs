//! `config.json`, `sentence_bert_config.json` and the limits in `tokenizer_config.json`.

use super::optional_config;
use super::overrides::Override;
use super::read::{self, MAX_CONFIG_BYTES};
use crate::{Error, ErrorKind, Result};
use serde::Deserialize;
use serde_json::Value;
use std::path::Path;

/// transformers writes 10³⁰ for "no limit".
const NO_LIMIT: f64 = 1e6;

/// Families whose position ids start behind the padding id, and so lose that many positions.
const OFFSET_FAMILIES: [&str; 6] =
    ["roberta", "xlm-roberta", "xlm-roberta-xl", "camembert", "mpnet", "longformer"];

/// Names under which sentence-transformers has written its own configuration of the backbone.
pub(crate) const SENTENCE_FILES: [&str; 7] = [
    "sentence_bert_config.json",
    "sentence_roberta_config.json",
    "sentence_distilbert_config.json",
    "sentence_camembert_config.json",
    "sentence_albert_config.json",
    "sentence_xlm-roberta_config.json",
    "sentence_xlnet_config.json",
];

/// What sentence-transformers adds to the backbone's configuration.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Sentence {
    #[serde(default)]
    max_seq_length: Option<usize>,
    #[serde(default)]
    pub(super) do_lower_case: bool,
}

impl Sentence {
    pub(super) fn read(dir: &Path) -> Result<Self> {
        for name in SENTENCE_FILES {
            if let Some(sentence) = optional_config(&dir.join(name))? {
                return Ok(sentence);
            }
        }
        Ok(Self::default())
    }
}

/// `config.json`, which must be an object.
pub(super) fn read(dir: &Path) -> Result<Value> {
    let path = dir.join("config.json");
    if !path.is_file() {
        let message = format!("`{}` has no config.json; it is not the directory of a model", dir.display());
        return Err(Error::new(ErrorKind::NotFound, message));
    }
    let config: Value = read::json(&path, MAX_CONFIG_BYTES)?;
    if !config.is_object() {
        return Err(Error::new(ErrorKind::Corrupt, format!("`{}` is not a JSON object", path.display())));
    }
    Ok(config)
}

/// The longest input: what sentence-transformers was told, else what the tokenizer and the positions allow; never
/// more than there are positions.
pub(super) fn max_tokens(
    config: &Value,
    sentence: &Sentence,
    dir: &Path,
    known: Option<usize>,
) -> Result<usize> {
    #[derive(Deserialize)]
    struct TokenizerConfig {
        #[serde(default)]
        model_max_length: Option<f64>,
    }
    let positions = positions(config);
    let told = match sentence.max_seq_length {
        Some(length) => Some(length),
        None => {
            let tokenizer: Option<TokenizerConfig> = optional_config(&dir.join("tokenizer_config.json"))?;
            let length = tokenizer.and_then(|tokenizer| tokenizer.model_max_length);
            length.filter(|length| (1.0..=NO_LIMIT).contains(length)).map(|length| length as usize)
        }
    };
    let Some(limit) = [told, positions, known].into_iter().flatten().min() else {
        return Err(Error::new(
            ErrorKind::Corrupt,
            format!(
                "`{}` says nowhere how long an input may be: neither max_seq_length in sentence_bert_config.json, nor \
                 model_max_length in tokenizer_config.json, nor max_position_embeddings in config.json",
                dir.display()
            ),
        ));
    };
    if limit == 0 {
        let message = format!("`{}` says that inputs may have 0 tokens", dir.display());
        return Err(Error::new(ErrorKind::Corrupt, message));
    }
    Ok(limit)
}

/// How many tokens have a position.
fn positions(config: &Value) -> Option<usize> {
    let count = config["max_position_embeddings"].as_u64().or(config["n_positions"].as_u64())?;
    let count = usize::try_from(count).ok()?;
    let learned = config["position_embedding_type"].as_str().unwrap_or("absolute") == "absolute";
    let family = config["model_type"].as_str().unwrap_or_default();
    if learned && OFFSET_FAMILIES.contains(&family) {
        let padding = config["pad_token_id"].as_u64().unwrap_or(1);
        return Some(count.saturating_sub(usize::try_from(padding).unwrap_or(usize::MAX).saturating_add(1)));
    }
    Some(count)
}

/// The activation stored for a cross-encoder, newest place first. Only torch's own can be meant; anything else is
/// code of the repository.
pub(super) fn activation(
    config: &Value,
    in_sentence_config: Option<&str>,
    dir: &Path,
) -> Result<Option<String>> {
    let found = config["sentence_transformers"]["activation_fn"]
        .as_str()
        .or(config["sbert_ce_default_activation_function"].as_str())
        .or(in_sentence_config);
    match found {
        Some(path) if !path.starts_with("torch.") => Err(Error::new(
            ErrorKind::Unsupported,
            format!("`{}` stores the activation `{path}`, which is not one of torch's own", dir.display()),
        )),
        found => Ok(found.map(str::to_owned)),
    }
}

/// Widths below the model's own, widest first: `matryoshka_dimensions` of `config.json`, else the table's.
pub(super) fn matryoshka(config: &Value, known: &Override) -> Vec<usize> {
    let declared = config["matryoshka_dimensions"].as_array();
    let declared: Option<Vec<usize>> = declared
        .map(|widths| widths.iter().filter_map(|width| usize::try_from(width.as_u64()?).ok()).collect());
    let mut widths = declared.unwrap_or_else(|| known.matryoshka.clone());
    let own = config["hidden_size"].as_u64();
    widths.retain(|width| *width > 0 && Some(*width as u64) != own);
    widths.sort_unstable_by(|left, right| right.cmp(left));
    widths.dedup();
    widths
}

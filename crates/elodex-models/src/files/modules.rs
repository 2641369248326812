//! `modules.json` and the configuration at each module's path.

use super::overrides::Override;
use super::read::{self, MAX_CONFIG_BYTES};
use super::{Module, Pooling, PoolingMode, optional_config};
use crate::{Error, ErrorKind, Result};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Routers inside routers deeper than this are refused.
const MAX_ROUTER_DEPTH: usize = 2;

#[derive(Debug, Deserialize)]
struct Entry {
    #[serde(default)]
    path: String,
    #[serde(rename = "type")]
    kind: String,
}

/// The modules that `modules.json` lists, or `None` without that file.
pub(super) fn listed(dir: &Path) -> Result<Option<Vec<Module>>> {
    let path = dir.join("modules.json");
    let Some(entries) = optional_config::<Vec<Entry>>(&path)? else {
        return Ok(None);
    };
    let modules = entries.iter().map(|entry| module(dir, &path, &entry.path, &entry.kind, 0));
    let modules: Vec<Module> = modules.filter_map(Result::transpose).collect::<Result<_>>()?;
    Ok(Some(modules))
}

/// The folders that hold parts of the model, relative to `dir`: itself, those of its modules, and below each router
/// those of its own.
pub(crate) fn folders(dir: &Path) -> Result<BTreeSet<String>> {
    #[derive(Deserialize)]
    struct Routes {
        types: BTreeMap<String, String>,
    }
    let named_in = dir.join("modules.json");
    let entries = optional_config::<Vec<Entry>>(&named_in)?.unwrap_or_default();
    let mut waiting: Vec<(String, usize)> = entries.into_iter().map(|entry| (entry.path, 0)).collect();
    let mut folders = BTreeSet::from([String::new()]);
    while let Some((path, depth)) = waiting.pop() {
        let folder = read::inside(dir, &path, &named_in)?;
        if depth < MAX_ROUTER_DEPTH
            && let Ok(Some(Routes { types })) = optional_config(&router_config(&folder))
        {
            waiting.extend(types.into_keys().map(|name| (below(&path, &name), depth + 1)));
        }
        folders.insert(path);
    }
    Ok(folders)
}

/// What sentence-transformers makes up when `modules.json` is missing: a transformer and mean pooling. A classifier
/// has no pooling, and a causal language model that the table knows as a reranker scores by its tokens.
pub(super) fn implied(config: &Value, known: &Override) -> Vec<Module> {
    let transformer = Module::Transformer { path: String::new() };
    let architecture = config["architectures"][0].as_str().unwrap_or_default();
    if architecture.ends_with("ForSequenceClassification") {
        return vec![transformer];
    }
    match &known.chat {
        Some(chat) if architecture.ends_with("ForCausalLM") => {
            vec![
                transformer,
                Module::LogitScore { true_token: chat.true_token, false_token: chat.false_token },
            ]
        }
        _ => vec![
            transformer,
            Module::Pooling(Pooling { modes: vec![PoolingMode::Mean], include_prompt: true }),
        ],
    }
}

/// The path of the first transformer; an error where there is none.
pub(super) fn backbone<'a>(modules: &'a [Module], dir: &Path) -> Result<&'a str> {
    transformer_path(modules).ok_or_else(|| {
        Error::new(
            ErrorKind::Unsupported,
            format!(
                "`{}` lists no transformer; only models with one can be run",
                dir.join("modules.json").display()
            ),
        )
    })
}

/// The path of the first transformer.
pub(super) fn transformer_path(modules: &[Module]) -> Option<&str> {
    modules.iter().find_map(|module| match module {
        Module::Transformer { path } => Some(path.as_str()),
        Module::Router { query, document } => transformer_path(query).or_else(|| transformer_path(document)),
        _ => None,
    })
}

/// One module, by the last component of its type; `None` for one that does nothing at inference.
fn module(dir: &Path, named_in: &Path, path: &str, kind: &str, depth: usize) -> Result<Option<Module>> {
    let folder = read::inside(dir, path, named_in)?;
    let path = path.to_owned();
    let name = kind.rsplit('.').next().unwrap_or(kind);
    Ok(Some(match name {
        // Repositories with code of their own call theirs ZembedTransformer and the like; what differs is in their
        // configuration files or in the table.
        name if name.ends_with("Transformer") => Module::Transformer { path },
        "Pooling" => Module::Pooling(pooling(&folder)?),
        "Normalize" => Module::Normalize,
        "Dropout" => return Ok(None),
        "Dense" => dense(&folder, path)?,
        "LayerNorm" => {
            #[derive(Deserialize)]
            struct Config {
                dimension: usize,
            }
            let config: Config = config(&folder)?;
            Module::LayerNorm { path, dimension: config.dimension }
        }
        "LogitScore" => {
            #[derive(Deserialize)]
            struct Config {
                true_token_id: u32,
                #[serde(default)]
                false_token_id: Option<u32>,
            }
            let config: Config = config(&folder)?;
            Module::LogitScore { true_token: config.true_token_id, false_token: config.false_token_id }
        }
        "Router" | "Asym" => router(dir, &folder, &path, depth)?,
        _ => {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!(
                    "`{}` lists a module of type `{kind}`; supported are Transformer, Pooling, Dense, Normalize, \
                     LayerNorm, Router and LogitScore",
                    named_in.display()
                ),
            ));
        }
    }))
}

fn config<T: DeserializeOwned>(folder: &Path) -> Result<T> {
    read::json(&folder.join("config.json"), MAX_CONFIG_BYTES)
}

fn dense(folder: &Path, path: String) -> Result<Module> {
    #[derive(Deserialize)]
    struct Config {
        in_features: usize,
        out_features: usize,
        #[serde(default = "yes")]
        bias: bool,
        #[serde(default = "tanh")]
        activation_function: String,
        #[serde(default)]
        use_residual: bool,
        module_input_name: Option<String>,
        module_output_name: Option<String>,
    }
    fn yes() -> bool {
        true
    }
    // The default of sentence-transformers.
    fn tanh() -> String {
        "torch.nn.modules.activation.Tanh".to_owned()
    }
    let config: Config = config(folder)?;
    let refused = |what: &str| {
        let file = folder.join("config.json");
        Err(Error::new(ErrorKind::Unsupported, format!("`{}` asks for {what}", file.display())))
    };
    if config.use_residual {
        return refused("a residual connection, which is not supported");
    }
    let names = [&config.module_input_name, &config.module_output_name];
    if let Some(name) = names.into_iter().flatten().find(|name| *name != "sentence_embedding") {
        return refused(&format!("the feature `{name}`; a dense layer works on `sentence_embedding` only"));
    }
    Ok(Module::Dense {
        path,
        in_features: config.in_features,
        out_features: config.out_features,
        bias: config.bias,
        activation: config.activation_function,
    })
}

/// `1_Pooling/config.json`, with booleans per mode (before 5.4) or names of modes.
fn pooling(folder: &Path) -> Result<Pooling> {
    #[derive(Deserialize)]
    struct Config {
        #[serde(default)]
        pooling_mode: Option<OneOrMany>,
        #[serde(default)]
        pooling_mode_cls_token: bool,
        #[serde(default)]
        pooling_mode_max_tokens: bool,
        #[serde(default)]
        pooling_mode_mean_tokens: bool,
        #[serde(default)]
        pooling_mode_mean_sqrt_len_tokens: bool,
        #[serde(default)]
        pooling_mode_weightedmean_tokens: bool,
        #[serde(default)]
        pooling_mode_lasttoken: bool,
        #[serde(default = "yes")]
        include_prompt: bool,
    }
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum OneOrMany {
        One(String),
        Many(Vec<String>),
    }
    fn yes() -> bool {
        true
    }
    let config: Config = config(folder)?;
    let names = match config.pooling_mode {
        Some(OneOrMany::One(name)) => Some(vec![name]),
        Some(OneOrMany::Many(names)) => Some(names),
        None => None,
    };
    let modes = match names {
        // sentence-transformers concatenates named modes in the order given.
        Some(names) => names.iter().map(|name| pooling_mode(name, folder)).collect::<Result<Vec<_>>>()?,
        None => {
            let flags = [
                (config.pooling_mode_cls_token, PoolingMode::Cls),
                (config.pooling_mode_max_tokens, PoolingMode::Max),
                (config.pooling_mode_mean_tokens, PoolingMode::Mean),
                (config.pooling_mode_mean_sqrt_len_tokens, PoolingMode::MeanSqrt),
                (config.pooling_mode_weightedmean_tokens, PoolingMode::WeightedMean),
                (config.pooling_mode_lasttoken, PoolingMode::LastToken),
            ];
            flags.into_iter().filter_map(|(on, mode)| on.then_some(mode)).collect()
        }
    };
    // Nothing chosen means the mean, as in sentence-transformers.
    let modes = if modes.is_empty() { vec![PoolingMode::Mean] } else { modes };
    Ok(Pooling { modes, include_prompt: config.include_prompt })
}

fn pooling_mode(name: &str, folder: &Path) -> Result<PoolingMode> {
    Ok(match name {
        "cls" => PoolingMode::Cls,
        "max" => PoolingMode::Max,
        "mean" => PoolingMode::Mean,
        "mean_sqrt_len_tokens" => PoolingMode::MeanSqrt,
        "weightedmean" => PoolingMode::WeightedMean,
        "lasttoken" => PoolingMode::LastToken,
        _ => {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!(
                    "`{}` asks for the pooling mode `{name}`; supported are cls, max, mean, mean_sqrt_len_tokens, \
                     weightedmean and lasttoken",
                    folder.join("config.json").display()
                ),
            ));
        }
    })
}

/// `router_config.json`, or `config.json` of its predecessor Asym: module paths below the router's own, per role.
fn router(dir: &Path, folder: &Path, path: &str, depth: usize) -> Result<Module> {
    #[derive(Deserialize)]
    struct Config {
        types: BTreeMap<String, String>,
        structure: BTreeMap<String, Vec<String>>,
        #[serde(default)]
        parameters: Parameters,
    }
    #[derive(Default, Deserialize)]
    struct Parameters {
        #[serde(default)]
        route_mappings: Option<serde_json::Map<String, serde_json::Value>>,
    }
    let file = router_config(folder);
    let corrupt = |reason: String| Error::new(ErrorKind::Corrupt, format!("`{}` {reason}", file.display()));
    if depth >= MAX_ROUTER_DEPTH {
        return Err(corrupt("nests routers too deeply".to_owned()));
    }
    let config: Config = read::json(&file, MAX_CONFIG_BYTES)?;
    if config.parameters.route_mappings.as_ref().is_some_and(|mappings| !mappings.is_empty()) {
        let message = format!("`{}` maps routes, which is not supported", file.display());
        return Err(Error::new(ErrorKind::Unsupported, message));
    }
    let route = |role: &str| -> Result<Vec<Module>> {
        let Some(names) = config.structure.get(role) else {
            let known: Vec<&str> = config.structure.keys().map(String::as_str).collect();
            let message = format!("has the routes {}, but none named {role}", known.join(", "));
            return Err(corrupt(message));
        };
        let mut modules = Vec::with_capacity(names.len());
        for name in names {
            let kind =
                config.types.get(name).ok_or_else(|| corrupt(format!("gives no type for `{name}`")))?;
            modules.extend(module(dir, &file, &below(path, name), kind, depth + 1)?);
        }
        Ok(modules)
    };
    Ok(Module::Router { query: route("query")?, document: route("document")? })
}

/// Where a router's configuration is; its predecessor's has another name.
fn router_config(folder: &Path) -> PathBuf {
    let current = folder.join("router_config.json");
    if current.is_file() { current } else { folder.join("config.json") }
}

fn below(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") }
}

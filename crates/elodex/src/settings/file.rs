//! The configuration file: settings, models and aliases as TOML.

use super::{DEFINITIONS, experiments};
use anyhow::{Context as _, anyhow, bail};
use elodex_kernels::Precision;
use elodex_search::Experiment;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Keys of the file besides the settings.
const TABLES: [&str; 3] = ["models", "aliases", "experiments"];

/// Keys of one `[[models]]` entry.
const MODEL_KEYS: [&str; 5] = ["name", "source", "kind", "precision", "accept_license"];

/// One model to serve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ModelEntry {
    /// `None`: the last part of the source.
    pub(crate) name: Option<String>,
    /// A directory, or `owner/name` with `@revision`.
    pub(crate) source: String,
    /// `None`: what its files say.
    pub(crate) kind: Option<elodex_server::ModelKind>,
    /// `None`: the setting `model_precision`, else what its files say.
    pub(crate) precision: Option<Precision>,
    pub(crate) licences: Licences,
}

/// Whether models that forbid commercial use may be loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Licences {
    /// Only those that allow it.
    Commercial,
    /// The user has read and accepted the licence.
    Accepted,
}

impl Licences {
    pub(crate) fn accepted(accepted: bool) -> Self {
        if accepted { Licences::Accepted } else { Licences::Commercial }
    }
}

/// What a configuration file says.
#[derive(Debug, Default)]
pub(crate) struct ConfigFile {
    /// `None` where there is no file.
    pub(crate) path: Option<PathBuf>,
    /// Text of settings by key.
    pub(crate) settings: BTreeMap<String, String>,
    pub(crate) models: Vec<ModelEntry>,
    pub(crate) aliases: BTreeMap<String, String>,
    pub(crate) experiments: Vec<Experiment>,
}

/// `$XDG_CONFIG_HOME/elodex`, else `~/.config/elodex`.
pub(crate) fn folder(environment: &dyn Fn(&str) -> Option<String>) -> Option<PathBuf> {
    let set = |name: &str| environment(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let base = set("XDG_CONFIG_HOME").or_else(|| set("HOME").map(|home| home.join(".config")))?;
    Some(base.join("elodex"))
}

impl ConfigFile {
    /// Reads the file that was named, which must exist, or the first that exists of `./elodex.toml` and `config.toml` in
    /// the configuration folder.
    pub(crate) fn find(
        named: Option<PathBuf>,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> anyhow::Result<Self> {
        if let Some(path) = named {
            return Self::load(&path);
        }
        let in_folder = folder(environment).map(|folder| folder.join("config.toml"));
        for path in [Some(PathBuf::from("elodex.toml")), in_folder].into_iter().flatten() {
            if path.is_file() {
                return Self::load(&path);
            }
        }
        Ok(Self::default())
    }

    fn load(path: &Path) -> anyhow::Result<Self> {
        let text =
            std::fs::read_to_string(path).with_context(|| format!("cannot read `{}`", path.display()))?;
        Self::parse(&text, path.to_owned())
    }

    /// Reads TOML. Unknown keys are errors: a typing error must not silently leave a default in place.
    pub(crate) fn parse(text: &str, path: PathBuf) -> anyhow::Result<Self> {
        let place = || format!("`{}` is not usable", path.display());
        let table: toml::Table = text.parse().with_context(place)?;
        let mut file = Self::default();
        for (key, value) in table {
            match key.as_str() {
                "models" => file.models = models(value).with_context(place)?,
                "experiments" => file.experiments = experiments::read(value).with_context(place)?,
                "aliases" => file.aliases = aliases(value).with_context(place)?,
                _ if DEFINITIONS.iter().any(|definition| definition.key == key) => {
                    file.settings.insert(key.clone(), setting(&key, value).with_context(place)?);
                }
                _ => {
                    let known = DEFINITIONS.iter().map(|definition| definition.key).chain(TABLES);
                    return Err(unknown(&key, known)).with_context(place);
                }
            }
        }
        file.path = Some(path);
        Ok(file)
    }
}

fn setting(key: &str, value: toml::Value) -> anyhow::Result<String> {
    match value {
        toml::Value::String(text) => Ok(text),
        toml::Value::Integer(number) => Ok(number.to_string()),
        toml::Value::Float(number) => Ok(number.to_string()),
        toml::Value::Boolean(truth) => Ok(truth.to_string()),
        toml::Value::Array(values) => {
            let texts: Option<Vec<&str>> = values.iter().map(toml::Value::as_str).collect();
            texts.map(|texts| texts.join(",")).ok_or_else(|| anyhow!("`{key}` is no list of texts"))
        }
        other => bail!("`{key}` is a {}; write a text, a number, true, false or a list", other.type_str()),
    }
}

fn models(value: toml::Value) -> anyhow::Result<Vec<ModelEntry>> {
    let toml::Value::Array(entries) = value else {
        bail!("`models` is a {}; write a `[[models]]` section for each model", value.type_str());
    };
    entries
        .into_iter()
        .enumerate()
        .map(|(index, entry)| {
            model(entry).with_context(|| format!("in the `[[models]]` section {}", index + 1))
        })
        .collect()
}

fn model(value: toml::Value) -> anyhow::Result<ModelEntry> {
    let toml::Value::Table(table) = value else { bail!("it is a {}, not a table", value.type_str()) };
    if let Some(key) = table.keys().find(|key| !MODEL_KEYS.contains(&key.as_str())) {
        return Err(unknown(key, MODEL_KEYS.into_iter()));
    }
    let text = |key: &str| -> anyhow::Result<Option<String>> {
        match table.get(key) {
            None => Ok(None),
            Some(toml::Value::String(text)) => Ok(Some(text.clone())),
            Some(other) => bail!("`{key}` is a {}; write a text", other.type_str()),
        }
    };
    let kind = match text("kind")?.as_deref() {
        None | Some("auto") => None,
        Some(kind) => {
            let kind = kind
                .parse()
                .map_err(|_| anyhow!("unknown kind `{kind}`; use `auto`, `embedder` or `reranker`"));
            Some(kind?)
        }
    };
    let precision = match text("precision")?.as_deref() {
        None | Some("") => None,
        Some(name) => Some(name.parse::<Precision>()?),
    };
    let accepted = match table.get("accept_license") {
        None => false,
        Some(toml::Value::Boolean(accepted)) => *accepted,
        Some(other) => bail!("`accept_license` is a {}; write true or false", other.type_str()),
    };
    Ok(ModelEntry {
        name: text("name")?,
        source: text("source")?.context("`source` is missing; name a directory or owner/name")?,
        kind,
        precision,
        licences: Licences::accepted(accepted),
    })
}

fn aliases(value: toml::Value) -> anyhow::Result<BTreeMap<String, String>> {
    let toml::Value::Table(table) = value else {
        bail!("`aliases` is a {}; write an `[aliases]` section", value.type_str());
    };
    table
        .into_iter()
        .map(|(alias, target)| match target {
            toml::Value::String(target) => Ok((alias, target)),
            other => bail!("alias `{alias}` is a {}; write a model's name as text", other.type_str()),
        })
        .collect()
}

pub(super) fn unknown<'known>(key: &str, known: impl Iterator<Item = &'known str>) -> anyhow::Error {
    match known.min_by_key(|candidate| distance(key, candidate)) {
        Some(nearest) => anyhow!("unknown key `{key}`; the nearest is `{nearest}`"),
        None => anyhow!("unknown key `{key}`"),
    }
}

/// Levenshtein distance: the fewest insertions, deletions and substitutions from one text to the other.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut previous: Vec<usize> = (0..=to.len()).collect();
    for (row, from_character) in from.chars().enumerate() {
        let mut current = vec![row + 1];
        for (column, to_character) in to.iter().enumerate() {
            let substituted = previous[column] + usize::from(from_character != *to_character);
            current.push(substituted.min(previous[column + 1] + 1).min(current[column] + 1));
        }
        previous = current;
    }
    previous.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_and_aliases() {
        let text = r#"
            listen = "127.0.0.1:1"
            cors_origins = ["https://a.example", "https://b.example"]
            [[models]]
            name = "zembed-1"
            source = "zeroentropy/zembed-1@abc"
            accept_license = true
            [[models]]
            source = "models/minilm"
            kind = "embedder"
            precision = "int8"
            [aliases]
            "text-embedding-3-small" = "minilm:document"
        "#;
        let file = ConfigFile::parse(text, "f.toml".into()).unwrap();
        assert_eq!(file.settings["cors_origins"], "https://a.example,https://b.example");
        assert_eq!(file.models[0].name.as_deref(), Some("zembed-1"));
        assert_eq!(file.models[0].licences, Licences::Accepted);
        assert_eq!(file.models[1].kind, Some(elodex_server::ModelKind::Embedder));
        assert_eq!((file.models[0].precision, file.models[1].precision), (None, Some(Precision::Int8)));
        assert_eq!(file.aliases["text-embedding-3-small"], "minilm:document");
    }

    #[test]
    fn typing_errors_are_named_with_the_nearest_key() {
        let problem = |text: &str| format!("{:#}", ConfigFile::parse(text, "f.toml".into()).unwrap_err());
        assert_eq!(
            problem("thread = 3"),
            "`f.toml` is not usable: unknown key `thread`; the nearest is `threads`"
        );
        assert!(
            problem("[[models]]\nsourse = \"a\"").ends_with("unknown key `sourse`; the nearest is `source`")
        );
        assert!(problem("[[models]]\nname = \"a\"").contains("`source` is missing"));
        let wrong = problem("[[models]]\nsource = \"a\"\nprecision = \"int4\"");
        assert!(wrong.ends_with("`int4` is no precision; use `f32` or `int8`"), "{wrong}");
        assert!(problem("[threads]\nx = 1").contains("`threads` is a table"));
        assert!(problem("threads = ").contains("`f.toml` is not usable"));
    }

    #[test]
    fn distances() {
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("same", "same"), 0);
    }
}

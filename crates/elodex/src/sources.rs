//! Which models there are, by name, and where their files lie.

use crate::bundled;
use crate::cli::ModelFlags;
use crate::output;
use crate::settings::{ConfigFile, Licences, ModelEntry, Origin};
use anyhow::{Context as _, anyhow, bail};
use elodex_models::Precision;
use elodex_models::files::ModelFiles;
use elodex_models::hub::{Hub, Progress, resolve};
use elodex_server::AliasTarget;
use elodex_types::Role;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const MODELS_VARIABLE: &str = "ELODEX_MODELS";
const ALIASES_VARIABLE: &str = "ELODEX_ALIASES";

/// Models and aliases by precedence: flags replace the environment's, those the file's. Where there are none, the models
/// are the pair that comes with the binary.
#[derive(Debug)]
pub(crate) struct Models {
    pub(crate) entries: Vec<ModelEntry>,
    pub(crate) entries_origin: Origin,
    pub(crate) aliases: BTreeMap<String, String>,
    pub(crate) aliases_origin: Origin,
}

impl ModelEntry {
    /// The name clients use: the given one, else the last part of the source without its revision.
    pub(crate) fn name(&self) -> String {
        if let Some(name) = &self.name {
            return name.clone();
        }
        let source = self.source.trim_end_matches('/');
        let last = source.rsplit('/').next().unwrap_or(source);
        last.split('@').next().unwrap_or(last).to_owned()
    }
}

impl Models {
    /// Those of the configuration file and the environment.
    pub(crate) fn configured(file: &ConfigFile) -> anyhow::Result<Self> {
        let none = ModelFlags { models: Vec::new(), aliases: Vec::new(), accept_license: false };
        Self::gather(&none, &crate::commands::environment, file)
    }

    pub(crate) fn gather(
        flags: &ModelFlags,
        environment: &dyn Fn(&str) -> Option<String>,
        file: &ConfigFile,
    ) -> anyhow::Result<Self> {
        let licences = Licences::accepted(flags.accept_license);
        let listed = |variable: &str| -> Option<Vec<String>> {
            let text = environment(variable).filter(|text| !text.is_empty())?;
            Some(text.split(',').map(|part| part.trim().to_owned()).collect())
        };
        let (entries, entries_origin) = if !flags.models.is_empty() {
            (parse_all(&flags.models, licences)?, Origin::Flag)
        } else if let Some(models) = listed(MODELS_VARIABLE) {
            (parse_all(&models, licences).context(MODELS_VARIABLE)?, Origin::Environment)
        } else {
            let mut entries = file.models.clone();
            if flags.accept_license {
                entries.iter_mut().for_each(|entry| entry.licences = Licences::Accepted);
            }
            match entries.is_empty() {
                true => (bundled::NAMES.map(|name| entry_of(None, name, licences)).into(), Origin::Default),
                false => (entries, Origin::File),
            }
        };
        let (aliases, aliases_origin) = if !flags.aliases.is_empty() {
            (parse_aliases(&flags.aliases)?, Origin::Flag)
        } else if let Some(aliases) = listed(ALIASES_VARIABLE) {
            (parse_aliases(&aliases).context(ALIASES_VARIABLE)?, Origin::Environment)
        } else {
            let origin = if file.aliases.is_empty() { Origin::Default } else { Origin::File };
            (file.aliases.clone(), origin)
        };
        Ok(Self { entries, entries_origin, aliases, aliases_origin })
    }

    /// What `name` means: a model or alias of these, each also with `:role` behind it, else a source.
    pub(crate) fn find(
        &self,
        name: &str,
        accept_license: bool,
    ) -> anyhow::Result<(ModelEntry, Option<Role>)> {
        let entry = |name: &str| self.entries.iter().find(|entry| entry.name() == name).cloned();
        let target = match self.aliases.get(name) {
            Some(target) => target.parse::<AliasTarget>().map_err(|problem| anyhow!(problem))?,
            None => AliasTarget { model: name.to_owned(), role: None },
        };
        let mut found = match entry(&target.model) {
            Some(entry) => (entry, target.role),
            None if self.aliases.contains_key(name) => {
                bail!("alias `{name}` points to `{}`, which is no model of the configuration", target.model)
            }
            None => match name.parse::<AliasTarget>() {
                Ok(AliasTarget { model, role: Some(role) }) if !Path::new(name).exists() => {
                    let (entry, bound) = self.find(&model, accept_license)?;
                    if let Some(bound) = bound.filter(|bound| *bound != role) {
                        bail!("`{model}` is bound to role `{bound}`, so `{name}` contradicts it");
                    }
                    (entry, Some(role))
                }
                _ => {
                    let licences = Licences::Commercial;
                    (entry_of(None, name, licences), None)
                }
            },
        };
        if accept_license {
            found.0.licences = Licences::Accepted;
        }
        Ok(found)
    }
}

fn parse_all(models: &[String], licences: Licences) -> anyhow::Result<Vec<ModelEntry>> {
    models.iter().map(|text| parse(text, licences)).collect()
}

/// Reads `NAME=SOURCE` or `SOURCE`. A directory whose path holds `=` needs a name in front.
fn parse(text: &str, licences: Licences) -> anyhow::Result<ModelEntry> {
    let (name, source) = match text.split_once('=') {
        Some((name, source)) => (Some(name.to_owned()), source),
        None => (None, text),
    };
    if source.is_empty() || name.as_deref() == Some("") {
        bail!("`{text}` is no model; write NAME=SOURCE or SOURCE");
    }
    Ok(entry_of(name, source, licences))
}

fn entry_of(name: Option<String>, source: &str, licences: Licences) -> ModelEntry {
    ModelEntry { name, source: source.to_owned(), kind: None, precision: None, licences }
}

fn parse_aliases(aliases: &[String]) -> anyhow::Result<BTreeMap<String, String>> {
    aliases
        .iter()
        .map(|text| match text.split_once('=') {
            Some((alias, target)) if !alias.is_empty() && !target.is_empty() => {
                Ok((alias.to_owned(), target.to_owned()))
            }
            _ => bail!("`{text}` is no alias; write ALIAS=MODEL or ALIAS=MODEL:ROLE"),
        })
        .collect()
}

/// The files of a model, if its licence allows this use, to run in its own precision, else in `precision`, else in that
/// of its files. A model of the hub that is not in the cache is fetched.
pub(crate) fn open(entry: &ModelEntry, precision: Option<Precision>) -> anyhow::Result<ModelFiles> {
    let mut files = match bundled::directory(&entry.source)? {
        Some(directory) => ModelFiles::open(&directory)?,
        None => with_progress(|report| Ok(resolve(&entry.source, &Hub::from_env()?, report)?))?,
    };
    files.gate(entry.licences == Licences::Accepted)?;
    if let Some(precision) = entry.precision.or(precision) {
        files.precision = precision;
    }
    Ok(files)
}

/// Brings a model of the hub up to date in the cache and returns its folder; a directory is returned as it is, and a
/// model that comes with the binary is written out.
pub(crate) fn pull(source: &str) -> anyhow::Result<PathBuf> {
    if let Some(directory) = bundled::directory(source)? {
        return Ok(directory);
    }
    if Path::new(source).is_dir() {
        return Ok(source.into());
    }
    let (id, revision) = repository(source);
    with_progress(|report| Ok(Hub::from_env()?.pull(id, revision, report)?))
}

/// `owner/name@revision` in its two parts.
pub(crate) fn repository(source: &str) -> (&str, Option<&str>) {
    match source.split_once('@') {
        Some((id, revision)) => (id, Some(revision)),
        None => (source, None),
    }
}

/// Shows a bar from the first byte that `fetch` reports.
fn with_progress<T>(
    fetch: impl FnOnce(&mut dyn FnMut(Progress<'_>)) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let mut bar = None;
    let result = fetch(&mut |progress: Progress<'_>| {
        let bar = bar.get_or_insert_with(|| output::progress(progress.total, "bytes"));
        bar.set_position(progress.done);
    });
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags(models: &[&str], aliases: &[&str]) -> ModelFlags {
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        ModelFlags { models: owned(models), aliases: owned(aliases), accept_license: false }
    }

    #[test]
    fn names_come_from_sources() {
        let name = |text: &str| parse(text, Licences::Commercial).unwrap().name();
        assert_eq!(name("models/minilm/"), "minilm");
        assert_eq!(name("owner/name@v1.0"), "name");
        assert_eq!(name("own=owner/name"), "own");
        for wrong in ["", "=a", "a="] {
            assert!(parse(wrong, Licences::Commercial).is_err(), "{wrong}");
        }
    }

    #[test]
    fn flags_replace_the_environment_and_that_the_file() {
        let file = ConfigFile::parse("[[models]]\nsource = \"from/file\"", "f.toml".into()).unwrap();
        let environment = |name: &str| (name == MODELS_VARIABLE).then(|| "a=x/y, b=z".to_owned());
        let sources =
            |models: Models| models.entries.into_iter().map(|entry| entry.source).collect::<Vec<_>>();
        let gather = |flags: &ModelFlags, environment: &dyn Fn(&str) -> Option<String>| {
            sources(Models::gather(flags, environment, &file).unwrap())
        };
        assert_eq!(gather(&flags(&["c"], &[]), &environment), ["c"]);
        assert_eq!(gather(&flags(&[], &[]), &environment), ["x/y", "z"]);
        assert_eq!(gather(&flags(&[], &[]), &|_| None), ["from/file"]);
        let without = Models::gather(&flags(&[], &[]), &|_| None, &ConfigFile::default()).unwrap();
        assert_eq!(sources(without), ["elodex-embed-mini", "elodex-rerank-mini"]);
    }

    #[test]
    fn a_name_is_a_model_an_alias_or_a_source() {
        let file = ConfigFile::default();
        let models =
            Models::gather(&flags(&["m=dir"], &["a=m", "q=m:query", "bad=gone"]), &|_| None, &file).unwrap();
        let find = |name: &str| models.find(name, false).map(|(entry, role)| (entry.source, role));
        assert_eq!(find("m").unwrap(), ("dir".into(), None));
        assert_eq!(find("a").unwrap(), ("dir".into(), None));
        assert_eq!(find("q").unwrap(), ("dir".into(), Some(Role::Query)));
        assert_eq!(find("a:document").unwrap(), ("dir".into(), Some(Role::Document)));
        assert_eq!(find("other/model").unwrap(), ("other/model".into(), None));
        assert!(find("q:document").unwrap_err().to_string().contains("contradicts"));
        assert!(find("bad").unwrap_err().to_string().contains("`gone`"));
    }
}

//! Settings as command-line flags, and the sources a value is looked for in.

use super::file::ConfigFile;
use super::{DEFINITIONS, Definition, Origin};
use clap::builder::ValueParser;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};
use std::collections::BTreeMap;
use std::marker::PhantomData;

/// The settings given as flags, as text by key.
#[derive(Debug, Clone, Default)]
pub(crate) struct SettingFlags {
    values: BTreeMap<&'static str, String>,
}

impl SettingFlags {
    #[cfg(test)]
    pub(crate) fn of<const N: usize>(values: [(&'static str, &str); N]) -> Self {
        Self { values: values.map(|(key, value)| (key, value.to_owned())).into() }
    }
}

fn argument(definition: &'static Definition) -> Arg {
    let check = definition.check;
    let parser = ValueParser::from(move |text: &str| check(text).map(|()| text.to_owned()));
    let default = if definition.default.is_empty() || definition.switch {
        String::new()
    } else {
        format!(" [default: {}]", definition.default)
    };
    let argument = Arg::new(definition.key)
        .long(definition.flag())
        .value_name(definition.form)
        .help(format!("{}{default}", definition.doc))
        .help_heading("Settings")
        .action(ArgAction::Set)
        .value_parser(parser);
    if definition.switch {
        argument.num_args(0..=1).require_equals(true).default_missing_value("true")
    } else {
        argument
    }
}

impl Args for SettingFlags {
    fn augment_args(command: Command) -> Command {
        command.args(DEFINITIONS.iter().map(argument))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for SettingFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut flags = Self::default();
        flags.update_from_arg_matches(matches)?;
        Ok(flags)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        for definition in DEFINITIONS {
            if let Some(value) = matches.get_one::<String>(definition.key) {
                self.values.insert(definition.key, value.clone());
            }
        }
        Ok(())
    }
}

/// Which settings have a flag at a command.
pub(crate) trait Choice {
    /// Their keys.
    const KEYS: &[&str];
}

/// Settings that matter to a model in this process.
#[derive(Debug, Clone, Default)]
pub(crate) struct OfModel;

impl Choice for OfModel {
    const KEYS: &[&str] = &[
        "threads",
        "isa",
        "model_precision",
        "batch_tokens",
        "request_bytes",
        "memory_bytes",
        "result_bytes",
        "truncation",
    ];
}

/// Settings that matter to a data directory worked on by this process.
#[derive(Debug, Clone, Default)]
pub(crate) struct OfStore;

impl Choice for OfStore {
    const KEYS: &[&str] = &[
        "data_dir",
        "default_embedder",
        "default_reranker",
        "threads",
        "isa",
        "model_precision",
        "batch_tokens",
    ];
}

/// Settings that matter to a model that is only looked at.
#[derive(Debug, Clone, Default)]
pub(crate) struct OfLook;

impl Choice for OfLook {
    const KEYS: &[&str] = &["isa", "model_precision"];
}

/// Settings that matter to work on a model.
#[derive(Debug, Clone, Default)]
pub(crate) struct OfWork;

impl Choice for OfWork {
    const KEYS: &[&str] = &["threads", "isa"];
}

/// Settings that matter to a run of zELO, which may begin with a collection of a data directory.
#[derive(Debug, Clone, Default)]
pub(crate) struct OfRun;

impl Choice for OfRun {
    const KEYS: &[&str] = &["data_dir", "threads", "isa"];
}

/// The flags of the settings of a [`Choice`]; the others have none at that command.
#[derive(Debug, Clone, Default)]
pub(crate) struct ChosenFlags<C>(pub(crate) SettingFlags, PhantomData<C>);

/// The flags of commands that run a model.
pub(crate) type LocalFlags = ChosenFlags<OfModel>;

/// The flags of commands that look at a model.
pub(crate) type LookFlags = ChosenFlags<OfLook>;

/// The flags of commands that work on a model.
pub(crate) type WorkFlags = ChosenFlags<OfWork>;

/// The flags of runs of zELO.
pub(crate) type RunFlags = ChosenFlags<OfRun>;

/// The flags of commands that work on a data directory.
pub(crate) type StoreFlags = ChosenFlags<OfStore>;

impl<C: Choice + Default> Args for ChosenFlags<C> {
    fn augment_args(command: Command) -> Command {
        command.args(DEFINITIONS.iter().filter(|definition| C::KEYS.contains(&definition.key)).map(
            |definition| {
                // Commands with commands of their own take them in either place.
                argument(definition).global(true)
            },
        ))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl<C: Choice + Default> FromArgMatches for ChosenFlags<C> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut flags = Self::default();
        flags.update_from_arg_matches(matches)?;
        Ok(flags)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        for definition in DEFINITIONS.iter().filter(|definition| C::KEYS.contains(&definition.key)) {
            if let Some(value) = matches.get_one::<String>(definition.key) {
                self.0.values.insert(definition.key, value.clone());
            }
        }
        Ok(())
    }
}

/// Everything that can set a setting, strongest first.
#[derive(Debug)]
pub(crate) struct Sources {
    flags: SettingFlags,
    environment: BTreeMap<&'static str, String>,
    pub(crate) file: ConfigFile,
}

impl Sources {
    pub(crate) fn new(
        flags: SettingFlags,
        environment: &dyn Fn(&str) -> Option<String>,
        file: ConfigFile,
    ) -> Self {
        let set = DEFINITIONS
            .iter()
            .filter_map(|definition| Some((definition.key, environment(&definition.variable())?)))
            .collect();
        Self { flags, environment: set, file }
    }

    /// The text of a setting and where it came from; `None` where nothing sets it.
    pub(crate) fn find(&self, key: &str) -> Option<(String, Origin)> {
        let places = [
            (self.flags.values.get(key), Origin::Flag),
            (self.environment.get(key), Origin::Environment),
            (self.file.settings.get(key), Origin::File),
        ];
        places.into_iter().find_map(|(value, origin)| Some((value?.clone(), origin)))
    }

    pub(crate) fn file_name(&self) -> String {
        self.file.path.as_deref().map(|path| path.display().to_string()).unwrap_or_default()
    }
}

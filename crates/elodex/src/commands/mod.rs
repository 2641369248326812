//! What each command does.

mod audit;
mod backup;
mod bench;
mod collections;
mod config;
mod demo;
mod doctor;
mod embed;
mod eval;
mod experiments;
pub(crate) mod ingest;
mod inputs;
mod keys;
pub(crate) mod local;
mod models;
mod quantise;
mod rerank;
pub(crate) mod search;
mod serve;
mod verify;
mod zelo;

use crate::cli::{Cli, Command, ModelFlags, ModelsCommand};
use crate::output;
use crate::settings::{ConfigFile, SettingFlags, Sources};
use crate::sources::Models;
use clap::CommandFactory as _;
use std::path::PathBuf;
use std::process::ExitCode;

/// A variable of the environment; one that is not Unicode counts as unset, as no setting could hold it.
pub(crate) fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn settings(config: Option<PathBuf>, flags: SettingFlags) -> anyhow::Result<Sources> {
    let file = ConfigFile::find(config, &environment)?;
    Ok(Sources::new(flags, &environment, file))
}

pub(crate) fn models(sources: &Sources, flags: &ModelFlags) -> anyhow::Result<Models> {
    Models::gather(flags, &environment, &sources.file)
}

/// Runs a command; the exit code is not success where a check failed without an error.
pub(crate) fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let config = cli.config;
    match cli.command {
        Command::Serve(arguments) => {
            let sources = settings(config, arguments.settings)?;
            let models = models(&sources, &arguments.models)?;
            serve::serve(&sources, models)?;
        }
        Command::Demo(arguments) => demo::demo(config, arguments)?,
        Command::Ingest(arguments) => {
            ingest::ingest(&settings(config, arguments.target.settings.0.clone())?, &arguments)?;
        }
        Command::Search(arguments) => {
            search::search(&settings(config, arguments.target.settings.0.clone())?, &arguments)?;
        }
        Command::Eval(arguments) => {
            return eval::eval(&settings(config, arguments.target.settings.0.clone())?, &arguments);
        }
        Command::Audit(arguments) => {
            audit::audit(&settings(config, arguments.target.settings.0.clone())?, &arguments)?;
        }
        Command::Zelo(arguments) => {
            zelo::zelo(&settings(config, arguments.settings.0.clone())?, &arguments)?;
        }
        Command::Bench { command } => return bench::run(&command),
        Command::Collections { command, target } => {
            collections::run(&settings(config, target.settings.0.clone())?, &target, &command)?;
        }
        Command::Experiments(arguments) => experiments::show(&arguments)?,
        Command::Backup(arguments) => {
            backup::backup(&settings(config, arguments.target.settings.0.clone())?, &arguments)?;
        }
        Command::Restore(arguments) => backup::restore(&arguments)?,
        Command::Embed(arguments) => {
            embed::embed(&settings(config, arguments.settings.0.clone())?, &arguments)?
        }
        Command::Rerank(arguments) => {
            rerank::rerank(&settings(config, arguments.settings.0.clone())?, &arguments)?;
        }
        Command::Models { command } => {
            let flags = match &command {
                ModelsCommand::Show(arguments) => arguments.settings.0.clone(),
                ModelsCommand::Quantise(arguments) => arguments.settings.0.clone(),
                _ => SettingFlags::default(),
            };
            models::run(&settings(config, flags)?, &command)?;
        }
        Command::Config(arguments) => {
            let sources = settings(config, arguments.settings)?;
            let models = models(&sources, &arguments.models)?;
            config::show(&sources, &models, arguments.format)?;
        }
        Command::Doctor(arguments) => return doctor::doctor(config, arguments),
        Command::Keys { command, file } => {
            keys::run(&settings(config, SettingFlags::default())?, file, command)?;
        }
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "elodex", &mut script);
            output::line(String::from_utf8_lossy(&script).trim_end())?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

//! `elodex`: search collections, serve them and models over HTTP, run models from the command line, look after all of them.

mod audit;
mod bundled;
mod cli;
mod commands;
mod corpus;
mod evaluation;
mod library;
mod load;
mod output;
mod quantise;
mod sample;
mod settings;
mod sources;
mod store;
mod view;
mod zelo;

use clap::Parser as _;
use std::io::Write as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    match commands::run(cli) {
        Ok(code) => code,
        Err(error) if output::is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody is left to tell when standard error is gone too.
            let _ = report(&error);
            ExitCode::FAILURE
        }
    }
}

fn report(error: &anyhow::Error) -> std::io::Result<()> {
    let mut stderr = std::io::stderr().lock();
    writeln!(stderr, "error: {error}")?;
    for cause in error.chain().skip(1) {
        writeln!(stderr, "caused by: {cause}")?;
    }
    Ok(())
}

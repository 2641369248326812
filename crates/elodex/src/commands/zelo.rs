//! `elodex zelo`.

use crate::settings::Sources;
use crate::zelo::{
    Work, ZeloArgs, ZeloCommand, calibrate, candidates, export, failures, fit, judge, report, run, train,
};

pub(crate) fn zelo(sources: &Sources, arguments: &ZeloArgs) -> anyhow::Result<()> {
    let work = Work { sources, accept_license: arguments.accept_license, json: arguments.json };
    match &arguments.command {
        ZeloCommand::Candidates(arguments) => candidates(&work, arguments),
        ZeloCommand::Judge(arguments) => judge(&work, arguments),
        ZeloCommand::Fit(arguments) => fit(&work, arguments),
        ZeloCommand::Train(arguments) => train(&work, arguments),
        ZeloCommand::Failures(arguments) => failures(&work, arguments),
        ZeloCommand::Calibrate(arguments) => calibrate(&work, arguments),
        ZeloCommand::Export(arguments) => export(&work, arguments),
        ZeloCommand::Report(arguments) => report(&work, arguments),
        ZeloCommand::Run(arguments) => run(&work, arguments),
    }
}

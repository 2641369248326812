//! Where an evaluation goes: the terminal, files, and an exit code.

use super::arguments::EvalArgs;
use super::fit::Fits;
use crate::commands::search::width;
use crate::output;
use anyhow::{Context as _, bail};
use elodex_eval::Run;
use elodex_report::gate::{Baseline, FailIf, check};
use elodex_report::{Report, html, terminal};
use serde::Serialize;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The exit code where a rule of `--fail-if` holds.
const RULE_HELD: u8 = 3;
/// Characters of a query's text in the table of queries.
const TEXT: usize = 60;

/// What is to be written, read and checked before anything long begins.
#[derive(Debug)]
pub(crate) struct Outputs<'a> {
    arguments: &'a EvalArgs,
    baseline: Option<Baseline>,
    rules: Vec<FailIf>,
}

/// The JSON of a report, with what was fitted.
#[derive(Serialize)]
struct Written<'a> {
    #[serde(flatten)]
    report: &'a Report,
    #[serde(skip_serializing_if = "Option::is_none")]
    fits: Option<&'a Fits>,
}

impl<'a> Outputs<'a> {
    /// Reads the baseline and the rules, and looks whether there are folders for the files.
    pub(crate) fn check(arguments: &'a EvalArgs) -> anyhow::Result<Self> {
        let read = |path: &PathBuf| {
            let text = std::fs::read_to_string(path)
                .with_context(|| format!("cannot read the baseline `{}`", path.display()))?;
            Baseline::parse(&text).with_context(|| format!("`{}` is no baseline", path.display()))
        };
        let baseline = arguments.baseline.as_ref().map(read).transpose()?;
        let rules = arguments.fail_if.iter().map(|rule| rule.parse()).collect::<Result<Vec<FailIf>, _>>()?;
        if baseline.is_some() && rules.is_empty() {
            bail!("a baseline without a rule changes nothing; add --fail-if 'ndcg@10 < -0.01'");
        }
        for file in [&arguments.json, &arguments.html, &arguments.write_policy].into_iter().flatten() {
            let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
            if folder.is_some_and(|folder| !folder.is_dir()) {
                bail!("there is no folder for `{}`; make it first", file.display());
            }
        }
        if let Some(folder) = &arguments.write_runs {
            std::fs::create_dir_all(folder)
                .with_context(|| format!("cannot make the folder `{}`", folder.display()))?;
        }
        Ok(Self { arguments, baseline, rules })
    }

    /// Writes everything; the exit code says whether a rule holds.
    pub(crate) fn write(
        &self,
        report: &Report,
        runs: &[Run],
        fits: Option<&Fits>,
    ) -> anyhow::Result<ExitCode> {
        let arguments = self.arguments;
        let json = serde_json::to_string_pretty(&Written { report, fits })?;
        match &arguments.json {
            Some(path) if path.as_os_str() == "-" => output::line(&json)?,
            Some(path) => write(path, &json)?,
            None => {}
        }
        if arguments.json.as_ref().is_none_or(|path| path.as_os_str() != "-") {
            let colour = std::io::stdout().is_terminal() && console::colors_enabled();
            output::line(terminal(report, width(), colour))?;
            if arguments.per_query {
                output::line(format!("\n{}", queries(report)))?;
            }
            if let Some(fits) = fits {
                output::line(format!("\nFitted\n{}", fits.words.join("\n")))?;
            }
        }
        if let Some(path) = &arguments.html {
            write(path, &html(report))?;
        }
        if let Some(folder) = &arguments.write_runs {
            for run in runs {
                let file = folder.join(format!("{}.trec", run.tag().replace(['/', ':'], "_")));
                run.write(&file)?;
            }
            output::note(format!("{} runs written to `{}`", runs.len(), folder.display()));
        }
        if let (Some(path), Some(fits)) = (&arguments.write_policy, fits) {
            write(path, &serde_json::to_string_pretty(&fits.policy)?)?;
        }
        if self.rules.is_empty() {
            return Ok(ExitCode::SUCCESS);
        }
        let verdict = check(report, self.baseline.as_ref(), &self.rules)?;
        output::note(&verdict);
        Ok(if verdict.passed() { ExitCode::SUCCESS } else { ExitCode::from(RULE_HELD) })
    }
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    std::fs::write(path, format!("{text}\n"))
        .with_context(|| format!("cannot write `{}`", path.display()))?;
    output::note(format!("`{}` written", path.display()));
    Ok(())
}

/// The main measure of every query by system.
fn queries(report: &Report) -> String {
    let mut header = vec!["query"];
    header.extend(report.systems.iter().map(|system| system.name.as_str()));
    header.push("text");
    let rows: Vec<Vec<String>> = report
        .queries
        .iter()
        .map(|query| {
            let mut row = vec![query.id.clone()];
            row.extend(query.values.iter().map(|value| format!("{value:.4}")));
            row.push(elodex_report::shorten(query.text.as_deref().unwrap_or_default(), TEXT));
            row
        })
        .collect();
    output::table(&header, &rows)
}

/// Runs as `NAME=PATH` or `PATH`, under the name or the file's.
pub(crate) fn read_runs(files: &[String]) -> anyhow::Result<Vec<Run>> {
    let mut runs: Vec<Run> = Vec::new();
    for text in files {
        let (name, path) = match text.split_once('=') {
            Some((name, path)) if !Path::new(text).exists() => (name.to_owned(), Path::new(path)),
            _ => {
                let path = Path::new(text);
                let stem = path.file_stem().unwrap_or_default().to_string_lossy();
                (stem.into_owned(), path)
            }
        };
        if name.is_empty() {
            bail!("run `{text}` has no name; write NAME=PATH");
        }
        if runs.iter().any(|run| run.tag() == name) {
            bail!("two runs are named `{name}`; give one another name with NAME=PATH");
        }
        runs.push(Run::read(path)?.with_tag(name));
    }
    Ok(runs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_have_their_files_names_or_their_own() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("bm25.trec");
        std::fs::write(&file, "q Q0 d 1 1.0 tag\n").unwrap();
        let path = file.display().to_string();
        let runs = read_runs(&[path.clone(), format!("new={path}")]).unwrap();
        assert_eq!(runs.iter().map(Run::tag).collect::<Vec<_>>(), ["bm25", "new"]);
        let error = read_runs(&[path.clone(), path.clone()]).unwrap_err().to_string();
        assert!(error.contains("two runs are named `bm25`"), "{error}");
        assert!(read_runs(&[format!("={path}")]).is_err());
    }
}

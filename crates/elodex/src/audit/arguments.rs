//! What `elodex audit` can be told, and the questions in it.

use crate::library::LibraryArgs;
use anyhow::{Context as _, bail};
use clap::Args;
use serde::Deserialize;
use std::path::{Path, PathBuf};

const EXAMPLES: &str = "\
Examples:

  elodex audit -c docs 'how long are invoices kept' --answer handbook/tax.md
  elodex audit -c docs 'how long are invoices kept' --answer 'handbook/tax.md#kept for ten years' \\
    'who signs travel costs' --answer handbook/travel.md --url http://127.0.0.1:8080
  elodex audit -c docs --file audit.jsonl

A line of audit.jsonl: {\"query\": \"…\", \"answer\": \"handbook/tax.md\", \"text\": \"kept for ten years\"}; `text` may be left out.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct AuditArgs {
    /// Queries, each with its --answer.
    pub(crate) queries: Vec<String>,
    /// The document that should answer a query, and behind `#` the words that do; one for each query, in their order.
    #[arg(long = "answer", value_name = "DOCUMENT[#TEXT]")]
    pub(crate) answers: Vec<String>,
    /// File with a JSON object a line: `query`, `answer` and, where it is known, `text`.
    #[arg(long, value_name = "PATH")]
    pub(crate) file: Option<PathBuf>,
    /// Where the answers should be found.
    #[arg(long, short, value_name = "NAME")]
    pub(crate) collection: String,
    /// Reranker of the second stage [default: the setting default_reranker, else the only one].
    #[arg(long, value_name = "NAME")]
    pub(crate) reranker: Option<String>,
    /// Candidates of each list, as searches have them.
    #[arg(long, default_value_t = 100, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(10..=1000))]
    pub(crate) depth: u32,
    /// Write what was found as JSON; `-` prints it instead of text.
    #[arg(long, value_name = "PATH")]
    pub(crate) json: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) target: LibraryArgs,
}

/// A query and what should answer it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Case {
    pub(crate) query: String,
    /// The document's path.
    pub(crate) document: String,
    /// Words of the passage.
    pub(crate) text: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    query: String,
    answer: String,
    text: Option<String>,
}

impl Case {
    fn new(query: &str, document: &str, text: Option<&str>) -> anyhow::Result<Self> {
        let text = text.map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned);
        if query.trim().is_empty() || document.trim().is_empty() {
            bail!("a query or its answer is empty; name both");
        }
        Ok(Self { query: query.to_owned(), document: document.trim().to_owned(), text })
    }
}

/// The cases of a command line; at least one.
pub(crate) fn cases(arguments: &AuditArgs) -> anyhow::Result<Vec<Case>> {
    let (queries, answers) = (&arguments.queries, &arguments.answers);
    if queries.len() != answers.len() {
        bail!(
            "{} queries and {} answers are not pairs; write an --answer for each query, and a query of several words \
             between quotes",
            queries.len(),
            answers.len()
        );
    }
    let mut cases = Vec::new();
    for (query, answer) in queries.iter().zip(answers) {
        let (document, text) = match answer.split_once('#') {
            Some((document, text)) => (document, Some(text)),
            None => (answer.as_str(), None),
        };
        cases.push(Case::new(query, document, text)?);
    }
    if let Some(path) = &arguments.file {
        cases.extend(read(path)?);
    }
    if cases.is_empty() {
        bail!("nothing to audit; write a query and its --answer, or name a --file");
    }
    Ok(cases)
}

fn read(path: &Path) -> anyhow::Result<Vec<Case>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read `{}`", path.display()))?;
    let mut cases = Vec::new();
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let place = || format!("{}:{}", path.display(), number + 1);
        let line: Line = serde_json::from_str(line)
            .with_context(|| format!("{}: no object with `query`, `answer` and perhaps `text`", place()))?;
        cases.push(Case::new(&line.query, &line.answer, line.text.as_deref()).with_context(place)?);
    }
    if cases.is_empty() {
        bail!("{}: no lines; write a query and its answer", path.display());
    }
    Ok(cases)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Typed {
        #[command(flatten)]
        audit: AuditArgs,
    }

    fn typed(arguments: &[&str]) -> anyhow::Result<Vec<Case>> {
        let all = [&["audit", "-c", "docs"], arguments].concat();
        cases(&Typed::try_parse_from(all)?.audit)
    }

    #[test]
    fn queries_and_answers_are_pairs() {
        let found = typed(&["one", "--answer", "a.md", "two words", "--answer", "b.md# ten years "]).unwrap();
        assert_eq!(found[0], Case { query: "one".into(), document: "a.md".into(), text: None });
        assert_eq!(found[1].text.as_deref(), Some("ten years"));
        let error = typed(&["two", "words", "--answer", "a.md"]).err().unwrap().to_string();
        assert!(error.contains("2 queries and 1 answers are not pairs"), "{error}");
        assert!(typed(&[]).err().unwrap().to_string().contains("nothing to audit"));
        assert!(typed(&["one", "--answer", "#x"]).err().unwrap().to_string().contains("is empty"));
    }

    #[test]
    fn lines_of_a_file_are_named_where_they_are_wrong() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.jsonl");
        let path = file.to_str().unwrap();
        std::fs::write(
            &file,
            "{\"query\": \"q\", \"answer\": \"a\", \"text\": \"t\"}\n\n{\"query\": \"r\"}\n",
        )
        .unwrap();
        let error = format!("{:#}", typed(&["--file", path]).err().unwrap());
        assert!(error.contains("a.jsonl:3: no object") && error.contains("answer"), "{error}");
        std::fs::write(&file, "{\"query\": \"q\", \"answer\": \"a#b\"}\n").unwrap();
        assert_eq!(typed(&["--file", path]).unwrap()[0].document, "a#b");
    }
}

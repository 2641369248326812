//! Where a run's queries are from: judged ones, a log, or a chat model that reads passages.

use super::arguments::{CandidatesArgs, ChatArgs};
use super::folder::{RunFolder, joined, read_lines};
use super::interrupt;
use crate::commands::environment;
use crate::evaluation::{Questions, file_hash};
use crate::output;
use anyhow::{Context as _, bail, ensure};
use elodex_eval::{Protocol, Qrels, read_queries};
use elodex_train::battle::Spent;
use elodex_train::judge::{ApiKey, ChatOptions, Prices, QueryWriter};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// Of the sample that a limit takes and of the passages that queries are written for.
const SEED: u64 = 0;
/// Failures one after another that end the writing of queries.
const FAILURES_IN_A_ROW: usize = 10;
/// Calls at a time where nothing else is asked for.
const CALLS: usize = 8;

/// Where queries are from, with all that decides which they are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub(crate) enum Asked {
    /// The judged queries of a split of the data.
    Split { name: String, queries: String, qrels: String, limit: Option<u32> },
    /// A file.
    Log { queries: String, limit: Option<u32> },
    /// A chat model.
    Written { count: u32, writer: String },
}

impl Asked {
    /// `data` is the folder of the documents.
    pub(crate) fn of(arguments: &CandidatesArgs, data: &Path) -> anyhow::Result<Self> {
        let hash = |path: &Path| {
            file_hash(path).with_context(|| format!("cannot read the queries' file `{}`", path.display()))
        };
        let limit = arguments.limit;
        if let Some(file) = &arguments.queries {
            return Ok(Self::Log { queries: hash(file)?, limit });
        }
        if let Some(count) = arguments.generate {
            let writer = QueryWriter::new(chat_options(&arguments.chat, None)?)?.identity();
            return Ok(Self::Written { count, writer });
        }
        let (queries, qrels) = (data.join("queries.jsonl"), split_file(data, arguments));
        ensure!(
            qrels.is_file(),
            "there are no judgements `{}`; name another --split, or take queries of a log with --queries, or have some \
             written with --generate",
            qrels.display()
        );
        Ok(Self::Split {
            name: arguments.split.clone(),
            queries: hash(&queries)?,
            qrels: hash(&qrels)?,
            limit,
        })
    }

    /// Where they are from, in words.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Split { name, .. } => format!("the judged queries of the split `{name}`"),
            Self::Log { .. } => "queries of a log".to_owned(),
            Self::Written { writer, .. } => format!("queries written by {writer}"),
        }
    }
}

fn split_file(data: &Path, arguments: &CandidatesArgs) -> PathBuf {
    data.join("qrels").join(format!("{}.tsv", arguments.split))
}

/// Writes the run's queries and what labels they have.
pub(crate) fn prepare(run: &RunFolder, arguments: &CandidatesArgs) -> anyhow::Result<()> {
    match &run.beginning()?.asked {
        Asked::Split { limit, .. } => of_split(run, arguments, *limit),
        Asked::Log { limit, .. } => {
            let file = arguments.queries.as_deref().context("queries without a file")?;
            of_log(run, file, *limit)
        }
        Asked::Written { count, .. } => written(run, &arguments.chat, *count as usize),
    }
}

fn of_split(run: &RunFolder, arguments: &CandidatesArgs, limit: Option<u32>) -> anyhow::Result<()> {
    let data = run.data()?;
    let qrels = Qrels::read(&split_file(&data, arguments))?;
    let texts = read_queries(&data.join("queries.jsonl"))?;
    let documents = run.documents()?;
    let knows = |document: &str| documents.contains_key(document);
    let limit = limit.map(|limit| limit as usize);
    let questions = Questions::gather(qrels, texts, limit, &Protocol::default(), knows)?;
    for note in &questions.notes {
        output::note(note);
    }
    let mut labels = Vec::new();
    for (query, judged) in questions.qrels.queries() {
        for (document, judgement) in judged.iter().filter(|_| questions.texts.contains_key(query)) {
            labels.push((query.to_owned(), document.clone(), judgement.grade));
        }
    }
    write(run, &questions.texts, &labels)
}

/// One line of a log.
#[derive(Deserialize)]
struct Line {
    #[serde(rename = "_id")]
    id: Option<String>,
    text: String,
}

fn of_log(run: &RunFolder, file: &Path, limit: Option<u32>) -> anyhow::Result<()> {
    let name = file.display();
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read `{name}`"))?;
    let texts = parse_log(&text, &name.to_string(), limit)?;
    write(run, &texts, &[])
}

/// Queries of a log by id; what was asked twice counts once.
fn parse_log(text: &str, name: &str, limit: Option<u32>) -> anyhow::Result<BTreeMap<String, String>> {
    let mut seen = HashSet::new();
    let mut texts: BTreeMap<String, String> = BTreeMap::new();
    for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()) {
        let Line { id, text } = if line.trim_start().starts_with('{') {
            serde_json::from_str(line).with_context(|| {
                format!("line {number} of `{name}` begins like a JSON object, but has no `text`")
            })?
        } else {
            Line { id: None, text: line.trim().to_owned() }
        };
        ensure!(!text.trim().is_empty(), "line {number} of `{name}` holds an empty query; leave it out");
        if !seen.insert(text.clone()) {
            continue;
        }
        let id = id.unwrap_or_else(|| format!("line-{number:06}"));
        if texts.contains_key(&id) {
            bail!("line {number} of `{name}` has the `_id` `{id}` of an earlier one; give it another");
        }
        texts.insert(id, text);
    }
    ensure!(!texts.is_empty(), "`{name}` holds no query; give at least one line");
    if let Some(limit) = limit.map(|limit| limit as usize).filter(|limit| *limit < texts.len()) {
        let ids: Vec<String> = texts.keys().cloned().collect();
        let chosen: BTreeSet<String> =
            fastrand::Rng::with_seed(SEED).choose_multiple(ids, limit).into_iter().collect();
        texts.retain(|id, _| chosen.contains(id));
    }
    Ok(texts)
}

fn write(
    run: &RunFolder,
    texts: &BTreeMap<String, String>,
    labels: &[(String, String, i32)],
) -> anyhow::Result<()> {
    if !labels.is_empty() {
        let mut table = String::from("query-id\tcorpus-id\tscore\n");
        for (query, document, grade) in labels {
            // Writing to a string cannot fail.
            let _ = writeln!(table, "{query}\t{document}\t{grade}");
        }
        run.write("qrels.tsv", table.as_bytes())?;
    }
    let mut lines = String::new();
    for (id, text) in texts {
        let _ = writeln!(lines, "{}", json!({ "_id": id, "text": text }));
    }
    run.write("queries.jsonl", lines.as_bytes())
}

/// A query that was written, as a line of the run's queries.
#[derive(Serialize, Deserialize)]
struct Written {
    #[serde(rename = "_id")]
    id: String,
    text: String,
    source: String,
}

/// Has queries written for documents drawn at random, and keeps each as it comes.
fn written(run: &RunFolder, chat: &ChatArgs, count: usize) -> anyhow::Result<()> {
    let stop = interrupt::stop()?;
    let documents = run.documents()?;
    ensure!(
        count <= documents.len(),
        "{count} queries are more than the {} documents there are; --generate fewer",
        documents.len()
    );
    let mut ids: Vec<String> = documents.keys().cloned().collect();
    fastrand::Rng::with_seed(SEED).shuffle(&mut ids);
    ids.truncate(count);
    let file = run.file("queries.jsonl");
    let there = read_written(&file)?;
    let done: HashSet<&String> = there.iter().map(|written| &written.source).collect();
    let open: Vec<&String> = ids.iter().filter(|id| !done.contains(id)).collect();
    let writer = QueryWriter::new(chat_options(chat, None)?)?;
    output::note(format!("{} of {count} queries are to be written by {}", open.len(), writer.identity()));

    let appended = std::fs::OpenOptions::new().create(true).append(true).open(&file);
    let appended = Mutex::new(appended.with_context(|| format!("cannot write `{}`", file.display()))?);
    let bar = output::progress(open.len() as u64, "queries");
    let next = AtomicUsize::new(0);
    let row = AtomicUsize::new(0);
    let ends: Mutex<Vec<anyhow::Error>> = Mutex::new(Vec::new());
    let spent = Mutex::new(Spent::default());
    let failed = Mutex::new(BTreeMap::<String, usize>::new());
    let end = |error| lock(&ends).push(error);
    let ask = |id: &String| -> anyhow::Result<()> {
        let document = documents.get(id).cloned().context("a document went away")?;
        let answer = writer.write(&joined(document), stop)?;
        *lock(&spent) += answer.spent;
        match answer.query {
            Ok(text) => {
                row.store(0, Ordering::Relaxed);
                let written = Written { id: format!("written-{id}"), text, source: id.clone() };
                let line = format!("{}\n", serde_json::to_string(&written)?);
                let mut file = lock(&appended);
                file.write_all(line.as_bytes()).and_then(|()| file.sync_data()).context(
                    "cannot keep a query that was written; make room and run the command again to go on",
                )
            }
            Err(reason) => {
                *lock(&failed).entry(reason.clone()).or_default() += 1;
                let row = row.fetch_add(1, Ordering::Relaxed) + 1;
                ensure!(
                    row < FAILURES_IN_A_ROW,
                    "{row} queries were not written one after another, at last because: {reason}; mend that and run the \
                     command again to go on"
                );
                Ok(())
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..chat.concurrency.map_or(CALLS, |calls| calls as usize).min(open.len()) {
            scope.spawn(|| {
                while lock(&ends).is_empty() {
                    let Some(id) = open.get(next.fetch_add(1, Ordering::Relaxed)) else { return };
                    if let Err(error) = ask(id) {
                        return end(error);
                    }
                    bar.inc(1);
                }
            });
        }
    });
    bar.finish_and_clear();
    let spent = *lock(&spent);
    output::note(format!("{} calls were answered, for {:.4}", spent.calls, spent.cost));
    for (reason, times) in lock(&failed).iter() {
        output::note(format!("warning: {times} queries were not written: {reason}"));
    }
    if let Some(error) = lock(&ends).pop() {
        return Err(error);
    }
    let queries = read_written(&file)?;
    ensure!(!queries.is_empty(), "no query was written; see the reasons above");
    let mut labels = String::from("query-id\tcorpus-id\tscore\n");
    for Written { id, source, .. } in &queries {
        let _ = writeln!(labels, "{id}\t{source}\t1");
    }
    run.write("qrels.tsv", labels.as_bytes())
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn read_written(file: &Path) -> anyhow::Result<Vec<Written>> {
    read_lines(file, "query that was written")
}

/// How a chat model is called; `model` is its name where the judge names it.
pub(crate) fn chat_options(chat: &ChatArgs, model: Option<&str>) -> anyhow::Result<ChatOptions> {
    let url = chat.chat_url.as_deref().context(
        "a chat model needs an address; give one with --chat-url, such as http://127.0.0.1:8000/v1",
    )?;
    let model = model
        .or(chat.chat_model.as_deref())
        .context("a chat model needs a name; give it with --chat-model, or as chat:NAME where it judges")?;
    let mut options = ChatOptions::new(url, model);
    options.reply_form = chat.chat_reply.form();
    options.prices = Prices { input_per_million: chat.price_input, output_per_million: chat.price_output };
    if let Some(variable) = &chat.chat_key_env {
        let key = environment(variable).with_context(|| {
            format!("the environment has no variable `{variable}`; put the API's key there")
        })?;
        options.key = Some(ApiKey::new(&key)?);
    }
    Ok(options)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_lines_or_objects_and_repetitions_count_once() {
        let text = "how long\n\n{\"text\": \"what now\", \"_id\": \"a\"}\nhow long\n{\"text\": \"who\"}\n";
        let found = parse_log(text, "log", None).unwrap();
        let expected = [("a", "what now"), ("line-000001", "how long"), ("line-000005", "who")];
        assert_eq!(found.iter().map(|(id, text)| (&**id, &**text)).collect::<Vec<_>>(), expected);
        assert_eq!(parse_log(text, "log", Some(2)).unwrap().len(), 2);
        let problem = |text| parse_log(text, "log", None).unwrap_err().to_string();
        assert!(problem("{\"query\": \"x\"}").starts_with("line 1 of `log` begins like"));
        assert!(problem("\n").contains("holds no query"));
        assert!(
            problem("{\"_id\": \"a\", \"text\": \"x\"}\n{\"_id\": \"a\", \"text\": \"y\"}").contains("`a`")
        );
    }
}

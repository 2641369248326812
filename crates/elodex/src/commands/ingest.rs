//! `elodex ingest`.

use crate::cli::IngestArgs;
use crate::corpus::{self, Source};
use crate::library::{self, Added, Library};
use crate::output;
use crate::settings::Sources;
use anyhow::{Context as _, bail};
use notify::{RecursiveMode, Watcher as _};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

/// How often the state of indexing is asked for.
const POLL: Duration = Duration::from_millis(250);
/// A file that is written to is read when nothing happened for so long.
const QUIET: Duration = Duration::from_millis(700);
/// Failed documents that are named.
const NAMED_FAILURES: usize = 20;

pub(crate) fn ingest(sources: &Sources, arguments: &IngestArgs) -> anyhow::Result<()> {
    if arguments.paths.is_empty() {
        bail!("nothing to ingest; name files, folders, patterns or `-` for JSON lines from standard input");
    }
    let target = library::open(sources, &arguments.target)?;
    let found = corpus::sources(&arguments.paths)?;
    library::ensure_collection(&*target, &arguments.collection)?;
    let added = add(&*target, &arguments.collection.collection, &found, !arguments.keep)?;
    report(added);
    if !arguments.no_wait {
        wait(&*target, &arguments.collection.collection)?;
    }
    if arguments.watch {
        watch(&*target, arguments)?;
    }
    Ok(())
}

/// Adds every document of `found` with a bar.
pub(crate) fn add(
    target: &dyn Library,
    collection: &str,
    found: &[Source],
    overwrite: bool,
) -> anyhow::Result<Added> {
    let bar = output::progress(corpus::count(found)?.unwrap_or_default(), "documents");
    let mut total = Added::default();
    corpus::read(found, &mut |documents| {
        let count = documents.len() as u64;
        total += target.add(collection, documents, overwrite)?;
        bar.inc(count);
        Ok(())
    })?;
    bar.finish_and_clear();
    Ok(total)
}

fn report(added: Added) {
    let parts = [
        (added.created, "added"),
        (added.replaced, "replaced"),
        (added.unchanged, "unchanged"),
        (added.kept, "kept as they were"),
    ];
    let said: Vec<String> =
        parts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
    output::note(if said.is_empty() { "no documents".to_owned() } else { said.join(", ") });
}

/// Waits with a bar until every document can be searched or has failed; an error where any has.
pub(crate) fn wait(target: &dyn Library, collection: &str) -> anyhow::Result<()> {
    let mut bar = None;
    let status = loop {
        let status = target.call("/v1/status/get-status", &json!({ "collection_name": collection }))?;
        let count = |name: &str| status[name].as_u64().unwrap_or_default();
        let pending = count("num_parsing_documents") + count("num_indexing_documents");
        if pending == 0 {
            break status;
        }
        let bar = bar.get_or_insert_with(|| output::progress(pending, "indexed"));
        if bar.length().is_some_and(|length| length < pending) {
            bar.set_length(pending);
        }
        bar.set_position(bar.length().unwrap_or_default().saturating_sub(pending));
        std::thread::sleep(POLL);
    };
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
    target.settle(collection)?;
    let indexed = status["num_indexed_documents"].as_u64().unwrap_or_default();
    output::note(format!("{indexed} documents in `{collection}` can be searched"));
    let failed = status["num_failed_documents"].as_u64().unwrap_or_default();
    if failed > 0 {
        for line in failures(target, collection)? {
            output::note(line);
        }
        bail!("{failed} documents of `{collection}` could not be indexed");
    }
    Ok(())
}

/// The first failed documents, with their reasons.
fn failures(target: &dyn Library, collection: &str) -> anyhow::Result<Vec<String>> {
    let mut lines = Vec::new();
    let mut after = Value::Null;
    loop {
        let body = json!({ "collection_name": collection, "limit": 1024, "path_gt": after });
        let answer = target.call("/v1/documents/get-document-info-list", &body)?;
        let documents = answer["documents"].as_array().context("the list of documents has no documents")?;
        let Some(last) = documents.last() else { return Ok(lines) };
        for document in documents {
            let status = document["index_status"].as_str().unwrap_or_default();
            if status.ends_with("_failed") {
                let reason = document["failure"].as_str().unwrap_or("no reason given");
                lines.push(format!("{}: {status}: {reason}", document["path"].as_str().unwrap_or_default()));
            }
            if lines.len() == NAMED_FAILURES {
                lines.push("…".to_owned());
                return Ok(lines);
            }
        }
        after = last["path"].clone();
    }
}

/// Follows what happens to the files and folders that were named, until the process is stopped.
fn watch(target: &dyn Library, arguments: &IngestArgs) -> anyhow::Result<()> {
    let collection = &arguments.collection.collection;
    let (events, happened) = mpsc::channel();
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        // The receiver lives as long as the watcher.
        let _ = events.send(event);
    })
    .context("cannot watch the file system")?;
    let mut watched = 0;
    for path in arguments.paths.iter().map(Path::new).filter(|path| path.exists()) {
        watcher
            .watch(path, RecursiveMode::Recursive)
            .with_context(|| format!("cannot watch `{}`", path.display()))?;
        watched += 1;
    }
    if watched == 0 {
        bail!("--watch follows files and folders; none was named");
    }
    output::note(format!("watching {watched} paths; stop with Ctrl-C"));
    loop {
        let mut touched = BTreeSet::new();
        let first = happened.recv().context("the file system's watcher has gone")?;
        touched.extend(first.context("cannot watch the file system any more")?.paths);
        while let Ok(event) = happened.recv_timeout(QUIET) {
            touched.extend(event.context("cannot watch the file system any more")?.paths);
        }
        follow(target, collection, touched)?;
    }
}

/// Adds what is there of `touched` and deletes what has gone.
fn follow(target: &dyn Library, collection: &str, touched: BTreeSet<PathBuf>) -> anyhow::Result<()> {
    let here = std::env::current_dir().context("the current folder has gone")?;
    let mut sources = Vec::new();
    let mut gone = Vec::new();
    for file in touched {
        let hidden = file.file_name().is_none_or(|name| name.to_string_lossy().starts_with('.'));
        let file = file.strip_prefix(&here).map(Path::to_owned).unwrap_or(file);
        let path = corpus::document_path(&file);
        if hidden || file.is_dir() {
            continue;
        }
        if file.is_file() {
            sources.push(Source::File { file, path });
        } else {
            gone.push(path);
        }
    }
    if !sources.is_empty() {
        report(add(target, collection, &sources, true)?);
    }
    for paths in gone.chunks(64) {
        // Paths that were never in the collection are no trouble.
        let body = json!({ "collection_name": collection, "path": paths });
        if target.call("/v1/documents/delete-document", &body).is_ok() {
            output::note(format!("deleted {}", paths.join(", ")));
        }
    }
    Ok(())
}

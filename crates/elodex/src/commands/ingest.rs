//! `elodex ingest`.

use crate::cli::IngestArgs;
use crate::corpus::{self, Source};
use crate::library::{self, Added, Library};
use crate::output;
use crate::settings::Sources;
use anyhow::{Context as _, bail};
use notify::{RecursiveMode, Watcher as _};
use serde_json::{Value, json};
use std::collections::{BTreeSet, HashSet};
use std::ops::ControlFlow;
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
    let collection = &arguments.collection.collection;
    let folders = if arguments.prune { folders_to_prune(arguments)? } else { Vec::new() };
    let target = library::open(sources, &arguments.target)?;
    // From here on nothing that happens to the files is missed.
    let watch = if arguments.watch { Some(Watch::begin(arguments)?) } else { None };
    let mut problems = Vec::new();
    let found = corpus::sources(&arguments.paths, &mut problems)?;
    library::ensure_collection(&*target, &arguments.collection)?;
    let mut paths = HashSet::new();
    let added = add(&*target, collection, &found, !arguments.keep, &mut |path| {
        paths.insert(path.to_owned());
    })?;
    problems.extend(report(added));
    if arguments.prune {
        prune(&*target, collection, &folders, &found, &paths, &problems)?;
    }
    if !arguments.no_wait {
        problems.extend(wait_for(&*target, collection, &paths)?);
    }
    output::notes(&problems);
    match watch {
        Some(watch) => watch.follow(&*target, collection),
        None if problems.is_empty() => Ok(()),
        None => bail!("{} of what was named could not be ingested into `{collection}`", problems.len()),
    }
}

/// Adds every document of `found` with a bar, and tells `seen` their paths.
pub(crate) fn add(
    target: &dyn Library,
    collection: &str,
    found: &[Source],
    overwrite: bool,
    seen: &mut dyn FnMut(&str),
) -> anyhow::Result<Added> {
    let bar = output::progress(corpus::count(found)?.unwrap_or_default(), "documents");
    let mut total = Added::default();
    let mut problems = Vec::new();
    corpus::read(found, &mut problems, &mut |documents| {
        let count = documents.len() as u64;
        documents.iter().for_each(|document| seen(&document.path));
        total += target.add(collection, documents, overwrite)?;
        bar.inc(count);
        Ok(())
    })?;
    bar.finish_and_clear();
    total.refused.extend(problems);
    Ok(total)
}

/// Says what became of documents, but for those that were refused, which it hands back.
fn report(added: Added) -> Vec<String> {
    let parts = [
        (added.created, "added"),
        (added.replaced, "replaced"),
        (added.unchanged, "unchanged"),
        (added.kept, "kept as they were"),
    ];
    let said: Vec<String> =
        parts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
    output::note(if said.is_empty() { "no documents".to_owned() } else { said.join(", ") });
    added.refused
}

/// Waits with a bar until every document can be searched or has failed; an error where any has.
pub(crate) fn wait(target: &dyn Library, collection: &str) -> anyhow::Result<()> {
    let status = wait_until_searched(target, collection)?;
    if status.failed > 0 {
        output::notes(&failures(target, collection)?);
        bail!("{} documents of `{collection}` could not be indexed", status.failed);
    }
    Ok(())
}

fn wait_until_searched(target: &dyn Library, collection: &str) -> anyhow::Result<Indexed> {
    let status = wait_for_all(target, collection)?;
    target.settle(collection)?;
    output::note(format!("{} documents in `{collection}` can be searched", status.indexed));
    Ok(status)
}

/// Waits as [`wait`] does; those of `paths` that failed, with their reasons.
fn wait_for(target: &dyn Library, collection: &str, paths: &HashSet<String>) -> anyhow::Result<Vec<String>> {
    if wait_until_searched(target, collection)?.failed == 0 {
        return Ok(Vec::new());
    }
    let mut problems = Vec::new();
    let mut before = 0;
    each_failure(target, collection, &mut |path, reason| {
        if paths.contains(path) {
            problems.push(format!("{path}: {reason}"));
        } else {
            before += 1;
        }
        ControlFlow::Continue(())
    })?;
    if before > 0 {
        output::note(format!("{before} other documents of `{collection}` could not be indexed earlier"));
    }
    Ok(problems)
}

/// A collection's documents by state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Indexed {
    /// Not searched yet.
    pub(crate) pending: u64,
    pub(crate) indexed: u64,
    pub(crate) failed: u64,
}

/// Where indexing stands.
pub(crate) fn status(target: &dyn Library, collection: &str) -> anyhow::Result<Indexed> {
    let status = target.call("/v1/status/get-status", &json!({ "collection_name": collection }))?;
    let count = |name: &str| status[name].as_u64().unwrap_or_default();
    Ok(Indexed {
        pending: count("num_parsing_documents") + count("num_indexing_documents"),
        indexed: count("num_indexed_documents"),
        failed: count("num_failed_documents"),
    })
}

/// Waits with a bar until no document is on its way any more.
pub(crate) fn wait_for_all(target: &dyn Library, collection: &str) -> anyhow::Result<Indexed> {
    let mut bar = None;
    let status = loop {
        let status = status(target, collection)?;
        if status.pending == 0 {
            break status;
        }
        let bar = bar.get_or_insert_with(|| output::progress(status.pending, "indexed"));
        if bar.length().is_some_and(|length| length < status.pending) {
            bar.set_length(status.pending);
        }
        bar.set_position(bar.length().unwrap_or_default().saturating_sub(status.pending));
        std::thread::sleep(POLL);
    };
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
    Ok(status)
}

/// The first failed documents, with their reasons.
pub(crate) fn failures(target: &dyn Library, collection: &str) -> anyhow::Result<Vec<String>> {
    let mut lines = Vec::new();
    each_failure(target, collection, &mut |path, reason| {
        lines.push(format!("{path}: {reason}"));
        if lines.len() <= NAMED_FAILURES { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    Ok(lines)
}

/// Shows `visit` the path of every failed document, and its state with the reason.
fn each_failure(
    target: &dyn Library,
    collection: &str,
    visit: &mut dyn FnMut(&str, String) -> ControlFlow<()>,
) -> anyhow::Result<()> {
    each_document(target, collection, "", &mut |document| {
        let status = document["index_status"].as_str().unwrap_or_default();
        if !status.ends_with("_failed") {
            return ControlFlow::Continue(());
        }
        let reason = document["failure"].as_str().unwrap_or("no reason given");
        visit(document["path"].as_str().unwrap_or_default(), format!("{status}: {reason}"))
    })
}

/// Shows `visit` the documents whose paths begin with `prefix`, by path, until it breaks.
pub(crate) fn each_document(
    target: &dyn Library,
    collection: &str,
    prefix: &str,
    visit: &mut dyn FnMut(&Value) -> ControlFlow<()>,
) -> anyhow::Result<()> {
    let mut after = Value::Null;
    loop {
        let body =
            json!({ "collection_name": collection, "limit": 1024, "path_gt": after, "path_prefix": prefix });
        let answer = target.call("/v1/documents/get-document-info-list", &body)?;
        let documents = answer["documents"].as_array().context("the list of documents has no documents")?;
        let Some(last) = documents.last() else { return Ok(()) };
        if documents.iter().try_for_each(&mut *visit).is_break() {
            return Ok(());
        }
        after = last["path"].clone();
    }
}

/// The folders whose documents are compared with what is in them, as prefixes of paths.
fn folders_to_prune(arguments: &IngestArgs) -> anyhow::Result<Vec<String>> {
    let folders = arguments.paths.iter().map(Path::new).filter(|path| path.is_dir());
    let prefixes = folders.map(|folder| {
        let name = corpus::document_path(folder);
        if name.is_empty() {
            bail!(
                "--prune would take every document of `{}` for one of `{}`; name a folder below it",
                arguments.collection.collection,
                folder.display()
            );
        }
        Ok(format!("{name}/"))
    });
    prefixes.collect()
}

/// Deletes documents below these folders that are none of `paths`.
fn prune(
    target: &dyn Library,
    collection: &str,
    folders: &[String],
    found: &[Source],
    paths: &HashSet<String>,
    problems: &[String],
) -> anyhow::Result<()> {
    if !problems.is_empty() {
        output::note("nothing is deleted, since not everything could be read");
        return Ok(());
    }
    for source in found {
        if let Source::Lines(file) = source {
            let file = file.display();
            output::note(format!(
                "--prune leaves documents that have gone from `{file}`: lines name no folder"
            ));
        }
    }
    let mut gone = Vec::new();
    for inside in folders {
        each_document(target, collection, inside, &mut |document| {
            let path = document["path"].as_str().unwrap_or_default();
            if !paths.contains(path) {
                gone.push(path.to_owned());
            }
            ControlFlow::Continue(())
        })?;
    }
    delete(target, collection, &gone)
}

fn delete(target: &dyn Library, collection: &str, paths: &[String]) -> anyhow::Result<()> {
    for paths in paths.chunks(64) {
        target.call(
            "/v1/documents/delete-document",
            &json!({ "collection_name": collection, "path": paths }),
        )?;
        output::note(format!("deleted {}", paths.join(", ")));
    }
    Ok(())
}

/// Files and folders whose changes are followed.
struct Watch {
    roots: Vec<Root>,
    happened: mpsc::Receiver<notify::Result<notify::Event>>,
    /// Ends the watch when it is dropped.
    _watcher: notify::RecommendedWatcher,
}

impl Watch {
    /// From now on events wait to be followed.
    fn begin(arguments: &IngestArgs) -> anyhow::Result<Self> {
        let (events, happened) = mpsc::channel();
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            // Reading a file is an event as well, and must not have it read again.
            if !event.as_ref().is_ok_and(|event| event.kind.is_access()) {
                // The receiver lives as long as the watcher.
                let _ = events.send(event);
            }
        })
        .context("cannot watch the file system")?;
        let here = std::env::current_dir().context("the current folder has gone")?;
        let mut roots = Vec::new();
        for given in arguments.paths.iter().map(PathBuf::from).filter(|path| path.exists()) {
            watcher
                .watch(&given, RecursiveMode::Recursive)
                .with_context(|| format!("cannot watch `{}`", given.display()))?;
            roots.push(Root { absolute: here.join(&given), given });
        }
        if roots.is_empty() {
            bail!("--watch follows files and folders; none was named");
        }
        Ok(Self { roots, happened, _watcher: watcher })
    }

    /// Follows what happened since, until the process is stopped. What cannot be read now is named, and read when it
    /// changes again.
    fn follow(self, target: &dyn Library, collection: &str) -> anyhow::Result<()> {
        output::note(format!("watching {} paths; stop with Ctrl-C", self.roots.len()));
        loop {
            let mut touched = BTreeSet::new();
            let first = self.happened.recv().context("the file system's watcher has gone")?;
            touched.extend(first.context("cannot watch the file system any more")?.paths);
            while let Ok(event) = self.happened.recv_timeout(QUIET) {
                touched.extend(event.context("cannot watch the file system any more")?.paths);
            }
            let touched = touched.iter().filter_map(|path| as_given(path, &self.roots)).collect();
            match follow(target, collection, touched) {
                Ok(problems) => output::notes(&problems),
                Err(error) => output::note(format!("error: {error:#}")),
            }
        }
    }
}

/// A file or folder that is watched.
struct Root {
    /// As events name it.
    absolute: PathBuf,
    /// As the command line named it, and so the documents.
    given: PathBuf,
}

/// What an event names, as the first ingestion has named it; `None` for what that leaves out, names that begin with a dot
/// below what was given.
fn as_given(path: &Path, roots: &[Root]) -> Option<PathBuf> {
    roots.iter().find_map(|root| {
        let below = path.strip_prefix(&root.absolute).ok()?;
        let hidden = below.iter().any(|name| name.to_string_lossy().starts_with('.'));
        // Joining nothing would leave a slash behind a file's name.
        let given = if below.as_os_str().is_empty() { root.given.clone() } else { root.given.join(below) };
        (!hidden).then_some(given)
    })
}

/// Adds what is there of `touched` and deletes what has gone, a folder with all that lay in it. A file and its folder may
/// both be named. What could not be read.
fn follow(target: &dyn Library, collection: &str, touched: BTreeSet<PathBuf>) -> anyhow::Result<Vec<String>> {
    let mut problems = Vec::new();
    let mut files = BTreeSet::new();
    let mut gone = BTreeSet::new();
    for path in touched {
        if path.is_file() {
            files.insert(path);
        } else if path.is_dir() {
            // What is moved here as a folder tells of the folder only.
            files.extend(corpus::files(&path, &mut problems));
        } else {
            let name = corpus::document_path(&path);
            let inside = format!("{name}/");
            each_document(target, collection, &name, &mut |document| {
                let path = document["path"].as_str().unwrap_or_default();
                if path == name || path.starts_with(&inside) {
                    gone.insert(path.to_owned());
                }
                ControlFlow::Continue(())
            })?;
        }
    }
    if !files.is_empty() {
        let sources = corpus::sources_of(files, &mut problems);
        problems.extend(report(add(target, collection, &sources, true, &mut |_| {})?));
    }
    delete(target, collection, &Vec::from_iter(gone))?;
    Ok(problems)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_watched_keeps_the_names_it_was_given() {
        let root = |absolute: &str, given: &str| Root { absolute: absolute.into(), given: given.into() };
        let roots = [root("/srv/notes", "notes"), root("/srv/.secret/a.md", "/srv/.secret/a.md")];
        let named = |path: &str| as_given(Path::new(path), &roots);
        assert_eq!(named("/srv/notes/in/a.md"), Some("notes/in/a.md".into()));
        assert_eq!(named("/srv/notes/.git/index"), None);
        assert_eq!(named("/srv/.secret/a.md"), Some("/srv/.secret/a.md".into()));
        assert_eq!(named("/srv/other.md"), None);
    }
}

//! `elodex backup` and `elodex restore`.

use crate::cli::{BackupArgs, RestoreArgs};
use crate::library::Remote;
use crate::output;
use crate::settings::{Settings, Sources};
use crate::store;
use anyhow::{Context as _, bail};
use elodex_store::{BackupProgress, BackupSummary, RedbCatalog};
use std::fs::File;
use std::io::{BufReader, BufWriter, Write as _};
use std::path::PathBuf;

/// What is backed up.
enum Source {
    Server(Remote),
    Folder(RedbCatalog),
}

pub(crate) fn backup(sources: &Sources, arguments: &BackupArgs) -> anyhow::Result<()> {
    let name = arguments.file.display();
    if arguments.file.exists() {
        bail!("`{name}` exists; name a file that does not");
    }
    let source = match &arguments.target.url {
        Some(url) => Source::Server(Remote::new(url, arguments.target.key.clone())?),
        None => Source::Folder(store::open_existing_catalog(&Settings::read(sources)?)?),
    };
    let mut draft = arguments.file.clone().into_os_string();
    draft.push(".partial");
    let draft = PathBuf::from(draft);
    let file = File::create_new(&draft).with_context(|| {
        format!("cannot make `{}`; where a backup that was stopped has left it, delete it", draft.display())
    })?;
    let mut out = BufWriter::new(file);
    let written = match source {
        Source::Server(server) => server.backup(&mut out),
        Source::Folder(catalog) => with_bar(|report| Ok(catalog.backup(&mut out, report)?)),
    };
    let kept = written.and_then(|()| {
        out.flush()?;
        out.get_ref().sync_all()?;
        let mut written = BufReader::new(File::open(&draft)?);
        with_bar(|report| Ok(RedbCatalog::verify(&mut written, report)?))?;
        Ok(std::fs::rename(&draft, &arguments.file)?)
    });
    if kept.is_err() {
        // What is left of a backup that failed is of no use to anybody.
        let _ = std::fs::remove_file(&draft);
    }
    kept.with_context(|| format!("cannot back up to `{name}`"))?;
    output::note(format!("wrote `{name}`, read it again and found it whole"));
    Ok(())
}

pub(crate) fn restore(arguments: &RestoreArgs) -> anyhow::Result<()> {
    let name = arguments.file.display();
    let file = File::open(&arguments.file).with_context(|| format!("cannot read `{name}`"))?;
    let mut file = BufReader::new(file);
    let Some(into) = &arguments.into else {
        let checked = with_bar(|report| Ok(RedbCatalog::verify(&mut file, report)?));
        checked.with_context(|| format!("`{name}` is no whole backup"))?;
        output::note(format!("`{name}` is whole"));
        return Ok(());
    };
    let restored = with_bar(|report| Ok(RedbCatalog::restore(&mut file, into, report)?));
    restored.with_context(|| format!("cannot restore `{name}`"))?;
    output::note(format!(
        "restored into `{}`; indexes are made again when it is opened first",
        into.display()
    ));
    Ok(())
}

/// Shows a bar of rows while `work` reports.
fn with_bar(
    work: impl FnOnce(&mut dyn FnMut(BackupProgress)) -> anyhow::Result<BackupSummary>,
) -> anyhow::Result<()> {
    let bar = output::progress(0, "rows");
    let done = work(&mut |progress| {
        bar.set_length(progress.total.unwrap_or(progress.rows));
        bar.set_position(progress.rows);
    });
    bar.finish_and_clear();
    done.map(drop)
}

//! What every step works with: settings, models, and how it says what it came to.

use crate::bundled;
use crate::commands::local::Engine;
use crate::output;
use crate::settings::{DataDir, ModelEntry, Origin, Settings, Sources};
use crate::sources::{Models, open};
use elodex_models::files::ModelFiles;
use elodex_server::ModelKind;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;

/// What the reranker is called that a step searches with.
pub(crate) const SECOND_STAGE: &str = "second-stage";

/// What a step works with.
pub(crate) struct Work<'a> {
    pub(crate) sources: &'a Sources,
    pub(crate) accept_license: bool,
    pub(crate) json: bool,
}

impl Work<'_> {
    /// The files of a model that is named on the command line.
    pub(crate) fn files(&self, source: &str) -> anyhow::Result<ModelFiles> {
        let (entry, _) = Models::configured(&self.sources.file)?.find(source, self.accept_license)?;
        open(&entry, None)
    }

    pub(crate) fn engine(&self) -> anyhow::Result<Engine> {
        Engine::start(&Settings::read(self.sources)?)
    }

    /// Settings under which nothing is computed once and remembered.
    pub(crate) fn settings(&self) -> anyhow::Result<Settings> {
        let mut settings = Settings::read(self.sources)?;
        settings.cache_bytes.0 = 0;
        settings.default_embedder.0 = None;
        settings.default_reranker.0 = None;
        Ok(settings)
    }

    /// The same with collections in `folder`.
    pub(crate) fn settings_in(&self, folder: &Path) -> anyhow::Result<Settings> {
        Ok(Settings { data_dir: DataDir::At(folder.to_owned()), ..self.settings()? })
    }

    /// The embedder that is named, else the models of the configuration, else the embedder that comes with the binary; and
    /// a reranker as [`SECOND_STAGE`], where one is given.
    pub(crate) fn models(&self, embedder: Option<&str>, reranker: Option<&str>) -> anyhow::Result<Models> {
        let configured = Models::configured(&self.sources.file)?;
        let comes_along = bundled::name(ModelKind::Embedder);
        let reranker = reranker.map(|source| configured.find(source, self.accept_license)).transpose()?;
        let embedder = embedder.or((configured.entries_origin == Origin::Default).then_some(comes_along));
        let mut entries = match embedder {
            Some(source) => vec![configured.find(source, self.accept_license)?.0],
            None => configured.entries,
        };
        entries.extend(reranker.map(|(entry, _)| ModelEntry {
            name: Some(SECOND_STAGE.to_owned()),
            kind: None,
            ..entry
        }));
        Ok(Models {
            entries,
            entries_origin: Origin::Flag,
            aliases: BTreeMap::new(),
            aliases_origin: Origin::Flag,
        })
    }

    /// Prints what a step came to: rows, or with --json the whole.
    pub(crate) fn show(&self, result: &impl Serialize, rows: &[Vec<String>]) -> anyhow::Result<()> {
        if self.json {
            return output::line(serde_json::to_string_pretty(result)?);
        }
        output::line(output::table(&["what", "value"], rows))
    }
}

/// A row of [`Work::show`].
pub(crate) fn row(what: &str, value: impl std::fmt::Display) -> Vec<String> {
    vec![what.to_owned(), value.to_string()]
}

//! The data directory: its catalog, its indexes, and the models they are used with.

use crate::commands::environment;
use crate::commands::local::Engine;
use crate::settings::{Index, Settings};
use crate::sources::{Models, open as open_files};
use anyhow::{Context as _, anyhow, bail};
use elodex_search::{Experiment, RewriterOptions, SearchEngine, SearchOptions};
use elodex_server::{Defaults, ModelKind, ModelRegistry, RegistryModels, ServedModel};
use elodex_store::{Catalog, CatalogOptions, IndexBackend, RedbCatalog};
use elodex_store_edge::EdgeBackend;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// Starts every model of the configuration.
pub(crate) fn load_models(settings: &Settings, models: Models) -> anyhow::Result<ModelRegistry> {
    let engine = Engine::start(settings)?;
    tracing::info!(isa = engine.kernels.isa().name(), "kernels chosen");
    let mut served = Vec::new();
    for entry in &models.entries {
        let name = entry.name();
        let files = open_files(entry, settings.model_precision.0)
            .with_context(|| format!("cannot serve `{name}`"))?;
        let kind = entry.kind.unwrap_or_else(|| ModelKind::of(&files));
        let service = engine.service(&files, kind).with_context(|| format!("cannot serve `{name}`"))?;
        let precision = files.precision.name();
        tracing::info!(name, kind = kind.as_str(), source = entry.source, precision, "model loaded");
        served.push(ServedModel { name, files, service, limits: engine.limits(kind) });
    }
    let mut aliases = BTreeMap::new();
    for (alias, target) in models.aliases {
        let target = target.parse().map_err(|problem: String| anyhow::anyhow!(problem));
        aliases.insert(alias.clone(), target.with_context(|| format!("alias `{alias}` is not usable"))?);
    }
    let defaults = Defaults {
        embedder: settings.default_embedder.0.clone(),
        reranker: settings.default_reranker.0.clone(),
    };
    Ok(ModelRegistry::new(served, aliases, defaults)?)
}

/// The data directory; `None` where no collections are kept.
pub(crate) fn folder(settings: &Settings) -> anyhow::Result<Option<PathBuf>> {
    settings.data_dir.path(&environment).map_err(|problem| anyhow!(problem))
}

/// The data directory of a command that cannot do without.
fn required_folder(settings: &Settings) -> anyhow::Result<PathBuf> {
    folder(settings)?.context("data_dir is `none`; name a folder with --data-dir, or a server with --url")
}

/// The catalog of the data directory.
pub(crate) fn open_catalog(settings: &Settings) -> anyhow::Result<RedbCatalog> {
    let folder = required_folder(settings)?;
    let options =
        CatalogOptions { cache_bytes: usize::try_from(settings.catalog_cache_bytes.0).unwrap_or(usize::MAX) };
    RedbCatalog::open(&folder, &options)
        .map_err(|error| anyhow!(error.report()))
        .with_context(|| format!("cannot open the data directory `{}`", folder.display()))
}

/// The catalog of a data directory that is there.
pub(crate) fn open_existing_catalog(settings: &Settings) -> anyhow::Result<RedbCatalog> {
    let folder = required_folder(settings)?;
    if !folder.join("catalog.redb").is_file() {
        bail!(
            "there is no data directory at `{}`; name one with --data-dir, or a server with --url",
            folder.display()
        );
    }
    open_catalog(settings)
}

/// Where the data directory's indexes live.
pub(crate) fn open_indexes(settings: &Settings) -> anyhow::Result<Arc<dyn IndexBackend>> {
    match settings.index {
        Index::Embedded => Ok(Arc::new(EdgeBackend::open(&required_folder(settings)?.join("index"))?)),
    }
}

/// The data directory, open, with ingestion under way and `experiments` on its searches.
pub(crate) fn open(
    settings: &Settings,
    models: Arc<ModelRegistry>,
    experiments: &[Experiment],
) -> anyhow::Result<(SearchEngine, Arc<RedbCatalog>)> {
    let catalog = Arc::new(open_catalog(settings)?);
    let indexes = open_indexes(settings)?;
    let engine = SearchEngine::open(
        Arc::clone(&catalog) as Arc<dyn Catalog>,
        indexes,
        Arc::new(RegistryModels(models)),
        SearchOptions { experiments: experiments.to_vec(), ..options(settings)? },
    )?;
    Ok((engine, catalog))
}

fn options(settings: &Settings) -> anyhow::Result<SearchOptions> {
    let rewriter = match (&settings.rewriter_url.0, &settings.rewriter_model.0) {
        (None, _) => None,
        (Some(_), None) => bail!("rewriter_url is set but rewriter_model is not; name the chat model"),
        (Some(url), Some(model)) => Some(RewriterOptions {
            url: url.0.clone(),
            model: model.clone(),
            key: settings.rewriter_key.0.as_ref().map(|key| key.0.clone()),
            timeout: settings.rewriter_timeout.0,
        }),
    };
    Ok(SearchOptions {
        chunk_tokens: settings.chunk_tokens,
        chunk_overlap: settings.chunk_overlap,
        passage_chars: settings.passage_chars,
        depth: settings.depth,
        rerank_depth: settings.rerank_depth,
        document_bytes: settings.document_bytes.0,
        rewriter,
        ..SearchOptions::default()
    })
}

//! `elodex serve`.

use super::keys;
use crate::settings::{Settings, Sources};
use crate::sources::Models;
use crate::store;
use anyhow::{Context as _, bail};
use elodex_search::Experiment;
use elodex_server::keys::KeyStore;
use elodex_server::telemetry::{self, TelemetryConfig};
use elodex_server::{Access, App, ModelRegistry, RateLimits, Search, ServerConfig, Stopped};
use std::sync::{Arc, OnceLock};
use tokio::net::TcpListener;

/// Parts of the body limit for each byte of text: JSON writes a character as up to `\u0000`, and most two-byte ones so.
const BODY_BYTES_PER_TEXT_BYTE: u64 = 3;

pub(crate) fn serve(sources: &Sources, models: Models) -> anyhow::Result<()> {
    serve_with(Settings::read(sources)?, models, sources.file.experiments.clone())
}

/// Serves until told to stop.
pub(crate) fn serve_with(
    settings: Settings,
    models: Models,
    experiments: Vec<Experiment>,
) -> anyhow::Result<()> {
    let config = server_config(&settings)?;
    let _telemetry = telemetry::start(&TelemetryConfig {
        format: settings.log_format,
        filter: settings.log.clone(),
        otlp_endpoint: settings.otlp_endpoint.0.clone(),
    })?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the threads of the http server")?;
    let opened = Arc::new(OnceLock::new());
    let stopped = runtime.block_on(run(settings, models, experiments, config, Arc::clone(&opened)));
    // Nobody is served any more: what is indexed is written through, and the folder is free for the next process.
    if let Some(Search { engine, .. }) = opened.get() {
        engine.shutdown();
    }
    // What is still loading or running now had its grace period.
    runtime.shutdown_background();
    match stopped? {
        Stopped::Clean => Ok(()),
        Stopped::GraceExpired => bail!("requests were still under way when the grace period ended"),
    }
}

fn server_config(settings: &Settings) -> anyhow::Result<ServerConfig> {
    let configured = settings.api_key.0.as_ref().map(|key| key.0.as_str());
    let keys = KeyStore::open(keys::path(settings), configured)?;
    let body_bytes = match settings.body_bytes.0 {
        0 => settings.request_bytes.0.saturating_mul(BODY_BYTES_PER_TEXT_BYTE).saturating_add(64 << 10),
        bytes => bytes,
    };
    if settings.max_concurrent_requests == 0 {
        bail!("max_concurrent_requests is 0, so no request could be answered; set it to 1 or more");
    }
    Ok(ServerConfig {
        public_url: settings.public_url.0.as_ref().map(|url| url.0.clone()),
        document_bytes: settings.document_bytes.0,
        access: Access::decide(keys, settings.listen, settings.no_auth)?,
        cors_origins: settings.cors_origins.0.clone(),
        body_bytes: usize::try_from(body_bytes).unwrap_or(usize::MAX),
        bodies_bytes: usize::try_from(settings.bodies_bytes.0).unwrap_or(usize::MAX),
        header_timeout: settings.header_timeout.0,
        body_timeout: settings.body_timeout.0,
        request_timeout: settings.request_timeout.0,
        shutdown_grace: settings.shutdown_grace.0,
        max_concurrent_requests: settings.max_concurrent_requests,
        rates: RateLimits {
            fast_bytes: settings.fast_bytes_per_minute.0,
            fast_requests: settings.fast_requests_per_minute.0,
            slow_bytes: settings.slow_bytes_per_minute.0,
        },
    })
}

async fn run(
    settings: Settings,
    models: Models,
    experiments: Vec<Experiment>,
    config: ServerConfig,
    opened: Arc<OnceLock<Search>>,
) -> anyhow::Result<Stopped> {
    let address = settings.listen;
    let listener = TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))?;
    let address = listener.local_addr().context("the listener has no address")?;
    if matches!(config.access, Access::Open) {
        tracing::warn!("no api key is needed: everyone who reaches {address} is let in");
    }
    tracing::info!("listening on http://{address}");
    let app = App::new(config);
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let server = tokio::spawn(elodex_server::serve(listener, app.clone(), async {
        // An error means that the sender has gone, which is a reason to stop as well.
        let _ = stopped.await;
    }));
    let outcome = tokio::select! {
        loaded = load_and_wait(&app, settings, models, experiments, opened) => loaded,
        signal = elodex_server::stop_signal() => signal.context("cannot listen for signals"),
    };
    drop(stop);
    tokio::select! {
        stopped = server => {
            let stopped = stopped.context("the accept loop panicked")?;
            outcome.map(|()| stopped)
        }
        _ = elodex_server::stop_signal() => bail!("told to stop a second time; requests under way were dropped"),
    }
}

/// Loads the models, opens the collections, and then never ends, except by an error. Who stops early finds the engine in
/// `opened` all the same.
async fn load_and_wait(
    app: &App,
    settings: Settings,
    models: Models,
    experiments: Vec<Experiment>,
    opened: Arc<OnceLock<Search>>,
) -> anyhow::Result<()> {
    let open = move || -> anyhow::Result<_> {
        let (registry, search) = open(&settings, models, &experiments)?;
        Ok((registry, search.map(|search| opened.get_or_init(|| search).clone())))
    };
    let (registry, search) =
        tokio::task::spawn_blocking(open).await.context("loading the models panicked")??;
    app.install(registry, search).await?;
    std::future::pending().await
}

/// The models and, where collections are kept, the search engine on them.
fn open(
    settings: &Settings,
    models: Models,
    experiments: &[Experiment],
) -> anyhow::Result<(Arc<ModelRegistry>, Option<Search>)> {
    let registry = Arc::new(store::load_models(settings, models)?);
    if store::folder(settings)?.is_none() {
        if let Some(experiment) = experiments.first() {
            bail!(
                "experiment `{}` needs searches, and data_dir is `none`; name a folder, or leave the section out",
                experiment.name
            );
        }
        return Ok((registry, None));
    }
    let (engine, catalog) = store::open(settings, Arc::clone(&registry), experiments)?;
    let search = Search { engine, rerank_depth: settings.rerank_depth, catalog: Some(catalog) };
    Ok((registry, Some(search)))
}

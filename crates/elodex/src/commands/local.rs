//! Running one model in this process.

use crate::bundled;
use crate::cli::ModelFlag;
use crate::settings::{Settings, Sources};
use crate::sources::{Models, open};
use anyhow::{Context as _, bail};
use elodex_engine::{EngineLimits, Runtime};
use elodex_kernels::{Isa, Kernels};
use elodex_models::files::ModelFiles;
use elodex_server::{ModelKind, Service};
use elodex_types::{CallContext, Role, TruncationPolicy};
use std::sync::Arc;

/// Threads, kernels and limits as the settings say.
pub(crate) struct Engine {
    pub(crate) kernels: Kernels,
    pub(crate) runtime: Arc<Runtime>,
    limits: EngineLimits,
}

impl Engine {
    pub(crate) fn start(settings: &Settings) -> anyhow::Result<Self> {
        let kernels = kernels(settings)?;
        let threads = match settings.threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            threads => threads,
        };
        let runtime = Arc::new(Runtime::new(threads, kernels)?);
        Ok(Self { kernels, runtime, limits: limits(settings) })
    }

    pub(crate) fn service(&self, files: &ModelFiles, kind: ModelKind) -> anyhow::Result<Service> {
        Ok(Service::start(files, kind, self.kernels, &self.runtime, self.limits(kind))?)
    }

    /// The limits of a model of this kind. Only a score can come from the best of several passages, so that policy
    /// means truncation to an embedder, as the setting says.
    pub(crate) fn limits(&self, kind: ModelKind) -> EngineLimits {
        let mut limits = self.limits.clone();
        if kind == ModelKind::Embedder && limits.truncation == TruncationPolicy::Passages {
            limits.truncation = TruncationPolicy::Truncate;
        }
        limits
    }
}

/// The instruction set that is asked for, else the best there is.
pub(crate) fn kernels(settings: &Settings) -> anyhow::Result<Kernels> {
    let Some(isa) = settings.isa.0 else { return Ok(Kernels::detect()) };
    Kernels::with_isa(isa).with_context(|| {
        let available: Vec<&str> = Isa::available().into_iter().map(Isa::name).collect();
        let available = available.join(", ");
        format!("this processor does not have the instruction set `{isa}`; it has {available}")
    })
}

fn limits(settings: &Settings) -> EngineLimits {
    EngineLimits {
        batch_tokens: settings.batch_tokens,
        queue_bytes: settings.queue_bytes.0,
        key_queue_bytes: settings.key_queue_bytes.0,
        request_bytes: settings.request_bytes.0,
        memory_bytes: settings.memory_bytes.0,
        cache_bytes: settings.cache_bytes.0,
        result_bytes: settings.result_bytes.0,
        fast_bytes_per_request: settings.fast_bytes_per_request.0,
        fast_bytes_per_key: settings.fast_bytes_per_key.0,
        truncation: settings.truncation,
    }
}

impl ModelFlag {
    /// The named model, else the one of this kind that comes with the binary.
    pub(crate) fn name(&self, kind: ModelKind) -> &str {
        self.model.as_deref().unwrap_or(bundled::name(kind))
    }
}

/// The one model of a command, started, and the role its name binds.
pub(crate) fn start(
    sources: &Sources,
    flag: &ModelFlag,
    kind: ModelKind,
) -> anyhow::Result<(Service, Option<Role>)> {
    let settings = Settings::read(sources)?;
    let name = flag.name(kind);
    let (entry, role) = Models::configured(&sources.file)?.find(name, flag.accept_license)?;
    let files = open(&entry, settings.model_precision.0)?;
    let found = entry.kind.unwrap_or_else(|| ModelKind::of(&files));
    if found != kind {
        let command = match found {
            ModelKind::Embedder => "embed",
            ModelKind::Reranker => "rerank",
        };
        bail!("`{name}` is no {kind} but a {found}; use `elodex {command}`");
    }
    let engine = Engine::start(&settings)?;
    Ok((engine.service(&files, kind)?, role))
}

/// The only caller in this process.
pub(crate) fn context() -> CallContext {
    CallContext { key: Arc::from("local"), deadline: None }
}

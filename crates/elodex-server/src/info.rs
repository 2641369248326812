//! TEI's `/info`.

use crate::app::App;
use crate::registry::{ModelKind, ServedModel, Service};
use elodex_dialects::Problem;
use elodex_dialects::tei::{Info, InfoModel, Labels, ModelType, Pooling};
use elodex_kernels::Precision;
use elodex_models::files::{Module, PoolingMode};
use elodex_types::TruncationPolicy;

/// The default embedder, else the default reranker.
pub(crate) fn info(app: &App) -> Result<Info, Problem> {
    let registry = app.models()?;
    let (model, _) = registry
        .resolve("", ModelKind::Embedder, None)
        .or_else(|problem| registry.resolve("", ModelKind::Reranker, None).map_err(|_| problem))?;
    let (max_input_length, precision) = match &model.service {
        Service::Embed(service) => (service.model().info().max_tokens, service.model().info().precision),
        Service::Rerank(service) => (service.model().info().max_tokens, service.model().info().precision),
    };
    let model_dtype = match precision {
        Precision::F32 => "float32",
        Precision::Int8 => "int8",
    };
    let max_concurrent_requests = app.config().max_concurrent_requests;
    Ok(Info {
        model: InfoModel {
            model_id: model.files.id.clone(),
            model_sha: None,
            model_dtype: model_dtype.to_owned(),
            served_model_name: model.name.clone(),
            model_type: model_type(model),
        },
        max_concurrent_requests,
        max_input_length,
        max_batch_tokens: model.limits.batch_tokens,
        max_batch_requests: None,
        // Bytes limit a request, not inputs: this many empty ones fit.
        max_client_batch_size: usize::try_from(model.limits.request_bytes / 150).unwrap_or(usize::MAX),
        auto_truncate: model.limits.truncation != TruncationPolicy::Error,
        tokenization_workers: 1,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        sha: None,
        docker_label: None,
    })
}

fn model_type(model: &ServedModel) -> ModelType {
    match model.service {
        Service::Embed(_) => ModelType::Embedding(Pooling { pooling: pooling(&model.files.modules) }),
        Service::Rerank(_) => ModelType::Reranker(Labels::default()),
    }
}

/// The modes of the first pooling module, joined with `+`.
fn pooling(modules: &[Module]) -> String {
    for module in modules {
        match module {
            Module::Pooling(pooling) => {
                let names: Vec<&str> = pooling.modes.iter().copied().map(mode_name).collect();
                return names.join("+");
            }
            Module::Router { query, .. } => return self::pooling(query),
            _ => {}
        }
    }
    "none".to_owned()
}

fn mode_name(mode: PoolingMode) -> &'static str {
    match mode {
        PoolingMode::Cls => "cls",
        PoolingMode::Max => "max",
        PoolingMode::Mean => "mean",
        PoolingMode::MeanSqrt => "mean_sqrt",
        PoolingMode::WeightedMean => "weightedmean",
        PoolingMode::LastToken => "lasttoken",
    }
}

//! The server's models as the search engine asks for them.

use crate::registry::{ModelKind, ModelRegistry, ServedModel, Service};
use elodex_dialects::Problem;
use elodex_engine::{EmbedService, RerankService};
use elodex_search::{Error, ErrorKind, Models, Result};
use elodex_types::Fault;
use std::sync::Arc;

/// A registry that a search engine takes its models from.
#[derive(Debug)]
pub struct RegistryModels(pub Arc<ModelRegistry>);

impl Models for RegistryModels {
    fn embedder(&self, name: Option<&str>) -> Result<(String, EmbedService)> {
        let model = find(&self.0, name, ModelKind::Embedder)?;
        match &model.service {
            Service::Embed(service) => Ok((model.name.clone(), service.clone())),
            Service::Rerank(_) => Err(Error::new(ErrorKind::Bug, format!("`{}` is no embedder", model.name))),
        }
    }

    fn reranker(&self, name: Option<&str>) -> Result<(String, RerankService)> {
        let model = find(&self.0, name, ModelKind::Reranker)?;
        match &model.service {
            Service::Rerank(service) => Ok((model.name.clone(), service.clone())),
            Service::Embed(_) => Err(Error::new(ErrorKind::Bug, format!("`{}` is no reranker", model.name))),
        }
    }
}

fn find<'registry>(
    registry: &'registry ModelRegistry,
    name: Option<&str>,
    kind: ModelKind,
) -> Result<&'registry ServedModel> {
    registry.resolve(name.unwrap_or_default(), kind, None).map(|(model, _)| model).map_err(refused)
}

fn refused(problem: Problem) -> Error {
    let kind = match problem.fault {
        Fault::NotFound => ErrorKind::NotFound,
        Fault::Conflict => ErrorKind::Conflict,
        _ => ErrorKind::Request,
    };
    Error::new(kind, problem.message)
}

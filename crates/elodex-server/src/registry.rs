//! The models a server answers with, by name and alias.

use crate::{Error, ErrorKind, Result};
use elodex_dialects::Problem;
use elodex_engine::{EmbedService, EngineLimits, RerankService, Runtime, Stats};
use elodex_kernels::Kernels;
use elodex_models::files::ModelFiles;
use elodex_models::{Embedder, Reranker};
use elodex_types::{
    CallContext, EmbedRequest, EmbedResponse, Fault, Latency, RerankRequest, RerankResponse, Role,
};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// What a model computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ModelKind {
    /// Texts to vectors.
    Embedder,
    /// Query and passage to a score.
    Reranker,
}

impl ModelKind {
    /// What the files of a model directory say: causal-LM rerankers have a scoring template, sentence-transformers
    /// rerankers a `LogitScore` module, cross-encoders a sequence-classification head.
    pub fn of(files: &ModelFiles) -> Self {
        if files.is_reranker() { ModelKind::Reranker } else { ModelKind::Embedder }
    }

    /// The lower-case name used in configuration and messages.
    pub fn as_str(self) -> &'static str {
        match self {
            ModelKind::Embedder => "embedder",
            ModelKind::Reranker => "reranker",
        }
    }
}

impl fmt::Display for ModelKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl FromStr for ModelKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "embedder" => Ok(ModelKind::Embedder),
            "reranker" => Ok(ModelKind::Reranker),
            other => Err(format!("unknown model kind `{other}`; use `embedder` or `reranker`")),
        }
    }
}

/// A started model.
#[derive(Debug, Clone)]
pub enum Service {
    /// An embedder.
    Embed(EmbedService),
    /// A reranker.
    Rerank(RerankService),
}

impl Service {
    /// Loads the weights and starts the scheduler. Blocks for as long as the weights take to read.
    ///
    /// # Errors
    /// [`ErrorKind::Model`] with the cause.
    pub fn start(
        files: &ModelFiles,
        kind: ModelKind,
        kernels: Kernels,
        runtime: &Arc<Runtime>,
        limits: EngineLimits,
    ) -> Result<Self> {
        let load_failed =
            |error| Error::new(ErrorKind::Model, format!("cannot load `{}`", files.id)).caused_by(error);
        let start_failed =
            |error| Error::new(ErrorKind::Model, format!("cannot start `{}`", files.id)).caused_by(error);
        match kind {
            ModelKind::Embedder => {
                let model = Embedder::load(files, kernels).map_err(load_failed)?;
                EmbedService::start(model, Arc::clone(runtime), limits)
                    .map(Service::Embed)
                    .map_err(start_failed)
            }
            ModelKind::Reranker => {
                let model = Reranker::load(files, kernels).map_err(load_failed)?;
                RerankService::start(model, Arc::clone(runtime), limits)
                    .map(Service::Rerank)
                    .map_err(start_failed)
            }
        }
    }

    /// What it computes.
    pub fn kind(&self) -> ModelKind {
        match self {
            Service::Embed(_) => ModelKind::Embedder,
            Service::Rerank(_) => ModelKind::Reranker,
        }
    }

    /// Counters of its scheduler.
    pub fn stats(&self) -> Stats {
        match self {
            Service::Embed(service) => service.stats(),
            Service::Rerank(service) => service.stats(),
        }
    }
}

/// A model under the name clients use.
#[derive(Debug, Clone)]
pub struct ServedModel {
    /// The name.
    pub name: String,
    /// What its directory says; prompts for `/tokenize`, pooling for `/info`.
    pub files: ModelFiles,
    /// The running model.
    pub service: Service,
    /// The limits it was started with, for `/info`.
    pub limits: EngineLimits,
}

impl ServedModel {
    /// Runs one tiny call, so that the first client does not pay for page faults.
    ///
    /// # Errors
    /// [`ErrorKind::Model`] when the call fails.
    pub async fn warm_up(&self) -> Result<()> {
        let context = || CallContext { key: Arc::from("warm-up"), deadline: None };
        let failed = |error: elodex_engine::Error| {
            Error::new(ErrorKind::Model, format!("model `{}` failed its first run", self.name))
                .caused_by(error)
        };
        match &self.service {
            Service::Embed(service) => {
                let request = EmbedRequest {
                    model: self.name.clone(),
                    role: Some(Role::Query),
                    inputs: vec!["ready?".to_owned()],
                    dimensions: None,
                    truncation: None,
                    latency: Latency::Auto,
                };
                let answer: Result<EmbedResponse, _> =
                    service.submit(request, context()).map_err(failed)?.await;
                answer.map(drop).map_err(failed)
            }
            Service::Rerank(service) => {
                let request = RerankRequest {
                    model: self.name.clone(),
                    query: "ready?".to_owned(),
                    documents: vec!["yes".to_owned()],
                    top_n: None,
                    truncation: None,
                    latency: Latency::Auto,
                };
                let answer: Result<RerankResponse, _> =
                    service.submit(request, context()).map_err(failed)?.await;
                answer.map(drop).map_err(failed)
            }
        }
    }
}

/// Where an alias points: a model, and the role of every text that comes through it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AliasTarget {
    /// A model's name.
    pub model: String,
    /// The role it binds.
    pub role: Option<Role>,
}

impl FromStr for AliasTarget {
    type Err = String;

    /// Reads `name`, `name:query` or `name:document`.
    fn from_str(text: &str) -> Result<Self, String> {
        let (model, role) = split_role(text);
        if model.is_empty() {
            return Err(format!("`{text}` names no model; write `model` or `model:role`"));
        }
        Ok(Self { model: model.to_owned(), role })
    }
}

/// `name:query` → `("name", Some(Query))`; any other text is a name without a role.
fn split_role(name: &str) -> (&str, Option<Role>) {
    match name.rsplit_once(':') {
        Some((base, role)) => match role.parse() {
            Ok(role) => (base, Some(role)),
            Err(_) => (name, None),
        },
        None => (name, None),
    }
}

/// Which model answers where a dialect's requests name none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Defaults {
    /// Name or alias; where `None`, the only embedder.
    pub embedder: Option<String>,
    /// Name or alias; where `None`, the only reranker.
    pub reranker: Option<String>,
}

/// Every model of a server.
#[derive(Debug)]
pub struct ModelRegistry {
    models: BTreeMap<String, ServedModel>,
    aliases: BTreeMap<String, AliasTarget>,
    defaults: Defaults,
}

impl ModelRegistry {
    /// Checks that names are unique, aliases point to models, and defaults exist and are of their kind.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] that names what is wrong.
    pub fn new(
        models: Vec<ServedModel>,
        aliases: BTreeMap<String, AliasTarget>,
        defaults: Defaults,
    ) -> Result<Self> {
        let mut registry = Self { models: BTreeMap::new(), aliases, defaults };
        for model in models {
            let name = model.name.clone();
            if let (_, Some(role)) = split_role(&name) {
                let message = format!("model name `{name}` ends in `:{role}`, which means a role; rename it");
                return Err(Error::new(ErrorKind::Config, message));
            }
            if registry.models.insert(name.clone(), model).is_some() {
                let message = format!("two models are named `{name}`; give each its own name");
                return Err(Error::new(ErrorKind::Config, message));
            }
        }
        for (alias, target) in &registry.aliases {
            if registry.models.contains_key(alias) {
                let message = format!("`{alias}` is both a model and an alias; rename one");
                return Err(Error::new(ErrorKind::Config, message));
            }
            if !registry.models.contains_key(&target.model) {
                let message = format!(
                    "alias `{alias}` points to `{}`, which is no model; models: {}",
                    target.model,
                    registry.model_names()
                );
                return Err(Error::new(ErrorKind::Config, message));
            }
        }
        for kind in [ModelKind::Embedder, ModelKind::Reranker] {
            if let Some(name) = registry.default_name(kind) {
                let target = registry.target(name, kind);
                target.map_err(|problem| {
                    Error::new(ErrorKind::Config, format!("default {kind} `{name}`")).caused_by(problem)
                })?;
            }
        }
        Ok(registry)
    }

    /// All models, by name.
    pub fn models(&self) -> impl Iterator<Item = &ServedModel> {
        self.models.values()
    }

    /// All aliases and where they point.
    pub fn aliases(&self) -> impl Iterator<Item = (&str, &AliasTarget)> {
        self.aliases.iter().map(|(alias, target)| (alias.as_str(), target))
    }

    /// The model and the role for a request that names `name` and asks for `role`.
    ///
    /// `name` is a model or an alias, each also with `:query` or `:document` behind it; the empty name is the default
    /// of `kind`. A role in the request and one in the name must agree.
    ///
    /// # Errors
    /// [`Fault::NotFound`] for an unknown name or a model of another kind, [`Fault::Conflict`] for two roles,
    /// [`Fault::User`] where a default is needed and there is none.
    pub fn resolve(
        &self,
        name: &str,
        kind: ModelKind,
        role: Option<Role>,
    ) -> Result<(&ServedModel, Option<Role>), Problem> {
        let name = if name.is_empty() { self.default_or_only(kind)? } else { name };
        let (model, bound) = self.target(name, kind)?;
        match (role, bound) {
            (Some(asked), Some(bound)) if asked != bound => Err(Problem::new(
                Fault::Conflict,
                format!(
                    "the request asks for role `{asked}`, but `{name}` is bound to `{bound}`; use `{}`",
                    model.name
                ),
            )),
            (asked, bound) => Ok((model, asked.or(bound))),
        }
    }

    fn target(&self, name: &str, kind: ModelKind) -> Result<(&ServedModel, Option<Role>), Problem> {
        let (model, role) = match self.find(name) {
            Some(found) => found,
            None => {
                let (base, role) = split_role(name);
                let (Some((model, bound)), Some(role)) = (self.find(base), role) else {
                    return Err(self.unknown(name, kind));
                };
                if let Some(bound) = bound.filter(|bound| *bound != role) {
                    let message = format!("`{base}` is bound to role `{bound}`, so `{name}` contradicts it");
                    return Err(Problem::new(Fault::Conflict, message));
                }
                (model, Some(role))
            }
        };
        if model.service.kind() != kind {
            let message = format!(
                "`{name}` is no {kind} but a {}; available here: {}",
                model.service.kind(),
                self.names_of(kind)
            );
            return Err(Problem::new(Fault::NotFound, message));
        }
        Ok((model, role))
    }

    fn find(&self, name: &str) -> Option<(&ServedModel, Option<Role>)> {
        if let Some(model) = self.models.get(name) {
            return Some((model, None));
        }
        let target = self.aliases.get(name)?;
        self.models.get(&target.model).map(|model| (model, target.role))
    }

    fn default_name(&self, kind: ModelKind) -> Option<&str> {
        match kind {
            ModelKind::Embedder => self.defaults.embedder.as_deref(),
            ModelKind::Reranker => self.defaults.reranker.as_deref(),
        }
    }

    fn default_or_only(&self, kind: ModelKind) -> Result<&str, Problem> {
        if let Some(name) = self.default_name(kind) {
            return Ok(name);
        }
        let mut of_kind = self.models.values().filter(|model| model.service.kind() == kind);
        match (of_kind.next(), of_kind.next()) {
            (Some(only), None) => Ok(&only.name),
            (None, _) => Err(Problem::new(Fault::NotFound, format!("no {kind} is served here"))),
            (Some(_), Some(_)) => Err(Problem::new(
                Fault::User,
                format!(
                    "this route names no model and several could answer: {}; set `default_{kind}`",
                    self.names_of(kind)
                ),
            )),
        }
    }

    fn unknown(&self, name: &str, kind: ModelKind) -> Problem {
        let shown: String = name.chars().take(100).collect();
        Problem::new(Fault::NotFound, format!("unknown model `{shown}`; available: {}", self.names_of(kind)))
    }

    fn names_of(&self, kind: ModelKind) -> String {
        let is_kind = |model: &str| self.models.get(model).is_some_and(|model| model.service.kind() == kind);
        let models = self.models.keys().filter(|name| is_kind(name));
        let aliases =
            self.aliases.iter().filter(|(_, target)| is_kind(&target.model)).map(|(alias, _)| alias);
        join(models.chain(aliases))
    }

    fn model_names(&self) -> String {
        join(self.models.keys())
    }
}

fn join<'names>(names: impl Iterator<Item = &'names String>) -> String {
    let names: Vec<&str> = names.map(String::as_str).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_roles_are_split_off() {
        assert_eq!(split_role("zembed-1:query"), ("zembed-1", Some(Role::Query)));
        assert_eq!(split_role("zembed-1:document"), ("zembed-1", Some(Role::Document)));
        assert_eq!(split_role("llama:8b"), ("llama:8b", None));
        assert_eq!(split_role("plain"), ("plain", None));
        assert!(":query".parse::<AliasTarget>().is_err());
    }
}

//! A data directory, worked on by this process.

use super::{Added, Library};
use crate::commands::local;
use crate::settings::{Settings, Sources};
use crate::sources::Models;
use crate::{cli::ModelFlags, store};
use anyhow::{Context as _, anyhow, bail};
use elodex_dialects::{Operation, Problem, ReadCall, SearchCall, WriteCall};
use elodex_engine::EmbedService;
use elodex_search::{ChunkText, SearchEngine};
use elodex_server::{ModelKind, ModelRegistry, Service};
use elodex_store::Accepted;
use elodex_types::{DocumentInfo, EmbedRequest, Latency, NewDocument, Role, TruncationPolicy};
use serde_json::Value;
use std::sync::Arc;

/// An open data directory with the models of the configuration.
pub(crate) struct Local {
    engine: SearchEngine,
    models: Arc<ModelRegistry>,
}

impl Local {
    pub(crate) fn open(sources: &Sources, models: &ModelFlags) -> anyhow::Result<Self> {
        Self::open_with(&Settings::read(sources)?, crate::commands::models(sources, models)?)
    }

    /// The same with settings that are read already.
    pub(crate) fn open_with(settings: &Settings, models: Models) -> anyhow::Result<Self> {
        let models = Arc::new(store::load_models(settings, models)?);
        let (engine, _) = store::open(settings, Arc::clone(&models), &[])?;
        Ok(Self { engine, models })
    }

    /// The same around an engine that is open already.
    pub(crate) fn around(engine: SearchEngine, models: Arc<ModelRegistry>) -> Self {
        Self { engine, models }
    }

    /// The space of an embedder, the usual one where none is named: the embedder's own name, the width of its vectors, and
    /// the space's fingerprint.
    pub(crate) fn space(
        &self,
        embedder: Option<&str>,
        dimensions: Option<usize>,
    ) -> anyhow::Result<(String, usize, String)> {
        let (name, service) = self.embedder(embedder.unwrap_or_default(), None)?;
        let dimensions = service.model().resolve_dimensions(dimensions)?;
        Ok((name.to_owned(), dimensions, service.model().fingerprint(dimensions).to_string()))
    }

    /// Identity of a reranker's scoring function.
    pub(crate) fn scoring(&self, reranker: &str) -> anyhow::Result<String> {
        let (model, _) = self.models.resolve(reranker, ModelKind::Reranker, None).map_err(said)?;
        match &model.service {
            Service::Rerank(service) => Ok(service.model().info().fingerprint.to_string()),
            Service::Embed(_) => bail!("`{}` is no reranker", model.name),
        }
    }

    /// Hands over every chunk of a collection that can be found, as models read it.
    pub(crate) fn each_chunk(
        &self,
        collection: &str,
        accept: &mut dyn FnMut(ChunkText),
    ) -> anyhow::Result<()> {
        Ok(self.engine.each_chunk(collection, accept)?)
    }

    fn embedder(&self, name: &str, role: Option<Role>) -> anyhow::Result<(&str, &EmbedService)> {
        let (model, _) = self.models.resolve(name, ModelKind::Embedder, role).map_err(said)?;
        match &model.service {
            Service::Embed(service) => Ok((&model.name, service)),
            Service::Rerank(_) => bail!("`{}` is no embedder", model.name),
        }
    }

    fn search(&self, call: SearchCall) -> anyhow::Result<Vec<u8>> {
        let response = self.engine.search(&call.request, &local::context())?;
        call.shape.render(&response).map_err(said)
    }

    fn read(&self, call: ReadCall) -> anyhow::Result<Vec<u8>> {
        let engine = &self.engine;
        let rendered = match call {
            ReadCall::Status { collection, render } => render(&engine.status(collection.as_deref())?),
            ReadCall::Collections { render } => render(&engine.collections()?),
            ReadCall::Collection { name, render } => render(&engine.collection_info(&name)?),
            ReadCall::Document { collection, path, include_content, render } => {
                render(&engine.document(&collection, &path, include_content)?.0)
            }
            ReadCall::Documents { collection, prefix, after, limit, render } => {
                let found = engine.documents(&collection, &prefix, after.as_deref(), limit)?;
                let documents: Vec<DocumentInfo> = found.into_iter().map(|(info, _)| info).collect();
                render(&documents)
            }
            ReadCall::Page { collection, path, page, include_content, render } => {
                render(&engine.page(&collection, &path, page, include_content)?.0)
            }
        };
        rendered.map_err(said)
    }

    fn write(&self, call: WriteCall) -> anyhow::Result<Vec<u8>> {
        let engine = &self.engine;
        let rendered = match call {
            WriteCall::CreateCollection { request, render } => render(&engine.create_collection(&request)?),
            WriteCall::DeleteCollection { name, render } => {
                engine.delete_collection(&name)?;
                render(&())
            }
            WriteCall::SetWeights { name, weights, render } => {
                engine.set_weights(&name, weights)?;
                render(&engine.collection_info(&name)?)
            }
            WriteCall::SetPolicy { name, policy, render } => {
                engine.set_policy(&name, policy.as_deref())?;
                render(&engine.collection_info(&name)?)
            }
            WriteCall::Add { collection, document, overwrite, render } => {
                engine.add(&collection, vec![document], overwrite)?;
                render(&())
            }
            WriteCall::Update { collection, path, metadata, retry, render } => {
                engine.update(&collection, &path, metadata, retry)?;
                render(&())
            }
            WriteCall::Delete { collection, paths, render } => render(&engine.delete(&collection, &paths)?),
        };
        rendered.map_err(said)
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        self.engine.shutdown();
    }
}

fn said(problem: Problem) -> anyhow::Error {
    anyhow!(problem.message)
}

impl Library for Local {
    fn call(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        let bytes = serde_json::to_vec(body)?;
        let mut routes = elodex_dialects::all().into_iter().flat_map(|dialect| dialect.routes());
        let route = routes
            .find(|route| route.path == path)
            .with_context(|| format!("there is nothing at `{path}`"))?;
        let answer = match route.operation {
            Operation::Search(read) => self.search(read(&bytes).map_err(said)?),
            Operation::Read(read) => self.read(read(&bytes, "").map_err(said)?),
            Operation::Write(read) | Operation::Upload(read) => self.write(read(&bytes).map_err(said)?),
            _ => bail!("`{path}` is for servers; name one with --url"),
        };
        Ok(serde_json::from_slice(&answer?)?)
    }

    fn add(&self, collection: &str, documents: Vec<NewDocument>, overwrite: bool) -> anyhow::Result<Added> {
        let mut added = Added::default();
        // All of a call or nothing: where a path may be taken or a document too long, each is a call.
        let longest = self.engine.document_bytes();
        let alone = !overwrite || documents.iter().any(|document| document.content.bytes() > longest);
        let calls: Vec<Vec<NewDocument>> = if alone {
            documents.into_iter().map(|document| vec![document]).collect()
        } else {
            vec![documents]
        };
        for documents in calls {
            match self.engine.add(collection, documents, overwrite) {
                Ok(accepted) => {
                    for one in accepted {
                        match one {
                            Accepted::Created(_) => added.created += 1,
                            Accepted::Replaced(_) => added.replaced += 1,
                            Accepted::Unchanged(_) => added.unchanged += 1,
                        }
                    }
                }
                Err(error) if !overwrite && error.kind() == elodex_search::ErrorKind::Conflict => {
                    added.kept += 1
                }
                Err(error) if alone && error.kind() == elodex_search::ErrorKind::TooLarge => {
                    added.refused.push(error.report());
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(added)
    }

    fn embed(
        &self,
        model: &str,
        role: Role,
        texts: Vec<String>,
        dimensions: usize,
    ) -> anyhow::Result<Vec<Vec<f32>>> {
        let (name, service) = self.embedder(model, Some(role))?;
        let request = EmbedRequest {
            model: name.to_owned(),
            role: Some(role),
            inputs: texts,
            dimensions: Some(dimensions),
            truncation: Some(TruncationPolicy::Truncate),
            latency: Latency::Auto,
        };
        let answer = service.submit(request, local::context())?.wait()?;
        Ok(answer.embeddings.iter().map(|vector| vector.to_vec()).collect())
    }

    fn has_reranker(&self) -> anyhow::Result<bool> {
        Ok(self.models.models().any(|model| model.service.kind() == ModelKind::Reranker))
    }

    fn settle(&self, collection: &str) -> anyhow::Result<()> {
        self.engine.wait_until_indexed(collection, None, &mut |_| {})?;
        Ok(())
    }
}

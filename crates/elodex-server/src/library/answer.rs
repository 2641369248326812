//! Answering questions about collections and documents, and changing them.

use super::{Library, base_url};
use crate::calls::Call;
use crate::reply;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use elodex_dialects::{Problem, ReadCall, WriteCall};
use elodex_store::Accepted;
use elodex_types::{DocumentInfo, Fault, Revision};

pub(crate) async fn read(call: &Call, parsed: ReadCall, headers: &HeaderMap) -> Result<Response, Problem> {
    let library = call.app.library()?;
    let base = base_url(call.app.config(), headers);
    let body = match parsed {
        ReadCall::Status { collection, render } => {
            render(&library.ask(move |engine| engine.status(collection.as_deref())).await?)?
        }
        ReadCall::Collections { render } => render(&library.ask(|engine| engine.collections()).await?)?,
        ReadCall::Collection { name, render } => {
            render(&library.ask(move |engine| engine.collection_info(&name)).await?)?
        }
        ReadCall::Document { collection, path, include_content, render } => {
            let found = library.ask(move |engine| engine.document(&collection, &path, include_content));
            render(&linked(library, &base, found.await?))?
        }
        ReadCall::Documents { collection, prefix, after, limit, render } => {
            let found =
                library.ask(move |engine| engine.documents(&collection, &prefix, after.as_deref(), limit));
            let infos: Vec<DocumentInfo> =
                found.await?.into_iter().map(|found| linked(library, &base, found)).collect();
            render(&infos)?
        }
        ReadCall::Page { collection, path, page, include_content, render } => {
            let found = library.ask(move |engine| engine.page(&collection, &path, page, include_content));
            render(&found.await?.0)?
        }
    };
    Ok(reply::json(body))
}

fn linked(library: &Library, base: &str, (mut info, revision): (DocumentInfo, Revision)) -> DocumentInfo {
    info.file_url = library.file_url(base, revision);
    info
}

pub(crate) async fn change(call: &Call, parsed: WriteCall) -> Result<Response, Problem> {
    let library = call.app.library()?;
    let (body, status) = match parsed {
        WriteCall::CreateCollection { request, render } => {
            let made = library.alter(move |engine| engine.create_collection(&request)).await?;
            (render(&made)?, StatusCode::CREATED)
        }
        WriteCall::DeleteCollection { name, render } => {
            library.alter(move |engine| engine.delete_collection(&name)).await?;
            (render(&())?, StatusCode::OK)
        }
        WriteCall::SetWeights { name, weights, render } => {
            let changed = library.alter(move |engine| {
                engine.set_weights(&name, weights)?;
                engine.collection_info(&name)
            });
            (render(&changed.await?)?, StatusCode::OK)
        }
        WriteCall::SetPolicy { name, policy, render } => {
            let changed = library.alter(move |engine| {
                engine.set_policy(&name, policy.as_deref())?;
                engine.collection_info(&name)
            });
            (render(&changed.await?)?, StatusCode::OK)
        }
        WriteCall::Add { collection, document, overwrite, render } => {
            let bytes = document.content.bytes();
            let most = call.app.config().document_bytes;
            if bytes > most {
                let message =
                    format!("the content has {bytes} bytes, at most {most} are allowed; split the document");
                return Err(Problem::new(Fault::TooLarge, message));
            }
            let accepted = library.alter(move |engine| engine.add(&collection, vec![document], overwrite));
            let status = match accepted.await?.first() {
                Some(Accepted::Created(_)) => StatusCode::CREATED,
                _ => StatusCode::OK,
            };
            (render(&())?, status)
        }
        WriteCall::Update { collection, path, metadata, retry, render } => {
            library.alter(move |engine| engine.update(&collection, &path, metadata, retry)).await?;
            (render(&())?, StatusCode::OK)
        }
        WriteCall::Delete { collection, paths, render } => {
            let deleted = library.alter(move |engine| engine.delete(&collection, &paths)).await?;
            (render(&deleted)?, StatusCode::OK)
        }
    };
    let mut response = reply::json(body);
    *response.status_mut() = status;
    Ok(response)
}

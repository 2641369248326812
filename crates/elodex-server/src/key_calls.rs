//! Looking after API keys over HTTP.

use crate::app::App;
use crate::config::Access;
use crate::keys::{KeyFile, KeyStore, Permission};
use crate::{Result, reply};
use axum::http::StatusCode;
use axum::response::Response;
use elodex_dialects::{KeyEntry, KeysCall, Problem};
use elodex_types::Fault;

/// Answers a call about keys. Blocks while the key file is written.
pub(crate) fn answer(app: &App, call: KeysCall) -> Result<Response, Problem> {
    let mut status = StatusCode::OK;
    let body = match call {
        KeysCall::Organization { render } => render(&())?,
        KeysCall::List { render } => render(&entries(store(app)?))?,
        KeysCall::Add { name, permission, render } => {
            status = StatusCode::CREATED;
            render(&edit(app, |file| file.create(&name, granted(permission)))?)?
        }
        KeysCall::Delete { id, render } => {
            edit(app, |file| file.revoke(&id))?;
            render(&())?
        }
        KeysCall::Update { id, name, permission, render } => {
            edit(app, |file| file.change(&id, name, permission.map(granted)))?;
            render(&())?
        }
    };
    let mut response = reply::json(body);
    *response.status_mut() = status;
    Ok(response)
}

fn store(app: &App) -> Result<&KeyStore, Problem> {
    match &app.config().access {
        Access::Keys(keys) => Ok(keys),
        Access::Open => {
            let message = "this server lets everyone in; start it with a key of `elodex keys create`, then keys can be \
                           looked after here";
            Err(Problem::new(Fault::Conflict, message))
        }
    }
}

fn edit<T>(app: &App, change: impl FnOnce(&mut KeyFile) -> Result<T>) -> Result<T, Problem> {
    Ok(store(app)?.edit(change)?)
}

fn entries(store: &KeyStore) -> Vec<KeyEntry> {
    let entry = |record: &crate::keys::KeyRecord| KeyEntry {
        id: record.id.clone(),
        name: record.name.clone(),
        permission: match record.permission {
            Permission::ReadOnly => elodex_dialects::Permission::ReadOnly,
            Permission::All => elodex_dialects::Permission::All,
        },
        created: record.created,
    };
    store.keys().iter().map(entry).collect()
}

fn granted(permission: elodex_dialects::Permission) -> Permission {
    match permission {
        elodex_dialects::Permission::ReadOnly => Permission::ReadOnly,
        elodex_dialects::Permission::All => Permission::All,
    }
}

//! What experiments found.

use crate::app::App;
use crate::keys::Permission;
use crate::reply;
use axum::extract::{Request, State};
use axum::response::Response;
use elodex_dialects::{Problem, zeroentropy};
use elodex_search::ExperimentReport;
use elodex_types::Fault;
use serde::Serialize;

/// Answer of a `GET /v1/admin/experiments`.
#[derive(Debug, Serialize)]
struct Answer {
    /// In the order they are configured in.
    experiments: Vec<ExperimentReport>,
}

/// Answers `GET /v1/admin/experiments`.
pub(crate) async fn experiments(State(app): State<App>, request: Request) -> Response {
    match tell(&app, &request) {
        Ok(body) => reply::json(body),
        Err(problem) => reply::problem(&zeroentropy::ZeroEntropy, &problem),
    }
}

fn tell(app: &App, request: &Request) -> Result<Vec<u8>, Problem> {
    app.authorise(request.headers(), Permission::All)?;
    let experiments = app.library()?.search.engine.experiments();
    serde_json::to_vec(&Answer { experiments })
        .map_err(|error| Problem::new(Fault::Bug, format!("the report cannot be written: {error}")))
}

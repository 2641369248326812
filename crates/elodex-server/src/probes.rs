//! Probes for process managers and load balancers. They need no key and say nothing about the models.

use crate::app::App;
use crate::reply;
use axum::extract::State;
use axum::response::Response;
use elodex_dialects::{Problem, zeroentropy};
use elodex_types::Fault;

/// The process answers: 200 from the first moment.
pub(crate) async fn live() -> Response {
    reply::json(br#"{"status":"live"}"#.to_vec())
}

/// Calls are answered: 200 once every model has run once, 503 before that and while stopping.
pub(crate) async fn ready(State(app): State<App>) -> Response {
    if app.is_ready() {
        return reply::json(br#"{"status":"ready"}"#.to_vec());
    }
    let message = "the models are being loaded, or the server is stopping";
    reply::problem(&zeroentropy::ZeroEntropy, &Problem::new(Fault::Unavailable, message))
}

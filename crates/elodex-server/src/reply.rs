//! From answers and problems to HTTP responses.

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, HeaderName, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use elodex_dialects::{Dialect, Problem};
use elodex_types::Fault;

/// A JSON body with status 200.
pub(crate) fn json(body: Vec<u8>) -> Response {
    with_type(body, "application/json")
}

/// A body of this content type with status 200.
pub(crate) fn with_type(body: impl Into<Body>, content_type: &'static str) -> Response {
    let mut response = Response::new(body.into());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// A problem in the dialect's shape.
pub(crate) fn problem(dialect: &dyn Dialect, problem: &Problem) -> Response {
    let reply = dialect.render_error(problem);
    let mut response = json(reply.body);
    // The table holds valid statuses only; a bad row must not panic a request.
    *response.status_mut() = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in reply.retry.headers() {
        set(&mut response, name, &value);
    }
    if problem.fault == Fault::Unauthenticated {
        response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}

/// Sets a header whose value is text of ours; what cannot stand in a header is left out.
pub(crate) fn set(response: &mut Response, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(HeaderName::from_static(name), value);
    }
}

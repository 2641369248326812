//! Reading request bodies within limits.

use crate::config::ServerConfig;
use axum::body::Body;
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use elodex_dialects::Problem;
use elodex_types::Fault;
use http_body_util::BodyExt as _;
use std::time::Duration;

/// How long a refused client may go on sending.
const LONGEST_DRAIN: Duration = Duration::from_secs(2);

/// The whole body, at most `limit` bytes of it, within `body_timeout`.
pub(crate) async fn read(
    body: &mut Body,
    headers: &HeaderMap,
    limit: usize,
    config: &ServerConfig,
) -> Result<Vec<u8>, Problem> {
    match tokio::time::timeout(config.body_timeout, collect(body, declared_length(headers), limit)).await {
        Ok(result) => result,
        Err(_) => {
            let seconds = config.body_timeout.as_secs_f64();
            let message = format!("the request body did not arrive within {seconds} s");
            Err(Problem::new(Fault::Deadline, message))
        }
    }
}

/// The most bytes of this body that [`read`] will hold.
pub(crate) fn expected_length(headers: &HeaderMap, limit: usize) -> usize {
    declared_length(headers).unwrap_or(limit).min(limit)
}

fn declared_length(headers: &HeaderMap) -> Option<usize> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

async fn collect(body: &mut Body, declared: Option<usize>, limit: usize) -> Result<Vec<u8>, Problem> {
    let too_long = || {
        let message = format!("the request body is longer than {limit} bytes; split the request");
        Problem::new(Fault::TooLarge, message)
    };
    if declared.is_some_and(|declared| declared > limit) {
        return Err(too_long());
    }
    let mut bytes = Vec::with_capacity(declared.unwrap_or(0));
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Problem::new(Fault::User, "the request body ended early"))?;
        let Ok(data) = frame.into_data() else { continue };
        if bytes.len() + data.len() > limit {
            return Err(too_long());
        }
        bytes.extend_from_slice(&data);
    }
    Ok(bytes)
}

/// Reads what is left of a refused request's body, without keeping it and not for long.
///
/// A client that is still sending does not look for an answer, and closing the connection on it may cost it the answer
/// (a reset discards what was received).
pub(crate) async fn drain(body: &mut Body, config: &ServerConfig) {
    let rest = async { while let Some(Ok(_)) = body.frame().await {} };
    // A client too slow for this loses no more than without it.
    let _ = tokio::time::timeout(LONGEST_DRAIN.min(config.body_timeout), rest).await;
}

/// The content type, where it says that the body is something else than JSON.
pub(crate) fn foreign_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(CONTENT_TYPE)?;
    let text = String::from_utf8_lossy(value.as_bytes());
    let essence = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let is_json =
        essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"));
    (!is_json).then(|| essence.chars().take(80).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    #[test]
    fn json_is_recognised() {
        let foreign = |value: &'static str| {
            foreign_type(&HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(value))]))
        };
        assert_eq!(foreign("application/json"), None);
        assert_eq!(foreign("Application/JSON; charset=utf-8"), None);
        assert_eq!(foreign("application/problem+json"), None);
        assert_eq!(foreign("text/plain;charset=UTF-8"), Some("text/plain".into()));
        assert_eq!(foreign_type(&HeaderMap::new()), None);
    }
}

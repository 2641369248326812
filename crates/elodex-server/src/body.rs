//! Reading request bodies within limits.

use crate::config::ServerConfig;
use axum::body::Body;
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use elodex_dialects::Problem;
use elodex_types::Fault;
use http_body_util::BodyExt as _;

/// The whole body, at most `body_bytes` of it, within `body_timeout`.
pub(crate) async fn read(body: Body, headers: &HeaderMap, config: &ServerConfig) -> Result<Vec<u8>, Problem> {
    let limit = config.body_bytes;
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
pub(crate) fn expected_length(headers: &HeaderMap, config: &ServerConfig) -> usize {
    declared_length(headers).unwrap_or(config.body_bytes).min(config.body_bytes)
}

fn declared_length(headers: &HeaderMap) -> Option<usize> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

async fn collect(mut body: Body, declared: Option<usize>, limit: usize) -> Result<Vec<u8>, Problem> {
    let mut bytes = Vec::with_capacity(declared.unwrap_or(0).min(limit));
    let mut seen = 0;
    // A client that is still sending does not look at the answer, and closing on it may lose the answer. So an
    // over-long body is read to its end, without being kept, as long as it is not absurdly long.
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Problem::new(Fault::User, "the request body ended early"))?;
        let Ok(data) = frame.into_data() else { continue };
        seen += data.len();
        if seen <= limit {
            bytes.extend_from_slice(&data);
        } else {
            bytes = Vec::new();
            if seen > limit.saturating_mul(2) {
                break;
            }
        }
    }
    if seen <= limit {
        return Ok(bytes);
    }
    Err(Problem::new(
        Fault::TooLarge,
        format!("the request body is longer than {limit} bytes; split the request"),
    ))
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

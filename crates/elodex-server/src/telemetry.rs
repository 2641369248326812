//! Logs and traces. Neither ever holds a text or a key.

use crate::{Error, ErrorKind, Result};
use std::str::FromStr;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt};

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl FromStr for LogFormat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "text" => Ok(LogFormat::Text),
            "json" => Ok(LogFormat::Json),
            other => Err(format!("unknown log format `{other}`; use `text` or `json`")),
        }
    }
}

/// What to log and where to send traces.
#[derive(Debug, Clone)]
pub struct TelemetryConfig {
    /// How log lines look.
    pub format: LogFormat,
    /// Level or directives, such as `info` or `info,elodex_engine=debug`.
    pub filter: String,
    /// Base address of an OTLP/HTTP collector, such as `http://127.0.0.1:4318`.
    pub otlp_endpoint: Option<String>,
}

/// Sends what is left when dropped; keep it until the end of the process.
#[must_use]
#[derive(Debug)]
pub struct Telemetry {
    #[cfg(feature = "otlp")]
    provider: Option<opentelemetry_sdk::trace::SdkTracerProvider>,
}

#[cfg(feature = "otlp")]
impl Drop for Telemetry {
    fn drop(&mut self) {
        if let Some(provider) = self.provider.take()
            && let Err(error) = provider.shutdown()
        {
            tracing::warn!(error = %error, "the last traces could not be sent");
        }
    }
}

/// Starts logging to standard error, and tracing where an endpoint is set.
///
/// # Errors
/// [`ErrorKind::Config`] for an unusable filter or endpoint, or when logging was started before.
pub fn start(config: &TelemetryConfig) -> Result<Telemetry> {
    let filter = EnvFilter::try_new(&config.filter).map_err(|error| {
        Error::new(ErrorKind::Config, format!("`{}` is no log filter", config.filter)).caused_by(error)
    })?;
    let lines = fmt::layer().with_writer(std::io::stderr);
    let lines = match config.format {
        LogFormat::Text => lines.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    let mut layers: Vec<Box<dyn Layer<Registry> + Send + Sync>> = vec![lines];
    let telemetry = traces(config.otlp_endpoint.as_deref(), &mut layers)?;
    tracing_subscriber::registry()
        .with(layers)
        .with(filter)
        .try_init()
        .map_err(|error| Error::new(ErrorKind::Config, "logging was started before").caused_by(error))?;
    Ok(telemetry)
}

#[cfg(not(feature = "otlp"))]
fn traces(endpoint: Option<&str>, _: &mut Vec<Box<dyn Layer<Registry> + Send + Sync>>) -> Result<Telemetry> {
    match endpoint {
        None => Ok(Telemetry {}),
        Some(endpoint) => {
            let message =
                format!("this build cannot send traces to `{endpoint}`; build with the feature `otlp`");
            Err(Error::new(ErrorKind::Config, message))
        }
    }
}

#[cfg(feature = "otlp")]
fn traces(
    endpoint: Option<&str>,
    layers: &mut Vec<Box<dyn Layer<Registry> + Send + Sync>>,
) -> Result<Telemetry> {
    use opentelemetry::trace::TracerProvider as _;
    let Some(endpoint) = endpoint else { return Ok(Telemetry { provider: None }) };
    let provider = otlp::provider(endpoint)?;
    layers.push(tracing_opentelemetry::layer().with_tracer(provider.tracer("elodex")).boxed());
    Ok(Telemetry { provider: Some(provider) })
}

/// Makes the caller's span (W3C `traceparent`) the parent of `span`.
#[cfg(feature = "otlp")]
pub(crate) fn continue_trace(span: &tracing::Span, headers: &axum::http::HeaderMap) {
    use opentelemetry::propagation::TextMapPropagator as _;
    use tracing_opentelemetry::OpenTelemetrySpanExt as _;
    if !headers.contains_key("traceparent") {
        return;
    }
    let context = opentelemetry_sdk::propagation::TraceContextPropagator::new()
        .extract(&opentelemetry_http::HeaderExtractor(headers));
    // Refused where no traces are sent; then there is nothing to continue.
    let _ = span.set_parent(context);
}

#[cfg(feature = "otlp")]
mod otlp {
    use crate::{Error, ErrorKind, Result};
    use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
    use opentelemetry_otlp::{SpanExporter, WithExportConfig as _, WithHttpConfig as _};
    use opentelemetry_sdk::Resource;
    use opentelemetry_sdk::trace::SdkTracerProvider;
    use std::time::Duration;

    /// Batches spans on a thread of its own and posts them to `endpoint/v1/traces`.
    pub(super) fn provider(endpoint: &str) -> Result<SdkTracerProvider> {
        let agent = ureq::Agent::config_builder()
            .timeout_global(Some(Duration::from_secs(10)))
            .http_status_as_error(false)
            .build()
            .new_agent();
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(Client(agent))
            .with_endpoint(format!("{}/v1/traces", endpoint.trim_end_matches('/')))
            .build()
            .map_err(|error| {
                Error::new(ErrorKind::Config, format!("`{endpoint}` is no otlp endpoint")).caused_by(error)
            })?;
        let resource = Resource::builder()
            .with_service_name("elodex")
            .with_attribute(opentelemetry::KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .build();
        Ok(SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build())
    }

    /// The exporter runs on a plain thread, so a blocking client needs no runtime.
    #[derive(Debug)]
    struct Client(ureq::Agent);

    #[async_trait::async_trait]
    impl HttpClient for Client {
        async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
            let (parts, body) = request.into_parts();
            let answer = self.0.run(Request::from_parts(parts, body.to_vec()))?;
            let (parts, mut body) = answer.into_parts();
            Ok(Response::from_parts(parts, body.read_to_vec()?.into()))
        }
    }
}

#[cfg(test)]
#[cfg(feature = "otlp")]
mod tests {
    use super::*;
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    fn contains(haystack: &[u8], needle: &[u8]) -> bool {
        haystack.windows(needle.len()).any(|window| window == needle)
    }

    /// Takes one HTTP request, answers 200 and returns the whole request.
    fn collect(listener: TcpListener) -> Vec<u8> {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = Vec::new();
        let mut chunk = [0; 4096];
        loop {
            let read = stream.read(&mut chunk).unwrap();
            request.extend_from_slice(&chunk[..read]);
            let text = String::from_utf8_lossy(&request).to_ascii_lowercase();
            let Some((head, _)) = text.split_once("\r\n\r\n") else { continue };
            let length: usize =
                head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap().parse().unwrap();
            let head_length = request.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
            if request.len() >= head_length + length {
                break;
            }
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").unwrap();
        request
    }

    #[test]
    fn spans_reach_a_collector_and_continue_the_callers_trace() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}/", listener.local_addr().unwrap());
        let collector = std::thread::spawn(move || collect(listener));

        let mut layers = Vec::new();
        let telemetry = traces(Some(&endpoint), &mut layers).unwrap();
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layers), || {
            let span = tracing::info_span!("request", otel.name = "/v1/models/embed");
            let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
            let name = axum::http::HeaderName::from_static("traceparent");
            continue_trace(&span, &axum::http::HeaderMap::from_iter([(name, trace.parse().unwrap())]));
            span.in_scope(|| {});
        });
        drop(telemetry);

        let request = collector.join().unwrap();
        assert!(request.starts_with(b"POST /v1/traces HTTP/1.1\r\n"));
        assert!(contains(&request, b"/v1/models/embed") && contains(&request, b"elodex"));
        assert!(
            contains(&request, &[0x0a, 0xf7, 0x65, 0x19, 0x16, 0xcd, 0x43, 0xdd]),
            "the caller's trace id"
        );
    }

    #[test]
    fn an_unusable_endpoint_is_refused() {
        let error = traces(Some("not an address"), &mut Vec::new()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
    }
}

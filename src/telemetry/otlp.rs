//! Traces to an OpenTelemetry collector, where one is configured: OTLP over HTTP, in protobuf. A collector that
//! is away costs traces and nothing else: spans go through a bounded queue, each batch is sent once, and
//! nobody waits for it.

mod collect;
mod wire;

use std::time::Duration;

use prost::Message;
use reqwest::{
    Url,
    header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue},
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

pub(super) use collect::Collect;
pub use collect::TARGET;
use wire::{Export, KeyValue, Resource, ResourceSpans, Scope, ScopeSpans, Span, Value};

use crate::config::TelemetryConfig;

/// Spans that wait to be sent.
const QUEUE: usize = 4096;

/// Spans of a batch, and how long the first of them waits for the others.
const BATCH: usize = 512;
const WAIT: Duration = Duration::from_secs(2);

/// How long a collector may take for a batch.
const LIMIT: Duration = Duration::from_secs(10);

/// How long the last batch may take when the daemon stops, after a moment in which the last requests end.
const LAST_WAIT: Duration = Duration::from_millis(500);
const LAST_LIMIT: Duration = Duration::from_secs(2);

/// Why traces cannot be sent.
#[derive(Debug, thiserror::Error)]
pub enum OtlpError {
    #[error(
        "telemetry.otlp_endpoint is no http or https address ({0}); use one like http://127.0.0.1:4318"
    )]
    Endpoint(String),
    #[error("telemetry.otlp_headers holds an entry that is not `name: value` (entry {0})")]
    Header(usize),
    #[error("traces cannot be sent: {0}")]
    Client(reqwest::Error),
}

/// Sends what is gathered.
pub struct Traces {
    ended: mpsc::Receiver<Span>,
    client: reqwest::Client,
    url: Url,
    headers: HeaderMap,
}

/// Both ends, where a collector is configured.
pub(super) fn start(config: &TelemetryConfig) -> Result<Option<(Collect, Traces)>, OtlpError> {
    let Some(endpoint) = &config.otlp_endpoint else {
        return Ok(None);
    };
    let mut headers = headers_of(&config.otlp_headers)?;
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/x-protobuf"),
    );
    let client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("griot/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(OtlpError::Client)?;
    let (queue, ended) = mpsc::channel(QUEUE);
    let traces = Traces {
        ended,
        client,
        url: url_of(endpoint)?,
        headers,
    };
    Ok(Some((Collect { queue }, traces)))
}

/// `/v1/traces` under the endpoint, as the specification of OTLP exporters has it.
fn url_of(endpoint: &str) -> Result<Url, OtlpError> {
    let wrong = |reason: &dyn std::fmt::Display| OtlpError::Endpoint(reason.to_string());
    let mut url = Url::parse(endpoint).map_err(|error| wrong(&error))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(wrong(&"it begins with neither"));
    }
    let path = format!("{}/v1/traces", url.path().trim_end_matches('/'));
    url.set_path(&path);
    Ok(url)
}

/// `name: value` each. The values may be keys, so they are never repeated.
fn headers_of(entries: &[String]) -> Result<HeaderMap, OtlpError> {
    let mut headers = HeaderMap::new();
    for (number, entry) in (1..).zip(entries) {
        let parsed = entry.split_once(':').and_then(|(name, value)| {
            let name = name.trim().parse::<HeaderName>().ok()?;
            let mut value = value.trim().parse::<HeaderValue>().ok()?;
            value.set_sensitive(true);
            Some((name, value))
        });
        let (name, value) = parsed.ok_or(OtlpError::Header(number))?;
        headers.insert(name, value);
    }
    Ok(headers)
}

/// Counts spans that nobody will see.
fn lost(spans: usize, why: &'static str) {
    metrics::counter!("griot_trace_spans_lost_total", "why" => why).increment(spans as u64);
}

impl Traces {
    /// Sends until `cancel`, and then what is left.
    pub async fn run(mut self, cancel: CancellationToken) {
        let mut away = false;
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            let stopping = tokio::select! {
                more = self.ended.recv_many(&mut batch, BATCH) => more == 0,
                () = cancel.cancelled() => true,
            };
            let (wait, limit) = if stopping {
                (LAST_WAIT, LAST_LIMIT)
            } else {
                (WAIT, LIMIT)
            };
            self.fill(&mut batch, wait, &cancel, stopping).await;
            if !batch.is_empty() {
                let sent = self.send(std::mem::take(&mut batch), limit).await;
                // Said once, and once when it is over.
                match &sent {
                    Ok(()) if away => tracing::info!("traces are taken again"),
                    Err(error) if !away => {
                        tracing::warn!(%error, "traces are not taken; they are lost until they are");
                    }
                    _ => {}
                }
                away = sent.is_err();
            }
            if stopping {
                return;
            }
        }
    }

    /// Waits for more, but not when the daemon stops meanwhile.
    async fn fill(
        &mut self,
        batch: &mut Vec<Span>,
        wait: Duration,
        cancel: &CancellationToken,
        stopping: bool,
    ) {
        let deadline = tokio::time::Instant::now() + wait;
        while batch.len() < BATCH {
            let left = BATCH - batch.len();
            tokio::select! {
                more = self.ended.recv_many(batch, left) => if more == 0 { return },
                () = tokio::time::sleep_until(deadline) => return,
                () = cancel.cancelled(), if !stopping => return,
            }
        }
    }

    /// Sends a batch once. It is not tried again: what is lost is lost, and a collector in trouble is spared.
    async fn send(&self, spans: Vec<Span>, limit: Duration) -> Result<(), SendError> {
        let count = spans.len();
        let body = export(spans).encode_to_vec();
        let request = self
            .client
            .post(self.url.clone())
            .headers(self.headers.clone())
            .timeout(limit)
            .body(body);
        let sent = match request.send().await {
            Ok(reply) if reply.status().is_success() => Ok(()),
            Ok(reply) => Err(SendError::Refused(reply.status())),
            // Its address may hold a secret.
            Err(error) => Err(SendError::Away(error.without_url())),
        };
        match &sent {
            Ok(()) => metrics::counter!("griot_trace_spans_sent_total").increment(count as u64),
            Err(_) => lost(count, "not_taken"),
        }
        sent
    }
}

#[derive(Debug, thiserror::Error)]
enum SendError {
    #[error("the collector answered {0}")]
    Refused(reqwest::StatusCode),
    #[error("the collector cannot be reached: {0}")]
    Away(reqwest::Error),
}

fn export(spans: Vec<Span>) -> Export {
    let text = |key: &str, value: &str| KeyValue::new(key, Value::Text(value.to_owned()));
    let version = env!("CARGO_PKG_VERSION");
    Export {
        resource_spans: vec![ResourceSpans {
            resource: Some(Resource {
                attributes: vec![
                    text("service.name", "griot"),
                    text("service.version", version),
                ],
            }),
            scope_spans: vec![ScopeSpans {
                scope: Some(Scope {
                    name: "griot".to_owned(),
                    version: version.to_owned(),
                }),
                spans,
            }],
        }],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_the_endpoints_with_the_path_of_traces() {
        let check = |endpoint: &str, expected: Option<&str>| {
            let url = url_of(endpoint).ok();
            assert_eq!(url.as_ref().map(Url::as_str), expected, "{endpoint}");
        };
        check(
            "http://127.0.0.1:4318",
            Some("http://127.0.0.1:4318/v1/traces"),
        );
        check(
            "https://o.example/otlp/",
            Some("https://o.example/otlp/v1/traces"),
        );
        check("127.0.0.1:4318", None);
        check("grpc://127.0.0.1:4317", None);
        check("", None);
    }

    #[test]
    fn headers_are_read_and_never_repeated() {
        let headers = headers_of(&["x-key: a:b".to_owned(), "Y:".to_owned()]).unwrap();
        assert_eq!(headers["x-key"], "a:b");
        assert_eq!(headers["y"], "");
        assert!(!format!("{headers:?}").contains("a:b"));
        for wrong in ["no colon", "sp ace: a", "x: line\nbreak"] {
            let error = headers_of(&["x: y".to_owned(), wrong.to_owned()]).unwrap_err();
            assert!(error.to_string().ends_with("(entry 2)"), "{error}");
            assert!(!error.to_string().contains(wrong));
        }
    }
}

//! Logs to standard error, the metrics recorder, and traces to a collector where one is configured.
//!
//! What is never logged, at any level: text of documents, questions and answers, API keys, `Authorization`
//! headers and query strings (a query string may hold a question).

mod otlp;

use std::{io::IsTerminal, sync::OnceLock, time::Duration};

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::{
    EnvFilter, Layer, Registry, filter::filter_fn, fmt, layer::SubscriberExt, reload,
    util::SubscriberInitExt,
};

pub use otlp::{OtlpError, Traces};

use crate::config::{LogConfig, LogFormat, TelemetryConfig};

/// Upper bounds of the duration histograms, in seconds: from a health check to a slow answer.
const SECONDS: [f64; 13] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 2.5, 10.0, 30.0, 120.0,
];

/// How often histograms are folded when nobody scrapes them, so that samples do not pile up.
const UPKEEP: Duration = Duration::from_secs(30);

/// Why logging could not be started.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    #[error("log.level {given:?} is not a filter ({reason}); use one like `info` or `griot=debug`")]
    Filter { given: String, reason: String },
    #[error("logging was started twice in one process")]
    Twice,
    #[error(transparent)]
    Otlp(#[from] OtlpError),
}

/// What runs while the program does.
pub struct Telemetry {
    pub log: LogLevel,
    /// To be run, where traces are wanted.
    pub traces: Option<Traces>,
}

/// Starts logging to standard error, and gathering traces where they are wanted, for the rest of the process.
///
/// # Errors
/// When `log.level` is not a filter, traces cannot be sent as configured, or this was called before.
pub fn init(log: &LogConfig, telemetry: &TelemetryConfig) -> Result<Telemetry, TelemetryError> {
    let (filter, handle) = reload::Layer::new(filter(log)?);
    let lines: Box<dyn Layer<Registry> + Send + Sync> = match log.format {
        LogFormat::Text => fmt::layer()
            .with_writer(std::io::stderr)
            .with_ansi(std::io::stderr().is_terminal())
            .boxed(),
        LogFormat::Json => fmt::layer().json().with_writer(std::io::stderr).boxed(),
    };
    let (collect, traces) = otlp::start(telemetry)?.unzip();
    let wanted = filter_fn(|meta| meta.is_span() && meta.target() == otlp::TARGET);
    tracing_subscriber::registry()
        .with(lines.with_filter(filter))
        .with(collect.map(|collect| collect.with_filter(wanted)))
        .try_init()
        .map_err(|_| TelemetryError::Twice)?;
    Ok(Telemetry {
        log: LogLevel(handle),
        traces,
    })
}

fn filter(log: &LogConfig) -> Result<EnvFilter, TelemetryError> {
    // The embedded index tells of its own log files and of switches nobody can set: not for people. The spans
    // of traces would stand before every line.
    let quiet = format!("qdrant_edge=error,{}=off", otlp::TARGET);
    EnvFilter::try_new(format!("{quiet},{}", log.level)).map_err(|error| TelemetryError::Filter {
        given: log.level.clone(),
        reason: error.to_string(),
    })
}

/// What is logged, while the program runs.
pub struct LogLevel(reload::Handle<EnvFilter, Registry>);

impl LogLevel {
    /// Logs by another `log.level` from now on. The format stays.
    ///
    /// # Errors
    /// When it is not a filter; then nothing changes.
    pub fn change(&self, log: &LogConfig) -> Result<(), TelemetryError> {
        self.0
            .reload(filter(log)?)
            .map_err(|_| TelemetryError::Twice)
    }
}

/// The process's metrics, recorded from the first call on. Every call gives the same ones.
///
/// # Panics
/// Never: the bucket bounds are not empty.
pub fn metrics() -> PrometheusHandle {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    HANDLE
        .get_or_init(|| {
            let recorder = PrometheusBuilder::new()
                .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)
                .expect("the bounds are not empty")
                .build_recorder();
            let handle = recorder.handle();
            // Fails only when another recorder is installed already; then the handle shows nothing,
            // which is right for a program that embeds this library and has metrics of its own.
            let _ = metrics::set_global_recorder(recorder);
            handle
        })
        .clone()
}

/// Folds histograms until cancelled. Spawn it on the tracker of the daemon.
pub async fn keep_metrics(handle: PrometheusHandle, token: CancellationToken) {
    let mut tick = tokio::time::interval(UPKEEP);
    while token.run_until_cancelled(tick.tick()).await.is_some() {
        handle.run_upkeep();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_that_cannot_be_read_is_named() {
        let log = LogConfig {
            level: "griot=shout".to_owned(),
            format: LogFormat::Text,
        };
        let error = filter(&log).unwrap_err().to_string();
        assert!(error.contains("griot=shout"), "{error}");
    }

    #[test]
    fn durations_become_histograms_with_buckets() {
        let handle = metrics();
        metrics::histogram!("griot_test_duration_seconds").record(0.2);
        let text = handle.render();
        assert!(
            text.contains(r#"griot_test_duration_seconds_bucket{le="0.25"} 1"#),
            "{text}"
        );
    }
}

//! Counting requests, and the page that Prometheus reads.
//!
//! Labels come from closed sets (routes, methods, status codes), never from what a client wrote, so
//! that nobody can make the daemon keep series without end.

use std::time::Instant;

use axum::{
    extract::{MatchedPath, Request, State as Shared},
    http::{HeaderValue, Method, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

use tracing::{Instrument, Span, field::Empty};

use super::State;
use crate::health::ComponentState;

/// Counts a request and times it to the end of its headers.
pub async fn count(request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let method = method_label(request.method());
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or_else(|| "unmatched".to_owned(), |path| path.as_str().to_owned());
    let span = span_of(&request, method, &route);
    let response = next.run(request).instrument(span.clone()).await;
    let status = response.status();
    span.record("http.response.status_code", status.as_u16());
    if status.is_server_error() {
        span.record("otel.error", status.canonical_reason().unwrap_or("error"));
    }
    let elapsed = begun.elapsed();
    metrics::counter!(
        "griot_http_requests_total",
        "method" => method,
        "route" => route.clone(),
        "status" => status.as_str().to_owned()
    )
    .increment(1);
    metrics::histogram!("griot_http_request_duration_seconds", "route" => route.clone())
        .record(elapsed);
    tracing::debug!(
        method,
        route,
        status = status.as_u16(),
        elapsed_ms = elapsed.as_millis() as u64,
        "request served"
    );
    response
}

/// The request's span, for a collector of traces. Not of what machines ask every few seconds.
fn span_of(request: &Request, method: &'static str, route: &str) -> Span {
    if ["/livez", "/readyz", "/metrics"].contains(&route) {
        return Span::none();
    }
    let parent = request.headers().get("traceparent");
    tracing::info_span!(
        target: "griot::trace", "request",
        otel.name = format!("{method} {route}"), otel.kind = "server",
        otel.parent = parent.and_then(|value| value.to_str().ok()).unwrap_or_default(),
        http.request.method = method, http.route = route,
        http.response.status_code = Empty, otel.error = Empty,
    )
}

fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::PATCH => "PATCH",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

/// Counters, histograms and the library's totals, in Prometheus text (exposition format 0.0.4).
#[utoipa::path(get, path = "/metrics", tag = "health",
    responses((status = 200, description = "Prometheus text", body = String, content_type = "text/plain")))]
pub async fn metrics(Shared(state): Shared<State>) -> Response {
    // A catalog that is lost shows in the parts' states; its totals are then as they last were.
    if let Ok(totals) = state
        .catalog()
        .call(super::super::catalog::Catalog::totals)
        .await
    {
        let in_work = totals
            .documents
            .saturating_sub(totals.queued + totals.searchable + totals.failed);
        for (status, count) in [
            ("queued", totals.queued),
            ("processing", in_work),
            ("searchable", totals.searchable),
            ("failed", totals.failed),
        ] {
            metrics::gauge!("griot_documents", "status" => status).set(count as f64);
        }
        metrics::gauge!("griot_chunks").set(totals.chunks as f64);
    }
    let report = state.board().report();
    for part in &report.components {
        let up = match part.state {
            ComponentState::Ok => 1.0,
            ComponentState::Degraded => 0.5,
            ComponentState::Starting | ComponentState::Down => 0.0,
            ComponentState::Off => continue,
        };
        metrics::gauge!("griot_component_up", "component" => part.name.as_str()).set(up);
        metrics::counter!("griot_component_restarts_total", "component" => part.name.as_str())
            .absolute(u64::from(part.restarts));
    }
    metrics::gauge!("griot_incidents_open").set(f64::from(report.incidents_open));
    // What leaks shows here first.
    let tasks = tokio::runtime::Handle::current()
        .metrics()
        .num_alive_tasks();
    metrics::gauge!("griot_tasks_alive").set(tasks as f64);
    metrics::gauge!("griot_uptime_seconds").set(report.uptime_s as f64);
    (
        [(
            header::CONTENT_TYPE,
            HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8"),
        )],
        state.metrics().render(),
    )
        .into_response()
}

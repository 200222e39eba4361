//! How the daemon says that it is well.

use griot::domain::Component;
use reqwest::StatusCode;
use serde_json::json;

use crate::app::{LEASE, TestApp};

#[tokio::test]
async fn probes_answer_without_asking_anything() {
    let app = TestApp::start().await;
    for path in ["/livez", "/readyz"] {
        let reply = app.get(path).await;
        assert_eq!(reply.status, StatusCode::OK);
        assert_eq!(reply.json(), json!({ "status": "ok" }));
    }
    let _slot = app.board.slot(Component::Embedder, "here");
    let health = app.get("/api/health").await.json();
    let part = &health["components"][0];
    assert_eq!(part["name"], "embedder");
    for promised in "name state breaker since latency_ms last_error restarts".split(' ') {
        assert!(
            part.as_object().unwrap().contains_key(promised),
            "{promised} is not in {part}"
        );
    }
    for promised in "status components incidents_open version uptime_s".split(' ') {
        assert!(!health[promised].is_null(), "{promised} is not in {health}");
    }
    assert_eq!(
        app.get("/api/incidents").await.json(),
        json!({ "incidents": [] })
    );
    let unknown = "/api/incidents/inc_00000000000000000000000000000000";
    assert_eq!(app.get(unknown).await.verdict(), "404 incident-not-found");
}

#[tokio::test]
async fn metrics_count_what_happened() {
    let app = TestApp::start().await;
    app.ingest("lease.txt", LEASE).await;
    app.get("/nowhere/at/all").await;
    let reply = app.get("/metrics").await;
    assert!(reply.header("content-type").starts_with("text/plain"));
    // Other tests of this process count too, so only that the series are there is certain.
    for series in [
        "griot_http_requests_total{method=\"POST\",route=\"/api/knowledge/upload\",status=\"202\"}",
        "griot_http_requests_total{method=\"GET\",route=\"unmatched\",status=\"404\"}",
        "griot_http_request_duration_seconds_bucket{route=\"/api/knowledge/upload\",le=\"1\"}",
        "griot_uploads_total{duplicate=\"no\"}",
        "griot_upload_bytes_total",
        "griot_documents{status=\"searchable\"}",
        "griot_chunks",
        "griot_incidents_open 0",
    ] {
        assert!(
            reply.text().contains(series),
            "no {series} in\n{}",
            reply.text()
        );
    }
    assert!(
        !reply.text().contains("/nowhere"),
        "paths must not become labels"
    );
}

#[tokio::test]
async fn an_operator_sets_a_breaker() {
    let app = TestApp::start().await;
    let slot = app.board.slot(Component::LanguageModel, "fake");
    let limits = griot::health::Limits::call(std::time::Duration::from_secs(5));
    let _gate = griot::health::Gate::new(slot, limits);
    let put = async |part: &str, to: &str| {
        let path = format!("/api/health/breakers/{part}");
        let request = app.request(reqwest::Method::PUT, &path);
        let body = serde_json::json!({ "breaker": to });
        app.send(request.json(&body)).await
    };
    for (to, breaker, held) in [
        ("open", "open", true),
        ("closed", "closed", true),
        ("auto", "closed", false),
    ] {
        let reply = put("language_model", to).await;
        assert_eq!(reply.verdict(), "200");
        let part = &reply.json()["components"][0];
        assert_eq!(
            (&part["breaker"], &part["held"]),
            (&breaker.into(), &held.into()),
            "{to}"
        );
    }
    assert_eq!(
        put("embedder", "open").await.verdict(),
        "404 part-not-found"
    );
    assert_eq!(
        put("nonsense", "open").await.verdict(),
        "404 part-not-found"
    );
    assert_eq!(
        put("language_model", "ajar").await.verdict(),
        "422 invalid-value"
    );
}

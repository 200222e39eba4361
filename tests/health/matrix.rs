//! The fault matrix in short: a real socket, the real adapter, gate and probe, and a proxy that spoils
//! what is between. For each fault: it is noticed, callers are told at once, and it heals by itself. How
//! long each takes is the benchmark's to say.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Json, Router,
    routing::{get, post},
};
use griot::{
    adapters::ollama::Ollama,
    domain::Component,
    health::{
        Board, BreakerState, ComponentState, Gate, Guarded, Limits, Probe, Url, probes::one_token,
    },
    ports::{LanguageModel, PortError},
};
use serde_json::json;
use tokio::net::TcpListener;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    proxy::{Fault, Proxy},
    read, request, until,
};

/// A server that answers well.
async fn server() -> SocketAddr {
    let reply = json!({"model": "m", "created_at": "2026-01-01T00:00:00Z", "done": true,
        "message": {"role": "assistant", "content": "yes"}, "done_reason": "stop"});
    let reply = format!("{reply}\n");
    let models =
        json!({"models": [{"name": "m", "modified_at": "2026-01-01T00:00:00Z", "size": 1}]});
    let router = Router::new()
        .route("/api/chat", post(async move || reply.clone()))
        .route("/api/tags", get(async move || Json(models.clone())));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

async fn check(fault: Fault) {
    let proxy = Proxy::start(server().await).await;
    let url: Url = format!("http://{}", proxy.address).parse().unwrap();
    let ollama = Ollama::new(url, "m").unwrap();
    let board = Board::new();
    let gate = Gate::new(
        board.slot(Component::LanguageModel, "m"),
        Limits::stream(Duration::from_millis(300), Duration::from_millis(300)),
    );
    let (tracker, cancel) = (TaskTracker::new(), CancellationToken::new());
    let glance = ollama.clone();
    let model: Arc<dyn LanguageModel> = Arc::new(ollama);
    Probe::new(Arc::clone(&gate), one_token(Arc::clone(&model)))
        .glance(Box::new(move || {
            let model = glance.clone();
            Box::pin(async move { model.glance().await })
        }))
        .start(Duration::from_secs(3600), &tracker, cancel.clone());
    let guarded = Guarded::new(model, gate);
    assert_eq!(
        read(guarded.chat(request()).await).await,
        "yes|done",
        "{fault:?}"
    );

    proxy.set(fault);
    // One question meets it; the rest is the probe's business.
    let reply = read(guarded.chat(request()).await).await;
    assert!(!reply.ends_with("|done"), "{fault:?}: {reply}");
    until(&board, |report| {
        report.components[0].breaker == BreakerState::Open
    })
    .await;
    assert_eq!(board.report().incidents_open, 1, "{fault:?}");
    let told = guarded.chat(request()).await;
    assert!(matches!(told, Err(PortError::Resting { .. })), "{fault:?}");

    proxy.set(Fault::Nothing);
    until(&board, |report| {
        report.components[0].state == ComponentState::Ok
    })
    .await;
    assert_eq!(
        read(guarded.chat(request()).await).await,
        "yes|done",
        "{fault:?}"
    );
    assert_eq!(board.report().incidents_open, 0, "{fault:?}");
    cancel.cancel();
    tracker.close();
    tracker.wait().await;
}

#[tokio::test]
async fn each_fault_is_noticed_and_heals() {
    for fault in Fault::ALL {
        check(fault).await;
    }
}

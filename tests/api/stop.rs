//! Stopping: what has begun is told, nothing hangs.

use futures::StreamExt;
use griot::ports::fakes::Gate;
use reqwest::Method;
use serde_json::json;
use tokio::net::TcpStream;

use crate::app::{LEASE, QUESTION, Settings, TestApp};

#[tokio::test]
async fn an_answer_in_work_ends_with_an_error_event() {
    let gate = Gate::new();
    let mut app = TestApp::with(Settings {
        gate: Some(gate.clone()),
        ..Settings::default()
    })
    .await;
    app.ingest("lease.txt", LEASE).await;
    let response = app
        .request(Method::POST, "/api/rag/query")
        .json(&json!({ "question": QUESTION, "stream": true }))
        .send()
        .await
        .unwrap();
    gate.reached().await;
    app.begin_to_stop();
    let chunks: Vec<_> = response.bytes_stream().collect().await;
    let bytes: Vec<u8> = chunks
        .into_iter()
        .flat_map(|chunk| chunk.expect("the stream ends in order"))
        .collect();
    let body = String::from_utf8(bytes).unwrap();
    let last = body.trim_end().rsplit("\n\n").next().unwrap();
    assert!(last.starts_with("event: error\n"), "{last}");
    assert!(last.contains("urn:griot:problem:stopping"), "{last}");
    app.stopped().await;
}

#[tokio::test]
async fn idle_connections_do_not_hold_it_up() {
    let mut app = TestApp::start().await;
    // One that never said a word, and one that is kept alive after its answer.
    let silent = TcpStream::connect(app.address).await.unwrap();
    app.get("/livez").await;
    app.stopped().await;
    assert!(TcpStream::connect(app.address).await.is_err());
    drop(silent);
}

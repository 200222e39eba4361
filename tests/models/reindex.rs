//! From one real embedding model to another, and back, with the real daemon and its real index.

use serde_json::{Value, json};

use crate::daemon::Daemon;

const OLD: &str = "minilm-l6";
const NEW: &str = "minilm-l6-int8";

/// Asks for passages: all of them found by meaning, the lease's first.
async fn check_answered(daemon: &Daemon) {
    let found: Value = daemon
        .get("/api/rag/context?q=When%20does%20the%20tenant%20pay%20for%20the%20flat%3F&top_k=3")
        .await
        .json()
        .await
        .unwrap();
    assert_eq!(found["degraded"], json!([]), "{found}");
    let first = &found["passages"][0];
    assert_eq!(first["document"], "lease-agreement.pdf", "{found}");
    assert!(first["scores"]["dense"].is_number(), "{found}");
}

async fn report(daemon: &Daemon) -> Value {
    daemon.get("/api/reindex").await.json().await.unwrap()
}

async fn answering(daemon: &Daemon) -> String {
    report(daemon).await["active"]["model"]
        .as_str()
        .expect("something answers")
        .to_owned()
}

async fn post(daemon: &Daemon, path: &str) {
    let reply = daemon.post(path, &json!({})).await;
    let status = reply.status();
    let text = reply.text().await.unwrap();
    assert_eq!(status, 202, "{text}");
}

/// Asks until nothing is done about the index any more.
async fn ask_until_idle(daemon: &Daemon) {
    loop {
        let report = report(daemon).await;
        check_answered(daemon).await;
        if report["activity"] == "idle" {
            return;
        }
        assert_eq!(report["trouble"], Value::Null, "{report}");
    }
}

#[tokio::test]
async fn another_embedding_model_without_starting_over() {
    let (Some(old), Some(_)) = (
        super::weights(&["minilm-l6/model.onnx"]),
        super::weights(&["minilm-l6-int8/model.onnx"]),
    ) else {
        return;
    };
    let models = old.parent().and_then(|folder| folder.parent()).unwrap();
    let home = tempfile::tempdir().unwrap();
    let start = |model: &str| {
        Daemon::start(
            home.path(),
            models,
            &[
                ("GRIOT__EMBED__MODEL", model),
                ("GRIOT__LLM__UPSTREAMS", "[]"),
            ],
        )
    };
    let daemon = start(OLD);
    let documents = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("data/documents");
    for entry in std::fs::read_dir(&documents).unwrap() {
        daemon.take_in(&entry.unwrap().path()).await;
    }
    check_answered(&daemon).await;
    drop(daemon);

    // Killed in the middle of it, and started again.
    let daemon = start(NEW);
    let health: Value = daemon.get("/api/health").await.json().await.unwrap();
    assert_eq!(health["index"]["model"], OLD, "{health}");
    assert!(health["index"]["notice"].is_string(), "{health}");
    check_answered(&daemon).await;
    post(&daemon, "/api/reindex").await;
    drop(daemon);
    let daemon = start(NEW);
    ask_until_idle(&daemon).await;
    assert_eq!(answering(&daemon).await, NEW);
    check_answered(&daemon).await;
    assert!(home.path().join("index-1/shard").is_dir());

    post(&daemon, "/api/reindex/rollback").await;
    ask_until_idle(&daemon).await;
    assert_eq!(answering(&daemon).await, OLD);
    drop(daemon);

    let daemon = start(NEW);
    assert_eq!(answering(&daemon).await, OLD);
    post(&daemon, "/api/reindex/rollback").await;
    ask_until_idle(&daemon).await;
    assert_eq!(answering(&daemon).await, NEW);
    let dropped = daemon.delete("/api/reindex/kept").await;
    assert_eq!(dropped.status(), 200);
    assert!(!home.path().join("index/shard").exists());
    check_answered(&daemon).await;
}

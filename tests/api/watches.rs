//! Watched folders over HTTP.

use std::fs;

use griot::config::IngestConfig;
use reqwest::StatusCode;
use serde_json::json;

use crate::app::{Settings, TestApp};

#[tokio::test]
async fn a_watch_from_its_beginning_to_its_end() {
    let disk = tempfile::tempdir().unwrap();
    let root = disk.path().canonicalize().unwrap();
    for name in ["papers", "elsewhere"] {
        fs::create_dir(root.join(name)).unwrap();
    }
    let app = TestApp::with(Settings {
        ingest: IngestConfig {
            allowed_roots: vec![root.join("papers")],
            ..IngestConfig::default()
        },
        ..Settings::default()
    })
    .await;
    assert_eq!(
        app.get("/api/watches").await.json(),
        json!({ "watches": [] })
    );
    let refused = async |body: serde_json::Value, verdict: &str| {
        let reply = app.post("/api/watches", &body).await;
        assert_eq!(reply.verdict(), verdict, "{body}");
    };
    refused(json!({ "path": root }), "403 path-not-allowed").await;
    refused(
        json!({ "path": root.join("elsewhere") }),
        "403 path-not-allowed",
    )
    .await;
    refused(
        json!({ "path": root.join("papers/none") }),
        "422 invalid-value",
    )
    .await;
    let papers = root.join("papers");
    refused(json!({ "path": "" }), "422 invalid-value").await;
    refused(json!({ "paths": papers }), "422 invalid-value").await;
    refused(
        json!({ "path": papers, "include": ["a{b"] }),
        "422 invalid-value",
    )
    .await;
    refused(
        json!({ "path": papers, "deleted": "burn" }),
        "422 invalid-value",
    )
    .await;

    let wish = json!({ "path": papers, "collection": "home", "exclude": ["drafts/"] });
    let reply = app.post("/api/watches", &wish).await;
    assert_eq!(reply.status, StatusCode::CREATED, "{}", reply.text());
    let watch = reply.json();
    assert_eq!(watch["path"], json!(papers));
    assert_eq!(
        (&watch["collection"], &watch["exclude"], &watch["deleted"]),
        (&json!("home"), &json!(["drafts/"]), &json!("retire"))
    );
    refused(wish, "409 watch-conflict").await;
    let all = app.get("/api/watches").await.json();
    assert_eq!(all["watches"][0]["id"], watch["id"]);
    let one = format!("/api/watches/{}", watch["id"].as_str().unwrap());
    let reply = app.delete(&format!("{one}?keep=perhaps")).await;
    assert_eq!(reply.verdict(), "422 invalid-value");
    let reply = app.delete(&format!("{one}?keep=true")).await;
    assert_eq!(reply.status, StatusCode::OK);
    assert_eq!(app.delete(&one).await.verdict(), "404 watch-not-found");
    let reply = app.delete("/api/watches/papers").await;
    assert_eq!(reply.verdict(), "422 invalid-value");
    let health = app.get("/api/health").await.json();
    assert_eq!(health["watches"], json!([]));
}

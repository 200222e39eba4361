//! Passwords of encrypted documents: used once, and found nowhere afterwards.

use std::path::Path;

use reqwest::{StatusCode, multipart::Form};
use serde_json::{Value, json};

use crate::app::{TestApp, file};

/// Not a word that anything else would write.
const PASSWORD: &str = "Kolibri-7731-Geheim";

fn locked() -> Form {
    // The reader of these tests takes the first line for what opens the rest.
    let text = format!("LOCKED {}\nRent is due.", obscured(PASSWORD));
    Form::new().part("file", file("lease.txt", &text))
}

/// As the test's document holds it, so that finding the password means finding the one given.
fn obscured(password: &str) -> String {
    password.chars().rev().collect()
}

async fn outcome(app: &TestApp, accepted: &Value) -> Value {
    let id = accepted["documents"][0]["id"].as_str().unwrap();
    app.library.wait(id.parse().unwrap()).await.unwrap();
    let status = app.get(&format!("/api/knowledge/status/{id}")).await;
    assert!(!status.text().contains(PASSWORD), "{}", status.text());
    status.json()
}

/// Every file below a folder that holds these bytes.
fn holding(folder: &Path, words: &str) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if std::fs::read(&path)
                .unwrap()
                .windows(words.len())
                .any(|w| w == words.as_bytes())
            {
                found.push(path);
            }
        }
    }
    found
}

#[tokio::test]
async fn a_password_comes_with_the_upload_and_is_kept_nowhere() {
    let app = TestApp::start().await;
    let reply = app.upload(locked().text("password", PASSWORD)).await;
    assert_eq!(reply.status, StatusCode::ACCEPTED, "{}", reply.text());
    let status = outcome(&app, &reply.json()).await;
    assert_eq!(status["status"], "searchable", "{status}");
    assert_eq!(
        holding(app.home.path(), PASSWORD),
        Vec::<std::path::PathBuf>::new()
    );
    assert!(!holding(app.home.path(), "Rent is due.").is_empty());

    // It was for the one reading: another wants it again.
    let id = status["id"].as_str().unwrap();
    let again = json!({ "id": id });
    let again = app.post("/api/knowledge/process", &again).await;
    let status = outcome(&app, &again.json()).await;
    assert_eq!(status["error"]["code"], "encrypted");
}

#[tokio::test]
async fn a_document_without_its_password_fails_and_takes_it_later() {
    let app = TestApp::start().await;
    for form in [locked(), locked().text("password", "wrong")] {
        let status = outcome(&app, &app.upload(form).await.json()).await;
        assert_eq!(status["error"]["code"], "encrypted", "{status}");
    }
    let id = {
        let status = outcome(&app, &app.upload(locked()).await.json()).await;
        status["id"].as_str().unwrap().to_owned()
    };
    let again = json!({ "id": id, "password": PASSWORD });
    let reply = app.post("/api/knowledge/process", &again).await;
    let status = outcome(&app, &reply.json()).await;
    assert_eq!(status["status"], "searchable", "{status}");
    assert_eq!(status["error"], Value::Null);
}

#[tokio::test]
async fn wrong_fields_are_told() {
    let app = TestApp::start().await;
    let long = "x".repeat(1025);
    let twice = locked().text("password", "a").text("password", "b");
    for form in [locked().text("password", long.clone()), twice] {
        assert_eq!(app.upload(form).await.verdict(), "422 invalid-value");
    }
    for body in [
        json!({ "id": "doc_00000000000000000000000000000000", "password": long }),
        json!({ "path": "/tmp", "password": "a" }),
    ] {
        let reply = app.post("/api/knowledge/process", &body).await;
        assert_eq!(reply.verdict(), "422 invalid-value", "{}", reply.text());
    }
    let empty = app.upload(locked().text("password", "")).await;
    assert_eq!(empty.status, StatusCode::ACCEPTED);
}

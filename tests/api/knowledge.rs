//! The library: in, how far, what it says, out.

use griot::{
    config::{IngestConfig, ServerConfig},
    ports::fakes::Trouble,
};
use reqwest::{Method, StatusCode, multipart::Form};
use serde_json::json;
use tokio::{io::AsyncWriteExt, net::TcpStream};

use crate::app::{LEASE, Settings, TestApp, file};

#[tokio::test]
async fn a_document_from_upload_to_delete() {
    let app = TestApp::start().await;
    let form = Form::new()
        .part("file", file("Mietvertrag \"Müller\".txt", LEASE))
        // After the file on purpose: the order of the fields does not matter.
        .text("collection", "home")
        .text("metadata", r#"{"year": 2024}"#);
    let reply = app.upload(form).await;
    assert_eq!(reply.status, StatusCode::ACCEPTED);
    let accepted = &reply.json()["documents"][0];
    let id = accepted["id"].as_str().unwrap().to_owned();
    assert_eq!(accepted["duplicate"], false);
    assert_eq!(accepted["name"], "Mietvertrag \"Müller\".txt");
    assert_eq!(accepted["location"], format!("/api/knowledge/status/{id}"));
    app.library.wait(id.parse().unwrap()).await.unwrap();

    let status = app.get(accepted["location"].as_str().unwrap()).await.json();
    let fields: Vec<&str> = status
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    for promised in "id name media_type bytes sha256 collection metadata status stage progress pages chunks revision error created_at updated_at".split(' ') {
        assert!(fields.contains(&promised), "{promised} is not in {fields:?}");
    }
    assert_eq!(status["status"], "searchable");
    assert_eq!(status["stage"], "done");
    assert_eq!(status["progress"], 1.0);
    assert_eq!(status["collection"], "home");
    assert_eq!(status["metadata"], json!({ "year": 2024 }));
    assert_eq!(status["bytes"], LEASE.len());
    assert_eq!(
        status["pages"],
        json!([{ "page": 1, "chars": LEASE.chars().count(), "state": "text", "engine": "text" }])
    );
    let one = app.get(&format!("/api/knowledge/documents/{id}")).await;
    assert_eq!(one.json(), status);

    let text = app
        .get(&format!("/api/knowledge/documents/{id}/text"))
        .await;
    assert_eq!(text.text(), LEASE);
    assert_eq!(text.header("content-type"), "text/plain; charset=utf-8");
    let part = format!("/api/knowledge/documents/{id}/text?start=4&end=8");
    assert_eq!(app.get(&part).await.text(), "flat");
    let beyond = format!("/api/knowledge/documents/{id}/text?start=99999");
    assert_eq!(app.get(&beyond).await.text(), "");

    let original = app
        .get(&format!("/api/knowledge/documents/{id}/original"))
        .await;
    assert_eq!(original.text(), LEASE);
    assert_eq!(original.header("content-type"), "text/plain");
    assert_eq!(original.header("x-content-type-options"), "nosniff");
    assert_eq!(
        original.header("content-disposition"),
        "attachment; filename=\"Mietvertrag _M_ller_.txt\"; \
         filename*=UTF-8''Mietvertrag%20%22M%C3%BCller%22.txt"
    );

    let again = app
        .post("/api/knowledge/process", &json!({ "id": id }))
        .await;
    assert_eq!(again.status, StatusCode::ACCEPTED);
    assert_eq!(again.json()["documents"][0]["id"], id);
    app.library.wait(id.parse().unwrap()).await.unwrap();

    let receipt = app.delete(&format!("/api/knowledge/documents/{id}")).await;
    assert_eq!(receipt.status, StatusCode::OK);
    let receipt = receipt.json();
    assert_eq!(receipt["id"], id);
    assert_eq!(receipt["original_removed"], true);
    assert_eq!(receipt["text_bytes"], LEASE.len());
    assert_eq!(receipt["pending"], json!([]));
    for path in ["", "/text", "/original"] {
        let gone = app
            .get(&format!("/api/knowledge/documents/{id}{path}"))
            .await;
        assert_eq!(gone.verdict(), "404 document-not-found");
    }
}

#[tokio::test]
async fn several_files_and_the_same_bytes_twice() {
    let app = TestApp::start().await;
    let form = Form::new()
        .part("file", file("a.txt", "one"))
        .part("file", file("b.txt", "two"));
    let first = app.upload(form).await.json();
    let documents = first["documents"].as_array().unwrap();
    assert_eq!(documents.len(), 2);
    assert_eq!(documents[0]["name"], "a.txt");
    assert_eq!(documents[1]["name"], "b.txt");

    let again = app
        .upload(Form::new().part("file", file("renamed.txt", "one")))
        .await
        .json();
    assert_eq!(again["documents"][0]["duplicate"], true);
    assert_eq!(again["documents"][0]["id"], documents[0]["id"]);
}

#[tokio::test]
async fn a_document_that_cannot_be_read_says_why() {
    let app = TestApp::start().await;
    let document = app.ingest("broken.txt", "!").await;
    let status = app
        .get(&format!("/api/knowledge/status/{}", document.id))
        .await
        .json();
    assert_eq!(status["status"], "failed");
    assert_eq!(status["error"]["code"], "damaged");
    let text = app
        .get(&format!("/api/knowledge/documents/{}/text", document.id))
        .await;
    assert_eq!(text.verdict(), "404 text-not-found");
}

#[tokio::test]
async fn lists_come_in_pages_newest_first() {
    let app = TestApp::start().await;
    let mut names = Vec::new();
    for n in 0..5 {
        let name = format!("{n}.txt");
        app.ingest(&name, &format!("text {n}")).await;
        names.insert(0, name);
    }
    let mut seen = Vec::new();
    let mut path = "/api/knowledge/documents?limit=2".to_owned();
    loop {
        let page = app.get(&path).await.json();
        let documents = page["documents"].as_array().unwrap();
        assert!(documents.len() <= 2);
        seen.extend(
            documents
                .iter()
                .map(|document| document["name"].as_str().unwrap().to_owned()),
        );
        match page["next_cursor"].as_str() {
            Some(cursor) => path = format!("/api/knowledge/documents?limit=2&cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!(seen, names);
    let none = app.get("/api/knowledge/documents?collection=other").await;
    assert_eq!(none.json(), json!({ "documents": [] }));
}

#[tokio::test]
async fn folders_of_the_daemons_machine() {
    let root = tempfile::tempdir().unwrap();
    std::fs::write(root.path().join("a.txt"), "alpha").unwrap();
    std::fs::write(root.path().join("b.txt"), "").unwrap();
    let outside = tempfile::tempdir().unwrap();
    let app = TestApp::with(Settings {
        ingest: IngestConfig {
            allowed_roots: vec![root.path().to_owned()],
            ..IngestConfig::default()
        },
        ..Settings::default()
    })
    .await;
    let process = async |body| app.post("/api/knowledge/process", &body).await;
    let taken = process(json!({ "path": root.path() })).await;
    assert_eq!(taken.status, StatusCode::ACCEPTED);
    assert_eq!(taken.json()["documents"][0]["name"], "a.txt");
    assert_eq!(taken.json()["skipped"].as_array().unwrap().len(), 1);
    let refused = process(json!({ "path": outside.path() })).await;
    assert_eq!(refused.verdict(), "403 path-not-allowed");
    let sly = root
        .path()
        .join("..")
        .join(outside.path().file_name().unwrap());
    assert_eq!(
        process(json!({ "path": sly })).await.verdict(),
        "403 path-not-allowed"
    );
}

#[tokio::test]
async fn what_is_too_large_leaves_nothing() {
    let small = || Settings {
        server: ServerConfig {
            max_upload_bytes: 10_000,
            ..ServerConfig::default()
        },
        ingest: IngestConfig {
            max_file_bytes: 5_000,
            ..IngestConfig::default()
        },
        ..Settings::default()
    };
    let mut app = TestApp::with(small()).await;
    for (bytes, expected) in [
        (5_000, "202"),
        (5_001, "413 too-large"),
        (100_000, "413 too-large"),
    ] {
        let form = Form::new().part("file", file("a.txt", &"x".repeat(bytes)));
        assert_eq!(app.upload(form).await.verdict(), expected, "{bytes}");
    }
    // Two files that are each small enough, together too large for one request.
    let form = Form::new()
        .part("file", file("a.txt", &"a".repeat(4_900)))
        .part("file", file("b.txt", &"b".repeat(4_900)))
        .part("file", file("c.txt", &"c".repeat(4_900)));
    assert_eq!(app.upload(form).await.verdict(), "413 too-large");
    let list = app.get("/api/knowledge/documents").await.json();
    assert_eq!(list["documents"].as_array().unwrap().len(), 1);
    app.stopped().await;
    assert_eq!(incoming(&app), 0);
}

#[tokio::test]
async fn a_client_that_leaves_in_the_middle_leaves_nothing() {
    let mut app = TestApp::start().await;
    let mut stream = TcpStream::connect(app.address).await.unwrap();
    let head = format!(
        "POST /api/knowledge/upload HTTP/1.1\r\nHost: {}\r\nContent-Type: multipart/form-data; \
         boundary=X\r\nContent-Length: 100000\r\n\r\n--X\r\nContent-Disposition: form-data; \
         name=\"file\"; filename=\"a.txt\"\r\n\r\n{}",
        app.address,
        "x".repeat(30_000)
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    drop(stream);
    // Stopping waits for every connection, this one too.
    app.stopped().await;
    assert_eq!(incoming(&app), 0);
}

/// Files that are on their way in.
fn incoming(app: &TestApp) -> usize {
    std::fs::read_dir(app.home.path().join("incoming")).map_or(0, Iterator::count)
}

#[tokio::test]
async fn a_part_header_without_end_is_refused_early() {
    let app = TestApp::start().await;
    let mut body = b"--X\r\nContent-Disposition: form-data; name=\"file\"; x=\"".to_vec();
    body.resize(8 * 1024 * 1024, b'a');
    let request = app
        .request(Method::POST, "/api/knowledge/upload")
        .header("content-type", "multipart/form-data; boundary=X")
        .body(body);
    assert_eq!(app.send(request).await.verdict(), "400 malformed-request");
}

/// What a progress bar needs, while a document is on its way and after it.
#[tokio::test]
async fn progress_in_numbers() {
    let app = TestApp::start().await;
    let idle = app.get("/api/knowledge/status").await;
    assert_eq!(
        idle.json(),
        json!({ "waiting": 0, "processing": 0, "chunks_per_s": null, "time_left_s": null, "documents": [] })
    );
    app.embedder.trouble(Trouble::Hang);
    let text: String = (0..400)
        .map(|n| format!("Sentence {n} is short. "))
        .collect();
    let form = Form::new().part("file", file("long.txt", &text));
    let accepted = app.upload(form).await.json()["documents"][0].clone();
    let location = accepted["location"].as_str().unwrap();
    let status = loop {
        let status = app.get(location).await.json();
        if status["stage"] == "embedding" {
            break status;
        }
    };
    let work = &status["work"];
    let chunks = work["chunks"].as_u64().unwrap();
    assert!(chunks > 3, "{status}");
    assert_eq!(
        work,
        &json!({
            "pages_done": 1, "pages": 1, "chunks_done": 0, "chunks": chunks,
            "chunks_per_s": null, "time_left_s": null,
        })
    );
    let queue = app.get("/api/knowledge/status").await.json();
    assert_eq!(
        (&queue["waiting"], &queue["processing"]),
        (&json!(0), &json!(1))
    );
    assert_eq!(queue["documents"][0], status);

    app.embedder.recover();
    let id = accepted["id"].as_str().unwrap();
    app.library.wait(id.parse().unwrap()).await.unwrap();
    let done = app.get(location).await.json();
    assert_eq!(
        (&done["work"], &done["chunks"]),
        (&json!(null), &json!(chunks))
    );
    let queue = app.get("/api/knowledge/status").await.json();
    assert_eq!(
        (&queue["processing"], &queue["documents"]),
        (&json!(0), &json!([]))
    );
    assert!(queue["chunks_per_s"].as_f64().unwrap() > 0.0);
}

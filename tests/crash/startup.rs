//! How soon a killed daemon answers again, with a library of ten thousand passages. Measured and
//! printed, not asserted: the machine may be busy. `make bench` has the figure too.

use std::time::Instant;

use reqwest::StatusCode;

use crate::{
    daemon::{Home, until},
    document::of_length,
};

const DOCUMENTS: u64 = 20;
const PARAGRAPHS: u64 = 500;

#[tokio::test]
async fn ten_thousand_chunks_are_ready_soon() {
    let home = Home::new();
    let daemon = home.run(&[]);
    let client = daemon.client();
    let files: Vec<_> = (0..DOCUMENTS).map(|n| of_length(n, PARAGRAPHS)).collect();
    for file in &files {
        let (status, body) = client.upload(&[file], "default").await.unwrap();
        assert_eq!(status, StatusCode::ACCEPTED, "{body}");
    }
    let mut chunks = 0;
    until("everything is searchable", async || {
        let documents = client.documents().await.unwrap();
        assert!(documents.iter().all(|one| one["status"] != "failed"));
        chunks = documents
            .iter()
            .map(|one| one["chunks"].as_u64().unwrap())
            .sum();
        documents.iter().all(|one| one["status"] == "searchable")
    })
    .await;
    assert!(chunks >= DOCUMENTS * PARAGRAPHS, "{chunks}");
    daemon.kill();

    let began = Instant::now();
    let daemon = home.run(&[]);
    let client = daemon.client();
    until("it is ready", async || {
        client.get("/readyz").await.unwrap().0 == StatusCode::OK
    })
    .await;
    let ready = began.elapsed();
    let word = &files[7].words[123];
    let (status, answer) = client.search(word).await.unwrap();
    let answered = began.elapsed();
    assert_eq!(status, StatusCode::OK, "{answer}");
    let text = answer["passages"][0]["text"].as_str().unwrap();
    assert!(text.contains(word), "{answer}");
    assert_eq!(
        answer["degraded"].as_array().map(Vec::len),
        Some(0),
        "{answer}"
    );
    println!(
        "killed with {chunks} chunks: ready {:.2} s after its start, the first search answered after {:.2} s",
        ready.as_secs_f64(),
        answered.as_secs_f64()
    );
    daemon.stop();
}

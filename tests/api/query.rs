//! Questions: whole, streamed, cancelled, too many, at a lower level.

use futures::StreamExt;
use griot::{
    config::ServerConfig,
    ports::fakes::{Gate, Trouble},
};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::app::{LEASE, QUESTION, QUOTE, Settings, TestApp};

async fn with_lease(settings: Settings) -> TestApp {
    let app = TestApp::with(settings).await;
    app.ingest("lease.txt", LEASE).await;
    app
}

/// Reads events of a body: names and data.
fn events(body: &str) -> Vec<(String, Value)> {
    body.split("\n\n")
        .filter_map(|block| {
            let field = |name: &str| {
                block
                    .lines()
                    .find_map(|line| line.strip_prefix(name))
                    .map(str::trim_start)
            };
            Some((
                field("event:")?.to_owned(),
                serde_json::from_str(field("data:")?).expect("data is JSON"),
            ))
        })
        .collect()
}

#[tokio::test]
async fn an_answer_with_its_proof() {
    let app = with_lease(Settings::default()).await;
    let reply = app
        .post("/api/rag/query", &json!({ "question": QUESTION }))
        .await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
    let answer = reply.json();
    for promised in "id question answer supported degraded citations evidence conversation_id model timings_ms usage".split(' ') {
        assert!(!answer[promised].is_null(), "{promised} is not in {answer}");
    }
    assert_eq!(answer["question"], QUESTION);
    assert_eq!(answer["supported"], true);
    assert_eq!(answer["degraded"], json!([]));
    let citation = &answer["citations"][0];
    assert_eq!(citation["quote"], QUOTE);
    assert_eq!(citation["document"], "lease.txt");
    let text = app
        .get(&format!(
            "/api/knowledge/documents/{}/text?start={}&end={}",
            citation["document_id"].as_str().unwrap(),
            citation["start"],
            citation["end"]
        ))
        .await;
    assert_eq!(text.text(), QUOTE);
    let marker = format!("[{}]", citation["n"]);
    assert!(answer["answer"].as_str().unwrap().contains(&marker));

    let follow_up =
        json!({ "question": "And dogs?", "conversation_id": answer["conversation_id"] });
    let next = app.post("/api/rag/query", &follow_up).await.json();
    assert_eq!(next["conversation_id"], answer["conversation_id"]);
}

#[tokio::test]
async fn a_stream_says_the_same_in_pieces() {
    let app = with_lease(Settings::default()).await;
    let by_body = app
        .post(
            "/api/rag/query",
            &json!({ "question": QUESTION, "stream": true }),
        )
        .await;
    let request = app
        .request(Method::POST, "/api/rag/query")
        .header("accept", "text/event-stream")
        .json(&json!({ "question": QUESTION }));
    let by_header = app.send(request).await;
    for reply in [by_body, by_header] {
        assert_eq!(reply.header("content-type"), "text/event-stream");
        assert_eq!(reply.header("cache-control"), "no-store");
        let events = events(reply.text());
        let names: Vec<&str> = events.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names.first(), Some(&"evidence"));
        assert_eq!(names.last(), Some(&"done"));
        for name in &names[1..names.len() - 1] {
            assert!(["delta", "citation"].contains(name), "{names:?}");
        }
        assert!(names.iter().filter(|name| **name == "delta").count() > 1);
        let done = &events.last().unwrap().1;
        let deltas: String = events
            .iter()
            .filter(|(name, _)| name == "delta")
            .map(|(_, data)| data["text"].as_str().unwrap())
            .collect();
        assert_eq!(done["answer"], deltas);
        assert_eq!(events[0].1["evidence"], done["evidence"]);
        let citations: Vec<&Value> = events
            .iter()
            .filter(|(name, _)| name == "citation")
            .map(|(_, data)| data)
            .collect();
        assert_eq!(json!(citations), done["citations"]);
    }
}

#[tokio::test]
async fn a_client_that_leaves_cancels_the_generation() {
    let gate = Gate::new();
    let app = with_lease(Settings {
        gate: Some(gate.clone()),
        ..Settings::default()
    })
    .await;
    for stream in [true, false] {
        let (requests, cancelled) = (app.model.requests().len(), app.model.cancelled());
        let request = app
            .request(Method::POST, "/api/rag/query")
            .json(&json!({ "question": QUESTION, "stream": stream }));
        let begun = tokio::spawn(async move {
            let response = request.send().await.unwrap();
            // Keeps the connection until aborted.
            response.bytes_stream().for_each(async |_| ()).await;
        });
        // The second request of an answer is the one that is held at the gate.
        while app.model.requests().len() < requests + 2 {
            tokio::task::yield_now().await;
        }
        begun.abort();
        app.model.until_cancelled(cancelled + 1).await;
    }
}

#[tokio::test]
async fn one_question_too_many_is_told_to_wait() {
    let gate = Gate::new();
    let app = with_lease(Settings {
        server: ServerConfig {
            max_questions: 1,
            ..ServerConfig::default()
        },
        gate: Some(gate.clone()),
        ..Settings::default()
    })
    .await;
    let question = json!({ "question": QUESTION });
    let first = app.post("/api/rag/query", &question);
    let second = async {
        gate.reached().await;
        let reply = app.post("/api/rag/query", &question).await;
        // Looking passages up goes on meanwhile.
        let context = app.get("/api/rag/context?q=rent").await;
        gate.release();
        (reply, context)
    };
    let (first, (second, context)) = tokio::join!(first, second);
    assert_eq!(first.status, StatusCode::OK);
    assert_eq!(second.verdict(), "429 too-many-questions");
    // Spread, so that those who are refused together do not come back together.
    let wait: u64 = second.header("retry-after").parse().unwrap();
    assert!((2..=4).contains(&wait), "{wait}");
    assert_eq!(second.json()["retry_after_s"], wait);
    assert_eq!(context.status, StatusCode::OK);
    let third = app.post("/api/rag/query", &question).await;
    assert_eq!(third.status, StatusCode::OK, "the place was given back");
}

#[tokio::test]
async fn passages_by_path_and_by_query() {
    let app = with_lease(Settings::default()).await;
    let by_query = app
        .get("/api/rag/context?q=rent%20payable&top_k=1&collection=default")
        .await;
    let context = by_query.json();
    assert_eq!(context["query"], "rent payable");
    let passages = context["passages"].as_array().unwrap();
    assert_eq!(passages.len(), 1);
    let passage = &passages[0];
    for promised in "document_id document page section start end text score scores".split(' ') {
        assert!(
            passage.as_object().unwrap().contains_key(promised),
            "{promised} is not in {passage}"
        );
    }
    let (start, end) = (
        passage["start"].as_u64().unwrap() as usize,
        passage["end"].as_u64().unwrap() as usize,
    );
    assert_eq!(passage["text"], &LEASE[start..end]);
    let by_path = app
        .get("/api/rag/context/rent%20payable?top_k=1&collection=default")
        .await;
    assert_eq!(by_path.json()["passages"], context["passages"]);
    // A slash is a part of the words, not of the path.
    let slash = app.get("/api/rag/context/rent%2Fpayable").await;
    assert_eq!(slash.json()["query"], "rent/payable");
    let elsewhere = app.get("/api/rag/context?q=rent&collection=other").await;
    assert_eq!(elsewhere.json()["passages"], json!([]));
}

#[tokio::test]
async fn without_its_parts_the_daemon_answers_at_a_lower_level() {
    let app = with_lease(Settings::default()).await;
    app.model.trouble(Trouble::Unavailable);
    app.embedder.trouble(Trouble::Unavailable);
    let reply = app
        .post("/api/rag/query", &json!({ "question": QUESTION }))
        .await;
    assert_eq!(reply.status, StatusCode::OK);
    let answer = reply.json();
    assert_eq!(answer["supported"], true);
    assert_eq!(answer["model"], Value::Null);
    let degraded = answer["degraded"].as_array().unwrap();
    assert!(degraded.contains(&json!("language_model")), "{degraded:?}");
    assert!(degraded.contains(&json!("embedder")), "{degraded:?}");
    assert!(answer["answer"].as_str().unwrap().contains(QUOTE));
}
